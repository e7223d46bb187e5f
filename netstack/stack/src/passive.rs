//! Clients arriving: SYN, SYN-ACK, and the ACK that completes the handshake, with a half-open
//! record or with a cookie.

use penstock_queue::QueuePair;
use penstock_wire::tcp::{Flags, Header, Timestamps};

use crate::app::{App, ListenerId};
use crate::config::SynCookies;
use crate::cookie;
use crate::counters::{Drop, Event};
use crate::cx::Cx;
use crate::halfopen;
use crate::hash::Tuple;
use crate::limits;
use crate::neighbour::HopId;
use crate::receive::{Arrival, Source};
use crate::table::{Kind, Reference};
use crate::tcp::{Bits, FREE, Handshake, Tcb};
use crate::timewait::Successor;
use crate::transmit;
use crate::worker::Worker;

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// A segment to a port somebody listens on here, and to no connection (RFC 9293 section
    /// 3.10.7.2).
    pub(crate) fn on_listener(
        &mut self,
        listener: u16,
        profile: u8,
        arrival: &Arrival,
        source: Source,
    ) {
        let flags = arrival.seg.flags;
        if flags.has(Flags::RST) {
            //= rfc9293#3.10.7.2
            //# An incoming RST segment could not be valid since it could not have been sent in
            //# response to anything sent by this incarnation of the connection. An incoming RST
            //# should be ignored. Return.
            self.core.drop(Drop::TcpNoPort);
        } else if flags.has(Flags::ACK) {
            if flags.has(Flags::SYN) || !self.on_cookie(listener, profile, arrival, source) {
                //= rfc9293#3.10.7.2
                //# Any acknowledgment is bad if it arrives on a connection still in the LISTEN
                //# state. An acceptable reset segment should be formed for any arriving
                //# ACK-bearing segment.
                let expecting = self.core.cookies.is_expecting(self.core.env.now.0);
                let reason = if expecting { Drop::SynCookiesFailed } else { Drop::TcpNoPort };
                self.refuse(arrival, reason);
            }
        } else if !flags.has(Flags::SYN) {
            self.core.drop(Drop::TcpNoAck);
        } else if flags.has(Flags::FIN) {
            //= rfc9293#3.10.7.2 type=exception
            //= reason=No client sends this, scanners do: dropped, as Linux does.
            //# Note that any other incoming control or data (combined with SYN) will be processed in
            //# the SYN-RECEIVED state
            self.core.drop(Drop::TcpFlags);
        } else {
            self.on_syn(listener, arrival, None);
        }
    }

    /// A client's SYN. `successor` is what an earlier connection of the same tuple asks of us.
    #[inline(never)]
    pub(crate) fn on_syn(
        &mut self,
        listener: u16,
        arrival: &Arrival,
        successor: Option<Successor>,
    ) {
        let core = &mut self.core;
        // What is new goes first when anything runs out: it has cost nobody anything yet.
        if core.is_full() {
            core.drop(Drop::ListenOverflow);
            return;
        }
        if core.is_memory_short() {
            core.drop(Drop::SynOverload);
            return;
        }

        let tuple = &arrival.tuple;
        let Some(station) = core.interfaces.station(tuple.local) else { return };
        let (interface, own_mss, is_v4) = (station.interface, station.mss, station.is_v4);
        let Some((_, next)) = core.routes.lookup_on(&core.interfaces, interface, tuple.remote)
        else {
            core.drop(Drop::NoRoute);
            return;
        };
        let (hop, to) = match core.neighbours.reach(core.env.millis, interface, next) {
            Ok(reached) => reached,
            Err(reason) => {
                core.drop(reason);
                return;
            }
        };
        let origin = core.secrets.origin(tuple);
        let options = &arrival.seg.options;
        let timestamps = options.timestamps.filter(|_| core.env.tcp.timestamps);
        let mut hand = Handshake {
            iss: origin.isn(core.env.now.0),
            irs: arrival.seg.seq,
            peer_mss: match options.mss {
                0 if is_v4 => limits::MSS_DEFAULT_V4,
                0 => limits::MSS_DEFAULT_V6,
                mss => mss,
            },
            window_scale: options.window_scale.filter(|_| core.env.tcp.window_scaling),
            sack: options.sack_permitted && core.env.tcp.sack,
            timestamp: timestamps.map(|timestamps| timestamps.value),
            ts_offset: origin.timestamp_offset(),
            mtu_mss: core.client_mss(core.path_mss_of(own_mss, tuple.remote), listener),
            hop: hop.0,
            listener,
        };
        let cookies = match core.config.tcp.syncookies {
            SynCookies::Never => false,
            SynCookies::WhenFull => core.is_half_open_full(),
            SynCookies::Always => true,
        };
        if cookies {
            self.send_cookie(tuple, hand);
            return;
        }
        if let Some(successor) = successor
            && hand.iss.at_or_before(successor.isn_after)
        {
            hand.iss = successor.isn_after + 1;
        }
        //= rfc9293#3.10.7.2 type=exception
        //= reason=As in Linux, what comes with a SYN is sent again: a flood costs no more memory.
        //# any other control or text should be queued for processing later.
        let half = Tcb::half_open(*tuple, &hand, &core.env);
        let millis = core.env.millis;
        let Some(index) = core.half_open.insert(&mut core.conns, half, millis) else {
            core.drop(Drop::ReqQFullDrop);
            return;
        };
        let reference = Reference::new(Kind::Connection, index);
        if core.table.insert(arrival.hash, reference).is_err() {
            core.half_open.remove(&mut core.conns, index);
            core.release(index);
            core.drop(Drop::ReqQFullDrop);
            return;
        }
        transmit::first_syn_ack(core, &mut self.queues, &half, to);
    }

    /// Answers a SYN without keeping anything of it.
    #[cold]
    #[inline(never)]
    fn send_cookie(&mut self, tuple: &Tuple, mut hand: Handshake) {
        let core = &mut self.core;
        let offer = cookie::Offer {
            mss: hand.peer_mss,
            window_scale: hand.window_scale,
            sack_permitted: hand.sack,
        };
        hand.iss = core.cookies.encode(tuple, hand.irs, &offer, core.env.now.0);
        core.counters.event(Event::SynCookiesSent);
        let half = Tcb::half_open(*tuple, &hand, &core.env);
        transmit::syn_ack(core, &mut self.queues, &half);
    }

    /// A segment to a half-open connection.
    #[inline(never)]
    pub(crate) fn on_half_open(&mut self, index: u32, arrival: &Arrival, source: Source) {
        let core = &mut self.core;
        let window = core.config.capacity.receive_window_bytes.min(limits::WINDOW_UNSCALED_MAX);
        let verdict = core.conns[index].on_segment_half_open(&arrival.seg, window);
        if verdict == halfopen::Verdict::Complete {
            self.on_complete(index, arrival, source);
        } else {
            self.on_incomplete(index, verdict, arrival);
        }
    }

    /// A segment to a half-open connection that leaves it half-open, or ends it.
    #[cold]
    #[inline(never)]
    fn on_incomplete(&mut self, index: u32, verdict: halfopen::Verdict, arrival: &Arrival) {
        let core = &mut self.core;
        match verdict {
            halfopen::Verdict::Complete => {}
            halfopen::Verdict::Repeat => {
                let half = &mut core.conns[index];
                half.note_repeated_syn(arrival.seg.options.timestamps);
                let half = *half;
                transmit::syn_ack(core, &mut self.queues, &half);
            }
            halfopen::Verdict::Reset => {
                core.counters.event(Event::TcpAttemptFails);
                core.forget_half_open(index);
            }
            halfopen::Verdict::AnswerReset => self.refuse(arrival, Drop::TcpAckInvalid),
            halfopen::Verdict::Acknowledge => {
                core.drop(Drop::TcpOutOfWindow);
                let may_answer = core.conns[index].may_answer_stray(&arrival.seg, &core.env);
                if may_answer && core.challenges.take(core.env.millis) {
                    self.acknowledge_half_open(index);
                }
            }
            halfopen::Verdict::Ignore => core.drop(Drop::TcpOutOfWindow),
        }
    }

    fn acknowledge_half_open(&mut self, index: u32) {
        let core = &mut self.core;
        let half = &core.conns[index];
        let window = (core.env.first_window(half.scales_windows()) >> half.our_scale()) as u16;
        let tuple = half.tuple;
        let header = Header {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq: half.nxt,
            ack: half.rcv_nxt,
            flags: Flags::ACK,
            window,
        };
        let value = half.timestamp(core.env.millis);
        let timestamps =
            half.has(Bits::TIMESTAMPS).then_some(Timestamps { value, echo: half.ts_recent });
        core.counters.event(Event::TcpChallengeAcks);
        transmit::bare(core, &mut self.queues, &tuple, header, timestamps);
    }

    /// The handshake is complete: a connection is born, and its first segment served.
    #[inline]
    fn on_complete(&mut self, index: u32, arrival: &Arrival, source: Source) {
        let core = &mut self.core;
        let listener = core.conns[index].listener();
        let Some(profile) = core.listeners.profile(listener) else {
            // Nobody listens any more.
            core.forget_half_open(index);
            self.refuse(arrival, Drop::TcpNoPort);
            return;
        };
        core.promote(index, &arrival.seg, profile);
        self.accept(index, listener, arrival, source);
    }

    /// An acknowledgement that may be a cookie; returns whether it was.
    fn on_cookie(&mut self, listener: u16, profile: u8, arrival: &Arrival, source: Source) -> bool {
        let core = &mut self.core;
        let Arrival { tuple, seg, .. } = arrival;
        if core.config.tcp.syncookies == SynCookies::Never {
            return false;
        }
        let ts_offset = core.secrets.origin(tuple).timestamp_offset();
        let stamps = seg.options.timestamps.filter(|_| core.config.tcp.timestamps);
        let clock = core.env.millis.wrapping_add(ts_offset);
        let echo_age_ms = stamps.map(|stamps| clock.wrapping_sub(stamps.echo));
        let (iss, irs) = (seg.ack - 1, seg.seq - 1);
        let Some(offer) = core.cookies.decode(tuple, irs, iss, echo_age_ms, core.env.now.0) else {
            return false;
        };
        if core.is_full() {
            core.drop(Drop::ListenOverflow);
            return true;
        }
        let interface = core.interfaces.interface_of(tuple.local);
        let next = core.routes.lookup_on(&core.interfaces, interface, tuple.remote);
        let hop =
            match next.map(|(_, next)| core.neighbours.resolve(core.env.millis, interface, next)) {
                Some(Ok(hop)) => hop,
                Some(Err(reason)) => {
                    core.drop(reason);
                    return true;
                }
                None => {
                    core.drop(Drop::NoRoute);
                    return true;
                }
            };
        let hand = Handshake {
            iss,
            irs,
            peer_mss: offer.mss,
            window_scale: offer.window_scale,
            sack: offer.sack_permitted,
            timestamp: stamps.map(|stamps| stamps.value),
            ts_offset,
            mtu_mss: core.env.bounded_mss(core.path_mss(tuple), profile),
            hop: hop.0,
            listener,
        };
        let rtt_us = echo_age_ms.filter(|&age| age < 60_000).map(|age| age.max(1) * 1000);
        let mut tcb = Tcb::half_open(*tuple, &hand, &core.env);
        // Its generation comes with its record.
        tcb.complete(seg, rtt_us, profile, FREE, &core.env);
        match self.core.insert(arrival.hash, tcb) {
            Some(conn) => {
                self.core.counters.event(Event::SynCookiesRecv);
                self.accept(conn, listener, arrival, source);
            }
            None => self.core.drop(Drop::ListenOverflow),
        }
        true
    }

    #[inline(always)]
    fn accept(&mut self, index: u32, listener: u16, arrival: &Arrival, source: Source) {
        self.core.counters.event(Event::TcpPassiveOpens);
        self.core.current = index;
        // The client answered: its neighbour is there.
        let (hop, millis) = (self.core.conns[index].hop, self.core.env.millis);
        self.core.neighbours.confirm(HopId(hop), millis);
        let conn = self.core.name(index);
        self.app.on_accept(&mut Cx::new(&mut self.core), conn, ListenerId(listener));
        if !self.serve_text(index, arrival, source) {
            self.serve(index, arrival, source);
        }
    }

    /// Repeats SYN-ACKs that are due, and gives up those repeated enough.
    pub(crate) fn repeat_syn_acks(&mut self) {
        for _ in 0..limits::TIMERS_PER_TURN {
            let core = &mut self.core;
            let Some(index) = core.half_open.due(&core.conns, core.env.millis) else { return };
            let repeats_max = core.config.tcp.synack_retries.min(halfopen::QUEUES as u8 - 1);
            let half = &core.conns[index];
            let lost = core.interfaces.is_lost(half.tuple.local);
            if half.kept_backoff() >= repeats_max || lost {
                core.counters.event(Event::TcpAttemptFails);
                core.forget_half_open(index);
                continue;
            }
            core.half_open.repeat(&mut core.conns, index, core.env.millis);
            let half = core.conns[index];
            core.counters.event(Event::TcpRetransSegs);
            transmit::syn_ack(core, &mut self.queues, &half);
        }
    }
}
