//! Which station has an address: ARP's and neighbour discovery's one cache per core.
//!
//! Read RFC 4861 section 7 first; ARP entries live by the same machine (RFC 1122 section 2.3.2.1 asks
//! for one), so that a damaged or outdated station heals in either family.
//!
//! ```text
//!              resolve            answer                 30 s            used
//!   [Failed] ─────────▶ [Incomplete] ─────▶ [Reachable] ─────▶ [Stale] ─────────▶ [Delay]
//!       ▲                 │       ▲             ▲  traffic or answer  │              │ 5 s
//!       └─ 3 tries, 3 s ──┘       │             └─────────────────────┴──────────────┤
//!                                 └── 3 tries at the known station, 3 s ── [Probe] ◀─┘
//! ```
//! - Frames wait in chunks, at most three for each neighbour; everything is bounded by the capacity.
//! - Whoever connects through one that fails hears of it: [`crate::sweep`] looks for them, where
//!   [`Neighbours::want`] says that there are any.
//! - Decisions only: [`Neighbours::expire`] says what is to be asked, the worker writes and sends it.
//! - What one core hears the others are told, because a card delivers all answers to one of them:
//!   [`Learned::changed`]. An entry that no connection was told of is the first to be replaced.
//!
//! # Names outlive entries, safely
//! A connection keeps a [`HopId`] for as long as it lives, hours without a frame included, and no
//! count of them is kept. A name is slot and generation: when a slot is given to another neighbour the
//! generation moves on, and the old name answers `None` from [`Neighbours::mac`], which sends the
//! caller to [`Neighbours::resolve`] as an unresolved neighbour would. That costs one comparison per
//! frame. Names repeat after a slot was given away 2^16 / capacity times (64 for 1,024 slots), and
//! a slot that ever had a station only after ten minutes without use; a connection that woke at just
//! that moment would send to a stranger, who ignores it, and comes to the right neighbour with the
//! `resolve` that every retransmission timeout makes. Rejected: counting references, which puts a
//! write on each connection's birth and death; never giving slots away, which lets forged sources on
//! the link fill the table for ever.

mod entries;
mod reaction;
#[cfg(test)]
mod tests;

use crate::counters::Drop;
use alloc::vec::Vec;
use entries::{Entries, Queue, State, WAITING_MAX};
use penstock_queue::ChunkId;

use penstock_wire::{Addr, Mac};
use reaction::{Reaction, on_mail, on_reply, on_request};

/// Names a neighbour. 0 names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HopId(pub(crate) u16);

/// How something was heard of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It asked us: a solicitation or ARP request for one of our addresses.
    Request,
    /// It told of itself (RFC 4861 section 7.2.5). An ARP reply to us is solicited; all other ARP is
    /// not; ARP always overrides.
    Reply {
        /// It says that it was asked.
        solicited: bool,
        /// It wants to replace what is cached.
        override_: bool,
    },
    /// Another core heard it.
    Mail,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Learned {
    /// The other cores are to be told of `mac`: it is new, or one of them may have asked. Bounded in
    /// rate, so that a flood of answers fills no mailbox.
    pub(crate) changed: bool,
    /// A neighbour whose waiting frames can leave now.
    pub(crate) hop: Option<HopId>,
    /// The station that was known has changed.
    pub(crate) moved: bool,
    /// The station as cached now; of no meaning unless `changed` or `hop`.
    pub(crate) mac: Mac,
}

impl Learned {
    const NOTHING: Learned = Learned { changed: false, hop: None, moved: false, mac: Mac([0; 6]) };
}

/// What a deadline calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask for a neighbour.
    Solicit {
        /// On which interface.
        interface: u8,
        /// Whom.
        addr: Addr,
        /// Its station, to see whether it is still there; `None`: ask everyone.
        to: Option<Mac>,
    },
    /// Nobody answered: the frames that wait for it, taken before the next call, are lost.
    Failed {
        /// The neighbour.
        hop: HopId,
        /// Connections are being opened through it.
        is_wanted: bool,
    },
}

