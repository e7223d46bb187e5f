//! From the first line of Rust to the image's `main`.
//!
//! The order is one of trust. What firmware says is read first, while the loader's map of the first
//! four gigabytes still holds, and turned into numbers; then memory, then what needs memory, then what
//! needs the clock, last the other cores. Each step prints its one fact.
#![allow(unsafe_code)]

use crate::calibrate::Rate;
use crate::firmware::acpi::fadt::{self, Power};
use crate::firmware::acpi::madt::{self, Cores};
use crate::firmware::acpi::mcfg::{self, SEGMENTS_MAX, Segment};
use crate::firmware::acpi::{self, Tables};
use crate::firmware::bytes::until_zero;
use crate::firmware::handover::Handover;
use crate::firmware::options::Options;
use crate::firmware::ranges::Ranges;
use crate::firmware::{Physical, multiboot2, pvh};
use crate::leave::{self, Outcome};
use crate::machine::{self, Machine};
use crate::modules::{self, Modules};
use crate::{
    apic, calibrate, clock, console, cores, cpuid, entropy, frames, fw_cfg, heap, interrupts,
    last_panic, layout, log, paging, pci, power, segments, smp, stop, wall,
};

#[cfg(panic = "abort")]
core::arch::global_asm!(include_str!("asm/entry.s"));

#[cfg(panic = "abort")]
unsafe extern "Rust" {
    /// What the macro [`image!`](crate::image) defines.
    safe fn penstock_main(machine: Machine);
}

#[cfg(not(panic = "abort"))]
fn penstock_main(_machine: Machine) {}

/// The first line of Rust: the magic number of the protocol, and its information's address.
#[unsafe(no_mangle)]
extern "C" fn kernel_boot(protocol: u32, information: u64) -> ! {
    cores::become_core(0);
    clock::begin();
    interrupts::open(false);
    interrupts::load();
    interrupts::silence_legacy();
    match machine_of(protocol, information) {
        Ok(machine) => penstock_main(machine),
        Err(what) => {
            log::line(log::Level::Error, format_args!("{what}"));
            leave::leave(Outcome::Refused);
        }
    }
    machine::run()
}

/// What was learned from firmware, as numbers: its tables are not looked at again.
struct Firmware {
    cores: Cores,
    segments: [Option<Segment>; SEGMENTS_MAX],
    power: Power,
    off: Option<u8>,
    hpet: Option<u64>,
    refused: u32,
}

fn machine_of(protocol: u32, information: u64) -> Result<Machine, &'static str> {
    let handover = match protocol {
        PVH => pvh::read(&Early, information),
        MULTIBOOT2 => multiboot2::read(&Early, information),
        _ => Err("boot: neither PVH nor Multiboot2"),
    };
    let handover = handover.inspect_err(|_| console::open(&Options::default()))?;
    let (command_line, is_whole) = keep_command_line(&handover);
    let (options, bad) = Options::read(command_line);
    console::open(&options);
    // Firmware may have left its cursor anywhere.
    console::print(format_args!("\n"));
    log::set_level(options.log_level);
    leave::open(options);
    crate::info!("penstock {} on {}", env!("CARGO_PKG_VERSION"), cpuid::brand());
    is_whole?;
    crate::info!("boot: {}, command line: {command_line}", handover.loader.name());
    if let Some(bad) = bad {
        let (key, value, expected) = (bad.key, bad.value, bad.expected);
        log::line(log::Level::Error, format_args!("{key}={value}: expected {expected}"));
        return Err("boot: the command line cannot be obeyed");
    }
    let tables = find_tables(&handover);
    if let Err(what) = &tables {
        crate::warning!("{what}");
    }
    let tables = tables.unwrap_or_default();
    let (firmware, mut modules) = (read_tables(&tables), Modules::of(&handover));
    open_memory(&handover, &mut modules)?;
    segments::load(0)?;
    interrupts::open(true);
    apic::open()?;
    apic::start();
    cores::record(0).apic_id.store(apic::id(), core::sync::atomic::Ordering::Relaxed);
    cores::record(0).online.store(true, core::sync::atomic::Ordering::Release);
    let (measurement, timer) = (calibrate::begin(firmware.hpet), apic::begin_measuring());
    // While that is measured, everything that needs no exact time.
    if let Some(now) = wall::unix_seconds() {
        clock::set_wall(now);
    }
    power::open(firmware.power, firmware.off);
    crate::info!("random: {}", entropy::open());
    report_last_panic(&handover.memory);
    smp::start(&firmware.cores.clone().led_by(apic::id()), options.cores_max, &handover.memory)?;
    report_cores(&firmware);
    let functions = pci::functions(firmware.segments.iter().flatten())?;
    crate::info!("pci: {} functions", functions.len());
    open_time(measurement.end());
    apic::end_measuring(timer);
    let mut files = modules.files();
    files.extend(fw_cfg::files()?);
    Ok(Machine { command_line, files, functions, processor: cpuid::brand() })
}

