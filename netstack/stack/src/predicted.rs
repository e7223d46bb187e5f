//! The segments that short connections get after their handshakes, done straight: of a client the
//! request, and the FIN that ends it; of a server the answer, and its last acknowledgement.
//!
//! ```text
//!   handshake complete ─▶ on_accept ┐
//!   text in order, at rest ─────────┴▶ on_data ─▶ one segment: response, acknowledgement, FIN
//!   FIN that acknowledges everything ─▶ on_acknowledged, on_remote_closed ─▶ ACK ─▶ TIME-WAIT
//!
//!   text that acknowledges everything ─▶ on_acknowledged, on_data (FIN behind it ─▶ on_remote_closed)
//!   acknowledgement of our FIN, the last word ─▶ gone
//! ```
//! [`deliver`](crate::deliver) serves every segment, and would serve these alike: each step here
//! stands there too, among the steps for what cannot be the case. What the comparisons at the top
//! do not admit is left to it, and so is what an upcall made unusual: then both functions end in
//! [`Worker::conclude`], which takes a connection in any state.

use penstock_queue::QueuePair;
use penstock_wire::tcp::Flags;

use crate::app::{App, Close, ConnId};
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
            tcb.state == State::LastAck && self.serve_last(index, arrival)
        }
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
            let offer = Offer { seq: seg.seq, skip: 0, len: seg.payload_bytes, fin: false };
            self.refused(index);
            self.keep_rest(index, &offer, range, taken, source);
            self.conclude(index);
            return true;
        }
        let core = &mut self.core;
        let tcb = &mut core.conns[index];
        tcb.received(seg.payload_bytes as u32, &core.env);
        match transmit::whole(core, &mut self.queues, index, Whole::Queued) {
            Outcome::Unsent => {
                self.conclude(index);
                return true;
            }
            Outcome::Sent => core.settle(index),
            Outcome::Timed(at) => core.settle_at(index, at),
        }
        core.current = NO_FLIGHT;
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
    #[inline(never)]
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

/// What an upcall may have made of a connection that was as usual before.
const UNUSUAL: Bits = Bits(Bits::PAUSED.0 | Bits::ORPHAN.0 | Bits::ABORT.0);