/// The neighbours of one core.
#[derive(Debug)]
pub(crate) struct Neighbours {
    entries: Entries,
    waiting: u32,
    reachable_ms: u32,
    /// Times the other cores were told of something in the window of `millis >> TOLD_SHIFT`.
    told: u16,
    told_window: u32,
    /// Addresses that no neighbour can have.
    nobodies: Vec<Addr>,
}

impl Neighbours {
    /// Room for `capacity` neighbours, rounded up to a power of two, at most [`SLOTS_MAX`].
    pub(crate) fn new(capacity: u16) -> Neighbours {
        let slots = capacity.clamp(1, SLOTS_MAX).next_power_of_two();
        Neighbours {
            entries: Entries::new(slots),
            waiting: 0,
            reachable_ms: REACHABLE_MS,
            told: 0,
            told_window: 0,
            nobodies: Vec::new(),
        }
    }

    /// The same, with room for so many addresses that nobody else can have.
    pub(crate) fn without(mut self, count: usize) -> Neighbours {
        self.nobodies = Vec::with_capacity(count);
        self
    }

    /// None of `nobodies` is ever a neighbour: our own addresses, and those that stand for everybody
    /// on a link. As a packet's source they are forged.
    pub(crate) fn exclude(&mut self, nobodies: impl Iterator<Item = Addr>) {
        self.nobodies.clear();
        self.nobodies.extend(nobodies);
    }

    /// The same, empty, with a secret: nobody can aim at one hash bucket, and cores do not ask in
    /// step.
    pub(crate) fn keyed(mut self, secret: u64) -> Neighbours {
        self.entries.set_secret(secret);
        //= rfc4861#6.3.2
        //# This value should be a uniformly distributed random value between MIN_RANDOM_FACTOR and
        //# MAX_RANDOM_FACTOR times BaseReachableTime milliseconds.
        self.reachable_ms = REACHABLE_MS / 2 + (secret >> 32) as u32 % REACHABLE_MS;
        self
    }

    /// The name of a neighbour, which is asked for at once unless it is known or being asked for.
    ///
    /// # Errors
    /// [`Drop::NeighbourTableFull`]: every slot is in use, or half of them wait for answers, which is
    /// what forged sources look like. [`Drop::IpSource`]: nobody can be there.
    #[inline]
    pub(crate) fn resolve(
        &mut self,
        millis: u32,
        interface: u8,
        addr: Addr,
    ) -> Result<HopId, Drop> {
        self.reach(millis, interface, addr).map(|(hop, _)| hop)
    }

    /// The same, and its station ([`Mac::word`]) where that is at hand and beyond doubt.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    #[inline(always)]
    pub(crate) fn reach(
        &mut self,
        millis: u32,
        interface: u8,
        addr: Addr,
    ) -> Result<(HopId, Option<u64>), Drop> {
        let recent = self.entries.recent();
        // A free slot, whose address is no neighbour's, is not held.
        if self.entries.is_named(recent, interface, addr) {
            let hot = &mut self.entries.hot[recent as usize];
            if hot.held && hot.state != State::Failed {
                hot.used_at = millis;
                let sure = hot.state == State::Reachable
                    && millis.wrapping_sub(hot.confirmed_at) < self.reachable_ms;
                return Ok((HopId(hot.id()), sure.then_some(hot.station())));
            }
        }
        self.resolve_slowly(millis, interface, addr).map(|hop| (hop, None))
    }

    /// The same for another than the neighbour found last.
    #[inline(never)]
    fn resolve_slowly(&mut self, millis: u32, interface: u8, addr: Addr) -> Result<HopId, Drop> {
        let slot = match self.entries.find(interface, addr) {
            Some(slot) => slot,
            None if self.nobodies.contains(&addr) => return Err(Drop::IpSource),
            None => self.admit(millis, interface, addr).ok_or(Drop::NeighbourTableFull)?,
        };
        let hot = &mut self.entries.hot[slot as usize];
        let hop = HopId(hot.id());
        hot.used_at = millis;
        if hot.held && hot.state != State::Failed || self.take_up(slot) {
            Ok(hop)
        } else {
            Err(Drop::NeighbourTableFull)
        }
    }

