//! Sample expressions: a fetch, its arguments, and converters (configuration manual, section 7.3).
//!
//! ```text
//!   src,ipmask(24)       req.payload(0,4),hex       src ipmask(24) table t
//!   fetch converter                                 converters may be words of their own
//! ```

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments;
use super::converters::{self, CONVERTERS};
use super::cx::Cx;
use super::draft::Draft;
use super::fetches::{self, FETCHES};
use crate::haproxy::{BackendId, FetchKind, FrontendId, Sample, ServerId, TableId};

/// Where a sample is used, in HAProxy's words for messages about names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    Acl,
    Log,
    Stick,
    Track,
    UseBackend,
    Balance,
    TcpConnection,
    TcpSession,
    TcpContent,
    TcpResponse,
    Check,
    UniqueId,
    Parser,
}

impl Context {
    fn place(self) -> &'static str {
        match self {
            Context::Acl => "in",
            Context::Log => "in log-format string in",
            Context::Stick => "in stick rule in",
            Context::Track => "in tracking rule in",
            Context::UseBackend => "in use_backend expression in",
            Context::Balance => "in use-server or balance expression in",
            Context::TcpConnection => "in tcp-request connection expression in",
            Context::TcpSession => "in tcp-request session expression in",
            Context::TcpContent => "in tcp-request content expression in",
            Context::TcpResponse => "in tcp-response content expression in",
            Context::Check => "in server directive in",
            Context::UniqueId => "in unique-id-format string in",
            Context::Parser => "in",
        }
    }
}

/// Who asks for a sample.
pub(super) struct Scope<'s, 'i> {
    pub(super) cx: &'s mut Cx<'i>,
    /// The section.
    pub(super) name: String,
    pub(super) context: Context,
    /// The fetch that is read, and its converter.
    pub(super) keyword: String,
    pub(super) converter: Option<String>,
}

impl<'s, 'i> Scope<'s, 'i> {
    pub(super) fn new(cx: &'s mut Cx<'i>, draft: &Draft, context: Context) -> Scope<'s, 'i> {
        let name = draft.name.clone();
        Scope { cx, name, context, keyword: String::new(), converter: None }
    }

    /// Remembers that argument `at` names something that is not there: all of these are told
    /// together, when the section is whole.
    fn unresolved(&mut self, text: &str, at: usize) {
        let what =
            if self.context == Context::Acl { "ACL keyword" } else { "sample fetch keyword" };
        let converter = match &self.converter {
            Some(converter) => format!("conversion keyword '{converter}' for "),
            None => String::new(),
        };
        let (spot, number, keyword) = (self.cx.at(), at + 1, &self.keyword);
        let (place, name) = (self.context.place(), &self.name);
        let (before, after) = text.split_once("{arg}").unwrap_or((text, ""));
        let text = format!(
            "{spot}: {before}in arg {number} of {converter}{what} '{keyword}' {place} proxy '{name}'{after}."
        );
        self.cx.unresolved.entry(self.name.clone()).or_default().push(text);
    }

    /// The backend that argument `at` names, or else this one.
    pub(super) fn backend(&mut self, name: &str, at: usize) -> Option<BackendId> {
        let wanted = if name.is_empty() { self.name.clone() } else { name.to_owned() };
        let found = self.cx.names.backend(&wanted);
        match (found, name.is_empty()) {
            (None, false) => {
                self.unresolved(&format!("unable to find backend '{name}' referenced {{arg}}"), at)
            }
            (None, true) => {
                self.unresolved(
                    &format!("proxy '{wanted}', referenced {{arg}}, has not backend capability"),
                    at,
                );
            }
            (Some(_), _) => {}
        }
        found
    }

    /// The frontend that argument `at` names, or else this one.
    pub(super) fn frontend(&mut self, name: &str, at: usize) -> Option<FrontendId> {
        let wanted = if name.is_empty() { self.name.clone() } else { name.to_owned() };
        let found = self.cx.names.frontend(&wanted);
        match (found, name.is_empty()) {
            (None, false) => {
                self.unresolved(&format!("unable to find frontend '{name}' referenced {{arg}}"), at)
            }
            (None, true) => {
                self.unresolved(
                    &format!("proxy '{wanted}', referenced {{arg}}, has not frontend capability"),
                    at,
                );
            }
            (Some(_), _) => {}
        }
        found
    }

    /// The stick table that argument `at` names, or else this section's.
    pub(super) fn table(&mut self, name: &str, at: usize) -> Option<TableId> {
        let wanted = if name.is_empty() { self.name.clone() } else { name.to_owned() };
        let found = self.cx.names.table(&wanted);
        if found.is_none() {
            self.unresolved(&format!("unable to find table '{wanted}' referenced {{arg}}"), at);
        }
        found
    }

    /// The server that argument `at` names: `backend/server`, or one of this section's.
    pub(super) fn server(&mut self, name: &str, at: usize) -> Option<ServerId> {
        if name.is_empty() {
            self.unresolved("missing server name {arg}", at);
            return None;
        }
        let (proxy, server) = match name.rsplit_once('/') {
            Some((proxy, server)) => (proxy.to_owned(), server),
            None => (self.name.clone(), name),
        };
        let Some(backend) = self.cx.names.backend(&proxy) else {
            self.unresolved(&format!("unable to find proxy '{proxy}' referenced {{arg}}"), at);
            return None;
        };
        let found = self.cx.names.server(backend, server);
        if found.is_none() {
            let text =
                format!("unable to find server '{server}' in proxy '{proxy}', referenced {{arg}}");
            self.unresolved(&text, at);
        }
        found
    }
}

