//! `.if` and its kin: which lines are there at all (configuration manual, section 2.4).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{self, Kind, Shape};
use super::words::Variables;

/// A block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// The lines of this branch are there.
    Taken,
    /// They are not; another branch may be.
    Dropped,
    /// No further branch is.
    Done,
    /// In `.else`; whether its lines are there.
    Else(bool),
}

/// The blocks that are open.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Block>);

/// A condition that cannot be evaluated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unparsable {
    /// HAProxy's words.
    pub(super) message: String,
    /// The character of the condition.
    pub(super) at: usize,
}

/// At most so many blocks are open at once.
pub(super) const NESTED_MAX: usize = 100;

/// At most so deep are conditions.
const DEPTH_MAX: usize = 1024;

impl Blocks {
    /// Whether lines are there now.
    pub(super) fn are_taken(&self) -> bool {
        self.0.last().is_none_or(|block| matches!(block, Block::Taken | Block::Else(true)))
    }

    /// Whether any block is open.
    pub(super) fn is_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether one more may be opened.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() + 1 >= NESTED_MAX
    }

    /// `.if`; the condition is evaluated only where it matters.
    pub(super) fn begin(
        &mut self,
        condition: impl FnOnce() -> Result<bool, Unparsable>,
    ) -> Result<(), Unparsable> {
        let block = match self.are_taken() {
            false => Block::Done,
            true if condition()? => Block::Taken,
            true => Block::Dropped,
        };
        self.0.push(block);
        Ok(())
    }

    /// `.elif`. `None`: there is no block it could belong to; `Some(Err)`: it follows `.else`.
    pub(super) fn otherwise_if(
        &mut self,
        condition: impl FnOnce() -> Result<bool, Unparsable>,
    ) -> Result<(), Misplaced> {
        let last = self.0.last_mut().ok_or(Misplaced::Lone)?;
        *last = match *last {
            Block::Else(_) => return Err(Misplaced::AfterElse),
            Block::Taken | Block::Done => Block::Done,
            Block::Dropped if condition().map_err(Misplaced::Condition)? => Block::Taken,
            Block::Dropped => Block::Dropped,
        };
        Ok(())
    }

    /// `.else`.
    pub(super) fn otherwise(&mut self) -> Result<(), Misplaced> {
        let last = self.0.last_mut().ok_or(Misplaced::Lone)?;
        *last = match *last {
            Block::Else(_) => return Err(Misplaced::AfterElse),
            Block::Taken | Block::Done => Block::Else(false),
            Block::Dropped => Block::Else(true),
        };
        Ok(())
    }

    /// `.endif`; false when no block is open.
    pub(super) fn end(&mut self) -> bool {
        self.0.pop().is_some()
    }
}

/// Why a branch cannot begin here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// No block is open.
    Lone,
    /// The block is in its `.else` already.
    AfterElse,
    /// Its condition cannot be evaluated.
    Condition(Unparsable),
}

/// Evaluates a condition.
pub(super) fn evaluate(text: &str, variables: &dyn Variables) -> Result<bool, Unparsable> {
    if text.is_empty() {
        return Ok(false);
    }
    let mut parser = Parser { text, rest: text, variables };
    let value = parser.any(DEPTH_MAX)?;
    parser.skip_blanks();
    match parser.rest.chars().next() {
        None => Ok(value),
        Some(next) => Err(parser.wrong(
            format!("unexpected character '{next}' at the end of conditional expression '{text}'"),
            parser.rest,
        )),
    }
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
    variables: &'t dyn Variables,
}

impl<'t> Parser<'t> {
    fn wrong(&self, message: String, rest: &str) -> Unparsable {
        Unparsable { message, at: self.text.len() - rest.len() }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn is_next(&mut self, operator: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(operator) {
            Some(rest) => {
                self.rest = rest;
                self.skip_blanks();
                true
            }
            None => false,
        }
    }

    fn any(&mut self, depth: usize) -> Result<bool, Unparsable> {
        let mut value = self.all(depth)?;
        while self.is_next("||") && !self.rest.is_empty() {
            value |= self.all(depth)?;
        }
        Ok(value)
    }

    fn all(&mut self, depth: usize) -> Result<bool, Unparsable> {
        let mut value = self.term(depth)?;
        while self.is_next("&&") && !self.rest.is_empty() {
            value &= self.term(depth)?;
        }
        Ok(value)
    }

    fn term(&mut self, depth: usize) -> Result<bool, Unparsable> {
        let begin = self.rest;
        self.skip_blanks();
        if self.rest.is_empty() {
            let message = format!("unparsable conditional sub-expression '{begin}'");
            return Err(self.wrong(message, begin));
        }
        let mut negated = false;
        while self.is_next("!") {
            negated = !negated;
        }
        let digits = self.rest.trim_start_matches(['+', '-']);
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            let (number, rest) = super::text::digits(digits);
            self.rest = rest;
            return Ok((number != 0) != negated);
        }
        if depth > 0 && self.is_next("(") {
            let value = self.any(depth - 1)?;
            if !self.is_next(")") {
                let message = format!("expected ')' after conditional expression '{begin}'");
                return Err(self.wrong(message, begin));
            }
            return Ok(value != negated);
        }
        match self.predicate()? {
            Some(value) => Ok(value != negated),
            None => {
                let message = format!("unparsable conditional expression '{begin}'");
                Err(self.wrong(message, begin))
            }
        }
    }

