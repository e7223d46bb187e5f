//! Connections that something took the ground from: an address of ours that went, a neighbour that nobody
//! answers for. They are looked for a few hundred in a turn, so that no turn is long, once around all
//! records from wherever the last search was.

use penstock_queue::QueuePair;

use crate::app::{App, Close};
use crate::core::Core;
use crate::counters::Event;
use crate::limits;
use crate::neighbour::HopId;
use crate::tcp::{FREE, Retransmission, State};
use crate::worker::Worker;

/// Where the search is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    /// The record to be looked at next.
    at: u32,
    /// How many are left.
    left: u32,
}

impl Core {
    /// Something has happened that connections may have to end for.
    pub(crate) fn begin_sweep(&mut self) {
        self.sweep.left = self.conns.high_water();
        self.waits = true;
    }

    /// Whether any are left to be looked at.
    pub(crate) fn is_sweeping(&self) -> bool {
        self.sweep.left > 0
    }

    fn next_swept(&mut self) -> Option<u32> {
        self.sweep.left = self.sweep.left.checked_sub(1)?;
        let index = if self.sweep.at < self.conns.high_water() { self.sweep.at } else { 0 };
        self.sweep.at = index + 1;
        Some(index)
    }

    /// Why the connection of a record cannot go on.
    fn loss(&self, index: u32) -> Option<Close> {
        let tcb = &self.conns[index];
        if tcb.generation == FREE {
            return None;
        }
        if self.interfaces.is_lost(tcb.tuple.local) {
            return Some(Close::AddressLost);
        }
        if tcb.is_half_open() || tcb.state != State::SynSent {
            return None;
        }
        // Whoever asks only now is to have an answer of his own.
        let flight = self.flights.at(tcb.flight)?;
        let is_silent = flight.timer != Retransmission::Idle
            && self.neighbours.has_failed_since(HopId(tcb.hop), flight.oldest_at);
        is_silent.then_some(Close::NoNeighbour)
    }
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Looks on, and ends some.
    #[cold]
    pub(crate) fn sweep(&mut self) {
        let mut ended = 0;
        for _ in 0..limits::SWEPT_PER_TURN {
            let Some(index) = self.core.next_swept() else { return };
            let Some(reason) = self.core.loss(index) else { continue };
            if self.core.conns[index].is_half_open() {
                self.core.counters.event(Event::TcpAttemptFails);
                self.core.forget_half_open(index);
            } else {
                self.end(index, reason);
            }
            ended += 1;
            if ended == limits::LOST_PER_TURN {
                return;
            }
        }
    }
}
