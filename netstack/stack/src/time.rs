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
