//! What a connection sends next (RFC 9293 sections 3.7.4, 3.8.3 and 3.8.6).
//!
//! [`Tcb::next_segment`] is asked again and again until it has nothing more: first what is lost,
//! then new data, then a bare acknowledgement if one is still owed. It changes the connection as if
//! the segment had left; a frame that finds no transmit slot is never asked for.

use penstock_wire::SeqNum;
use penstock_wire::tcp::Flags;

use crate::limits;

use super::Env;
use super::flight::{Flight, Phase, Retransmission};
use super::tcb::{Bits, SENT_SHIFT, State, Tcb, stamp};

/// A segment to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Emit {
    pub(crate) seq: SeqNum,
    /// Payload bytes, from the send queue at `seq - una`.
    pub(crate) len: u32,
    pub(crate) flags: Flags,
    /// The window field, scaled.
    pub(crate) window: u16,
    /// Some of it was sent before.
    pub(crate) again: bool,
    /// The card is to cut the payload into segments of this many bytes; 0: it is one.
    pub(crate) segment_bytes: u16,
    /// Nothing follows it now: there is no need to ask.
    pub(crate) last: bool,
}

impl Tcb {
    /// The next segment to send, or `None`. `burst_bytes` is the most payload one frame may carry:
    /// the MSS, or more where the card cuts segments.
    pub(crate) fn next_segment(
        &mut self,
        flight: Option<&mut Flight>,
        burst_bytes: u32,
        env: &Env,
    ) -> Option<Emit> {
        let mut flight = flight;
        if let Some(flight) = flight.as_deref_mut() {
            if self.is_drained(flight) {
                return None;
            }
            if self.has(Bits::SYN_NOW) {
                return Some(self.emit_syn(flight, env));
            }
            if self.is_synchronised() {
                let len = if self.has(Bits::PROBE_NOW) {
                    let Some(len) = self.overridden(flight) else {
                        return Some(self.emit_probe(flight, env));
                    };
                    self.clear(Bits::PROBE_NOW);
                    Some(len)
                } else if let Some((from, to)) = self.next_lost(flight) {
                    return Some(self.emit_lost(flight, from, to, env));
                } else {
                    self.next_new(flight, burst_bytes, env)
                };
                if let Some(len) = len {
                    return Some(self.emit_new(flight, len, env));
                }
            }
        }
        self.emit_acknowledgement(flight.as_deref(), env)
    }

    /// The quick no: all is sent, nothing is lost, and nothing is owed.
    #[inline]
    pub(crate) fn is_drained(&self, flight: &Flight) -> bool {
        let fin = matches!(self.state, State::FinWait1 | State::Closing | State::LastAck);
        self.nxt == self.una + flight.send.bytes() + fin as u32
            && flight.phase == Phase::Open
            && !self.owes_now()
            && (!self.has(Bits::FIN_QUEUED) || self.fin_sent())
    }

    /// Our SYN, or the SYN-ACK of a simultaneous open.
    #[inline(never)]
    pub(crate) fn emit_syn(&mut self, flight: &mut Flight, env: &Env) -> Emit {
        self.clear(Bits::SYN_NOW);
        let again = flight.max != self.una;
        if !again {
            flight.timing = true;
            flight.timing_to = self.una + 1;
            flight.timing_at = env.now.micros();
            flight.oldest_at = env.millis;
        }
        self.nxt = self.una + 1;
        flight.max = self.nxt;
        self.arm(flight, Retransmission::Resend, env);
        let flags = match self.state {
            State::SynSent => Flags::SYN,
            _ => Flags::SYN.with(Flags::ACK),
        };
        let window = env.window_bytes.min(limits::WINDOW_UNSCALED_MAX) as u16;
        Emit { seq: self.una, len: 0, flags, window, again, segment_bytes: 0, last: false }
    }

