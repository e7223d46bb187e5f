//! Descriptor rings: what of a ring belongs to the card (7.1.9, 7.2.3.3).

use crate::storage::Storage;
use penstock_ixgbe_regs::{self as regs, RegArray, descriptor};

/// A descriptor ring whose head and tail lie inside it.
///
/// ```text
///   0 ......... head ......... tail ......... count
///   software's   | the card's   | software's
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    base: u64,
    pub(crate) count: u32,
    pub(crate) head: u32,
    pub(crate) tail: u32,
}

/// The registers of one direction.
pub(crate) struct Registers {
    base_low: RegArray,
    base_high: RegArray,
    length: RegArray,
    head: RegArray,
    tail: RegArray,
}

/// The registers of receive rings.
pub(crate) const RECEIVE: Registers = Registers {
    base_low: regs::RDBAL,
    base_high: regs::RDBAH,
    length: regs::RDLEN,
    head: regs::RDH,
    tail: regs::RDT,
};

/// The registers of transmit rings.
pub(crate) const TRANSMIT: Registers = Registers {
    base_low: regs::TDBAL,
    base_high: regs::TDBAH,
    length: regs::TDLEN,
    head: regs::TDH,
    tail: regs::TDT,
};

impl Ring {
    /// The ring of `queue` as its registers stand; `None` if head or tail lie outside of it.
    pub(crate) fn new(storage: &Storage, registers: &Registers, queue: u32) -> Option<Ring> {
        let at = |array: &RegArray| storage.at(array.at(queue));
        let count = at(&registers.length) / descriptor::BYTES as u32;
        let (head, tail) = (at(&registers.head), at(&registers.tail));
        let base = u64::from(at(&registers.base_high)) << 32 | u64::from(at(&registers.base_low));
        (head < count && tail < count).then_some(Ring { base, count, head, tail })
    }

    /// Descriptors that belong to the card.
    pub(crate) fn available(&self) -> u32 {
        (self.tail + self.count - self.head) % self.count
    }

    /// Bus address of descriptor `index`.
    pub(crate) fn address(&self, index: u32) -> u64 {
        self.base.wrapping_add(u64::from(index) * descriptor::BYTES as u64)
    }
}
