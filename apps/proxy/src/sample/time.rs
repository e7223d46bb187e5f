//! Converters that spell moments: `utime`, `ltime`, `http_date`. What C's `strftime` writes in its own
//! locale, with the padding that glibc lets a format ask for. The machine's zone is UTC.

use penstock_config::haproxy::{TimeUnit, Zone};
use penstock_control::Date;
use penstock_stack::Duration;

use super::{Room, Value};
use crate::line::Line;

/// A moment, and where it lies in its year.
struct Moment {
    date: Date,
    /// Seconds since 1970.
    seconds: u64,
    /// From 0.
    day_of_year: u32,
    /// From 0, a Sunday.
    weekday: u32,
}

/// `utime`, `ltime`: `number` seconds since 1970, and `offset` more.
pub(super) fn time<'a>(
    number: i64,
    offset: i64,
    zone: Zone,
    format: &[u8],
    room: &mut Room<'a>,
) -> Option<Value<'a>> {
    let moment = Moment::of((number & MASK).checked_add(offset)?)?;
    Some(Value::Text(room.write(|line| moment.write(format, zone, line))))
}

/// `http_date`, RFC 9110 section 5.6.7.
pub(super) fn http_date<'a>(
    number: i64,
    offset: i64,
    unit: TimeUnit,
    room: &mut Room<'a>,
) -> Option<Value<'a>> {
    let number = number.checked_add(offset)?;
    let (whole, rest) = match unit {
        TimeUnit::Seconds => (number, None),
        TimeUnit::Milliseconds => (number / 1000, Some(number % 1000)),
        TimeUnit::Microseconds => (number / 1_000_000, Some(number % 1_000_000)),
    };
    let moment = Moment::of(whole & MASK)?;
    Some(Value::Text(room.write(|line| {
        moment.write(b"%a, %d %b %Y %T", Zone::Greenwich, line);
        if let Some(rest) = rest {
            line.byte(b'.');
            line.signed(rest);
        }
        line.push(b" GMT");
    })))
}

