//! Half-open connections: a SYN has come, our SYN-ACK is out, the client's ACK is awaited.
//!
//! A client's record lies from its SYN on where it will stay: when the ACK comes, some fields are
//! filled in, nothing is copied, and the table's entry is right already. Such records are bounded
//! apart ([`Capacity::half_open`](crate::Capacity::half_open)), because a flood of SYNs must not take
//! what connections need; where all records are in use, the oldest half-open one gives way to a
//! connection. Their retransmission timeouts are constants (1, 2, 4, … s), so each has its FIFO queue
//! and arming a timer is an append:
//!
//! ```text
//!   waits 1 s   [oldest] ⇄ … ⇄ [newest]
//!   waits 2 s   [oldest] ⇄ …             a record moves down one queue with each repetition
//!   …
//! ```
//! Beyond the bound, SYN cookies ([`crate::cookie`]) need no record at all.
//!
//! Until then some fields of [`Tcb`] say something else: its timer is its place in a queue, and
//! [`Tcb::listener`], [`Tcb::sent_at`] and [`Tcb::scales_windows`] say where the rest is.

use penstock_wire::tcp::{Segment, Timestamps};

use crate::slab::{NONE, Slab};
use crate::tcp::{Bits, Tcb};

/// Queues, one for each repetition of the SYN-ACK (`tcp_synack_retries` at most, and the first).
pub(crate) const QUEUES: usize = 8;

/// What a half-open connection says to a segment of its tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The handshake is complete.
    Complete,
    /// The client's SYN came again: repeat the answer.
    Repeat,
    /// The client gave up.
    Reset,
    /// Refused with a RST that carries the segment's acknowledgement.
    AnswerReset,
    /// Refused with an acknowledgement.
    Acknowledge,
    /// Dropped.
    Ignore,
}

impl Tcb {
    /// RFC 9293 section 3.10.7.4 for SYN-RECEIVED.
    #[inline(always)]
    pub(crate) fn on_segment_half_open(&self, seg: &Segment, window_bytes: u32) -> Verdict {
        use penstock_wire::tcp::Flags;
        let rcv_nxt = self.rcv_nxt;
        if seg.flags.has(Flags::SYN) && !seg.flags.has(Flags::ACK) && seg.seq + 1 == rcv_nxt {
            return if seg.flags.has(Flags::RST) { Verdict::Ignore } else { Verdict::Repeat };
        }
        if self.has(Bits::TIMESTAMPS) && !seg.flags.has(Flags::RST) {
            match seg.options.timestamps {
                //= rfc7323#3.2
                //# If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop
                //# the segment.
                None => return Verdict::Ignore,
                Some(stamps) if (stamps.value.wrapping_sub(self.ts_recent) as i32) < 0 => {
                    return Verdict::Acknowledge;
                }
                Some(_) => {}
            }
        }
        let inside = seg.seq.at_or_after(rcv_nxt) && seg.seq.before(rcv_nxt + window_bytes);
        let known = seg.seq.before(rcv_nxt) && (seg.seq + seg.len()).after(rcv_nxt);
        if !inside && !known {
            return if seg.flags.has(Flags::RST) { Verdict::Ignore } else { Verdict::Acknowledge };
        }
        if seg.flags.has(Flags::RST) {
            return if seg.seq == rcv_nxt { Verdict::Reset } else { Verdict::Acknowledge };
        }
        if seg.flags.has(Flags::SYN) {
            return Verdict::Acknowledge;
        }
        if !seg.flags.has(Flags::ACK) {
            return Verdict::Ignore;
        }
        //= rfc9293#3.10.7.4
        //# If the segment acknowledgment is not acceptable, form a reset segment
        if seg.ack != self.nxt {
            return Verdict::AnswerReset;
        }
        Verdict::Complete
    }

    /// Keeps the timestamp of a repeated SYN, if it is newer (RFC 7323 section 4.3): an echo of the
    /// old one would make the client's first round trip a long one.
    pub(crate) fn note_repeated_syn(&mut self, stamps: Option<Timestamps>) {
        if let Some(stamps) = stamps
            && self.has(Bits::TIMESTAMPS)
            && (stamps.value.wrapping_sub(self.ts_recent) as i32) > 0
        {
            self.ts_recent = stamps.value;
        }
    }
}

/// Which of a core's records are half-open. They lie among the connections, and every call wants to
/// see those.
#[derive(Debug)]
pub(crate) struct HalfOpens {
    capacity: u32,
    live: u32,
    /// First and last of each queue.
    queues: [(u32, u32); QUEUES],
    /// The first queue's wait in milliseconds; each next one waits twice as long.
    first_ms: u32,
}

