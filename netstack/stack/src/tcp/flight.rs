//! What a connection needs only while something is under way: unacknowledged, unsent, out of
//! order, unread, or a probe unanswered. Borrowed from the core's pool, returned when all is quiet.

use alloc::vec::Vec;

use penstock_wire::SeqNum;

use crate::sendqueue::SendQueue;
use crate::store::Store;

use super::ranges::Ranges;
use super::tcb::Tcb;

/// A [`Tcb`](super::Tcb) without a flight.
pub(crate) const NO_FLIGHT: u32 = u32::MAX;

/// What the retransmission timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retransmission {
    /// Nothing is outstanding.
    Idle,
    /// Something is: send it again (RFC 6298).
    Resend,
    /// The window is shut and data waits: probe it (RFC 9293 section 3.8.6.1).
    Probe,
}

/// Where loss recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No loss is known.
    Open,
    /// Fast recovery (RFC 6582, RFC 6675), until `recover` is acknowledged.
    Recovery,
    /// After a timeout: everything from `nxt` on is sent again, until `recover` is acknowledged.
    Loss,
}

/// The first two lines are all that a short connection touches, but for two counts.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Flight {
    /// Payload from `una` on: unacknowledged, then unsent.
    pub(crate) send: SendQueue,
    /// One past the highest sequence number ever sent.
    pub(crate) max: SeqNum,
    /// When what is now at `una` was first sent (or, with the window shut, first wanted to be).
    pub(crate) oldest_at: u32,
    pub(crate) timing_to: SeqNum,
    pub(crate) timing_at: u32,
    /// When the retransmission timer runs out, in milliseconds.
    pub(crate) timer_at: u32,
    /// The connection it belongs to.
    pub(crate) owner: u32,

    pub(crate) timer: Retransmission,
    /// How often the timeout has doubled since the last round trip was measured.
    pub(crate) backoff: u8,
    /// Timeouts or probes since the peer last made progress.
    pub(crate) retries: u8,
    /// Keep-alive probes that went unanswered.
    pub(crate) probes: u8,
    /// A round trip is being timed, from `timing_at` (microseconds) until `timing_to` is
    /// acknowledged; a retransmission spoils it (Karn's rule, RFC 6298 section 3).
    pub(crate) timing: bool,
    pub(crate) phase: Phase,
    /// The next retransmission is due whatever the congestion window says.
    pub(crate) resend_first: bool,
    pub(crate) duplicates: u8,
    /// It is in a row.
    pub(crate) ready: bool,
    /// It was last put among those that wait for a transmit slot.
    pub(crate) awaits_slot: bool,
    /// Neighbours in a row of the worker (`ready.rs`), or in the pool's free list.
    pub(crate) next: u32,

    // The second line.
    pub(crate) prev: u32,
    pub(crate) recover: SeqNum,
    /// Everything below was sent again in this recovery, or needs not be (RFC 6675's HighRxt).
    pub(crate) resent: SeqNum,
    /// What lies between `una` and here was sent in full segments.
    pub(crate) full: SeqNum,
    /// Received bytes the application has not taken: in order, then beyond a gap.
    pub(crate) store: Store,
    /// Bytes acknowledged that have not yet enlarged the window.
    pub(crate) credit: u32,
    /// CUBIC (RFC 9438): when this avoidance began, in milliseconds, if it has.
    pub(crate) epoch_at: Option<u32>,
    /// The sequence number of a FIN that came before the bytes in front of it.
    pub(crate) fin_at: Option<SeqNum>,
    /// The time from the beginning of this avoidance until the window is back at W_max.
    pub(crate) cubic_k_ms: u32,
    /// What Reno would have by now, in bytes.
    pub(crate) reno_estimate: u32,
    /// What we hold beyond `rcv_nxt`; its count still lies in the second line.
    pub(crate) held: Ranges,

    /// When the retransmission timer last ran out, in milliseconds.
    pub(crate) fired_at: u32,
    /// Where the last segments out of order began, the most recent first (RFC 2018 section 4).
    pub(crate) recent: [SeqNum; 3],
    /// What the peer holds beyond `una`.
    pub(crate) sacked: Ranges,
}

const _: () = assert!(core::mem::offset_of!(Flight, prev) == 64);
const _: () = assert!(core::mem::offset_of!(Flight, held) < 128);

