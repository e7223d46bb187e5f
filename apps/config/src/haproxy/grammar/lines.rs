//! Files, cut into lines of words: what is left when quotes, variables and `.if` have done their work.
//!
//! Nothing is said here: a line that is wrong is an entry too, so that all messages come in the order
//! of the file.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::directive::{self, Blocks, Misplaced, NESTED_MAX, Unparsable};
use super::environment::Environment;
use super::message::Severity;
use super::text::{characters, invalid_in_name, is_space};
use super::words::{self, Variables, Words};
use super::{File, Input};

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// The file.
    pub(super) file: Rc<str>,
    /// The line, from 1.
    pub(super) line: u32,
}

/// A line, or what is wrong with it.
#[derive(Debug)]
pub(super) enum Entry {
    /// Words of a section.
    Line(Spot, Words),
    /// What is to be said of it.
    Say(Severity, String),
    /// And that the file is not read further; `aborts`: nor any other.
    Stop { text: String, aborts: bool },
    /// A message for people, `.notice` and its kin, without consequences.
    Remark(Severity, String),
    /// The file ends.
    End(Rc<str>),
}

/// Evaluates a condition: that of a file which has a line if it holds.
pub(super) fn condition(text: &str, environment: &[(String, String)]) -> Result<bool, String> {
    let bytes = format!(".if {}\nholds\n.endif\n", text.replace('\n', " ")).into_bytes();
    let files = &[File { name: "condition", bytes: &bytes }];
    let mut holds = false;
    for entry in cut(&Input { environment, ..Input::of(files) }) {
        match entry {
            Entry::Line(..) => holds = true,
            Entry::Say(_, text) | Entry::Stop { text, .. } => return Err(text),
            Entry::Remark(..) | Entry::End(_) => {}
        }
    }
    Ok(holds)
}

/// Cuts all files.
pub(super) fn cut(input: &Input<'_>) -> Vec<Entry> {
    let mut environment = Environment::of(input);
    let mut entries = Vec::new();
    for file in input.files {
        let name: Rc<str> = characters(file.name.as_bytes()).into();
        let mut cutter = Cutter {
            file: name.clone(),
            line: 0,
            section: String::new(),
            in_global: false,
            blocks: Blocks::default(),
            environment: &mut environment,
            entries: &mut entries,
        };
        cutter.run(file);
        entries.push(Entry::End(name));
    }
    entries
}

struct Cutter<'c> {
    file: Rc<str>,
    line: u32,
    /// The name of the section, for `.SECTION`.
    section: String,
    in_global: bool,
    blocks: Blocks,
    environment: &'c mut Environment,
    entries: &'c mut Vec<Entry>,
}

/// Whether the file is read further.
type Further = bool;

