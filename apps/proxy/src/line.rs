//! Text of a bounded length, put together in a buffer of the caller's.
//!
//! What does not fit is cut off: a log line that is too long loses its end, as HAProxy's does, and
//! nothing else happens. No allocation, so that a line can be written while sessions run.

use core::fmt::{self, Write as _};

use penstock_wire::Addr;

/// A text that grows at its end.
#[derive(Debug)]
pub struct Line<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl<'a> Line<'a> {
    /// An empty text that may become as long as `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Line<'a> {
        Line { bytes, used: 0 }
    }

    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// What was written, for as long as the buffer lives.
    pub fn into_bytes(self) -> &'a [u8] {
        &self.bytes[..self.used]
    }

    /// What was written from `at` on, to be changed.
    pub fn tail_mut(&mut self, at: usize) -> &mut [u8] {
        self.bytes[..self.used].get_mut(at..).unwrap_or_default()
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Forgets all but the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len);
    }

    /// Adds a byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        }
    }

    /// Adds bytes, as many as fit.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.used..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.used += count;
    }

    /// Makes the bytes of the text that hexadecimal digits in pairs say. Whether it was such digits.
    pub fn digits_to_bytes(&mut self) -> bool {
        let count = self.used / 2;
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        for at in 0..count {
            let (Some(high), Some(low)) =
                (nibble(self.bytes[2 * at]), nibble(self.bytes[2 * at + 1]))
            else {
                return false;
            };
            self.bytes[at] = (high << 4 | low) as u8;
        }
        let was_even = self.used.is_multiple_of(2);
        self.used = count;
        was_even
    }

    /// Adds a number in decimal.
    // Inlined into the writer of a line, it would be begun for every number that a line may have.
    #[inline(never)]
    pub fn number(&mut self, number: u64) {
        // Nearly all of a log line's numbers have one digit.
        if number < 10 {
            self.byte(b'0' + number as u8);
        } else {
            self.zero_padded(number, 1);
        }
    }

    /// Adds a number in decimal that may be negative.
    pub fn signed(&mut self, number: i64) {
        if number < 0 {
            self.byte(b'-');
        }
        self.number(number.unsigned_abs());
    }

    /// Adds a number in decimal, with zeros in front until it has `digits_min` digits, at most 20.
    pub fn zero_padded(&mut self, number: u64, digits_min: usize) {
        let Some(place) = self.bytes.get_mut(self.used..self.used + 8) else {
            return self.padded(number, digits_min, b'0');
        };
        if number >= 100_000_000 || digits_min > 8 {
            return self.padded(number, digits_min, b'0');
        }
        let digits = eight_digits(number as u32);
        let zeros = (digits.trailing_zeros() as usize / 8).min(8 - digits_min.max(1));
        place.copy_from_slice(&((digits | ASCII_ZEROS) >> (8 * zeros)).to_le_bytes());
        self.used += 8 - zeros;
    }

    /// Adds a number in decimal, with `pad` in front until it has `digits_min` digits, at most 20.
    pub fn padded(&mut self, number: u64, digits_min: usize, pad: u8) {
        let mut digits = [pad; DIGITS_MAX];
        let (mut at, mut rest) = (DIGITS_MAX, number);
        while rest >= 100 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&pair(rest % 100));
            rest /= 100;
        }
        if rest >= 10 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&pair(rest));
        } else {
            at -= 1;
            digits[at] = b'0' + rest as u8;
        }
        self.push(&digits[at.min(DIGITS_MAX.saturating_sub(digits_min))..]);
    }

    /// Adds an address.
    pub fn addr(&mut self, addr: Addr) {
        if !addr.is_v4() {
            // A Line takes everything, or its beginning: writing never fails.
            let _ = write!(self, "{addr}");
            return;
        }
        let [first, rest @ ..] = addr.v4_number().to_be_bytes();
        self.number(first.into());
        for byte in rest {
            self.byte(b'.');
            self.number(byte.into());
        }
    }

    /// Adds a number in capital hexadecimal digits, at least `digits_min` of them, at most 16.
    #[inline(never)]
    pub fn hexadecimal(&mut self, number: u64, digits_min: usize) {
        let significant = (64 - number.leading_zeros() as usize).div_ceil(4);
        for digit in (0..significant.max(digits_min).min(16)).rev() {
            self.byte(HEX[(number >> (4 * digit)) as usize & 0xf]);
        }
    }

    /// Adds a byte as two capital hexadecimal digits.
    pub fn hex_byte(&mut self, byte: u8) {
        self.push(&[HEX[byte as usize >> 4], HEX[byte as usize & 0xf]]);
    }
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// The digits of a number below 10^8, a byte each, the first in the lowest: four digits are parted
/// from four, then pairs in both halves at once, then all digits (P. Khuong, 2017, "How to print
/// integers really fast"). Half as many instructions as digit by digit.
#[inline]
fn eight_digits(number: u32) -> u64 {
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    // A multiplication and a shift divide by 100 what is below 10^4, and by 10 what is below 100.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((pairs - 10 * tens) << 8)
}

