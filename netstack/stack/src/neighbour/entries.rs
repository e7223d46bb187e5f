//! Where neighbours are kept: slots found by a keyed hash, and the four queues they stand in.
//!
//! ```text
//!   buckets[hash(interface, address)] ─▶ slot ─▶ slot …      hot[slot]   32 bytes, what a frame needs
//!                                                            cold[slot]  the rest
//!   Due         to be asked for as soon as possible          first in, first out; each but Due has
//!   Retransmit  asked; 1 s                                   one constant duration, so its head is
//!   Delay       used while stale; 5 s                        the next to fire
//!   Spare       nobody was told its name: may be replaced at once
//! ```

use super::RECLAIM_MS;
use super::{HopId, Neighbours};
use alloc::boxed::Box;
use alloc::vec;
use penstock_queue::ChunkId;
use penstock_wire::{Addr, Mac};

/// What is known of a neighbour (RFC 4861 section 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A slot never used.
    Free,
    /// Asked for; no station is known.
    Incomplete,
    /// Confirmed; for how long, the time of the confirmation says.
    Reachable,
    /// A station is known, and not whether it is still there.
    Stale,
    /// Used while stale: traffic may confirm it yet.
    Delay,
    /// Asked at its known station.
    Probe,
    /// Asked for in vain; the next use asks again.
    Failed,
}

impl State {
    /// Whether a station is known.
    pub(super) fn is_known(self) -> bool {
        match self {
            State::Reachable | State::Stale | State::Delay | State::Probe => true,
            State::Free | State::Incomplete | State::Failed => false,
        }
    }
}

/// What a frame needs of a neighbour.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Hot {
    pub(super) used_at: u32,
    pub(super) confirmed_at: u32,
    /// The name in the low 16 bits, the station above: one load for what is compared and what is
    /// wanted.
    word: u64,
    pub(super) state: State,
    /// Somebody was told the name and may keep it.
    pub(super) held: bool,
    /// A station was known once, so that connections may rest on it.
    pub(super) proven: bool,
}

impl Hot {
    /// The name: the slot in the low bits, and above them how often it was given away.
    #[inline(always)]
    pub(super) fn id(&self) -> u16 {
        self.word as u16
    }

    /// The station, as [`Mac::word`].
    #[inline(always)]
    pub(super) fn station(&self) -> u64 {
        self.word >> 16
    }

    /// The station.
    pub(super) fn mac(&self) -> Mac {
        let [a, b, c, d, e, f, ..] = self.station().to_le_bytes();
        Mac([a, b, c, d, e, f])
    }

    pub(super) fn set_mac(&mut self, mac: Mac) {
        self.word = mac.word() << 16 | self.id() as u64;
    }
}

/// Frames that wait for one neighbour.
pub(super) const WAITING_MAX: usize = 3;

/// The rest of a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cold {
    pub(super) addr: Addr,
    pub(super) interface: u8,
    /// Solicitations sent in this state.
    pub(super) tries: u8,
    pub(super) waiting_count: u8,
    /// A connection that is being opened waits for it.
    pub(super) is_wanted: bool,
    /// When nobody answered for it last, since somebody did.
    pub(super) failed_at: Option<u32>,
    queue: Option<Queue>,
    /// Of Due: since when. Of Retransmit and Delay: when it fires.
    pub(super) deadline: u32,
    ahead: u16,
    behind: u16,
    next_in_bucket: u16,
    pub(super) waiting: [(ChunkId, u16); WAITING_MAX],
}

/// A queue of slots; each slot stands in at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Due,
    Retransmit,
    Delay,
    Spare,
}

const QUEUES: usize = 4;

#[derive(Debug)]
pub(super) struct Entries {
    pub(super) hot: Box<[Hot]>,
    pub(super) cold: Box<[Cold]>,
    buckets: Box<[u16]>,
    /// How many slots stand in a queue with deadlines.
    timed: u16,
    heads: [u16; QUEUES],
    tails: [u16; QUEUES],
    secret: u64,
    /// Slots below this are in use; none ever returns.
    fresh: u16,
    /// Where the search for a slot unused for long goes on.
    hand: u16,
    /// The slot found last: most peers are behind one router.
    recent: u16,
    /// Slots in [`State::Incomplete`].
    pub(super) incomplete: u16,
}

const NONE: u16 = u16::MAX;

/// Slots looked at in search of one unused for long.
const SCAN_MAX: u16 = 64;

impl Neighbours {
    /// A connection that is being opened waits for a neighbour.
    pub(crate) fn want(&mut self, hop: HopId) {
        if let Some(slot) = self.entries.slot(hop.0) {
            self.entries.cold[slot as usize].is_wanted = true;
        }
    }

    /// Whether a neighbour was asked for in vain after `millis`, and has not been heard of since.
    pub(crate) fn has_failed_since(&self, hop: HopId, millis: u32) -> bool {
        let slot = self.entries.slot(hop.0);
        let failed_at = slot.and_then(|slot| self.entries.cold[slot as usize].failed_at);
        failed_at.is_some_and(|at| at.wrapping_sub(millis).cast_signed() > 0)
    }

