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
    /// The card says that it has written frames which their descriptors do not show, for a second.
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
    transmit_us: u64,
    receive_us: u64,
}

impl Watch {
    /// Of a queue whose rings were armed at `now_us`.
    pub(crate) fn new(seen: Published, now_us: u64) -> Watch {
        Watch { seen, transmit_us: now_us, receive_us: now_us }
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
        // A core that sleeps takes nothing back, and nothing is wrong with that.
        let is_awake = now.turns != seen.turns;
        let moves = now.sent == now.done || now.done != seen.done;
        if moves || !is_awake || !link_is_up {
            self.transmit_us = now_us;
        } else if now_us - self.transmit_us >= HANG_US {
            return Some(Reason::TransmitHang { queue });
        }
        if now.received != seen.received || !is_awake {
            self.receive_us = now_us;
        } else if now_us - self.receive_us >= HANG_US {
            // Nothing has come for a second: asked only now, because it is a read across the bus.
            self.receive_us = now_us;
            let head = card.read(regs::RDH.at(queue.into()));
            if head != now.received & (receive_ring - 1) {
                return Some(Reason::ReceiveHang { queue });
            }
        }
        None
    }
}
