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
        self.tokens =
            (self.tokens + elapsed.saturating_mul(self.per_second as u64).min(most)).min(most);
        let allowed = self.tokens >= 1000;
        if allowed {
            self.tokens -= 1000;
        }
        allowed
    }
}

/// A limit that connections share, and that nobody can count from outside: how many of those it
/// allows were used by others would tell an attacker which of his guesses hit (CVE-2016-5696). So
/// each second has a secret quota of its own, between half of the limit and all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretQuota {
    limit: u32,
    secret: u64,
    second: u32,
    left: u32,
}

impl SecretQuota {
    pub(crate) fn new(limit: u32, secret: u64) -> SecretQuota {
        SecretQuota { limit, secret, second: u32::MAX, left: 0 }
    }

    /// Whether it may be done once more in this second.
    pub(crate) fn take(&mut self, millis: u32) -> bool {
        let second = millis / 1000;
        if second != self.second {
            self.second = second;
            let drawn = (self.secret ^ second as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let mixed = (drawn ^ self.secret >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
            self.left = self.limit - mixed as u32 % (self.limit / 2 + 1);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::{RateLimit, SecretQuota};

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

    #[test]
    fn a_secret_quota_stays_below_its_limit_and_differs_from_second_to_second() {
        let mut quota = SecretQuota::new(1000, 0x0123_4567_89ab_cdef);
        let taken = |quota: &mut SecretQuota, second: u32| {
            (0..2000).filter(|at| quota.take(second * 1000 + at / 2)).count()
        };
        let counts: std::vec::Vec<usize> =
            (0..20).map(|second| taken(&mut quota, second)).collect();
        assert!(counts.iter().all(|count| (500..=1000).contains(count)), "{counts:?}");
        assert!(counts.windows(2).all(|pair| pair[0] != pair[1]), "{counts:?}");
        let mut one = SecretQuota::new(1, 7);
        assert!(one.take(0) && !one.take(999) && one.take(1000));
        assert!(!SecretQuota::new(0, 7).take(0));
    }
}
