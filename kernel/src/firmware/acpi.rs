//! ACPI tables: found, checked, and read into numbers.
//!
//! To have read: ACPI 6.5, sections 5.2.5 to 5.2.12, and the PCI Firmware Specification 3.3, 4.1.2
//! (MCFG). [`find`] follows the root pointer once and hands out tables whose length and checksum
//! are right; the readers below take such a table's bytes.
//!
//! The crate `acpi` reads the same tables in our tests, as a second opinion. It is not in the image:
//! it believes the lengths it reads, so that a MADT with an empty entry keeps its iterator turning
//! for ever.

pub mod fadt;
pub mod madt;
pub mod mcfg;

use super::Physical;
use super::bytes::{u32_at, u64_at};

/// The bytes of a root pointer since ACPI 2.0; before, it was 20.
pub const RSDP_BYTES: usize = 36;

/// The tables that we read, checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables<'m> {
    /// Multiple APIC Description Table: the cores.
    pub madt: Option<&'m [u8]>,
    /// Where the PCI configuration spaces are.
    pub mcfg: Option<&'m [u8]>,
    /// Fixed ACPI Description Table: power button, reset, sleep.
    pub fadt: Option<&'m [u8]>,
    /// High Precision Event Timer.
    pub hpet: Option<&'m [u8]>,
    /// Differentiated System Description Table, for the one object of it that we need.
    pub dsdt: Option<&'m [u8]>,
    /// Tables that were named but are not what they should be: left out.
    pub refused: u32,
}

/// Follows the root pointer.
///
/// # Errors
/// One sentence: why no table can be found at all.
pub fn find<'m>(memory: &'m impl Physical, rsdp: &[u8]) -> Result<Tables<'m>, &'static str> {
    let head = rsdp.get(..RSDP_HEAD_BYTES).filter(|head| sum(head) == 0);
    let head = head.ok_or("ACPI: the root pointer's checksum is wrong")?;
    if !head.starts_with(b"RSD PTR ") {
        return Err("ACPI: the root pointer has another signature");
    }
    let extended = rsdp.get(..RSDP_BYTES).filter(|all| head[15] >= 2 && sum(all) == 0);
    let xsdt = extended.and_then(|all| u64_at(all, 24)).filter(|&address| address != 0);
    let (address, signature, width) = match xsdt {
        Some(xsdt) => (xsdt, b"XSDT", 8),
        None => (u32_at(head, 16).unwrap_or(0).into(), b"RSDT", 4),
    };
    let root = table(memory, address).ok_or("ACPI: the root table is not where it should be")?;
    if !root.starts_with(signature) {
        return Err("ACPI: the root table has another signature");
    }
    let mut tables = Tables::default();
    for pointer in root[HEADER_BYTES..].chunks_exact(width).take(TABLES_MAX) {
        let address = match width {
            8 => u64_at(pointer, 0),
            _ => u32_at(pointer, 0).map(u64::from),
        };
        match address.and_then(|address| table(memory, address)) {
            Some(table) => tables.take(table),
            None => tables.refused += 1,
        }
    }
    if let Some(address) = tables.fadt.and_then(fadt::dsdt_address) {
        tables.dsdt = table(memory, address).filter(|dsdt| dsdt.starts_with(b"DSDT"));
        tables.refused += u32::from(tables.dsdt.is_none());
    }
    Ok(tables)
}

impl<'m> Tables<'m> {
    /// Keeps a table that we read; the first of each kind counts.
    fn take(&mut self, table: &'m [u8]) {
        let place = match &table[..4] {
            b"APIC" => &mut self.madt,
            b"MCFG" => &mut self.mcfg,
            b"FACP" => &mut self.fadt,
            b"HPET" => &mut self.hpet,
            _ => return,
        };
        place.get_or_insert(table);
    }
}

/// Where the root pointer is when no loader says so: on a 16-byte boundary below one megabyte.
pub fn search(area: &[u8]) -> Option<&[u8]> {
    area.chunks_exact(16).enumerate().find_map(|(index, start)| {
        let all = area.get(index * 16..)?;
        let head = all.get(..RSDP_HEAD_BYTES)?;
        (start.starts_with(b"RSD PTR ") && sum(head) == 0)
            .then(|| &all[..RSDP_BYTES.min(all.len())])
    })
}

/// The address of an HPET's registers: in memory, or nothing.
pub fn hpet_address(hpet: &[u8]) -> Option<u64> {
    let in_memory = hpet.get(40).is_some_and(|&space| space == 0);
    u64_at(hpet, 44).filter(|&address| in_memory && address != 0)
}

