//! What a segment does to a connection (RFC 9293 section 3.10.7.3 and 3.10.7.4).
//!
//! The engine decides on numbers alone. Payload it can take is *offered* in the [`Verdict`]: the
//! worker hands it to the application or keeps it, and reports with [`Tcb::received`] how much of
//! it was really taken in; only then does `rcv_nxt` move. So memory that ran out looks to the peer
//! like loss.

use penstock_wire::SeqNum;
use penstock_wire::tcp::{Flags, Segment};

use crate::app::Close;
use crate::counters::Drop;
use crate::limits;
use crate::time::Duration;

use super::Env;
use super::flight::Flight;
use super::ranges::Range;
use super::tcb::{Bits, LIMITED_SHIFT, MINUTE_SHIFT, QUICK_MASK, State, Tcb, stamp};

/// RFC 7323 section 5.5: a `ts_recent` older than this many minute stamps (24 days) is void.
const TS_RECENT_STAMPS: u16 = ((24 * 24 * 3600 * 1000u64) >> MINUTE_SHIFT) as u16;

/// What the worker is to do about a segment. The connection itself is already up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Payload bytes of ours that the peer now has.
    pub(crate) acked: u32,
    /// Payload to take in.
    pub(crate) offer: Option<Offer>,
    /// The handshake of an active (or simultaneous) open is complete.
    pub(crate) connected: bool,
    /// The connection is over before its time. (Its proper end is a state: `TimeWait`, `Closed`.)
    pub(crate) end: Option<Close>,
    /// It showed a loss, which is being repaired. Then nothing was acknowledged.
    pub(crate) recovery: bool,
    /// The segment, or its payload, was refused.
    pub(crate) drop: Option<Drop>,
    /// What to answer to a refused segment.
    pub(crate) answer: Acknowledge,
}

/// Payload of a segment that lies in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Sequence number of its first byte in the window.
    pub(crate) seq: SeqNum,
    /// Bytes of the segment's payload in front of it, known already.
    pub(crate) skip: u16,
    /// Bytes.
    pub(crate) len: u16,
    /// A FIN follows the last of these bytes.
    pub(crate) fin: bool,
}

/// The answer to a segment that was not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    /// Nothing beyond what the connection owes anyway.
    No,
    /// A challenge (RFC 5961), within the worker's limit.
    Challenge,
    /// A RST that carries the segment's acknowledgement as its sequence number.
    Reset,
}

impl Verdict {
    const NOTHING: Verdict = Verdict {
        acked: 0,
        offer: None,
        connected: false,
        recovery: false,
        end: None,
        drop: None,
        answer: Acknowledge::No,
    };

    fn refuse(reason: Drop) -> Verdict {
        Verdict { drop: Some(reason), ..Verdict::NOTHING }
    }

    fn closed(reason: Close) -> Verdict {
        Verdict { end: Some(reason), ..Verdict::NOTHING }
    }
}

impl Tcb {
    /// Takes in a segment. `flight` is present whenever anything is outstanding. Inlined, as is its
    /// main branch, or each verdict would go through memory.
    #[inline(always)]
    pub(crate) fn on_segment(
        &mut self,
        flight: Option<&mut Flight>,
        seg: &Segment,
        mtu_mss: u16,
        env: &Env,
    ) -> Verdict {
        let rest;
        let seg = match self.state {
            State::SynSent => {
                return match flight {
                    Some(flight) => self.on_segment_in_syn_sent(flight, seg, mtu_mss, env),
                    None => Verdict::refuse(Drop::FlightMemory),
                };
            }
            State::SynReceived => {
                rest = self.without_known_syn(seg);
                &rest
            }
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => seg,
        };
        self.on_segment_synchronised(flight, seg, env)
    }

    /// When SYNs crossed, the peer's SYN-ACK repeats the SYN we know (RFC 9293 figure 8): what
    /// counts is the rest of it.
    #[cold]
    fn without_known_syn(&mut self, seg: &Segment) -> Segment {
        let mut rest = *seg;
        if seg.flags.has(Flags::SYN) && seg.seq + 1 == self.rcv_nxt {
            rest.seq += 1;
            rest.flags = Flags(seg.flags.0 & !Flags::SYN.0);
            // The window of a SYN is not scaled; what reads the rest scales it.
            rest.window = seg.window >> self.peer_scale();
            if !seg.flags.has(Flags::ACK) {
                // It has not seen our answer yet.
                self.nxt = self.una;
                self.set(Bits::SYN_NOW);
            }
        }
        rest
    }