    /// A keep-alive or window probe. With data waiting it carries one byte of it; without, it
    /// repeats the last sequence number, which no receiver may ignore.
    #[inline(never)]
    fn emit_probe(&mut self, flight: &mut Flight, env: &Env) -> Emit {
        self.clear(Bits::PROBE_NOW);
        if flight.send.is_empty() {
            let window = self.advertise(Some(flight), env);
            let flags = Flags::ACK;
            let seq = self.una - 1;
            let again = true;
            return Emit { seq, len: 0, flags, window, again, segment_bytes: 0, last: false };
        }
        //= rfc9293#3.8.6.1
        //# The sending TCP peer must regularly transmit at least one octet of new data
        let again = flight.max.after(self.una);
        flight.max = flight.max.max(self.una + 1);
        let window = self.advertise(Some(flight), env);
        let (seq, flags) = (self.una, Flags::ACK);
        Emit { seq, len: 1, flags, window, again, segment_bytes: 0, last: false }
    }

    /// What a window that opened by less than a worthwhile segment holds, once the timer says that
    /// the rest is not coming.
    //= rfc9293#3.8.6.2.1
    //# or if the override timeout occurs.
    fn overridden(&self, flight: &Flight) -> Option<u32> {
        let idle = flight.max == self.una && self.nxt == self.una;
        let len = flight.send.bytes().min(self.wnd).min(self.mss as u32 - self.sack_bytes(flight));
        (idle && len > 0).then_some(len)
    }

    /// What recovery sends again next (RFC 6675's NextSeg, rules 1 and 3).
    fn next_lost(&self, flight: &Flight) -> Option<(SeqNum, SeqNum)> {
        if flight.phase != Phase::Recovery {
            return None;
        }
        let end = flight.max;
        let from = flight.resent.max(self.una);
        if !self.has(Bits::SACK) {
            let first = flight.resend_first && from == self.una;
            return first.then(|| (from, (from + self.mss as u32).min(end)));
        }
        if !flight.resend_first && self.pipe(flight) >= self.cwnd {
            return None;
        }
        let edge = self.lost_edge(flight).max(if flight.resend_first { from + 1 } else { from });
        self.hole(flight, from, edge)
    }

    /// The first bytes at or after `from` and before `edge` that the peer does not hold: at most a
    /// segment.
    fn hole(&self, flight: &Flight, from: SeqNum, edge: SeqNum) -> Option<(SeqNum, SeqNum)> {
        let payload = self.mss as u32 - self.sack_bytes(flight);
        let mut from = from;
        for range in flight.sacked.as_slice() {
            if from.before(range.from) {
                let to = (from + payload).min(range.from);
                return from.before(edge).then_some((from, to));
            }
            from = from.max(range.to);
        }
        let to = (from + payload).min(flight.max);
        (from.before(edge) && from.before(to)).then_some((from, to))
    }

    #[inline(never)]
    fn emit_lost(&mut self, flight: &mut Flight, from: SeqNum, to: SeqNum, env: &Env) -> Emit {
        flight.resend_first = false;
        flight.resent = to;
        flight.timing = false;
        if flight.timer != Retransmission::Resend {
            self.arm(flight, Retransmission::Resend, env);
        }
        let data_end = self.una + flight.send.bytes();
        let fin = self.fin_sent() && to.after(data_end);
        let len = to.min(data_end).max(from) - from;
        self.emit_data(flight, from, len, fin, true, env)
    }