/// Copies the command line to where it stays: the loader's, or what a file says instead. Where it
/// cannot be read to its end, what comes before still says how to end.
fn keep_command_line(handover: &Handover<'_>) -> (&'static str, Result<(), &'static str>) {
    const BYTES_MAX: usize = 4096;
    static KEPT: spin::Once<[u8; BYTES_MAX]> = spin::Once::new();
    let own = handover.command_line.as_ptr_range();
    let at = match handover.command_line_file() {
        Some(module) => module.at.clone(),
        None => own.start as u64..own.end as u64,
    };
    let bytes = (at.end - at.start) as usize;
    if at.end > EARLY_END {
        return ("", Err("boot: the command line lies beyond 4 GB"));
    }
    let is_short = bytes <= BYTES_MAX;
    let bytes = bytes.min(BYTES_MAX);
    let kept = KEPT.call_once(|| {
        let mut kept = [0; BYTES_MAX];
        // SAFETY: the range is mapped, and `kept` is as long as the longest.
        unsafe { modules::copy(at.start, kept.as_mut_ptr(), bytes) };
        kept
    });
    let text = until_zero(&kept[..bytes]);
    let chunk = text.utf8_chunks().next();
    let readable = chunk.map_or("", |chunk| chunk.valid());
    let is_whole = match (is_short, readable.len() == text.len()) {
        (true, true) => Ok(()),
        (false, _) => Err("boot: the command line is longer than 4096 bytes"),
        (_, false) => Err("boot: the command line is not UTF-8"),
    };
    (readable.trim(), is_whole)
}

fn find_tables(handover: &Handover<'_>) -> Result<Tables<'static>, &'static str> {
    const BIOS_AREA: (u64, usize) = (0xe_0000, 0x2_0000);
    let searched = || Early.bytes(BIOS_AREA.0, BIOS_AREA.1).and_then(acpi::search);
    let rsdp = handover.rsdp.or_else(searched);
    acpi::find(&Early, rsdp.ok_or("ACPI: no root pointer; one core, no PCI, no power button")?)
}

fn read_tables(tables: &Tables<'_>) -> Firmware {
    let mut found = mcfg::read(tables.mcfg.unwrap_or_default());
    let segments = core::array::from_fn(|_| found.next());
    Firmware {
        cores: madt::read(tables.madt.unwrap_or_default()),
        segments,
        power: tables.fadt.map(fadt::read).unwrap_or_default(),
        off: tables.dsdt.and_then(fadt::sleep_type_off),
        hpet: tables.hpet.and_then(acpi::hpet_address),
        refused: tables.refused,
    }
}

/// Free memory, page tables and the heap.
fn open_memory(handover: &Handover<'_>, modules: &mut Modules) -> Result<(), &'static str> {
    let mut free = handover.usable.clone();
    free.remove(0..layout::LOW_END);
    free.remove(layout::image());
    for module in handover.modules() {
        let end = module.at.end.checked_next_multiple_of(layout::PAGE_BYTES);
        free.remove(module.at.start & !(layout::PAGE_BYTES - 1)..end.unwrap_or(u64::MAX));
    }
    let all = handover.usable.bytes();
    frames::open(free);
    modules.lift()?;
    paging::build(&handover.memory)?;
    let heap = heap::open()?;
    let (all, heap, left) = (all >> 20, heap >> 20, frames::free_bytes() >> 20);
    let image = layout::image();
    let image = (image.end - image.start) >> 10;
    crate::info!("memory: {all} MiB, image {image} KiB, heap {heap} MiB, {left} MiB for devices");
    if last_panic::is_memory(&handover.memory) {
        stop::keep_text();
    }
    Ok(())
}

fn open_time(rate: Rate) {
    clock::set_frequency(rate.hz);
    let steady = if cpuid::has_invariant_tsc() { "" } else { ", not said to be invariant" };
    let (mhz, khz) = (rate.hz / 1_000_000, rate.hz / 1_000 % 1_000);
    let wall = clock::unix_seconds().unwrap_or(0);
    crate::info!("clock: TSC {mhz}.{khz:03} MHz by {}{steady}; unix time {wall}", rate.source);
}

fn report_last_panic(memory: &Ranges) {
    if let Some(text) = last_panic::take(memory) {
        crate::notice!("the last panic, before the reset:");
        for line in text.lines().filter(|line| !line.is_empty()) {
            crate::notice!("| {line}");
        }
    }
}

fn report_cores(firmware: &Firmware) {
    let mode = if apic::is_x2() { "x2APIC" } else { "xAPIC" };
    let (running, named) = (cores::count(), firmware.cores.apic_ids().len().max(1));
    crate::info!("cores: {running} of {named}, {mode}");
    if firmware.cores.beyond > 0 {
        crate::notice!("cores: {} more than can be used", firmware.cores.beyond);
    }
    if firmware.refused > 0 {
        crate::notice!("ACPI: {} tables are damaged and were left out", firmware.refused);
    }
    if !power::has_button() {
        crate::notice!("power: no button that can be read");
    }
}

/// Memory as the entry code maps it: all of the first four gigabytes. Page 0 is among them, because
/// QEMU's PVH loader leaves its memory map there.
struct Early;

const EARLY_END: u64 = 1 << 32;

impl Physical for Early {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64)?;
        if address == 0 || end > EARLY_END {
            return None;
        }
        // SAFETY: the range is mapped, and while firmware's structures are read nothing is written.
        // Where a damaged table points at a device, its registers are read; that is all.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
    }
}

const PVH: u32 = 0x336e_c578;
const MULTIBOOT2: u32 = 0x36d7_6289;
