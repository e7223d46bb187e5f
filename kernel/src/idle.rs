//! Halting a core, and waking it.
//!
//! The order is the whole matter. The sleeper publishes that it sleeps, then looks once more for
//! work; who has work for it puts it there, then looks whether it sleeps. With a full fence between
//! the two steps on both sides, at least one of them sees the other: either the sleeper finds the
//! work, or it is sent an interrupt. That interrupt stays pending until `sti; hlt`, which are one step
//! for the processor, so it cannot be lost in between.

use core::sync::atomic::{Ordering, fence};

use crate::{apic, clock, cores, interrupts};

/// What a core looks at before it halts.
pub trait Sleeper {
    /// Whether there is something to do.
    fn has_work(&mut self) -> bool;

    /// Tells devices to interrupt this core when there is. Work that came before is looked for
    /// after.
    fn arm(&mut self) {}
}

impl<F: FnMut() -> bool> Sleeper for F {
    fn has_work(&mut self) -> bool {
        self()
    }
}

/// Halts this core until `deadline_ns`, a device's interrupt or [`wake`]; not at all if there is
/// work. Interrupts run on their own stack, and only here.
pub(crate) fn halt_until(deadline_ns: u64, sleeper: &mut impl Sleeper) {
    let record = cores::record(cores::current());
    record.asleep.store(true, Ordering::Relaxed);
    sleeper.arm();
    fence(Ordering::SeqCst);
    let now = clock::now_ns();
    if !sleeper.has_work() && deadline_ns > now {
        apic::arm((deadline_ns - now).min(HALT_MAX_NS));
        x86_64::instructions::interrupts::enable_and_hlt();
        x86_64::instructions::interrupts::disable();
        apic::disarm();
    }
    record.asleep.store(false, Ordering::Relaxed);
}

/// Wakes a core if it sleeps. To be called after what it is to find has been written.
pub fn wake(core: usize) {
    fence(Ordering::SeqCst);
    let record = cores::record(core);
    if record.asleep.load(Ordering::Relaxed) {
        apic::send(record.apic_id.load(Ordering::Relaxed), interrupts::WAKE);
    }
}

/// The timer's counter is 32 bits wide; no core sleeps longer without looking around.
const HALT_MAX_NS: u64 = 10_000_000_000;
