//! The acknowledgement half of a segment: what it frees, what it says of the path, and what it
//! tells of losses (RFC 9293 section 3.10.7.4 fifth step, RFC 5681, 6582, 6675).

use penstock_wire::SeqNum;
use penstock_wire::tcp::Segment;

use super::Env;
use super::flight::{Flight, Phase, Retransmission};
use super::ranges::Inserted;
use super::tcb::{Bits, State, Tcb};

/// Duplicate acknowledgements that prove a loss (RFC 5681 section 3.2).
const DUPLICATES_MIN: u8 = 3;

/// What an acknowledgement freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Freed {
    /// Payload bytes.
    pub(super) bytes: u32,
    /// Our FIN.
    pub(super) fin: bool,
    /// Nothing; but it showed a loss.
    pub(super) recovery: bool,
}

impl Tcb {
    /// Takes in an acceptable acknowledgement: `una <= seg.ack <= max`.
    pub(super) fn acknowledge(&mut self, flight: &mut Flight, seg: &Segment, env: &Env) -> Freed {
        let before = Snapshot { una: self.una, wnd: self.wnd };
        self.update_window(seg);
        if flight.timer == Retransmission::Probe && self.wnd > 0 {
            self.reopen(flight);
        }
        let news = self.note_sacks(flight, seg);
        if seg.ack.after(self.una) {
            return self.advance(flight, seg, env);
        }
        let recovery =
            flight.max.after(self.una) && self.note_duplicate(flight, seg, news, &before, env);
        Freed { recovery, ..Freed::default() }
    }

    /// The peer's window (RFC 9293 section 3.10.7.4).
    #[inline(always)]
    pub(super) fn update_window(&mut self, seg: &Segment) {
        //= rfc9293#3.10.7.4
        //# If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated.  If
        //# (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set
        //# SND.WND <- SEG.WND, set SND.WL1 <- SEG.SEQ, and set SND.WL2 <- SEG.ACK.
        // SND.WL2 is never beyond `una`, and the acknowledgement is never before it: the last
        // condition always holds, so WL2 is not kept.
        // A retransmission has an old sequence number and a new acknowledgement: with the old window
        // the right edge would lie beyond what the peer has ever offered, so here, as in Linux, a
        // new acknowledgement brings its window along.
        if self.wl1.at_or_before(seg.seq) || seg.ack.after(self.una) {
            self.wl1 = seg.seq;
            self.wnd = (seg.window as u32) << self.peer_scale();
            self.wnd_max = self.wnd_max.max(self.wnd);
        }
    }

    /// The window was shut and is open again: what was sent into it, or ahead of it as a probe, goes
    /// out again at once.
    fn reopen(&mut self, flight: &mut Flight) {
        flight.timer = Retransmission::Idle;
        flight.backoff = 0;
        // What is lost now is lost for the first time, however long the window was shut. But nobody
        // waits for an orphan whose peer opens and shuts it.
        if !self.has(Bits::ORPHAN) {
            flight.retries = 0;
        }
        if flight.max.after(self.una) {
            self.rewind(flight);
        }
    }

    /// `una` moves.
    fn advance(&mut self, flight: &mut Flight, seg: &Segment, env: &Env) -> Freed {
        let acked = seg.ack - self.una;
        let bytes = acked.min(flight.send.bytes());
        let fin = acked > bytes && self.fin_sent();
        let outstanding = flight.max - self.una;
        self.una = seg.ack;
        self.nxt = self.nxt.max(seg.ack);
        flight.sacked.forget_before(seg.ack);
        flight.retries = 0;
        flight.oldest_at = env.millis;
        self.measure(flight, seg.options.timestamps, env.now.micros(), env.millis);

        match flight.phase {
            Phase::Open => self.grow(flight, acked, env),
            Phase::Recovery if seg.ack.at_or_after(flight.recover) => {
                //= rfc6582#3.2
                //# Set cwnd to either (1) min (ssthresh, max(FlightSize, SMSS) + SMSS) or
                //# (2) ssthresh
                let left = (flight.max - self.una).max(self.mss as u32) + self.mss as u32;
                self.cwnd = self.ssthresh.min(left);
                flight.phase = Phase::Open;
                flight.duplicates = 0;
            }
            Phase::Recovery => self.repair_partly(flight, acked),
            Phase::Loss => {
                self.grow(flight, acked, env);
                if seg.ack.at_or_after(flight.recover) {
                    flight.phase = Phase::Open;
                }
            }
        }
        if flight.phase == Phase::Open {
            flight.duplicates = 0;
            // Marks of past recoveries come along, lest they turn up ahead after half a ring.
            if self.una.after(flight.recover) {
                flight.recover = self.una - 1;
            }
            flight.resent = flight.resent.max(self.una);
        }
        debug_assert!(outstanding >= acked, "acknowledged more than was sent");

        //= rfc6298#5
        //# (5.2) When all outstanding data has been acknowledged, turn off the
        //#       retransmission timer.
        //# (5.3) When an ACK is received that acknowledges new data, restart the
        //#       retransmission timer so that it will expire after RTO seconds
        //#       (for the current value of RTO).
        if self.una == flight.max {
            if flight.timer == Retransmission::Probe {
                // Probes back off for a shut window, not for a loss.
                flight.backoff = 0;
            }
            flight.timer = Retransmission::Idle;
        } else {
            flight.timer = Retransmission::Resend;
            flight.timer_at = env.millis.wrapping_add(self.rto_ms(flight.backoff, env));
        }
        Freed { bytes, fin, recovery: false }
    }

