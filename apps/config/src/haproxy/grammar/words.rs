//! A line, cut into words (configuration manual, sections 2.2 and 2.3).
//!
//! ```text
//!   log-format "%ci ${HOST-none} \x41" 'as it is'\ here   # comment
//!              └── weak: escapes, variables   └── strong: nothing
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Index;

use super::text::is_space;

/// The words of a line. Beyond the last one all are empty.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Words(pub(super) Vec<String>);

impl Index<usize> for Words {
    type Output = str;

    fn index(&self, at: usize) -> &str {
        self.0.get(at).map_or("", String::as_str)
    }
}

impl Words {
    /// Whether there is a word at `at` that is not empty.
    pub(super) fn has(&self, at: usize) -> bool {
        !self[at].is_empty()
    }

    /// The words from `at` on, up to the first empty one, where HAProxy stops.
    pub(super) fn rest(&self, at: usize) -> &[String] {
        let rest = self.0.get(at..).unwrap_or_default();
        let end = rest.iter().position(String::is_empty).unwrap_or(rest.len());
        &rest[..end]
    }

    /// Takes the first word away.
    pub(super) fn shift(&mut self) {
        if !self.0.is_empty() {
            self.0.remove(0);
        }
    }

    /// What HAProxy makes of `default`: it moves the words and leaves the last one where it was, so
    /// that it stands there twice, and hardly any line survives it.
    pub(super) fn shift_but_last(&mut self) {
        if let Some(last) = self.0.last().cloned() {
            self.0.push(last);
            self.0.remove(0);
        }
    }
}

/// Why a line could not be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// HAProxy's phrase.
    pub(super) what: &'static str,
    /// The character at which it was noticed.
    pub(super) at: usize,
}

/// What a line's variables stand for.
pub(super) trait Variables {
    /// The value of `name`; a name with a dot in front is one of HAProxy's own.
    fn value(&self, name: &str) -> Option<String>;
}

/// Cuts `line`.
///
/// # Errors
/// What is wrong, and where. Too many words are not an error here.
pub(super) fn split(line: &str, variables: &dyn Variables) -> Result<Words, Fault> {
    let line: Vec<char> = line.chars().collect();
    let mut cut = Cut { line: &line, at: 0, words: Vec::new(), word: String::new(), quote: None };
    cut.run(variables)?;
    Ok(Words(cut.words))
}

struct Cut<'l> {
    line: &'l [char],
    at: usize,
    words: Vec<String>,
    word: String,
    /// The quote that is open, and where it was opened.
    quote: Option<(char, usize)>,
}

impl Cut<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.line.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn is_in(&self, quote: char) -> bool {
        matches!(self.quote, Some((open, _)) if open == quote)
    }

    fn run(&mut self, variables: &dyn Variables) -> Result<(), Fault> {
        loop {
            match self.peek(0) {
                '\0' | '\n' | '\r' => break,
                '#' if self.quote.is_none() => break,
                quote @ ('"' | '\'') if self.quote.is_none() || self.is_in(quote) => {
                    self.quote = match self.quote {
                        Some(_) => None,
                        None => Some((quote, self.at)),
                    };
                    self.at += 1;
                }
                '\\' if !self.is_in('\'') => self.escape()?,
                space if is_space(space) && self.quote.is_none() => {
                    while is_space(self.peek(0)) {
                        self.at += 1;
                    }
                    self.end_word();
                }
                '$' if self.is_in('"') => self.variable(variables)?,
                other => {
                    self.word.push(other);
                    self.at += 1;
                }
            }
        }
        // Spaces at the end of a line make no word.
        if !self.word.is_empty() {
            self.end_word();
        }
        match self.quote {
            Some((_, at)) => Err(Fault { what: "unmatched quote", at }),
            None => Ok(()),
        }
    }

    fn end_word(&mut self) {
        self.words.push(core::mem::take(&mut self.word));
    }

    /// A backslash: only these mean something, in front of anything else it stands for itself.
    fn escape(&mut self) -> Result<(), Fault> {
        let (character, length) = match self.peek(1) {
            escaped @ (' ' | '\\' | '#' | '\'' | '"') => (escaped, 2),
            't' => ('\t', 2),
            'n' => ('\n', 2),
            'r' => ('\r', 2),
            '$' if self.is_in('"') => ('$', 2),
            'x' => {
                let digits = (self.peek(2).to_digit(16), self.peek(3).to_digit(16));
                let (Some(high), Some(low)) = digits else {
                    let what = "truncated or invalid hexadecimal sequence";
                    return Err(Fault { what, at: self.at });
                };
                (char::from((high << 4 | low) as u8), 4)
            }
            _ => ('\\', 1),
        };
        self.word.push(character);
        self.at += length;
        Ok(())
    }

    /// A variable between double quotes: `$NAME`, `${NAME}`, `${NAME-otherwise}`, `${NAME[*]}`.
    fn variable(&mut self, variables: &dyn Variables) -> Result<(), Fault> {
        self.at += 1;
        let brace = (self.peek(0) == '{').then_some(self.at);
        self.at += usize::from(brace.is_some());
        let forbidden = "forbidden first char in environment variable name";
        let begin = self.at;
        if !self.peek(0).is_ascii_alphabetic() && !matches!(self.peek(0), '_' | '.') {
            return Err(Fault { what: forbidden, at: begin });
        }
        self.at += usize::from(self.peek(0) == '.');
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == '_' {
            self.at += 1;
        }
        let name: String = self.line[begin..self.at].iter().collect();
        let mut value = variables.value(&name);
        if name.starts_with('.') && value.is_none() {
            return Err(Fault { what: forbidden, at: begin });
        }
        let mut expands = false;
        if let Some(open) = brace {
            if self.peek(0) == '[' {
                if (self.peek(1), self.peek(2)) != ('*', ']') {
                    let what = "truncated or invalid word expansion sequence";
                    return Err(Fault { what, at: self.at });
                }
                expands = true;
                self.at += 3;
            }
            if self.peek(0) == '-' {
                let begin = self.at + 1;
                let length = self.line[begin..].iter().position(|&c| c == '}' || c == '\0');
                self.at = length.map_or(self.line.len(), |length| begin + length);
                value = value.or_else(|| Some(self.line[begin..self.at].iter().collect()));
            }
            if self.peek(0) != '}' {
                let what = "unmatched brace in environment variable name";
                return Err(Fault { what, at: open });
            }
            self.at += 1;
        }
        self.paste(&value.unwrap_or_default(), expands);
        Ok(())
    }

    /// A variable's value; spaces end words where it was asked for.
    fn paste(&mut self, value: &str, expands: bool) {
        let mut value = value.chars().peekable();
        while let Some(character) = value.next() {
            if expands && is_space(character) {
                while value.next_if(|&next| is_space(next)).is_some() {}
                self.end_word();
            } else {
                self.word.push(character);
            }
        }
    }
}

