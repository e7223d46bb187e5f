//! What is in the tables, and whether they agree with each other: for tests, the simulator and
//! whoever looks for a leak.

use penstock_queue::QueuePair;

use crate::app::App;
use crate::core::Core;
use crate::table::Kind;
use crate::tcp::{Bits, FREE, NO_FLIGHT, State};
use crate::worker::Worker;

/// How much of everything a worker has in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Census {
    /// Connections.
    pub connections: u32,
    /// Half-open connections.
    pub half_open: u32,
    /// TIME-WAIT records.
    pub time_wait: u32,
    /// Flights.
    pub flights: u32,
    /// Free chunks.
    pub chunks_free: u32,
    /// Chunks that only a descriptor still names.
    pub chunks_dying: u32,
    /// All chunks.
    pub chunks: u32,
    /// Neighbours.
    pub neighbours: u32,
    /// Frames that wait for a neighbour, and datagrams that wait for the end of a turn.
    pub waiting: u32,
    /// Listeners.
    pub listeners: u32,
    /// Armed timers.
    pub timers: u32,
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// How much of everything is in use.
    pub fn census(&self) -> Census {
        let core = &self.core;
        Census {
            connections: core.conns.live() - core.half_open.live(),
            half_open: core.half_open.live(),
            time_wait: core.time_wait.live(),
            flights: core.flights.used(),
            chunks_free: core.chunks.free_count(),
            chunks_dying: core.chunks.dying_count(),
            chunks: core.chunks.count(),
            neighbours: core.neighbours.live(),
            waiting: core.waiting_frames(),
            listeners: core.listeners.live(),
            timers: core.wheel.armed(),
        }
    }

    /// Walks everything and checks that it hangs together. Slow: not for production.
    ///
    /// # Errors
    /// A sentence that names what does not.
    pub fn check(&self) -> Result<(), &'static str> {
        self.core.check()
    }
}

impl Core {
    fn check(&self) -> Result<(), &'static str> {
        if self.table.len() != self.conns.live() + self.time_wait.live() {
            return Err("the table and the records differ in number");
        }
        let (mut chunks, mut flights, mut connections, mut half_open) = (0, 0, 0, 0);
        for index in 0..self.conns.high_water() {
            if self.conns[index].generation == FREE {
                continue;
            }
            connections += 1;
            half_open += self.conns[index].is_half_open() as u32;
            chunks += self.check_connection(index)?;
            flights += self.flights.at(self.conns[index].flight).is_some() as u32;
        }
        if connections != self.conns.live() || half_open != self.half_open.live() {
            return Err("live connections are not all marked so");
        }
        if flights != self.flights.used() {
            return Err("a flight has no connection");
        }
        let living = |index: &u32| self.conns[*index].generation != FREE;
        let indices = (0..self.conns.high_water()).filter(living);
        if self.hungry.count()
            != indices.filter(|&index| self.hungry.contains(index)).count() as u32
        {
            return Err("what waits for memory is no connection");
        }
        for reference in self.table.iter() {
            if reference.kind() == Kind::Connection
                && self.conns[reference.index()].generation == FREE
            {
                return Err("the table names a free connection");
            }
        }
        let owned = chunks + self.waiting_frames();
        let free = self.chunks.free_count() + self.chunks.dying_count();
        if owned + free != self.chunks.count() {
            return Err("a chunk is neither owned, free nor dying");
        }
        Ok(())
    }

    /// Frames of our own in chunks that no connection owns.
    fn waiting_frames(&self) -> u32 {
        self.neighbours.waiting() + self.datagrams.len() as u32
    }

    /// Checks one connection; returns how many chunks it owns.
    fn check_connection(&self, index: u32) -> Result<u32, &'static str> {
        let tcb = &self.conns[index];
        let hash = self.hash.hash(&tcb.tuple);
        let found = self.lookup(hash, &tcb.tuple);
        if found.is_none_or(|found| found.kind() != Kind::Connection || found.index() != index) {
            return Err("a connection is not found by its tuple");
        }
        if tcb.rcv_edge.before(tcb.rcv_nxt) && tcb.is_synchronised() {
            return Err("the window's right edge lies left of what was received");
        }
        if tcb.nxt.before(tcb.una) {
            return Err("SND.NXT lies before SND.UNA");
        }
        if tcb.is_half_open() && tcb.flight != NO_FLIGHT {
            return Err("a half-open connection has a flight");
        }
        let flight = self.flights.at(tcb.flight);
        let silent = [Bits::PAUSED, Bits::ORPHAN, Bits::ABORT].iter().any(|&bits| tcb.has(bits));
        let visited = flight.is_some_and(|flight| flight.ready);
        if tcb.has(Bits::UNREAD) && !silent && !visited {
            return Err("bytes wait for an application that would read them");
        }
        // Without a flight the next tick is a visit.
        let untold = tcb.fin_received() && !tcb.has(Bits::EOF_TOLD);
        if untold && !silent && !visited && !tcb.timer.is_armed() {
            return Err("an application that would listen is not told of the end");
        }
        let Some(flight) = flight else {
            if tcb.una != tcb.nxt {
                return Err("something is outstanding without a flight");
            }
            // A paused application has yet to hear of the end.
            if tcb.state == State::Closed && (tcb.has(Bits::EOF_TOLD) || tcb.has(Bits::ORPHAN)) {
                return Err("a closed connection was not removed");
            }
            return Ok(0);
        };
        if flight.owner != index {
            return Err("a flight belongs to another connection");
        }
        if flight.max.before(tcb.nxt) {
            return Err("SND.NXT lies beyond what was ever sent");
        }
        let outstanding = flight.max != tcb.una;
        let waiting = outstanding || !flight.send.is_empty();
        let timed = flight.timer != crate::tcp::Retransmission::Idle || flight.ready;
        if waiting && !timed {
            return Err("something waits to be sent or acknowledged, and no timer runs");
        }
        let armed = tcb.timer.is_armed() || flight.ready;
        if (timed || tcb.has(Bits::ACK_LATER)) && !armed {
            return Err("a deadline is not in the wheel");
        }
        if flight.store.unread() == 0 && flight.held.is_empty() && !flight.store.is_empty() {
            return Err("a store holds chunks of bytes that nobody waits for");
        }
        if flight.held.first().is_some_and(|range| range.from.at_or_before(tcb.rcv_nxt)) {
            return Err("what lies in order counts as beyond a gap");
        }
        Ok(flight.send.chunk_count(&self.chunks) + flight.store.chunk_count())
    }
}
