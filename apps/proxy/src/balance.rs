//! Which server is next.
//!
//! | file | holds |
//! |---|---|
//! | `round_robin.rs` | `roundrobin`: by weight, in turn |
//! | `least_conn.rs` | `leastconn`: fewest sessions by weight, in turn among equals |
//! | `map.rs` | `static-rr`, and hashes that are `map-based` |
//! | `ring.rs` | hashes that are `consistent`, and `random` |
//! | `first.rs` | `first` |
//! | `heap.rs` | servers in order, for the first two |
//!
//! Each core has its own balancer and asks nobody. Those that go in turn hold on every core to the
//! same sequence, in which a server has its share of any stretch to within a few sessions
//! (`round_robin.rs` says how many); cores begin at different places of it. So over all cores a server
//! is away from its share by at most that for each core, however many come and to whichever. Hashes are
//! the same on all.

mod first;
mod heap;
mod least_conn;
mod map;
mod ring;
mod round_robin;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use penstock_config::haproxy::{Algorithm, Backend};
use penstock_wire::Addr;

use crate::hash::mix;

use first::First;
use least_conn::LeastConn;
use map::Map;
use ring::Ring;
use round_robin::RoundRobin;

/// What a balancer knows of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// The server's number, which places it on a ring.
    pub(crate) id: u32,
    /// Its weight, 0 to 256.
    pub(crate) weight: u32,
    /// How far it has warmed up (`slowstart`), in sixteenths of its weight.
    pub(crate) warmth: u32,
    /// It is up, neither in maintenance nor drained.
    pub(crate) is_up: bool,
    /// It stands in for others.
    pub(crate) is_backup: bool,
}

impl Share {
    /// Its weight by warmth, 0 to 4096.
    pub(crate) fn effective(&self) -> u32 {
        self.weight * self.warmth
    }

    /// Whether it may be given new sessions at all.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_up && self.effective() > 0
    }
}

/// What is asked of a balancer.
pub(crate) struct Question<'a, F> {
    /// The number that a hash has to place: see [`source_key`]. Who has none goes in turn.
    pub(crate) key: Option<u32>,
    /// The server that has just failed: another one is better.
    pub(crate) avoid: Option<u16>,
    /// Whether a server takes another session at once.
    pub(crate) has_room: F,
    /// Sessions of each server over all cores.
    pub(crate) loads: &'a [u32],
    /// Anything, for those that draw.
    pub(crate) random: u64,
}

/// What a balancer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This one.
    Server(u16),
    /// All that could are full: whichever has room first.
    AnyLater,
    /// None is there.
    Nobody,
}

/// The balancer of a backend on one core.
#[derive(Debug)]
pub(crate) struct Balancer {
    kind: Kind,
    /// Which servers are used now: the active ones, or the backups in their place.
    used: Vec<bool>,
    used_count: u32,
    /// Active ones among them; none where backups are in their place.
    active_count: u32,
    all_backups: bool,
}

#[derive(Debug)]
enum Kind {
    RoundRobin(RoundRobin),
    StaticRoundRobin(Map),
    LeastConn(LeastConn),
    First(First),
    Mapped { map: Map, avalanche: bool },
    Consistent { ring: Ring, avalanche: bool, balance_percent: u32 },
    Random { ring: Ring, draws: u32 },
}

impl Balancer {
    /// For `backend`, on core `core`. All memory it will ever use is taken here.
    pub(crate) fn new(backend: &Backend, shares: &[Share], core: u16) -> Balancer {
        let hash = backend.hash_type;
        let kind = match backend.algorithm {
            Algorithm::RoundRobin => Kind::RoundRobin(RoundRobin::new(shares.len())),
            Algorithm::StaticRoundRobin => Kind::StaticRoundRobin(Map::new(shares)),
            Algorithm::LeastConn => Kind::LeastConn(LeastConn::new(shares.len())),
            Algorithm::First => Kind::First(First),
            Algorithm::Random { draws } => Kind::Random { ring: Ring::new(shares), draws },
            Algorithm::Source | Algorithm::Hash(_) if hash.consistent => Kind::Consistent {
                ring: Ring::new(shares),
                avalanche: hash.avalanche,
                balance_percent: backend.hash_balance_percent.into(),
            },
            Algorithm::Source | Algorithm::Hash(_) => {
                Kind::Mapped { map: Map::new(shares), avalanche: hash.avalanche }
            }
        };
        let mut balancer = Balancer {
            kind,
            used: alloc::vec![false; shares.len()],
            used_count: 0,
            active_count: 0,
            all_backups: backend.options.all_backups,
        };
        balancer.update(shares);
        balancer.stagger(core);
        balancer
    }