    /// RFC 9293 section 3.10.7.3.
    fn on_segment_in_syn_sent(
        &mut self,
        flight: &mut Flight,
        seg: &Segment,
        mtu_mss: u16,
        env: &Env,
    ) -> Verdict {
        let acks = seg.flags.has(Flags::ACK);
        //= rfc9293#3.10.7.3
        //# If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set,
        //# if so drop the segment and return)
        if acks && (seg.ack.at_or_before(self.una) || seg.ack.after(flight.max)) {
            let mut verdict = Verdict::refuse(Drop::TcpAckInvalid);
            if !seg.flags.has(Flags::RST) {
                verdict.answer = Acknowledge::Reset;
                // Who answers so still has a connection of this tuple, from before we started
                // anew, and our reset has just ended it: the SYN goes again at once, as in Linux,
                // but for one time only, because anybody may have sent this.
                if flight.retries == 0 {
                    flight.timer_at = env.millis.wrapping_add(limits::SYN_AGAIN_MS);
                }
            }
            return verdict;
        }
        if seg.flags.has(Flags::RST) {
            //= rfc9293#3.10.7.3
            //# If the ACK was acceptable, then signal to the user "error: connection reset",
            //# drop the segment, enter CLOSED state, delete TCB, and return.
            return if acks {
                Verdict::closed(Close::Refused)
            } else {
                Verdict::refuse(Drop::TcpNoAck)
            };
        }
        if !seg.flags.has(Flags::SYN) {
            return Verdict::refuse(Drop::TcpFlags);
        }
        self.heard_at = env.millis;
        self.rcv_nxt = seg.seq + 1;
        self.rcv_acked = self.rcv_nxt;
        self.rcv_edge = self.rcv_nxt + env.window_bytes.min(limits::WINDOW_UNSCALED_MAX);
        let peer_mss = match seg.options.mss {
            0 if self.tuple.remote.is_v4() => limits::MSS_DEFAULT_V4,
            0 => limits::MSS_DEFAULT_V6,
            mss => mss,
        };
        // What we did not offer is not agreed, whatever the peer says.
        let scale = seg.options.window_scale.filter(|_| env.tcp.window_scaling);
        let sack = seg.options.sack_permitted && self.has(Bits::SACK);
        let stamps = seg.options.timestamps.filter(|_| self.has(Bits::TIMESTAMPS));
        self.agree(peer_mss, scale, sack, stamps.map(|t| t.value), mtu_mss, env);
        self.wl1 = seg.seq;
        self.set_window_of_syn(seg.window);
        if !acks {
            // Simultaneous open: repeat our SYN, now with the acknowledgement.
            self.state = State::SynReceived;
            self.nxt = self.una;
            self.set(Bits::SYN_NOW);
            return Verdict::NOTHING;
        }
        self.start_congestion(flight.retries > 0, &env.tcp);
        self.establish(flight, seg, env);
        self.acknowledge_now();
        Verdict { connected: true, offer: self.offer(seg), ..Verdict::NOTHING }
    }

    fn set_window_of_syn(&mut self, field: u16) {
        //= rfc7323#2.2
        //# The window field in a segment where the SYN bit is set (i.e., a
        //# <SYN> or <SYN,ACK>) MUST NOT be scaled.
        self.wnd = field as u32;
        self.wnd_max = self.wnd;
    }

    /// Our SYN is acknowledged.
    fn establish(&mut self, flight: &mut Flight, seg: &Segment, env: &Env) {
        self.state = State::Established;
        self.set(Bits::ESTABLISHED);
        // A repetition of the SYN may wait for a slot.
        self.clear(Bits::SYN_NOW);
        //= rfc6298#5
        //# (5.7) If the timer expires awaiting the ACK of a SYN segment and the
        //#       TCP implementation is using an RTO less than 3 seconds, the RTO
        //#       MUST be re-initialized to 3 seconds when data transmission
        //#       begins (i.e., after the three-way handshake completes).
        flight.backoff = 0;
        let freed = self.acknowledge(flight, seg, env);
        debug_assert!(freed.bytes == 0, "a SYN carries no data of ours");
        if seg.flags.has(Flags::SYN) {
            self.set_window_of_syn(seg.window);
        }
        flight.recover = self.una - 1;
    }

