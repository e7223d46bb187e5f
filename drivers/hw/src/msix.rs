//! The MSI-X table: which message each vector of a function sends.
//!
//! To have read: PCI Local Bus 3.0 section 6.8.2.

use crate::Mmio;

/// A function's MSI-X table. All vectors are masked until they are routed.
#[derive(Debug)]
pub struct Msix<T> {
    table: T,
    vectors: u16,
}

/// A message: where it is written and what. The kernel knows which address and data reach a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Address, a multiple of four.
    pub address: u64,
    /// Data.
    pub data: u32,
}

impl<T: Mmio> Msix<T> {
    /// The table in the window `table`, which holds 16 bytes for each of `vectors`.
    pub fn new(table: T, vectors: u16) -> Msix<T> {
        let msix = Msix { table, vectors };
        (0..vectors).for_each(|vector| msix.mask(vector));
        msix
    }

    /// How many vectors there are.
    pub fn vectors(&self) -> u16 {
        self.vectors
    }

    /// Vector `vector` sends `message` from now on; false if there is no such vector.
    pub fn route(&self, vector: u16, message: Message) -> bool {
        if vector >= self.vectors {
            return false;
        }
        // The entry must not change while it is open.
        self.mask(vector);
        let at = entry(vector);
        self.table.write32(at, message.address as u32);
        self.table.write32(at + 4, (message.address >> 32) as u32);
        self.table.write32(at + 8, message.data);
        self.table.write32(at + CONTROL, 0);
        true
    }

    /// Vector `vector` is silent; what it would have said stays pending.
    pub fn mask(&self, vector: u16) {
        if vector < self.vectors {
            self.table.write32(entry(vector) + CONTROL, MASKED);
        }
    }
}

fn entry(vector: u16) -> u32 {
    u32::from(vector) * 16
}

const CONTROL: u32 = 12;
const MASKED: u32 = 1;

#[cfg(test)]
mod tests {
    //! Proves the layout of the table, and that an entry is masked while it changes.
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::cell::RefCell;

    struct Table(RefCell<Vec<(u32, u32)>>);

    impl Mmio for Table {
        fn read32(&self, _offset: u32) -> u32 {
            0
        }

        fn write32(&self, offset: u32, value: u32) {
            self.0.borrow_mut().push((offset, value));
        }
    }

    #[test]
    fn entries_are_written_while_masked() {
        let msix = Msix::new(Table(RefCell::new(vec![])), 3);
        assert_eq!(msix.table.0.take(), [(12, 1), (28, 1), (44, 1)]);
        assert!(msix.route(2, Message { address: 0x1_FEE0_1000, data: 0x31 }));
        let written = [(44, 1), (32, 0xFEE0_1000), (36, 1), (40, 0x31), (44, 0)];
        assert_eq!(msix.table.0.take(), written);
        assert!(!msix.route(3, Message { address: 0, data: 0 }));
        assert_eq!(msix.table.0.take(), []);
    }
}