    fn predicate(&mut self) -> Result<Option<bool>, Unparsable> {
        let end = self.rest.find([' ', '(']).unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        let Some(&(_, count, judge)) = PREDICATES.iter().find(|(known, ..)| *known == name) else {
            return Ok(None);
        };
        const TEXTS: &[Kind] = &[Kind::Text, Kind::Text];
        let shape = Shape { least: count, kinds: &TEXTS[..count] };
        let read = arguments::read(&self.rest[end..], shape).map_err(|wrong| {
            let message = format!(
                "{} in argument {} of predicate '{name}' used in conditional expression",
                wrong.message, wrong.at
            );
            self.wrong(message, wrong.rest)
        })?;
        self.rest = read.rest;
        let argument = |at: usize| read.values.get(at).map_or("", String::as_str);
        Ok(Some(judge(argument(0), argument(1), self.variables)))
    }
}

/// A predicate: of its arguments and the environment.
type Judge = fn(&str, &str, &dyn Variables) -> bool;

const PREDICATES: &[(&str, usize, Judge)] = &[
    ("defined", 1, |name, _, variables| variables.value(name).is_some()),
    // What HAProxy can be built with or without is not here: TLS, Lua, QUIC and the like.
    ("feature", 1, |_, _, _| false),
    ("streq", 2, |a, b, _| a == b),
    ("strneq", 2, |a, b, _| a != b),
    ("version_atleast", 1, |version, _, _| numbers(version) <= numbers(VERSION)),
    ("version_before", 1, |version, _, _| numbers(version) > numbers(VERSION)),
    ("openssl_version_atleast", 1, |_, _, _| false),
    ("openssl_version_before", 1, |_, _, _| false),
    ("ssllib_name_startswith", 1, |_, _, _| false),
];

/// Whose grammar this is.
const VERSION: &str = "2.6.12";

/// The parts of a version; a development version is before its release.
fn numbers(version: &str) -> [i64; 4] {
    let (release, development) = match version.split_once("-dev") {
        Some((release, number)) => (release, super::text::leading_number(number)),
        None => (version, i64::MAX),
    };
    let mut parts = release.split('.').map(super::text::leading_number);
    let mut next = || parts.next().unwrap_or(0);
    let (major, minor, patch) = (next(), next(), next());
    [major, minor, if development == i64::MAX { patch } else { -1 }, development]
}

#[cfg(test)]
mod tests {
    //! Conditions are evaluated as the manual says.

    use super::*;

    struct OnlyA;

    impl Variables for OnlyA {
        fn value(&self, name: &str) -> Option<String> {
            (name == "A").then(|| "1".into())
        }
    }

    #[test]
    fn conditions() {
        for (text, expected) in [
            ("", false),
            ("1", true),
            ("!0", true),
            ("defined(A)", true),
            ("defined(B) || defined(A) && 1", true),
            ("!(defined(A) && 0)", true),
            ("streq(\"a b\",'a b')", true),
            ("strneq(a,a)", false),
            ("version_atleast(2.6-dev1)", true),
            ("version_atleast(2.7)", false),
            ("version_before(2.6.13)", true),
            ("feature(OPENSSL)", false),
        ] {
            assert_eq!(evaluate(text, &OnlyA), Ok(expected), "{text}");
        }
        let wrong = evaluate("foo(1)", &OnlyA).expect_err("unknown");
        assert_eq!(wrong.message, "unparsable conditional expression 'foo(1)'");
        let wrong = evaluate("1 x", &OnlyA).expect_err("rest");
        assert_eq!((wrong.at, wrong.message.starts_with("unexpected character 'x'")), (2, true));
    }

    #[test]
    fn blocks() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.begin(|| Ok(false)), Ok(()));
        assert!(!blocks.are_taken());
        assert_eq!(blocks.begin(|| unreachable!("not evaluated")), Ok(()));
        assert_eq!(blocks.otherwise(), Ok(()));
        assert!(!blocks.are_taken());
        assert!(blocks.end());
        assert_eq!(blocks.otherwise_if(|| Ok(true)), Ok(()));
        assert!(blocks.are_taken());
        assert_eq!(blocks.otherwise(), Ok(()));
        assert_eq!(blocks.otherwise(), Err(Misplaced::AfterElse));
        assert!(!blocks.are_taken());
        assert!(blocks.end() && !blocks.end());
        assert_eq!(blocks.otherwise(), Err(Misplaced::Lone));
    }
}
