//! The time of day as lines say it, to the second: written once for all lines of a second.

use penstock_control::Date;
use penstock_stack::Duration;

use super::header::write_legacy;
use super::items::write_day_and_time;
use crate::line::Line;

/// The texts of the second that was last asked for.
#[derive(Debug)]
pub struct Clock {
    /// Seconds since 1970.
    second: u64,
    /// `21/Nov/2026:04:03:24`.
    day_and_time: Text<24>,
    /// `Nov 21 04:03:24 `, RFC 3164 section 4.1.2.
    legacy: Text<16>,
}

/// A text of a bounded length.
#[derive(Debug)]
struct Text<const MOST: usize> {
    bytes: [u8; MOST],
    len: usize,
}

impl Clock {
    /// Nothing was asked for yet.
    pub fn new() -> Clock {
        let (day_and_time, legacy) = (Text::EMPTY, Text::EMPTY);
        Clock { second: u64::MAX, day_and_time, legacy }
    }

    /// `21/Nov/2026:04:03:24`.
    pub(super) fn day_and_time(&mut self, at: Duration) -> &[u8] {
        self.set(at);
        self.day_and_time.as_bytes()
    }

    /// `Nov 21 04:03:24 `.
    pub(super) fn legacy(&mut self, at: Duration) -> &[u8] {
        self.set(at);
        self.legacy.as_bytes()
    }

    #[inline]
    fn set(&mut self, at: Duration) {
        let second = at.0 / 1_000_000;
        if second != self.second {
            self.write(second);
        }
    }

    #[inline(never)]
    fn write(&mut self, second: u64) {
        let date = Date::of(Duration::from_secs(second));
        self.second = second;
        self.day_and_time.write(|line| write_day_and_time(&date, line));
        self.legacy.write(|line| write_legacy(&date, line));
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

impl<const MOST: usize> Text<MOST> {
    const EMPTY: Text<MOST> = Text { bytes: [0; MOST], len: 0 };

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn write(&mut self, write: impl FnOnce(&mut Line<'_>)) {
        let mut line = Line::new(&mut self.bytes);
        write(&mut line);
        self.len = line.len();
    }
}