/// A sample that was read.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) sample: Sample,
    /// What it is.
    pub(super) kind: FetchKind,
    /// Where it may be used: bits of [`fetches`].
    pub(super) places: u32,
    /// What it looks at, in HAProxy's words.
    pub(super) source: &'static str,
    /// The fetch's name.
    pub(super) keyword: String,
}

/// Characters of names of fetches and converters.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | ':')
}

fn name_of(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_of_name(c)).unwrap_or(text.len()))
}

/// Reads the sample that begins at word `at`, and moves `at` behind it.
///
/// # Errors
/// HAProxy's words.
pub(super) fn words(
    scope: &mut Scope<'_, '_>,
    words: &[String],
    at: &mut usize,
) -> Result<Parsed, String> {
    let (mut parsed, rest) = fetch(scope, words.get(*at).map_or("", String::as_str))?;
    let mut rest = rest.to_owned();
    let mut last = None;
    loop {
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(no_comma(&parsed, last.as_deref()));
        }
        let mut text = rest.trim_start_matches(',').to_owned();
        let mut stands_alone = false;
        if text.is_empty() {
            *at += 1;
            match words.get(*at) {
                Some(word) if !word.is_empty() => (text, stands_alone) = (word.clone(), true),
                _ => return Ok(parsed),
            }
        }
        let (name, behind) = name_of(&text);
        if stands_alone && !is_converter(name) {
            return Ok(parsed);
        }
        rest = convert(scope, &mut parsed, name, behind)?.to_owned();
        last = Some(name.to_owned());
    }
}

/// Reads the sample in front of `text`, and gives what follows it.
pub(super) fn prefix<'t>(
    scope: &mut Scope<'_, '_>,
    text: &'t str,
) -> Result<(Parsed, &'t str), String> {
    let (mut parsed, mut rest) = fetch(scope, text)?;
    while rest.starts_with(',') {
        let text = rest.trim_start_matches(',');
        if text.is_empty() {
            rest = text;
            break;
        }
        let (name, behind) = name_of(text);
        rest = convert(scope, &mut parsed, name, behind)?;
    }
    Ok((parsed, rest))
}

fn no_comma(parsed: &Parsed, converter: Option<&str>) -> String {
    match converter {
        Some(name) => format!("missing comma after converter '{name}'"),
        None => format!("missing comma after fetch keyword '{}'", parsed.keyword),
    }
}

fn fetch<'t>(scope: &mut Scope<'_, '_>, text: &'t str) -> Result<(Parsed, &'t str), String> {
    let (name, behind) = name_of(text);
    if name.is_empty() {
        return Err("missing fetch method".into());
    }
    let Some(entry) =
        FETCHES.iter().find(|entry| entry.name == name).or_else(|| fetches::counter(name))
    else {
        let unsupported = fetches::is_known(name);
        let what = if unsupported { "is not supported yet" } else { "" };
        return Err(match what {
            "" => format!("unknown fetch method '{name}'"),
            _ => format!("fetch method '{name}' {what}"),
        });
    };
    scope.keyword = name.to_owned();
    scope.converter = None;
    let read = arguments::read(behind, entry.shape)
        .map_err(|wrong| format!("fetch method '{name}' : {}", wrong.message))?;
    let fetch = (entry.make)(scope, name, &read.values)
        .map_err(|wrong| format!("invalid args in fetch method '{name}' : {wrong}"))?;
    let (kind, places, source) = (entry.kind, entry.places, entry.source);
    Ok((Parsed { sample: fetch.into(), kind, places, source, keyword: name.to_owned() }, read.rest))
}

/// Whether HAProxy knows a converter of this name.
fn is_converter(name: &str) -> bool {
    CONVERTERS.iter().any(|entry| entry.name == name)
        || converters::counter(name).is_some()
        || converters::UNSUPPORTED.contains(&name)
}

fn convert<'t>(
    scope: &mut Scope<'_, '_>,
    parsed: &mut Parsed,
    name: &str,
    behind: &'t str,
) -> Result<&'t str, String> {
    let entry = CONVERTERS.iter().find(|entry| entry.name == name);
    let Some(entry) = entry.or_else(|| converters::counter(name)) else {
        return Err(match converters::UNSUPPORTED.contains(&name) {
            true => format!("converter '{name}' is not supported yet"),
            false => format!("unknown converter '{name}'"),
        });
    };
    if !can_cast(parsed.kind, entry.takes) {
        return Err(format!("converter '{name}' cannot be applied"));
    }
    scope.converter = Some(name.to_owned());
    let read = arguments::read(behind, entry.shape).map_err(|wrong| {
        format!("invalid arg {} in converter '{name}' : {}", wrong.at + 1, wrong.message)
    })?;
    let converter = (entry.make)(scope, name, &read.values)
        .map_err(|wrong| format!("invalid args in converter '{name}' : {wrong}"))?;
    parsed.sample.converters.push(converter);
    parsed.kind = entry.gives;
    Ok(read.rest)
}

/// Whether a sample of one kind can be made one of another.
pub(super) fn can_cast(from: FetchKind, to: FetchKind) -> bool {
    use FetchKind::{Addr, Any, Binary, Bool, Int, Text};
    match (from, to) {
        (Any | Text, _) | (_, Any | Text | Binary) => true,
        (Bool, Bool | Int) | (Int, Bool | Int | Addr) | (Addr, Int | Addr) => true,
        (Bool, Addr) | (Addr, Bool) | (Binary, Bool | Int | Addr) => false,
    }
}

/// Words for messages: several at once.
pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
