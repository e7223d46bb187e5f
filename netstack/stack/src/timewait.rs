//! TIME-WAIT: what remains of a connection for a minute, in 32 bytes.
//!
//! ```text
//!            head                                            tail
//!   ring    [ due | restarted | dead | · · · · · · | youngest ]      one constant duration: a FIFO,
//!              │        │        └ skipped, its slot reused                 no timers
//!              │        └ its FIN came again: goes once more to the tail
//!              └ forgotten
//! ```
//! The record keeps a 64-bit hash instead of the tuple: two of a million records share one with a
//! chance of 2⁻²⁵, and then only a peer's old segment is answered with another's numbers.
//!
//! **Restart.** A retransmitted FIN restarts the 2 MSL, which a FIFO of constant durations cannot
//! express in place. The record is only stamped anew; when it reaches the head before its time it
//! moves to the tail. So it may stay in memory up to one duration too long, which no peer can see:
//! [`TimeWait::on_segment`] looks at the stamp and knows a record that is over.
//!
//! **Full.** The oldest record gives way to the newcomer; the caller counts it
//! (TCPTimeWaitOverflow). Records removed before their time stay in the ring, dead, until the head
//! passes them.
//!
//! Ticks are `u32` milliseconds on a ring. To have read: RFC 9293 section 3.10.7.4, RFC 6191,
//! RFC 1337, RFC 7323 section 5.

use alloc::vec::Vec;

use penstock_wire::SeqNum;
use penstock_wire::tcp::{Flags, Segment};

use crate::table::{Kind, Reference, Table};

/// What a connection leaves behind when it enters TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    /// The tuple's hash.
    pub(crate) hash: u64,
    /// RCV.NXT, beyond the peer's FIN.
    pub(crate) rcv_nxt: SeqNum,
    /// SND.NXT, beyond our FIN.
    pub(crate) snd_nxt: SeqNum,
    /// TS.Recent, where timestamps were in use.
    pub(crate) ts_recent: Option<u32>,
    /// The window field as last advertised.
    pub(crate) window: u16,
    /// Our window scale.
    pub(crate) window_scale: u8,
}

/// The numbers of an acknowledgement `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// SND.NXT.
    pub(crate) seq: SeqNum,
    /// RCV.NXT.
    pub(crate) ack: SeqNum,
    /// The window field.
    pub(crate) window: u16,
    /// The timestamp to echo, where timestamps are in use.
    pub(crate) echo: Option<u32>,
}

/// What a new connection of the same tuple has to respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Successor {
    /// The initial sequence number must be after this one, so that no old segment of ours fits.
    pub(crate) isn_after: SeqNum,
    /// The peer's last timestamp, where timestamps were in use.
    pub(crate) ts_recent: Option<u32>,
}

/// Why a segment to a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A RST (RFC 1337: TIME-WAIT is not assassinated).
    Reset,
    /// No timestamp where every segment has one (RFC 7323 section 3.2).
    NoTimestamp,
    /// A timestamp from the past (PAWSEstab).
    Paws,
    /// A sequence number outside the window.
    OutOfWindow,
    /// A SYN that may be an old duplicate (RFC 6191 section 2).
    Syn,
    /// No acknowledgement, or of what was never sent.
    Acknowledgement,
    /// Data after the peer's FIN.
    Data,
    /// Nothing in it asks for an answer.
    Silent,
    /// It would have been answered, but another just was (TCPACKSkippedTimeWait).
    Throttled,
}

/// What is to be done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The record's time is over: remove it, and the segment belongs to no connection.
    Expired,
    /// A new connection begins: remove the record and treat the SYN as one for a listener.
    Reopen(Successor),
    /// The peer's FIN came again: acknowledge it. The time has been restarted.
    Acknowledge(Answer),
    /// Drop the segment and send the acknowledgement that says where we are.
    Challenge(Answer, Refusal),
    /// Drop the segment.
    Drop(Refusal),
}

/// Where a record was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entered {
    /// The record's reference, for the caller to put into the table.
    pub(crate) reference: Reference,
    /// Whether the oldest record had to go.
    pub(crate) evicted: bool,
}

/// The records of one core. All memory is taken at construction.
#[derive(Debug)]
pub(crate) struct TimeWait {
    ring: Vec<Record>,
    capacity: u32,
    head: u32,
    /// Records from the head on, dead ones included.
    count: u32,
    live: u32,
    duration_ms: u32,
    /// Whether new connections may use timestamps.
    timestamps: bool,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    hash: u64,
    rcv_nxt: SeqNum,
    snd_nxt: SeqNum,
    ts_recent: u32,
    /// The tick at which it entered, or was restarted.
    since: u32,
    /// The tick at which the two sides last heard of each other.
    active: u32,
    window: u16,
    /// Window scale in [`SCALE`], then [`TIMESTAMPS`], [`DEAD`], [`RESTARTED`] and [`CHALLENGED`].
    flags: u8,
    /// When it was last challenged, in coarse units of 512 ms.
    challenged: u8,
}

