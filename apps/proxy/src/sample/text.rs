//! Converters that spell bytes and text in another way: base64, numbers, URLs, JSON.

use penstock_config::haproxy::{Base64, JsonInput};

use super::{Room, Value};

/// RFC 4648; `None` when it does not fit.
pub(super) fn base64<'a>(alphabet: Base64, bytes: &[u8], room: &mut Room<'a>) -> Option<Value<'a>> {
    if bytes.len().div_ceil(3) * 4 > room.len() {
        return None;
    }
    let digits = digits(alphabet);
    let text = room.write(|line| {
        for chunk in bytes.chunks(3) {
            let at = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
            let bits = at(0) << 16 | at(1) << 8 | at(2);
            for digit in 0..4 {
                let index = (bits >> (18 - 6 * digit)) as usize & 0x3f;
                match (digit > chunk.len(), alphabet) {
                    (false, _) => line.byte(digits[index]),
                    (true, Base64::Standard) => line.byte(b'='),
                    (true, Base64::Url) => {}
                }
            }
        }
    });
    Some(Value::Text(text))
}

/// The way back; `None` for what is none.
pub(super) fn from_base64<'a>(
    alphabet: Base64,
    text: &[u8],
    room: &mut Room<'a>,
) -> Option<Value<'a>> {
    let text = match alphabet {
        Base64::Standard if text.len().is_multiple_of(4) => {
            let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
            &text[..text.len() - padding]
        }
        Base64::Standard => return None,
        Base64::Url => text,
    };
    let digits = digits(alphabet);
    let number = |byte: &u8| digits.iter().position(|digit| digit == byte);
    let is_whole = text.len() % 4 != 1 && text.iter().all(|byte| number(byte).is_some());
    if !is_whole || text.len() / 4 * 3 + 3 > room.len() {
        return None;
    }
    let bytes = room.write(|line| {
        for chunk in text.chunks(4) {
            let bits = chunk.iter().enumerate().fold(0u32, |bits, (at, byte)| {
                bits | (number(byte).unwrap_or_default() as u32) << (18 - 6 * at)
            });
            line.push(&bits.to_be_bytes()[1..chunk.len()]);
        }
    });
    Some(Value::Binary(bytes))
}

fn digits(alphabet: Base64) -> &'static [u8; 64] {
    match alphabet {
        Base64::Standard => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        Base64::Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    }
}

/// `hex2i`: digits of a number, of which the last 16 count.
pub(super) fn from_hex<'a>(text: &[u8]) -> Option<Value<'a>> {
    let number = text.iter().try_fold(0i64, |number, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(number << 4 | i64::from(digit))
    });
    number.map(Value::Int)
}

/// `be2dec`, and `be2hex` for a size that is not there: pieces of bytes, with something between them.
pub(super) fn chunks<'a>(
    bytes: &[u8],
    separator: &[u8],
    size: usize,
    whole: bool,
    is_decimal: bool,
    room: &mut Room<'a>,
) -> Value<'a> {
    let size = size.max(1);
    let end = if whole { bytes.len() / size * size } else { bytes.len() };
    Value::Text(room.write(|line| {
        for (at, chunk) in bytes[..end].chunks(size).enumerate() {
            if at > 0 {
                line.push(separator);
            }
            match is_decimal {
                true => line.number(chunk.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))),
                false => chunk.iter().for_each(|byte| line.hex_byte(*byte)),
            }
        }
    }))
}

/// `url_dec`; `None` where a `%` is followed by no number.
pub(super) fn from_url<'a>(
    text: &[u8],
    mut in_form: bool,
    room: &mut Room<'a>,
) -> Option<Value<'a>> {
    let mut is_sound = true;
    let decoded = room.write(|line| {
        let mut rest = text;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            match byte {
                b'+' if in_form => line.byte(b' '),
                b'%' => {
                    let digit = |at: usize| char::from(*rest.get(at).unwrap_or(&b'%')).to_digit(16);
                    let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                        is_sound = false;
                        return;
                    };
                    line.byte((high << 4 | low) as u8);
                    rest = &rest[2..];
                }
                byte => {
                    in_form |= byte == b'?';
                    line.byte(byte);
                }
            }
        }
    });
    is_sound.then_some(Value::Text(decoded))
}

