//! The PVH boot protocol: Xen's `hvm_start_info`, version 0 and 1.
//!
//! To have read: "x86/HVM direct boot ABI" and `start_info.h` of Xen's public headers.
//!
//! ```text
//!  0 magic  4 version  8 flags  12 modules  16 module list  24 command line  32 RSDP
//! 40 memory map  48 its entries  52 reserved                            (version 1 and later)
//! ```

use super::Physical;
use super::bytes::{u32_at, u64_at, until_zero};
use super::handover::{Handover, Loader, Module};

/// Reads the structure at this address.
///
/// # Errors
/// One sentence: what is not as the protocol says.
pub fn read(memory: &impl Physical, address: u64) -> Result<Handover<'_>, &'static str> {
    let info = memory.bytes(address, INFO_BYTES).ok_or("PVH: no start info at its address")?;
    if u32_at(info, 0) != Some(MAGIC) {
        return Err("PVH: the start info has another magic number");
    }
    if u32_at(info, 4).is_none_or(|version| version == 0) {
        return Err("PVH: the start info has no memory map (version 0)");
    }
    let pointer = |at| u64_at(info, at).filter(|&address| address != 0);
    let mut handover = Handover::new(Loader::Pvh);
    handover.command_line = pointer(24).map_or(&[], |at| text(memory, at));
    handover.rsdp = pointer(32).and_then(|at| memory.bytes(at, super::acpi::RSDP_BYTES));
    let modules = u32_at(info, 12).unwrap_or(0);
    if let Some(list) = pointer(16) {
        read_modules(memory, list, modules, &mut handover);
    }
    let entries = u32_at(info, 48).unwrap_or(0) as usize;
    let map = pointer(40)
        .and_then(|at| memory.bytes(at, entries.checked_mul(ENTRY_BYTES)?))
        .ok_or("PVH: no memory map at its address")?;
    handover.read_map(
        map.chunks_exact(ENTRY_BYTES)
            .filter_map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?, u32_at(entry, 16)?))),
    );
    Ok(handover)
}

fn read_modules<'m>(memory: &'m impl Physical, list: u64, count: u32, handover: &mut Handover<'m>) {
    for index in 0..count.min(super::handover::MODULES_MAX as u32) {
        let Some(at) = list.checked_add(u64::from(index) * MODULE_BYTES as u64) else { return };
        let Some(entry) = memory.bytes(at, MODULE_BYTES) else { return };
        let fields = (u64_at(entry, 0), u64_at(entry, 8), u64_at(entry, 16));
        let (Some(start), Some(bytes), Some(words)) = fields else { return };
        let words = if words == 0 { &[] } else { text(memory, words) };
        handover.add_module(Module { at: start..start.saturating_add(bytes), words });
    }
}

/// Text that ends with a zero byte; what is longer than Linux allows is cut. Memory may end within
/// the longest allowed text, so it is taken in pieces.
fn text(memory: &impl Physical, at: u64) -> &[u8] {
    let longest = (1..=TEXT_MAX).rev().step_by(TEXT_STEP);
    longest.filter_map(|bytes| memory.bytes(at, bytes)).map(until_zero).next().unwrap_or(&[])
}

const MAGIC: u32 = 0x336e_c578;
const INFO_BYTES: usize = 56;
const MODULE_BYTES: usize = 32;
const ENTRY_BYTES: usize = 24;

/// Linux's limit for a command line on x86.
const TEXT_MAX: usize = 2048;
const TEXT_STEP: usize = 64;

#[cfg(test)]
mod tests {
    //! A start info as QEMU writes it is read; each damaged one is refused with its sentence.

    use super::*;
    use crate::firmware::fuzz::Island;
    use std::vec::Vec;

    const BASE: u64 = 0x1000;

    fn start_info() -> Vec<u8> {
        let mut bytes = std::vec![0u8; 0x400];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &MAGIC.to_le_bytes());
        put(4, &1u32.to_le_bytes());
        put(12, &1u32.to_le_bytes());
        put(16, &(BASE + 0x100).to_le_bytes());
        put(24, &(BASE + 0x140).to_le_bytes());
        put(40, &(BASE + 0x200).to_le_bytes());
        put(48, &3u32.to_le_bytes());
        put(0x100, &0x9000u64.to_le_bytes());
        put(0x108, &0x20u64.to_le_bytes());
        put(0x140, b"console=ttyS0 -- boot\0");
        let map =
            [(0u64, 0x9_fc00u64, 1u32), (0x10_0000, 0x3ee_0000, 1), (0x3fe_0000, 0x2_0000, 3)];
        for (index, (base, length, kind)) in map.into_iter().enumerate() {
            let at = 0x200 + index * ENTRY_BYTES;
            put(at, &base.to_le_bytes());
            put(at + 8, &length.to_le_bytes());
            put(at + 16, &kind.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_start_info_is_read() {
        let bytes = start_info();
        let memory = Island { base: BASE, bytes: &bytes };
        let handover = read(&memory, BASE).expect("as the protocol says");
        assert_eq!(handover.command_line, b"console=ttyS0 -- boot");
        assert_eq!(handover.modules()[0].at, 0x9000..0x9020);
        assert_eq!(handover.usable.bytes(), 0x9_fc00 + 0x3ee_0000);
        assert!(handover.memory.contain(&(0x10_0000..0x400_0000)));
        assert!(handover.rsdp.is_none());
    }

    #[test]
    fn a_damaged_one_is_refused_with_a_sentence() {
        let refused = |at: usize, with: &[u8]| {
            let mut bytes = start_info();
            bytes[at..at + with.len()].copy_from_slice(with);
            let memory = Island { base: BASE, bytes: &bytes };
            read(&memory, BASE).map(|_| ()).expect_err("refused")
        };
        assert!(refused(0, &[0]).contains("magic"));
        assert!(refused(4, &[0]).contains("version 0"));
        assert!(refused(48, &u32::MAX.to_le_bytes()).contains("memory map"));
        let memory = Island { base: BASE, bytes: &[] };
        assert!(read(&memory, BASE).is_err());
    }
}