impl TimeWait {
    /// Room for `capacity` records (at least one, below 2^30) that live for `duration_ms`.
    /// `timestamps` says whether new connections may use them.
    pub(crate) fn new(capacity: u32, duration_ms: u32, timestamps: bool) -> TimeWait {
        let capacity = capacity.clamp(1, Reference::INDEX_LIMIT);
        TimeWait {
            ring: Vec::with_capacity(capacity as usize),
            capacity,
            head: 0,
            count: 0,
            live: 0,
            duration_ms,
            timestamps,
        }
    }

    /// Takes in what a connection left at tick `now`. The caller lets the connection's entry in the
    /// table refer to the record ([`Table::replace`]); an evicted record's entry is removed here.
    #[inline(always)]
    pub(crate) fn enter(&mut self, remains: &Remains, now: u32, table: &mut Table) -> Entered {
        let evicted = self.count == self.capacity && self.make_room(table);
        let &Remains { hash, rcv_nxt, snd_nxt, ts_recent, window, window_scale } = remains;
        let mut flags = window_scale & SCALE;
        if ts_recent.is_some() {
            flags |= TIMESTAMPS;
        }
        let index = self.push(Record {
            hash,
            rcv_nxt,
            snd_nxt,
            ts_recent: ts_recent.unwrap_or(0),
            since: now,
            active: now,
            window,
            flags,
            challenged: 0,
        });
        self.live += 1;
        Entered { reference: Reference::new(Kind::TimeWait, index), evicted }
    }

    /// Whether record `index` is live and stands for `hash`.
    #[inline]
    pub(crate) fn is(&self, index: u32, hash: u64) -> bool {
        let live = |record: &Record| record.hash == hash && record.flags & DEAD == 0;
        self.ring.get(index as usize).is_some_and(live)
    }

    /// Forgets record `index`, which is live, and its entry in the table.
    pub(crate) fn remove(&mut self, index: u32, table: &mut Table) {
        let Some(record) = self.ring.get_mut(index as usize) else { return };
        if record.flags & DEAD == 0 {
            record.flags |= DEAD;
            table.remove(record.hash, Reference::new(Kind::TimeWait, index));
            self.live -= 1;
        }
    }

    /// Forgets what is over at tick `now`, passing at most `budget` records. Returns how many were
    /// forgotten.
    pub(crate) fn expire(&mut self, now: u32, budget: u32, table: &mut Table) -> u32 {
        let mut forgotten = 0;
        for _ in 0..budget.min(self.count) {
            let record = self.ring[self.head as usize];
            if record.flags & DEAD != 0 {
                self.pop();
            } else if self.is_over(&record, now) {
                self.forget_head(table);
                forgotten += 1;
            } else if record.flags & RESTARTED != 0 {
                let from = Reference::new(Kind::TimeWait, self.head);
                self.pop();
                let index = self.push(Record { flags: record.flags & !RESTARTED, ..record });
                table.replace(record.hash, from, Reference::new(Kind::TimeWait, index));
            } else {
                break;
            }
        }
        forgotten
    }

    /// A tick at which [`expire`](Self::expire) has work, or `None` without records.
    pub(crate) fn next_deadline(&self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let record = &self.ring[self.head as usize];
        // One to skip or to move needs no waiting for; its stamp lies in the past.
        let wait = if record.flags & (DEAD | RESTARTED) == 0 { self.duration_ms } else { 0 };
        Some(record.since.wrapping_add(wait))
    }

    /// How many records are live.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// What becomes of our own new connection to the tuple of record `index`, as Linux's
    /// `tcp_tw_reuse` has it: with timestamps, and after a second of silence, the peer can tell the
    /// new connection from the old one. `None`: choose another port. Otherwise remove the record.
    pub(crate) fn may_reuse(&self, index: u32, now: u32) -> Option<Successor> {
        let record = self.ring.get(index as usize)?;
        let over = self.is_over(record, now);
        let quiet = now.wrapping_sub(record.active) >= REUSE_AFTER_MS;
        let timestamps = self.timestamps && record.flags & TIMESTAMPS != 0;
        (over || timestamps && quiet).then(|| record.successor())
    }