/// `url_enc`: what RFC 3986 does not reserve stays, section 2.3.
pub(super) fn to_url<'a>(text: &[u8], room: &mut Room<'a>) -> Value<'a> {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    Value::Text(room.write(|line| {
        for &byte in text {
            if stays(byte) {
                line.byte(byte);
            } else {
                line.byte(b'%');
                line.hex_byte(byte);
            }
        }
    }))
}

/// `host:port` cut at its last colon, if that is not within brackets.
pub(super) fn host_and_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if text[at] == b':' => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    }
}

/// `json`; `None` for what is no text of that kind.
pub(super) fn json<'a>(input: JsonInput, text: &[u8], room: &mut Room<'a>) -> Option<Value<'a>> {
    let mut is_sound = true;
    let escaped = room.write(|line| {
        let mut rest = text;
        while !rest.is_empty() {
            let (length, character) = match input {
                JsonInput::Ascii => (1, Ok(rest[0].into())),
                JsonInput::Utf8 { .. } => character(rest),
            };
            rest = &rest[length..];
            let (skips, is_permissive) = match input {
                JsonInput::Ascii => (false, false),
                JsonInput::Utf8 { skips, is_permissive } => (skips, is_permissive),
            };
            let code = match character {
                Ok(code) | Err(Flaw::TooLong(code)) if code > 0xffff => Err(()),
                Ok(code) => Ok(code),
                Err(Flaw::TooLong(code)) if is_permissive => Ok(code),
                Err(_) => Err(()),
            };
            match code {
                Ok(code) => escape(code, line),
                Err(()) if skips => {}
                Err(()) => {
                    is_sound = false;
                    return;
                }
            }
        }
    });
    is_sound.then_some(Value::Text(escaped))
}

/// What is wrong with a character of UTF-8.
enum Flaw {
    /// It could be spelled shorter.
    TooLong(u32),
    /// There is none of this number, or these bytes spell nothing.
    Nothing,
}

/// The first character: how many bytes it has, and which one it is.
fn character(bytes: &[u8]) -> (usize, Result<u32, Flaw>) {
    let first = bytes[0];
    let more = match first {
        0..0x80 => return (1, Ok(first.into())),
        0xc0..0xe0 => 1,
        0xe0..0xf0 => 2,
        0xf0..0xf8 => 3,
        0xf8..0xfc => 4,
        0xfc..0xfe => 5,
        0x80..0xc0 | 0xfe.. => return (1, Err(Flaw::Nothing)),
    };
    let Some(others) = bytes.get(1..=more) else { return (1, Err(Flaw::Nothing)) };
    let mut code = u32::from(first) & (0x3f >> more);
    for (at, byte) in others.iter().enumerate() {
        if byte & 0xc0 != 0x80 {
            return (1 + at, Err(Flaw::Nothing));
        }
        code = code << 6 | u32::from(byte & 0x3f);
    }
    let needed = match code {
        0..0x80 => 0,
        0x80..0x800 => 1,
        0x800..0x1_0000 => 2,
        0x1_0000..0x20_0000 => 3,
        _ => more,
    };
    let verdict = match code {
        0xd800..0xe000 | 0xfffe..=0xffff => Err(Flaw::Nothing),
        _ if more > needed => Err(Flaw::TooLong(code)),
        _ => Ok(code),
    };
    (1 + more, verdict)
}

fn escape(code: u32, line: &mut crate::line::Line<'_>) {
    let short = match code {
        0x22 => b'"',
        0x5c => b'\\',
        0x2f => b'/',
        0x08 => b'b',
        0x0c => b'f',
        0x0d => b'r',
        0x0a => b'n',
        0x09 => b't',
        0x20..0x7f => return line.byte(code as u8),
        _ => {
            line.push(b"\\u");
            for digit in (0..4).rev() {
                line.byte(b"0123456789abcdef"[(code >> (4 * digit)) as usize & 0xf]);
            }
            return;
        }
    };
    line.push(&[b'\\', short]);
}