/// Eight times `0`.
const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/// The two digits of a number below 100.
#[inline]
fn pair(number: u64) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// As many as 2^64 has.
const DIGITS_MAX: usize = 20;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    //! Numbers come out as people write them, and nothing is written behind the end.

    use super::*;
    use core::fmt::Write;

    fn written(len: usize, write: impl FnOnce(&mut Line<'_>)) -> std::string::String {
        let mut bytes = std::vec![0; len];
        let mut line = Line::new(&mut bytes);
        write(&mut line);
        std::string::String::from_utf8_lossy(line.as_bytes()).into_owned()
    }

    #[test]
    fn numbers_come_out_as_people_write_them() {
        assert_eq!(written(64, |line| line.number(0)), "0");
        assert_eq!(written(64, |line| line.number(u64::MAX)), "18446744073709551615");
        assert_eq!(written(64, |line| line.signed(-1)), "-1");
        assert_eq!(written(64, |line| line.signed(i64::MIN)), "-9223372036854775808");
        assert_eq!(written(64, |line| line.padded(7, 2, b'0')), "07");
        assert_eq!(written(64, |line| line.padded(7, 2, b' ')), " 7");
        assert_eq!(written(64, |line| line.padded(1234, 2, b'0')), "1234");
        assert_eq!(written(64, |line| line.hexadecimal(0x1a, 4)), "001A");
        assert_eq!(written(64, |line| line.hexadecimal(0x1_2345, 4)), "12345");
        assert_eq!(written(64, |line| line.hexadecimal(u64::MAX, 4)), "FFFFFFFFFFFFFFFF");
        assert_eq!(written(64, |line| line.hex_byte(0x0f)), "0F");
        for power in 0..=19 {
            for number in [10_u64.pow(power) - 1, 10_u64.pow(power), 54_321 * power as u64] {
                for digits_min in 0..=20 {
                    let padded = written(64, |line| line.padded(number, digits_min, b' '));
                    assert_eq!(padded, std::format!("{number:>digits_min$}"));
                    let zeros = written(64, |line| line.zero_padded(number, digits_min));
                    assert_eq!(zeros, std::format!("{number:0>digits_min$}"));
                }
            }
        }
        for number in (0..100_000_000).step_by(997) {
            assert_eq!(written(64, |line| line.number(number)), std::format!("{number}"));
        }
    }

    #[test]
    fn addresses_come_out_as_people_write_them() {
        for addr in [0, 0x0a00_0001, 0xffff_ffff, 0x6401_0a63].map(Addr::v4) {
            assert_eq!(written(64, |line| line.addr(addr)), std::format!("{addr}"));
        }
        let addr = Addr { hi: 0x2001_0db8 << 32, lo: 1 };
        assert_eq!(written(64, |line| line.addr(addr)), "2001:db8::1");
    }

    #[test]
    fn digits_become_bytes() {
        let mut bytes = [0; 8];
        for (digits, wanted) in
            [("", Some(&b""[..])), ("00fF7a", Some(b"\x00\xff\x7a")), ("0", None), ("0g", None)]
        {
            let mut line = Line::new(&mut bytes);
            line.push(digits.as_bytes());
            assert_eq!(line.digits_to_bytes().then(|| line.as_bytes()), wanted, "{digits}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        assert_eq!(written(3, |line| line.number(12345)), "123");
        assert_eq!(written(5, |line| line.number(12345)), "12345");
        assert_eq!(written(3, |line| line.zero_padded(7, 20)), "000");
        assert_eq!(written(3, |line| write!(line, "ab").expect("never fails")), "ab");
        assert_eq!(written(0, |line| line.push(b"abc")), "");
        let mut bytes = [0; 4];
        let mut line = Line::new(&mut bytes);
        line.push(b"abcdef");
        line.truncate(2);
        line.byte(b'z');
        assert_eq!((line.len(), line.is_empty()), (3, false));
        assert_eq!(line.into_bytes(), b"abz");
    }
}