impl Cutter<'_> {
    fn say(&mut self, text: String) -> Further {
        self.entries.push(Entry::Say(Severity::Alert, text));
        true
    }

    fn stop(&mut self, text: String) -> Further {
        self.entries.push(Entry::Stop { text, aborts: true });
        false
    }

    fn at(&self) -> String {
        format!("parsing [{}:{}]", self.file, self.line)
    }

    fn run(&mut self, file: &File<'_>) {
        let mut unterminated = None;
        for raw in file.bytes.split_inclusive(|&byte| byte == b'\n') {
            if let Some(at) = unterminated {
                let text = format!("{}: Stray NUL character at position {at}.", self.at());
                self.say(text);
                unterminated = None;
                break;
            }
            self.line += 1;
            let cut = raw.iter().position(|&byte| byte == 0).unwrap_or(raw.len());
            let line = match raw[..cut].strip_suffix(b"\n") {
                Some(line) => line,
                None => {
                    unterminated = Some(cut + 1);
                    &raw[..cut]
                }
            };
            if !self.read(&characters(line)) {
                return;
            }
        }
        if let Some(at) = unterminated {
            let text = format!(
                "{}: Missing LF on last line, file might have been truncated at position {at}.",
                self.at()
            );
            self.say(text);
        }
        if self.blocks.is_open() {
            let text = format!("{}: non-terminated '.if' block.", self.at());
            self.stop(text);
        }
    }

    fn read(&mut self, raw: &str) -> Further {
        let line = raw.trim_start_matches(is_space);
        if let Some(inner) = line.strip_prefix('[') {
            return self.scope(inner);
        }
        let words = match words::split(line, &*self) {
            Ok(words) => words,
            Err(fault) => {
                let position = raw.chars().count() - line.chars().count() + fault.at + 1;
                let (shown, mark) = words::marked(line, fault.at, 80, 1);
                let text = format!(
                    "{}: {} at position {position}:\n  {shown}\n  {mark}",
                    self.at(),
                    fault.what
                );
                return self.say(text);
            }
        };
        if words.0.len() > WORDS_MAX {
            let before: usize =
                words.0[..WORDS_MAX - 1].iter().map(|it| it.chars().count() + 1).sum();
            let text = format!(
                "{}: too many words, truncating after word {WORDS_MAX}, position {}: <{}>.",
                self.at(),
                before + 1,
                words.0[WORDS_MAX - 1]
            );
            return self.say(text);
        }
        if words[0].is_empty() {
            return true;
        }
        if words[0].starts_with('.') {
            return self.directive(&words);
        }
        if self.blocks.are_taken() {
            self.keep(words);
        }
        true
    }

    /// `[name]`: to whom the sections below it are addressed. HAProxy itself looks at all of them.
    fn scope(&mut self, inner: &str) -> Further {
        let at = self.at();
        let (name, behind) = match inner.split_once(']') {
            Some((name, behind)) if !name.is_empty() => (name, behind),
            _ => return self.say(format!("{at} : empty scope name is forbidden.")),
        };
        if let Some(wrong) = invalid_in_name(name) {
            let why = "is not permitted in a scope name.";
            return self.stop(format!("{at} : character '{wrong}' {why}"));
        }
        match behind.trim_start_matches(is_space).chars().next() {
            None | Some('#') => true,
            Some(other) => {
                let why = "is not permitted after scope declaration.";
                self.stop(format!("{at} : character '{other}' {why}"))
            }
        }
    }

    fn keep(&mut self, words: Words) {
        if super::SECTIONS.contains(&&words[0]) {
            self.section = if words.has(1) { &words[1] } else { &words[0] }.to_owned();
            self.in_global = &words[0] == "global";
        } else if self.in_global {
            self.environment.change(&words);
        }
        let spot = Spot { file: self.file.clone(), line: self.line };
        self.entries.push(Entry::Line(spot, words));
    }

    fn directive(&mut self, words: &Words) -> Further {
        let (name, at) = (words[0].to_owned(), self.at());
        let condition = words.0[1..].join(" ");
        match &*name {
            ".if" => {
                if self.blocks.is_full() {
                    return self.stop(format!("{at}: too many nested '.if', max is {NESTED_MAX}."));
                }
                let mut blocks = core::mem::take(&mut self.blocks);
                let begun = blocks.begin(|| directive::evaluate(&condition, &*self));
                self.blocks = blocks;
                match begun {
                    Ok(()) => true,
                    Err(wrong) => self.unparsable(&name, &condition, &wrong, 76, 5),
                }
            }
            ".elif" => {
                let mut blocks = core::mem::take(&mut self.blocks);
                let begun = blocks.otherwise_if(|| directive::evaluate(&condition, &*self));
                self.blocks = blocks;
                match begun {
                    Err(Misplaced::Condition(wrong)) => {
                        self.unparsable(&name, &condition, &wrong, 74, 7)
                    }
                    other => self.branch(&name, other),
                }
            }
            ".else" | ".endif" if words.has(1) => {
                let argument = &words[1];
                self.stop(format!("{at}: Unexpected argument '{argument}' for '{name}'."))
            }
            ".else" => {
                let begun = self.blocks.otherwise();
                self.branch(&name, begun)
            }
            ".endif" => match self.blocks.end() {
                true => true,
                false => self.branch(&name, Err(Misplaced::Lone)),
            },
            _ if !self.blocks.are_taken() => true,
            _ => self.remark(words),
        }
    }

    fn branch(&mut self, name: &str, begun: Result<(), Misplaced>) -> Further {
        let at = self.at();
        match begun {
            Ok(()) | Err(Misplaced::Condition(_)) => true,
            Err(Misplaced::Lone) => {
                self.stop(format!("{at}: lone '{name}' with no matching '.if'."))
            }
            Err(Misplaced::AfterElse) => {
                self.stop(format!("{at}: '{name}' after '.else' is not permitted."))
            }
        }
    }

    fn unparsable(
        &mut self,
        name: &str,
        condition: &str,
        wrong: &Unparsable,
        width: usize,
        indent: usize,
    ) -> Further {
        let (shown, mark) = words::marked(condition, wrong.at, width, indent);
        let (at, message, position) = (self.at(), &wrong.message, wrong.at + 1);
        self.stop(format!(
            "{at}: {message} in '{name}' at position {position}:\n  {name} {shown}\n  {mark}"
        ))
    }

    /// `.notice` and its kin.
    fn remark(&mut self, words: &Words) -> Further {
        let (name, at) = (&words[0], self.at());
        let severity = match name {
            ".alert" => None,
            ".warning" => Some(Severity::Warning),
            ".notice" => Some(Severity::Notice),
            ".diag" => Some(Severity::Notice),
            _ => {
                let text = format!("{at}: unknown directive '{name}'.");
                self.entries.push(Entry::Stop { text, aborts: false });
                return false;
            }
        };
        if words.has(2) {
            return self.say(format!(
                "{at}: Unexpected argument '{}' for '{name}'. \
                 Use quotes if the message should contain spaces.",
                &words[2]
            ));
        }
        let text = format!("{at}: '{}'.", &words[1]);
        match severity {
            None => self.stop(text),
            // Only HAProxy's diagnostic mode shows these.
            Some(_) if name == ".diag" => true,
            Some(severity) => {
                self.entries.push(Entry::Remark(severity, text));
                true
            }
        }
    }
}

impl Variables for Cutter<'_> {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            ".FILE" => return Some(self.file.as_ref().to_owned()),
            ".LINE" => return Some(self.line.to_string()),
            ".SECTION" => return Some(self.section.clone()),
            _ => {}
        }
        self.environment.value(name).map(ToOwned::to_owned)
    }
}

/// At most so many words are in a line.
const WORDS_MAX: usize = 64;
