//! "did you mean": the known word that is most like an unknown one, as HAProxy measures it.
//!
//! A word's print counts which letters follow which; two words are as far apart as their prints
//! differ. [`crate::nearest`] would be as good, but then the suggestions would not be the same.

use alloc::vec;
use alloc::vec::Vec;

/// How often one class of characters follows another. Row 0 says which classes occur at all.
fn print(word: &str) -> Vec<u8> {
    let mut print = vec![0u8; ROW * ROW];
    let mut from = EDGE;
    for byte in word.bytes() {
        let to = match byte.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => usize::from(letter - b'a') + 1,
            b'0'..=b'9' => DIGIT,
            _ => EDGE,
        };
        print[to] = 1;
        let count = &mut print[ROW * from + to];
        *count = count.wrapping_add(1);
        from = to;
    }
    let count = &mut print[ROW * from + EDGE];
    *count = count.wrapping_add(1);
    print
}

/// The first of the nearest words of `known`, if it is near enough to be meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let own = print(word);
    let distance = |other: &str| -> usize {
        let pairs = own.iter().zip(print(other));
        pairs.map(|(&a, b)| usize::from(a.abs_diff(b))).sum()
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let distance = distance(candidate);
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    let (distance, best) = best?;
    (distance <= 2 * word.len() && distance <= 2 * best.len()).then_some(best)
}

const ROW: usize = 32;
const DIGIT: usize = 27;
const EDGE: usize = 28;

#[cfg(test)]
mod tests {
    //! The suggestions are HAProxy's.

    use super::*;

    #[test]
    fn suggestions() {
        let known = ["daemon", "tfo", "maxconn", "check", "httplog"];
        assert_eq!(nearest("maxcon", known), Some("maxconn"));
        assert_eq!(nearest("foo", known), Some("tfo"));
        assert_eq!(nearest("chek", known), Some("check"));
        assert_eq!(nearest("httplgo", known), Some("httplog"));
        assert_eq!(nearest("xyzzy", known), None);
        assert_eq!(nearest("", known), None);
    }
}
