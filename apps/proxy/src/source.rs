//! From what a machine was given to a configuration that its cores can run.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_config::haproxy::Proxies;
use penstock_config::haproxy::grammar::{self, Input, Message, Severity};

use crate::setup::Setup;
use crate::unsupported;

/// What became of a configuration.
#[derive(Debug)]
pub struct Read {
    /// The configuration, if it can be run.
    pub setup: Option<&'static Setup>,
    /// What there is to say about it, in order.
    pub messages: Vec<Message>,
}

/// Reads a configuration, and freezes it if it can be run.
pub fn read(input: &Input<'_>) -> Read {
    read_as(input, |_| {})
}

/// The same, after `change` has fitted it to where it runs.
pub fn read_as(input: &Input<'_>, change: impl FnOnce(&mut Proxies)) -> Read {
    let reading = grammar::read(input);
    let mut messages = reading.messages;
    let Some(mut proxies) = reading.proxies else { return Read { setup: None, messages } };
    let missing = unsupported::messages(&proxies);
    let is_fatal = missing.iter().any(|message| message.severity == Severity::Alert);
    messages.extend(missing);
    if is_fatal {
        return Read { setup: None, messages };
    }
    change(&mut proxies);
    let frozen = Setup::freeze(proxies);
    let setup = frozen.map_err(|text| messages.push(Message { severity: Severity::Alert, text }));
    Read { setup: setup.ok(), messages }
}

/// A configuration that stands in a boot string, behind `-- proxy`: a `;` outside of quotes ends a
/// line.
pub fn inline(words: &[String]) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut is_escaped = false;
    for character in words.join(" ").chars() {
        let is_special = !is_escaped;
        is_escaped = is_special && character == '\\' && quote != Some('\'');
        match (quote, character) {
            (None, ';') if is_special => text.push('\n'),
            (None, '"' | '\'') if is_special => {
                quote = Some(character);
                text.push(character);
            }
            (Some(open), _) if open == character && is_special => {
                quote = None;
                text.push(character);
            }
            _ => text.push(character),
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    //! Lines end where somebody who types them means it.

    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use penstock_config::haproxy::grammar::File;

    #[test]
    fn more_names_than_can_be_asked_for_are_refused() {
        let said = |count: usize| {
            let mut text = String::from("listen a\n bind :80\n");
            (0..count).for_each(|at| text += &format!(" server s{at} h{}.example:80\n", at / 2));
            let file = File { name: "a.cfg", bytes: text.as_bytes() };
            let read = read(&Input::of(&[file]));
            (read.setup.is_some(), read.messages.last().map(|message| message.text.clone()))
        };
        assert!(said(2048).0);
        let (is_good, text) = said(2050);
        let text = text.unwrap_or_default();
        assert!(!is_good && text.contains("1025 names of servers"), "{text}");
    }

    #[test]
    fn a_semicolon_outside_of_quotes_ends_a_line() {
        let inline = |text: &str| inline(&[text.to_string()]);
        assert_eq!(inline("listen web; bind :80"), "listen web\n bind :80\n");
        assert_eq!(inline(r"a 'x;y' \; z"), "a 'x;y' \\; z\n");
        assert_eq!(inline("a \"x\\\";y\"; b"), "a \"x\\\";y\"\n b\n");
    }
}
