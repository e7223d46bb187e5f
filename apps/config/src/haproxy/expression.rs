//! Regular expressions of a configuration, compiled once.
//!
//! Where they are read they are compiled to see that they can be, and where they run they are
//! compiled again: a table of bytes to follow, one step for each byte, nothing allocated, nothing
//! written, so that any core may look into the same one. What such a table cannot do is refused by
//! name: look-around, references back, and expressions whose table would be larger than
//! [`TABLE_BYTES_MAX`].
//!
//! HAProxy on Debian uses PCRE2 on bytes. So here: `.` is any byte but a line feed, `\w`, `\d` and
//! letters without case are ASCII's. One difference remains: PCRE lets `$` match before a last line
//! feed.

use alloc::string::{String, ToString};
use core::fmt;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

/// An expression that is ready to run.
#[derive(Clone)]
pub struct Expression {
    table: dense::DFA<alloc::vec::Vec<u32>>,
}

/// Why an expression is refused: the end of a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError(String);

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, or that it is too large.
    pub fn compile(text: &str, ignore_case: bool) -> Result<Expression, ExpressionError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(too_large());
        }
        let syntax = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .case_insensitive(ignore_case)
            .nest_limit(NESTING_MAX);
        // The parser's complaint is a small picture, with the reason in its last line.
        syntax::parse_with(text, &syntax).map_err(|error| {
            let picture = error.to_string();
            let reason = picture.rsplit("error: ").next().unwrap_or_default();
            ExpressionError(reason.trim().into())
        })?;
        let table = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .match_kind(MatchKind::LeftmostFirst)
            .dfa_size_limit(Some(TABLE_BYTES_MAX))
            .determinize_size_limit(Some(WORK_BYTES_MAX));
        let steps = thompson::Config::new()
            .utf8(false)
            .which_captures(thompson::WhichCaptures::None)
            .nfa_size_limit(Some(TABLE_BYTES_MAX));
        let table = dense::Builder::new()
            .configure(table)
            .thompson(steps)
            .syntax(syntax)
            .build(text)
            .map_err(|_| too_large())?;
        Ok(Expression { table })
    }

    /// Whether it fits somewhere in `bytes`.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        // A search fails only where an expression asks for word boundaries of Unicode.
        let found = self.table.try_search_fwd(&Input::new(bytes).earliest(true));
        matches!(found, Ok(Some(_)))
    }
}

fn too_large() -> ExpressionError {
    ExpressionError("it is too large to be compiled".into())
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("bytes", &self.table.memory_usage()).finish()
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes of the text of an expression.
const TEXT_BYTES_MAX: usize = 2048;

/// Bytes of the table of an expression.
const TABLE_BYTES_MAX: usize = 256 * 1024;

/// Bytes needed for a moment to make it.
const WORK_BYTES_MAX: usize = 1024 * 1024;

/// Parentheses in parentheses.
const NESTING_MAX: u32 = 50;

#[cfg(test)]
mod tests {
    //! Expressions mean what they mean to PCRE on bytes, and those that could cost without bound
    //! are refused.

    use super::*;

    fn fits(text: &str, bytes: &[u8]) -> bool {
        Expression::compile(text, false).expect("good").is_match(bytes)
    }

    #[test]
    fn bytes_are_searched_anywhere() {
        assert!(fits("b+", b"abbc") && !fits("b+", b"ac") && fits("", b"") && !fits(".", b"\n"));
        assert!(fits("^a.c$", b"a\xffc") && !fits("^b", b"ab"));
        assert!(fits(r"^\x16\x03[\x00-\x03]", b"\x16\x03\x01\x02"));
        assert!(fits(r"^(www|mail)\.example\.(com|org)$", b"mail.example.org"));
        assert!(fits(r"\bfoo\b", b"a foo b") && !fits(r"\bfoo\b", b"afoo"));
        assert!(!fits(r"^\w$", "é".as_bytes()), "a letter of ASCII");
    }

    #[test]
    fn case_is_looked_at_unless_told_not_to() {
        assert!(!fits("abc", b"ABC"));
        assert!(Expression::compile("abc", true).expect("good").is_match(b"xABCx"));
        assert!(fits("(?i)abc", b"ABC"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let refused =
            |text: &str| Expression::compile(text, false).expect_err("refused").to_string();
        assert!(refused("a(?=b)").starts_with("look-around"), "{}", refused("a(?=b)"));
        assert!(refused(r"(a)\1").starts_with("backreferences"), "{}", refused(r"(a)\1"));
        assert_eq!(refused("a("), "unclosed group");
        assert_eq!(refused("[01]*1[01]{18}"), "it is too large to be compiled");
        assert_eq!(refused("((a{99}){99}){99}"), "it is too large to be compiled");
        assert_eq!(refused(&"a".repeat(TEXT_BYTES_MAX + 1)), "it is too large to be compiled");
        let deep = "(".repeat(100) + &")".repeat(100);
        assert!(refused(&deep).contains("nest"), "{}", refused(&deep));
    }
}
