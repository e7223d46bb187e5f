//! The timers of a core: a hierarchical wheel of milliseconds.
//!
//! ```text
//!   level 0   64 slots of 1 ms        [·|·|x|·|…]   a slot's timers are due together
//!   level 1   64 slots of 64 ms       [·|x|x|·|…]   when its time comes, a slot's timers
//!   level 2   64 slots of 4.1 s       [·|·|·|x|…]   are dealt to the levels below it
//!   level 3   64 slots of 4.4 min     [x|·|·|·|…]
//!   level 4   64 slots of 4.7 h       [·|·|·|·|…]   beyond 12 days: the last slot, then dealt again
//! ```
//! A timer lies at the level of the highest 6-bit group in which its tick differs from `elapsed`,
//! so it is dealt at most four times. One 64-bit word per level says which slots hold anything:
//! a jump over idle hours costs the same few instructions as a jump over one millisecond.
//!
//! The lists are intrusive: the links lie in the caller's records ([`Node`], 12 bytes, reached
//! through [`Nodes`]), the wheel itself is 1.3 KB. Putting an armed timer *off* (the
//! retransmission timer at every acknowledgement) only writes the new tick into the node; the
//! wheel finds out when the old slot comes up. Nothing but the caller's own record is touched,
//! where unlinking would touch two strangers'. For the same reason a timer that is likely to be
//! armed again soon is better left to expire in vain than disarmed.
//!
//! Ticks are `u32` milliseconds on a ring (49 days): "after" holds within half of it.
//!
//! Work is bounded by the caller's budget: every timer dealt or fired costs one. What does not fit
//! waits for the next call, late but never lost.

use crate::slab::NONE;

/// The links of one timer, kept in the caller's record. While a record stands in a queue elsewhere
/// and not in the wheel, its node is that queue's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Next in the slot, or [`NONE`].
    pub(crate) next: u32,
    /// Previous in the slot; [`HEAD`] and the slot's number for the first; [`UNARMED`].
    pub(crate) prev: u32,
    /// The tick to fire at. May be later than where the node lies.
    pub(crate) at: u32,
}

impl Node {
    /// A timer that is not armed.
    pub(crate) const UNARMED: Node = Node { next: NONE, prev: UNARMED, at: 0 };

    /// Whether the timer is armed.
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.prev != UNARMED
    }

    /// The tick it fires at, while armed.
    #[inline]
    pub(crate) fn due(&self) -> Option<u32> {
        self.is_armed().then_some(self.at)
    }
}

/// Where the nodes are. Indices are below 2^31.
pub(crate) trait Nodes {
    /// The node of record `index`.
    fn node(&mut self, index: u32) -> &mut Node;
}

/// The wheel.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Everything before this tick has fired; what is due at it may still be in its slot.
    elapsed: u32,
    /// No slot comes up before this tick. A bound from below: disarming does not raise it.
    next: u32,
    armed: u32,
    /// One bit per slot that holds anything.
    occupied: [u64; LEVELS],
    /// The first node of each slot.
    heads: [u32; LEVELS * SLOTS],
}

impl Wheel {
    /// A wheel without timers, at tick `now`.
    pub(crate) fn new(now: u32) -> Wheel {
        Wheel {
            elapsed: now,
            next: now.wrapping_add(HORIZON),
            armed: 0,
            occupied: [0; LEVELS],
            heads: [NONE; LEVELS * SLOTS],
        }
    }

    /// Arms the timer of `index` for tick `at`, or moves it there if it is armed. A tick that is
    /// over or current means the next one, so a timer that arms itself cannot hold a turn.
    #[inline(always)]
    pub(crate) fn arm(&mut self, nodes: &mut impl Nodes, index: u32, at: u32) {
        let at = if after(at, self.elapsed) { at } else { self.elapsed.wrapping_add(1) };
        let node = nodes.node(index);
        if !node.is_armed() {
            self.armed += 1;
            self.place(nodes, index, at);
        } else if after(node.at, at) {
            self.relink(nodes, index, at);
        } else {
            node.at = at;
        }
    }

    /// Disarms the timer of `index`, if it is armed.
    #[inline]
    pub(crate) fn disarm(&mut self, nodes: &mut impl Nodes, index: u32) {
        let node = core::mem::replace(nodes.node(index), Node::UNARMED);
        self.forget(nodes, node);
    }

    /// The same for a node that was taken out of its record, with [`Node::UNARMED`] in its place.
    #[inline(always)]
    pub(crate) fn forget(&mut self, nodes: &mut impl Nodes, node: Node) {
        if node.is_armed() {
            self.unlink(nodes, node);
            self.armed -= 1;
        }
    }

    /// One timer that is due at tick `now`, disarmed; `None` when no other is, or when `budget` is
    /// used up. Call it until it returns `None`.
    #[inline]
    pub(crate) fn expire(
        &mut self,
        nodes: &mut impl Nodes,
        now: u32,
        budget: &mut u32,
    ) -> Option<u32> {
        if after(self.next, now) {
            // No slot lies between: time passes without work.
            self.pass(now);
            return None;
        }
        self.expire_due(nodes, now, budget)
    }

