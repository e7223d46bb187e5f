//! The segments that short connections get, done straight: of a client the request, and the FIN that
//! ends it; of a server the SYN-ACK, the answer, and its last acknowledgement. And what they leave to
//! say on the other connection: one segment.
//!
//! ```text
//!   handshake complete ─▶ on_accept ┐
//!   text in order, at rest ─────────┴▶ on_data ─▶ one segment: response, acknowledgement, FIN
//!                                              └▶ refused whole: it waits in a chunk
//!   FIN that acknowledges everything ─▶ on_acknowledged, on_remote_closed ─▶ ACK ─▶ TIME-WAIT
//!
//!   SYN-ACK ─▶ on_connected ─▶ one segment: request, acknowledgement
//!   text that acknowledges everything ─▶ on_acknowledged, on_data (FIN behind it ─▶ on_remote_closed)
//!   acknowledgement of our FIN, the last word ─▶ gone
//!
//!   a place in the ready list ─▶ one segment: SYN, or all that is queued
//! ```
//! [`deliver`](crate::deliver) serves every segment, and would serve these alike: each step here
//! stands there too, among the steps for what cannot be the case. What the comparisons at the top
//! do not admit is left to it, and so is what an upcall made unusual: then both functions end in
//! [`Worker::conclude`], which takes a connection in any state.

use penstock_queue::QueuePair;
use penstock_wire::SeqNum;
use penstock_wire::tcp::Flags;

