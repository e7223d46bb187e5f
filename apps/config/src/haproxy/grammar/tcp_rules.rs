//! `tcp-request` and `tcp-response`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::acl::{self, places};
use super::captures;
use super::cx::Cx;
use super::draft::{Draft, Kind, TrackDraft};
use super::fetches::{BE_CONTENT, BE_RESPONSE, FE_CONNECTION, FE_CONTENT, FE_RESPONSE, FE_SESSION};
use super::nearest::nearest;
use super::number::{NoTime, Unit};
use super::sample::{self, Context, Parsed, Scope};
use super::text::digits;
use super::variables;
use super::words::Words;
use crate::haproxy::{Action, Counter, End, Fetch, Level, Rule};

/// A set of rules.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Connection,
    Session,
    Content,
    Response,
}

impl Set {
    fn places(self, draft: &Draft) -> u32 {
        match self {
            Set::Connection => FE_CONNECTION,
            Set::Session => FE_SESSION,
            Set::Content => places(draft, FE_CONTENT, BE_CONTENT),
            Set::Response => places(draft, FE_RESPONSE, BE_RESPONSE),
        }
    }

    fn context(self) -> Context {
        match self {
            Set::Connection => Context::TcpConnection,
            Set::Session => Context::TcpSession,
            Set::Content => Context::TcpContent,
            Set::Response => Context::TcpResponse,
        }
    }

    /// HAProxy's actions of this set, in the order in which it names them.
    fn actions(self) -> &'static [&'static str] {
        match self {
            Set::Connection | Set::Session => &[
                "sc-inc-gpc(*)",
                "sc-inc-gpc0(*)",
                "sc-inc-gpc1(*)",
                "sc-set-gpt(*)",
                "sc-set-gpt0(*)",
                "set-var-fmt(*)",
                "set-var(*)",
                "unset-var(*)",
                "set-dst",
                "set-dst-port",
                "set-mark",
                "set-src",
                "set-src-port",
                "set-tos",
                "silent-drop",
            ],
            Set::Content => &[
                "ot-group",
                "set-log-level",
                "set-nice",
                "switch-mode",
                "use-service",
                "sc-inc-gpc(*)",
                "sc-inc-gpc0(*)",
                "sc-inc-gpc1(*)",
                "sc-set-gpt(*)",
                "sc-set-gpt0(*)",
                "send-spoe-group",
                "do-resolve(*)",
                "set-var-fmt(*)",
                "set-var(*)",
                "unset-var(*)",
                "set-src",
                "set-src-port",
                "set-dst",
                "set-dst-port",
                "set-mark",
                "set-tos",
                "silent-drop",
                "set-priority-class",
                "set-priority-offset",
            ],
            Set::Response => &[
                "ot-group",
                "set-log-level",
                "set-nice",
                "sc-inc-gpc(*)",
                "sc-inc-gpc0(*)",
                "sc-inc-gpc1(*)",
                "sc-set-gpt(*)",
                "sc-set-gpt0(*)",
                "send-spoe-group",
                "set-var-fmt(*)",
                "set-var(*)",
                "unset-var(*)",
                "set-mark",
                "set-tos",
                "silent-drop",
            ],
        }
    }
}

pub(super) fn tcp_request(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let (noun, name) = (draft.kind.noun(), draft.name.clone());
    let anonymous = draft.kind == Kind::Defaults && name.is_empty();
    let set = match &words[1] {
        "" if draft.kind == Kind::Defaults => {
            return cx.alert("missing argument for 'tcp-request' in defaults section");
        }
        "" => return cx.alert(&format!("missing argument for 'tcp-request' in {noun} '{name}'")),
        "inspect-delay" if anonymous => {
            return cx.alert(
                "tcp-request inspect-delay is not allowed in anonymous 'defaults' sections",
            );
        }
        "inspect-delay" => {
            if let Some(ms) = inspect_delay(cx, draft, words, draft.inspect_delay) {
                draft.inspect_delay = ms;
            }
            return;
        }
        what @ ("connection" | "session") if !draft.is_frontend() => {
            return cx.alert(&format!(
                "tcp-request {what} is not allowed because {noun} {name} is not a frontend"
            ));
        }
        "connection" => Set::Connection,
        "session" => Set::Session,
        "content" => Set::Content,
        other => {
            return cx.alert(&format!(
                "'tcp-request' expects 'inspect-delay', 'connection', or 'content' in {noun} \
                 '{name}' (got '{other}')"
            ));
        }
    };
    if anonymous {
        let what = &words[1];
        return cx
            .alert(&format!("tcp-request {what} is not allowed in anonymous 'defaults' sections"));
    }
    rule(cx, draft, words, set);
}

