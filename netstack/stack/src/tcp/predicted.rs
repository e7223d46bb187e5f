//! The segments that nearly all segments are, and the one answer that most of them get: what
//! [`input`](super::input) and [`output`](super::output) do to them, without the questions that
//! cannot come up.
//!
//! This is header prediction (Van Jacobson, 1990): first a few comparisons that leave one case, then
//! that case, straight. Whatever is not exactly it goes the long way, which would have done the same
//! to it: a simulated world runs to the same digest with this file and without it.

use penstock_wire::tcp::{Flags, Segment};

use super::Env;
use super::flight::{Flight, NO_FLIGHT, Phase, Retransmission};
use super::output::Emit;
use super::tcb::{Bits, SENT_SHIFT, State, Tcb, stamp};

impl Tcb {
    /// Whether `seg` is text in order to an open connection at rest: nothing is in flight, nothing
    /// waits to be read.
    #[inline(always)]
    pub(crate) fn expects_text(&self, seg: &Segment) -> bool {
        let refused = Bits(Bits::PAUSED.0 | Bits::ORPHAN.0 | Bits::ABORT.0);
        self.state == State::Established
            && self.flight == NO_FLIGHT
            && seg.flags.0 & !Flags::PSH.0 == Flags::ACK.0
            && seg.seq == self.rcv_nxt
            && seg.ack == self.una
            && seg.payload_bytes > 0
            && seg.payload_bytes as u32 <= self.rcv_edge - self.rcv_nxt
            && !self.has(refused)
            && self.expects_timestamp(seg)
    }

    /// Whether `seg` is the answer to our SYN, and nothing more.
    #[inline(always)]
    pub(crate) fn expects_syn_ack(&self, flight: &Flight, seg: &Segment) -> bool {
        let unusual = Bits(Bits::ORPHAN.0 | Bits::ABORT.0 | Bits::SYN_NOW.0);
        self.state == State::SynSent
            && seg.flags.0 == Flags::SYN.0 | Flags::ACK.0
            && seg.ack == flight.max
            && flight.max == self.una + 1
            && seg.payload_bytes == 0
            && !self.has(unusual)
    }

    /// Whether `seg` is the peer's FIN and acknowledges all of ours, the FIN included, while nothing
    /// was lost and nothing waits to be read: what ends a connection that we closed first.
    #[inline(always)]
    pub(crate) fn expects_end(&self, flight: &Flight, seg: &Segment) -> bool {
        let unusual = Bits(
            Bits::PAUSED.0
                | Bits::ABORT.0
                | Bits::UNREAD.0
                | Bits::CWND_LIMITED.0
                | Bits::PROBE_NOW.0,
        );
        self.state == State::FinWait1
            && seg.flags.0 & !Flags::PSH.0 == Flags::ACK.0 | Flags::FIN.0
            && seg.seq == self.rcv_nxt
            && seg.ack == self.nxt
            && seg.payload_bytes == 0
            && self.is_undisturbed(flight)
            && !self.has(unusual)
            && self.expects_timestamp(seg)
    }

    /// Whether `seg` is text in order, with the peer's FIN behind it or not, and acknowledges all that
    /// we have said, while nothing was lost and nothing waits to be read: what a server answers.
    #[inline(always)]
    pub(crate) fn expects_answer(&self, flight: &Flight, seg: &Segment) -> bool {
        let unusual = Bits(
            Bits::PAUSED.0
                | Bits::ORPHAN.0
                | Bits::ABORT.0
                | Bits::UNREAD.0
                | Bits::CWND_LIMITED.0
                | Bits::PROBE_NOW.0
                | Bits::FIN_QUEUED.0,
        );
        self.state == State::Established
            && seg.flags.0 & !(Flags::PSH.0 | Flags::FIN.0) == Flags::ACK.0
            && seg.seq == self.rcv_nxt
            && seg.ack == self.nxt
            && seg.payload_bytes > 0
            && seg.payload_bytes as u32 <= self.rcv_edge - self.rcv_nxt
            && self.nxt - self.una == flight.send.bytes()
            && self.is_undisturbed(flight)
            && flight.sacked.is_empty()
            && !self.has(unusual)
            && self.expects_timestamp(seg)
    }