    /// A partial acknowledgement: the next hole is lost too.
    fn repair_partly(&mut self, flight: &mut Flight, acked: u32) {
        if self.has(Bits::SACK) && !flight.sacked.is_empty() {
            flight.resent = flight.resent.max(self.una);
            return;
        }
        //= rfc6582#3.2
        //# If this ACK does *not* acknowledge all of the data up to and including recover,
        //# then this is a partial ACK.  In this case, retransmit the first unacknowledged
        //# segment.
        let segments = acked / (self.mss as u32).max(1);
        flight.duplicates = flight.duplicates.saturating_sub(segments.min(255) as u8);
        flight.resent = self.una;
        flight.resend_first = true;
    }

    /// Keeps what the SACK blocks say; returns whether any of it is new.
    fn note_sacks(&mut self, flight: &mut Flight, seg: &Segment) -> bool {
        if seg.options.sack.count == 0 || !self.has(Bits::SACK) {
            return false;
        }
        let mut news = false;
        for (from, to) in seg.options.sack.iter() {
            // Blocks at or below the acknowledgement repeat what is known (RFC 2883), and blocks
            // beyond what was sent are forged or broken.
            if !from.before(to) || !from.after(seg.ack) || to.after(flight.max) {
                continue;
            }
            match flight.sacked.insert(from, to) {
                Inserted::Nothing => {}
                Inserted::New(_) => news = true,
                Inserted::Full => {
                    // SACK is advice: forgetting the highest block costs at most a needless
                    // retransmission, while the lowest ones are needed next.
                    if flight.sacked.last().is_some_and(|last| last.from.after(from)) {
                        flight.sacked.forget_last();
                        news |= matches!(flight.sacked.insert(from, to), Inserted::New(_));
                    }
                }
            }
        }
        news
    }

    /// `una` did not move though something is outstanding: is this a sign of loss? Returns whether
    /// a recovery begins.
    fn note_duplicate(
        &mut self,
        flight: &mut Flight,
        seg: &Segment,
        news: bool,
        before: &Snapshot,
        env: &Env,
    ) -> bool {
        //= rfc5681#2
        //# An acknowledgment is considered a "duplicate" in the following algorithms when
        //# (a) the receiver of the ACK has outstanding data, (b) the incoming acknowledgment
        //# carries no data, (c) the SYN and FIN bits are both off, (d) the acknowledgment
        //# number is equal to the greatest acknowledgment received on the given connection
        //# (TCP.UNA from [RFC793]) and (e) the advertised window in the incoming
        //# acknowledgment equals the advertised window in the last incoming acknowledgment.
        // With SACK, a duplicate is an acknowledgement that reports something new (RFC 6675).
        let plain = seg.is_empty() && seg.ack == before.una && self.wnd == before.wnd;
        let duplicate = if self.has(Bits::SACK) { news } else { plain };
        // While the window is shut, answers to our probes look like duplicates and are none.
        if !duplicate || self.wnd == 0 || flight.timer == Retransmission::Probe {
            return false;
        }
        flight.duplicates = flight.duplicates.saturating_add(1);
        if flight.phase != Phase::Open {
            return false;
        }
        let lost = if self.has(Bits::SACK) {
            flight.duplicates >= DUPLICATES_MIN || self.lost_edge(flight).after(self.una)
        } else {
            // RFC 6582 section 3.2 step 2: not for data sent before the last recovery.
            flight.duplicates >= DUPLICATES_MIN && self.una.after(flight.recover)
        };
        if lost {
            self.enter_recovery(flight, env);
        }
        lost
    }

    fn enter_recovery(&mut self, flight: &mut Flight, env: &Env) {
        //= rfc5681#3.2
        //# When [RFC3042] is in use, additional data sent in limited transmit MUST
        //# NOT be included in this calculation.
        let outstanding = (flight.max - self.una).min(self.cwnd);
        self.reduce(flight, outstanding, env);
        self.cwnd = self.ssthresh;
        flight.phase = Phase::Recovery;
        flight.recover = flight.max;
        flight.resent = self.una;
        flight.resend_first = true;
        flight.timing = false;
    }

