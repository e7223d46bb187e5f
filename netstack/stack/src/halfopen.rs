//! Half-open connections: a SYN has come, our SYN-ACK is out, the client's ACK is awaited.
//!
//! They are compact records of their own, because a flood of SYNs must not take what connections
//! need. Their retransmission timeouts are constants (1, 2, 4, … s), so each has its FIFO queue and
//! arming a timer is an append:
//!
//! ```text
//!   waits 1 s   [oldest] ⇄ … ⇄ [newest]
//!   waits 2 s   [oldest] ⇄ …             a record moves down one queue with each repetition
//!   …
//! ```
//! Beyond the ring's capacity, SYN cookies ([`crate::cookie`]) need no record at all.

use penstock_wire::SeqNum;
use penstock_wire::tcp::{Segment, Timestamps};

use crate::hash::Tuple;
use crate::limits;
use crate::neighbour::HopId;
use crate::receive::Arrival;
use crate::slab::{Linked, NONE, Slab};
use crate::tcp::Env;

/// Queues, one for each repetition of the SYN-ACK (`tcp_synack_retries` at most, and the first).
pub(crate) const QUEUES: usize = 8;

/// A SYN that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) tuple: Tuple,
    pub(crate) iss: SeqNum,
    pub(crate) irs: SeqNum,
    pub(crate) ts_recent: u32,
    pub(crate) ts_offset: u32,
    /// When the SYN-ACK was first sent, in microseconds.
    pub(crate) sent_at: u32,
    due_at: u32,
    next: u32,
    prev: u32,
    /// Their MSS option, or the default.
    pub(crate) peer_mss: u16,
    pub(crate) listener: u16,
    pub(crate) hop: u16,
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
    /// How often the SYN-ACK was repeated.
    pub(crate) repeats: u8,
}

impl Linked for HalfOpen {
    const BLANK: HalfOpen = record(Tuple::NONE);

    fn link(&mut self) -> &mut u32 {
        &mut self.next
    }
}

/// What the record says to a segment of its tuple.
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

impl HalfOpen {
    /// What a SYN says, and what it is to be answered with. Inlined, so that it is made where it is
    /// to lie.
    #[inline(always)]
    pub(crate) fn offered(
        listener: u16,
        syn: &Arrival,
        hop: HopId,
        iss: SeqNum,
        ts_offset: u32,
        env: &Env,
    ) -> HalfOpen {
        let options = &syn.seg.options;
        let timestamps = options.timestamps.filter(|_| env.tcp.timestamps);
        HalfOpen {
            iss,
            irs: syn.seg.seq,
            ts_recent: timestamps.map_or(0, |timestamps| timestamps.value),
            ts_offset,
            sent_at: env.now.micros(),
            peer_mss: match options.mss {
                0 if syn.tuple.remote.is_v4() => limits::MSS_DEFAULT_V4,
                0 => limits::MSS_DEFAULT_V6,
                mss => mss,
            },
            listener,
            hop: hop.0,
            window_scale: options.window_scale.filter(|_| env.tcp.window_scaling),
            sack: options.sack_permitted && env.tcp.sack,
            timestamps: timestamps.is_some(),
            ..record(syn.tuple)
        }
    }

    /// RFC 9293 section 3.10.7.4 for SYN-RECEIVED.
    #[inline(always)]
    pub(crate) fn on_segment(&self, seg: &Segment, window_bytes: u32) -> Verdict {
        use penstock_wire::tcp::Flags;
        let rcv_nxt = self.irs + 1;
        if seg.flags.has(Flags::SYN) && !seg.flags.has(Flags::ACK) && seg.seq == self.irs {
            return if seg.flags.has(Flags::RST) { Verdict::Ignore } else { Verdict::Repeat };
        }
        if let Some(timestamps) = seg.options.timestamps
            && self.timestamps
            && (timestamps.value.wrapping_sub(self.ts_recent) as i32) < 0
            && !seg.flags.has(Flags::RST)
        {
            return Verdict::Acknowledge;
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
        if seg.ack != self.iss + 1 {
            return Verdict::AnswerReset;
        }
        Verdict::Complete
    }
}

/// The half-open connections of one core.
#[derive(Debug)]
pub(crate) struct HalfOpens {
    records: Slab<HalfOpen>,
    /// First and last of each queue.
    queues: [(u32, u32); QUEUES],
    /// The first queue's wait in milliseconds; each next one waits twice as long.
    first_ms: u32,
}

impl HalfOpens {
    pub(crate) fn new(capacity: u32, first_ms: u32) -> HalfOpens {
        HalfOpens { records: Slab::new(capacity), queues: [(NONE, NONE); QUEUES], first_ms }
    }

    pub(crate) fn live(&self) -> u32 {
        self.records.live()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.live() == self.records.capacity()
    }

    pub(crate) fn at(&self, index: u32) -> &HalfOpen {
        &self.records[index]
    }

    /// Takes in a new record whose SYN-ACK is being sent. Inlined, so that it is made where it is to
    /// lie.
    #[inline(always)]
    pub(crate) fn insert(&mut self, mut record: HalfOpen, millis: u32) -> Option<u32> {
        let [(first, last), ..] = &mut self.queues;
        record.due_at = millis.wrapping_add(self.first_ms);
        record.prev = *last;
        let (index, place) = self.records.take()?;
        *place = record;
        let before = core::mem::replace(last, index);
        if before == NONE {
            *first = index;
        } else {
            self.records[before].next = index;
        }
        Some(index)
    }

