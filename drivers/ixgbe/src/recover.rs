//! When a card must be reset: hangs and descriptors that no card writes, seen from what the queues
//! publish.

use core::fmt;

use penstock_hw::Device;
use penstock_ixgbe_regs as regs;

use crate::limits::HANG_US;
use crate::registers::Registers;
use crate::shared::Published;

/// Why a card was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every register read all ones.
    Absent,
    /// It had been reset by somebody else.
    Surprise,
    /// A reset before had failed.
    Failed,
    /// The queue could not arm its rings.
    ArmFailed {
        /// Which.
        queue: u16,
    },
    /// Sent frames were not reported done for a second, with the link up.
    TransmitHang {
        /// Which queue's.
        queue: u16,
    },
    /// The card has said for a second that it wrote frames which their descriptors do not show.
    ReceiveHang {
        /// Which queue's.
        queue: u16,
    },
    /// A receive descriptor said what no card writes.
    Descriptor {
        /// Which queue's.
        queue: u16,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Absent => f.write_str("the card did not answer"),
            Reason::Surprise => f.write_str("the card had been reset by somebody else"),
            Reason::Failed => f.write_str("a reset before had failed"),
            Reason::ArmFailed { queue } => write!(f, "queue {queue} did not start"),
            Reason::TransmitHang { queue } => write!(f, "transmit queue {queue} hung"),
            Reason::ReceiveHang { queue } => write!(f, "receive queue {queue} hung"),
            Reason::Descriptor { queue } => write!(f, "impossible descriptor in queue {queue}"),
        }
    }
}

/// What was last seen of a queue, and since when nothing has moved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    seen: Published,
    transmit: Still,
    receive: Still,
    /// The card's head was ahead of the queue when it was last asked for, and nothing has come since.
    is_behind: bool,
}

/// A direction in which nothing moves.
#[derive(Clone, Copy, Debug, Default)]
struct Still {
    since_us: u64,
    /// How far the core's turns were when that had lasted too long.
    overdue: Option<u32>,
}

impl Still {
    fn since(now_us: u64) -> Still {
        Still { since_us: now_us, overdue: None }
    }

    /// Whether it has lasted too long, and not because the core sleeps: it has had a whole turn since
    /// then, in which it would have taken back what is done. A core with work in flight takes one twice
    /// a second or more, but it may sleep in every moment in which it is looked at.
    fn is_proven(&mut self, turns: u32, now_us: u64) -> bool {
        if now_us.saturating_sub(self.since_us) < HANG_US {
            return false;
        }
        // One of them may have begun before.
        turns.wrapping_sub(*self.overdue.get_or_insert(turns)) >= 2
    }
}

impl Watch {
    /// Of a queue whose rings were armed at `now_us`.
    pub(crate) fn new(seen: Published, now_us: u64) -> Watch {
        let still = Still::since(now_us);
        Watch { seen, transmit: still, receive: still, is_behind: false }
    }

    /// Whether the queue hangs.
    pub(crate) fn look<D: Device>(
        &mut self,
        card: &Registers<D>,
        queue: u16,
        now: Published,
        receive_ring: u32,
        link_is_up: bool,
        now_us: u64,
    ) -> Option<Reason> {
        let seen = core::mem::replace(&mut self.seen, now);
        if now.impossible != seen.impossible {
            return Some(Reason::Descriptor { queue });
        }
        if now.sent == now.done || now.done != seen.done || !link_is_up {
            self.transmit = Still::since(now_us);
        } else if self.transmit.is_proven(now.turns, now_us) {
            return Some(Reason::TransmitHang { queue });
        }
        if now.received != seen.received {
            self.receive = Still::since(now_us);
            self.is_behind = false;
        } else if self.receive.is_proven(now.turns, now_us) {
            // Nothing has come for a second: asked only now, because it is a read across the bus.
            self.receive = Still::since(now_us);
            let head = card.read(regs::RDH.at(queue.into()));
            // A frame may have come since the core's last turn, and a core may wait long for a
            // processor: what the head says proves something when the turns of another second have
            // not found it.
            let was_behind = self.is_behind;
            self.is_behind = head != now.received & (receive_ring - 1);
            if was_behind && self.is_behind {
                return Some(Reason::ReceiveHang { queue });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    //! A direction stands still when the core has looked and found nothing, however seldom it looks.

    use super::*;

    #[test]
    fn a_core_that_sleeps_between_looks_proves_it_all_the_same() {
        let mut still = Still::since(0);
        // Looked at every 50 ms, the core turns once in 500 ms: it always sleeps when looked at.
        let looks = (0..200).map(|look| (look * 50_000, (look / 10) as u32));
        let proven = looks.clone().find(|&(now_us, turns)| still.is_proven(turns, now_us));
        assert_eq!(proven, Some((2_000_000, 4)));
        // One that does not turn at all proves nothing.
        let mut still = Still::since(0);
        assert!(looks.into_iter().all(|(now_us, _)| !still.is_proven(7, now_us)));
    }

    #[test]
    fn nothing_is_proven_before_its_time() {
        let mut still = Still::since(0);
        assert!((0..HANG_US).step_by(1000).all(|now_us| !still.is_proven(now_us as u32, now_us)));
        assert!(!still.is_proven(5, HANG_US));
        assert!(!still.is_proven(6, HANG_US + 1));
        assert!(still.is_proven(7, HANG_US + 2));
    }
}
