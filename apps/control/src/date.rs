//! The time of day as people write it: UTC, by the Gregorian calendar.

use penstock_stack::Duration;

/// A moment of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The year.
    pub year: u32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59: leap seconds are not told apart.
    pub second: u8,
    /// 0 to 999,999.
    pub micros: u32,
}

impl Date {
    /// Of a time since 1970-01-01 00:00 UTC, as [`Cx::wall`](penstock_stack::Cx::wall) gives it.
    pub fn of(wall: Duration) -> Date {
        let (seconds, micros) = (wall.0 / 1_000_000, (wall.0 % 1_000_000) as u32);
        let (days, second) = (seconds / 86_400, (seconds % 86_400) as u32);
        // Years that begin in March: the day that comes and goes is the last of its year. 400 of
        // them have 146,097 days, and 1970-01-01 is the 719,468th since a March of such a cycle.
        let days = days + 719_468;
        let (cycle, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let is_next_year = month >= 10;
        Date {
            year: (cycle * 400 + year + u64::from(is_next_year)) as u32,
            month: if is_next_year { month - 9 } else { month + 3 } as u8,
            day: (day - (153 * month + 2) / 5 + 1) as u8,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            micros,
        }
    }

    /// The month's name, as syslog and HTTP write it.
    pub fn month_name(&self) -> &'static str {
        MONTHS.get(self.month as usize - 1).copied().unwrap_or("???")
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    //! Days follow each other as in the calendar.

    use super::*;

    fn date(seconds: u64) -> (u32, u8, u8, u8, u8, u8) {
        let Date { year, month, day, hour, minute, second, .. } =
            Date::of(Duration::from_secs(seconds));
        (year, month, day, hour, minute, second)
    }

    #[test]
    fn some_moments_are_known() {
        assert_eq!(date(0), (1970, 1, 1, 0, 0, 0));
        assert_eq!(date(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(date(1_795_672_496), (2026, 11, 26, 5, 54, 56));
        assert_eq!(date(4_107_542_399), (2100, 2, 28, 23, 59, 59));
        assert_eq!(date(4_107_542_400), (2100, 3, 1, 0, 0, 0));
        assert_eq!(Date::of(Duration(1_500_001)).micros, 500_001);
    }

    #[test]
    fn every_day_of_a_thousand_years_is_the_next() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..365_250u64 {
            let found = Date::of(Duration::from_secs(number * 86_400));
            assert_eq!((found.year, found.month, found.day), (year, month, day));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                2 => 28 + u8::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (day, month) = if day == days { (1, month + 1) } else { (day + 1, month) };
            (month, year) = if month == 13 { (1, year + 1) } else { (month, year) };
        }
    }
}
