//! The crate `acpi` and our reader find the same in the same tables.
#![allow(unsafe_code)]

use acpi::madt::{Madt, MadtEntry};
use acpi::mcfg::Mcfg;
use acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use core::ptr::NonNull;
use std::vec::Vec;

use crate::firmware::acpi::tests::{BASE, machine, made};
use crate::firmware::acpi::{find, madt, mcfg};
use crate::firmware::fuzz::Island;

/// Memory that is these bytes from `BASE` on, and the root pointer somewhere else.
#[derive(Clone)]
struct Memory<'b> {
    bytes: &'b [u8],
    rsdp: &'b [u8],
}

const RSDP: usize = 0xe_0000;

impl AcpiHandler for Memory<'_> {
    unsafe fn map_physical_region<T>(
        &self,
        physical: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let bytes = match physical {
            RSDP => &self.rsdp[..size],
            _ => &self.bytes[physical - BASE as usize..][..size],
        };
        let start = NonNull::from(bytes).cast();
        // SAFETY: the slice has the bytes that were asked for, and outlives the mapping.
        unsafe { PhysicalMapping::new(physical, start, size, size, self.clone()) }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}
}

#[test]
fn both_find_the_same() {
    let local = |apic_id: u8, flags: u8| [0, 8, apic_id, apic_id, flags, 0, 0, 0];
    let x2 = [9, 16, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0];
    let io = [1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0];
    let mut cores = std::vec![0, 0, 0xe0, 0xfe, 1, 0, 0, 0];
    [local(0, 1), local(1, 1), local(2, 0)].iter().for_each(|entry| cores.extend(entry));
    cores.extend(io);
    cores.extend(x2);
    let mut buses = std::vec![0; 8];
    buses.extend(0xb000_0000u64.to_le_bytes());
    buses.extend([0, 0, 0, 255, 0, 0, 0, 0]);
    let (bytes, rsdp) = machine(2, &[made(b"APIC", &cores), made(b"MCFG", &buses)]);

    let island = Island { base: BASE, bytes: &bytes };
    let ours = find(&island, &rsdp).expect("a root");
    let memory = Memory { bytes: &bytes, rsdp: &rsdp };
    // SAFETY: the handler answers from slices; the tables are well-formed, as this crate needs them.
    let theirs = unsafe { AcpiTables::from_rsdp(memory, RSDP) }.expect("a root");

    let table = theirs.find_table::<Madt>().expect("a MADT");
    let found: Vec<u32> = table
        .get()
        .entries()
        .filter_map(|entry| match entry {
            MadtEntry::LocalApic(core) if { core.flags } & 1 != 0 => Some(core.apic_id.into()),
            MadtEntry::LocalX2Apic(core) if { core.flags } & 1 != 0 => Some(core.x2apic_id),
            _ => None,
        })
        .collect();
    assert_eq!(found, [0, 1, 0x300]);
    assert_eq!(madt::read(ours.madt.expect("a MADT")).apic_ids(), found);

    let table = theirs.find_table::<Mcfg>().expect("an MCFG");
    let [theirs] = table.entries() else { panic!("one entry") };
    let ours: Vec<_> = mcfg::read(ours.mcfg.expect("an MCFG")).collect();
    assert_eq!(ours.len(), 1);
    assert_eq!({ theirs.base_address }, ours[0].base);
    assert_eq!(
        (theirs.bus_number_start, theirs.bus_number_end),
        (ours[0].bus_first, ours[0].bus_last)
    );
}