    /// RFC 9293 section 3.10.7.4, in its order.
    #[inline(always)]
    fn on_segment_synchronised(
        &mut self,
        mut flight: Option<&mut Flight>,
        seg: &Segment,
        env: &Env,
    ) -> Verdict {
        if self.has(Bits::TIMESTAMPS)
            && let Some(refusal) = self.check_timestamp(seg, env)
        {
            return refusal;
        }
        if seg.seq != self.rcv_nxt
            && let Some(refusal) = self.check_window(seg, env)
        {
            return refusal;
        }
        if seg.flags.has(Flags::RST) {
            return self.on_reset(seg);
        }
        if seg.flags.has(Flags::SYN) {
            //= rfc5961#4
            //# If the SYN bit is set, irrespective of the sequence number, TCP MUST send an
            //# ACK (also referred to as challenge ACK) to the remote peer
            return self.challenge(Drop::TcpChallenge, env);
        }
        //= rfc9293#3.10.7.4
        //# if the ACK bit is off, drop the segment and return
        if !seg.flags.has(Flags::ACK) {
            return Verdict::refuse(Drop::TcpNoAck);
        }
        self.heard_at = env.millis;
        if let Some(flight) = flight.as_deref_mut() {
            flight.probes = 0;
        }

        let max = flight.as_ref().map_or(self.nxt, |flight| flight.max);
        if self.state == State::SynReceived {
            //= rfc9293#3.10.7.4
            //# If the segment acknowledgment is not acceptable, form a reset segment
            if seg.ack.at_or_before(self.una) || seg.ack.after(max) {
                let refusal = Verdict::refuse(Drop::TcpAckInvalid);
                return Verdict { answer: Acknowledge::Reset, ..refusal };
            }
            let Some(flight) = flight else { return Verdict::refuse(Drop::FlightMemory) };
            self.note_timestamp(seg, env);
            self.start_congestion(flight.retries > 0, &env.tcp);
            self.establish(flight, seg, env);
            return Verdict { connected: true, offer: self.offer(seg), ..Verdict::NOTHING };
        }
        let mut verdict = Verdict::NOTHING;
        if seg.ack.after(max) {
            //= rfc9293#3.10.7.4
            //# If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK,
            //# drop the segment, and return.
            return self.challenge(Drop::TcpAckInvalid, env);
        }
        if seg.ack.before(self.una - self.wnd_max) {
            //= rfc5961#5
            //# All incoming segments whose ACK value doesn't satisfy the above condition MUST
            //# be discarded and an ACK sent back.
            return self.challenge(Drop::TcpAckInvalid, env);
        }
        self.note_timestamp(seg, env);
        if seg.ack.at_or_after(self.una) {
            match flight {
                Some(flight) => {
                    let freed = self.acknowledge(flight, seg, env);
                    verdict.acked = freed.bytes;
                    verdict.recovery = freed.recovery;
                    if freed.fin {
                        self.fin_acknowledged();
                    }
                }
                None => self.update_window(seg),
            }
        }
        if seg.payload_bytes > 0 || seg.flags.has(Flags::FIN) {
            self.take_text(seg, &mut verdict);
        }
        verdict
    }

    /// PAWS, where timestamps were agreed.
    fn check_timestamp(&mut self, seg: &Segment, env: &Env) -> Option<Verdict> {
        if seg.flags.has(Flags::RST) {
            return None;
        }
        let Some(timestamps) = seg.options.timestamps else {
            //= rfc7323#3.2
            //# If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop
            //# the segment.
            let silent = !seg.flags.has(Flags::SYN);
            return silent.then(|| Verdict::refuse(Drop::TcpPaws));
        };
        if (timestamps.value.wrapping_sub(self.ts_recent) as i32) >= 0 {
            return None;
        }
        let age = stamp(env.millis, MINUTE_SHIFT).wrapping_sub(self.ts_recent_at);
        //= rfc7323#5.3
        //# If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent,
        //# TS.Recent is valid (see later discussion), and if the RST bit is not set, then
        //# treat the arriving segment as not acceptable
        if age < TS_RECENT_STAMPS {
            return Some(self.answer_unacceptable(seg, Drop::TcpPaws, env));
        }
        None
    }

