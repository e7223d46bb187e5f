//! How often something happens, over a period that slides, in the way of HAProxy's `freq_ctr`: all of
//! the present period, and of the one before as much as overlaps.
//!
//! ```text
//!   ├── before ──┤── count ──┤
//!        └──── period ───┘ now
//! ```
//! Two numbers and a moment stand for a list of events: those of the period before are taken to have
//! been evenly spread.

/// Events, and when they were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    /// In the present period. A plain counter of a stick table has no other part.
    pub(crate) count: u64,
    before: u32,
    /// When the present period began, in milliseconds on a ring of 2^32.
    begun_at: u32,
}

impl Rate {
    /// So many more events, or fewer.
    pub(crate) fn add(&mut self, more: i32, period_ms: u32, now_ms: u32) {
        let age = now_ms.wrapping_sub(self.begun_at);
        if age >= period_ms {
            let is_next = age < period_ms.saturating_mul(2);
            self.before = if is_next { self.count.min(u32::MAX.into()) as u32 } else { 0 };
            self.begun_at = if is_next { self.begun_at.wrapping_add(period_ms) } else { now_ms };
            self.count = 0;
        }
        self.count = self.count.saturating_add_signed(more.into());
    }

    /// Events within the last period. A single one counts until it is a period old.
    pub(crate) fn within(&self, period_ms: u32, now_ms: u32) -> u64 {
        let parts = self.parts(period_ms, now_ms);
        if parts.count == 0 && parts.before <= 1 {
            return parts.before;
        }
        parts.total(period_ms) / u64::from(period_ms)
    }

    /// How many more there may be now, where `most` may be in each period.
    pub(crate) fn room(&self, most: u32, period_ms: u32, now_ms: u32) -> u32 {
        let average = self.parts(period_ms, now_ms).total(period_ms) / u64::from(period_ms);
        most.saturating_sub(average.min(u32::MAX.into()) as u32)
    }

    /// Milliseconds after which to ask again, where there is no room.
    pub(crate) fn delay_ms(&self, most: u32, period_ms: u32, now_ms: u32) -> u32 {
        let total = self.parts(period_ms, now_ms).total(period_ms);
        let over = total.saturating_sub(u64::from(most) * u64::from(period_ms));
        (over / u64::from(most.max(1))).clamp(1, period_ms.into()) as u32
    }

    fn parts(&self, period_ms: u32, now_ms: u32) -> Parts {
        let (mut before, mut count) = (u64::from(self.before), self.count);
        let mut left = i64::from(period_ms) - i64::from(now_ms.wrapping_sub(self.begun_at));
        if left < 0 {
            left += i64::from(period_ms);
            before = if left >= 0 { count } else { 0 };
            count = 0;
        }
        Parts { before, left_ms: left.max(0) as u64, count }
    }
}

/// A rate at one moment.
struct Parts {
    before: u64,
    /// How much of the period before overlaps.
    left_ms: u64,
    count: u64,
}

impl Parts {
    /// Events, times the milliseconds of a period.
    fn total(&self, period_ms: u32) -> u64 {
        self.before * self.left_ms + self.count * u64::from(period_ms)
    }
}

#[cfg(test)]
mod tests {
    //! The numbers of `freq_ctr_remain` and `next_event_delay`.

    use super::Rate;

    #[test]
    fn after_a_burst_there_is_room_for_one_at_a_time() {
        let mut rate = Rate::default();
        let begin = 50_000;
        assert_eq!(rate.room(10, 1000, begin), 10);
        rate.add(10, 1000, begin);
        assert_eq!((rate.room(10, 1000, begin), rate.delay_ms(10, 1000, begin)), (0, 1));
        assert_eq!(rate.room(10, 1000, begin + 1000), 0, "a whole period is a whole period");
        assert_eq!(rate.room(10, 1000, begin + 1001), 1);
        rate.add(1, 1000, begin + 1001);
        assert_eq!(rate.room(10, 1000, begin + 1100), 0);
        assert_eq!(rate.room(10, 1000, begin + 1101), 1);
        assert_eq!(rate.room(10, 1000, begin + 1500), 4);
    }

    #[test]
    fn who_is_far_over_waits_for_as_long_as_that_takes() {
        let mut rate = Rate::default();
        rate.add(30, 1000, 50_000);
        // Twenty too many, at ten a second.
        assert_eq!(rate.delay_ms(10, 1000, 50_000), 1000, "at most a period");
        assert_eq!(rate.delay_ms(20, 1000, 50_000), 500);
        rate.add(-20, 1000, 50_001);
        assert_eq!(rate.delay_ms(10, 1000, 50_001), 1, "what did not happen after all");
    }
}
