//! Text of a configuration: bytes, one character each.
//!
//! HAProxy reads bytes and does not care what they spell. Here each byte is the character of that
//! number, so that words are strings and no byte is lost; [`bytes`] is the way back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Characters for bytes.
pub(super) fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The bytes of such text; what is none becomes `?`.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}

/// Such text for a person: as UTF-8, if its bytes are.
pub(super) fn readable(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text)).into_owned()
}

/// White space as C has it.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t'..='\r')
}

/// The first character that a name must not have: names are letters, digits, `_`, `-`, `.`, `:`.
pub(super) fn invalid_in_name(name: &str) -> Option<char> {
    name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.' | ':'))
}

/// A number as C's `atol` takes it: what stands in front, and 0 without any.
pub(super) fn leading_number(text: &str) -> i64 {
    let text = text.trim_start_matches(is_space);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let mut number = 0i64;
    for digit in digits.bytes().take_while(u8::is_ascii_digit) {
        number = number.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if negative { -number } else { number }
}

/// The same, cut to C's `int`.
pub(super) fn leading_int(text: &str) -> i32 {
    leading_number(text) as i32
}

/// Digits alone, as HAProxy's `read_uint` takes them: the number and what is left.
pub(super) fn digits(text: &str) -> (u32, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].bytes();
    let number = number.fold(0u32, |n, d| n.wrapping_mul(10).wrapping_add(u32::from(d - b'0')));
    (number, &text[end..])
}

/// What RFC 4648 section 4 spells; `None` where that is nothing.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let padding = text.bytes().rev().take(2).take_while(|&byte| byte == b'=').count();
    let digits = &text.as_bytes()[..text.len() - padding];
    if !text.len().is_multiple_of(4) || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::new();
    for chunk in digits.chunks(4) {
        let bits = chunk.iter().enumerate().try_fold(0u32, |bits, (at, byte)| {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            Some(bits | u32::from(digit) << (18 - 6 * at))
        })?;
        bytes.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(bytes)
}

/// Hexadecimal digits in pairs, as bytes.
///
/// # Errors
/// HAProxy's words for what is wrong.
pub(super) fn binary(text: &str) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err("an even number of hex digit is expected".into());
    }
    if let Some(other) = text.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        return Err(format!("an hex digit is expected (found '{other}')"));
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default();
    let pairs = text.as_bytes().chunks_exact(2);
    Ok(pairs.map(|pair| (nibble(pair[0]) << 4 | nibble(pair[1])) as u8).collect())
}
