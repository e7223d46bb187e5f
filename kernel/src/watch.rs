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
    let begin = clock::now_ns();
    while !record.reported.load(Ordering::Acquire) && clock::now_ns() - begin < ANSWER_NS {
        core::hint::spin_loop();
    }
    let answered = clock::now_ns();
    while clock::now_ns() - answered < GRACE_NS {
        if record.life() != life {
            let milliseconds = quiet_ns / 1_000_000;
            crate::notice!("watch: core {core} had no processor for {milliseconds} ms");
            own.looping.store(true, Ordering::Relaxed);
            return;
        }
        core::hint::spin_loop();
    }
    panic!("core {core} has not turned for {} ms", quiet_ns / 1_000_000);
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
