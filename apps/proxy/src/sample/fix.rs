//! `fix_is_valid` and `fix_tag_value`: messages of the Financial Information eXchange protocol, as the
//! FIX session layer has them: `tag=value` and the byte 1, again and again, from `8=` to `10=`.

use crate::known::Known;

/// What a message is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is whole, and as it should be.
    Valid,
    /// It is none.
    Invalid,
    /// More has to come.
    Short,
}

/// Whether `bytes` begin with a message: version, length and kind first, a checksum last.
pub(super) fn judge(bytes: &[u8]) -> Verdict {
    if bytes.len() < BYTES_MIN {
        return Verdict::Short;
    }
    let (mut at, mut sum, mut body) = (0, 0u8, None);
    let mut tag_max = u32::MAX;
    for number in 1.. {
        let field = match field(&bytes[at..]) {
            Next::Field(field) => field,
            Next::Invalid => return Verdict::Invalid,
            Next::End if at == bytes.len() && body.is_none() => return Verdict::Invalid,
            Next::End => return Verdict::Short,
        };
        if field.tag > tag_max && !OWN_TAGS.contains(&field.tag) {
            return Verdict::Invalid;
        }
        let end = at + field.bytes;
        match (number, field.tag) {
            (1, BEGIN_STRING) => match VERSIONS.iter().find(|(known, _)| *known == field.value) {
                Some((_, most)) => tag_max = *most,
                None => return Verdict::Invalid,
            },
            (2, BODY_LENGTH) => match digits(field.value) {
                Some(length) if length > 0 => body = Some(end + length as usize),
                _ => return Verdict::Invalid,
            },
            (3, MESSAGE_TYPE) => {}
            (1..=3, _) => return Verdict::Invalid,
            (_, CHECKSUM) => {
                let is_sum = field.value.len() == 3 && digits(field.value) == Some(sum.into());
                return match is_sum && body == Some(at) {
                    true => Verdict::Valid,
                    false => Verdict::Invalid,
                };
            }
            _ => {}
        }
        sum = bytes[at..end].iter().fold(sum, |sum, byte| sum.wrapping_add(*byte));
        at = end;
    }
    Verdict::Short
}

/// The value of a tag.
pub(super) fn value(bytes: &[u8], wanted: u32) -> Known<&[u8]> {
    let mut rest = bytes;
    loop {
        match field(rest) {
            Next::Field(field) if field.tag == wanted => return Known::Is(field.value),
            Next::Field(field) if field.tag != CHECKSUM => rest = &rest[field.bytes..],
            Next::Field(_) | Next::Invalid => return Known::Never,
            Next::End => return Known::NotYet,
        }
    }
}

struct Field<'a> {
    tag: u32,
    value: &'a [u8],
    /// As many as it takes, with what ends it.
    bytes: usize,
}

enum Next<'a> {
    Field(Field<'a>),
    Invalid,
    /// It does not end here.
    End,
}

/// The first field of a message.
fn field(bytes: &[u8]) -> Next<'_> {
    let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else { return Next::End };
    let value = &bytes[equals + 1..];
    let Some(length) = value.iter().position(|byte| *byte == DELIMITER) else { return Next::End };
    match digits(&bytes[..equals]) {
        Some(tag) if tag > 0 => {
            Next::Field(Field { tag, value: &value[..length], bytes: equals + length + 2 })
        }
        _ => Next::Invalid,
    }
}

fn digits(text: &[u8]) -> Option<u32> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = text.iter().fold(0u32, |number, digit| {
        number.wrapping_mul(10).wrapping_add(u32::from(*digit).wrapping_sub(0x30))
    });
    is_number.then_some(number)
}

const DELIMITER: u8 = 1;
const BEGIN_STRING: u32 = 8;
const BODY_LENGTH: u32 = 9;
const CHECKSUM: u32 = 10;
const MESSAGE_TYPE: u32 = 35;

/// Tags of whoever wants some.
const OWN_TAGS: core::ops::RangeInclusive<u32> = 10_000..=19_999;

/// Of the shortest message that HAProxy looks at.
const BYTES_MIN: usize = 26;

/// What a message begins with, and the largest tag there is since.
const VERSIONS: [(&[u8], u32); 6] = [
    (b"FIX.4.0", 140),
    (b"FIX.4.1", 211),
    (b"FIX.4.2", 446),
    (b"FIX.4.3", 659),
    (b"FIX.4.4", 956),
    (b"FIXT.1.1", 1621),
];

#[cfg(test)]
mod tests {
    //! A logon, cut everywhere and bent in many ways.

    use super::*;
    use std::format;
    use std::vec::Vec;

    fn message(body: &str) -> Vec<u8> {
        let text = format!("8=FIX.4.4|9={}|{body}", body.len()).replace('|', "\x01");
        let sum = text.bytes().fold(0u8, u8::wrapping_add);
        [text.as_bytes(), format!("10={sum:03}\x01").as_bytes()].concat()
    }

    #[test]
    fn a_logon_is_valid_and_has_values() {
        let logon = message("35=A|34=1|49=EXECUTOR|56=CLIENT1|98=0|108=30|");
        assert_eq!(judge(&logon), Verdict::Valid);
        assert_eq!(value(&logon, 8), Known::Is(&b"FIX.4.4"[..]));
        assert_eq!(value(&logon, 49), Known::Is(&b"EXECUTOR"[..]));
        assert_eq!(value(&logon, 57), Known::Never);
        assert_eq!(value(&logon[..20], 49), Known::NotYet);
        for cut in 0..logon.len() {
            assert_eq!(judge(&logon[..cut]), Verdict::Short, "{cut}");
        }
    }

    #[test]
    fn what_is_bent_is_invalid() {
        for body in ["34=1|35=A|", "35=A|957=x|", "35=A|x=1|", "35=A|0=1|", "35=A|=1|"] {
            assert_eq!(judge(&message(body)), Verdict::Invalid, "{body}");
        }
        assert_eq!(judge(&message("35=A|10001=x|")), Verdict::Valid, "a tag of one's own");
        let mut logon = message("35=A|34=1|");
        logon[11] ^= 1;
        assert_eq!(judge(&logon), Verdict::Invalid, "another length");
        assert_eq!(judge(b"8=FIX.9.9\x019=5\x0135=A\x0110=000\x01"), Verdict::Invalid);
        assert_eq!(judge(b"GET / HTTP/1.1\r\nHost: x\r\n=\x01"), Verdict::Invalid);
    }
}
