//! Where PCI configuration space lies in memory (PCI Firmware Specification 3.3, section 4.1.2).

use crate::firmware::bytes::{u8_at, u16_at, u64_at};

/// A range of buses whose configuration space is mapped: 4 KB for each function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// PCI segment group; 0 on machines with one.
    pub group: u16,
    /// Physical address of bus 0, device 0, function 0, even when bus 0 is not in the range.
    pub base: u64,
    /// First bus.
    pub bus_first: u8,
    /// Last bus.
    pub bus_last: u8,
}

/// The segments of a checked table; entries that cannot be are passed over.
pub fn read(mcfg: &[u8]) -> impl Iterator<Item = Segment> + '_ {
    let entries = mcfg.get(ENTRIES_AT..).unwrap_or_default().chunks_exact(ENTRY_BYTES);
    entries.take(SEGMENTS_MAX).filter_map(|entry| {
        let segment = Segment {
            base: u64_at(entry, 0)?,
            group: u16_at(entry, 8)?,
            bus_first: u8_at(entry, 10)?,
            bus_last: u8_at(entry, 11)?,
        };
        let end = segment.base.checked_add((u64::from(segment.bus_last) + 1) << BUS_SHIFT)?;
        let possible = segment.bus_first <= segment.bus_last
            && segment.base.is_multiple_of(1 << BUS_SHIFT)
            && segment.base != 0
            && end < PHYSICAL_END;
        possible.then_some(segment)
    })
}

/// At most this many segments are looked at.
pub const SEGMENTS_MAX: usize = 16;

/// One megabyte of configuration space for each bus.
pub const BUS_SHIFT: u32 = 20;

const ENTRIES_AT: usize = 44;
const ENTRY_BYTES: usize = 16;

/// No machine has more than 52 bits of physical address.
const PHYSICAL_END: u64 = 1 << 52;

#[cfg(test)]
mod tests {
    //! QEMU's entry is read as the crate `acpi` would; impossible ones are passed over.

    use super::*;
    use crate::firmware::acpi::tests::made;
    use std::vec::Vec;

    fn entry(base: u64, group: u16, first: u8, last: u8) -> Vec<u8> {
        let mut bytes = Vec::from(base.to_le_bytes());
        bytes.extend(group.to_le_bytes());
        bytes.extend([first, last, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn segments_are_read() {
        let body = [
            std::vec![0; 8],
            entry(0xb000_0000, 0, 0, 255),
            entry(0xb000_0001, 0, 0, 255),
            entry(0x1_0000_0000, 1, 9, 3),
            entry(u64::MAX << 20, 1, 0, 3),
            std::vec![1, 2, 3],
        ];
        let table = made(b"MCFG", &body.concat());
        let expected = Segment { group: 0, base: 0xb000_0000, bus_first: 0, bus_last: 255 };
        assert_eq!(read(&table).collect::<Vec<_>>(), [expected]);
        assert_eq!(read(&[]).count(), 0);
    }
}
