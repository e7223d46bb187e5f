//! Stacks, each with a page below it that is in no table.
//!
//! They lie far above all memory, in slots of one megabyte, so that the address of a fault says
//! whose stack it was:
//!
//! ```text
//!  BASE + (core * 7 + kind) MB:  |---- not mapped ----|### stack ###|
//! ```
//! Core 0 runs on the boot stack, in the image, with a guard page of its own.

use core::ops::Range;

use crate::firmware::acpi::madt::CORES_MAX;
use crate::{layout, paging};

/// What a stack is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The core's own loop.
    Main,
    /// One for each event that may come while another stack is in an unknown state.
    Nmi,
    DoubleFault,
    MachineCheck,
    PageFault,
    /// All other exceptions: they end in a stop, and never nest.
    Exception,
    /// All interrupts: they are off while one runs.
    Interrupt,
}

impl Kind {
    /// All of them, in the order of their slots.
    pub(crate) const ALL: [Kind; 7] = [
        Kind::Main,
        Kind::Nmi,
        Kind::DoubleFault,
        Kind::MachineCheck,
        Kind::PageFault,
        Kind::Exception,
        Kind::Interrupt,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Main => "its own",
            Kind::Nmi => "NMI",
            Kind::DoubleFault => "double fault",
            Kind::MachineCheck => "machine check",
            Kind::PageFault => "page fault",
            Kind::Exception => "exception",
            Kind::Interrupt => "interrupt",
        }
    }

    fn bytes(self) -> u64 {
        match self {
            Kind::Main => 256 << 10,
            _ => 16 << 10,
        }
    }
}

/// Where the slots begin.
pub(crate) const BASE: u64 = 0x6000_0000_0000;

/// Maps a stack; its top.
pub(crate) fn map(core: usize, kind: Kind) -> Result<u64, &'static str> {
    let range = range(core, kind);
    paging::map_fresh(range.clone())?;
    Ok(range.end)
}

/// Core and name of the stack that ran into this address, below it.
pub(crate) fn overflowed(address: u64) -> Option<(usize, &'static str)> {
    let boot = layout::boot_stack();
    if (boot.start.saturating_sub(layout::PAGE_BYTES)..boot.start).contains(&address) {
        return Some((0, Kind::Main.name()));
    }
    let (core, kind) = slot(address)?;
    (address < range(core, kind).start).then(|| (core, kind.name()))
}

/// Whether eight bytes at this address are on some stack, so that a backtrace may read them.
pub(crate) fn contain(address: u64) -> bool {
    let inside = |range: Range<u64>| range.start <= address && address <= range.end - 8;
    inside(layout::boot_stack())
        || slot(address)
            .is_some_and(|(core, kind)| core < crate::cores::count() && inside(range(core, kind)))
}

fn range(core: usize, kind: Kind) -> Range<u64> {
    let end = BASE + (core * Kind::ALL.len() + kind as usize + 1) as u64 * SLOT_BYTES;
    end - kind.bytes()..end
}

fn slot(address: u64) -> Option<(usize, Kind)> {
    let slot = (address.checked_sub(BASE)? / SLOT_BYTES) as usize;
    let core = slot / Kind::ALL.len();
    (core < CORES_MAX).then(|| (core, Kind::ALL[slot % Kind::ALL.len()]))
}

const SLOT_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    //! An address below a stack names its core and purpose; one on it does not.

    use super::*;

    #[test]
    fn a_guard_page_says_whose_it_is() {
        for core in [0, 1, CORES_MAX - 1] {
            for kind in Kind::ALL {
                let stack = range(core, kind);
                assert_eq!(overflowed(stack.start - 1), Some((core, kind.name())));
                assert_eq!(overflowed(stack.start), None);
                assert_eq!(overflowed(stack.end - 1), None);
            }
        }
        assert_eq!(overflowed(BASE - 1), None);
        assert_eq!(overflowed(range(CORES_MAX, Kind::Main).start - 1), None);
    }
}