impl Flight {
    fn blank() -> Flight {
        Flight {
            send: SendQueue::EMPTY,
            max: SeqNum(0),
            timer: Retransmission::Idle,
            timer_at: 0,
            backoff: 0,
            retries: 0,
            probes: 0,
            oldest_at: 0,
            timing: false,
            timing_to: SeqNum(0),
            timing_at: 0,
            fired_at: 0,
            phase: Phase::Open,
            resend_first: false,
            duplicates: 0,
            recover: SeqNum(0),
            resent: SeqNum(0),
            full: SeqNum(0),
            sacked: Ranges::EMPTY,
            epoch_at: None,
            cubic_k_ms: 0,
            reno_estimate: 0,
            credit: 0,
            store: Store::EMPTY,
            held: Ranges::EMPTY,
            recent: [SeqNum(0); 3],
            fin_at: None,
            next: NO_FLIGHT,
            prev: NO_FLIGHT,
            ready: false,
            awaits_slot: false,
            owner: 0,
        }
    }

    /// Begins anew for a connection at rest at `una`. The long arrays keep their old contents
    /// behind a count of 0: writing them would cost more than the rest of a short connection's
    /// bookkeeping.
    fn begin(&mut self, owner: u32, una: SeqNum) {
        self.send = SendQueue::EMPTY;
        self.max = una;
        self.timer = Retransmission::Idle;
        self.backoff = 0;
        self.retries = 0;
        self.probes = 0;
        self.timing = false;
        self.phase = Phase::Open;
        self.resend_first = false;
        self.duplicates = 0;
        self.recover = una - 1;
        self.resent = una;
        self.full = una;
        self.sacked.clear();
        self.epoch_at = None;
        self.credit = 0;
        self.store = Store::EMPTY;
        self.held.clear();
        self.fin_at = None;
        self.ready = false;
        self.owner = owner;
    }

    /// Whether the connection can do without it.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.timer == Retransmission::Idle
            && self.send.is_empty()
            && self.store.is_empty()
            && self.held.is_empty()
            && self.probes == 0
            && self.fin_at.is_none()
            && !self.ready
    }
}

/// The flights of one core. All memory is taken at construction, and written when a flight is first
/// taken.
#[derive(Debug)]
pub(crate) struct Flights {
    /// Those that were ever taken.
    records: Vec<Flight>,
    count: u32,
    free_head: u32,
    free_count: u32,
}

impl Flights {
    pub(crate) fn new(count: u32) -> Flights {
        let records = Vec::with_capacity(count as usize);
        Flights { records, count, free_head: NO_FLIGHT, free_count: count }
    }

    /// Takes a flight for connection `owner`, at rest at `una`.
    #[cfg(test)]
    pub(crate) fn alloc(&mut self, owner: u32, una: SeqNum) -> Option<u32> {
        self.take(owner, una).map(|(index, _)| index)
    }

    #[inline(always)]
    fn take(&mut self, owner: u32, una: SeqNum) -> Option<(u32, &mut Flight)> {
        if self.free_head == NO_FLIGHT {
            self.grow();
        }
        let index = self.free_head;
        let flight = self.records.get_mut(index as usize)?;
        self.free_head = flight.next;
        self.free_count -= 1;
        flight.begin(owner, una);
        Some((index, flight))
    }

    /// The flight of connection `owner`, taken from the pool if it has none.
    #[inline(always)]
    pub(crate) fn of(&mut self, tcb: &mut Tcb, owner: u32) -> Option<&mut Flight> {
        if tcb.flight == NO_FLIGHT {
            let (index, flight) = self.take(owner, tcb.una)?;
            tcb.flight = index;
            flight.backoff = tcb.kept_backoff();
            return Some(flight);
        }
        self.at_mut(tcb.flight)
    }

    /// Returns a flight; its chunks must have been freed.
    #[inline]
    pub(crate) fn release(&mut self, index: u32) {
        self.records[index as usize].next = self.free_head;
        self.free_head = index;
        self.free_count += 1;
    }

    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&Flight> {
        self.records.get(index as usize)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut Flight> {
        self.records.get_mut(index as usize)
    }

    #[inline]
    pub(crate) fn free(&self) -> u32 {
        self.free_count
    }

    pub(crate) fn used(&self) -> u32 {
        self.count - self.free_count
    }

    /// Frees a flight that was never taken, if there is one. `push` stays within what `new` reserved.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let index = self.records.len() as u32;
        if index < self.count {
            let mut flight = Flight::blank();
            flight.next = NO_FLIGHT;
            self.records.push(flight);
            self.free_head = index;
        }
    }
}
