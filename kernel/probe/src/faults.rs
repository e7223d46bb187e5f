//! Things that a kernel must notice: each is what a bug would do, on purpose.
#![allow(unsafe_code)]

use alloc::boxed::Box;
use core::arch::asm;
use core::hint::black_box;
use penstock_kernel::info;
use penstock_kernel::machine::Core;

/// Reads address 0.
#[inline(never)]
pub(crate) fn null() {
    let address: *const u8 = black_box(core::ptr::null());
    // SAFETY: none is claimed: whoever boots this waits for the fault.
    let byte = unsafe { address.read_volatile() };
    info!("probe: read {byte}");
}

/// Calls itself until the stack ends.
#[inline(never)]
pub(crate) fn overflow() {
    info!("probe: sum {}", deeper(black_box(1)));
}

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    if depth == 0 { room[0] } else { deeper(depth + 1) + black_box(room)[1] }
}

/// Runs what is data.
#[inline(never)]
pub(crate) fn execute() {
    static DATA: [u8; 16] = [0xc3; 16];
    // SAFETY: none is claimed, as above.
    unsafe { asm!("call {}", in(reg) (&raw const DATA), clobber_abi("C")) };
}

/// Writes to code.
#[inline(never)]
pub(crate) fn write_code() {
    let code = write_code as *mut u8;
    // SAFETY: none is claimed, as above.
    unsafe { code.write_volatile(0) };
}

/// Divides by zero as only the processor notices.
#[inline(never)]
pub(crate) fn divide() {
    // SAFETY: none is claimed, as above.
    unsafe {
        asm!("xor edx, edx", "xor ecx, ecx", "div ecx", in("eax") 1, out("ecx") _, out("edx") _)
    };
}

/// Allocates after the start.
#[inline(never)]
pub(crate) fn allocate(mut core: Core) {
    core.seal();
    if core.id() + 1 == penstock_kernel::cores::count() {
        black_box(Box::new(black_box([0u8; 123])));
    }
    loop {
        let now = core.turn();
        core.rest(now + 1_000_000_000, &mut || false);
    }
}

/// One core stops turning; the others go on.
pub(crate) fn wedge(mut core: Core, wedged: usize) {
    core.seal();
    for turn in 0u64.. {
        if core.id() == wedged && turn == 3 {
            info!("probe: core {wedged} turns no more");
            spin_for_ever();
        }
        let now = core.turn();
        core.rest(now + 10_000_000, &mut || false);
    }
}

#[inline(never)]
fn spin_for_ever() {
    loop {
        black_box(0);
    }
}