    /// A server's state or weight is another one.
    pub(crate) fn update(&mut self, shares: &[Share]) {
        let any_active = shares.iter().any(|share| share.is_usable() && !share.is_backup);
        let mut one_backup = false;
        for (used, share) in self.used.iter_mut().zip(shares) {
            *used = share.is_usable()
                && (!share.is_backup || !any_active && (self.all_backups || !one_backup));
            one_backup |= *used && share.is_backup;
        }
        self.used_count = self.used.iter().filter(|used| **used).count() as u32;
        self.active_count = if any_active { self.used_count } else { 0 };
        match &mut self.kind {
            Kind::RoundRobin(turns) => turns.update(shares, &self.used),
            Kind::LeastConn(least) => least.update(shares, &self.used),
            Kind::StaticRoundRobin(map) | Kind::Mapped { map, .. } => {
                map.update(shares, &self.used)
            }
            Kind::Consistent { ring, .. } | Kind::Random { ring, .. } => {
                ring.update(shares, &self.used);
            }
            Kind::First(_) => {}
        }
    }

    /// Sessions of a server, and those that wait for it, are as many now.
    pub(crate) fn set_load(&mut self, server: u16, inflight: u32) {
        if let Kind::LeastConn(least) = &mut self.kind {
            least.set_load(server, inflight);
        }
    }

    /// How many active servers can be given sessions: none where backups are in their place.
    pub(crate) fn active_count(&self) -> u32 {
        self.active_count
    }

    /// Whether a key says which server it is, so that to ask again leads to the same.
    pub(crate) fn goes_by_key(&self) -> bool {
        matches!(self.kind, Kind::Mapped { .. } | Kind::Consistent { .. })
    }

    /// Whether a backend with a queue has no server with room: new sessions join it unasked.
    pub(crate) fn queue_means_full(&self) -> bool {
        matches!(self.kind, Kind::RoundRobin(_) | Kind::StaticRoundRobin(_) | Kind::First(_))
    }

    /// The next server.
    pub(crate) fn next<F: Fn(u16) -> bool>(&mut self, question: &Question<'_, F>) -> Answer {
        if self.used_count == 0 {
            return Answer::Nobody;
        }
        let found = match &mut self.kind {
            Kind::RoundRobin(turns) => turns.next(question),
            Kind::StaticRoundRobin(map) => map.next(question),
            Kind::LeastConn(least) => least.next(question),
            Kind::First(first) => first.next(&self.used, question),
            Kind::Mapped { map, avalanche } => match question.key {
                Some(key) => map.at(mixed(key, *avalanche)),
                None => map.next(question),
            },
            Kind::Consistent { ring, avalanche, balance_percent } => match question.key {
                Some(key) => {
                    let key = mixed(key, *avalanche);
                    ring.nearest(key, question.avoid, question.loads, *balance_percent)
                }
                None => ring.next(question),
            },
            Kind::Random { ring, draws } => ring.draw(*draws, question),
        };
        found.map_or(Answer::AnyLater, Answer::Server)
    }

    /// Begins at another place than the other cores.
    fn stagger(&mut self, core: u16) {
        match &mut self.kind {
            Kind::RoundRobin(turns) => turns.stagger(core),
            Kind::StaticRoundRobin(map) | Kind::Mapped { map, .. } => map.stagger(core),
            Kind::LeastConn(least) => least.stagger(core),
            Kind::Consistent { ring, .. } => ring.stagger(core),
            Kind::First(_) | Kind::Random { .. } => {}
        }
    }
}

/// What `balance source` hashes: the words of an address, one over the other.
pub(crate) fn source_key(addr: Addr) -> u32 {
    if addr.is_v4() {
        return addr.v4_number();
    }
    let words = [addr.hi >> 32, addr.hi, addr.lo >> 32, addr.lo];
    words.into_iter().fold(0, |key, word| key ^ word as u32)
}

fn mixed(key: u32, avalanche: bool) -> u32 {
    if avalanche { mix(key) } else { key }
}
