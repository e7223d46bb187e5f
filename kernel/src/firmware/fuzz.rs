//! Any bytes, read as everything that firmware and loaders hand over.

use super::acpi::{self, fadt, madt, mcfg};
use super::bytes::u64_at;
use super::handover::Handover;
use super::options::Options;
use super::rtc::{self, Registers};
use super::{Physical, fw_cfg, multiboot2, pvh};

/// Memory that is these bytes at one address, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Island<'b> {
    /// Where they begin.
    pub base: u64,
    /// The bytes.
    pub bytes: &'b [u8],
}

impl Physical for Island<'_> {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let at = usize::try_from(address.checked_sub(self.base)?).ok()?;
        self.bytes.get(at..at.checked_add(length)?)
    }
}

/// Reads the bytes as each structure that there is. The first eight say where in memory they lie,
/// so that pointers among them can meet.
pub fn firmware(bytes: &[u8]) {
    let Some(base) = u64_at(bytes, 0) else { return };
    let memory = Island { base, bytes };
    for handover in
        [pvh::read(&memory, base + 8 * u64::from(base < 8)), multiboot2::read(&memory, base)]
    {
        handover.iter().for_each(read_handover);
    }
    for rsdp in [Some(bytes), bytes.get(8..), acpi::search(bytes)].into_iter().flatten() {
        if let Ok(tables) = acpi::find(&memory, rsdp) {
            read_tables(&tables);
        }
    }
    // The readers of tables are given what no checksum has looked at.
    let all = Some(bytes);
    let refused = 0;
    read_tables(&acpi::Tables { madt: all, mcfg: all, fadt: all, hpet: all, dsdt: all, refused });
    let (entries, _) = bytes.as_chunks();
    for entry in entries.iter().filter_map(fw_cfg::read) {
        assert!(!entry.name.is_empty());
    }
    if let Ok(line) = core::str::from_utf8(bytes) {
        let _ = Options::read(line);
    }
    if let [second, minute, hour, day, month, year, status_b, ..] = *bytes {
        let registers = Registers { second, minute, hour, day, month, year, status_b };
        let _ = rtc::unix_seconds(&registers);
    }
}

fn read_handover(handover: &Handover<'_>) {
    let mut free = handover.usable.clone();
    for module in handover.modules() {
        free.remove(module.at.clone());
    }
    for _ in 0..100 {
        let Some(range) = free.take(1 << 21, 1 << 21, u64::MAX) else { break };
        assert!(handover.usable.contain(&range));
    }
    assert!(free.bytes() <= handover.usable.bytes());
}

fn read_tables(tables: &acpi::Tables<'_>) {
    if let Some(table) = tables.madt {
        let cores = madt::read(table).led_by(0);
        assert_eq!(cores.apic_ids().first(), Some(&0));
    }
    for segment in tables.mcfg.into_iter().flat_map(mcfg::read) {
        assert!(segment.bus_first <= segment.bus_last);
    }
    let _ = tables.fadt.map(fadt::read);
    let _ = tables.hpet.and_then(acpi::hpet_address);
    let _ = tables.dsdt.and_then(fadt::sleep_type_off);
}
