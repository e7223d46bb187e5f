//! How fast the time stamp counter runs.
//!
//! Asked of whoever knows, best first: the processor (CPUID 15h), the hypervisor (CPUID 40000010h, or
//! KVM's clock page), then measured against a clock of known rate: HPET, else the PIT.
//!
//! To measure takes time, so it is begun early and ended when the rest of the machine has started:
//! what lies between costs nothing more. The PIT goes round 18 times a second, too fast for that.
#![allow(unsafe_code)]

use core::arch::x86_64::__cpuid_count;
use penstock_hw::{Mmio, Window};
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

use crate::{cpuid, frames, paging};

/// A rate, and who said it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) hz: u64,
    pub(crate) source: &'static str,
}

/// A measurement under way, unless somebody has told the rate.
pub(crate) enum Measurement {
    Told(Rate),
    Hpet(Hpet, Reading),
}

/// Begins to find the rate. `hpet` is where its registers are, if there is one.
pub(crate) fn begin(hpet: Option<u64>) -> Measurement {
    let told = [(processor(), "CPUID"), (hypervisor(), "hypervisor"), (kvm_clock(), "kvmclock")];
    if let Some(rate) = told.into_iter().find_map(possible) {
        return Measurement::Told(rate);
    }
    if let Some(hpet) = hpet.and_then(Hpet::at) {
        let begin = Reading::of(|| hpet.count());
        return Measurement::Hpet(hpet, begin);
    }
    let rate = possible((against_pit(), "PIT"));
    Measurement::Told(rate.unwrap_or(Rate { hz: HZ_GUESSED, source: "guess" }))
}

impl Measurement {
    /// The rate, not before enough time has passed.
    pub(crate) fn end(self) -> Rate {
        let (hpet, begin) = match self {
            Measurement::Told(rate) => return rate,
            Measurement::Hpet(hpet, begin) => (hpet, begin),
        };
        let hz = against(hpet.hz, u32::MAX, HPET_NS, begin, || hpet.count());
        possible((hz, "HPET"))
            .or_else(|| possible((against_pit(), "PIT")))
            .unwrap_or(Rate { hz: HZ_GUESSED, source: "guess" })
    }
}

/// No processor of ours runs slower or faster.
fn possible((hz, source): (Option<u64>, &'static str)) -> Option<Rate> {
    hz.filter(|hz| (HZ_MIN..HZ_MAX).contains(hz)).map(|hz| Rate { hz, source })
}

/// Leaf 15h: the counter is a ratio of a crystal, where the crystal's rate is told.
fn processor() -> Option<u64> {
    let leaf = cpuid::leaf(0x15);
    if leaf.eax == 0 || leaf.ecx == 0 {
        return None;
    }
    Some(u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax))
}

/// The leaf that VMware began and others took up: kilohertz.
fn hypervisor() -> Option<u64> {
    let leaf = cpuid::HYPERVISOR + 0x10;
    let told = cpuid::is_guest() && __cpuid_count(cpuid::HYPERVISOR, 0).eax >= leaf;
    told.then(|| u64::from(__cpuid_count(leaf, 0).eax) * 1_000)
}

/// KVM's clock page holds multiplier and shift from ticks to nanoseconds.
fn kvm_clock() -> Option<u64> {
    /// `pvclock_vcpu_time_info` of Linux's `pvclock-abi.h`, as far as it matters here.
    #[repr(C, align(32))]
    struct Page {
        _version: [u32; 2],
        _tsc: u64,
        _system_time: u64,
        multiplier: u32,
        shift: i8,
    }
    const CLOCK_SOURCE_2: u32 = 1 << 3;
    const SYSTEM_TIME_NEW: u32 = 0x4b56_4d01;
    if &cpuid::hypervisor() != b"KVMKVMKVM\0\0\0"
        || __cpuid_count(cpuid::HYPERVISOR + 1, 0).eax & CLOCK_SOURCE_2 == 0
    {
        return None;
    }
    let page = frames::take(4096, 4096, u64::MAX)? as *mut Page;
    // SAFETY: the hypervisor offers this register, fills the page before the write ends, and is told
    // to stop; the page is nobody else's.
    let (multiplier, shift) = unsafe {
        Msr::new(SYSTEM_TIME_NEW).write(page as u64 | 1);
        let read = (
            (&raw const (*page).multiplier).read_volatile(),
            (&raw const (*page).shift).read_volatile(),
        );
        Msr::new(SYSTEM_TIME_NEW).write(0);
        read
    };
    rate_of_scale(multiplier, shift)
}

/// Nanoseconds are `(ticks << shift) * multiplier >> 32`.
fn rate_of_scale(multiplier: u32, shift: i8) -> Option<u64> {
    if multiplier == 0 || !(-32..32).contains(&shift) {
        return None;
    }
    let hz = (1_000_000_000u128 << 32) / u128::from(multiplier);
    u64::try_from(if shift < 0 { hz << -shift } else { hz >> shift }).ok()
}