    /// How many bytes from `nxt` may be sent now; `Some(0)` is a FIN alone.
    fn next_new(&mut self, flight: &mut Flight, burst_bytes: u32, env: &Env) -> Option<u32> {
        if !matches!(
            self.state,
            State::Established
                | State::CloseWait
                | State::FinWait1
                | State::Closing
                | State::LastAck
        ) {
            return None;
        }
        if flight.phase == Phase::Loss || self.nxt != flight.max {
            self.skip_held(flight);
        }
        let data_end = self.una + flight.send.bytes();
        let fin_due = self.has(Bits::FIN_QUEUED)
            && self.nxt.at_or_before(data_end)
            && self.state != State::FinWait2;
        let left = if self.nxt.before(data_end) { data_end - self.nxt } else { 0 };
        if left == 0 && !fin_due {
            return None;
        }
        let sent = self.nxt - self.una;
        if sent == 0 {
            self.restart_after_idle(env);
            let room = self.wnd.min(self.cwnd).min(self.mss as u32);
            if left <= room && flight.max == self.nxt && flight.held.is_empty() {
                // Nothing is on the way, and all of it fits into one segment: the rest of the
                // rules come to the same.
                self.clear(Bits::CWND_LIMITED);
                return Some(left);
            }
        }
        let pipe = self.pipe(flight);
        // Limited transmit (RFC 3042) needs nothing of its own: a duplicate takes a segment out of
        // the pipe.
        let room = self.cwnd.saturating_sub(pipe);
        let window = self.wnd.saturating_sub(sent);
        if left == 0 {
            // A FIN takes no buffer at the peer: it may pass a shut window.
            return Some(0);
        }
        let mss = self.mss as u32;
        let payload = mss - self.sack_bytes(flight);
        let allowed = left.min(window);
        self.assign(Bits::CWND_LIMITED, room < allowed.min(mss));
        if room < mss.min(allowed) && pipe > 0 {
            self.set(Bits::CWND_LIMITED);
            return None;
        }
        // Whole segments where the card cuts them, one where it does not.
        let most = if burst_bytes > mss && flight.phase == Phase::Open {
            let whole = burst_bytes.min(room.max(payload)) / payload * payload;
            whole.max(payload)
        } else {
            payload
        };
        let len = allowed.min(most);
        if len >= payload {
            // Only whole segments, unless the rest goes too.
            return Some(if len == left { len } else { len / payload * payload });
        }
        self.worth_sending(flight, len, left, env).then_some(len)
    }

    /// Whether a segment shorter than full should go (RFC 9293 sections 3.7.4 and 3.8.6.2.1).
    fn worth_sending(&mut self, flight: &mut Flight, len: u32, left: u32, env: &Env) -> bool {
        let outstanding = flight.max != self.una;
        let resending = self.nxt.before(flight.max);
        if len == 0 {
            self.wait_for_window(flight, outstanding, env);
            return false;
        }
        if len == left {
            //= rfc9293#3.7.4 type=exception
            //= reason=Minshall's variant, as in Linux: only a short segment holds back the next.
            //# If there is unacknowledged data (i.e., SND.NXT > SND.UNA), then the sending TCP
            //# endpoint buffers all user data (regardless of the PSH bit) until the outstanding
            //# data has been acknowledged or until the TCP endpoint can send a full-sized
            //# segment
            // The end of a long write behind full segments would wait for a delayed acknowledgement.
            let is_short_out = flight.max.after(flight.full.max(self.una));
            return !is_short_out
                || resending
                || env.options(self.profile).nodelay
                || self.has(Bits::FIN_QUEUED);
        }
        //= rfc9293#3.8.6.2.1
        //# if at least a fraction Fs of the maximum window can be sent
        if len >= self.wnd_max / 2 || resending {
            return true;
        }
        self.wait_for_window(flight, outstanding, env);
        false
    }

    /// Data waits and nothing is on the way that would open the window: probe it.
    fn wait_for_window(&mut self, flight: &mut Flight, outstanding: bool, env: &Env) {
        if !outstanding && flight.timer == Retransmission::Idle {
            flight.oldest_at = env.millis;
            self.arm(flight, Retransmission::Probe, env);
        }
    }

    /// After a timeout `nxt` walks over what was sent before; what the peer holds is passed over.
    fn skip_held(&mut self, flight: &Flight) {
        if let Some(range) = flight.sacked.containing(self.nxt) {
            self.nxt = range.to;
        }
    }

