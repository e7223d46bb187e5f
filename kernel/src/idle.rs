//! Halting a core, and waking it.
//!
//! The order in which both sides do what they do is in `handshake.rs`. The interrupt that a sleeper is sent
//! stays pending until `sti; hlt`, which are one step for the processor, so it cannot be lost in between.

use core::sync::atomic::Ordering;

use crate::{apic, clock, cores, handshake, interrupts};

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
    let asleep = &cores::record(cores::current()).asleep;
    handshake::fall_asleep(asleep, sleeper, || {
        let now = clock::now_ns();
        if deadline_ns > now {
            apic::arm((deadline_ns - now).min(HALT_MAX_NS));
            x86_64::instructions::interrupts::enable_and_hlt();
            x86_64::instructions::interrupts::disable();
            apic::disarm();
        }
    });
}

/// Wakes a core if it sleeps. To be called after what it is to find has been written.
pub fn wake(core: usize) {
    let record = cores::record(core);
    if handshake::must_be_woken(&record.asleep) {
        apic::send(record.apic_id.load(Ordering::Relaxed), interrupts::WAKE);
    }
}

/// The timer's counter is 32 bits wide; no core sleeps longer without looking around.
const HALT_MAX_NS: u64 = 10_000_000_000;
