//! What a connection still gets when there is hardly any memory left: a little each, so that bytes
//! that wait for others to move never hold all of it.
//!
//! ```text
//!   chunks free
//!     1/8   nobody new is let in, nothing beyond a gap is kept            passive.rs, deliver.rs
//!     1/16  a connection with nothing unread keeps a segment in order, one with nothing queued
//!           gets a chunk to send; whoever holds bytes beyond a gap gives up the farthest for
//!           those that close it
//!     1/32  only that, and the chunk to send
//!     1/64  neither: the rest is for frames that wait for a neighbour
//! ```
//!
//! Linux does the same, per socket: `tcp_rmem[0]`, `tcp_wmem[0]`, `tcp_prune_ofo_queue`.

use penstock_queue::{CHUNK_BYTES, Chunks, QueuePair};
use penstock_wire::SeqNum;

use crate::app::App;
use crate::core::Core;
use crate::counters::Event;
use crate::cx::Cx;
use crate::limits;
use crate::tcp::{Bits, Flight, Flights, Tcb};
use crate::worker::Worker;

/// Whether a connection may queue a chunk of bytes though memory is exhausted.
#[cold]
pub(crate) fn may_queue(chunks: &Chunks, flights: &Flights, tcb: &Tcb) -> bool {
    has_to_queue(chunks) && flights.at(tcb.flight).is_none_or(|flight| flight.send.is_empty())
}

/// Whether there is a chunk for a connection that has nothing queued.
pub(crate) fn has_to_queue(chunks: &Chunks) -> bool {
    chunks.free_count() > chunks.count() >> limits::LAST_QUEUED_SHIFT
}

impl Core {
    /// Whether `[from, to)`, the next bytes in order of connection `index`, may be kept though memory
    /// is exhausted.
    #[cold]
    #[inline(never)]
    pub(crate) fn may_keep(&mut self, index: u32, from: SeqNum, to: SeqNum) -> bool {
        let free = self.chunks.free_count();
        let is_spare = free > self.chunks.count() >> limits::LAST_KEPT_SHIFT;
        let opened = self.open(index);
        let Some(flight) = opened.flight else { return is_spare };
        if is_spare && flight.store.unread() == 0 {
            return true;
        }
        let is_pruned = prune(flight, opened.chunks, from, to);
        let freed = self.chunks.free_count() - free;
        if is_pruned {
            self.counters.event(Event::OfoPruned);
        }
        let opened = self.open(index);
        opened.flight.is_some_and(|flight| flight.store.missing(opened.chunks, from, to) <= freed)
    }
}

/// Gives up what `flight` holds beyond the gap that begins with `[from, to)`, from the far end, until
/// those bytes have found chunks, or nothing is left; whether anything was.
fn prune(flight: &mut Flight, chunks: &mut Chunks, from: SeqNum, to: SeqNum) -> bool {
    let mut wanted = flight.store.missing(chunks, from, to);
    let mut is_pruned = false;
    while wanted > 0
        && let Some(last) = flight.held.last()
    {
        let chunk_at = last.to - 1 - (last.to - 1).0 % CHUNK_BYTES as u32;
        let cut = last.from.max(chunk_at);
        flight.held.forget_from(cut);
        flight.fin_at = None;
        is_pruned = true;
        let needed = flight.held.last().map_or(to, |range| range.to);
        if needed.at_or_before(chunk_at) {
            flight.store.discard(chunks, chunk_at, last.to, None);
            wanted -= 1;
        }
    }
    if is_pruned && flight.held.is_empty() && flight.store.unread() == 0 {
        flight.store.clear(chunks);
    }
    is_pruned
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Feeds who waits for memory, as far as there is some.
    pub(crate) fn serve_hungry(&mut self) {
        for _ in 0..limits::HUNGRY_PER_TURN {
            if !self.core.can_feed() {
                return;
            }
            let Some(index) = self.core.hungry.take() else { return };
            let tcb = &mut self.core.conns[index];
            if tcb.awaits_flight() {
                if tcb.has(Bits::ORPHAN) {
                    tcb.clear(Bits::APP_TIMER);
                }
                // There is one: otherwise nobody can be fed.
                self.core.want_flight(index);
                self.conclude(index);
            } else if tcb.may_send() && !tcb.has(Bits::ORPHAN) {
                self.core.current = index;
                let conn = self.core.name(index);
                self.app.on_acknowledged(&mut Cx::new(&mut self.core), conn, 0);
                self.conclude(index);
            }
        }
    }
}
