//! From the engine's verdict to the application, and what follows from its answer.
//!
//! Everything that can happen to a connection ends in [`Worker::conclude`]: a segment, a timer, a
//! place in the ready list. There what is unread is delivered, what is due is sent, and the
//! connection is settled or ended.

use penstock_queue::QueuePair;
use penstock_wire::SeqNum;
use penstock_wire::tcp::{Flags, Header, Timestamps};

use crate::app::{App, Close};
use crate::counters::{Drop, Event};
use crate::cx::Cx;
use crate::receive::{Arrival, Source};
use crate::tcp::{Acknowledge, Bits, Expired, Flight, Inserted, NO_FLIGHT, Offer, State};
use crate::transmit::{self, Outcome};
use crate::worker::Worker;

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Serves a segment of connection `index`.
    #[inline]
    pub(crate) fn serve(&mut self, index: u32, arrival: &Arrival, source: Source) {
        self.core.duplicate = self.core.conns[index].known_part(&arrival.seg);
        self.serve_segment(index, arrival, source);
        self.core.duplicate = None;
    }

    fn serve_segment(&mut self, index: u32, arrival: &Arrival, source: Source) {
        self.core.current = index;
        let mtu_mss = if self.is_opening(index) {
            let (core, profile) = (&self.core, self.core.conns[index].profile);
            core.env.bounded_mss(core.path_mss(&arrival.tuple), profile)
        } else {
            0
        };
        let opened = self.core.open(index);
        let verdict = opened.tcb.on_segment(opened.flight, &arrival.seg, mtu_mss, opened.env);
        if let Some(reason) = verdict.drop {
            self.core.drop(reason);
        }
        match verdict.answer {
            Acknowledge::No => {}
            Acknowledge::Challenge => self.challenge(index),
            Acknowledge::Reset => self.reset(&arrival.tuple, &arrival.seg),
        }
        if let Some(reason) = verdict.end {
            self.end(index, reason);
            return;
        }
        if verdict.connected {
            let (hop, millis) = (self.core.conns[index].hop, self.core.env.millis);
            self.core.neighbours.confirm(crate::neighbour::HopId(hop), millis);
            let conn = self.core.name(index);
            self.app.on_connected(&mut Cx::new(&mut self.core), conn);
        }
        if verdict.acked > 0 {
            self.acknowledged(index, verdict.acked);
        } else if verdict.recovery {
            let sack = self.core.conns[index].has(Bits::SACK);
            let event = if sack { Event::TcpSackRecovery } else { Event::TcpRenoRecovery };
            self.core.counters.event(event);
        }
        if let Some(offer) = verdict.offer {
            self.take_in(index, &offer, arrival.payload_at, source);
        }
        self.conclude(index);
    }

    /// Sends a challenge (RFC 5961), if `tcp_challenge_ack_limit` allows.
    fn challenge(&mut self, index: u32) {
        let core = &mut self.core;
        if core.challenges.take(core.env.millis) {
            core.conns[index].acknowledge_now();
            core.counters.event(Event::TcpChallengeAcks);
        }
    }

    fn acknowledged(&mut self, index: u32, bytes: u32) {
        let opened = self.core.open(index);
        let (orphan, hop) = (opened.tcb.has(Bits::ORPHAN), opened.tcb.hop);
        if let Some(flight) = opened.flight {
            flight.send.pop(opened.chunks, bytes);
        }
        // Progress proves that the neighbour is there (RFC 4861 section 7.3.1).
        let millis = self.core.env.millis;
        self.core.neighbours.confirm(crate::neighbour::HopId(hop), millis);
        if !orphan {
            let conn = self.core.name(index);
            self.app.on_acknowledged(&mut Cx::new(&mut self.core), conn, bytes);
        }
    }

    /// Takes in offered payload: to the application, or to the store.
    pub(crate) fn take_in(&mut self, index: u32, offer: &Offer, payload_at: u16, source: Source) {
        let tcb = &mut self.core.conns[index];
        if tcb.has(Bits::ORPHAN) {
            // The application has closed it during this very segment.
            if offer.len > 0 {
                tcb.set(Bits::ABORT);
                self.core.drop(Drop::TcpDataAfterClose);
                return;
            }
        }
        let from = payload_at as usize + offer.skip as usize;
        let range = from..from + offer.len as usize;
        if offer.seq != self.core.conns[index].rcv_nxt {
            self.keep_beyond_gap(index, offer, range, source);
            return;
        }
        let opened = self.core.open(index);
        let unread = opened.flight.as_ref().map_or(0, |flight| flight.store.unread());
        let direct = !opened.tcb.has(Bits::PAUSED) && unread == 0;
        let (taken, rest) = if direct && offer.len > 0 {
            let conn = self.core.name(index);
            let bytes = match source {
                Source::Ring { interface, index } => {
                    self.queues[interface as usize].frame(index as usize).bytes
                }
                Source::Scratch { .. } => &self.scratch[..self.scratch_bytes],
            };
            let bytes = &bytes[range.clone()];
            let taken = self.app.on_data(&mut Cx::new(&mut self.core), conn, bytes);
            let taken = taken.min(bytes.len());
            (taken, bytes.len() - taken)
        } else {
            (0, range.len())
        };
        if rest > 0 {
            // What was not offered, because older bytes are unread, was not refused either: an
            // application that asked for them just now, when it heard of this segment's
            // acknowledgement, is not paused.
            if direct {
                self.refused(index);
            }
            self.keep_rest(index, offer, range, taken, source);
        } else {
            self.advance(index, offer, taken as u32, taken as u32);
        }
    }

    /// Keeps what the application left of an offer, of which it took the first `taken` bytes.
    pub(crate) fn keep_rest(
        &mut self,
        index: u32,
        offer: &Offer,
        range: core::ops::Range<usize>,
        taken: usize,
        source: Source,
    ) {
        let taken = taken as u32;
        let kept = range.start + taken as usize..range.end;
        let accepted = taken + self.keep(index, offer.seq + taken, kept, source);
        self.advance(index, offer, taken, accepted);
    }

    /// The application did not take everything: it is paused, or, if it closed the connection in the
    /// same breath, data was lost.
    pub(crate) fn refused(&mut self, index: u32) {
        let tcb = &mut self.core.conns[index];
        if !tcb.has(Bits::ORPHAN) {
            tcb.set(Bits::PAUSED);
        } else if !tcb.has(Bits::ABORT) {
            tcb.set(Bits::ABORT);
            self.core.counters.event(Event::TcpAbortOnClose);
        }
    }

    /// Keeps bytes in order that the application does not take now; returns how many found room.
    fn keep(
        &mut self,
        index: u32,
        seq: SeqNum,
        range: core::ops::Range<usize>,
        source: Source,
    ) -> u32 {
        let len = range.len() as u32;
        let opened = self.core.open(index);
        let room = opened.tcb.room(opened.flight.as_deref(), seq, opened.env);
        let is_flightless = opened.flight.is_none();
        let end = seq + len.min(room);
        if room == 0 || self.core.is_exhausted() && !self.core.may_keep(index, seq, end) {
            self.core.drop(Drop::ReceiveMemory);
            return 0;
        }
        if is_flightless && self.core.is_short_of_flights() {
            // Those that could send what was refused, and so have it taken, need the last ones.
            self.core.drop(Drop::FlightMemory);
            return 0;
        }
        let range = range.start..range.end.min(range.start + room as usize);
        let Some(kept) = self.write_store(index, seq, range, source) else {
            self.core.drop(Drop::FlightMemory);
            return 0;
        };
        if kept < len {
            self.core.drop(Drop::ReceiveMemory);
        }
        let opened = self.core.open(index);
        if let Some(flight) = opened.flight
            && kept > 0
        {
            flight.store.extend(kept);
            opened.tcb.set(Bits::UNREAD);
        }
        kept
    }

    /// Copies bytes of the segment being served to the store.
    fn write_store(
        &mut self,
        index: u32,
        seq: SeqNum,
        range: core::ops::Range<usize>,
        source: Source,
    ) -> Option<u32> {
        self.core.want_flight(index)?;
        let bytes = match source {
            Source::Ring { interface, index } => {
                self.queues[interface as usize].frame(index as usize).bytes
            }
            Source::Scratch { .. } => &self.scratch[..self.scratch_bytes],
        };
        let opened = self.core.open(index);
        let flight = opened.flight?;
        Some(flight.store.write(opened.chunks, seq, &bytes[range]))
    }

    /// A segment beyond a gap.
    fn keep_beyond_gap(
        &mut self,
        index: u32,
        offer: &Offer,
        range: core::ops::Range<usize>,
        source: Source,
    ) {
        self.core.conns[index].acknowledge_now();
        if self.core.is_memory_short() {
            self.core.drop(Drop::ReceiveMemory);
            return;
        }
        let Some(flight) = self.core.want_flight(index) else {
            self.core.drop(Drop::FlightMemory);
            return;
        };
        let (from, len) = (offer.seq, offer.len as u32);
        if len == 0 {
            //= rfc9293#3.10.7.4
            //# Segments with higher beginning sequence numbers SHOULD be held for later
            //# processing (SHLD-31).
            // A FIN alone too: its peer would find out by a timeout that it was not.
            flight.fin_at = Some(from);
            return;
        }
        let opened = self.core.open(index);
        if opened.tcb.room(opened.flight.as_deref(), from, opened.env) < len {
            self.core.drop(Drop::ReceiveMemory);
            return;
        }
        let Some(flight) = self.core.want_flight(index) else { return };
        let mut held = flight.held;
        let known = held.common(from, from + len);
        if known.is_some() {
            self.core.duplicate = known;
        }
        if held.insert(from, from + len) == Inserted::Full {
            self.core.drop(Drop::OutOfOrderLimit);
            return;
        }
        let written = self.write_store(index, from, range, source).unwrap_or(0);
        if written < len {
            self.core.drop(Drop::ReceiveMemory);
        }
        self.core.counters.event(Event::TcpOfoQueue);
        let Some(flight) = self.core.open(index).flight else { return };
        flight.held.insert(from, from + written);
        if written > 0 && flight.recent[0] != from {
            flight.recent.rotate_right(1);
            flight.recent[0] = from;
        }
        if offer.fin && written == len {
            flight.fin_at = Some(from + len);
        }
    }

    /// `accepted` bytes of an offer were taken in, the first `taken` of them by the application:
    /// the window's left edge moves, over what was kept beyond a gap too, and over the FIN.
    fn advance(&mut self, index: u32, offer: &Offer, taken: u32, accepted: u32) {
        let opened = self.core.open(index);
        let tcb = opened.tcb;
        if accepted > 0 {
            tcb.received(accepted, opened.env);
        }
        let mut fin = offer.fin && accepted == offer.len as u32;
        if let Some(flight) = opened.flight {
            if !flight.held.is_empty() {
                //= rfc5681#3.2
                //# a TCP receiver SHOULD send an immediate ACK when the incoming segment fills in
                //# all or part of a gap in the sequence space.
                tcb.acknowledge_now();
                flight.held.forget_before(tcb.rcv_nxt);
                if let Some(first) = flight.held.first()
                    && first.from == tcb.rcv_nxt
                {
                    tcb.rcv_nxt = first.to;
                    flight.store.extend(first.len());
                    tcb.set(Bits::UNREAD);
                    // The application closed it when it heard the bytes that closed the gap.
                    tcb.assign(Bits::ABORT, tcb.has(Bits::ABORT) || tcb.has(Bits::ORPHAN));
                    flight.held.forget_before(first.to);
                }
            }
            if taken > 0 && !flight.store.is_empty() {
                let unread = flight.store.unread();
                let beyond = if unread > 0 {
                    Some(tcb.rcv_nxt - unread)
                } else {
                    flight.held.first().map(|range| range.from)
                };
                flight.store.discard(opened.chunks, offer.seq, offer.seq + taken, beyond);
            }
            fin |= flight.fin_at == Some(tcb.rcv_nxt);
            if fin || flight.fin_at.is_some_and(|at| at.before(tcb.rcv_nxt)) {
                flight.fin_at = None;
            }
            if fin {
                // Nothing can lie beyond a FIN, whatever was sent there.
                flight.held.clear();
                if flight.store.unread() == 0 {
                    flight.store.clear(opened.chunks);
                }
            }
        }
        if fin {
            tcb.received_fin(opened.env);
        }
    }

    /// After anything happened to connection `index`: delivers, sends, settles, ends.
    pub(crate) fn conclude(&mut self, index: u32) {
        self.core.current = index;
        if self.core.conns[index].wants_attention() {
            if self.core.conns[index].has(Bits::UNREAD) {
                self.deliver_unread(index);
            }
            self.deliver_end_to_come(index);
            self.deliver_end_of_stream(index);
            if self.core.conns[index].has(Bits::ABORT) {
                self.abort(index);
                return;
            }
            self.watch_orphan(index);
        }
        if self.core.has_to_send(index)
            && let Outcome::Timed(at) = transmit::due(&mut self.core, &mut self.queues, index)
        {
            self.core.settle_at(index, at);
            self.core.current = NO_FLIGHT;
            return;
        }
        if self.core.is_finished(index) {
            self.finish(index);
            return;
        }
        self.core.settle(index);
        self.core.current = NO_FLIGHT;
    }

    /// Hands what waits in the store to the application.
    fn deliver_unread(&mut self, index: u32) {
        loop {
            let opened = self.core.open(index);
            let tcb = opened.tcb;
            let Some(flight) = opened.flight else { return };
            if flight.store.unread() == 0
                || tcb.has(Bits::PAUSED)
                || tcb.has(Bits::ORPHAN)
                || tcb.has(Bits::ABORT)
            {
                return;
            }
            // The store's chunks belong to the core, which the upcall may change: a copy is lent.
            let piece = flight.store.peek(opened.chunks, tcb.data_end());
            let count = piece.len();
            if count == 0 {
                debug_assert!(false, "unread bytes are nowhere");
                tcb.set(Bits::ABORT);
                return;
            }
            self.piece[..count].copy_from_slice(piece);
            // A close within the upcall must not take these bytes for unread ones.
            flight.store.set_aside(count as u32);
            let conn = self.core.name(index);
            let bytes = &self.piece[..count];
            let taken = self.app.on_data(&mut Cx::new(&mut self.core), conn, bytes).min(count);
            if taken < count {
                self.refused(index);
            }
            let opened = self.core.open(index);
            let tcb = opened.tcb;
            let Some(flight) = opened.flight else { return };
            flight.store.extend(count as u32);
            let beyond = flight.held.first().map(|range| range.from);
            flight.store.take(opened.chunks, tcb.data_end(), taken as u32, beyond);
            tcb.assign(Bits::UNREAD, flight.store.unread() > 0);
            if tcb.window_update_due(Some(flight), opened.env) {
                tcb.acknowledge_now();
            }
        }
    }

    /// The peer has closed, and the application, which is paused, may want to know.
    fn deliver_end_to_come(&mut self, index: u32) {
        let tcb = &self.core.conns[index];
        let hidden = [Bits::EOF_TOLD, Bits::ORPHAN, Bits::ABORT];
        let is_due = tcb.fin_received() && tcb.has(Bits::PAUSED);
        if !is_due || hidden.iter().any(|&bits| tcb.has(bits)) {
            return;
        }
        let conn = self.core.name(index);
        self.app.on_remote_closing(&mut Cx::new(&mut self.core), conn);
        // It may want to read now.
        self.deliver_unread(index);
    }

    fn deliver_end_of_stream(&mut self, index: u32) {
        let opened = self.core.open(index);
        let tcb = opened.tcb;
        let unread = opened.flight.map_or(0, |flight| flight.store.unread());
        let hidden = [Bits::EOF_TOLD, Bits::ORPHAN, Bits::PAUSED, Bits::ABORT];
        if !tcb.fin_received() || unread > 0 || hidden.iter().any(|&bits| tcb.has(bits)) {
            return;
        }
        tcb.set(Bits::EOF_TOLD);
        let conn = self.core.name(index);
        self.app.on_remote_closed(&mut Cx::new(&mut self.core), conn);
    }

    /// An orphan does not wait in FIN-WAIT-2 for ever.
    fn watch_orphan(&mut self, index: u32) {
        let opened = self.core.open(index);
        let tcb = opened.tcb;
        if tcb.state == State::FinWait2 && tcb.has(Bits::ORPHAN) && !tcb.has(Bits::APP_TIMER) {
            tcb.watch_orphan(opened.env);
        }
    }

    /// The timer of connection `index` fired.
    pub(crate) fn on_timer(&mut self, index: u32) {
        self.core.current = index;
        let opened = self.core.open(index);
        if opened.flight.is_none()
            && opened.tcb.needs_flight(opened.env)
            && self.core.want_flight(index).is_none()
        {
            // No flight for a probe: the next one may find one.
            let core = &mut self.core;
            core.conns[index].heard_at = core.env.millis;
        }
        let opened = self.core.open(index);
        let counts = |flight: &Flight| (flight.retries, flight.probes);
        let before = opened.flight.as_deref().map_or((0, 0), counts);
        let owed = opened.tcb.has(Bits::ACK_NOW);
        let expired = opened.tcb.on_timer(opened.flight, opened.env);
        let opened = self.core.open(index);
        let after = opened.flight.as_deref().map_or((0, 0), counts);
        let probing = opened.tcb.has(Bits::PROBE_NOW);
        let owes = opened.tcb.has(Bits::ACK_NOW);
        if after.0 > before.0 {
            let event = if probing { Event::TcpWinProbe } else { Event::TcpTimeouts };
            self.core.counters.event(event);
            self.core.find_hop(index);
        } else if after.1 > before.1 {
            self.core.counters.event(Event::TcpKeepAlive);
        }
        if owes && !owed {
            self.core.counters.event(Event::TcpDelayedAcks);
        }
        match expired {
            Expired::Nothing => {}
            Expired::App => {
                let conn = self.core.name(index);
                self.app.on_timer(&mut Cx::new(&mut self.core), conn);
            }
            Expired::Closed(reason) => {
                self.core.counters.event(Event::TcpAbortOnTimeout);
                if reason == Close::KeepAlive || self.core.conns[index].awaits_flight() {
                    self.send_last(index, Flags::RST.with(Flags::ACK));
                }
                self.end(index, reason);
                return;
            }
        }
        self.conclude(index);
    }

    /// The application wants it gone.
    fn abort(&mut self, index: u32) {
        //= rfc9293#3.10.5
        //# *  Respond with "ok" and delete the TCB, enter CLOSED state, and
        //#    return.
        let opened = self.core.open(index);
        let is_unread = opened.flight.is_some_and(|flight| flight.store.unread() > 0);
        let flags = match opened.tcb.state {
            // Forsaken: what came is acknowledged, or the peer would say it again and hear a RST.
            State::Closed => {
                let owes = Bits(Bits::ACK_NOW.0 | Bits::ACK_LATER.0);
                opened.tcb.has(owes).then_some(Flags::ACK)
            }
            // Where both sides have closed there is nothing to reset, unless data was lost.
            State::SynSent | State::Closing | State::LastAck | State::TimeWait if !is_unread => {
                None
            }
            _ => Some(Flags::RST.with(Flags::ACK)),
        };
        if let Some(flags) = flags {
            self.send_last(index, flags);
        }
        self.core.remove(index, false);
        self.core.current = NO_FLIGHT;
    }

    /// The last segment of our own accord: a RST (RFC 9293 section 3.10.5), or an acknowledgement.
    fn send_last(&mut self, index: u32, flags: Flags) {
        let tcb = &self.core.conns[index];
        let max = self.core.flights.at(tcb.flight).map_or(tcb.nxt, |flight| flight.max);
        let header = Header {
            src_port: tcb.tuple.local_port,
            dst_port: tcb.tuple.remote_port,
            seq: max.min(tcb.una + tcb.wnd).max(tcb.una),
            ack: tcb.rcv_nxt,
            flags,
            window: if flags.has(Flags::RST) { 0 } else { tcb.window_field() },
        };
        let tuple = tcb.tuple;
        //= rfc7323#3.2
        //# Once TSopt has been successfully negotiated, that is both <SYN> and
        //# <SYN,ACK> contain TSopt, the TSopt MUST be sent in every non-<RST>
        //# segment for the duration of the connection, and SHOULD be sent in an
        //# <RST> segment
        let value = tcb.timestamp(self.core.env.millis);
        let timestamps =
            tcb.has(Bits::TIMESTAMPS).then_some(Timestamps { value, echo: tcb.ts_recent });
        transmit::bare(&mut self.core, &mut self.queues, &tuple, header, timestamps);
    }

    /// Both directions are closed, acknowledged and read.
    fn finish(&mut self, index: u32) {
        let tcb = &self.core.conns[index];
        let (conn, orphan) = (self.core.name(index), tcb.has(Bits::ORPHAN));
        let time_wait = tcb.state == State::TimeWait;
        self.core.remove(index, time_wait);
        self.core.current = NO_FLIGHT;
        if !orphan {
            self.app.on_closed(&mut Cx::new(&mut self.core), conn, Close::Finished);
        }
    }

    /// It ends before its time.
    pub(crate) fn end(&mut self, index: u32, reason: Close) {
        let tcb = &self.core.conns[index];
        let (conn, orphan) = (self.core.name(index), tcb.has(Bits::ORPHAN));
        let established = tcb.has(Bits::ESTABLISHED);
        self.core.remove(index, false);
        self.core.current = NO_FLIGHT;
        let event = if established { Event::TcpEstabResets } else { Event::TcpAttemptFails };
        self.core.counters.event(event);
        if orphan {
            return;
        }
        let mut cx = Cx::new(&mut self.core);
        if established {
            self.app.on_closed(&mut cx, conn, reason);
        } else {
            self.app.on_connect_failed(&mut cx, conn, reason);
        }
    }

    /// Looks whether what somebody waited for is there again: transmit slots, for connections with
    /// something to send; memory, of which their applications are told; room in another core's mail.
    #[cold]
    pub(crate) fn serve_waiting(&mut self) {
        for (interface, queue) in (0..).zip(&self.queues) {
            if queue.slots() > 0 {
                self.core.release_slots(interface);
            }
        }
        self.serve_hungry();
        self.sweep();
        self.core.tell_of_listeners();
        self.core.settle_waiting();
    }
}