impl Moment {
    fn of(seconds: i64) -> Option<Moment> {
        let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds < SECONDS_MAX)?;
        let date = Date::of(Duration::from_secs(seconds));
        let is_leap = is_leap(date.year);
        let before = DAYS_BEFORE.get(usize::from(date.month) - 1).copied().unwrap_or_default();
        let is_later = is_leap && date.month > 2;
        let day_of_year = before + u32::from(is_later) + u32::from(date.day) - 1;
        // 1970 began with a Thursday.
        let weekday = ((seconds / 86_400 + 4) % 7) as u32;
        Some(Moment { date, seconds, day_of_year, weekday })
    }

    fn write(&self, format: &[u8], zone: Zone, line: &mut Line<'_>) {
        let mut rest = format;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if byte != b'%' {
                line.byte(byte);
                continue;
            }
            let is_flag = |byte: &&u8| matches!(byte, b'-' | b'_' | b'0' | b'E' | b'O');
            let flags = behind.iter().take_while(is_flag).count();
            let pad = match behind[..flags].first() {
                Some(b'-') => Pad::None,
                Some(b'_') => Pad::With(b' '),
                Some(b'0') => Pad::With(b'0'),
                _ => Pad::AsItIs,
            };
            match behind.get(flags) {
                Some(&item) if self.write_item(item, pad, zone, line) => {
                    rest = &behind[flags + 1..]
                }
                // What is none stays as it stands.
                _ => line.byte(b'%'),
            }
        }
    }

    /// Whether there is such an item.
    fn write_item(&self, item: u8, pad: Pad, zone: Zone, line: &mut Line<'_>) -> bool {
        let Date { year, month, day, hour, minute, second, .. } = self.date;
        let mut number = |number: u32, digits: usize, usual: u8| match pad {
            Pad::None => line.number(number.into()),
            Pad::With(pad) => line.padded(number.into(), digits, pad),
            Pad::AsItIs => line.padded(number.into(), digits, usual),
        };
        let noon_hour = (u32::from(hour) + 11) % 12 + 1;
        let since_monday = (self.weekday + 6) % 7;
        let weeks = |first_day: u32| (self.day_of_year + 7 - first_day) / 7;
        match item {
            b'C' => number(year / 100, 2, b'0'),
            b'd' => number(day.into(), 2, b'0'),
            b'e' => number(day.into(), 2, b' '),
            b'g' => number(self.week().0 % 100, 2, b'0'),
            b'G' => number(self.week().0, 4, b'0'),
            b'H' => number(hour.into(), 2, b'0'),
            b'I' => number(noon_hour, 2, b'0'),
            b'j' => number(self.day_of_year + 1, 3, b'0'),
            b'k' => number(hour.into(), 2, b' '),
            b'l' => number(noon_hour, 2, b' '),
            b'm' => number(month.into(), 2, b'0'),
            b'M' => number(minute.into(), 2, b'0'),
            b'S' => number(second.into(), 2, b'0'),
            b'u' => number(since_monday + 1, 1, b'0'),
            b'U' => number(weeks(self.weekday), 2, b'0'),
            b'V' => number(self.week().1, 2, b'0'),
            b'w' => number(self.weekday, 1, b'0'),
            b'W' => number(weeks(since_monday), 2, b'0'),
            b'y' => number(year % 100, 2, b'0'),
            b'Y' => number(year, 4, b'0'),
            b's' => line.number(self.seconds),
            b'a' => line.push(&self.day_name()[..3]),
            b'A' => line.push(self.day_name()),
            b'b' | b'h' => line.push(self.date.month_name().as_bytes()),
            b'B' => line.push(MONTHS.get(usize::from(month) - 1).copied().unwrap_or_default()),
            b'p' => line.push(if hour < 12 { b"AM" } else { b"PM" }),
            b'P' => line.push(if hour < 12 { b"am" } else { b"pm" }),
            b'n' => line.byte(b'\n'),
            b't' => line.byte(b'\t'),
            b'%' => line.byte(b'%'),
            b'z' => line.push(b"+0000"),
            b'Z' => line.push(if zone == Zone::Local { b"UTC" } else { b"GMT" }),
            b'c' => self.write(b"%a %b %e %H:%M:%S %Y", zone, line),
            b'D' | b'x' => self.write(b"%m/%d/%y", zone, line),
            b'F' => self.write(b"%Y-%m-%d", zone, line),
            b'r' => self.write(b"%I:%M:%S %p", zone, line),
            b'R' => self.write(b"%H:%M", zone, line),
            b'T' | b'X' => self.write(b"%H:%M:%S", zone, line),
            _ => return false,
        }
        true
    }

    fn day_name(&self) -> &'static [u8] {
        DAYS.get(self.weekday as usize).copied().unwrap_or_default()
    }

    /// The year and the week as ISO 8601 counts them: a week belongs to the year of its Thursday.
    fn week(&self) -> (u32, u32) {
        let days_of = |year: u32| 365 + i64::from(is_leap(year));
        let since_monday = i64::from((self.weekday + 6) % 7);
        let thursday = i64::from(self.day_of_year) + 3 - since_monday;
        let year = self.date.year;
        let (year, thursday) = match thursday {
            ..0 => (year - 1, thursday + days_of(year - 1)),
            _ if thursday >= days_of(year) => (year + 1, thursday - days_of(year)),
            _ => (year, thursday),
        };
        (year, thursday as u32 / 7 + 1)
    }
}

/// What fills a number up.
#[derive(Clone, Copy)]
enum Pad {
    AsItIs,
    None,
    With(u8),
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// HAProxy's: larger numbers of seconds are cut to this.
const MASK: i64 = 0x007f_ffff_ffff_ffff;

/// The end of the year 9999.
const SECONDS_MAX: u64 = 253_402_300_800;

/// Days of a year before each month.
const DAYS_BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

const DAYS: [&[u8]; 7] =
    [b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday"];

const MONTHS: [&[u8]; 12] = [
    b"January",
    b"February",
    b"March",
    b"April",
    b"May",
    b"June",
    b"July",
    b"August",
    b"September",
    b"October",
    b"November",
    b"December",
];
