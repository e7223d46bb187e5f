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

/// Their names, as syslog and HTTP write them.
pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

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

    /// The month's name.
    pub fn month_name(&self) -> &'static str {
        MONTHS.get(self.month as usize - 1).copied().unwrap_or("???")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        let date = |seconds: u64| {
            let Date { year, month, day, hour, minute, second, .. } =
                Date::of(Duration::from_secs(seconds));
            (year, month, day, hour, minute, second)
        };
        assert_eq!(date(0), (1970, 1, 1, 0, 0, 0));
        assert_eq!(date(951_782_399), (2000, 2, 28, 23, 59, 59));
        assert_eq!(date(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(date(1_795_670_400), (2026, 11, 26, 5, 20, 0));
        assert_eq!(date(4_107_542_400), (2100, 3, 1, 0, 0, 0), "no leap year");
        // Every day for 400 years follows the one before.
        let mut before = (1970, 1, 1);
        for day in 1..146_097 {
            let (year, month, of_month, ..) = date(day * 86_400);
            let same_month = (year, month, of_month) == (before.0, before.1, before.2 + 1);
            let next =
                of_month == 1 && (month == before.1 + 1 || month == 1 && year == before.0 + 1);
            assert!(same_month || next, "{before:?} {year} {month} {of_month}");
            before = (year, month, of_month);
        }
    }
}
