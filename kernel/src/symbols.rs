//! Names of functions, for backtraces.
//!
//! `kernel/symbols` appends the table to the image after it was linked:
//!
//! ```text
//!  0 "PNSTSYM1"  8 bytes in all  12 count  16 count times: address, offset of the name    names, 0
//! ```
//! Addresses ascend; offsets count from the beginning of the table.
#![allow(unsafe_code)]

use crate::firmware::bytes::{u32_at, until_zero};

/// A table of symbols.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbols<'t> {
    table: &'t [u8],
    count: usize,
}

impl<'t> Symbols<'t> {
    /// The table in these bytes; an empty one, if there is none.
    pub(crate) fn new(table: &'t [u8]) -> Symbols<'t> {
        let count = u32_at(table, 12).unwrap_or(0) as usize;
        let fits = count <= table.len().saturating_sub(HEAD_BYTES) / ENTRY_BYTES;
        let count = if table.starts_with(MAGIC) && fits { count } else { 0 };
        Symbols { table, count }
    }

    /// The function that this address is in, mangled as the compiler has it, and how far in.
    pub(crate) fn find(&self, address: u64) -> Option<(&'t str, u64)> {
        let address = u32::try_from(address).ok()?;
        let entry = |index: usize| HEAD_BYTES + index * ENTRY_BYTES;
        let start = |index: usize| u32_at(self.table, entry(index)).unwrap_or(0);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if start(middle) <= address { low = middle + 1 } else { high = middle }
        }
        let index = low.checked_sub(1)?;
        let name = u32_at(self.table, entry(index) + 4)? as usize;
        let name = core::str::from_utf8(until_zero(self.table.get(name..)?)).ok()?;
        Some((name, u64::from(address - start(index))))
    }
}

/// The table of this image.
pub(crate) fn embedded() -> &'static [u8] {
    #[cfg(panic = "abort")]
    {
        let head = crate::layout::symbols_start() as *const u8;
        // SAFETY: the linker script put HEAD there, last, and whoever made it longer wrote its length
        // into it, or left the 16 bytes that it is. The address comes from the linker: of HEAD itself
        // the compiler knows that it is 16 bytes long and what they are.
        unsafe {
            let bytes = head.add(8).cast::<u32>().read_volatile() as usize;
            core::slice::from_raw_parts(head, bytes)
        }
    }
    #[cfg(not(panic = "abort"))]
    &[]
}

#[cfg(panic = "abort")]
#[used]
#[unsafe(link_section = ".symbols")]
static HEAD: [u32; 4] = [u32::from_le_bytes(*b"PNST"), u32::from_le_bytes(*b"SYM1"), 16, 0];

const MAGIC: &[u8] = b"PNSTSYM1";
const HEAD_BYTES: usize = 16;
const ENTRY_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    //! An address finds the function it is in; a damaged table finds nothing and reads nothing else.

    use super::*;
    use std::vec::Vec;

    fn table() -> Vec<u8> {
        let mut table = Vec::from(MAGIC);
        table.extend(0u32.to_le_bytes());
        table.extend(2u32.to_le_bytes());
        for (address, name) in [(0x1000u32, 32u32), (0x1010, 38)] {
            table.extend(address.to_le_bytes());
            table.extend(name.to_le_bytes());
        }
        table.extend(b"first\0second\0");
        table
    }

    #[test]
    fn an_address_finds_its_function() {
        let table = table();
        let symbols = Symbols::new(&table);
        assert_eq!(symbols.find(0xfff), None);
        assert_eq!(symbols.find(0x1000), Some(("first", 0)));
        assert_eq!(symbols.find(0x100f), Some(("first", 15)));
        assert_eq!(symbols.find(0x1011), Some(("second", 1)));
        assert_eq!(symbols.find(1 << 40), None);
    }

    #[test]
    fn a_damaged_table_finds_nothing() {
        let mut damaged = table();
        damaged[12] = 200;
        assert_eq!(Symbols::new(&damaged).find(0x1000), None);
        assert_eq!(Symbols::new(&[]).find(1), None);
        let mut astray = table();
        astray[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Symbols::new(&astray).find(0x1000), None);
    }
}
