//! From one connection's store straight into another's send buffer: what a relay does with bytes
//! that could not go on when they came.
//!
//! Handing them to the application once more would copy each of them once more, and would happen a
//! visit later: bytes that waited for a connection to be established leave with its first
//! acknowledgement.

use penstock_queue::Lent;

use crate::app::ConnId;
use crate::core::{Core, Opened};
use crate::tcp::{Bits, Flight};

/// What [`Cx::forward`](crate::Cx::forward) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Forwarded {
    /// Bytes on their way.
    pub moved: u32,
    /// Bytes that still wait where they were.
    pub left: u32,
}

impl Core {
    /// Moves what the application of `from` has not taken to the end of what `to` has to send, as far
    /// as there is room. When nothing is left, `from` is paused no more.
    pub(crate) fn forward(&mut self, from: ConnId, to: ConnId) -> Forwarded {
        let may_send = self.find(to).is_some_and(|tcb| tcb.may_send());
        if !may_send || self.find(from).is_none_or(|tcb| tcb.has(Bits::ORPHAN)) {
            return Forwarded::default();
        }
        let mut moved = self.hand_over(from.index, to.index);
        while self.conns[from.index].has(Bits::UNREAD)
            && let Some(piece) = self.unread_piece(from.index)
        {
            if self.want_flight(to.index).is_none() {
                self.await_memory(to.index);
                break;
            }
            let buffer_bytes = self.config.capacity.send_buffer_bytes;
            let opened = self.open(to.index);
            let Some(flight) = opened.flight else { break };
            let room = buffer_bytes.saturating_sub(flight.send.bytes());
            let taken = flight.send.push_range(opened.chunks, piece, room);
            self.take_unread(from.index, taken);
            moved += taken;
            if taken < piece.len as u32 {
                if taken < room {
                    self.await_memory(to.index);
                }
                break;
            }
        }
        let left = self.close_ranks(from.index);
        if moved > 0 {
            self.mark_ready(to.index);
        }
        Forwarded { moved, left }
    }

    /// The chunk in which all unread bytes of `from` lie becomes what `to` has to send, where that is
    /// nothing yet: a request that waited for its server is not copied once more. How many bytes.
    fn hand_over(&mut self, from: u32, to: u32) -> u32 {
        let buffer_bytes = self.config.capacity.send_buffer_bytes;
        let fits = |flight: &Flight| (1..=buffer_bytes).contains(&flight.store.unread());
        if !self.flights.at(self.conns[from].flight).is_some_and(fits) {
            return 0;
        }
        if !self.want_flight(to).is_some_and(|flight| flight.send.is_bare()) {
            return 0;
        }
        let Opened { tcb, flight: Some(flight), .. } = self.open(from) else { return 0 };
        let beyond = flight.held.first().map(|range| range.from);
        let Some(range) = flight.store.give_away(tcb.data_end(), beyond) else { return 0 };
        tcb.clear(Bits::UNREAD);
        if let Some(flight) = self.flights.at_mut(self.conns[to].flight) {
            flight.send.adopt(range);
        }
        range.len.into()
    }

    /// Takes unread bytes of a paused connection.
    pub(crate) fn read(&mut self, conn: ConnId, into: &mut [u8]) -> usize {
        if self.find(conn).is_none_or(|tcb| !tcb.has(Bits::PAUSED) || tcb.has(Bits::ORPHAN)) {
            return 0;
        }
        let mut count = 0;
        while let Some(piece) = self.unread_piece(conn.index)
            && count < into.len()
        {
            let bytes = self.chunks.range(piece);
            let taken = bytes.len().min(into.len() - count);
            into[count..count + taken].copy_from_slice(&bytes[..taken]);
            self.take_unread(conn.index, taken as u32);
            count += taken;
        }
        self.close_ranks(conn.index);
        if let Some(tcb) = self.find_mut(conn) {
            tcb.set(Bits::PAUSED);
        }
        count
    }

    /// The first unread bytes, up to the end of their chunk.
    fn unread_piece(&mut self, index: u32) -> Option<Lent> {
        let opened = self.open(index);
        let end = opened.tcb.data_end();
        opened.flight?.store.locate(opened.chunks, end)
    }

    fn take_unread(&mut self, index: u32, bytes: u32) {
        let opened = self.open(index);
        let Some(flight) = opened.flight else { return };
        let beyond = flight.held.first().map(|range| range.from);
        flight.store.take(opened.chunks, opened.tcb.data_end(), bytes, beyond);
    }

    /// Notes what is left unread, which it returns, and that the window has opened.
    fn close_ranks(&mut self, index: u32) -> u32 {
        let opened = self.open(index);
        let tcb = opened.tcb;
        let unread = opened.flight.as_ref().map_or(0, |flight| flight.store.unread());
        tcb.assign(Bits::UNREAD, unread > 0);
        if tcb.window_update_due(opened.flight.as_deref(), opened.env) {
            tcb.acknowledge_now();
        }
        if unread == 0 {
            tcb.clear(Bits::PAUSED);
        }
        // The FIN may be next, or the window's update. Where neither is, the visit that a delayed
        // acknowledgement brings is early enough for the flight to go back.
        if tcb.wants_attention() || tcb.owes_now() || !tcb.has(Bits::ACK_LATER) {
            self.mark_ready(index);
        }
        unread
    }
}
