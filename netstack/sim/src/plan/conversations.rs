//! The conversations of a world, by their style.

use penstock_stack::SocketOptions;
use penstock_wire::Addr;

use super::{HostKind, Plan};
use crate::ledger::{Conversation, Ending, HEADER_BYTES, Opening, Reading, Script};
use penstock_fault::Rng;

/// What the conversations of a world are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Small requests, small responses, as of HTTP without keep-alive.
    Short,
    /// Few, large, both ways at once.
    Bulk,
    /// Anything that ends orderly.
    Orderly,
    /// Anything at all: resets, early closes.
    Any,
}

impl Plan {
    /// Adds `count` conversations of a style between hosts that can reach each other, beginning
    /// within `within_us`, and a few UDP questions.
    pub fn talking(mut self, style: Style, count: usize, within_us: u64) -> Plan {
        let mut rng = Rng::new(self.seed, "conversations");
        for _ in 0..count {
            let Some((from, to)) = self.two_hosts(&mut rng) else { return self };
            let addr = self.address_of(to, from, &mut rng);
            let (initiator, acceptor) = scripts(style, &mut rng);
            let cores = self.hosts[from].config.cores as u64;
            self.conversations.push(Conversation {
                at_us: FIRST_US + rng.below(within_us),
                from: (from, rng.below(cores) as u16),
                to,
                addr,
                port: rng.pick(&self.hosts[to].ports),
                options: SocketOptions {
                    nodelay: rng.percent(30),
                    ..self.hosts[from].config.tcp.options
                },
                initiator,
                acceptor,
            });
        }
        self
    }

    fn two_hosts(&self, rng: &mut Rng) -> Option<(usize, usize)> {
        let count = self.hosts.len() as u64;
        for _ in 0..64 {
            let (from, to) = (rng.below(count) as usize, rng.below(count) as usize);
            let ours = |host: usize| self.hosts[host].kind == HostKind::Penstock;
            let shares_lan =
                self.hosts[from].lans.iter().any(|lan| self.hosts[to].lans.contains(lan));
            if from != to && (ours(from) || ours(to)) && (shares_lan || !self.routers.is_empty()) {
                return Some((from, to));
            }
        }
        None
    }

    /// An address of `to` that `from` reaches.
    pub(super) fn address_of(&self, to: usize, from: usize, rng: &mut Rng) -> Addr {
        let is_near = |lan: &usize| self.hosts[from].lans.contains(lan);
        let near = self.hosts[to].lans.iter().position(is_near);
        let interface = near.unwrap_or(0);
        let addresses = &self.hosts[to].config.interfaces[interface].addresses;
        let known: Vec<Addr> = addresses
            .iter()
            .map(|(addr, _)| *addr)
            .filter(|addr| {
                let of_from = &self.hosts[from].config.interfaces;
                of_from
                    .iter()
                    .flat_map(|i| &i.addresses)
                    .any(|(own, _)| own.is_v4() == addr.is_v4())
            })
            .collect();
        rng.pick(&known)
    }
}

fn scripts(style: Style, rng: &mut Rng) -> (Script, Script) {
    match style {
        Style::Short => {
            let ending = rng.pick(&[Ending::Shutdown, Ending::Close]);
            let initiator = script(66, Opening::AtOnce, ending);
            let acceptor = script(122, Opening::AfterFirst, Ending::Close);
            (initiator, acceptor)
        }
        Style::Bulk => {
            let mut side = || {
                let bytes = rng.range(20_000, 200_000);
                let ending = rng.pick(&[Ending::Shutdown, Ending::Close]);
                Script {
                    piece: rng.pick(&[100, 1460, 4096, 16384]),
                    reading: reading(rng, 20),
                    ..script(bytes, Opening::AtOnce, ending)
                }
            };
            (side(), side())
        }
        Style::Orderly => orderly(rng),
        Style::Any => {
            let (mut initiator, mut acceptor) = orderly(rng);
            for side in [&mut initiator, &mut acceptor] {
                let after = rng.below(side.bytes * 2);
                match rng.below(8) {
                    0 => side.ending = Ending::Abort(after),
                    1 => side.ending = Ending::Leave(after),
                    _ => {}
                }
            }
            (initiator, acceptor)
        }
    }
}

/// Both sides, such that neither waits for the other for ever.
fn orderly(rng: &mut Rng) -> (Script, Script) {
    let initiator = Script {
        piece: rng.pick(&[1, 7, 100, 1000, 1460, 4096, 16384]),
        reading: reading(rng, 40),
        ..script(
            size(rng),
            rng.pick(&[Opening::AtOnce, Opening::AtOnce, Opening::AfterFirst]),
            rng.pick(&[Ending::Shutdown, Ending::Close]),
        )
    };
    // Only whoever shuts down unasked can be waited for to the end.
    let openings: &[Opening] = match (initiator.opening, initiator.ending) {
        (Opening::AtOnce, Ending::Shutdown) => {
            &[Opening::AtOnce, Opening::AfterFirst, Opening::AfterAll]
        }
        _ => &[Opening::AtOnce, Opening::AfterFirst],
    };
    let acceptor = Script {
        piece: rng.pick(&[1, 7, 100, 1000, 1460, 4096, 16384]),
        reading: reading(rng, 40),
        ..script(size(rng), rng.pick(openings), rng.pick(&[Ending::Shutdown, Ending::Close]))
    };
    // A single byte a send is for small streams.
    let small = |side: Script| Script { piece: side.piece.max((side.bytes / 500) as u32), ..side };
    (small(initiator), small(acceptor))
}

fn size(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0 => HEADER_BYTES,
        1..=5 => rng.range(HEADER_BYTES, 3_000),
        6..=8 => rng.range(3_000, 20_000),
        _ => rng.range(20_000, 80_000),
    }
}

fn reading(rng: &mut Rng, percent: u32) -> Reading {
    if !rng.percent(percent) {
        return Reading::Eager;
    }
    match rng.below(3) {
        0 => Reading::Refusing {
            ppm: rng.range(10_000, 300_000) as u32,
            pause_us: rng.range(10, 50_000),
        },
        1 => Reading::Owing { ppm: rng.range(10_000, 500_000) as u32 },
        _ => Reading::Pausing { after: rng.range(1, 10_000), pause_us: rng.range(100, 3_000_000) },
    }
}

fn script(bytes: u64, opening: Opening, ending: Ending) -> Script {
    Script { bytes, piece: 4096, opening, reading: Reading::Eager, ending }
}

/// Announcements and neighbour discovery come first.
const FIRST_US: u64 = 1_000;
