//! The registers, bits and descriptors of the Intel 82599 that Penstock uses, in one table.
//!
//! Two crates read it: the driver writes these registers, the emulated card answers them. Sharing
//! one table means that a wrong offset would be wrong on both sides and no test of ours would see
//! it; what keeps the table honest is that drivers written by others run on the emulated card.
//!
//! ```text
//!   registers.rs    name, datasheet section, offset (and how often and how far apart it repeats)
//!   bits.rs         one module of constants per register that has fields
//!   descriptor.rs   the 16-byte receive and transmit descriptors, bit by bit
//! ```
//!
//! Sections are those of the *Intel 82599 10 GbE Controller Datasheet*. Where a section names a
//! whole group (`8.2.3.23`, statistics), its registers are found there by name.
#![no_std]

/// A module of constants: masks in place, shifts, values.
macro_rules! fields {
    ($(#[$doc:meta])* $register:ident { $($name:ident = $value:expr, $meaning:literal;)+ }) => {
        $(#[$doc])*
        pub mod $register {
            $(#[doc = $meaning] pub const $name: u32 = $value;)+
        }
    };
}

pub mod bits;
pub mod descriptor;
mod registers;

pub use registers::*;

/// The offset of one 32-bit register in BAR 0, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reg(pub u32);

/// A register that repeats: once per queue, vector, filter or table word.
///
/// Receive queue registers come in two halves: queues 0 to 63 below `0x2000`, queues 64 to 127 at
/// `0xD000`. Every other array is one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegArray {
    first: u32,
    stride: u32,
    count: u32,
    /// Where element 64 lies, for the arrays in two halves.
    upper: Option<u32>,
}

impl RegArray {
    /// `count` registers, `stride` bytes apart, from `first` on.
    pub const fn new(first: u32, stride: u32, count: u32) -> RegArray {
        RegArray { first, stride, count, upper: None }
    }

    /// A receive queue register: 128 of them in two halves.
    pub const fn halves(first: u32, upper: u32) -> RegArray {
        RegArray { first, stride: 0x40, count: 128, upper: Some(upper) }
    }

    /// How many there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The register of element `index`. An index out of range wraps, so that no arithmetic on a
    /// hostile index can leave the array.
    pub const fn at(&self, index: u32) -> Reg {
        let index = index % self.count;
        match self.upper {
            Some(upper) if index >= 64 => Reg(upper + (index - 64) * self.stride),
            _ => Reg(self.first + index * self.stride),
        }
    }

    /// Which element `reg` is, if it is one.
    pub const fn index_of(&self, reg: Reg) -> Option<u32> {
        if let Some(upper) = self.upper {
            if let Some(index) = run_index(reg.0, upper, self.stride, self.count - 64) {
                return Some(index + 64);
            }
            return run_index(reg.0, self.first, self.stride, 64);
        }
        run_index(reg.0, self.first, self.stride, self.count)
    }

    /// Whether `reg` is an element.
    pub const fn holds(&self, reg: Reg) -> bool {
        self.index_of(reg).is_some()
    }
}

/// The index of `offset` in a run of `count` registers, if it lies on one.
const fn run_index(offset: u32, first: u32, stride: u32, count: u32) -> Option<u32> {
    if offset < first || !(offset - first).is_multiple_of(stride) {
        return None;
    }
    let index = (offset - first) / stride;
    if index < count { Some(index) } else { None }
}

/// One line of the table, for those who walk it (a register dump, the emulated card's storage).
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The datasheet's name.
    pub name: &'static str,
    /// The datasheet's section.
    pub section: &'static str,
    /// Where it lies; single registers are arrays of one.
    pub array: RegArray,
}

/// The line of the table that `reg` belongs to.
pub fn entry(reg: Reg) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.array.holds(reg))
}

/// Receive queues of a port.
pub const RX_QUEUES: u32 = 128;

/// Transmit queues of a port.
pub const TX_QUEUES: u32 = 128;

/// MSI-X vectors of the physical function.
pub const VECTORS: u32 = 64;

/// Bytes of BAR 0.
pub const BAR0_BYTES: u32 = 0x20000;

/// PCI vendor of the card.
pub const VENDOR: u16 = 0x8086;

/// PCI device of the physical function with SFP+ cages (82599ES).
pub const DEVICE_PF: u16 = 0x10FB;

#[cfg(test)]
mod tests {
    //! Proves that the table has no two registers at one offset, that arrays find their elements
    //! and that nothing lies outside BAR 0.
    use super::*;

    #[test]
    fn no_two_lines_share_an_offset() {
        let mut owner = [0usize; BAR0_BYTES as usize / 4];
        for reserved in RESERVED {
            for index in 0..reserved.count() {
                assert!(entry(reserved.at(index)).is_none(), "{:?}", reserved.at(index));
            }
        }
        for (line, entry) in TABLE.iter().enumerate() {
            for index in 0..entry.array.count() {
                let Reg(offset) = entry.array.at(index);
                assert!(
                    offset < BAR0_BYTES && offset % 4 == 0,
                    "{} lies at {offset:#x}",
                    entry.name
                );
                let slot = &mut owner[offset as usize / 4];
                assert_eq!(
                    *slot,
                    0,
                    "{} shares {offset:#x} with {}",
                    entry.name,
                    TABLE[slot.wrapping_sub(1)].name
                );
                *slot = line + 1;
            }
        }
    }

    #[test]
    fn an_array_finds_its_elements_and_no_others() {
        for entry in TABLE {
            for index in 0..entry.array.count() {
                assert_eq!(
                    entry.array.index_of(entry.array.at(index)),
                    Some(index),
                    "{}",
                    entry.name
                );
            }
            assert_eq!(entry.array.index_of(Reg(entry.array.at(0).0 + 1)), None);
            assert_eq!(
                entry.array.at(entry.array.count()),
                entry.array.at(0),
                "an index out of range wraps"
            );
        }
    }

    #[test]
    fn receive_queues_come_in_two_halves() {
        assert_eq!(RDT.at(0), Reg(0x01018));
        assert_eq!(RDT.at(63), Reg(0x01FD8));
        assert_eq!(RDT.at(64), Reg(0x0D018));
        assert_eq!(RDT.at(127), Reg(0x0DFD8));
        assert_eq!(entry(Reg(0x0DFD8)).map(|entry| entry.name), Some("RDT"));
        assert!(entry(Reg(0x1FFFC)).is_none());
    }
}
