//! Multiboot2 information: the tags that we read, in one pass.
//!
//! To have read: "Multiboot2 Specification version 2.0", section 3.6.
//!
//! ```text
//!  0 total size  4 reserved  8 tags: type, size, content; each begins at a multiple of 8
//! ```

use super::Physical;
use super::acpi::RSDP_BYTES;
use super::bytes::{u32_at, u64_at, until_zero};
use super::handover::{Handover, Loader, Module};

/// Reads the information at this address.
///
/// # Errors
/// One sentence: what is not as the specification says.
pub fn read(memory: &impl Physical, address: u64) -> Result<Handover<'_>, &'static str> {
    let head = memory.bytes(address, 8).ok_or("Multiboot2: no information at its address")?;
    let total = u32_at(head, 0).map_or(0, |size| size as usize);
    if !(HEAD_BYTES + TAG_BYTES..=TOTAL_MAX).contains(&total) {
        return Err("Multiboot2: the information has an impossible size");
    }
    let all = memory.bytes(address, total).ok_or("Multiboot2: the information is cut off")?;
    let mut handover = Handover::new(Loader::Multiboot2);
    let mut map = None;
    for (kind, content) in tags(&all[HEAD_BYTES..]) {
        match kind {
            COMMAND_LINE => handover.command_line = until_zero(content),
            MODULE => {
                let (start, end) = (u32_at(content, 0), u32_at(content, 4));
                if let (Some(start), Some(end)) = (start, end) {
                    let words = content.get(8..).map_or(&[][..], until_zero);
                    handover.add_module(Module { at: start.into()..end.into(), words });
                }
            }
            MEMORY_MAP => map = Some(content),
            // The newer structure is the longer one, and comes last where both are there.
            ACPI_OLD | ACPI_NEW => handover.rsdp = content.get(..RSDP_BYTES.min(content.len())),
            _ => {}
        }
    }
    let map = map.ok_or("Multiboot2: no memory map")?;
    let entry_bytes = u32_at(map, 0).unwrap_or(0) as usize;
    if entry_bytes < ENTRY_BYTES {
        return Err("Multiboot2: the entries of the memory map are too short");
    }
    let entries = map.get(8..).unwrap_or_default().chunks_exact(entry_bytes);
    handover.read_map(
        entries
            .filter_map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?, u32_at(entry, 16)?))),
    );
    Ok(handover)
}

/// Type and content of each tag, up to the end tag or the first that cannot be.
fn tags(mut rest: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    core::iter::from_fn(move || {
        let (kind, size) = (u32_at(rest, 0)?, u32_at(rest, 4)? as usize);
        let content = rest.get(TAG_BYTES..size)?;
        if kind == END {
            return None;
        }
        rest = rest.get(size.next_multiple_of(8)..).unwrap_or_default();
        Some((kind, content))
    })
}

const HEAD_BYTES: usize = 8;
const TAG_BYTES: usize = 8;
const ENTRY_BYTES: usize = 24;

/// Far more than any loader writes: the tags with modules and memory map are a few kilobytes.
const TOTAL_MAX: usize = 1 << 20;

const END: u32 = 0;
const COMMAND_LINE: u32 = 1;
const MODULE: u32 = 3;
const MEMORY_MAP: u32 = 6;
const ACPI_OLD: u32 = 14;
const ACPI_NEW: u32 = 15;

#[cfg(test)]
mod tests {
    //! Information as GRUB writes it is read; what is damaged is refused or left out.

    use super::*;
    use crate::firmware::fuzz::Island;
    use std::vec::Vec;

    fn tag(bytes: &mut Vec<u8>, kind: u32, content: &[u8]) {
        bytes.extend(kind.to_le_bytes());
        bytes.extend((content.len() as u32 + 8).to_le_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }

    fn information() -> Vec<u8> {
        let mut bytes = std::vec![0; 8];
        tag(&mut bytes, COMMAND_LINE, b"ip=10.0.0.2/24 -- server\0");
        let mut module = Vec::from(0x20_0000u32.to_le_bytes());
        module.extend(0x20_0123u32.to_le_bytes());
        module.extend(b"haproxy.cfg\0");
        tag(&mut bytes, MODULE, &module);
        let mut map = Vec::from([24, 0, 0, 0, 0, 0, 0, 0]);
        for (base, length, kind) in [(0u64, 0x9f000u64, 1u32), (0xf0000, 0x10000, 2)] {
            map.extend(base.to_le_bytes());
            map.extend(length.to_le_bytes());
            map.extend(u64::from(kind).to_le_bytes());
        }
        tag(&mut bytes, MEMORY_MAP, &map);
        tag(&mut bytes, ACPI_NEW, &[7; 36]);
        tag(&mut bytes, END, &[]);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes
    }

    #[test]
    fn information_is_read() {
        let bytes = information();
        let memory = Island { base: 0x5000, bytes: &bytes };
        let handover = read(&memory, 0x5000).expect("as the specification says");
        assert_eq!(handover.command_line, b"ip=10.0.0.2/24 -- server");
        assert_eq!(handover.modules()[0].at, 0x20_0000..0x20_0123);
        assert_eq!(handover.modules()[0].words, b"haproxy.cfg");
        assert_eq!(handover.usable.bytes(), 0x9f000);
        assert_eq!(handover.rsdp.map(<[u8]>::len), Some(36));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let read_damaged = |at: usize, with: u32| {
            let mut bytes = information();
            bytes[at..at + 4].copy_from_slice(&with.to_le_bytes());
            let memory = Island { base: 0x5000, bytes: &bytes };
            read(&memory, 0x5000).map(|_| ())
        };
        assert!(read_damaged(0, 7).is_err());
        assert!(read_damaged(0, u32::MAX).is_err());
        // A tag shorter than its own head ends the list: nothing behind it is believed.
        assert_eq!(read_damaged(12, 3), Err("Multiboot2: no memory map"));
        assert_eq!(read_damaged(12, 0), Err("Multiboot2: no memory map"));
    }
}