pub(super) fn tcp_response(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let (noun, name) = (draft.kind.noun(), draft.name.clone());
    let misplaced = draft.kind == Kind::Defaults && name.is_empty() || !draft.is_backend();
    match &words[1] {
        "" => cx.alert(&format!("missing argument for 'tcp-response' in {noun} '{name}'")),
        what @ ("inspect-delay" | "content") if misplaced => cx.alert(&format!(
            "tcp-response {what} is only allowed in 'backend' sections or 'defaults' section with a name"
        )),
        "inspect-delay" => {
            if let Some(ms) = inspect_delay(cx, draft, words, draft.response_inspect_delay) {
                draft.response_inspect_delay = ms;
            }
        }
        "content" => rule(cx, draft, words, Set::Response),
        other => cx.alert(&format!(
            "'tcp-response' expects 'inspect-delay' or 'content' in {noun} '{name}' (got '{other}')"
        )),
    }
}

fn inspect_delay(cx: &mut Cx<'_>, draft: &Draft, words: &Words, known: u32) -> Option<u32> {
    let (keyword, noun, name, value) = (&words[0], draft.kind.noun(), &draft.name, &words[2]);
    let expected = format!(
        "'{keyword} inspect-delay' expects a positive delay in milliseconds, in {noun} '{name}'"
    );
    if value.is_empty() {
        cx.alert(&expected);
        return None;
    }
    let why = match cx.time(value, Unit::Milliseconds) {
        Ok(_) if known != 0 => {
            cx.warn(&format!(
                "ignoring {keyword} inspect-delay (was already defined) in {noun} '{name}'"
            ));
            return None;
        }
        Ok(ms) => return Some(ms),
        Err(NoTime::Over) => {
            format!("timer overflow in '{value}', maximum value is 2147483647 ms or ~24.8 days")
        }
        Err(NoTime::At(at)) => format!("unexpected character '{}'", at.unwrap_or_default()),
    };
    cx.alert(&format!("{expected} ({why})"));
    None
}

fn rule(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, set: Set) {
    let mut at = 2;
    let action = match action(cx, draft, words, set, &mut at) {
        Ok(action) => action,
        Err(wrong) => return cx.alert(&wrong),
    };
    let head = format!("'{} {} {}'", &words[0], &words[1], &words[2]);
    let (noun, name) = (draft.kind.noun(), draft.name.clone());
    let places = set.places(draft);
    let condition = match &words[at] {
        "if" | "unless" => match acl::condition(cx, draft, words.rest(at)) {
            Ok(condition) => Some(condition),
            Err(wrong) => {
                let keyword = &words[at];
                return cx.alert(&format!(
                    "{head} : error detected in {noun} '{name}' while parsing '{keyword}' condition : {wrong}"
                ));
            }
        },
        "" => None,
        other => {
            return cx.alert(&format!(
                "{head} only accepts 'if' or 'unless', in {noun} '{name}' (got '{other}')"
            ));
        }
    };
    warn_order(cx, draft, set);
    if let Some(condition) = &condition {
        let rule = format!("{} {}", &words[0], &words[1]);
        if let Some(text) = acl::conflict(draft, condition, places, Some(&rule)) {
            cx.warn(&text);
        }
    }
    let rules = match set {
        Set::Connection => &mut draft.connection_rules,
        Set::Session => &mut draft.session_rules,
        Set::Content => &mut draft.content_rules,
        Set::Response => &mut draft.response_rules,
    };
    rules.push(Rule { action, condition });
}

