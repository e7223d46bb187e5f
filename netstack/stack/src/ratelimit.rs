//! A bound on how often something is done: so many a second, at most that many at once.

/// A token bucket on the millisecond clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    per_second: u32,
    /// Tokens, in thousandths.
    tokens: u64,
    filled_at: u32,
}

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> RateLimit {
        RateLimit { per_second, tokens: per_second as u64 * 1000, filled_at: 0 }
    }

    /// Whether it may be done once more now.
    pub(crate) fn take(&mut self, millis: u32) -> bool {
        let elapsed = millis.wrapping_sub(self.filled_at) as u64;
        self.filled_at = millis;
        let most = self.per_second as u64 * 1000;
        self.tokens = (self.tokens + elapsed * self.per_second as u64).min(most);
        let allowed = self.tokens >= 1000;
        if allowed {
            self.tokens -= 1000;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::RateLimit;

    #[test]
    fn no_more_than_the_rate_whatever_the_burst() {
        let mut limit = RateLimit::new(10);
        assert_eq!((0..100).filter(|_| limit.take(5)).count(), 10);
        assert!(!limit.take(104), "a tenth of a second has not passed");
        assert!(limit.take(105));
        assert_eq!((0..100).filter(|_| limit.take(1_000_000)).count(), 10);
        let mut none = RateLimit::new(0);
        assert!(!none.take(99));
    }
}
