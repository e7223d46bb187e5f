//! The local interrupt controller: messages to other cores, and the timer that ends a halt.
//!
//! To have read: Intel SDM volume 3, chapter 12. In x2APIC mode registers are MSRs, else they are
//! memory; the numbers are the same, 16 bytes apart.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};
use penstock_hw::Message;
use x86_64::registers::model_specific::Msr;

use crate::{clock, cpuid, interrupts, paging};

/// Where the registers are in memory; 0 in x2APIC mode.
static WINDOW: AtomicU64 = AtomicU64::new(0);

/// Timer ticks in 2^32 nanoseconds. Before they are measured: of a bus of 1 GHz, divided by 16.
static TICKS: AtomicU64 = AtomicU64::new((1 << 32) / 16);

const BASE_MSR: u32 = 0x1b;
const BASE_ENABLED: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;
const X2_FIRST_MSR: u32 = 0x800;

/// Registers by their number, SDM table 12-1.
const ID: u32 = 0x02;
const END_OF_INTERRUPT: u32 = 0x0b;
const SPURIOUS_VECTOR: u32 = 0x0f;
const COMMAND: u32 = 0x30;
const COMMAND_HIGH: u32 = 0x31;
const TIMER: u32 = 0x32;
const LINE_0: u32 = 0x35;
const LINE_1: u32 = 0x36;
const TIMER_START: u32 = 0x38;
const TIMER_LEFT: u32 = 0x39;
const TIMER_DIVIDER: u32 = 0x3e;

const ENABLED: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const DIVIDE_BY_16: u32 = 3;

/// Delivery modes and levels of a command, SDM section 12.6.1.
const FIXED: u32 = 0;
const NMI: u32 = 4 << 8;
const INIT: u32 = 5 << 8;
const START_UP: u32 = 6 << 8;
const ASSERT: u32 = 1 << 14;
const LEVEL: u32 = 1 << 15;
const PENDING: u32 = 1 << 12;

/// Finds the controller, in the mode that all cores will use.
///
/// # Errors
/// One sentence, when its registers cannot be mapped.
pub(crate) fn open() -> Result<(), &'static str> {
    if cpuid::has_x2apic() {
        return Ok(());
    }
    let base = base_msr() & 0x000f_ffff_ffff_f000;
    let window = paging::map_registers(base, 4096)?;
    WINDOW.store(window.as_ptr() as u64, Ordering::Relaxed);
    Ok(())
}

/// Whether registers are MSRs.
pub(crate) fn is_x2() -> bool {
    WINDOW.load(Ordering::Relaxed) == 0
}

/// Switches this core's controller on.
pub(crate) fn start() {
    let mode = if is_x2() { BASE_ENABLED | BASE_X2 } else { BASE_ENABLED };
    // SAFETY: enabling the controller changes nothing but that its registers answer.
    unsafe { Msr::new(BASE_MSR).write(base_msr() | mode) };
    write(SPURIOUS_VECTOR, ENABLED | u32::from(interrupts::SPURIOUS));
    // The old controllers are masked; nothing may come over their line, or over the NMI's.
    write(LINE_0, MASKED);
    write(LINE_1, MASKED);
    write(TIMER_DIVIDER, DIVIDE_BY_16);
    write(TIMER, u32::from(interrupts::TIMER));
    write(TIMER_START, 0);
}

/// This core's controller's number.
pub(crate) fn id() -> u32 {
    if is_x2() { read(ID) } else { read(ID) >> 24 }
}

/// The interrupt being handled is over.
pub(crate) fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Interrupts another core.
pub(crate) fn send(apic_id: u32, vector: u8) {
    command(apic_id, FIXED | ASSERT | u32::from(vector));
}

/// Interrupts another core, whatever it does.
pub(crate) fn send_nmi(apic_id: u32) {
    command(apic_id, NMI | ASSERT);
}