/// Rules are looked at by set, not in the order of the file.
fn warn_order(cx: &mut Cx<'_>, draft: &Draft, set: Set) {
    let late = match set {
        Set::Response => None,
        Set::Connection if !draft.session_rules.is_empty() => Some("tcp-request session"),
        Set::Connection | Set::Session if !draft.content_rules.is_empty() => {
            Some("tcp-request content")
        }
        _ if !draft.routes.is_empty() => Some("use_backend"),
        _ if !draft.use_servers.is_empty() => Some("use-server"),
        _ => None,
    };
    if let Some(late) = late {
        cx.warn(&format!(
            "a 'tcp-request' rule placed after a '{late}' rule will still be processed before."
        ));
    }
}

fn action(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    words: &Words,
    set: Set,
    at: &mut usize,
) -> Result<Action, String> {
    let word = words[*at].to_owned();
    let name = word.split('(').next().unwrap_or_default();
    let head = format!("'{} {} {word}'", &words[0], &words[1]);
    let supported =
        |name: &str| set.actions().iter().any(|known| known.trim_end_matches("(*)") == name);
    *at += 1;
    match word.as_str() {
        "accept" => return Ok(Action::Accept),
        "reject" => return Ok(Action::Reject),
        "close" if set == Set::Response => return Ok(Action::Close),
        "silent-drop" => return Ok(Action::SilentDrop),
        "expect-proxy" if set != Set::Response => return expect_proxy(draft, words, set, at),
        "capture" if set != Set::Response => return capture(cx, draft, words, set, at, &head),
        "expect-netscaler-cip" if set != Set::Response => {
            return Err(format!("{head} is not supported yet."));
        }
        _ if word.starts_with("track-sc") && set != Set::Response => {
            return track(cx, draft, words, set, at, &head);
        }
        _ => {}
    }
    match name {
        _ if word.starts_with("sc-inc-gpc") => {
            let (counter, slot) = counter(&word, "sc-inc-gpc", "gpc")?;
            Ok(Action::IncrementCounter { slot, counter })
        }
        _ if word.starts_with("sc-set-gpt") => {
            let (tag, slot) = counter(&word, "sc-set-gpt", "gpt")?;
            let value = match whole_number(&words[*at]) {
                Some(number) => {
                    *at += 1;
                    Fetch::Int(number).into()
                }
                None if set == Set::Connection => {
                    let mut scope = Scope::new(cx, draft, set.context());
                    sample::words(&mut scope, &words.0, at)?;
                    return Err(
                        "internal error, unexpected rule->from=0, please report this bug!".into()
                    );
                }
                None => sample_of(cx, draft, words, set, at, "")?.sample,
            };
            Ok(Action::SetTag { slot, tag, value })
        }
        "set-src" | "set-src-port" | "set-dst" | "set-dst-port" if supported(&word) => {
            let which = match name {
                "set-src" => End::Source,
                "set-src-port" => End::SourcePort,
                "set-dst" => End::Destination,
                _ => End::DestinationPort,
            };
            let value = sample_of(cx, draft, words, set, at, "")?;
            let of_connection = set == Set::Connection;
            Ok(Action::SetAddress { which, value: value.sample, of_connection })
        }
        "set-var" | "set-var-fmt" if supported(name) => {
            let (context, places) = (set.context(), set.places(draft));
            variables::assignment(cx, draft, &words.0, at, (context, places))
                .map(Action::SetVariable)
        }
        "unset-var" if supported(name) => {
            variables::forgotten(cx, &word).map(Action::UnsetVariable)
        }
        "set-log-level" if supported(name) => {
            let level = Level::NAMES.iter().position(|known| *known == &words[*at]);
            let level = match (&words[*at], level) {
                ("silent", _) => None,
                (_, Some(level)) => Some(Level(level as u8)),
                _ => return Err("expects exactly 1 argument (log level name or 'silent')".into()),
            };
            *at += 1;
            Ok(Action::SetLogLevel(level))
        }
        "set-priority-class" | "set-priority-offset" if supported(name) => {
            let value = sample_of(cx, draft, words, set, at, "")?.sample;
            Ok(match name {
                "set-priority-class" => Action::SetPriorityClass(value),
                _ => Action::SetPriorityOffset(value),
            })
        }
        "set-nice" | "set-mark" | "set-tos" if supported(name) => {
            if words[*at].is_empty() {
                let what = if name == "set-nice" { "integer value" } else { "integer/hex value" };
                return Err(format!("expects exactly 1 argument ({what})"));
            }
            *at += 1;
            cx.notice(name, &format!("'{name}' has no effect: this machine has no other kernel."));
            Ok(Action::Nothing)
        }
        _ if supported(name) => Err(format!("{head} is not supported yet.")),
        _ => Err(unknown_action(draft, words, set, &word)),
    }
}

