//! Who is visited next: the connections that have something to do, those that wait for a transmit
//! slot, and those that wait for memory; and other cores that have yet to hear who listens.
//!
//! ```text
//!   mark_ready() ──▶ [ ready ] ──next_ready()──▶ visited ──no slot──▶ [ waits for interface i ]
//!                       ▲                                                        │
//!                       └──────────────── all of them, once a slot is free ──────┘
//!
//!   send() takes nothing    ──▶ a bit ──memory is back──▶ on_acknowledged(0), visited
//!   a FIN finds no flight    ──▶ a bit ──memory is back──▶ visited
//! ```

use alloc::boxed::Box;
use alloc::vec;

use penstock_queue::QueuePair;

use crate::app::App;
use crate::core::Core;
use crate::limits;
use crate::scarcity;
use crate::tcp::NO_FLIGHT;
use crate::worker::Worker;

/// A row of flights, linked through them. A flight is in one row at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    first: u32,
    last: u32,
}

impl Row {
    pub(crate) const EMPTY: Row = Row { first: NO_FLIGHT, last: NO_FLIGHT };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first == NO_FLIGHT
    }
}

/// Which row of flights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Ready,
    /// Waits for a slot of this interface's transmit ring.
    Slot(u8),
}

impl Core {
    /// Has connection `index` visited in this turn, or soon after: it has something to send, to
    /// deliver or to end.
    pub(crate) fn mark_ready(&mut self, index: u32) {
        if index != self.current {
            self.enlist(index);
        }
    }

    /// The same for the connection being served itself, whose turn is used up.
    #[inline(never)]
    pub(crate) fn enlist(&mut self, index: u32) {
        self.append(index, Which::Ready);
    }

    /// Has connection `index` visited once the transmit ring of its interface has room.
    #[cold]
    #[inline(never)]
    pub(crate) fn await_slot(&mut self, index: u32) {
        let interface = self.interfaces.interface_of(self.conns[index].tuple.local);
        self.append(index, Which::Slot(interface));
        self.waits = true;
    }

    /// The transmit ring of `interface` has room again.
    pub(crate) fn release_slots(&mut self, interface: u8) {
        let released = core::mem::replace(self.row(Which::Slot(interface)), Row::EMPTY);
        if released.is_empty() {
            return;
        }
        match self.flights.at_mut(self.ready.last) {
            Some(flight) => flight.next = released.first,
            None => self.ready.first = released.first,
        }
        if let Some(flight) = self.flights.at_mut(released.first) {
            flight.prev = self.ready.last;
        }
        self.ready.last = released.last;
    }

    /// The next connection that is ready, taken off its row.
    pub(crate) fn next_ready(&mut self) -> Option<u32> {
        let flight = self.flights.at_mut(self.ready.first)?;
        flight.ready = false;
        let (owner, next) = (flight.owner, flight.next);
        self.ready.first = next;
        match self.flights.at_mut(next) {
            Some(flight) => flight.prev = NO_FLIGHT,
            None => self.ready.last = NO_FLIGHT,
        }
        Some(owner)
    }