    /// What to do with a segment to record `index`, whose tuple and checksum have been checked.
    pub(crate) fn on_segment(&mut self, index: u32, segment: &Segment, now: u32) -> Verdict {
        let Some(&record) = self.ring.get(index as usize) else { return Verdict::Expired };
        if self.is_over(&record, now) {
            return Verdict::Expired;
        }
        if segment.flags.has(Flags::RST) {
            //= rfc1337#3
            //# (F1)  Ignore RST segments in TIME-WAIT state.
            return Verdict::Drop(Refusal::Reset);
        }
        if segment.flags.has(Flags::SYN) {
            return self.on_syn(index, segment, now);
        }
        let stamp = segment.options.timestamps.map(|timestamps| timestamps.value);
        if record.flags & TIMESTAMPS != 0 {
            match stamp {
                //= rfc7323#3.2
                //# If a non-<RST> segment is received without a TSopt, a
                //# TCP SHOULD silently drop the segment.
                None => return Verdict::Drop(Refusal::NoTimestamp),
                //= rfc7323#5.3
                //# R1)  If there is a Timestamps option in the arriving segment,
                //# SEG.TSval < TS.Recent, TS.Recent is valid
                Some(value) if is_earlier(value, record.ts_recent) => {
                    return self.challenge(index, Refusal::Paws, now);
                }
                Some(_) => {}
            }
        }
        let end = segment.seq + segment.len();
        let is_last = segment.flags.has(Flags::FIN) && end == record.rcv_nxt;
        if !is_last && !record.accepts(segment) {
            //= rfc9293#3.10.7.4
            //# If an incoming segment is not acceptable, an acknowledgment
            //# should be sent in reply (unless the RST bit is set, if so drop
            //# the segment and return):
            return self.challenge(index, Refusal::OutOfWindow, now);
        }
        if !segment.flags.has(Flags::ACK) {
            return Verdict::Drop(Refusal::Acknowledgement);
        }
        if segment.ack.after(record.snd_nxt) {
            return self.challenge(index, Refusal::Acknowledgement, now);
        }
        let place = &mut self.ring[index as usize];
        place.active = now;
        if let Some(value) = stamp
            && segment.seq.at_or_before(record.rcv_nxt)
        {
            place.ts_recent = value;
        }
        if segment.flags.has(Flags::FIN) {
            //= rfc9293#3.10.7.4
            //# The only thing that can arrive in this state is a
            //# retransmission of the remote FIN.  Acknowledge it, and restart
            //# the 2 MSL timeout.
            place.since = now;
            place.flags |= RESTARTED;
            return Verdict::Acknowledge(place.answer());
        }
        if segment.payload_bytes > 0 {
            return self.challenge(index, Refusal::Data, now);
        }
        Verdict::Drop(Refusal::Silent)
    }

    /// A SYN: the peer's next connection, or an old duplicate.
    fn on_syn(&mut self, index: u32, segment: &Segment, now: u32) -> Verdict {
        let record = self.ring[index as usize];
        let stamp = segment.options.timestamps.map(|timestamps| timestamps.value);
        let beyond = segment.seq.at_or_after(record.rcv_nxt);
        let is_new = match (record.flags & TIMESTAMPS != 0, stamp.filter(|_| self.timestamps)) {
            //= rfc6191#2
            //# If TCP Timestamps would be enabled for the new incarnation of
            //# the connection, and the timestamp contained in the incoming SYN
            //# segment is greater than the last timestamp seen on the previous
            //# incarnation of the connection (for that direction of the data
            //# transfer), honor the connection request (creating a connection
            //# in the SYN-RECEIVED state).
            (true, Some(value)) => {
                is_earlier(record.ts_recent, value) || value == record.ts_recent && beyond
            }
            //= rfc6191#2
            //# If TCP Timestamps would be enabled for the new incarnation of
            //# the connection, honor the incoming connection request (creating
            //# a connection in the SYN-RECEIVED state).
            (false, Some(_)) => true,
            //= rfc6191#2
            //# If TCP Timestamps would not be enabled for the new incarnation
            //# of the connection, but the Sequence Number of the incoming SYN
            //# segment is greater than the last sequence number seen on the
            //# previous incarnation of the connection (for the same direction
            //# of the data transfer), honor the incoming connection request
            //# (creating a connection in the SYN-RECEIVED state).
            (_, None) => beyond,
        };
        // A SYN with ACK or FIN begins nothing.
        if is_new && !segment.flags.has(Flags::ACK.with(Flags::FIN)) {
            return Verdict::Reopen(record.successor());
        }
        //= rfc6191#2
        //= type=exception
        //= reason=RFC 9293 is later and asks for a challenge; the previous incarnation stays, too
        //# Otherwise, silently drop the incoming SYN segment, thus leaving
        //# the previous incarnation of the connection in the TIME-WAIT
        //# state.
        //= rfc9293#3.10.7.4
        //# RFC 5961 recommends that in these
        //# synchronized states, if the SYN bit is set, irrespective of the
        //# sequence number, TCP endpoints MUST send a "challenge ACK" to the
        //# remote peer:
        self.challenge(index, Refusal::Syn, now)
    }

