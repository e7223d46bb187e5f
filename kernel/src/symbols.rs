//! Names of functions, for backtraces.
//!
//! `kernel/symbols` appends the table to the image after it was linked:
//!
//! ```text
//!    0 "PNSTSYM2"   8 bytes in all   12 count of functions
//!   16 128 pairs of characters, which those from 128 on stand for
//!  272 count times: address, ascending      then count times: where its name begins
//!      names, each up to a zero
//! ```
//! One of a pair may be a pair again, but only an earlier one.
#![allow(unsafe_code)]

use core::fmt::{self, Write};

use crate::firmware::bytes::{u16_at, u32_at, until_zero};

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

    /// The function that this address is in, and how far in.
    pub(crate) fn find(&self, address: u64) -> Option<(Name<'t>, u64)> {
        let address = u32::try_from(address).ok()?;
        let start = |index: usize| u32_at(self.table, HEAD_BYTES + index * 4).unwrap_or(0);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if start(middle) <= address { low = middle + 1 } else { high = middle }
        }
        let index = low.checked_sub(1)?;
        let name = u16_at(self.table, HEAD_BYTES + self.count * 4 + index * 2)?;
        let name = self.table.get(HEAD_BYTES + self.count * ENTRY_BYTES + usize::from(name)..)?;
        let pairs = self.table.get(PAIRS_AT..HEAD_BYTES)?;
        Some((Name { pairs, text: until_zero(name) }, u64::from(address - start(index))))
    }
}

/// A name as people write it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'t> {
    pairs: &'t [u8],
    text: &'t [u8],
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.iter().try_for_each(|&code| spell(f, self.pairs, code))
    }
}

/// Writes what a code stands for.
fn spell(f: &mut fmt::Formatter<'_>, pairs: &[u8], code: u8) -> fmt::Result {
    let Some(pair) = code.checked_sub(FIRST_PAIR) else {
        return f.write_char(char::from(code));
    };
    let pair = pairs.iter().skip(usize::from(pair) * 2).take(2);
    // A damaged table ends here: a part is always earlier than the pair.
    pair.filter(|&&part| part < code).try_for_each(|&part| spell(f, pairs, part))
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
static HEAD: [u32; 4] = [u32::from_le_bytes(*b"PNST"), u32::from_le_bytes(*b"SYM2"), 16, 0];

const MAGIC: &[u8] = b"PNSTSYM2";
const FIRST_PAIR: u8 = 128;
const PAIRS_AT: usize = 16;
const HEAD_BYTES: usize = PAIRS_AT + 2 * 128;
const ENTRY_BYTES: usize = 4 + 2;

#[cfg(test)]
mod tests {
    //! An address finds the function it is in; a damaged table finds nothing and reads nothing else.

    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// `first` and `second`, where 128 is "st" and 129 is "r" and that.
    fn table() -> Vec<u8> {
        let mut table = Vec::from(MAGIC);
        table.extend(0u32.to_le_bytes());
        table.extend(2u32.to_le_bytes());
        let mut pairs = [0; 256];
        pairs[..4].copy_from_slice(&[b's', b't', b'r', 128]);
        table.extend(pairs);
        [0x1000u32, 0x1010].iter().for_each(|address| table.extend(address.to_le_bytes()));
        [0u16, 4].iter().for_each(|name| table.extend(name.to_le_bytes()));
        table.extend(b"fi\x81\0second\0");
        table
    }

    fn found(table: &[u8], address: u64) -> Option<(String, u64)> {
        let (name, offset) = Symbols::new(table).find(address)?;
        Some((name.to_string(), offset))
    }

    #[test]
    fn an_address_finds_its_function() {
        let table = table();
        assert_eq!(found(&table, 0xfff), None);
        assert_eq!(found(&table, 0x1000), Some(("first".into(), 0)));
        assert_eq!(found(&table, 0x100f), Some(("first".into(), 15)));
        assert_eq!(found(&table, 0x1011), Some(("second".into(), 1)));
        assert_eq!(found(&table, 1 << 40), None);
    }

    #[test]
    fn a_damaged_table_finds_nothing() {
        let mut damaged = table();
        damaged[12] = 200;
        assert_eq!(found(&damaged, 0x1000), None);
        assert_eq!(found(&[], 1), None);
        let mut astray = table();
        astray[HEAD_BYTES + 8..HEAD_BYTES + 10].copy_from_slice(&u16::MAX.to_le_bytes());
        assert_eq!(found(&astray, 0x1000), None);
    }

    #[test]
    fn a_pair_of_itself_ends() {
        let mut endless = table();
        endless[PAIRS_AT + 3] = 129;
        assert_eq!(found(&endless, 0x1000), Some(("fir".into(), 0)));
    }
}