    /// Forgets a record.
    #[inline(always)]
    pub(crate) fn remove(&mut self, index: u32) {
        self.unlink(index);
        self.records.free(index);
    }

    /// Keeps the timestamp of a repeated SYN, if it is newer, and returns which one to echo
    /// (RFC 7323 section 4.3): an old one would make the client's first round trip a long one.
    pub(crate) fn note_timestamp(&mut self, index: u32, stamps: Option<Timestamps>) -> u32 {
        let record = &mut self.records[index];
        if let Some(stamps) = stamps
            && record.timestamps
            && (stamps.value.wrapping_sub(record.ts_recent) as i32) > 0
        {
            record.ts_recent = stamps.value;
        }
        record.ts_recent
    }

    /// A record whose SYN-ACK is due again; it stays where it is until
    /// [`repeat`](Self::repeat) or [`remove`](Self::remove).
    pub(crate) fn due(&self, millis: u32) -> Option<u32> {
        self.queues.iter().map(|queue| queue.0).find(|&first| {
            first != NONE && millis.wrapping_sub(self.records[first].due_at) as i32 >= 0
        })
    }

    /// Counts a repetition and moves the record to the next queue.
    pub(crate) fn repeat(&mut self, index: u32, millis: u32) {
        self.unlink(index);
        let record = &mut self.records[index];
        record.repeats = (record.repeats + 1).min(QUEUES as u8 - 1);
        self.append(index, millis);
    }

    /// When the next record is due.
    pub(crate) fn next_deadline(&self) -> Option<u32> {
        let mut nearest: Option<u32> = None;
        for (first, _) in self.queues {
            if first != NONE {
                let at = self.records[first].due_at;
                if nearest.is_none_or(|other| (at.wrapping_sub(other) as i32) < 0) {
                    nearest = Some(at);
                }
            }
        }
        nearest
    }

    fn append(&mut self, index: u32, millis: u32) {
        let record = &mut self.records[index];
        let queue = record.repeats as usize % QUEUES;
        let last = self.queues[queue].1;
        record.due_at = millis.wrapping_add(self.first_ms << queue);
        record.next = NONE;
        record.prev = last;
        if last == NONE {
            self.queues[queue].0 = index;
        } else {
            self.records[last].next = index;
        }
        self.queues[queue].1 = index;
    }

    #[inline]
    fn unlink(&mut self, index: u32) {
        let HalfOpen { next, prev, repeats, .. } = self.records[index];
        let queue = &mut self.queues[repeats as usize % QUEUES];
        if prev == NONE {
            queue.0 = next;
        }
        if next == NONE {
            queue.1 = prev;
        }
        if prev != NONE {
            self.records[prev].next = next;
        }
        if next != NONE {
            self.records[next].prev = prev;
        }
    }
}

/// A record before it is queued: the links mean nothing yet.
pub(crate) const fn record(tuple: Tuple) -> HalfOpen {
    HalfOpen {
        tuple,
        iss: SeqNum(0),
        irs: SeqNum(0),
        ts_recent: 0,
        ts_offset: 0,
        sent_at: 0,
        due_at: 0,
        next: NONE,
        prev: NONE,
        peer_mss: 0,
        listener: 0,
        hop: 0,
        window_scale: None,
        sack: false,
        timestamps: false,
        repeats: 0,
    }
}

const _: () = assert!(size_of::<HalfOpen>() <= 72);

#[cfg(test)]
mod tests {
    //! Records come due in time order, each after its queue's wait, whatever is removed between.
    use super::*;
    use crate::hash::AddrId;
    use alloc::vec::Vec;
    use penstock_wire::Addr;

    fn tuple(port: u16) -> Tuple {
        Tuple { remote: Addr::v4(1), remote_port: port, local_port: 80, local: AddrId(0) }
    }

    fn insert(half: &mut HalfOpens, port: u16, millis: u32) -> Option<u32> {
        half.insert(record(tuple(port)), millis)
    }

    #[test]
    fn waits_double_and_order_holds() {
        let mut half = HalfOpens::new(4, 1000);
        let indices: Vec<u32> =
            (0..4).map(|i| insert(&mut half, i, 10 * i as u32).expect("room")).collect();
        assert!(half.is_full() && insert(&mut half, 9, 50).is_none());
        assert_eq!(half.next_deadline(), Some(1000));
        assert_eq!(half.due(999), None);
        half.remove(indices[1]);
        assert_eq!(half.due(1000), Some(indices[0]));
        half.repeat(indices[0], 1000);
        assert_eq!(half.due(1019), None, "the second was removed");
        assert_eq!(half.due(1020), Some(indices[2]));
        half.remove(indices[2]);
        half.remove(indices[3]);
        assert_eq!(half.next_deadline(), Some(3000), "two seconds after the repetition");
        half.remove(indices[0]);
        assert_eq!((half.next_deadline(), half.live()), (None, 0));
    }
}
