//! The environment: what `$NAME` stands for, which `setenv` and its kin change from line to line.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

use super::Input;
use super::text::characters;
use super::words::Words;

/// Names and what they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(Vec<(String, String)>);

impl Environment {
    /// As the machine was given it.
    pub(super) fn of(input: &Input<'_>) -> Environment {
        let read = |(name, value): &(String, String)| {
            (characters(name.as_bytes()), characters(value.as_bytes()))
        };
        Environment(input.environment.iter().map(read).collect())
    }

    /// What a name stands for.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `setenv` and its kin change what later lines stand for.
    pub(super) fn change(&mut self, words: &Words) {
        let name = &words[1];
        match &words[0] {
            "setenv" | "presetenv" if words.has(2) && !words.has(4) => {
                match self.0.iter().position(|(known, _)| known == name) {
                    Some(_) if &words[0] == "presetenv" => {}
                    Some(at) => self.0[at].1 = words[2].to_owned(),
                    None => self.0.push((name.to_owned(), words[2].to_owned())),
                }
            }
            "unsetenv" => self.0.retain(|(known, _)| !words.rest(1).contains(known)),
            "resetenv" => self.0.retain(|(known, _)| words.rest(1).contains(known)),
            _ => {}
        }
    }

    /// An address with `$NAME` and `${NAME}` in it, which HAProxy replaces there once more: without
    /// quotes too, and by nothing where nobody has set one.
    pub(super) fn expand<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some((before, mut rest)) = text.split_once('$') else { return text.into() };
        let mut expanded = before.to_owned();
        loop {
            let braced = rest.strip_prefix('{');
            let inner = braced.unwrap_or(rest);
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = inner.find(|c| !is_of_name(c)).unwrap_or(inner.len());
            expanded.push_str(self.value(&inner[..end]).unwrap_or_default());
            rest = &inner[end..];
            if braced.is_some() {
                rest = rest.strip_prefix('}').unwrap_or(rest);
            }
            let Some((between, behind)) = rest.split_once('$') else { break };
            expanded.push_str(between);
            rest = behind;
        }
        expanded.push_str(rest);
        expanded.into()
    }
}

#[cfg(test)]
mod tests {
    //! Addresses get what HAProxy puts into them (`env_expand`).

    use super::*;

    #[test]
    fn addresses() {
        let of = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let environment = Environment([("HOST", "10.0.0.1"), ("PORT_2", "80")].map(of).into());
        for (text, expanded) in [
            ("10.0.0.2:80", "10.0.0.2:80"),
            ("${HOST}:${PORT_2}", "10.0.0.1:80"),
            ("$HOST:$PORT_2", "10.0.0.1:80"),
            ("a${HOST}b$", "a10.0.0.1b"),
            ("*:${NOBODY}", "*:"),
            ("$$HOST", "10.0.0.1"),
            ("${HOST:80", "10.0.0.1:80"),
            ("$HOST}", "10.0.0.1}"),
            ("${}", ""),
        ] {
            assert_eq!(environment.expand(text), expanded, "{text}");
        }
    }
}
