//! Times and sizes with their units (configuration manual, section 2.5).

use penstock_stack::Duration;

/// The unit of a number that names none, and of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// Why text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTime {
    /// More than 2^31 - 1 units.
    Over,
    /// A character that has no place there; `None` is the end of the text.
    At(Option<char>),
}

/// A time, and whether something stands behind its unit, which HAProxy only warns about.
pub(super) struct Time {
    /// In the unit that was asked for.
    pub(super) count: u32,
    /// What stands behind.
    pub(super) behind: Option<char>,
}

/// Reads a time. Parts of a unit count as a whole one.
pub(super) fn time(text: &str, unit: Unit) -> Result<Time, NoTime> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Err(NoTime::At(text.chars().next()));
    }
    let digits = text[..end].bytes();
    let value = digits.fold(0u64, |n, d| n.wrapping_mul(10).wrapping_add(u64::from(d - b'0')));
    let suffix = &text[end..];
    let unit_us: u128 = match unit {
        Unit::Milliseconds => 1_000,
        Unit::Seconds => 1_000_000,
    };
    let (us, length): (u128, usize) = match suffix.as_bytes() {
        [] => (unit_us, 0),
        [b's', ..] => (1_000_000, 1),
        [b'u', b's', ..] => (1, 2),
        [b'm', b's', ..] => (1_000, 2),
        [b'm', ..] => (60_000_000, 1),
        [b'h', ..] => (3_600_000_000, 1),
        [b'd', ..] => (86_400_000_000, 1),
        _ => return Err(NoTime::At(suffix.chars().next())),
    };
    let count = (u128::from(value) * us).div_ceil(unit_us);
    if count >= 1 << 31 {
        return Err(NoTime::Over);
    }
    Ok(Time { count: count as u32, behind: suffix[length..].chars().next() })
}

/// Milliseconds as a time; 0 is for ever.
pub(super) fn limit(ms: u32) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(u64::from(ms)))
}

/// Reads a size: bytes, or with `k`, `m`, `g`.
///
/// # Errors
/// The character that has no place there; `None` is the end of the text.
pub(super) fn size(text: &str) -> Result<u32, Option<char>> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| text.chars().next())?;
    let suffix = &text[end..];
    let shift = match suffix.as_bytes().first() {
        None => 0,
        Some(b'k' | b'K') => 10,
        Some(b'm' | b'M') => 20,
        Some(b'g' | b'G') => 30,
        Some(_) => return Err(suffix.chars().next()),
    };
    if suffix.len() > 1 {
        return Err(suffix[1..].chars().next());
    }
    let bytes = number.checked_mul(1 << shift).and_then(|bytes| u32::try_from(bytes).ok());
    bytes.ok_or_else(|| text.chars().next())
}

#[cfg(test)]
mod tests {
    //! Units are what the manual says, and bounds are HAProxy's.

    use super::*;

    fn ms(text: &str) -> Result<u32, NoTime> {
        time(text, Unit::Milliseconds).map(|time| time.count)
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("5", 5),
            ("0", 0),
            ("5s", 5_000),
            ("1m", 60_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(ms(text), Ok(expected), "{text}");
        }
        assert_eq!((ms("1500us"), ms("1us"), ms("7ms")), (Ok(2), Ok(1), Ok(7)));
        assert_eq!((ms("2147483647"), ms("2147483648")), (Ok(0x7fff_ffff), Err(NoTime::Over)));
        assert_eq!(ms("25d"), Err(NoTime::Over));
        assert_eq!(
            (ms("1x"), ms(""), ms("u")),
            (Err(NoTime::At(Some('x'))), Err(NoTime::At(None)), Err(NoTime::At(Some('u'))))
        );
        assert_eq!(ms("5u"), Err(NoTime::At(Some('u'))));
        assert_eq!(time("5sx", Unit::Milliseconds).map(|time| time.behind).ok(), Some(Some('x')));
        assert_eq!(time("90", Unit::Seconds).map(|time| time.count).ok(), Some(90));
        assert_eq!(time("90ms", Unit::Seconds).map(|time| time.count).ok(), Some(1));
    }

    #[test]
    fn sizes() {
        assert_eq!((size("10"), size("1k"), size("2M")), (Ok(10), Ok(1024), Ok(2 << 20)));
        assert_eq!(
            (size("x"), size("1kb"), size("4g")),
            (Err(Some('x')), Err(Some('b')), Err(Some('4')))
        );
    }
}