    /// The window, for a segment that does not begin where the last one ended: such a one is
    /// acceptable in each of the four cases.
    fn check_window(&mut self, seg: &Segment, env: &Env) -> Option<Verdict> {
        let window = self.rcv_edge - self.rcv_nxt;
        let (first, last) = (seg.seq, seg.seq + seg.len().saturating_sub(1));
        let inside = |seq: SeqNum| seq.at_or_after(self.rcv_nxt) && seq.before(self.rcv_edge);
        //= rfc9293#3.10.7.4
        //# There are four cases for the acceptability test for an incoming segment
        let acceptable = match (seg.is_empty(), window == 0) {
            // A peer that has filled the window acknowledges from its right edge; were that dropped,
            // what we sent would count as lost until its own loss is repaired. So the edge counts
            // as inside for segments without text, as in Linux.
            (true, _) => first.at_or_after(self.rcv_nxt) && first.at_or_before(self.rcv_edge),
            // A probe of a shut window: its acknowledgement counts, its payload does not.
            (false, true) => first == self.rcv_nxt,
            // What begins before the window and ends behind it reaches over `rcv_nxt`. That is a matter
            // of its length: a number half a circle away is before the one edge and after the other.
            (false, false) => inside(first) || inside(last) || self.rcv_nxt - first < seg.len(),
        };
        if acceptable {
            return None;
        }
        Some(self.answer_unacceptable(seg, Drop::TcpOutOfWindow, env))
    }

    /// RFC 9293 section 3.10.7.4, first step: answer with an acknowledgement, unless it is a RST.
    fn answer_unacceptable(&mut self, seg: &Segment, reason: Drop, env: &Env) -> Verdict {
        if !seg.flags.has(Flags::RST) && self.may_answer_stray(seg, env) {
            self.acknowledge_now();
        }
        Verdict::refuse(reason)
    }

    /// Stray segments of one connection are answered no faster than `tcp_invalid_ratelimit`, so
    /// that two confused stacks do not answer each other for ever. Text and FINs come again only
    /// for want of an acknowledgement, and are no part of such a loop.
    pub(crate) fn may_answer_stray(&mut self, seg: &Segment, env: &Env) -> bool {
        let is_text = !seg.is_empty() && !seg.flags.has(Flags::SYN);
        is_text || self.may_answer(env)
    }

    /// Whether this connection may answer another stray segment. The stamp's ring is 17 minutes:
    /// once in that time an answer may be withheld needlessly, and the peer asks again.
    fn may_answer(&mut self, env: &Env) -> bool {
        let now = stamp(env.millis, LIMITED_SHIFT);
        let limit = (env.tcp.invalid_ratelimit.millis() >> LIMITED_SHIFT).min(1 << 14) as u16;
        let allowed = now.wrapping_sub(self.limited_at) >= limit;
        if allowed {
            self.limited_at = now;
        }
        allowed
    }

    fn challenge(&mut self, reason: Drop, env: &Env) -> Verdict {
        let mut verdict = Verdict::refuse(reason);
        if self.may_answer(env) {
            verdict.answer = Acknowledge::Challenge;
        }
        verdict
    }

    /// A RST whose sequence number lies in the window.
    fn on_reset(&mut self, seg: &Segment) -> Verdict {
        if matches!(self.state, State::TimeWait | State::Closed) {
            // As for a TIME-WAIT record (RFC 1337): what was acknowledged is still to be read.
            return Verdict::refuse(Drop::TimeWait);
        }
        //= rfc5961#3.2
        //# If the RST bit is set and the sequence number exactly matches the next expected
        //# sequence number (RCV.NXT), then TCP MUST reset the connection.
        if seg.seq == self.rcv_nxt {
            let reason = match self.state {
                State::SynReceived => Close::Refused,
                _ => Close::Reset,
            };
            return Verdict::closed(reason);
        }
        if seg.seq == self.rcv_edge {
            // Inside for an acknowledgement (`check_window`), not for a RST.
            return Verdict::refuse(Drop::TcpOutOfWindow);
        }
        //= rfc5961#3.2
        //# If the RST bit is set and the sequence number does not exactly match the next
        //# expected sequence value, yet is within the current receive window (RCV.NXT <
        //# SEG.SEQ < RCV.NXT+RCV.WND), TCP MUST send an acknowledgment (challenge ACK)
        Verdict { answer: Acknowledge::Challenge, ..Verdict::refuse(Drop::TcpChallenge) }
    }

    /// RFC 7323 section 4.3: which timestamp to echo.
    #[inline]
    pub(super) fn note_timestamp(&mut self, seg: &Segment, env: &Env) {
        if let Some(timestamps) = seg.options.timestamps
            && self.has(Bits::TIMESTAMPS)
        {
            //= rfc7323#4.3
            //# If: SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent then SEG.TSval is copied
            //# to TS.Recent; otherwise, it is ignored.
            // A timestamp that is older yet was let through follows a void `ts_recent`.
            if seg.seq.at_or_before(self.rcv_acked) {
                self.ts_recent = timestamps.value;
                self.ts_recent_at = stamp(env.millis, MINUTE_SHIFT);
            }
        }
    }

