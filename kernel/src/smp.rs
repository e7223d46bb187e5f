//! Starting the other cores.
//!
//! One after the other: INIT, then the start-up message with the page of `trampoline.s`, twice, as
//! Intel's MultiProcessor specification has it (section B.4), but for the ten milliseconds between them
//! where the processor needs none. A core that does not come within half a second is left out, with a
//! line.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::model_specific::Msr;

use crate::firmware::acpi::madt::Cores;
use crate::firmware::ranges::Ranges;
use crate::paging::{self, Use};
use crate::stacks::{self, Kind};
use crate::{apic, clock, cores, cpuid, interrupts, layout, machine, segments};

#[cfg(panic = "abort")]
core::arch::global_asm!(include_str!("asm/trampoline.s"));

/// Core 0's counter, while another core compares.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// How far the core that was started last was behind, in ticks.
static BEHIND: AtomicU64 = AtomicU64::new(0);

/// Starts all cores of the list but the first, which is this one, up to `most` in all.
///
/// # Errors
/// One sentence, when there is no memory for a core.
pub(crate) fn start(list: &Cores, most: usize, memory: &Ranges) -> Result<(), &'static str> {
    let others = list.apic_ids().iter().take(most).skip(1);
    let page = layout::TRAMPOLINE..layout::TRAMPOLINE + layout::PAGE_BYTES;
    if others.len() > 0 && !memory.contain(&page) {
        crate::warning!("cores: no memory at {:#x} to start others in", page.start);
        return Ok(());
    }
    for &apic_id in others {
        if apic_id > 0xff && !apic::is_x2() {
            crate::warning!("cores: APIC {apic_id} is beyond what xAPIC can name; left out");
            continue;
        }
        let core = cores::count();
        let stack = stacks::map(core, Kind::Main)?;
        write_trampoline(core, stack)?;
        if start_one(core, apic_id) {
            cores::admit();
        } else {
            // It may still come; what it would run in is gone, and so is its chance.
            crate::warning!("cores: APIC {apic_id} does not start; left out");
            break;
        }
    }
    if cores::count() > 1 {
        paging::reuse(layout::TRAMPOLINE, Use::Data)?;
    }
    Ok(())
}

/// Copies the code and its three words: tables, stack, number.
fn write_trampoline(core: usize, stack: u64) -> Result<(), &'static str> {
    let (code, words) = layout::trampoline();
    paging::reuse(layout::TRAMPOLINE, Use::Data)?;
    let page = layout::TRAMPOLINE as *mut u8;
    // SAFETY: the page is memory, writable, and reserved for this; the code is shorter than it.
    unsafe {
        core::ptr::copy_nonoverlapping(
            code.start as *const u8,
            page,
            (code.end - code.start) as usize,
        );
        let words = page.add(words as usize).cast::<u64>();
        words.write(paging::root());
        words.add(1).write(stack);
        words.add(2).write(core as u64);
    }
    paging::reuse(layout::TRAMPOLINE, Use::Code)
}

fn start_one(core: usize, apic_id: u32) -> bool {
    let record = cores::record(core);
    record.apic_id.store(apic_id, Ordering::Relaxed);
    BEHIND.store(0, Ordering::Relaxed);
    apic::send_init(apic_id);
    if !cpuid::starts_without_delay() {
        clock::spin_ns(INIT_NS);
    }
    for _ in 0..2 {
        apic::send_start(apic_id, layout::TRAMPOLINE);
        let begin = clock::now_ns();
        while clock::now_ns() - begin < START_NS {
            COUNTER.store(cpuid::tsc(), Ordering::Release);
            if record.online.load(Ordering::Acquire) {
                let behind = BEHIND.load(Ordering::Relaxed);
                if behind > 0 {
                    let ns = clock::to_ns(behind);
                    crate::notice!("cores: the counter of core {core} was {ns} ns behind; set");
                }
                return true;
            }
            core::hint::spin_loop();
        }
    }
    false
}

/// The first line of Rust on another core.
#[unsafe(no_mangle)]
extern "C" fn kernel_core(core: u64) -> ! {
    let core = core as usize;
    // SAFETY: all tables agree on which pages are global.
    unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::PAGE_GLOBAL)) };
    cores::become_core(core);
    interrupts::load();
    if let Err(what) = segments::load(core) {
        panic!("core {core}: {what}");
    }
    apic::start();
    compare_counter();
    cores::record(core).online.store(true, Ordering::Release);
    machine::wait_for_work(core)
}

/// Sets this core's counter forward, if core 0's has been seen ahead of it.
fn compare_counter() {
    const TSC_MSR: u32 = 0x10;
    let ahead = |_| COUNTER.load(Ordering::Acquire).saturating_sub(cpuid::tsc());
    let behind = (0..COMPARISONS).map(ahead).max().unwrap_or(0);
    if behind > 0 {
        BEHIND.store(behind, Ordering::Relaxed);
        // SAFETY: the counter is ours to set; nothing on this core has read it yet.
        unsafe { Msr::new(TSC_MSR).write(cpuid::tsc() + behind) };
    }
}

const INIT_NS: u64 = 10_000_000;
const START_NS: u64 = 500_000_000;
const COMPARISONS: u32 = 1_000;
