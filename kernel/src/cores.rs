//! The cores, and what others may know of each.
//!
//! A core finds its own record through the GS register. Everything in it has one writer: the core
//! itself for its turns and whether it sleeps, whoever starts or stops it for the rest.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

use crate::firmware::acpi::madt::CORES_MAX;
use crate::machine::Job;

/// What is known of a core. Padded to two cache lines, the unit of adjacent-line prefetch, so that
/// no core writes where another reads.
#[repr(C, align(128))]
pub(crate) struct Record {
    /// Its own number, first, because the GS register points here.
    id: AtomicU64,
    /// Its local APIC.
    pub(crate) apic_id: AtomicU32,
    /// Whether it has come up.
    pub(crate) online: AtomicBool,
    /// Turns of its loop.
    pub(crate) turns: AtomicU64,
    /// Waits that a driver asked for: they are bounded, and no sign of a core that is lost.
    pub(crate) waits: AtomicU64,
    /// It halts, or is about to: whoever has something for it must wake it.
    pub(crate) asleep: AtomicBool,
    /// Whether its loop has begun, so that it may be expected to turn.
    pub(crate) looping: AtomicBool,
    /// What it is to run: a `machine::Job`, once.
    pub(crate) job: AtomicPtr<Job>,
    /// That has returned, or there never was anything.
    pub(crate) finished: AtomicBool,
    /// It has told where it was, on being asked by an NMI.
    pub(crate) reported: AtomicBool,
}

static RECORDS: [Record; CORES_MAX] = [const { Record::new() }; CORES_MAX];
static COUNT: AtomicUsize = AtomicUsize::new(1);

impl Record {
    /// A number that changes while the core is alive.
    pub(crate) fn life(&self) -> u64 {
        self.turns.load(Ordering::Relaxed).wrapping_add(self.waits.load(Ordering::Relaxed))
    }

    const fn new() -> Record {
        Record {
            id: AtomicU64::new(0),
            apic_id: AtomicU32::new(0),
            online: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            looping: AtomicBool::new(false),
            job: AtomicPtr::new(core::ptr::null_mut()),
            finished: AtomicBool::new(true),
            reported: AtomicBool::new(false),
        }
    }
}

/// How many cores run our code.
pub fn count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// The record of a core.
pub(crate) fn record(core: usize) -> &'static Record {
    &RECORDS[core]
}

/// All cores that run.
pub(crate) fn online() -> impl Iterator<Item = (usize, &'static Record)> {
    RECORDS[..count()].iter().enumerate()
}

/// The number of this core.
pub(crate) fn current() -> usize {
    #[cfg(panic = "abort")]
    {
        let id: u64;
        // SAFETY: GS points to this core's record from the first line of Rust on.
        unsafe {
            core::arch::asm!("mov {}, gs:[0]", out(reg) id, options(nostack, preserves_flags, readonly));
        };
        id as usize
    }
    #[cfg(not(panic = "abort"))]
    0
}

/// This core is that number, from now on.
pub(crate) fn become_core(core: usize) {
    let record = record(core);
    record.id.store(core as u64, Ordering::Relaxed);
    GsBase::write(VirtAddr::new((&raw const *record) as u64));
}

/// One more core runs.
pub(crate) fn admit() {
    // Cores are started one after the other, by core 0.
    COUNT.store(COUNT.load(Ordering::Relaxed) + 1, Ordering::Release);
}