/// A line and a mark below its character `at`, for a message: about `width` characters around it,
/// and nothing that cannot be printed. `indent` is what the caller writes in front of the line.
pub(super) fn marked(line: &str, at: usize, width: usize, indent: usize) -> (String, String) {
    let line: Vec<char> = line.chars().collect();
    let (mut shown, mut rest, mut mark, mut end) = (String::new(), &line[..], at, width);
    if at >= width {
        let shift = at - width / 2;
        shown.push_str("...");
        rest = line.get(shift + 3..).unwrap_or_default();
        (mark, end) = (at - shift, width - 3);
    }
    for &character in rest {
        if shown.chars().count() >= end {
            break;
        }
        shown.push(match character {
            space if is_space(space) => ' ',
            ' '..='~' => character,
            _ => '?',
        });
    }
    if end < width {
        shown.push_str("...");
    }
    (shown, alloc::format!("{:>1$}", "^", mark + indent))
}

#[cfg(test)]
mod tests {
    //! Words are cut as the manual says, and any text is cut somehow.

    use super::*;
    use proptest::prelude::{ProptestConfig, any, proptest};

    struct Some3;

    impl Variables for Some3 {
        fn value(&self, name: &str) -> Option<String> {
            match name {
                "A" => Some("one".into()),
                "LIST" => Some("x  y".into()),
                ".LINE" => Some("12".into()),
                _ => None,
            }
        }
    }

    fn cut(line: &str) -> Vec<String> {
        split(line, &Some3).expect(line).0
    }

    fn fault(line: &str) -> (&'static str, usize) {
        let fault = split(line, &Some3).expect_err(line);
        (fault.what, fault.at)
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(cut("a  b\tc # d"), ["a", "b", "c"]);
        assert_eq!(cut(r#"a\ b "c # d" 'e "f'g"#), ["a b", "c # d", "e \"fg"]);
        assert_eq!(cut(r#""a\"b" \x41\x7E \n\1 'a\x'"#), ["a\"b", "A~", "\n\\1", "a\\x"]);
        assert_eq!(cut(r##"a\#b "" x"##), ["a#b", "", "x"]);
        assert_eq!((cut("a\r b"), cut("a \r b")), (cut("a"), cut("a b")));
        assert_eq!(cut(r#"a "\$A" \$A"#), ["a", "$A", "\\$A"]);
        assert_eq!(cut(""), [""; 0]);
    }

    #[test]
    fn variables() {
        assert_eq!(
            cut(r#""$A" "${A}x" $A "${NONE-a b}" "${.LINE}" '$A'"#).join("|"),
            "one|onex|$A|a b|12|$A"
        );
        assert_eq!(cut(r#"a "${LIST[*]}" "${LIST}""#), ["a", "x", "y", "x  y"]);
        assert_eq!(cut(r#"a "${NONE}""#), ["a"]);
    }

    #[test]
    fn faults() {
        assert_eq!(fault("a 'b"), ("unmatched quote", 2));
        assert_eq!(fault("\"${A"), ("unmatched brace in environment variable name", 2));
        assert_eq!(fault("\"${A-x"), ("unmatched brace in environment variable name", 2));
        assert_eq!(fault("\"$1\""), ("forbidden first char in environment variable name", 2));
        assert_eq!(fault("\"${.X}\""), ("forbidden first char in environment variable name", 3));
        assert_eq!(fault("\"${A[x]}\"").1, 4);
        assert_eq!(fault("\\x4"), ("truncated or invalid hexadecimal sequence", 0));
    }

    #[test]
    fn marks() {
        assert_eq!(marked("ab\tc", 2, 80, 1), ("ab c".into(), "  ^".into()));
        let (shown, mark) = marked(&"x".repeat(200), 100, 20, 0);
        assert_eq!((shown.len(), mark.len()), (20, 10));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_line_is_cut(line in any::<String>(), at in 0..300_usize) {
            let _ = split(&line, &Some3);
            let _ = marked(&line, at, 80, 1);
        }

        #[test]
        fn lines_of_the_grammar_are_cut(line in "[a \\\\\"'${}A\\[\\]*.x#-]{0,30}") {
            let _ = split(&line, &Some3);
        }
    }
}