    /// Whether `seg` acknowledges our FIN, the last word of a connection that the application has
    /// closed and the peer before it.
    #[inline(always)]
    pub(crate) fn expects_last(&self, flight: &Flight, seg: &Segment) -> bool {
        self.state == State::LastAck
            && seg.flags.0 & !Flags::PSH.0 == Flags::ACK.0
            && seg.seq == self.rcv_nxt
            && seg.ack == self.nxt
            && seg.payload_bytes == 0
            && self.is_undisturbed(flight)
            && self.has(Bits::ORPHAN)
            && !self.has(Bits::ABORT)
            && self.expects_timestamp(seg)
    }

    /// Something is in flight, of which nothing was lost, and nothing that came is kept.
    #[inline(always)]
    fn is_undisturbed(&self, flight: &Flight) -> bool {
        flight.max == self.nxt
            && flight.phase == Phase::Open
            && flight.timer == Retransmission::Resend
            && flight.store.is_empty()
            && flight.held.is_empty()
            && flight.fin_at.is_none()
            && !flight.ready
    }

    /// PAWS has nothing to say.
    #[inline(always)]
    fn expects_timestamp(&self, seg: &Segment) -> bool {
        !self.has(Bits::TIMESTAMPS)
            || seg.options.timestamps.is_some_and(|timestamps| {
                (timestamps.value.wrapping_sub(self.ts_recent) as i32) >= 0
            })
    }

    /// Takes in the header of an expected segment; its text is the worker's.
    #[inline(always)]
    pub(crate) fn take_expected(&mut self, seg: &Segment, env: &Env) {
        self.heard_at = env.millis;
        self.note_timestamp(seg, env);
        self.update_window(seg);
    }

    /// Takes in the acknowledgement of an expected end; returns how many bytes of payload it covers.
    #[inline(always)]
    pub(crate) fn take_end(&mut self, flight: &mut Flight, seg: &Segment, env: &Env) -> u32 {
        self.take_expected(seg, env);
        self.una = seg.ack;
        flight.probes = 0;
        flight.retries = 0;
        flight.oldest_at = env.millis;
        self.measure(flight, seg.options.timestamps, env.now.micros(), env.millis);
        flight.duplicates = 0;
        flight.timer = Retransmission::Idle;
        self.state = State::FinWait2;
        flight.send.bytes()
    }

    /// Takes in the header of an expected answer; returns how many bytes it acknowledges.
    #[inline(always)]
    pub(crate) fn take_answer(&mut self, flight: &mut Flight, seg: &Segment, env: &Env) -> u32 {
        self.take_expected(seg, env);
        let acked = seg.ack - self.una;
        self.una = seg.ack;
        flight.probes = 0;
        flight.retries = 0;
        flight.oldest_at = env.millis;
        self.measure(flight, seg.options.timestamps, env.now.micros(), env.millis);
        flight.epoch_at = None;
        flight.duplicates = 0;
        if self.una.after(flight.recover) {
            flight.recover = self.una - 1;
        }
        flight.resent = flight.resent.max(self.una);
        flight.timer = Retransmission::Idle;
        acked
    }

    /// Whether the retransmission timer alone says when to look at the connection next.
    #[inline(always)]
    pub(crate) fn is_timed_by(&self, flight: &Flight, env: &Env) -> bool {
        let others = Bits(Bits::ACK_LATER.0 | Bits::APP_TIMER.0);
        flight.timer == Retransmission::Resend
            && !self.has(others)
            && (!env.profiles.any_user_timeout()
                || env.options(self.profile).user_timeout.is_none())
    }

