//! The time of day: what it is taken from, and how it is corrected.
//!
//! The monotonic clock is never touched. At first the time of day comes from where the machine keeps
//! it (an RTC tells whole seconds); the first time server that answers may move it at once, because
//! nobody has lived by it for long; after that it only runs a little faster or slower until it is
//! right, and never back.

use penstock_stack::{Duration, Instant, Wall};

/// The time of day of core 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) wall: Wall,
    is_synchronised: bool,
}

/// What became of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corrected {
    /// The first one: moved at once.
    Stepped,
    /// It gains or loses until it is right.
    Slewed,
    /// So far away that it is not believed.
    Refused,
}

impl Clock {
    /// At `now` it is `then`; `None`: nobody knows.
    pub(crate) fn new(now: Instant, then: Option<Duration>) -> Clock {
        let wall = Wall { since: now, then: then.unwrap_or_default(), ..Wall::UNKNOWN };
        Clock { wall, is_synchronised: false }
    }

    /// The time of day is `offset_us` later than it says; `source` is who says so, for the first time
    /// or not.
    pub(crate) fn correct(&mut self, now: Instant, offset_us: i64) -> Corrected {
        let then = self.wall.at(now);
        let is_first = !self.is_synchronised;
        let moved = |then: Duration| Duration(then.0.saturating_add_signed(offset_us));
        match then {
            // Nobody knew: the offset is the time itself.
            None => {
                let then = Duration(offset_us.max(1) as u64);
                self.wall = Wall { since: now, then, ..Wall::UNKNOWN };
            }
            Some(then) if is_first && offset_us.abs() > STEP_US => {
                self.wall = Wall { since: now, then: moved(then), ..Wall::UNKNOWN };
            }
            Some(_) if offset_us.abs() > PANIC_US => return Corrected::Refused,
            Some(then) => {
                // In about a minute, where that is not too steep.
                let gain_ppm = (offset_us / 64).clamp(-GAIN_PPM_MAX, GAIN_PPM_MAX);
                let gain_ppm = match gain_ppm {
                    0 => offset_us.signum(),
                    gain => gain,
                };
                let span_us = if gain_ppm == 0 { 0 } else { offset_us * 1_000_000 / gain_ppm };
                let until = now + Duration(span_us.max(0) as u64);
                self.wall = Wall { since: now, then, gain_ppm: gain_ppm as i32, until };
                self.is_synchronised = true;
                return Corrected::Slewed;
            }
        }
        self.is_synchronised = true;
        Corrected::Stepped
    }

    pub(crate) fn is_synchronised(&self) -> bool {
        self.is_synchronised
    }
}

/// More than this, the first correction is made at once (that of ntpd and chronyd).
const STEP_US: i64 = 128_000;
/// More than this, a later one is not believed (ntpd's panic threshold).
const PANIC_US: i64 = 1_000_000_000;
/// One second in a hundred: no timeout that is read off it notices.
const GAIN_PPM_MAX: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, proptest};

    const NOON: Duration = Duration::from_secs(1_795_670_400);

    #[test]
    fn the_first_correction_may_be_a_step_and_no_other() {
        let now = Instant(5_000_000);
        let mut clock = Clock::new(now, Some(NOON));
        assert_eq!(clock.correct(now, -7_200_000_000), Corrected::Stepped);
        assert_eq!(clock.wall.at(now), Some(Duration(NOON.0 - 7_200_000_000)));
        assert_eq!(clock.correct(now, 7_200_000_000), Corrected::Refused);
        assert_eq!(clock.correct(now, 640_000), Corrected::Slewed);
        assert_eq!(clock.wall.at(now), Some(Duration(NOON.0 - 7_200_000_000)));
        let later = now + Duration::from_secs(64);
        assert_eq!(clock.wall.at(later), Some(Duration(NOON.0 - 7_136_000_000 + 640_000)));
        let mut clock = Clock::new(now, None);
        assert_eq!(clock.correct(now, NOON.0 as i64), Corrected::Stepped);
        assert_eq!(clock.wall.at(now), Some(NOON));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn time_never_runs_back_and_comes_to_be_right(offset in -999_999_999_i64..999_999_999) {
            let now = Instant(5_000_000);
            let mut clock = Clock { is_synchronised: true, ..Clock::new(now, Some(NOON)) };
            assert_eq!(clock.correct(now, offset), Corrected::Slewed);
            let at = |seconds: u64| clock.wall.at(now + Duration::from_secs(seconds)).expect("known").0;
            for seconds in 0..100 {
                assert!(at(seconds + 1) > at(seconds));
            }
            let long = 2_000_000;
            let right = (NOON.0 + long * 1_000_000).saturating_add_signed(offset);
            assert!(at(long).abs_diff(right) <= 64, "{} {right}", at(long));
        }
    }
}
