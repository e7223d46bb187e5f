//! Lines for people, kept until whoever can print takes them.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt::{self, Write};

use crate::limits;

/// How urgent a line is: syslog's and Linux's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    /// Something does not work.
    Error = 3,
    /// Something is not as it should be.
    Warning = 4,
    /// Worth a look.
    Notice = 5,
    /// A fact.
    Info = 6,
}

/// A line.
#[derive(Clone, Copy)]
pub struct Line {
    /// How urgent it is.
    pub severity: Severity,
    bytes: u8,
    text: [u8; limits::LINE_BYTES],
}

const _: () = assert!(limits::LINE_BYTES <= u8::MAX as usize);

impl Line {
    const EMPTY: Line = Line { severity: Severity::Info, bytes: 0, text: [0; limits::LINE_BYTES] };

    /// What it says.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text[..self.bytes as usize]).unwrap_or_default()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            // What others say is in it: nothing that moves a cursor.
            let character = if character.is_control() { '?' } else { character };
            let at = self.bytes as usize;
            let room = self.text.get_mut(at..at + character.len_utf8()).ok_or(fmt::Error)?;
            character.encode_utf8(room);
            self.bytes += character.len_utf8() as u8;
        }
        Ok(())
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.severity, self.as_str())
    }
}

/// The lines that wait. When nobody takes them, the newest are lost, and counted.
#[derive(Debug)]
pub(crate) struct Lines {
    ring: Box<[Line]>,
    first: usize,
    count: usize,
    lost: u32,
}

impl Lines {
    pub(crate) fn new() -> Lines {
        let ring = vec![Line::EMPTY; limits::LINES_MAX].into_boxed_slice();
        Lines { ring, first: 0, count: 0, lost: 0 }
    }

    pub(crate) fn say(&mut self, severity: Severity, text: fmt::Arguments<'_>) {
        if self.count == self.ring.len() {
            self.lost += 1;
            return;
        }
        let at = (self.first + self.count) % self.ring.len();
        self.ring[at] = Line { severity, ..Line::EMPTY };
        // Only what is too long fails, and what fits is kept.
        let _ = self.ring[at].write_fmt(text);
        self.count += 1;
    }

    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.count > 0
    }

    pub(crate) fn take(&mut self) -> Option<Line> {
        if self.count == 0 {
            return None;
        }
        let line = self.ring[self.first];
        self.first = (self.first + 1) % self.ring.len();
        self.count -= 1;
        if self.count == 0 && self.lost > 0 {
            let lost = core::mem::take(&mut self.lost);
            self.say(Severity::Warning, format_args!("control: {lost} lines were lost"));
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_order_bounded_and_clean() {
        let mut lines = Lines::new();
        assert!(lines.take().is_none());
        lines.say(Severity::Notice, format_args!("a\u{1b}[2J\nb{}", "é".repeat(200)));
        let line = lines.take().expect("one");
        assert!(line.as_str().starts_with("a?[2J?bé") && line.as_str().len() <= 200);
        for number in 0..limits::LINES_MAX + 3 {
            lines.say(Severity::Info, format_args!("{number}"));
        }
        let all: alloc::vec::Vec<_> = core::iter::from_fn(|| lines.take()).collect();
        assert_eq!(all.len(), limits::LINES_MAX + 1);
        assert_eq!(all[limits::LINES_MAX - 1].as_str(), "63");
        assert_eq!(all[limits::LINES_MAX].as_str(), "control: 3 lines were lost");
    }
}