    /// All that is queued as one segment, the FIN behind it, where nothing is in flight and the
    /// peer's window, ours and the segment size hold it. `None`: nothing is sent yet, ask
    /// [`next_segment`](Self::next_segment).
    #[inline(always)]
    pub(crate) fn whole_segment(&mut self, flight: &mut Flight, env: &Env) -> Option<Emit> {
        let len = flight.send.bytes();
        let fin = self.has(Bits::FIN_QUEUED);
        let rest = flight.max == self.una
            && self.nxt == self.una
            && flight.phase == Phase::Open
            && flight.held.is_empty();
        let open = matches!(self.state, State::Established | State::CloseWait);
        let special = Bits(Bits::PROBE_NOW.0 | Bits::SYN_NOW.0);
        if !rest || !open || len + fin as u32 == 0 || self.has(special) {
            return None;
        }
        self.restart_after_idle(env);
        if len > self.wnd.min(self.cwnd).min(self.mss as u32) {
            return None;
        }
        self.clear(Bits::CWND_LIMITED);
        let seq = self.una;
        if len == self.mss as u32 {
            flight.full = seq + len;
        }
        self.nxt = seq + len + fin as u32;
        flight.max = self.nxt;
        flight.oldest_at = env.millis;
        if !flight.timing {
            flight.timing = true;
            flight.timing_to = self.nxt;
            flight.timing_at = env.now.micros();
        }
        if flight.timer != Retransmission::Resend {
            if flight.timer == Retransmission::Probe {
                flight.backoff = 0;
                flight.retries = 0;
            }
            self.arm(flight, Retransmission::Resend, env);
        }
        let mut flags = Flags::ACK;
        if fin {
            flags = flags.with(Flags::FIN);
            self.state = match self.state {
                State::CloseWait => State::LastAck,
                _ => State::FinWait1,
            };
        }
        if len > 0 {
            flags = flags.with(Flags::PSH);
        }
        self.sent_at = stamp(env.millis, SENT_SHIFT);
        let window = self.advertise(Some(flight), env);
        Some(Emit { seq, len, flags, window, again: false, segment_bytes: 0, last: true })
    }
}

#[cfg(test)]
mod tests {
    //! Wherever the short way is open it does what the long way does, to the last field.
    use alloc::format;
    use alloc::string::String;

    use penstock_queue::Chunks;
    use penstock_wire::tcp::{Flags, Segment, Timestamps};
    use penstock_wire::{Addr, SeqNum};
    use proptest::prelude::*;

    use super::super::{Bits, Env, Flight, Flights, GENERATION_MIN, Handshake, State, Tcb};
    use crate::config::{Capacity, Config, Tcp};
    use crate::hash::{AddrId, Tuple};
    use crate::time::Instant;

    /// A connection just accepted, one second later.
    fn accepted(timestamps: bool, seed: (u32, u32), window: u16) -> (Tcb, Env) {
        let config = Config {
            interfaces: alloc::vec![],
            routes: alloc::vec![],
            cores: 1,
            ephemeral_ports: (32_768, 65_535),
            capacity: Capacity::default(),
            tcp: Tcp::default(),
            seed: [0; 32],
        };
        let mut env = Env::new(&config);
        let hand = Handshake {
            iss: SeqNum(seed.0),
            irs: SeqNum(seed.1),
            peer_mss: 1460,
            window_scale: Some(2),
            sack: true,
            timestamp: timestamps.then_some(seed.0 ^ seed.1),
            ts_offset: 77,
            mtu_mss: 1460,
            hop: 0,
            listener: 0,
        };
        let tuple = Tuple { remote: Addr::v4(1), remote_port: 1, local_port: 80, local: AddrId(0) };
        let ack = Segment { seq: hand.irs + 1, window, ..Segment::default() };
        let mut tcb = Tcb::half_open(tuple, &hand, &env);
        tcb.complete(&ack, Some(300), 0, GENERATION_MIN, &env);
        env.now = Instant(1_000_000);
        env.millis = 1000;
        (tcb, env)
    }