use crate::app::{App, Close, ConnId};
use crate::core::Core;
use crate::cx::Cx;
use crate::neighbour::HopId;
use crate::receive::{Arrival, Source};
use crate::tcp::{Bits, NO_FLIGHT, Offer, State};
use crate::transmit::{self, Outcome, Whole};
use crate::worker::Worker;

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Serves a segment of connection `index`, if it is one of these.
    #[inline(always)]
    pub(crate) fn serve_predicted(
        &mut self,
        index: u32,
        arrival: &Arrival,
        source: Source,
    ) -> bool {
        let tcb = &self.core.conns[index];
        if arrival.seg.payload_bytes > 0 {
            if tcb.flight == NO_FLIGHT {
                self.serve_text(index, arrival, source)
            } else {
                self.serve_answer(index, arrival, source)
            }
        } else if arrival.seg.flags.has(Flags::FIN) {
            self.serve_end(index, arrival)
        } else {
            matches!(tcb.state, State::SynSent | State::LastAck) && self.serve_bare(index, arrival)
        }
    }

    /// The same of a segment that says nothing but what its flags do: the first of a server, or its
    /// last.
    #[inline(never)]
    fn serve_bare(&mut self, index: u32, arrival: &Arrival) -> bool {
        match self.core.conns[index].state {
            State::SynSent => self.serve_syn_ack(index, arrival),
            _ => self.serve_last(index, arrival),
        }
    }

    /// Sends what an upcall of another connection gave connection `index` to say, if one segment holds
    /// it all and there is nothing else to do.
    #[inline(always)]
    pub(crate) fn visit_predicted(&mut self, index: u32) -> bool {
        let core = &mut self.core;
        let tcb = &core.conns[index];
        if tcb.wants_attention() {
            return false;
        }
        if tcb.has(Bits::SYN_NOW) {
            let outcome = transmit::syn(core, &mut self.queues, index);
            if outcome == Outcome::Sent {
                let at = core.opening_at(index);
                core.settle_at(index, at);
            }
            return outcome == Outcome::Sent;
        }
        if core.flights.at(tcb.flight).is_none_or(|flight| flight.max != tcb.una) {
            return false;
        }
        self.conclude_whole(index);
        true
    }

    /// [`conclude`](Self::conclude) of a connection that has nothing to deliver, and most likely
    /// something to send that one segment holds.
    #[inline(always)]
    fn conclude_whole(&mut self, index: u32) {
        let core = &mut self.core;
        match transmit::whole(core, &mut self.queues, index, Whole::Queued) {
            Outcome::Unsent => return self.conclude(index),
            Outcome::Sent => core.settle(index),
            Outcome::Timed(at) => core.settle_at(index, at),
        }
        core.current = NO_FLIGHT;
    }

    /// Text in order to a connection at rest.
    #[inline(never)]
    pub(crate) fn serve_text(&mut self, index: u32, arrival: &Arrival, source: Source) -> bool {
        let core = &mut self.core;
        let (seg, tcb) = (&arrival.seg, &mut core.conns[index]);
        if !tcb.expects_text(seg) {
            return false;
        }
        tcb.take_expected(seg, &core.env);
        let conn = ConnId { index, generation: tcb.generation };
        core.current = index;
        let bytes = match source {
            Source::Ring { interface, index } => {
                self.queues[interface as usize].frame(index as usize).bytes
            }
            Source::Scratch { .. } => &self.scratch[..self.scratch_bytes],
        };
        let range = arrival.payload_at as usize..(arrival.payload_at + seg.payload_bytes) as usize;
        let text = &bytes[range.clone()];
        let taken = self.app.on_data(&mut Cx::new(core), conn, text).min(text.len());
        if taken < text.len() {
            if taken == 0 && core.keep_whole(index, seg.seq, text) {
                core.current = NO_FLIGHT;
                return true;
            }
            let offer = Offer { seq: seg.seq, skip: 0, len: seg.payload_bytes, fin: false };
            self.refused(index);
            self.keep_rest(index, &offer, range, taken, source);
            self.conclude(index);
            return true;
        }
        let core = &mut self.core;
        core.conns[index].received(seg.payload_bytes as u32, &core.env);
        self.conclude_whole(index);
        true
    }

    /// The answer to our SYN.
    #[inline(always)]
    fn serve_syn_ack(&mut self, index: u32, arrival: &Arrival) -> bool {
        let core = &mut self.core;
        let (seg, opened) = (&arrival.seg, core.open(index));
        let (tcb, flight) = (opened.tcb, opened.flight);
        if !flight.is_some_and(|flight| tcb.expects_syn_ack(flight, seg)) {
            return false;
        }
        let (hop, conn) = (HopId(tcb.hop), ConnId { index, generation: tcb.generation });
        let profile = tcb.profile;
        let mtu_mss = core.env.bounded_mss(core.path_mss(&arrival.tuple), profile);
        let opened = core.open(index);
        let verdict = opened.tcb.on_segment(opened.flight, seg, mtu_mss, opened.env);
        debug_assert!(verdict.connected && verdict.drop.is_none() && verdict.offer.is_none());
        core.current = index;
        core.neighbours.confirm(hop, core.env.millis);
        self.app.on_connected(&mut Cx::new(core), conn);
        if core.conns[index].wants_attention() {
            self.conclude(index);
            return true;
        }
        self.conclude_whole(index);
        true
    }

    /// A server's answer, and the FIN behind it.
    #[inline(never)]
    fn serve_answer(&mut self, index: u32, arrival: &Arrival, source: Source) -> bool {
        let core = &mut self.core;
        let (seg, opened) = (&arrival.seg, core.open(index));
        let tcb = opened.tcb;
        let Some(flight) = opened.flight.filter(|flight| tcb.expects_answer(flight, seg)) else {
            return false;
        };
        let acked = tcb.take_answer(flight, seg, opened.env);
        flight.send.clear(opened.chunks);
        let (hop, conn) = (HopId(tcb.hop), ConnId { index, generation: tcb.generation });
        core.current = index;
        core.neighbours.confirm(hop, core.env.millis);
        self.app.on_acknowledged(&mut Cx::new(core), conn, acked);
        let (len, fin) = (seg.payload_bytes, seg.flags.has(Flags::FIN));
        let offer = Offer { seq: seg.seq, skip: 0, len, fin };
        if core.conns[index].has(UNUSUAL) {
            self.take_in(index, &offer, arrival.payload_at, source);
            self.conclude(index);
            return true;
        }
        let bytes = match source {
            Source::Ring { interface, index } => {
                self.queues[interface as usize].frame(index as usize).bytes
            }
            Source::Scratch { .. } => &self.scratch[..self.scratch_bytes],
        };
        let range = arrival.payload_at as usize..(arrival.payload_at + len) as usize;
        let text = &bytes[range.clone()];
        let taken = self.app.on_data(&mut Cx::new(core), conn, text).min(text.len());
        if taken < text.len() {
            self.refused(index);
            self.keep_rest(index, &offer, range, taken, source);
            self.conclude(index);
            return true;
        }
        let tcb = &mut core.conns[index];
        tcb.received(len.into(), &core.env);
        if fin {
            tcb.received_fin(&core.env);
            if !tcb.has(UNUSUAL) {
                tcb.set(Bits::EOF_TOLD);
                self.app.on_remote_closed(&mut Cx::new(core), conn);
            }
        }
        let opened = self.core.open(index);
        let is_drained = opened.flight.is_some_and(|flight| opened.tcb.is_drained(flight));
        if !is_drained || opened.tcb.wants_attention() {
            self.conclude(index);
            return true;
        }
        self.core.settle(index);
        self.core.current = NO_FLIGHT;
        true
    }

    /// The last acknowledgement of a connection whose peer closed first.
    #[inline(always)]
    fn serve_last(&mut self, index: u32, arrival: &Arrival) -> bool {
        let core = &mut self.core;
        let (seg, opened) = (&arrival.seg, core.open(index));
        let (tcb, flight) = (opened.tcb, opened.flight);
        let Some(flight) = flight.filter(|flight| tcb.expects_last(flight, seg)) else {
            return false;
        };
        let (hop, is_progress) = (HopId(tcb.hop), !flight.send.is_empty());
        if is_progress {
            core.neighbours.confirm(hop, core.env.millis);
        }
        core.remove(index, false);
        true
    }

    /// The FIN that ends a connection which we closed first.
    #[inline(never)]
    fn serve_end(&mut self, index: u32, arrival: &Arrival) -> bool {
        let core = &mut self.core;
        let (seg, opened) = (&arrival.seg, core.open(index));
        let tcb = opened.tcb;
        let Some(flight) = opened.flight.filter(|flight| tcb.expects_end(flight, seg)) else {
            return false;
        };
        let acked = tcb.take_end(flight, seg, opened.env);
        flight.send.clear(opened.chunks);
        let (hop, orphan) = (HopId(tcb.hop), tcb.has(Bits::ORPHAN));
        let conn = ConnId { index, generation: tcb.generation };
        core.current = index;
        if acked > 0 {
            core.neighbours.confirm(hop, core.env.millis);
            if !orphan {
                self.app.on_acknowledged(&mut Cx::new(core), conn, acked);
            }
        }
        let tcb = &mut core.conns[index];
        tcb.received_fin(&core.env);
        if !tcb.has(Bits::ORPHAN) && !tcb.has(Bits::PAUSED) && !tcb.has(Bits::ABORT) {
            tcb.set(Bits::EOF_TOLD);
            self.app.on_remote_closed(&mut Cx::new(core), conn);
        }
        if core.conns[index].has(Bits::ABORT)
            || core.conns[index].has(Bits::PAUSED)
            || transmit::whole(core, &mut self.queues, index, Whole::Acknowledgement)
                == Outcome::Unsent
        {
            self.conclude(index);
            return true;
        }
        let orphan = core.conns[index].has(Bits::ORPHAN);
        core.retire(index, arrival.hash);
        core.current = NO_FLIGHT;
        if !orphan {
            self.app.on_closed(&mut Cx::new(core), conn, Close::Finished);
        }
        true
    }
}

