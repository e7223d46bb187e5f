//! The link of a card with SFP+ cages (3.7.4, 8.2.3.22).

use core::fmt;

use penstock_hw::Device;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{autoc, autoc2, esdp, links};

use crate::registers::Registers;

/// The link as the card sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing to be heard.
    Down,
    /// Up, at so many megabits a second.
    Up {
        /// 100, 1000 or 10000.
        mbps: u32,
    },
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Down => f.write_str("down"),
            Link::Up { mbps: 10_000 } => f.write_str("up, 10 Gb/s"),
            Link::Up { mbps: 1_000 } => f.write_str("up, 1 Gb/s"),
            Link::Up { mbps } => write!(f, "up, {mbps} Mb/s"),
        }
    }
}

/// Turns the laser on and starts the link: 10 Gb/s serial, as SFP+ modules and direct cables want
/// it. The module's analog settings were loaded from the EEPROM at power-up.
pub(crate) fn start<D: Device>(card: &Registers<D>) {
    card.change(regs::ESDP, esdp::SDP3, 0);
    card.change(regs::AUTOC2, autoc2::LINK_DISABLE | PMA_MASK, PMA_SFI);
    let mode = LMS_10G_SERIAL << autoc::LMS_SHIFT;
    card.change(
        regs::AUTOC,
        autoc::LMS_MASK << autoc::LMS_SHIFT | autoc::FLU,
        mode | autoc::AN_RESTART,
    );
}

/// Turns the laser off, so that the far end sees the link fall.
pub(crate) fn stop<D: Device>(card: &Registers<D>) {
    card.change(regs::ESDP, 0, esdp::SDP3);
}

/// The link at this moment.
pub(crate) fn read_link<D: Device>(card: &Registers<D>) -> Link {
    let value = card.read(regs::LINKS);
    if value == !0 || value & links::UP == 0 {
        return Link::Down;
    }
    let mbps = match value >> links::SPEED_SHIFT & 3 {
        1 => 100,
        2 => 1_000,
        // Two bits; the fourth value is reserved and no driver has seen it.
        _ => 10_000,
    };
    Link::Up { mbps }
}

/// AUTOC.LMS: 10 Gb/s serial.
const LMS_10G_SERIAL: u32 = 3;
/// AUTOC2: how 10 Gb/s serial is carried.
const PMA_MASK: u32 = 3 << 16;
const PMA_SFI: u32 = 2 << 16;