    /// Everything unacknowledged below this is lost (RFC 6675's IsLost): above it lie three
    /// separate blocks, or more than two segments, that the peer holds.
    pub(super) fn lost_edge(&self, flight: &Flight) -> SeqNum {
        let mut blocks = 0;
        let mut bytes = 0;
        for range in flight.sacked.as_slice().iter().rev() {
            blocks += 1;
            bytes += range.len();
            if blocks >= DUPLICATES_MIN || bytes > (DUPLICATES_MIN as u32 - 1) * self.mss as u32 {
                return range.from;
            }
        }
        // What was sent before recovery began and is still missing is lost by definition.
        match flight.sacked.first() {
            Some(first) if flight.phase == Phase::Recovery => first.from.min(flight.recover),
            _ => self.una,
        }
    }

    /// Unacknowledged bytes believed to be lost.
    pub(crate) fn lost(&self, flight: &Flight) -> u32 {
        let edge = match flight.phase {
            Phase::Open => self.una,
            Phase::Loss => flight.recover.max(self.una),
            Phase::Recovery if self.has(Bits::SACK) => self.lost_edge(flight),
            // The segment that everybody waits for.
            Phase::Recovery => self.una + (flight.max - self.una).min(self.mss.into()),
        };
        (edge - self.una) - flight.sacked.overlap(self.una, edge)
    }

    /// Unacknowledged bytes that were sent again.
    pub(crate) fn resent(&self, flight: &Flight) -> u32 {
        let edge = match flight.phase {
            Phase::Open => self.una,
            Phase::Loss => self.nxt,
            Phase::Recovery => flight.resent.max(self.una),
        };
        (edge - self.una) - flight.sacked.overlap(self.una, edge)
    }

    /// Bytes believed to be on the way (RFC 6675's pipe).
    pub(super) fn pipe(&self, flight: &Flight) -> u32 {
        let sent = flight.max - self.una;
        match flight.phase {
            Phase::Loss => (self.nxt - self.una) - flight.sacked.overlap(self.una, self.nxt),
            Phase::Open if flight.duplicates == 0 => sent,
            Phase::Open | Phase::Recovery if self.has(Bits::SACK) => {
                let edge = self.lost_edge(flight);
                let above = (flight.max - edge) - flight.sacked.overlap(edge, flight.max);
                let again = flight.resent.max(self.una);
                above + (again - self.una) - flight.sacked.overlap(self.una, again)
            }
            // Without SACK each duplicate stands for a segment that has left the network.
            Phase::Recovery => sent.saturating_sub(flight.duplicates as u32 * self.mss as u32),
            //= rfc3042#2
            //# - The amount of outstanding data would remain less than or equal
            //#   to the congestion window plus 2 segments.
            // There are more of them where they tell of no new loss (RFC 6582 section 3.2 step 2).
            Phase::Open => {
                let count = flight.duplicates.min(DUPLICATES_MIN - 1);
                sent.saturating_sub(count as u32 * self.mss as u32)
            }
        }
    }

    /// Our FIN was acknowledged.
    pub(super) fn fin_acknowledged(&mut self) {
        self.state = match self.state {
            State::FinWait1 => State::FinWait2,
            State::Closing => State::TimeWait,
            State::LastAck => State::Closed,
            other @ (State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait2
            | State::CloseWait
            | State::TimeWait
            | State::Closed) => other,
        };
    }
}

/// What the acknowledgement found.
struct Snapshot {
    una: SeqNum,
    wnd: u32,
}

#[cfg(test)]
mod tests {
    //! Marks of past recoveries do not turn up ahead after half of the sequence ring.
    use super::super::sample::established;
    use super::{Phase, Tcb};
    use crate::config::Tcp;
    use penstock_wire::tcp::{Flags, Segment};

    #[test]
    fn a_recovery_can_begin_however_much_was_sent_since_the_last() {
        let (env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        let acknowledges = |tcb: &Tcb, ack| Segment {
            seq: tcb.rcv_nxt,
            ack,
            flags: Flags::ACK,
            window: 65_535,
            ..Segment::default()
        };
        for _ in 0..9 {
            flight.max = tcb.una + (1 << 28);
            tcb.nxt = flight.max;
            let seg = acknowledges(&tcb, flight.max);
            tcb.acknowledge(flight, &seg, &env);
        }
        flight.max = tcb.una + 10 * tcb.mss as u32;
        tcb.nxt = flight.max;
        let seg = acknowledges(&tcb, tcb.una);
        for _ in 0..3 {
            tcb.acknowledge(flight, &seg, &env);
        }
        assert_eq!(flight.phase, Phase::Recovery);
    }
}
