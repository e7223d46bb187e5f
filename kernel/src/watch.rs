//! A core that does not turn is a bug.
//!
//! Core 0 looks at every core's count of turns and waits, between turns of its own, and core 1 at core 0's. One
//! that has not moved for `watchdog=` seconds is asked by NMI where it is. If it has moved once it was
//! asked, the machine below us had taken its processor away, which is worth a line; else all is
//! stopped. A machine with one core has no watch.

use core::ops::Range;
use core::sync::atomic::Ordering;

use crate::firmware::acpi::madt::CORES_MAX;
use crate::interrupts::Frame;
use crate::{apic, clock, cores, leave, stop};

/// What a core that watches remembers of those that it watches.
#[derive(Debug)]
pub(crate) struct Watch {
    watched: Range<usize>,
    life: [u64; CORES_MAX],
    since_ns: [u64; CORES_MAX],
    looked_ns: u64,
    limit_ns: u64,
}

impl Watch {
    /// The watch that this core keeps, if it keeps one.
    pub(crate) fn of(core: usize) -> Option<Watch> {
        let watched = match core {
            0 => 1..cores::count(),
            1 => 0..1,
            _ => return None,
        };
        Some(Watch::over(watched))
    }

    fn over(watched: Range<usize>) -> Watch {
        let limit_ns = u64::from(leave::options().watchdog_seconds) * 1_000_000_000;
        let now = clock::now_ns();
        Watch {
            watched,
            life: [0; CORES_MAX],
            since_ns: [now; CORES_MAX],
            looked_ns: now,
            limit_ns,
        }
    }

    /// To be called in every turn of a core that watches; looks ten times a second.
    pub(crate) fn look(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.looked_ns);
        if passed < LOOK_NS || self.limit_ns == 0 {
            return;
        }
        self.looked_ns = now_ns;
        // Was this core itself away for long, then maybe all were: time counts from now.
        let late = passed > LOOK_NS + LATE_NS;
        for core in self.watched.clone() {
            let record = cores::record(core);
            let life = record.life();
            let excused =
                record.asleep.load(Ordering::Relaxed) || !record.looping.load(Ordering::Relaxed);
            if late || excused || life != self.life[core] {
                self.life[core] = life;
                self.since_ns[core] = now_ns;
            } else if now_ns - self.since_ns[core] > self.limit_ns {
                ask(core, life, now_ns - self.since_ns[core]);
                self.since_ns[core] = clock::now_ns();
            }
        }
    }

    /// When it wants to look again, even if it has nothing else to do.
    pub(crate) fn next_ns(&self) -> u64 {
        if self.limit_ns == 0 || self.watched.is_empty() {
            return u64::MAX;
        }
        self.looked_ns + HALT_MAX_NS
    }
}

/// Asks a core where it is, and gives it a moment to show that it turns after all.
fn ask(core: usize, life: u64, quiet_ns: u64) {
    let record = cores::record(core);
    // Whoever asks does not turn meanwhile, and is not to be asked for that.
    let own = cores::record(cores::current());
    own.looping.store(false, Ordering::Relaxed);
    record.reported.store(false, Ordering::Relaxed);
    apic::send_nmi(record.apic_id.load(Ordering::Relaxed));
    until(ANSWER_NS, || record.reported.load(Ordering::Acquire));
    let milliseconds = quiet_ns / 1_000_000;
    if !until(GRACE_NS, || record.life() != life) {
        panic!("core {core} has not turned for {milliseconds} ms");
    }
    crate::notice!("watch: core {core} had no processor for {milliseconds} ms");
    own.looping.store(true, Ordering::Relaxed);
}

/// Whether something holds before this core has waited for so long. Time in which it had no processor itself
/// does not count: the other had none either, it may be.
fn until(most_ns: u64, holds: impl Fn() -> bool) -> bool {
    let (mut waited_ns, mut before) = (0, clock::now_ns());
    while waited_ns < most_ns {
        if holds() {
            return true;
        }
        core::hint::spin_loop();
        let now = clock::now_ns();
        waited_ns += (now - before).min(AWAY_NS);
        before = now;
    }
    holds()
}

/// On the core that was asked.
pub(crate) fn on_nmi(frame: &Frame) {
    let record = cores::record(cores::current());
    if stop::has_begun() {
        stop::report(frame);
        record.reported.store(true, Ordering::Release);
        leave::halt();
    }
    record.reported.store(true, Ordering::Release);
}

const LOOK_NS: u64 = 100_000_000;

/// A core that comes this late to its look was not running, or stood still itself.
const LATE_NS: u64 = 600_000_000;

/// A core that watches halts no longer than this at a time: what is left to notice is noticed within it.
const HALT_MAX_NS: u64 = 500_000_000;

/// Within this an NMI arrives at a core that has a processor.
const ANSWER_NS: u64 = 3_000_000_000;

/// A core that was only away turns at once when it is back.
const GRACE_NS: u64 = 100_000_000;

/// Between two looks at the clock lies less than this, unless the processor was taken away.
const AWAY_NS: u64 = 1_000_000;