/// The event timer, whose registers tell its period.
pub(crate) struct Hpet {
    window: Window,
    hz: u64,
}

impl Hpet {
    fn at(registers: u64) -> Option<Hpet> {
        const PERIOD: u32 = 4;
        const CONFIGURATION: u32 = 0x10;
        let window = paging::map_window(registers, 1024).ok()?;
        // In femtoseconds; the specification allows at most 100 ns.
        let period_fs = u64::from(window.read32(PERIOD));
        if !(100_000..=100_000_000).contains(&period_fs) {
            return None;
        }
        window.write32(CONFIGURATION, window.read32(CONFIGURATION) | 1);
        Some(Hpet { window, hz: 1_000_000_000_000_000 / period_fs })
    }

    fn count(&self) -> u32 {
        const COUNTER: u32 = 0xf0;
        self.window.read32(COUNTER)
    }
}

/// Channel 2 of the interval timer: it drives the speaker, which stays off.
fn against_pit() -> Option<u64> {
    const PIT_HZ: u64 = 1_193_182;
    let (mut gate, mut mode) = (Port::<u8>::new(0x61), Port::<u8>::new(0x43));
    let mut count = Port::<u8>::new(0x42);
    // SAFETY: nothing else uses this channel.
    unsafe {
        let kept = gate.read();
        gate.write(kept & 0xfc | 1);
        mode.write(0xb0);
        count.write(0xff);
        count.write(0xff);
        let mut read = || {
            mode.write(0x80);
            let low = count.read();
            0xffff - u32::from(u16::from_le_bytes([low, count.read()]))
        };
        let begin = Reading::of(&mut read);
        let hz = against(PIT_HZ, 0xffff, PIT_NS, begin, read);
        gate.write(kept);
        hz
    }
}

/// What a counter of known rate said, and the time stamp counter at that moment.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    count: u32,
    tsc: u64,
}

impl Reading {
    /// Of some readings the one around which least time passed: whoever shares the processor may take
    /// it away between the counter and the time stamp.
    fn of(mut read: impl FnMut() -> u32) -> Reading {
        let mut once = || {
            let (before, count) = (cpuid::tsc(), read());
            let after = cpuid::tsc();
            (after - before, Reading { count, tsc: before.midpoint(after) })
        };
        let mut best = once();
        for _ in 1..READINGS {
            let other = once();
            if other.0 < best.0 {
                best = other;
            }
        }
        best.1
    }
}

/// The rate that a counter of known rate gives, over so much time at least. It counts up and wraps behind
/// `mask`.
fn against(
    counter_hz: u64,
    mask: u32,
    least_ns: u64,
    begin: Reading,
    mut read: impl FnMut() -> u32,
) -> Option<u64> {
    let ticks_min = counter_hz * least_ns / 1_000_000_000;
    let passed = |count: u32| u64::from(count.wrapping_sub(begin.count) & mask);
    for _ in 0..READS_MAX {
        if passed(read()) < ticks_min {
            continue;
        }
        let end = Reading::of(&mut read);
        let (ticks, of_counter) = (end.tsc - begin.tsc, passed(end.count));
        return Some((u128::from(ticks) * u128::from(counter_hz) / u128::from(of_counter)) as u64);
    }
    None
}

/// A reading is off by less than half of what it takes, some hundred nanoseconds, at both ends in the
/// same direction: a ten-thousandth at worst.
const HPET_NS: u64 = 1_500_000;

/// It counts in steps of 838 ns.
const PIT_NS: u64 = 10_000_000;
const HZ_MIN: u64 = 100_000_000;
const HZ_MAX: u64 = 20_000_000_000;

/// For a machine without any of the clocks above: its times are wrong, and it serves.
const HZ_GUESSED: u64 = 2_000_000_000;

const READINGS: u32 = 32;

/// A reading takes at least some hundred nanoseconds: this is seconds, for a counter that stands still.
const READS_MAX: u32 = 5_000_000;

#[cfg(test)]
mod tests {
    //! KVM's pair of numbers gives the rate that it stands for.

    use super::rate_of_scale;

    #[test]
    fn a_scale_is_a_rate() {
        // 2 GHz: half a nanosecond for each tick.
        assert_eq!(rate_of_scale(1 << 31, 0), Some(2_000_000_000));
        assert_eq!(rate_of_scale(1 << 31, 1), Some(1_000_000_000));
        assert_eq!(rate_of_scale(1 << 31, -1), Some(4_000_000_000));
        assert_eq!(rate_of_scale(0, 0), None);
        assert_eq!(rate_of_scale(1, 100), None);
    }
}
