//! What was wrong with a configuration: one line for a person.
//!
//! ```text
//!   maxcpus=none: expected a number from 1 to 128
//!   maxcpu=2: no such key; did you mean maxcpus= ?
//!   -a 0.0.0.0:http: expected an address and a port, such as 0.0.0.0:80
//! ```

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::limits;

/// One mistake. Its `Display` is the line to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The key, or the option of an application with its dashes: `ip`, `-a`.
    pub key: String,
    /// What was given for it; `None` where nothing was.
    pub value: Option<String>,
    /// What was expected, as a phrase that follows "expected"; `None` where no such key exists.
    pub expected: Option<String>,
    /// The known key that is spelled most like it.
    pub nearest: Option<String>,
}

impl Error {
    /// `value` is not what `key` takes.
    pub fn value(key: &str, value: &str, expected: &str) -> Error {
        Error { value: Some(value.to_owned()), ..Error::missing(key, expected) }
    }

    /// `key` was given without the value it needs, or was not given at all.
    pub fn missing(key: &str, expected: &str) -> Error {
        Error {
            key: key.to_owned(),
            value: None,
            expected: Some(expected.to_owned()),
            nearest: None,
        }
    }

    /// There is no such key; `known` are those that there are.
    pub fn unknown<'a>(
        key: &str,
        value: Option<&str>,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Error {
        Error {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            expected: None,
            nearest: nearest(key, known).map(str::to_owned),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Options of a command line stand apart from their values, keys are joined with theirs.
        let is_option = self.key.starts_with('-');
        write!(f, "{}", Quoted(&self.key))?;
        if let Some(value) = &self.value {
            write!(f, "{}{}", if is_option { ' ' } else { '=' }, Quoted(value))?;
        }
        match &self.expected {
            Some(expected) => write!(f, ": expected {expected}")?,
            None => write!(f, ": no such {}", if is_option { "option" } else { "key" })?,
        }
        match &self.nearest {
            Some(nearest) if is_option || self.value.is_none() => {
                write!(f, "; did you mean {nearest} ?")
            }
            Some(nearest) => write!(f, "; did you mean {nearest}= ?"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Error {}

/// Text of somebody else's, in a line of ours: nothing that moves a cursor, and not too long.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.char_indices() {
            if at >= limits::QUOTED_BYTES_MAX {
                return f.write_str("...");
            }
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

/// The word of `known` that is spelled most like `word`, if any is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > limits::NEAREST_BYTES_MAX {
        return None;
    }
    // A third of the letters may be wrong, and at least one; in a word of one letter, none.
    let allowed = word.len().div_ceil(3).min(word.len().saturating_sub(1));
    let distances = known.into_iter().map(|known| (distance(word, known), known));
    let (distance, known) = distances.min_by_key(|&(distance, _)| distance)?;
    (distance <= allowed).then_some(known)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string
/// alignment). Ours, because the crate for it, `strsim`, needs the standard library and the image
/// has none.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    //! Each kind of mistake reads as a person expects, whatever bytes it repeats, and the nearest
    //! key is the one that was meant.

    use super::*;
    use std::string::ToString;

    #[test]
    fn the_lines() {
        let error = Error::value("maxcpus", "none", "a number from 1 to 128");
        assert_eq!(error.to_string(), "maxcpus=none: expected a number from 1 to 128");
        let error = Error::unknown("maxcpu", Some("2"), ["ip", "maxcpus"]);
        assert_eq!(error.to_string(), "maxcpu=2: no such key; did you mean maxcpus= ?");
        let error = Error::unknown("--hepl", None, ["--help", "--tap"]);
        assert_eq!(error.to_string(), "--hepl: no such option; did you mean --help ?");
        let error = Error::value("-a", "x", "an address");
        assert_eq!(error.to_string(), "-a x: expected an address");
        assert_eq!(Error::missing("-a", "an address").to_string(), "-a: expected an address");
    }

    #[test]
    fn nobody_writes_on_our_console_through_an_error() {
        let error = Error::value("ip", "\u{1b}[2Jx\n", "an address");
        assert_eq!(error.to_string(), "ip=\\u{1b}[2Jx\\n: expected an address");
        let long = "é".repeat(1000);
        assert!(Error::value(&long, &long, "less").to_string().len() < 250);
    }

    #[test]
    fn the_nearest_is_what_was_meant() {
        let known = ["ip", "gateway", "maxcpus", "console", "loglevel", "panic"];
        assert_eq!(nearest("gatway", known), Some("gateway"));
        assert_eq!(nearest("maxpcus", known), Some("maxcpus"));
        assert_eq!(nearest("pi", known), Some("ip"));
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("speed", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"ip".repeat(10_000), known), None);
    }

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("ab", "", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