    fn emit_new(&mut self, flight: &mut Flight, len: u32, env: &Env) -> Emit {
        let data_end = self.una + flight.send.bytes();
        let mut len = len;
        let from = self.nxt;
        // Do not run into what the peer holds already.
        if let Some(next) = flight.sacked.as_slice().iter().find(|range| range.from.after(from))
            && next.from.before(from + len)
        {
            len = next.from - from;
        }
        let fin = self.has(Bits::FIN_QUEUED) && from + len == data_end;
        let again = from.before(flight.max);
        let payload = self.mss as u32 - self.sack_bytes(flight);
        if len >= payload && (from == flight.full || from == self.una) {
            flight.full = from + len / payload * payload;
        }
        self.nxt = from + len + fin as u32;
        if self.nxt.after(flight.max) {
            if flight.max == self.una {
                flight.oldest_at = env.millis;
            }
            if !flight.timing && !again {
                flight.timing = true;
                flight.timing_to = self.nxt;
                flight.timing_at = env.now.micros();
            }
            flight.max = self.nxt;
        }
        //= rfc6298#5
        //# (5.1) Every time a packet containing data is sent (including a retransmission), if
        //#       the timer is not running, start it running so that it will expire after RTO
        //#       seconds
        if flight.timer != Retransmission::Resend {
            if flight.timer == Retransmission::Probe {
                flight.backoff = 0;
                flight.retries = 0;
            }
            self.arm(flight, Retransmission::Resend, env);
        }
        if fin {
            self.state = match self.state {
                State::Established => State::FinWait1,
                State::CloseWait => State::LastAck,
                other => other,
            };
        }
        self.sent_at = stamp(env.millis, SENT_SHIFT);
        self.emit_data(flight, from, len, fin, again, env)
    }

    #[inline(always)]
    fn emit_data(
        &mut self,
        flight: &Flight,
        seq: SeqNum,
        len: u32,
        fin: bool,
        again: bool,
        env: &Env,
    ) -> Emit {
        let payload = self.mss as u32 - self.sack_bytes(flight);
        let mut flags = Flags::ACK;
        if fin {
            flags = flags.with(Flags::FIN);
        }
        let empties = seq + len == self.una + flight.send.bytes();
        if len > 0 && empties {
            flags = flags.with(Flags::PSH);
        }
        let last = empties && flight.phase == Phase::Open;
        let window = self.advertise(Some(flight), env);
        let segment_bytes = if len > payload { payload as u16 } else { 0 };
        Emit { seq, len, flags, window, again, segment_bytes, last }
    }

    /// A bare acknowledgement, if one is owed now.
    #[inline(always)]
    pub(crate) fn emit_acknowledgement(
        &mut self,
        flight: Option<&Flight>,
        env: &Env,
    ) -> Option<Emit> {
        if !self.has(Bits::ACK_NOW) {
            return None;
        }
        // Beyond the peer's window nobody would look at it (a FIN or a probe may lie there).
        let max = flight.map_or(self.nxt, |flight| flight.max.max(self.nxt));
        let seq = max.min(self.una + self.wnd);
        let window = self.advertise(flight, env);
        let flags = Flags::ACK;
        Some(Emit { seq, len: 0, flags, window, again: false, segment_bytes: 0, last: true })
    }