    /// Whether any connection can be visited now.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
            || self.waits && (self.is_sweeping() || !self.hungry.is_empty() && self.can_feed())
    }

    /// Whether something waits for a card to write descriptors back (connections for slots, or for
    /// chunks that are still lent), or for another core to read its mail. Nothing tells of either
    /// but a look.
    pub(crate) fn awaits_others(&self) -> bool {
        self.waits
            && (self.slot_rows.iter().any(|row| !row.is_empty())
                || !self.hungry.is_empty() && self.chunks.dying_count() > 0
                || self.listeners.has_news())
    }

    /// Tells the other cores who listens here; a core whose mail is full hears it later.
    pub(crate) fn tell_of_listeners(&mut self) {
        self.listeners.tell(&mut self.post);
        self.waits |= self.listeners.has_news();
    }

    /// Notes whether anything still waits.
    pub(crate) fn settle_waiting(&mut self) {
        let slots = self.slot_rows.iter().any(|row| !row.is_empty());
        let others = self.listeners.has_news() || self.is_sweeping();
        self.waits = slots || !self.hungry.is_empty() || others;
    }

    /// Takes flight `number` off its row.
    #[inline(never)]
    pub(crate) fn unready(&mut self, number: u32) {
        let Some(flight) = self.flights.at_mut(number) else { return };
        flight.ready = false;
        let (next, prev) = (flight.next, flight.prev);
        let rows = core::iter::once(&mut self.ready).chain(&mut self.slot_rows);
        for row in rows.filter(|row| row.first == number || row.last == number) {
            if row.first == number {
                row.first = next;
            }
            if row.last == number {
                row.last = prev;
            }
        }
        if let Some(flight) = self.flights.at_mut(prev) {
            flight.next = next;
        }
        if let Some(flight) = self.flights.at_mut(next) {
            flight.prev = prev;
        }
    }

    #[inline(always)]
    fn append(&mut self, index: u32, which: Which) {
        if self.conns[index].flight == NO_FLIGHT && self.want_flight(index).is_none() {
            // Without a flight there is no place in a row; the next tick will do.
            self.wheel.arm(&mut self.conns, index, self.env.millis);
            return;
        }
        let number = self.conns[index].flight;
        let Some(flight) = self.flights.at(number) else { return };
        if flight.ready {
            if which != Which::Ready || !flight.awaits_slot {
                return;
            }
            // There may be more to do than to send.
            self.unready(number);
        }
        let last = self.row(which).last;
        let Some(flight) = self.flights.at_mut(number) else { return };
        flight.ready = true;
        flight.awaits_slot = which != Which::Ready;
        flight.next = NO_FLIGHT;
        flight.prev = last;
        match self.flights.at_mut(last) {
            Some(flight) => flight.next = number,
            None => self.row(which).first = number,
        }
        self.row(which).last = number;
    }

    #[inline]
    fn row(&mut self, which: Which) -> &mut Row {
        match which {
            Which::Ready => &mut self.ready,
            Which::Slot(interface) => &mut self.slot_rows[interface as usize],
        }
    }

    /// The application of connection `index` wanted to send, or to close, and memory was short. It is
    /// told when there is some; where something is queued, when that is acknowledged.
    #[cold]
    #[inline(never)]
    pub(crate) fn await_memory(&mut self, index: u32) {
        let flight = self.flights.at(self.conns[index].flight);
        if flight.is_none_or(|flight| flight.send.is_empty()) {
            self.hungry.insert(index);
            self.waits = true;
        }
    }

    /// Connection `index` goes.
    #[cold]
    #[inline(never)]
    pub(crate) fn forget_waiting(&mut self, index: u32) {
        self.hungry.remove(index);
    }

    /// Whether an application that wants to send, and has nothing queued, would find memory now.
    pub(crate) fn can_feed(&self) -> bool {
        scarcity::has_to_queue(&self.chunks) && self.flights.free() > 0
    }
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Serves the connections whose applications asked for something.
    #[inline(never)]
    pub(crate) fn serve_ready(&mut self) {
        for _ in 0..limits::READY_PER_TURN {
            let Some(index) = self.core.next_ready() else { return };
            if !self.visit_predicted(index) {
                self.conclude(index);
            }
        }
    }
}

/// The connections whose applications found no memory: a bit each, looked through round and round,
/// so that each has its turn.
#[derive(Debug)]
pub(crate) struct Hungry {
    words: Box<[u64]>,
    count: u32,
    /// Where the next look begins: a connection's index.
    next: u32,
}

impl Hungry {
    /// None of `connections`.
    pub(crate) fn new(connections: u32) -> Hungry {
        let words = connections.div_ceil(u64::BITS).max(1) as usize;
        Hungry { words: vec![0; words].into_boxed_slice(), count: 0, next: 0 }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn contains(&self, index: u32) -> bool {
        self.words[(index / u64::BITS) as usize] & Self::bit(index) != 0
    }

    pub(crate) fn insert(&mut self, index: u32) {
        self.count += !self.contains(index) as u32;
        self.words[(index / u64::BITS) as usize] |= Self::bit(index);
    }

    pub(crate) fn remove(&mut self, index: u32) {
        self.count -= self.contains(index) as u32;
        self.words[(index / u64::BITS) as usize] &= !Self::bit(index);
    }

    /// Takes out the next one, or looks at [`limits::HUNGRY_WORDS`] words in vain.
    pub(crate) fn take(&mut self) -> Option<u32> {
        for _ in 0..limits::HUNGRY_WORDS {
            let word = self.words[(self.next / u64::BITS) as usize];
            let ahead = word >> (self.next % u64::BITS);
            if ahead != 0 {
                let index = self.next + ahead.trailing_zeros();
                self.remove(index);
                self.set_next(index + 1);
                return Some(index);
            }
            self.set_next((self.next / u64::BITS + 1) * u64::BITS);
        }
        None
    }

    fn set_next(&mut self, next: u32) {
        self.next = if next < self.words.len() as u32 * u64::BITS { next } else { 0 };
    }

    fn bit(index: u32) -> u64 {
        1 << (index % u64::BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_hungry_has_its_turn_once() {
        let mut hungry = Hungry::new(200);
        for index in [199, 0, 63, 64, 63] {
            hungry.insert(index);
        }
        assert_eq!(hungry.count(), 4);
        assert_eq!([hungry.take(), hungry.take()], [Some(0), Some(63)]);
        // Whoever comes back waits for those behind.
        hungry.insert(0);
        hungry.remove(64);
        assert_eq!([hungry.take(), hungry.take(), hungry.take()], [Some(199), Some(0), None]);
        assert!(hungry.is_empty());
    }

    #[test]
    fn a_look_is_bounded_and_goes_on_where_it_ended() {
        let far = limits::HUNGRY_WORDS as u32 * u64::BITS * 3;
        let mut hungry = Hungry::new(far + 1);
        hungry.insert(far);
        let looks = (0..10).position(|_| hungry.take() == Some(far));
        assert_eq!(looks, Some(3));
    }
}
