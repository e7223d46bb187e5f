//! Time: nanoseconds since boot, from the time stamp counter.
//!
//! One multiplication, without a lock or a register of a device. The counters of all cores of a
//! machine start together at reset and run at one rate where the processor says "invariant"; each
//! core that starts is compared with core 0, and a core that is behind is told by how much, so that a time
//! read here and then there never goes backwards.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{cores, cpuid};

/// Nanoseconds of 2^32 ticks. Before calibration: one tick is one third of a nanosecond.
static SCALE: AtomicU64 = AtomicU64::new((1 << 32) / 3);

/// The counter at the beginning.
static START: AtomicU64 = AtomicU64::new(0);

/// Seconds since 1970 at the beginning; 0 if nobody knows.
static WALL: AtomicU64 = AtomicU64::new(0);

/// The beginning is now.
pub(crate) fn begin() {
    START.store(cpuid::tsc(), Ordering::Relaxed);
}

/// Nanoseconds since the kernel began, the same on every core.
pub fn now_ns() -> u64 {
    to_ns(cpuid::tsc().saturating_sub(START.load(Ordering::Relaxed)))
}

/// Nanoseconds of that many ticks.
pub(crate) fn to_ns(ticks: u64) -> u64 {
    scaled(ticks, SCALE.load(Ordering::Relaxed))
}

/// The counter's rate was measured, or read somewhere.
pub(crate) fn set_frequency(hz: u64) {
    SCALE.store(scale(hz), Ordering::Relaxed);
}

/// What the real-time clock says now, in seconds since 1970.
pub(crate) fn set_wall(unix_seconds: u64) {
    WALL.store(unix_seconds.saturating_sub(now_ns() / 1_000_000_000), Ordering::Relaxed);
}

/// Seconds since 1970, if a real-time clock told.
pub fn unix_seconds() -> Option<u64> {
    let wall = WALL.load(Ordering::Relaxed);
    (wall != 0).then(|| wall + now_ns() / 1_000_000_000)
}

/// Waits at least that many microseconds, turning. Whoever waits so is alive to those who watch: a card
/// that is broken takes more of such waits, each bounded, than a core may stand still.
pub fn delay_us(wait_us: u32) {
    spin_ns(u64::from(wait_us) * 1_000);
    let waits = &cores::record(cores::current()).waits;
    waits.store(waits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Waits, turning.
pub(crate) fn spin_ns(wait_ns: u64) {
    let begin = now_ns();
    while now_ns().wrapping_sub(begin) < wait_ns {
        core::hint::spin_loop();
    }
}

/// Nanoseconds of 2^32 ticks at this rate.
const fn scale(hz: u64) -> u64 {
    let scale = (1_000_000_000u128 << 32) / if hz == 0 { 1 } else { hz as u128 };
    if scale > u64::MAX as u128 { u64::MAX } else { scale as u64 }
}

const fn scaled(ticks: u64, scale: u64) -> u64 {
    ((ticks as u128 * scale as u128) >> 32) as u64
}

#[cfg(test)]
mod tests {
    //! The arithmetic holds for the rates and the uptimes that there are.

    use super::*;

    #[test]
    fn a_year_is_a_year_at_every_rate() {
        for hz in [1_000_000_000u64, 1_999_999_123, 2_445_426_000, 5_700_000_000] {
            let year = 365 * 86_400u64;
            let ns = scaled(hz * year, scale(hz));
            let exact = year * 1_000_000_000;
            assert!(exact.abs_diff(ns) < exact / 1_000_000_000, "{hz}: {ns}");
        }
    }

    #[test]
    fn an_impossible_rate_is_no_fault() {
        assert_eq!(
            scaled(u64::MAX, scale(1)),
            0xffff_ffff_ffff_ffff_u128.wrapping_mul(1_000_000_000) as u64
        );
        let _ = scaled(u64::MAX, scale(0));
    }
}
