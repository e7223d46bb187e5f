//! Classes of bytes, and the search for the first byte outside one, eight at a time.

/// A `tchar` of RFC 9110 section 5.6.2.
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    CLASSES[byte as usize] & TOKEN != 0
}

/// The first position from `at` on whose byte cannot stand in a token.
#[inline]
pub(crate) fn token_end(bytes: &[u8], at: usize) -> usize {
    let is_usual = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
    class_end(bytes, at, TOKEN, |low| letters(low) | exactly(low, b'-'), is_usual)
}

/// The first position from `at` on whose byte cannot stand in a host.
#[inline]
pub(crate) fn host_end(bytes: &[u8], at: usize) -> usize {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    let marks = |low| letters(low) | (between(low, b'-', b':') & !exactly(low, b'/'));
    class_end(bytes, at, HOST, marks, is_usual)
}

/// Bytes that are usual in a class are found by eights; at any other the table is asked.
#[inline]
fn class_end(
    bytes: &[u8],
    at: usize,
    class: u8,
    usual: impl Fn(u64) -> u64,
    is_usual: impl Fn(u8) -> bool,
) -> usize {
    let mut at = at;
    loop {
        let mark = |word: u64| (!usual(word & !HIGHS) | word) & HIGHS;
        at = find(bytes, at, mark, |byte| !is_usual(byte));
        match bytes.get(at) {
            Some(byte) if CLASSES[*byte as usize] & class != 0 => at += 1,
            _ => return at,
        }
    }
}

/// Marks letters; all bytes are below 0x80.
#[inline]
fn letters(low: u64) -> u64 {
    between(low | (ONES * 0x20), b'a', b'z')
}

/// Marks bytes in a range; all of them are below 0x80.
#[inline]
fn between(low: u64, first: u8, last: u8) -> u64 {
    low.wrapping_add(ONES * (0x80 - first as u64)) & !low.wrapping_add(ONES * (0x7f - last as u64))
}

/// Marks bytes that are `byte`, each of them exactly; all of them are below 0x80.
#[inline]
fn exactly(low: u64, byte: u8) -> u64 {
    !((low ^ (ONES * byte as u64)).wrapping_add(!HIGHS))
}

/// The first position from `at` on whose byte cannot stand in a target: a space ends one, and a
/// fragment is never sent (RFC 9110 section 7.1).
#[inline]
pub(crate) fn target_end(bytes: &[u8], at: usize) -> usize {
    find(
        bytes,
        at,
        |word| below(word, 0x21) | above_7e(word) | equal(word, b'#'),
        |byte| !(0x21..0x7f).contains(&byte) || byte == b'#',
    )
}

/// The first position from `at` on whose byte is a control character: CR ends a field value, a tab
/// may stand in one, the others may not.
#[inline]
pub(crate) fn value_end(bytes: &[u8], at: usize) -> usize {
    find(
        bytes,
        at,
        |word| below(word, 0x20) | equal(word, 0x7f),
        |byte| byte < 0x20 || byte == 0x7f,
    )
}

/// The first position from `at` on whose byte `is_wanted`; `mark` sets the high bit of such bytes
/// of a word, and is exact for the lowest of them.
#[inline]
fn find(
    bytes: &[u8],
    at: usize,
    mark: impl Fn(u64) -> u64,
    is_wanted: impl Fn(u8) -> bool,
) -> usize {
    let mut at = at;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let marks = mark(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !is_wanted(*byte)) {
        at += 1;
    }
    at
}

/// Marks bytes less than `limit`, which is at most 0x80.
#[inline]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGHS
}

/// Marks bytes that are `byte`.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * byte as u64);
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

/// Marks bytes from 0x7f on.
#[inline]
fn above_7e(word: u64) -> u64 {
    ((word & !HIGHS).wrapping_add(ONES) | word) & HIGHS
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

const TOKEN: u8 = 1;
/// What may stand in a Host field or an authority: letters, digits, and the punctuation of RFC 3986
/// section 3.2.2, without the `@` of user information.
const HOST: u8 = 2;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() {
            classes[byte] = TOKEN | HOST;
        }
        byte += 1;
    }
    let mut at = 0;
    while at < TOKEN_MARKS.len() {
        classes[TOKEN_MARKS[at] as usize] |= TOKEN;
        at += 1;
    }
    at = 0;
    while at < HOST_MARKS.len() {
        classes[HOST_MARKS[at] as usize] |= HOST;
        at += 1;
    }
    classes
}

const TOKEN_MARKS: &[u8] = b"!#$%&'*+-.^_`|~";
const HOST_MARKS: &[u8] = b"-._~%!$&'()*+,;=:[]";

#[cfg(test)]
mod tests {
    //! Eight at a time finds what one at a time finds, for every byte at every place.

    use super::*;
    use std::vec::Vec;

    #[test]
    fn words_find_what_bytes_find() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                for filler in [b'a', b'Z', b'-', b'5', 0x7e, 0x21] {
                    let mut bytes = [filler; 20].to_vec();
                    bytes[place] = byte;
                    let target = bytes.iter().position(|b| !(0x21..0x7f).contains(b) || *b == b'#');
                    assert_eq!(target_end(&bytes, 0), target.unwrap_or(20), "{byte} at {place}");
                    let value = bytes.iter().position(|b| *b < 0x20 || *b == 0x7f);
                    assert_eq!(value_end(&bytes, 0), value.unwrap_or(20), "{byte} at {place}");
                    let token = bytes.iter().position(|b| !is_token(*b));
                    assert_eq!(token_end(&bytes, 0), token.unwrap_or(20), "{byte} at {place}");
                    let host = bytes.iter().position(|b| CLASSES[*b as usize] & HOST == 0);
                    assert_eq!(host_end(&bytes, 0), host.unwrap_or(20), "{byte} at {place}");
                }
            }
        }
    }

    #[test]
    fn a_search_beyond_the_end_finds_the_end() {
        assert_eq!(token_end(b"abc", 3), 3);
        assert_eq!(value_end(b"", 0), 0);
    }

    #[test]
    fn a_token_is_what_the_rfc_lists() {
        let tokens: Vec<u8> = (0..=255).filter(|byte| is_token(*byte)).collect();
        assert_eq!(tokens.len(), 10 + 26 + 26 + 15);
        for byte in b" \t\r\n\0:;,()<>@[]{}\\\"/?=\x7f\x80" {
            assert!(!is_token(*byte), "{byte}");
        }
    }
}