    /// The station to send to now. `None`: the name is void, the neighbour not known (yet), or not
    /// answering; the caller resolves anew, keeps that name, and has its frame wait.
    #[inline]
    pub(crate) fn mac(&mut self, hop: HopId, millis: u32) -> Option<Mac> {
        let (slot, sure) = self.look(hop, millis)?;
        if sure {
            return Some(self.entries.hot[slot as usize].mac());
        }
        self.mac_in_doubt(slot, millis)
    }

    /// The same as [`Mac::word`].
    #[inline(always)]
    pub(crate) fn mac_word(&mut self, hop: HopId, millis: u32) -> Option<u64> {
        let (slot, sure) = self.look(hop, millis)?;
        if sure {
            return Some(self.entries.hot[slot as usize].station());
        }
        self.mac_in_doubt(slot, millis).map(Mac::word)
    }

    /// The slot that a name means now, and whether its station is beyond doubt.
    #[inline(always)]
    fn look(&mut self, hop: HopId, millis: u32) -> Option<(u16, bool)> {
        let slot = hop.0 as usize & (self.entries.hot.len() - 1);
        let hot = &mut self.entries.hot[slot];
        if hot.id() != hop.0 {
            return None;
        }
        hot.used_at = millis;
        let sure = hot.state == State::Reachable
            && millis.wrapping_sub(hot.confirmed_at) < self.reachable_ms;
        Some((slot as u16, sure))
    }

    /// Traffic proves that the neighbour gets what we send (RFC 4861 section 7.3.1).
    #[inline(always)]
    pub(crate) fn confirm(&mut self, hop: HopId, millis: u32) {
        let slot = hop.0 as usize & (self.entries.hot.len() - 1);
        let hot = &mut self.entries.hot[slot];
        if hot.id() != hop.0 {
            return;
        }
        if hot.state == State::Reachable {
            hot.confirmed_at = millis;
        } else {
            self.confirm_in_doubt(slot as u16, millis);
        }
    }

    /// Whether a name means this neighbour.
    #[cfg(test)]
    pub(crate) fn is(&self, hop: HopId, interface: u8, addr: Addr) -> bool {
        self.entries.slot(hop.0).is_some_and(|slot| self.entries.is_at(slot, interface, addr))
    }

    /// Has the frame in `chunk` wait for a neighbour without a station; returns what is to be freed:
    /// the oldest of too many, or `chunk` itself where the name is void or nothing is to be waited
    /// for. A failed neighbour is asked for again.
    pub(crate) fn enqueue(&mut self, hop: HopId, chunk: ChunkId, bytes: u16) -> Option<ChunkId> {
        let Some(slot) = self.entries.slot(hop.0) else { return Some(chunk) };
        let state = self.entries.hot[slot as usize].state;
        let asked = match state {
            State::Incomplete => true,
            State::Failed => self.take_up(slot),
            State::Free | State::Reachable | State::Stale | State::Delay | State::Probe => false,
        };
        if !asked {
            return Some(chunk);
        }
        let mut evicted = None;
        //= rfc4861#7.2.2
        //# When a queue overflows, the new arrival SHOULD replace the oldest entry.
        if self.entries.cold[slot as usize].waiting_count as usize == WAITING_MAX {
            evicted = self.take_waiting(hop).map(|(oldest, _)| oldest);
        }
        let cold = &mut self.entries.cold[slot as usize];
        cold.waiting[cold.waiting_count as usize] = (chunk, bytes);
        cold.waiting_count += 1;
        self.waiting += 1;
        evicted
    }

