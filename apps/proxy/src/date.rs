//! The time of day as people write it, in UTC: there is no other time in an appliance.

use penstock_stack::Duration;

/// A moment of the civil calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: u64,
    /// From 1.
    pub(crate) month: u8,
    /// From 1.
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) micros: u32,
}

impl Date {
    /// The moment that is so long after 1970-01-01 00:00.
    pub(crate) fn at(since_1970: Duration) -> Date {
        let seconds = since_1970.0 / 1_000_000;
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        // Years begin in March here, so that the leap day is the last of one, and are counted from
        // the year 0, a multiple of 400 years before anything we are told.
        let days = days + DAYS_TO_1970;
        let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Months from March have 31, 30, 31, 30, 31 days, twice, and then 31 and what is left.
        let month = (5 * day + 2) / 153;
        let month_of_year = if month < 10 { month + 3 } else { month - 9 };
        Date {
            year: era * 400 + year + u64::from(month_of_year <= 2),
            month: month_of_year as u8,
            day: (day - (153 * month + 2) / 5 + 1) as u8,
            hour: (of_day / 3_600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            micros: (since_1970.0 % 1_000_000) as u32,
        }
    }

    /// `Nov`.
    pub(crate) fn month_name(&self) -> &'static [u8] {
        MONTHS[usize::from(self.month.clamp(1, 12)) - 1]
    }
}

/// From March 1 of the year 0.
const DAYS_TO_1970: u64 = 719_468;
const DAYS_IN_400_YEARS: u64 = 146_097;

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests {
    //! Days follow each other as in the calendar.

    use super::*;

    fn date(seconds: u64) -> (u64, u8, u8, u8, u8, u8) {
        let Date { year, month, day, hour, minute, second, .. } =
            Date::at(Duration::from_secs(seconds));
        (year, month, day, hour, minute, second)
    }

    #[test]
    fn some_moments_are_known() {
        assert_eq!(date(0), (1970, 1, 1, 0, 0, 0));
        assert_eq!(date(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(date(1_795_672_496), (2026, 11, 26, 5, 54, 56));
        assert_eq!(date(4_107_542_399), (2100, 2, 28, 23, 59, 59));
        assert_eq!(date(4_107_542_400), (2100, 3, 1, 0, 0, 0));
        assert_eq!(Date::at(Duration(1_500_001)).micros, 500_001);
    }

    #[test]
    fn every_day_of_a_thousand_years_is_the_next() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..365_250u64 {
            let found = Date::at(Duration::from_secs(number * 86_400));
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
