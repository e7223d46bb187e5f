//! Messages for cores that sleep: one vector per queue pair, one for everything else (7.3).
//!
//! ```text
//!   frame ──▶ cause ──▶ masked? ──▶ message, and the mask closes by itself (EIAM)
//!                          ▲
//!   core about to sleep ───┘ opens its own mask (EIMS); a cause that came meanwhile fires at once
//! ```
//! A core that polls never opens its mask, so it is never interrupted.

use penstock_hw::Device;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{eicr, eitr, gpie, ivar};

use crate::config::Interrupts;
use crate::registers::Registers;

/// The vector of everything that is no queue.
pub(crate) const OTHER_VECTOR: u32 = regs::VECTORS - 1;

/// The vector of queue pair `queue`. Beyond 63 queues share them: a core may wake for another's
/// frame.
pub(crate) const fn vector_of(queue: u16) -> u32 {
    queue as u32 % OTHER_VECTOR
}

/// No message, no cause pending.
pub(crate) fn disable<D: Device>(card: &Registers<D>) {
    card.write(regs::EIMC, !0 >> 1);
    card.fill(regs::EIMC_EX, !0);
    card.read(regs::EICR);
}

/// Assigns vectors and opens the mask of what is no queue; each queue opens its own.
pub(crate) fn enable<D: Device>(card: &Registers<D>, queues: u16, interrupts: Interrupts) {
    card.write(regs::GPIE, gpie::MSIX | gpie::OCD | gpie::EIAME | gpie::PBA);
    for pair in 0..queues.div_ceil(2) {
        let entry = |queue: u16| {
            let vector = (vector_of(queue) | ivar::VALID) * (queue < queues) as u32;
            // Receive alone: a sleeping core has nothing to do for a frame that was sent.
            vector & 0xFF
        };
        let (even, odd) = (entry(pair * 2), entry(pair * 2 + 1));
        card.write(regs::IVAR.at(pair.into()), even | odd << 16);
    }
    card.write(regs::IVAR_MISC, (OTHER_VECTOR | ivar::VALID) << 8);
    let units = (u64::from(interrupts.moderation_us) * 1000 / NS_PER_UNIT) as u32;
    let interval = units.min(eitr::INTERVAL_MASK) << eitr::INTERVAL_SHIFT;
    for vector in 0..regs::VECTORS {
        let throttle = match vector {
            0..24 => regs::EITR.at(vector),
            _ => regs::EITR_HIGH.at(vector - 24),
        };
        card.write(throttle, interval | eitr::CNT_WDIS);
    }
    card.write(regs::EIAC, eicr::RTXQ);
    card.fill(regs::EIAM_EX, !0);
    card.read(regs::EICR);
    card.write(regs::EIMS, eicr::LSC | eicr::SDP2 | eicr::ECC);
}

/// Sends every queue's message once, whatever its core has asked for.
pub(crate) fn wake_all<D: Device>(card: &Registers<D>) {
    // Not the last vector, whose mask is another's.
    card.write(regs::EIMS_EX.at(0), !0);
    card.write(regs::EIMS_EX.at(1), !0 >> 1);
    card.write(regs::EICS_EX.at(0), !0);
    card.write(regs::EICS_EX.at(1), !0 >> 1);
}

/// The units of EITR at 1 and 10 Gb/s.
const NS_PER_UNIT: u64 = 2048;