    /// Takes the oldest frame that waits for a neighbour, and its length in bytes.
    pub(crate) fn take_waiting(&mut self, hop: HopId) -> Option<(ChunkId, u16)> {
        let slot = self.entries.slot(hop.0)?;
        let cold = &mut self.entries.cold[slot as usize];
        cold.waiting_count = cold.waiting_count.checked_sub(1)?;
        self.waiting -= 1;
        let oldest = cold.waiting[0];
        cold.waiting.rotate_left(1);
        Some(oldest)
    }

    /// A link is there only now: whoever was asked before may not have heard, nor been heard, and is
    /// asked again at once.
    pub(crate) fn ask_again(&mut self, millis: u32) {
        let entries = &mut self.entries;
        let mut slot = entries.heads[Queue::Retransmit as usize];
        while slot != NONE {
            let cold = &mut entries.cold[slot as usize];
            (cold.deadline, cold.tries) = (millis, 0);
            slot = cold.behind;
        }
    }
}

impl Entries {
    /// `slots` is a power of two.
    pub(super) fn new(slots: u16) -> Entries {
        let hot = |slot| Hot {
            used_at: 0,
            confirmed_at: 0,
            word: slot as u64,
            state: State::Free,
            held: false,
            proven: false,
        };
        let cold = Cold {
            addr: Addr::UNSPECIFIED,
            interface: 0,
            tries: 0,
            waiting_count: 0,
            is_wanted: false,
            failed_at: None,
            queue: None,
            deadline: 0,
            ahead: NONE,
            behind: NONE,
            next_in_bucket: NONE,
            waiting: [(ChunkId::NONE, 0); WAITING_MAX],
        };
        Entries {
            hot: (0..slots).map(hot).collect(),
            cold: vec![cold; slots as usize].into_boxed_slice(),
            buckets: vec![NONE; slots as usize * 2].into_boxed_slice(),
            timed: 0,
            heads: [NONE; QUEUES],
            tails: [NONE; QUEUES],
            secret: 0x9e37_79b9_7f4a_7c15,
            fresh: 0,
            hand: 0,
            recent: 0,
            incomplete: 0,
        }
    }

    /// Places entries by this secret from now on; there are none yet.
    pub(super) fn set_secret(&mut self, secret: u64) {
        self.secret = secret | 1;
    }

    /// How many slots are in use.
    pub(super) fn live(&self) -> u16 {
        self.fresh
    }

    /// The slot that a name means, unless it has been given away since.
    #[inline]
    pub(super) fn slot(&self, id: u16) -> Option<u16> {
        let slot = id & (self.hot.len() as u16 - 1);
        let hot = self.hot.get(slot as usize)?;
        (hot.id() == id && hot.state != State::Free).then_some(slot)
    }

    /// The slot found last.
    #[inline(always)]
    pub(super) fn recent(&self) -> u16 {
        self.recent
    }

    /// The slot of a neighbour.
    #[inline]
    pub(super) fn find(&mut self, interface: u8, addr: Addr) -> Option<u16> {
        if self.is_at(self.recent, interface, addr) {
            return Some(self.recent);
        }
        let mut slot = self.buckets[self.bucket(interface, addr)];
        // Bounded by the slots; as the hash is keyed, nobody can make a chain long.
        while slot != NONE {
            if self.is_at(slot, interface, addr) {
                self.recent = slot;
                return Some(slot);
            }
            slot = self.cold[slot as usize].next_in_bucket;
        }
        None
    }

    /// Whether a slot is this neighbour's.
    #[inline]
    pub(super) fn is_at(&self, slot: u16, interface: u8, addr: Addr) -> bool {
        // The address of a free slot is one that no neighbour has.
        self.is_named(slot, interface, addr) && !addr.is_unspecified()
    }

    /// The same, or it is free.
    #[inline(always)]
    pub(super) fn is_named(&self, slot: u16, interface: u8, addr: Addr) -> bool {
        let cold = &self.cold[slot as usize];
        cold.addr == addr && cold.interface == interface
    }

    /// A slot for a neighbour that has none, in [`State::Failed`] and in no queue. `reclaim` allows
    /// one that is held, and unused for long.
    pub(super) fn insert(
        &mut self,
        millis: u32,
        interface: u8,
        addr: Addr,
        reclaim: bool,
    ) -> Option<u16> {
        let slot = if (self.fresh as usize) < self.hot.len() {
            self.fresh += 1;
            self.fresh - 1
        } else {
            let spare = self.head(Queue::Spare).filter(|&slot| self.is_idle(slot));
            let slot = match spare {
                Some(slot) => slot,
                None if reclaim => self.unused_for_long(millis)?,
                None => return None,
            };
            self.evict(slot);
            slot
        };
        let slots = self.hot.len() as u16;
        let bucket = self.bucket(interface, addr);
        let hot = &mut self.hot[slot as usize];
        let mut id = hot.id().wrapping_add(slots);
        // Not 0, which a record never filled in would hold.
        if id == 0 {
            id = slots;
        }
        *hot = Hot {
            used_at: millis,
            confirmed_at: millis,
            word: id as u64,
            state: State::Failed,
            held: false,
            proven: false,
        };
        let cold = &mut self.cold[slot as usize];
        (cold.addr, cold.interface, cold.tries) = (addr, interface, 0);
        (cold.is_wanted, cold.failed_at) = (false, None);
        cold.next_in_bucket = self.buckets[bucket];
        self.buckets[bucket] = slot;
        self.recent = slot;
        Some(slot)
    }

