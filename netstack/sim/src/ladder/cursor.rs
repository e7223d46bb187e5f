//! A line of a script, read from left to right; errors name line, column and what was expected.

use std::fmt;

/// Why a script was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What would have been right there.
    pub expected: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: expected {}", self.line, self.column, self.expected)
    }
}

impl std::error::Error for SyntaxError {}

/// What reading gives.
pub(crate) type Read<T> = Result<T, SyntaxError>;

/// The place in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    line: &'a str,
    number: u32,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(line: &'a str, number: u32) -> Cursor<'a> {
        Cursor { line, number, at: 0 }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or("")
    }

    pub(crate) fn error<T>(&self, expected: impl Into<String>) -> Read<T> {
        let column = self.line.get(..self.at).map_or(0, |before| before.chars().count());
        Err(SyntaxError { line: self.number, column: column as u32 + 1, expected: expected.into() })
    }

    /// Passes white space; whether there was any, or the line is over.
    pub(crate) fn space(&mut self) -> bool {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().len() < rest.len() || rest.is_empty()
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_done(&self) -> bool {
        self.rest().trim_start().is_empty()
    }

    pub(crate) fn done(&mut self) -> Read<()> {
        self.space();
        if self.rest().is_empty() { Ok(()) } else { self.error("the end of the line") }
    }

    /// Passes `text` if it is next.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    pub(crate) fn expect(&mut self, text: &str) -> Read<()> {
        if self.eat(text) { Ok(()) } else { self.error(format!("'{text}'")) }
    }

    /// Passes white space and then the word `text`, if that is what is next.
    pub(crate) fn eat_word(&mut self, text: &str) -> bool {
        let mut ahead = *self;
        ahead.space();
        let is_next = ahead.peek_word() == text;
        if is_next {
            ahead.at += text.len();
            *self = ahead;
        }
        is_next
    }

    fn peek_word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    }

    /// A word of letters, digits and underscores, after white space.
    pub(crate) fn word(&mut self, expected: &str) -> Read<&'a str> {
        self.space();
        let word = self.peek_word();
        if word.is_empty() {
            return self.error(expected);
        }
        self.at += word.len();
        Ok(word)
    }

    /// One of a list of words, after white space.
    pub(crate) fn one_of<T: Copy>(&mut self, what: &str, choices: &[(&str, T)]) -> Read<T> {
        self.space();
        let start = *self;
        let word = self.peek_word();
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            self.at += word.len();
            return Ok(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        start.error(format!("{what}: {}", names.join(", ")))
    }

    /// A decimal number, after white space.
    pub(crate) fn number(&mut self, expected: &str, most: u64) -> Read<u64> {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match rest[..end].parse() {
            Ok(number) if number <= most => {
                self.at += end;
                Ok(number)
            }
            Ok(_) => self.error(format!("{expected}, at most {most}")),
            Err(_) => self.error(expected),
        }
    }

    /// A sequence number: relative, so it may be negative.
    pub(crate) fn seq(&mut self, expected: &str) -> Read<u32> {
        self.space();
        let negative = self.eat("-");
        let number = self.number(expected, u32::MAX as u64)? as u32;
        Ok(if negative { number.wrapping_neg() } else { number })
    }

    /// Seconds with up to six decimals, as microseconds; `ms` and `s` may follow.
    pub(crate) fn seconds(&mut self, expected: &str) -> Read<u64> {
        let whole = self.number(expected, SECONDS_MAX)?;
        let mut micros = whole * 1_000_000;
        if self.eat(".") {
            let rest = self.rest();
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if end == 0 || end > 6 {
                return self.error("one to six decimals");
            }
            let fraction: u64 = rest[..end].parse().unwrap_or(0);
            micros += fraction * 10u64.pow(6 - end as u32);
            self.at += end;
        }
        if self.eat("ms") {
            return Ok(micros / 1000);
        }
        self.eat("s");
        Ok(micros)
    }
}

/// The longest time a script can name: a year.
const SECONDS_MAX: u64 = 366 * 24 * 3600;
