//! Time as the stack sees it: handed in, never read.

use core::ops::{Add, Sub};

/// Microseconds since some moment before the worker started. Monotonic; the same on every core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Instant(pub u64);

/// A span of microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Duration(pub u64);

impl Instant {
    /// Milliseconds, on a ring of 2^32: what timers and records keep.
    #[inline]
    pub const fn millis(self) -> u32 {
        (self.0 / 1000) as u32
    }

    /// Microseconds, on a ring of 2^32 (71 minutes): what round trips are measured with.
    #[inline]
    pub const fn micros(self) -> u32 {
        self.0 as u32
    }
}

impl Duration {
    /// `count` microseconds.
    pub const fn from_micros(count: u64) -> Duration {
        Duration(count)
    }

    /// `count` milliseconds.
    pub const fn from_millis(count: u64) -> Duration {
        Duration(count * 1000)
    }

    /// `count` seconds.
    pub const fn from_secs(count: u64) -> Duration {
        Duration(count * 1_000_000)
    }

    /// Whole milliseconds.
    pub const fn millis(self) -> u64 {
        self.0 / 1000
    }
}

/// The time of day as a line over the monotonic clock, which is never touched: since `since` it was
/// `then`, and until `until` it gains `gain_ppm` on the clock (or loses), so that it comes to be right
/// without a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wall {
    /// A moment.
    pub since: Instant,
    /// The time of day then, since 1970-01-01 00:00 UTC; [`Wall::UNKNOWN`]'s is 0.
    pub then: Duration,
    /// Microseconds gained in each second.
    pub gain_ppm: i32,
    /// The end of the gain.
    pub until: Instant,
}

impl Wall {
    /// Nobody knows.
    pub const UNKNOWN: Wall =
        Wall { since: Instant(0), then: Duration(0), gain_ppm: 0, until: Instant(0) };

    /// The time of day at `now`, since 1970-01-01 00:00 UTC.
    pub fn at(&self, now: Instant) -> Option<Duration> {
        if self.then.0 == 0 {
            return None;
        }
        let passed = now.0.saturating_sub(self.since.0);
        let gaining = now.min(self.until).0.saturating_sub(self.since.0);
        let gain = gaining as i128 * self.gain_ppm as i128 / 1_000_000;
        Some(Duration((self.then.0 as i128 + passed as i128 + gain).max(0) as u64))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    #[inline]
    fn add(self, span: Duration) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    #[inline]
    fn sub(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}