/// Resets another core.
pub(crate) fn send_init(apic_id: u32) {
    command(apic_id, INIT | ASSERT | LEVEL);
}

/// Starts another core, after [`send_init`], at a page below one megabyte.
pub(crate) fn send_start(apic_id: u32, page: u64) {
    command(apic_id, START_UP | ASSERT | (page >> 12) as u32);
}

/// Begins to measure the timer: says the time stamp counter at that moment.
pub(crate) fn begin_measuring() -> u64 {
    write(TIMER, MASKED | u32::from(interrupts::TIMER));
    let begin = cpuid::tsc();
    write(TIMER_START, u32::MAX);
    begin
}

/// Ends it. The clock's rate is known by now; some time must have passed.
pub(crate) fn end_measuring(begin: u64) {
    while clock::to_ns(cpuid::tsc() - begin) < MEASURE_NS {}
    let (left, end) = (read(TIMER_LEFT), cpuid::tsc());
    write(TIMER_START, 0);
    write(TIMER, u32::from(interrupts::TIMER));
    let ticks = u64::from(u32::MAX - left);
    let rate = (u128::from(ticks) << 32) / u128::from(clock::to_ns(end - begin)).max(1);
    TICKS.store((rate as u64).max(1), Ordering::Relaxed);
}

/// One interrupt after this time, if nothing comes before.
pub(crate) fn arm(after_ns: u64) {
    let ticks = (u128::from(after_ns) * u128::from(TICKS.load(Ordering::Relaxed))) >> 32;
    write(TIMER_START, ticks.clamp(1, u32::MAX.into()) as u32);
}

/// No interrupt any more.
pub(crate) fn disarm() {
    write(TIMER_START, 0);
}

/// What a device writes, and where, to interrupt a core (SDM section 12.11).
pub(crate) fn message(apic_id: u32, vector: u8) -> Message {
    let address = 0xfee0_0000 | u64::from(apic_id & 0xff) << 12;
    Message { address, data: vector.into() }
}

fn command(apic_id: u32, command: u32) {
    if is_x2() {
        // Between what was written to memory and the message that says so there is no order but
        // this: a write to an x2APIC register is no barrier (SDM section 12.12.3).
        core::sync::atomic::fence(Ordering::SeqCst);
        // SAFETY: a message to one core, which our own code on it expects.
        unsafe {
            core::arch::x86_64::_mm_lfence();
            Msr::new(X2_FIRST_MSR + COMMAND).write(u64::from(apic_id) << 32 | u64::from(command));
        }
        return;
    }
    write(COMMAND_HIGH, apic_id << 24);
    write(COMMAND, command);
    for _ in 0..DELIVERY_READS {
        if read(COMMAND) & PENDING == 0 {
            return;
        }
    }
}

fn base_msr() -> u64 {
    // SAFETY: every x86-64 processor has this register.
    unsafe { Msr::new(BASE_MSR).read() }
}

fn read(register: u32) -> u32 {
    match WINDOW.load(Ordering::Relaxed) {
        // SAFETY: the register exists in x2APIC mode, which `start` has entered.
        0 => unsafe { Msr::new(X2_FIRST_MSR + register).read() as u32 },
        // SAFETY: the window is mapped, uncached, for good.
        window => unsafe { ((window + u64::from(register) * 16) as *const u32).read_volatile() },
    }
}

fn write(register: u32, value: u32) {
    match WINDOW.load(Ordering::Relaxed) {
        // SAFETY: as in `read`; the values are this module's.
        0 => unsafe { Msr::new(X2_FIRST_MSR + register).write(value.into()) },
        // SAFETY: as in `read`.
        window => unsafe {
            ((window + u64::from(register) * 16) as *mut u32).write_volatile(value)
        },
    }
}

const MEASURE_NS: u64 = 1_000_000;

/// A message leaves within microseconds; a controller that never says so is not waited for.
const DELIVERY_READS: u32 = 100_000;