/// A whole table, when its length is possible and its bytes add up to zero.
fn table(memory: &impl Physical, address: u64) -> Option<&[u8]> {
    let length = u32_at(memory.bytes(address, HEADER_BYTES)?, 4)? as usize;
    if !(HEADER_BYTES..=TABLE_MAX).contains(&length) {
        return None;
    }
    memory.bytes(address, length).filter(|table| sum(table) == 0)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

const RSDP_HEAD_BYTES: usize = 20;

/// Signature, length, revision, checksum, and who made it.
const HEADER_BYTES: usize = 36;

/// The largest DSDTs of servers are some hundred kilobytes.
const TABLE_MAX: usize = 4 << 20;

/// More tables than this are not looked at.
const TABLES_MAX: usize = 256;

#[cfg(test)]
pub(crate) mod tests {
    //! Tables are found through both kinds of root, and one that is damaged is left out.

    use super::*;
    use crate::firmware::fuzz::Island;
    use std::vec::Vec;

    /// A table with its header and a right checksum.
    pub(crate) fn made(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut table = Vec::from(*signature);
        table.extend((HEADER_BYTES as u32 + body.len() as u32).to_le_bytes());
        table.extend([1, 0]);
        table.extend(b"BOCHS BXPC    ");
        table.resize(HEADER_BYTES, 0);
        table.extend(body);
        table[9] = sum(&table).wrapping_neg();
        table
    }

    /// Memory with tables at multiples of 0x100, and a root pointer of this revision to them.
    pub(crate) fn machine(revision: u8, tables: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let mut memory = std::vec![0; 0x100 * (tables.len() + 2)];
        let address = |index: usize| BASE + 0x100 * (index as u64 + 1);
        let list: Vec<u8> = (0..tables.len())
            .flat_map(|index| match revision {
                0 => Vec::from((address(index) as u32).to_le_bytes()),
                _ => Vec::from(address(index).to_le_bytes()),
            })
            .collect();
        let root = made(if revision == 0 { b"RSDT" } else { b"XSDT" }, &list);
        memory[..root.len()].copy_from_slice(&root);
        for (index, table) in tables.iter().enumerate() {
            let at = 0x100 * (index + 1);
            memory[at..at + table.len()].copy_from_slice(table);
        }
        let mut rsdp = Vec::from(*b"RSD PTR \0BOCHS ");
        rsdp.push(revision);
        rsdp.extend((BASE as u32).to_le_bytes());
        rsdp[8] = sum(&rsdp).wrapping_neg();
        rsdp.extend(36u32.to_le_bytes());
        rsdp.extend(BASE.to_le_bytes());
        rsdp.resize(RSDP_BYTES, 0);
        rsdp[32] = sum(&rsdp).wrapping_neg();
        (memory, rsdp)
    }

    pub(crate) const BASE: u64 = 0x7f_0000;

    #[test]
    fn tables_are_found_through_both_roots() {
        for revision in [0, 2] {
            let (bytes, rsdp) = machine(revision, &[made(b"APIC", &[0; 8]), made(b"MCFG", &[1])]);
            let memory = Island { base: BASE, bytes: &bytes };
            let tables = find(&memory, &rsdp).expect("a root");
            assert!(tables.madt.is_some() && tables.mcfg.is_some() && tables.fadt.is_none());
            assert_eq!(tables.refused, 0);
        }
    }

    #[test]
    fn a_damaged_table_is_left_out() {
        let (mut bytes, rsdp) = machine(2, &[made(b"APIC", &[0; 8]), made(b"MCFG", &[1])]);
        bytes[0x100 + 40] ^= 1;
        bytes[0x200 + 4] = 0xff;
        let memory = Island { base: BASE, bytes: &bytes };
        let tables = find(&memory, &rsdp).expect("a root");
        assert!(tables.madt.is_none() && tables.mcfg.is_none());
        assert_eq!(tables.refused, 2);
    }

    #[test]
    fn a_damaged_root_is_refused() {
        let (bytes, rsdp) = machine(2, &[]);
        let memory = Island { base: BASE, bytes: &bytes };
        let mut damaged = rsdp.clone();
        damaged[0] = b'X';
        assert!(find(&memory, &damaged).is_err());
        assert!(find(&memory, &rsdp[..10]).is_err());
        assert!(find(&Island { base: 0, bytes: &bytes }, &rsdp).is_err());
    }

    #[test]
    fn the_root_pointer_is_searched_for() {
        let (_, rsdp) = machine(2, &[]);
        let mut area = std::vec![0; 256];
        area[48..84].copy_from_slice(&rsdp);
        assert_eq!(search(&area), Some(&rsdp[..]));
        area[49] = 0;
        assert_eq!(search(&area), None);
    }

    #[test]
    fn an_hpet_outside_memory_is_none() {
        let mut body = [0u8; 20];
        body[8..12].copy_from_slice(&0xfed0_0000u32.to_le_bytes());
        assert_eq!(hpet_address(&made(b"HPET", &body)), Some(0xfed0_0000));
        body[4] = 1;
        assert_eq!(hpet_address(&made(b"HPET", &body)), None);
        assert_eq!(hpet_address(&made(b"HPET", &[])), None);
    }
}