    /// Changes the state, and nothing else.
    pub(super) fn set_state(&mut self, slot: u16, state: State) {
        let hot = &mut self.hot[slot as usize];
        self.incomplete -= (hot.state == State::Incomplete) as u16;
        self.incomplete += (state == State::Incomplete) as u16;
        hot.state = state;
    }

    /// The slot that has stood longest in a queue.
    #[inline]
    pub(super) fn head(&self, queue: Queue) -> Option<u16> {
        let slot = self.heads[queue as usize];
        (slot != NONE).then_some(slot)
    }

    /// Whether a slot stands in a queue with deadlines: in any but that of the spare ones.
    #[inline]
    pub(super) fn has_deadlines(&self) -> bool {
        self.timed > 0
    }

    /// Puts a slot behind all others of a queue, out of the one it stood in.
    pub(super) fn push_back(&mut self, slot: u16, queue: Queue) {
        self.unlink(slot);
        self.timed += (queue != Queue::Spare) as u16;
        let tail = self.tails[queue as usize];
        let cold = &mut self.cold[slot as usize];
        (cold.queue, cold.ahead, cold.behind) = (Some(queue), tail, NONE);
        match tail {
            NONE => self.heads[queue as usize] = slot,
            tail => self.cold[tail as usize].behind = slot,
        }
        self.tails[queue as usize] = slot;
    }

    /// Puts a slot in front of all others of a queue, out of the one it stood in.
    pub(super) fn push_front(&mut self, slot: u16, queue: Queue) {
        self.unlink(slot);
        self.timed += (queue != Queue::Spare) as u16;
        let head = self.heads[queue as usize];
        let cold = &mut self.cold[slot as usize];
        (cold.queue, cold.ahead, cold.behind) = (Some(queue), NONE, head);
        match head {
            NONE => self.tails[queue as usize] = slot,
            head => self.cold[head as usize].ahead = slot,
        }
        self.heads[queue as usize] = slot;
    }

    /// Takes a slot out of the queue it stands in, if any.
    pub(super) fn unlink(&mut self, slot: u16) {
        let Cold { queue, ahead, behind, .. } = self.cold[slot as usize];
        let Some(queue) = queue else { return };
        self.timed -= (queue != Queue::Spare) as u16;
        match ahead {
            NONE => self.heads[queue as usize] = behind,
            ahead => self.cold[ahead as usize].behind = behind,
        }
        match behind {
            NONE => self.tails[queue as usize] = ahead,
            behind => self.cold[behind as usize].ahead = ahead,
        }
        self.cold[slot as usize].queue = None;
    }

    /// Whether nothing is asked about it and no frame waits for it.
    fn is_idle(&self, slot: u16) -> bool {
        let quiet = match self.hot[slot as usize].state {
            State::Reachable | State::Stale | State::Failed => true,
            State::Free | State::Incomplete | State::Delay | State::Probe => false,
        };
        quiet && self.cold[slot as usize].waiting_count == 0
    }

    /// A slot that nobody has used for [`RECLAIM_MS`].
    fn unused_for_long(&mut self, millis: u32) -> Option<u16> {
        let mask = self.hot.len() as u16 - 1;
        for _ in 0..SCAN_MAX.min(mask + 1) {
            let slot = self.hand;
            self.hand = (self.hand + 1) & mask;
            let unused_ms = millis.wrapping_sub(self.hot[slot as usize].used_at);
            if unused_ms >= RECLAIM_MS && self.is_idle(slot) {
                return Some(slot);
            }
        }
        None
    }

    fn evict(&mut self, slot: u16) {
        self.unlink(slot);
        let Cold { addr, interface, next_in_bucket, .. } = self.cold[slot as usize];
        let bucket = self.bucket(interface, addr);
        if self.buckets[bucket] == slot {
            self.buckets[bucket] = next_in_bucket;
            return;
        }
        let mut before = self.buckets[bucket];
        // Bounded as in `find`; every slot in use is in its chain.
        while before != NONE {
            let link = &mut self.cold[before as usize].next_in_bucket;
            if *link == slot {
                *link = next_in_bucket;
                return;
            }
            before = *link;
        }
    }

    #[inline]
    fn bucket(&self, interface: u8, addr: Addr) -> usize {
        let left = addr.hi ^ self.secret;
        let right = addr.lo ^ self.secret.rotate_left(32) ^ (interface as u64) << 56;
        let product = left as u128 * right as u128;
        ((product >> 64) as usize ^ product as usize) & (self.buckets.len() - 1)
    }
}