fn unknown_action(draft: &Draft, words: &Words, set: Set, word: &str) -> String {
    let (noun, name) = (draft.kind.noun(), &draft.name);
    let (first, second) = (&words[0], &words[1]);
    let known: alloc::vec::Vec<_> = set.actions().iter().map(|it| format!("'{it}'")).collect();
    let known = known.join(", ");
    let own: &[&str] = match set {
        Set::Response => &["accept", "reject", "close"],
        _ => &["accept", "reject", "capture", "track-sc", "expect-proxy", "expect-netscaler-cip"],
    };
    let names = set.actions().iter().map(|it| it.trim_end_matches("(*)"));
    let best = nearest(word, names.chain(own.iter().copied()));
    let hint = best.map_or(String::new(), |best| format!(" Did you mean '{best}' maybe ?"));
    match set {
        Set::Response => format!(
            "'{first} {second}' expects 'accept', 'close', 'reject', {known} in {noun} '{name}' (got '{word}').{hint}"
        ),
        _ => format!(
            "'{first} {second}' expects 'accept', 'reject', 'capture', 'expect-proxy', \
             'expect-netscaler-cip', 'track-sc0' ... 'track-sc2', {known} in {noun} '{name}' \
             (got '{word}').{hint}\n"
        ),
    }
}

fn expect_proxy(draft: &Draft, words: &Words, set: Set, at: &mut usize) -> Result<Action, String> {
    let (first, second, noun, name) = (&words[0], &words[1], draft.kind.noun(), &draft.name);
    let layer = &words[*at];
    if layer != "layer4" {
        return Err(format!(
            "'{first} {second} expect-proxy' only supports 'layer4' in {noun} '{name}' (got '{layer}')"
        ));
    }
    if set != Set::Connection {
        return Err(format!(
            "'expect-proxy {layer}' is not allowed in '{first} {second}' rules in {noun} '{name}'"
        ));
    }
    *at += 1;
    Ok(Action::ExpectProxy)
}

/// The counter and the slot that a word names: `sc-inc-gpc(2,0)`, `sc-inc-gpc1(0)`, `sc-set-gpt0`.
fn counter(word: &str, action: &str, noun: &str) -> Result<(Counter, u8), String> {
    let (begin, array) = (&word[action.len()..], noun.to_ascii_uppercase());
    let of_array = format!("Expects {action}(<{array} ID>,<Track ID>)");
    if let Some(text) = begin.strip_prefix('(') {
        let (element, rest) = number(text);
        let Some(text) = rest.strip_prefix(',') else {
            return Err(format!("Missing {noun} ID '{word}'. {of_array}"));
        };
        let counter = if noun == "gpc" { Counter::Gpc(element) } else { Counter::Gpt(element) };
        return match number(text) {
            (_, rest) if !rest.starts_with(')') => {
                Err(format!("invalid stick table track ID '{word}'. {of_array}"))
            }
            (slot @ (0..=2 | NONE), _) => Ok((counter, slot)),
            _ => Err(format!("invalid stick table track ID '{word}'. The max allowed ID is 2")),
        };
    }
    let (counter, behind) = match (noun, begin.as_bytes().first()) {
        ("gpc", Some(b'0')) => (Counter::Gpc0, &begin[1..]),
        ("gpc", Some(b'1')) => (Counter::Gpc1, &begin[1..]),
        ("gpt", Some(b'0')) => (Counter::Gpt0, &begin[1..]),
        _ => return Err(format!("invalid {noun} ID '{word}'. {of_array}")),
    };
    if behind.is_empty() {
        return Ok((counter, 0));
    }
    // Where it says what was written, and where the keyword alone, differs from action to action.
    let (wrong, expected) = match noun {
        "gpc" => ("invalid stick table track ID".to_owned(), word),
        _ => (format!("invalid stick table track ID '{word}'"), "sc-set-gpt0"),
    };
    match behind.strip_prefix('(').map(number) {
        Some((slot @ (0..=2 | NONE), rest)) if rest.starts_with(')') => Ok((counter, slot)),
        Some((_, rest)) if rest.starts_with(')') => {
            Err(format!("{wrong}. The max allowed ID is 2"))
        }
        _ => Err(format!("{wrong}. Expects {expected}(<Track ID>)")),
    }
}