    /// The payload and the FIN. Apart, since a bare acknowledgement has neither.
    #[inline(never)]
    fn take_text(&mut self, seg: &Segment, verdict: &mut Verdict) {
        if !self.may_receive() {
            // Nothing may follow a FIN; a repeated one is acknowledged again.
            self.acknowledge_now();
            return;
        }
        if self.has(Bits::ORPHAN) && (seg.seq + seg.payload_bytes as u32).after(self.rcv_nxt) {
            //= rfc9293#3.6.1
            //# if new data is received after CLOSE is called, its TCP implementation SHOULD
            //# send a RST to show that data was lost (SHLD-3).
            verdict.drop = Some(Drop::TcpDataAfterClose);
            verdict.answer = Acknowledge::Reset;
            verdict.end = Some(Close::Aborted);
            return;
        }
        //= rfc9293#3.8.5 type=exception
        //= reason=RFC 6093 advises against it, and no application of ours asks: it is plain data.
        //# However, TCP implementations MUST still include support for the urgent mechanism (MUST-30).
        verdict.offer = self.offer(seg);
        if verdict.offer.is_none() {
            // Known already, or a probe of a shut window.
            self.acknowledge_now();
            if seg.payload_bytes > 0 {
                verdict.drop = Some(Drop::TcpOutOfWindow);
            }
        }
    }

    /// The part of a segment's text that was received before, where the peer wants to be told
    /// (RFC 2883) and it was not long ago.
    pub(crate) fn known_part(&self, seg: &Segment) -> Option<Range> {
        if !self.has(Bits::SACK) || seg.payload_bytes == 0 || !self.is_synchronised() {
            return None;
        }
        let text = seg.seq;
        let to = (text + seg.payload_bytes as u32).min(self.data_end());
        let near = self.data_end() - text <= limits::WINDOW_UNSCALED_MAX << self.our_scale();
        (near && text.before(to)).then_some(Range { from: text, to })
    }

    /// The part of a segment that lies in the window.
    #[inline]
    fn offer(&self, seg: &Segment) -> Option<Offer> {
        let text = seg.seq + seg.flags.has(Flags::SYN) as u32;
        let end = text + seg.payload_bytes as u32;
        let from = text.max(self.rcv_nxt);
        let to = end.min(self.rcv_edge);
        let fin = seg.flags.has(Flags::FIN) && to == end;
        if from.after(to) || (from == to && !(fin && from == end)) {
            return None;
        }
        Some(Offer { seq: from, skip: (from - text) as u16, len: (to - from) as u16, fin })
    }

    /// The worker took in `bytes` in-order payload: the window's left edge moves, and an
    /// acknowledgement is owed.
    #[inline]
    pub(crate) fn received(&mut self, bytes: u32, env: &Env) {
        self.rcv_nxt += bytes;
        let options = env.options(self.profile);
        let is_quick = self.quick & QUICK_MASK > 0;
        if is_quick && !options.patient || options.quickack {
            self.quick -= is_quick as u8;
            self.acknowledge_now();
        } else if self.has(Bits::ACK_LATER) {
            //= rfc9293#3.8.6.3
            //# an ACK should not be excessively delayed; in particular, the delay MUST be
            //# less than 0.5 seconds
            // Every second segment at the latest, as RFC 5681 section 4.2 asks for full ones.
            self.acknowledge_now();
        } else if is_quick {
            self.quick -= 1;
            self.acknowledge_later(limits::PATIENCE, env);
        } else {
            self.acknowledge_later(env.tcp.delayed_ack, env);
        }
    }

    fn acknowledge_later(&mut self, delay: Duration, env: &Env) {
        self.set(Bits::ACK_LATER);
        self.ack_at = env.millis.wrapping_add(delay.millis() as u32) as u16;
    }

    /// All bytes before the peer's FIN were taken in.
    pub(crate) fn received_fin(&mut self, env: &Env) {
        self.rcv_nxt += 1;
        self.rcv_edge = self.rcv_edge.max(self.rcv_nxt);
        if self.state == State::Established && env.options(self.profile).patient {
            // Ours may follow soon, and says it too.
            self.acknowledge_later(env.tcp.delayed_ack, env);
        } else {
            self.acknowledge_now();
        }
        self.state = match self.state {
            State::Established | State::SynReceived => State::CloseWait,
            State::FinWait1 => State::Closing,
            State::FinWait2 => State::TimeWait,
            other @ (State::SynSent
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed) => other,
        };
    }
}
