//! The registers of a real-time clock (Motorola MC146818A) as a date.

/// Registers 0 (seconds), 2, 4, 7, 8 and 9 (minutes, hours, day, month, year) and 11 (status B).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Seconds.
    pub second: u8,
    /// Minutes.
    pub minute: u8,
    /// Hours, with bit 7 for the afternoon in 12-hour mode.
    pub hour: u8,
    /// Day of the month.
    pub day: u8,
    /// Month.
    pub month: u8,
    /// Year of the century.
    pub year: u8,
    /// Status B: bit 1 says 24 hours, bit 2 says binary.
    pub status_b: u8,
}

/// Seconds since 1970, if the registers can be a date. The century is this one.
pub fn unix_seconds(registers: &Registers) -> Option<u64> {
    let binary = registers.status_b & 4 != 0;
    let number = |value: u8| {
        let digits = value & 15 < 10 && value >> 4 < 10;
        if binary { Some(value) } else { digits.then(|| (value >> 4) * 10 + (value & 15)) }
    };
    let afternoon = registers.hour & 0x80 != 0;
    let mut hour = u64::from(number(registers.hour & 0x7f)?);
    if registers.status_b & 2 == 0 {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let (second, minute) = (u64::from(number(registers.second)?), number(registers.minute)?);
    let (day, month) = (u64::from(number(registers.day)?), u64::from(number(registers.month)?));
    let year = 2000 + u64::from(number(registers.year)?);
    let possible = second < 60 && minute < 60 && hour < 24;
    if !possible || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 with years that begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - DAYS_TO_1970) * 86_400 + hour * 3_600 + u64::from(minute) * 60 + second)
}

/// From the 1st of March of the year 0.
const DAYS_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    //! Both encodings and both clocks give the same instant; what is no date gives none.

    use super::*;

    #[test]
    fn a_date_is_a_date_in_every_mode() {
        let decimal = Registers {
            second: 0x59,
            minute: 0x58,
            hour: 0x23,
            day: 0x29,
            month: 0x02,
            year: 0x24,
            status_b: 2,
        };
        assert_eq!(unix_seconds(&decimal), Some(1_709_251_139));
        let binary = Registers {
            second: 59,
            minute: 58,
            hour: 23,
            day: 29,
            month: 2,
            year: 24,
            status_b: 6,
        };
        assert_eq!(unix_seconds(&binary), Some(1_709_251_139));
        let twelve = Registers { hour: 0x91, status_b: 0, ..decimal };
        assert_eq!(unix_seconds(&twelve), Some(1_709_251_139));
        let noon = Registers { hour: 0x92, status_b: 0, ..decimal };
        assert_eq!(unix_seconds(&noon), Some(1_709_251_139 - 11 * 3_600));
    }

    #[test]
    fn what_is_no_date_is_none() {
        assert_eq!(unix_seconds(&Registers::default()), None);
        let all = |value| Registers {
            second: value,
            minute: value,
            hour: value,
            day: value,
            month: value,
            year: value,
            status_b: value,
        };
        for value in 0..=255 {
            let _ = unix_seconds(&all(value));
        }
        assert_eq!(unix_seconds(&all(0xff)), None);
    }
}
