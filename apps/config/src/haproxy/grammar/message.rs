//! What HAProxy says of a configuration, as it says it.
//!
//! ```text
//!   [ALERT]    (1) : config : parsing [haproxy.cfg:2] : unknown keyword 'maxcon' in 'global' section; ..
//!   [WARNING]  (1) : config : missing timeouts for frontend 'f'.
//! ```

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something has no effect here, or another one.
    Notice,
    /// Something was probably not meant.
    Warning,
    /// Something is wrong.
    Alert,
}

impl Severity {
    /// HAProxy's word for it, with the spaces that align what follows.
    pub fn label(self) -> &'static str {
        match self {
            Severity::Notice => "[NOTICE]   ",
            Severity::Warning => "[WARNING]  ",
            Severity::Alert => "[ALERT]    ",
        }
    }
}

/// One message. It may have several lines; a line of the configuration that it repeats is there byte
/// by byte, one character each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How grave it is.
    pub severity: Severity,
    /// What is said, without what precedes each message.
    pub text: String,
}

impl Message {
    /// The line that HAProxy writes, as the process `pid`, without the final line feed.
    ///
    /// Bytes that would move a cursor are written as `\x1b`: this is printed on consoles.
    pub fn line(&self, pid: u32) -> impl fmt::Display + '_ {
        Line { message: self, pid }
    }
}

struct Line<'a> {
    message: &'a Message,
    pid: u32,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}) : config : ", self.message.severity.label(), self.pid)?;
        let bytes: Vec<u8> = super::text::bytes(&self.message.text);
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\n' | '\t' => f.write_char(character)?,
                    _ if character.is_control() => write!(f, "\\x{:02x}", character as u32)?,
                    _ => f.write_char(character)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// What is said of a word that HAProxy knows and Penstock does not do yet: whoever says it with
/// [`Messages::alert`] leaves out what the word stands in.
const NOT_YET: &str = "not supported yet";

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// What is not supported yet is left out, with a warning.
    pub(super) lenient: bool,
    /// What is read now is left out whatever it says, and so nothing in it is wrong.
    pub(super) left_out: bool,
    /// Something was not supported yet.
    pub(super) missing: bool,
    /// In the order of the file.
    pub(super) said: Vec<Message>,
    /// Whether a configuration with this can be run.
    pub(super) fatal: bool,
    /// Whether it must not even be read further.
    pub(super) abort: bool,
}

impl Messages {
    /// Whether there was a warning.
    pub(super) fn has_warnings(&self) -> bool {
        self.said.iter().any(|message| message.severity == Severity::Warning)
    }

    /// Something is wrong, and this configuration cannot be run.
    pub(super) fn alert(&mut self, text: String) {
        let is_missing = text.contains(NOT_YET);
        self.missing |= is_missing;
        if self.lenient && is_missing || self.left_out {
            return self.warn(format!("{text} (left out)"));
        }
        self.fatal = true;
        self.complain(text);
    }

    /// Something is wrong, but HAProxy goes on.
    pub(super) fn complain(&mut self, text: String) {
        self.say(Severity::Alert, text);
    }

    /// Something was probably not meant.
    pub(super) fn warn(&mut self, text: String) {
        self.say(Severity::Warning, text);
    }

    /// Something has another effect here than in HAProxy.
    pub(super) fn notice(&mut self, text: String) {
        self.say(Severity::Notice, text);
    }

    fn say(&mut self, severity: Severity, text: String) {
        if self.said.len() < crate::limits::MESSAGES_MAX {
            // Where HAProxy shows a character that is not there, its text ends.
            let text = text.split('\0').next().unwrap_or_default().into();
            self.said.push(Message { severity, text });
        }
    }
}

#[cfg(test)]
mod tests {
    //! A message is HAProxy's line, and nothing in it moves a cursor.

    use super::*;
    use std::string::ToString;

    #[test]
    fn the_line() {
        let text = "missing \u{1b}[2J \u{c3}\u{a9} \u{ff}\n  x";
        let message = Message { severity: Severity::Warning, text: text.into() };
        let line = message.line(7).to_string();
        assert_eq!(line, "[WARNING]  (7) : config : missing \\x1b[2J \u{e9} \\xff\n  x");
    }
}