    /// Answers a refused segment, but not twice within 512 ms: two sides that disagree on sequence
    /// numbers must not challenge each other for ever.
    fn challenge(&mut self, index: u32, refusal: Refusal, now: u32) -> Verdict {
        let record = &mut self.ring[index as usize];
        let unit = (now >> 9) as u8;
        if record.flags & CHALLENGED != 0 && record.challenged == unit {
            return Verdict::Drop(Refusal::Throttled);
        }
        record.flags |= CHALLENGED;
        record.challenged = unit;
        record.active = now;
        Verdict::Challenge(record.answer(), refusal)
    }

    #[inline]
    fn is_over(&self, record: &Record, now: u32) -> bool {
        now.wrapping_sub(record.since) >= self.duration_ms || record.flags & DEAD != 0
    }

    /// Drops dead records from the head of a full ring, or else the oldest; whether that was live.
    #[inline(never)]
    fn make_room(&mut self, table: &mut Table) -> bool {
        if self.ring[self.head as usize].flags & DEAD == 0 {
            self.forget_head(table);
            return true;
        }
        while self.count > 0 && self.ring[self.head as usize].flags & DEAD != 0 {
            self.pop();
        }
        false
    }

    #[inline(always)]
    fn forget_head(&mut self, table: &mut Table) {
        let hash = self.ring[self.head as usize].hash;
        table.forget(hash, Reference::new(Kind::TimeWait, self.head));
        self.live -= 1;
        self.pop();
    }

    /// Drops the head from the ring, marked so that its index names nothing.
    fn pop(&mut self) {
        self.ring[self.head as usize].flags |= DEAD;
        self.count -= 1;
        self.head = if self.head + 1 == self.capacity { 0 } else { self.head + 1 };
        if self.count == 0 {
            // Begin where the cache is warm.
            self.head = 0;
        }
    }

    /// Appends to a ring that is not full. The memory was reserved at construction, and is first
    /// written on the ring's first lap.
    #[inline(always)]
    fn push(&mut self, record: Record) -> u32 {
        let end = self.head + self.count;
        let index = if end >= self.capacity { end - self.capacity } else { end };
        self.count += 1;
        match self.ring.get_mut(index as usize) {
            Some(place) => *place = record,
            None => self.ring.push(record),
        }
        index
    }
}

impl Record {
    fn answer(&self) -> Answer {
        let echo = (self.flags & TIMESTAMPS != 0).then_some(self.ts_recent);
        Answer { seq: self.snd_nxt, ack: self.rcv_nxt, window: self.window, echo }
    }

    fn successor(&self) -> Successor {
        let ts_recent = (self.flags & TIMESTAMPS != 0).then_some(self.ts_recent);
        // As far again as the largest unscaled window: not even a reordered segment reaches it.
        Successor { isn_after: self.snd_nxt + 0x1_0000, ts_recent }
    }

    /// The four cases of RFC 9293 section 3.4, table 6.
    fn accepts(&self, segment: &Segment) -> bool {
        let window = (self.window as u32) << (self.flags & SCALE);
        let within = |seq: SeqNum| seq - self.rcv_nxt < window;
        match segment.len() {
            0 => segment.seq == self.rcv_nxt || within(segment.seq),
            len => within(segment.seq) || within(segment.seq + (len - 1)),
        }
    }
}

/// Whether timestamp `value` is before `other` on the ring (RFC 7323 section 5.2).
#[inline]
fn is_earlier(value: u32, other: u32) -> bool {
    (value.wrapping_sub(other) as i32) < 0
}

/// How long a tuple must have been silent before our own new connection takes it.
const REUSE_AFTER_MS: u32 = 1000;

const SCALE: u8 = 0x0f;
const TIMESTAMPS: u8 = 0x10;
/// Removed before its time; the ring skips it.
const DEAD: u8 = 0x20;
/// `since` is later than the place in the ring says.
const RESTARTED: u8 = 0x40;
/// `challenged` counts.
const CHALLENGED: u8 = 0x80;

const _: () = assert!(size_of::<Record>() == 32);

#[cfg(test)]
mod tests;