    /// The window field, with everything that goes with telling the peer where we are.
    #[inline(always)]
    pub(super) fn advertise(&mut self, flight: Option<&Flight>, env: &Env) -> u16 {
        self.clear(Bits::ACK_NOW);
        self.clear(Bits::ACK_LATER);
        self.rcv_acked = self.rcv_nxt;
        let unread = flight.map_or(0, |flight| flight.store.unread());
        let wanted = env.window_bytes.saturating_sub(unread);
        let old = self.rcv_edge - self.rcv_nxt;
        let scale = self.our_scale();
        // The right edge never moves left, so what is left of the old window rounds up. Over many
        // small segments that adds up: what is taken in is bounded apart (`Tcb::room`).
        let mut field = (old + (1 << scale) - 1) >> scale;
        //= rfc9293#3.8.6.2.2
        //# keep RCV.NXT+RCV.WND fixed until the reduction satisfies:
        //# RCV.BUFF - RCV.USER - RCV.WND  >= min( Fr * RCV.BUFF, Eff.snd.MSS )
        if wanted >= old + (self.mss as u32).min(env.window_bytes / 2) {
            field = field.max(wanted >> scale);
        }
        let field = field.min(limits::WINDOW_UNSCALED_MAX);
        self.rcv_edge = self.rcv_edge.max(self.rcv_nxt + (field << scale));
        field as u16
    }

    /// How many bytes from `seq` on may be kept: the window counted from the first unread byte, and
    /// what rounding may add to it. Beyond, what we offered is refused all the same, and the peer
    /// sends it again.
    pub(crate) fn room(&self, flight: Option<&Flight>, seq: SeqNum, env: &Env) -> u32 {
        let unread = flight.map_or(0, |flight| flight.store.unread());
        let end = self.rcv_nxt - unread + env.window_bytes + (1 << self.our_scale());
        if seq.before(end) { end - seq } else { 0 }
    }

    /// Whether telling the peer about the window now would open it by enough to matter.
    pub(crate) fn window_update_due(&self, flight: Option<&Flight>, env: &Env) -> bool {
        let unread = flight.map_or(0, |flight| flight.store.unread());
        let most = limits::WINDOW_UNSCALED_MAX << self.our_scale();
        let wanted = self.rcv_nxt + env.window_bytes.saturating_sub(unread).min(most);
        let gain = wanted - self.rcv_edge;
        self.may_receive()
            && wanted.after(self.rcv_edge)
            && gain >= (2 * self.mss as u32).min(env.window_bytes / 2)
    }

    /// What SACK blocks take from a segment's payload.
    fn sack_bytes(&self, flight: &Flight) -> u32 {
        if !self.has(Bits::SACK) || flight.held.is_empty() {
            return 0;
        }
        let most = if self.has(Bits::TIMESTAMPS) { 3 } else { 4 };
        4 + 8 * flight.held.as_slice().len().min(most) as u32
    }

    /// Starts the retransmission timer.
    #[inline(always)]
    pub(super) fn arm(&self, flight: &mut Flight, what: Retransmission, env: &Env) {
        flight.timer = what;
        flight.timer_at = env.millis.wrapping_add(self.rto_ms(flight.backoff, env));
    }
}

#[cfg(test)]
mod tests {
    //! However small the segments, a reader who does not read is sent no more than the window and
    //! what rounding may add, and its right edge never moves left.
    use super::super::sample::established;
    use crate::config::Tcp;

    #[test]
    fn rounding_the_window_does_not_add_up() {
        let (env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        let (mut unread, mut edge) = (0, tcb.rcv_edge);
        while tcb.room(Some(flight), tcb.rcv_nxt, &env) > 0 {
            let bytes = 7.min(tcb.room(Some(flight), tcb.rcv_nxt, &env));
            tcb.rcv_nxt += bytes;
            tcb.rcv_edge = tcb.rcv_edge.max(tcb.rcv_nxt);
            flight.store.extend(bytes);
            unread += bytes;
            let field = tcb.advertise(Some(flight), &env);
            let told = tcb.rcv_nxt + ((field as u32) << tcb.our_scale());
            assert!(told.at_or_after(edge), "the right edge moved left after {unread} bytes");
            edge = told;
        }
        let most = env.window_bytes + (1 << tcb.our_scale());
        assert!((env.window_bytes..=most).contains(&unread), "{unread} bytes of {most}");
    }
}