    /// A tick at which [`expire`](Self::expire) is worth calling, or `None` without timers. It may
    /// come before any timer is due (a slot is to be dealt, or its timers were put off), never
    /// after the first is.
    pub(crate) fn next_deadline(&self) -> Option<u32> {
        self.first().map(|(_, start)| start)
    }

    /// How many timers are armed.
    #[inline]
    pub(crate) fn armed(&self) -> u32 {
        self.armed
    }

    /// The part of [`arm`](Self::arm) that touches lists.
    #[cold]
    #[inline(never)]
    fn relink(&mut self, nodes: &mut impl Nodes, index: u32, at: u32) {
        let node = *nodes.node(index);
        self.unlink(nodes, node);
        self.place(nodes, index, at);
    }

    #[inline(never)]
    fn expire_due(&mut self, nodes: &mut impl Nodes, now: u32, budget: &mut u32) -> Option<u32> {
        while *budget > 0 {
            let Some((slot, start)) = self.first() else {
                self.next = now.wrapping_add(HORIZON);
                self.pass(now);
                return None;
            };
            if after(start, now) {
                self.next = start;
                self.pass(now);
                return None;
            }
            *budget -= 1;
            self.elapsed = start;
            let index = self.heads[slot];
            let node = *nodes.node(index);
            self.unlink(nodes, node);
            let at = node.at;
            if after(at, start) {
                self.place(nodes, index, at);
            } else {
                *nodes.node(index) = Node::UNARMED;
                self.armed -= 1;
                return Some(index);
            }
        }
        None
    }

    /// The occupied slot that comes up first, and its first tick (`elapsed` for one that is up).
    #[inline]
    fn first(&self) -> Option<(usize, u32)> {
        let mut first = None;
        let mut wait_min = u32::MAX;
        for level in 0..LEVELS {
            let occupied = self.occupied[level];
            if occupied == 0 {
                continue;
            }
            let shift = level as u32 * SLOT_BITS;
            let group = self.elapsed >> shift;
            let distance = occupied.rotate_right(group).trailing_zeros();
            // A slot that is up is found at distance 0, wherever `elapsed` is within it.
            let start = match distance {
                0 => self.elapsed,
                _ => group.wrapping_add(distance) << shift,
            };
            let wait = start.wrapping_sub(self.elapsed);
            if wait < wait_min {
                wait_min = wait;
                let slot = group.wrapping_add(distance) as usize % SLOTS;
                first = Some((level * SLOTS + slot, start));
            }
        }
        first
    }

    /// Links a node into the slot for `at`, which is not before `elapsed`.
    #[inline(always)]
    fn place(&mut self, nodes: &mut impl Nodes, index: u32, at: u32) {
        let wait = at.wrapping_sub(self.elapsed).min(WAIT_MAX);
        let place = self.elapsed.wrapping_add(wait);
        // The highest group that differs.
        let differs = place ^ self.elapsed;
        let level = if differs < 1 << (2 * SLOT_BITS) {
            (differs >= 1 << SLOT_BITS) as u32
        } else {
            ((31 - differs.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1)
        };
        let shift = level * SLOT_BITS;
        let start = (place >> shift) << shift;
        if after(self.next, start) {
            self.next = start;
        }
        let bit = (place >> shift) as usize % SLOTS;
        let slot = level as usize * SLOTS + bit;
        let head = self.heads[slot];
        self.heads[slot] = index;
        self.occupied[level as usize] |= 1 << bit;
        *nodes.node(index) = Node { next: head, prev: HEAD | slot as u32, at };
        if head != NONE {
            nodes.node(head).prev = index;
        }
    }

    /// Takes an armed node out of its slot; its own links are stale then.
    #[inline]
    fn unlink(&mut self, nodes: &mut impl Nodes, node: Node) {
        let Node { next, prev, .. } = node;
        if next != NONE {
            nodes.node(next).prev = prev;
        }
        if prev & HEAD == 0 {
            nodes.node(prev).next = next;
            return;
        }
        let slot = (prev & !HEAD) as usize;
        self.heads[slot] = next;
        if next == NONE {
            self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
        }
    }

    /// Time goes on to `now`, never back.
    #[inline]
    fn pass(&mut self, now: u32) {
        if after(now, self.elapsed) {
            self.elapsed = now;
        }
    }
}

/// Whether `tick` comes after `other` on the ring.
#[inline]
fn after(tick: u32, other: u32) -> bool {
    (other.wrapping_sub(tick) as i32) < 0
}

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 5;

/// The farthest a node is placed: the last slot of the last level before the current one.
const WAIT_MAX: u32 = (SLOTS as u32 - 1) << ((LEVELS as u32 - 1) * SLOT_BITS);

/// How far ahead an empty wheel promises that nothing comes up.
const HORIZON: u32 = 1 << 30;

/// In `prev`: this node is the first of the slot whose number follows.
const HEAD: u32 = 1 << 31;

/// In `prev`: the node is in no slot.
const UNARMED: u32 = u32::MAX;

const _: () = assert!(size_of::<Node>() == 12 && WAIT_MAX < HORIZON);

#[cfg(test)]
mod tests;
