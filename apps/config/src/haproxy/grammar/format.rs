//! Log formats, cut to items (configuration manual, section 8.2.6).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::Cx;
use super::draft::Draft;
use super::sample::{self, Context, Scope};
use super::text::bytes;
use crate::haproxy::{Fetch, Format, Item, ItemOptions, Mode, Variable};

/// How a format is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Where it stands, for messages about names.
    pub(super) context: Context,
    /// Where its samples are used: bits of [`super::fetches`].
    pub(super) places: u32,
}

/// Reads a format.
///
/// # Errors
/// HAProxy's words.
pub(super) fn read(cx: &mut Cx<'_>, draft: &Draft, text: &str, how: How) -> Result<Format, String> {
    let (format, read) = read_on(cx, draft, text, how);
    read.map(|()| format)
}

/// Reads a format up to where it is wrong.
pub(super) fn read_on(
    cx: &mut Cx<'_>,
    draft: &Draft,
    text: &str,
    how: How,
) -> (Format, Result<(), String>) {
    let mut reader = Reader {
        cx,
        draft,
        how,
        whole: text,
        items: Vec::new(),
        text: String::new(),
        // What is not there is a `-` in a log line, and nothing in any other text.
        options: ItemOptions { mandatory: how.context == Context::Log, ..ItemOptions::default() },
    };
    let read = reader.run();
    reader.end_text();
    (Format(reader.items), read)
}

struct Reader<'r, 'i> {
    cx: &'r mut Cx<'i>,
    draft: &'r Draft,
    how: How,
    whole: &'r str,
    items: Vec<Item>,
    /// Text that is not an item yet.
    text: String,
    /// What `%{+Q}o` has set for what follows.
    options: ItemOptions,
}

impl Reader<'_, '_> {
    fn run(&mut self) -> Result<(), String> {
        let mut rest = self.whole;
        while let Some(first) = rest.chars().next() {
            rest = match first {
                '%' => self.variable(&rest[1..])?,
                other => {
                    self.text.push(other);
                    &rest[other.len_utf8()..]
                }
            };
        }
        self.end_text();
        Ok(())
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            let text = core::mem::take(&mut self.text);
            self.items.push(Item::Text(bytes(&text)));
        }
    }

    /// What stands behind a `%`.
    fn variable<'t>(&mut self, text: &'t str) -> Result<&'t str, String> {
        let Some(next) = text.chars().next() else {
            return Err("truncated line after '%'".to_owned());
        };
        let position = self.whole.chars().count() - text.chars().count();
        match next {
            '%' => {
                self.text.push('%');
                Ok(&text[1..])
            }
            '{' => {
                let Some((options, behind)) = text[1..].split_once('}') else {
                    return Err(format!("truncated line after '{}'", &text[1..]));
                };
                match behind.chars().next() {
                    Some('[') => self.sample(&behind[1..], options),
                    Some(c) if c.is_ascii_alphanumeric() => self.named(behind, options),
                    _ => Err(format!(
                        "parse argument modifier without variable name near '%{{{options}}}'"
                    )),
                }
            }
            '[' => self.sample(&text[1..], ""),
            c if c.is_ascii_alphabetic() => self.named(text, ""),
            c if c.is_ascii_digit() || c == ' ' || c == '\t' => Err(format!(
                "unexpected variable name near '{c}' at position {position} line : '{}'. Maybe you \
                 want to write a single '%', use the syntax '%%'",
                self.whole
            )),
            // Anything else is text, and the `%` is lost.
            _ => Ok(text),
        }
    }

    fn named<'t>(&mut self, text: &'t str, options: &str) -> Result<&'t str, String> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let options = self.options_of(options)?;
        if name == "o" {
            self.options = options;
            return Ok(rest);
        }
        if let Some(&(_, variable)) = Variable::NAMES.iter().find(|(known, _)| *known == name) {
            match variable {
                Variable::RequestHeaders | Variable::RequestHeaderList => {
                    self.captured(variable, options);
                }
                _ => {
                    self.end_text();
                    self.items.push(Item::Variable(variable, options));
                }
            }
            return Ok(rest);
        }
        if HTTP_ONLY.contains(&name) {
            return Err(match self.draft.mode {
                Mode::Tcp => format!("format variable '{name}' is reserved for HTTP mode"),
                Mode::Http => format!("format variable '{name}' is not supported yet"),
            });
        }
        Err(format!(
            "no such format variable '{name}'. If you wanted to emit the '%' character verbatim, you \
             need to use '%%'"
        ))
    }

    /// `%hr`, `%hrl`: what was captured, as text and samples.
    fn captured(&mut self, variable: Variable, options: ItemOptions) {
        if self.draft.captures.is_empty() {
            self.end_text();
            return self.items.push(Item::Variable(variable, options));
        }
        let is_list = variable == Variable::RequestHeaderList;
        let quote = if options.quote { "\"" } else { "" };
        let (begin, between, end) = match is_list {
            true => (quote.to_owned(), format!("{quote} {quote}"), quote.to_owned()),
            false => (format!("{quote}{{"), "|".to_owned(), format!("}}{quote}")),
        };
        let options = ItemOptions {
            quote: false,
            encode: true,
            mandatory: is_list && !options.quote,
            ..options
        };
        for (number, capture) in self.draft.captures.iter().enumerate() {
            self.text.push_str(if number == 0 { &begin } else { &between });
            self.end_text();
            let fetch = Fetch::Variable { id: capture.variable, default: None };
            self.items.push(Item::Sample(fetch.into(), options));
        }
        self.text.push_str(&end);
    }

    fn sample<'t>(&mut self, text: &'t str, options: &str) -> Result<&'t str, String> {
        let mut scope = Scope::new(self.cx, self.draft, self.how.context);
        let (parsed, rest) = sample::prefix(&mut scope, text)
            .map_err(|wrong| format!("failed to parse sample expression <{text}> : {wrong}"))?;
        let options = self.options_of(options)?;
        if parsed.places & self.how.places == 0 {
            return Err(format!(
                "sample fetch <{text}> may not be reliably used here because it needs '{}' which is \
                 not available here",
                parsed.source
            ));
        }
        let Some(rest) = rest.strip_prefix(']') else {
            let read = &text[..text.len() - rest.len()];
            return Err(match rest.chars().next() {
                Some(found) if !found.is_control() => {
                    format!("expected ']' after '{read}', but found '{found}'")
                }
                _ => format!("missing ']' after '{read}'"),
            });
        };
        self.end_text();
        self.items.push(Item::Sample(parsed.sample, options));
        Ok(rest)
    }

    fn options_of(&self, text: &str) -> Result<ItemOptions, String> {
        let mut options = self.options;
        let mut on = true;
        for letter in text.chars() {
            match letter {
                '+' => on = true,
                '-' => on = false,
                'Q' => options.quote = on,
                'X' => options.hexadecimal = on,
                'E' => options.escape = on,
                'M' => options.mandatory = on,
                // HAProxy passes over what it does not know.
                _ => {}
            }
        }
        Ok(options)
    }
}

/// Variables that need a request.
const HTTP_ONLY: &[&str] = &[
    "CC", "CS", "HM", "HP", "HPO", "HQ", "HU", "HV", "Ta", "Ti", "Tq", "TR", "Tr", "r", "tr",
    "trg", "trl",
];

/// What `option tcplog` stands for (configuration manual, section 8.2.2).
pub(super) const TCP: &str =
    "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