/// The number in front of a text, and what follows it. One below 0, which HAProxy takes, is [`NONE`].
fn number(text: &str) -> (u8, &str) {
    let (number, rest) = digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    let is_negative = text.starts_with('-') && number > 0;
    let number = u8::try_from(number).map_or(NONE - 1, |number| number.min(NONE - 1));
    (if is_negative { NONE } else { number }, rest)
}

/// The number of nothing that there is.
const NONE: u8 = u8::MAX;

/// A word that is a number and nothing else, as C has it: nothing at all is 0.
fn whole_number(text: &str) -> Option<i64> {
    match text {
        "" => Some(0),
        _ => super::arguments::int(text),
    }
}

fn sample_of(
    cx: &mut Cx<'_>,
    draft: &Draft,
    words: &Words,
    set: Set,
    at: &mut usize,
    head: &str,
) -> Result<Parsed, String> {
    let context = if head.is_empty() { set.context() } else { Context::Track };
    let mut scope = Scope::new(cx, draft, context);
    let prefix = if head.is_empty() { String::new() } else { format!("{head} : ") };
    let parsed =
        sample::words(&mut scope, &words.0, at).map_err(|wrong| format!("{prefix}{wrong}"))?;
    if parsed.places & set.places(draft) == 0 {
        let (keyword, source) = (&words[*at - 1], parsed.source);
        return Err(format!(
            "{prefix}fetch method '{keyword}' extracts information from '{source}', none of which is \
             available here"
        ));
    }
    Ok(parsed)
}

fn capture(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    words: &Words,
    set: Set,
    at: &mut usize,
    head: &str,
) -> Result<Action, String> {
    if !draft.is_frontend() {
        let name = &draft.name;
        return Err(format!("{head} : proxy '{name}' has no frontend capability"));
    }
    if set != Set::Content {
        let (first, second, noun, name) = (&words[0], &words[1], draft.kind.noun(), &draft.name);
        return Err(format!(
            "'capture {}' is not allowed in '{first} {second}' rules in {noun} '{name}'",
            &words[*at]
        ));
    }
    let parsed = sample_of(cx, draft, words, set, at, head)?;
    let length = captures::length(words, at, head)?;
    Ok(Action::Capture(captures::add(cx, draft, length), parsed.sample))
}

fn track(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    words: &Words,
    set: Set,
    at: &mut usize,
    head: &str,
) -> Result<Action, String> {
    let word = words[*at - 1].to_owned();
    let number = &word["track-sc".len()..];
    let slot = match digits(number) {
        (_, rest) if !rest.is_empty() => {
            return Err(format!("{head} : Wrong track-sc number '{number}'"));
        }
        (slot @ 0..=2, _) => slot as u8,
        (slot, _) => {
            return Err(format!(
                "{head} : {slot} track-sc number exceeding 2 (MAX_SESS_STKCTR-1) value"
            ));
        }
    };
    let parsed = sample_of(cx, draft, words, set, at, head)?;
    let mut named = None;
    if &words[*at] == "table" {
        named = Some(words[*at + 1].to_owned());
        *at += 2;
    }
    let wanted = named.clone().unwrap_or_else(|| draft.name.clone());
    let table = cx.names.table(&wanted);
    let needs_bytes = set == Set::Content && draft.is_frontend() && parsed.places & FE_SESSION == 0;
    let kind = parsed.kind;
    draft.tracks.push(TrackDraft { action: word, table: wanted, kind, needs_bytes });
    Ok(Action::Track { slot, key: parsed.sample, table: table.filter(|_| named.is_some()) })
}