    /// Takes in what was heard: `addr` has the station `mac` (none: as known, RFC 4861 section 4.4).
    pub(crate) fn learn(
        &mut self,
        millis: u32,
        interface: u8,
        addr: Addr,
        mac: impl Into<Option<Mac>>,
        how: How,
    ) -> Learned {
        let mac = mac.into().filter(|&mac| !mac.is_group() && mac != Mac::default());
        let is_nobody = addr.is_group() || addr.is_unspecified() || addr.is_loopback();
        if is_nobody || self.nobodies.contains(&addr) {
            return Learned::NOTHING;
        }
        let mut learned = match (self.entries.find(interface, addr), mac) {
            (Some(slot), mac) => self.learn_more(millis, slot, mac, how),
            (None, Some(mac)) => self.learn_first(millis, interface, addr, mac, how),
            (None, None) => Learned::NOTHING,
        };
        learned.changed = learned.changed && self.may_tell(millis);
        learned
    }

    /// Whether [`Neighbours::expire`] may have something to say, now or later.
    #[inline]
    pub(crate) fn has_deadlines(&self) -> bool {
        self.entries.has_deadlines()
    }

    /// When [`Neighbours::expire`] next has something to say, on the ring of milliseconds.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u32> {
        let deadline =
            |queue| self.entries.head(queue).map(|slot| self.entries.cold[slot as usize].deadline);
        let earlier = |a: Option<u32>, b: Option<u32>| match (a, b) {
            (Some(a), Some(b)) => Some(if is_reached(a, b) { b } else { a }),
            (one, other) => one.or(other),
        };
        earlier(deadline(Queue::Due), earlier(deadline(Queue::Retransmit), deadline(Queue::Delay)))
    }

    /// One thing that is due by now; to be called until `None`. Constant work.
    #[inline]
    pub(crate) fn expire(&mut self, millis: u32) -> Option<Action> {
        for queue in [Queue::Due, Queue::Retransmit, Queue::Delay] {
            if let Some(slot) = self.entries.head(queue)
                && is_reached(millis, self.entries.cold[slot as usize].deadline)
            {
                return Some(self.fire(slot, millis));
            }
        }
        None
    }

    /// Neighbours remembered, in whatever state.
    pub(crate) fn live(&self) -> u32 {
        self.entries.live() as u32
    }

    /// Frames that wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// A slot for a neighbour that is to be asked for.
    fn admit(&mut self, millis: u32, interface: u8, addr: Addr) -> Option<u16> {
        if addr.is_unspecified() || self.too_many_asked() {
            return None;
        }
        self.entries.insert(millis, interface, addr, true)
    }

    /// Whether half of the table waits for answers: the rest is for neighbours that exist.
    fn too_many_asked(&self) -> bool {
        self.entries.incomplete as usize >= self.entries.hot.len().div_ceil(2)
    }

    /// Somebody is told the name: the slot is no longer spare, and asked for where it is not known.
    /// False where that is too much.
    #[cold]
    fn take_up(&mut self, slot: u16) -> bool {
        let hot = self.entries.hot[slot as usize];
        if hot.state == State::Failed {
            if !hot.proven && self.too_many_asked() {
                return false;
            }
            let cold = &mut self.entries.cold[slot as usize];
            (cold.tries, cold.deadline) = (0, hot.used_at);
            self.entries.set_state(slot, State::Incomplete);
            self.entries.push_back(slot, Queue::Due);
        } else if !hot.held {
            self.entries.unlink(slot);
        }
        self.entries.hot[slot as usize].held = true;
        true
    }

    #[cold]
    fn mac_in_doubt(&mut self, slot: u16, millis: u32) -> Option<Mac> {
        let hot = self.entries.hot[slot as usize];
        match hot.state {
            //= rfc4861#7.3.3
            //# The first time a node sends a packet to a neighbor whose entry is STALE, the sender
            //# changes the state to DELAY and sets a timer to expire in DELAY_FIRST_PROBE_TIME
            //# seconds.
            State::Reachable | State::Stale => {
                self.entries.set_state(slot, State::Delay);
                self.entries.cold[slot as usize].deadline = millis.wrapping_add(DELAY_MS);
                self.entries.push_back(slot, Queue::Delay);
                Some(hot.mac())
            }
            State::Delay | State::Probe => Some(hot.mac()),
            State::Free | State::Incomplete | State::Failed => None,
        }
    }

    #[cold]
    fn confirm_in_doubt(&mut self, slot: u16, millis: u32) {
        //= rfc4861#7.3.3
        //# The one exception is that upper-layer advice has no effect on entries in the INCOMPLETE
        //# state (e.g., for which no link-layer address is cached).
        if self.entries.hot[slot as usize].state.is_known() {
            self.settle(slot, State::Reachable, millis);
        }
    }

    /// A neighbour nobody here has heard of.
    fn learn_first(
        &mut self,
        millis: u32,
        interface: u8,
        addr: Addr,
        mac: Mac,
        how: How,
    ) -> Learned {
        //= rfc4861#7.2.5 type=exception
        //= reason=A card delivers every answer to one core; another one may have asked.
        //# If no entry exists, the advertisement SHOULD be silently discarded.
        let tell = match how {
            How::Reply { solicited: false, .. } => return Learned::NOTHING,
            How::Request | How::Reply { solicited: true, .. } => true,
            How::Mail => false,
        };
        // Full of neighbours in use: those who asked have been answered, and others may have room.
        if let Some(slot) = self.entries.insert(millis, interface, addr, false) {
            //= rfc4861#7.2.3
            //# If an entry does not already exist, the node SHOULD create a new one and set its
            //# reachability state to STALE as specified in Section 7.3.3.
            self.entries.hot[slot as usize].set_mac(mac);
            self.settle(slot, State::Stale, millis);
        }
        Learned { changed: tell, hop: None, moved: false, mac }
    }

    /// More of a neighbour that has an entry.
    fn learn_more(&mut self, millis: u32, slot: u16, mac: Option<Mac>, how: How) -> Learned {
        let hot = self.entries.hot[slot as usize];
        let mut state = hot.state;
        //= rfc4861#7.3.3
        //# When ReachableTime milliseconds have passed since receipt of the last reachability
        //# confirmation for a neighbor, the Neighbor Cache entry's state changes from REACHABLE to
        //# STALE.
        if state == State::Reachable && millis.wrapping_sub(hot.confirmed_at) >= self.reachable_ms {
            state = State::Stale;
        }
        let was_known = state.is_known();
        let heard = if was_known { mac.unwrap_or(hot.mac()) } else { mac.unwrap_or_default() };
        let differs = !was_known || heard != hot.mac();
        let next = match how {
            // It is there, and no station is said; or none is known, to which nothing adds.
            _ if mac.is_none() && !was_known => return Learned::NOTHING,
            How::Request => on_request(state, differs),
            How::Reply { solicited, override_ } => {
                match on_reply(state, differs, solicited, override_) {
                    Reaction::Take(next) => next,
                    Reaction::Doubt => {
                        self.settle(slot, State::Stale, millis);
                        return Learned::NOTHING;
                    }
                    Reaction::Ignore => return Learned::NOTHING,
                }
            }
            How::Mail => on_mail(state, differs),
        };
        self.entries.hot[slot as usize].set_mac(heard);
        if next != state || next == State::Reachable {
            self.settle(slot, next, millis);
        }
        Learned {
            changed: match how {
                How::Reply { solicited: true, .. } => true,
                How::Reply { solicited: false, .. } | How::Request => differs,
                How::Mail => false,
            },
            hop: (self.entries.cold[slot as usize].waiting_count > 0).then_some(HopId(hot.id())),
            moved: hot.proven && heard != hot.mac(),
            mac: heard,
        }
    }

    /// A station is known, and nothing is to be asked: Reachable or Stale.
    fn settle(&mut self, slot: u16, state: State, millis: u32) {
        self.entries.set_state(slot, state);
        let cold = &mut self.entries.cold[slot as usize];
        (cold.is_wanted, cold.failed_at) = (false, None);
        let hot = &mut self.entries.hot[slot as usize];
        hot.proven = true;
        if state == State::Reachable {
            hot.confirmed_at = millis;
        }
        if hot.held {
            self.entries.unlink(slot);
        } else {
            self.entries.push_back(slot, Queue::Spare);
        }
    }

    /// A deadline has passed: ask, ask otherwise, or give up.
    #[cold]
    fn fire(&mut self, slot: u16, millis: u32) -> Action {
        let hot = self.entries.hot[slot as usize];
        let exhausted = self.entries.cold[slot as usize].tries >= TRIES;
        let next = match hot.state {
            //= rfc4861#7.3.3
            //# If the entry is still in the DELAY state when the timer expires, the entry's state
            //# changes to PROBE.
            State::Delay => State::Probe,
            // The station may be damaged, or another's by now: ask everyone, as for the first time.
            //= rfc4861#7.3.3
            //# Subsequent traffic to that neighbor will recreate the entry and perform address
            //# resolution again.
            State::Probe if exhausted => State::Incomplete,
            State::Incomplete if exhausted => return self.fail(slot, millis),
            state => state,
        };
        if next != hot.state {
            self.entries.set_state(slot, next);
            self.entries.cold[slot as usize].tries = 0;
        }
        let cold = &mut self.entries.cold[slot as usize];
        cold.tries += 1;
        cold.deadline = millis.wrapping_add(RETRANSMIT_MS);
        let (interface, addr) = (cold.interface, cold.addr);
        self.entries.push_back(slot, Queue::Retransmit);
        Action::Solicit { interface, addr, to: (next == State::Probe).then_some(hot.mac()) }
    }

    fn fail(&mut self, slot: u16, millis: u32) -> Action {
        self.entries.set_state(slot, State::Failed);
        let cold = &mut self.entries.cold[slot as usize];
        cold.failed_at = Some(millis);
        let is_wanted = core::mem::take(&mut cold.is_wanted);
        let hot = &mut self.entries.hot[slot as usize];
        let hop = HopId(hot.id());
        if hot.proven {
            self.entries.unlink(slot);
        } else {
            // No connection can rest on it: the first to be replaced.
            hot.held = false;
            self.entries.push_front(slot, Queue::Spare);
        }
        Action::Failed { hop, is_wanted }
    }

    /// Whether the other cores may be told of one more thing.
    fn may_tell(&mut self, millis: u32) -> bool {
        if self.told_window != millis >> TOLD_SHIFT {
            (self.told_window, self.told) = (millis >> TOLD_SHIFT, 0);
        }
        let may = self.told < TOLD_MAX;
        self.told += may as u16;
        may
    }
}

/// Whether `deadline` has come by `millis`, on a ring.
#[inline]
fn is_reached(millis: u32, deadline: u32) -> bool {
    millis.wrapping_sub(deadline) as i32 >= 0
}

/// Slots at most: what is left of sixteen bits counts generations.
pub(crate) const SLOTS_MAX: u16 = 8192;

/// A neighbour counts as reachable for so long after a confirmation (RFC 4861 section 10,
/// BaseReachableTime).
const REACHABLE_MS: u32 = 30_000;
/// Traffic has so long to confirm a stale neighbour (DELAY_FIRST_PROBE_TIME).
const DELAY_MS: u32 = 5_000;
/// Between solicitations (RETRANS_TIMER).
const RETRANSMIT_MS: u32 = 1_000;
/// Solicitations of a kind (MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT).
const TRIES: u8 = 3;
/// A neighbour unused for so long may be replaced, though connections may hold its name.
const RECLAIM_MS: u32 = 600_000;
/// A window of telling other cores: 64 ms.
const TOLD_SHIFT: u32 = 6;
/// Times the other cores are told of something in a window.
const TOLD_MAX: u16 = 512;

const _: () = assert!(SLOTS_MAX.is_power_of_two());