    fn segment(tcb: &Tcb, off: (u32, u32, u32), flags: u8, payload_bytes: u16) -> Segment {
        let mut seg = Segment {
            seq: tcb.rcv_nxt + off.0,
            ack: tcb.nxt - off.1,
            flags: Flags(flags),
            window: 500,
            payload_bytes,
            ..Segment::default()
        };
        if tcb.has(Bits::TIMESTAMPS) {
            let value = (tcb.ts_recent + 1).wrapping_sub(off.2);
            seg.options.timestamps = Some(Timestamps { value, echo: 0 });
        }
        seg
    }

    /// What can be seen of a connection.
    fn picture(tcb: &Tcb, flight: Option<&Flight>) -> String {
        let flight =
            flight.map(|flight| Flight { recover: SeqNum(0), resent: SeqNum(0), ..*flight });
        format!("{tcb:?} {flight:?}")
    }

    proptest! {
        #[test]
        fn expected_text_is_served_as_any_text_is(
            timestamps in any::<bool>(), seed in any::<(u32, u32)>(), window in any::<u16>(),
            off in (0..2u32, 0..2u32, 0..3u32), flags in any::<u8>(), usual in 0..4u8,
            payload_bytes in 0..2000u16, bits in 0..4u8,
        ) {
            let (mut tcb, env) = accepted(timestamps, seed, window);
            tcb.assign(Bits::PAUSED, bits == 1);
            tcb.assign(Bits::ORPHAN, bits == 2);
            let flags = if usual > 0 { 0x18 } else { flags };
            let seg = segment(&tcb, off, flags, payload_bytes);
            if tcb.expects_text(&seg) {
                let (mut long, mut short) = (tcb, tcb);
                let verdict = long.on_segment(None, &seg, 0, &env);
                short.take_expected(&seg, &env);
                prop_assert_eq!(picture(&long, None), picture(&short, None));
                let offer = verdict.offer.map(|offer| (offer.seq, offer.skip, offer.len, offer.fin));
                prop_assert_eq!(offer, Some((seg.seq, 0, payload_bytes, false)));
                prop_assert!(verdict.drop.is_none() && verdict.end.is_none() && verdict.acked == 0);
            } else if off == (0, 0, 0) && flags == 0x18 && bits == 0 {
                prop_assert!(payload_bytes == 0, "the usual request goes the long way");
            }
        }

        #[test]
        fn a_whole_response_and_its_end_are_what_the_long_way_makes_of_them(
            timestamps in any::<bool>(), seed in any::<(u32, u32)>(), window in 0..3000u16,
            len in 0..1600usize, fin in any::<bool>(), off in (0..2u32, 0..2u32, 0..3u32),
            flags in any::<u8>(), usual in 0..4u8, quiet_ms in 0..2000u32,
        ) {
            let (mut tcb, mut env) = accepted(timestamps, seed, window);
            env.millis += quiet_ms;
            let mut chunks = Chunks::new(2);
            let mut flights = Flights::new(1);
            let number = flights.alloc(0, tcb.una).expect("one is free");
            tcb.flight = number;
            tcb.assign(Bits::FIN_QUEUED, fin);
            tcb.acknowledge_now();
            let flight = flights.at_mut(number).expect("it was just taken");
            flight.send.push(&mut chunks, &[7; 2000][..len], 2000);

            let (mut long, mut long_flight) = (tcb, *flight);
            let (mut short, mut short_flight) = (tcb, *flight);
            let expected = long.next_segment(Some(&mut long_flight), 0, &env);
            let Some(emit) = short.whole_segment(&mut short_flight, &env) else {
                let fits = len as u32 <= tcb.wnd.min(tcb.mss as u32);
                prop_assert!(!fits || len == 0 && !fin, "a usual response goes the long way");
                return Ok(());
            };
            prop_assert_eq!(Some(emit), expected);
            prop_assert_eq!(picture(&long, Some(&long_flight)), picture(&short, Some(&short_flight)));

            env.now = Instant(env.now.0 + 1234);
            let flags = if usual > 0 { 0x11 } else { flags };
            let seg = segment(&short, off, flags, 0);
            if short.expects_end(&short_flight, &seg) {
                let verdict = long.on_segment(Some(&mut long_flight), &seg, 0, &env);
                let acked = short.take_end(&mut short_flight, &seg, &env);
                prop_assert_eq!((verdict.acked, verdict.end, verdict.drop), (acked, None, None));
                prop_assert!(verdict.offer.is_some_and(|offer| offer.fin && offer.len == 0));
                prop_assert_eq!(
                    picture(&long, Some(&long_flight)),
                    picture(&short, Some(&short_flight))
                );
            } else if off == (0, 0, 0) && flags == 0x11 {
                prop_assert!(!fin, "the usual end goes the long way");
            }
        }

        #[test]
        fn an_answer_and_a_last_word_are_what_the_long_way_makes_of_them(
            timestamps in any::<bool>(), seed in any::<(u32, u32)>(), len in 1..600usize,
            off in (0..2u32, 0..2u32, 0..3u32), flags in any::<u8>(), usual in 0..4u8,
            payload_bytes in 0..2000u16, is_last in any::<bool>(), bits in 0..4u8,
        ) {
            let (mut tcb, mut env) = accepted(timestamps, seed, 2000);
            let mut chunks = Chunks::new(2);
            let mut flights = Flights::new(1);
            let number = flights.alloc(0, tcb.una).expect("one is free");
            tcb.flight = number;
            let flight = flights.at_mut(number).expect("it was just taken");
            flight.send.push(&mut chunks, &[7; 2000][..len], 2000);
            if is_last {
                tcb.received_fin(&env);
                tcb.set(Bits::FIN_QUEUED);
                tcb.assign(Bits::ORPHAN, bits != 1);
                tcb.assign(Bits::ABORT, bits == 2);
            } else {
                tcb.assign(Bits::PAUSED, bits == 1);
                tcb.assign(Bits::CWND_LIMITED, bits == 2);
            }
            prop_assert!(tcb.whole_segment(flight, &env).is_some());
            env.now = Instant(env.now.0 + 1234);
            let (flags, payload_bytes) = match (usual > 0, is_last) {
                (false, _) => (flags, payload_bytes),
                (true, true) => (0x10, 0),
                (true, false) => (0x18 | usual & 1, payload_bytes.max(1)),
            };
            let seg = segment(&tcb, off, flags, payload_bytes);
            let (mut long, mut long_flight) = (tcb, *flight);
            if is_last && tcb.expects_last(flight, &seg) {
                let verdict = long.on_segment(Some(&mut long_flight), &seg, 0, &env);
                prop_assert_eq!((verdict.acked, long.state), (len as u32, State::Closed));
                prop_assert!(verdict.offer.is_none() && verdict.end.is_none() && verdict.drop.is_none());
                prop_assert!(!long.has(Bits::ACK_NOW) || tcb.has(Bits::ACK_NOW));
            } else if !is_last && tcb.expects_answer(flight, &seg) {
                let verdict = long.on_segment(Some(&mut long_flight), &seg, 0, &env);
                let acked = tcb.take_answer(flight, &seg, &env);
                prop_assert_eq!((verdict.acked, verdict.end, verdict.drop), (acked, None, None));
                let offer = verdict.offer.map(|offer| (offer.seq, offer.skip, offer.len, offer.fin));
                prop_assert_eq!(offer, Some((seg.seq, 0, payload_bytes, flags & 1 != 0)));
                prop_assert_eq!(picture(&long, Some(&long_flight)), picture(&tcb, Some(flight)));
            } else if off == (0, 0, 0) && usual > 0 && (bits == 0 || bits == 3) {
                prop_assert!(false, "the usual answer, and the usual last word, go the long way");
            }
        }
    }
}
