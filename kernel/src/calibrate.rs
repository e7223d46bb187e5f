//! How fast the time stamp counter runs.
//!
//! Asked of whoever knows, best first: the processor (CPUID 15h), the hypervisor (CPUID 40000010h, or
//! KVM's clock page), then measured against a clock of known rate: HPET, else the PIT.
#![allow(unsafe_code)]

use core::arch::x86_64::__cpuid_count;
use penstock_hw::Mmio;
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

use crate::{cpuid, frames, paging};

/// A rate, and who said it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) hz: u64,
    pub(crate) source: &'static str,
}

/// Finds the rate. `hpet` is where its registers are, if there is one.
pub(crate) fn rate(hpet: Option<u64>) -> Rate {
    let told = [(processor(), "CPUID"), (hypervisor(), "hypervisor"), (kvm_clock(), "kvmclock")];
    let possible = |hz: &u64| (HZ_MIN..HZ_MAX).contains(hz);
    let rate = |(hz, source): (Option<u64>, _)| hz.filter(possible).map(|hz| Rate { hz, source });
    told.into_iter()
        .find_map(rate)
        .or_else(|| rate((hpet.and_then(against_hpet), "HPET")))
        .or_else(|| rate((against_pit(), "PIT")))
        .unwrap_or(Rate { hz: HZ_GUESSED, source: "guess" })
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
fn against_hpet(registers: u64) -> Option<u64> {
    const PERIOD: u32 = 4;
    const CONFIGURATION: u32 = 0x10;
    const COUNTER: u32 = 0xf0;
    let window = paging::map_window(registers, 1024).ok()?;
    // In femtoseconds; the specification allows at most 100 ns.
    let period_fs = u64::from(window.read32(PERIOD));
    if !(100_000..=100_000_000).contains(&period_fs) {
        return None;
    }
    window.write32(CONFIGURATION, window.read32(CONFIGURATION) | 1);
    against(1_000_000_000_000_000 / period_fs, u32::MAX, || window.read32(COUNTER))
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
        let hz = against(PIT_HZ, 0xffff, || {
            mode.write(0x80);
            let low = count.read();
            0xffff - u32::from(u16::from_le_bytes([low, count.read()]))
        });
        gate.write(kept);
        hz
    }
}

/// The rate that a counter of known rate gives, over ten milliseconds. It counts up and wraps behind `mask`.
fn against(counter_hz: u64, mask: u32, mut read: impl FnMut() -> u32) -> Option<u64> {
    // Of some readings the one around which least time passed: whoever shares the processor may take
    // it away between the counter and the time stamp.
    let mut reading = || {
        let once = |_| {
            let (before, count) = (cpuid::tsc(), read());
            let after = cpuid::tsc();
            (after - before, count, before.midpoint(after))
        };
        (0..READINGS).map(once).min_by_key(|&(took, _, _)| took)
    };
    let (_, begin, begin_tsc) = reading()?;
    for _ in 0..READS_MAX {
        let (_, end, end_tsc) = reading()?;
        let passed = u64::from(end.wrapping_sub(begin) & mask);
        if passed >= counter_hz * MEASURE_NS / 1_000_000_000 {
            return Some(
                (u128::from(end_tsc - begin_tsc) * u128::from(counter_hz) / u128::from(passed))
                    as u64,
            );
        }
    }
    None
}

const MEASURE_NS: u64 = 10_000_000;
const HZ_MIN: u64 = 100_000_000;
const HZ_MAX: u64 = 20_000_000_000;

/// For a machine without any of the clocks above: its times are wrong, and it serves.
const HZ_GUESSED: u64 = 2_000_000_000;

const READINGS: u32 = 8;

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