impl HalfOpens {
    pub(crate) fn new(capacity: u32, first_ms: u32) -> HalfOpens {
        HalfOpens { capacity, live: 0, queues: [(NONE, NONE); QUEUES], first_ms }
    }

    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.live == self.capacity
    }

    /// Takes in a new record whose SYN-ACK is being sent; `None` when there is no room. Inlined, so
    /// that it is made where it is to lie.
    #[inline(always)]
    pub(crate) fn insert(
        &mut self,
        conns: &mut Slab<Tcb>,
        mut tcb: Tcb,
        millis: u32,
    ) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        let [(first, last), ..] = &mut self.queues;
        tcb.timer.next = NONE;
        tcb.timer.prev = *last;
        tcb.timer.at = millis.wrapping_add(self.first_ms);
        let (index, place) = conns.take()?;
        *place = tcb;
        let before = core::mem::replace(last, index);
        if before == NONE {
            *first = index;
        } else {
            conns[before].timer.next = index;
        }
        self.live += 1;
        Some(index)
    }

    /// A record is half-open no more: complete, or about to be freed.
    #[inline(always)]
    pub(crate) fn remove(&mut self, conns: &mut Slab<Tcb>, index: u32) {
        self.unlink(conns, index);
        self.live -= 1;
    }

    /// A record whose SYN-ACK is due again; it stays where it is until
    /// [`repeat`](Self::repeat) or [`remove`](Self::remove).
    pub(crate) fn due(&self, conns: &Slab<Tcb>, millis: u32) -> Option<u32> {
        let firsts = self.queues.iter().map(|queue| queue.0).filter(|&first| first != NONE);
        firsts.into_iter().find(|&first| millis.wrapping_sub(conns[first].timer.at) as i32 >= 0)
    }

    /// The record that has waited longest, or nearly: what gives way first.
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.queues.iter().rev().map(|queue| queue.0).find(|&first| first != NONE)
    }

    /// Counts a repetition and moves the record to the next queue.
    pub(crate) fn repeat(&mut self, conns: &mut Slab<Tcb>, index: u32, millis: u32) {
        self.unlink(conns, index);
        let tcb = &mut conns[index];
        tcb.keep_backoff((tcb.kept_backoff() + 1).min(QUEUES as u8 - 1));
        let queue = tcb.kept_backoff() as usize % QUEUES;
        let last = self.queues[queue].1;
        tcb.timer.at = millis.wrapping_add(self.first_ms << queue);
        tcb.timer.next = NONE;
        tcb.timer.prev = last;
        if last == NONE {
            self.queues[queue].0 = index;
        } else {
            conns[last].timer.next = index;
        }
        self.queues[queue].1 = index;
    }

    /// When the next record is due.
    pub(crate) fn next_deadline(&self, conns: &Slab<Tcb>) -> Option<u32> {
        let mut nearest: Option<u32> = None;
        for (first, _) in self.queues {
            if first != NONE {
                let at = conns[first].timer.at;
                if nearest.is_none_or(|other| (at.wrapping_sub(other) as i32) < 0) {
                    nearest = Some(at);
                }
            }
        }
        nearest
    }

    #[inline(always)]
    fn unlink(&mut self, conns: &mut Slab<Tcb>, index: u32) {
        let tcb = &conns[index];
        let (next, prev) = (tcb.timer.next, tcb.timer.prev);
        let queue = &mut self.queues[tcb.kept_backoff() as usize % QUEUES];
        match prev {
            NONE => queue.0 = next,
            prev => conns[prev].timer.next = next,
        }
        match next {
            NONE => queue.1 = prev,
            next => conns[next].timer.prev = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Records come due in time order, each after its queue's wait, whatever is removed between.
    use super::*;
    use crate::tcp::half_open;
    use alloc::vec::Vec;

    #[test]
    fn waits_double_and_order_holds() {
        let (mut half, mut conns) = (HalfOpens::new(4, 1000), Slab::new(10));
        let indices: Vec<u32> =
            (0..4).map(|i| half.insert(&mut conns, half_open(), 10 * i).expect("room")).collect();
        assert!(half.is_full() && half.insert(&mut conns, half_open(), 50).is_none());
        assert_eq!(half.next_deadline(&conns), Some(1000));
        assert_eq!(half.due(&conns, 999), None);
        half.remove(&mut conns, indices[1]);
        assert_eq!(half.due(&conns, 1000), Some(indices[0]));
        half.repeat(&mut conns, indices[0], 1000);
        assert_eq!(half.oldest(), Some(indices[0]));
        assert_eq!(half.due(&conns, 1019), None, "the second was removed");
        assert_eq!(half.due(&conns, 1020), Some(indices[2]));
        half.remove(&mut conns, indices[2]);
        half.remove(&mut conns, indices[3]);
        assert_eq!(half.next_deadline(&conns), Some(3000), "two seconds after the repetition");
        half.remove(&mut conns, indices[0]);
        assert_eq!((half.next_deadline(&conns), half.live(), half.oldest()), (None, 0, None));
    }
}