impl Core {
    /// Keeps text in order that the application of connection `index`, which was at rest, takes nothing
    /// of, and settles the connection; whether that was all there is to do. What
    /// [`keep_rest`](Worker::keep_rest) would do, for a request whose server has not answered.
    #[inline]
    pub(crate) fn keep_whole(&mut self, index: u32, seq: SeqNum, text: &[u8]) -> bool {
        let tcb = &self.conns[index];
        let len = text.len() as u32;
        if tcb.flight != NO_FLIGHT
            || tcb.has(Bits(Bits::ORPHAN.0 | Bits::ABORT.0))
            || tcb.room(None, seq, &self.env) < len
            || self.is_exhausted()
            || self.is_short_of_flights()
        {
            return false;
        }
        let Some(flight) = self.flights.of(&mut self.conns[index], index) else { return false };
        if !flight.store.begin(&mut self.chunks, seq, text) {
            return false;
        }
        let tcb = &mut self.conns[index];
        tcb.set(Bits(Bits::PAUSED.0 | Bits::UNREAD.0));
        tcb.received(len, &self.env);
        if tcb.owes_now() {
            self.enlist(index);
        } else {
            self.settle(index);
        }
        true
    }
}

/// What an upcall may have made of a connection that was as usual before.
const UNUSUAL: Bits = Bits(Bits::PAUSED.0 | Bits::ORPHAN.0 | Bits::ABORT.0);
