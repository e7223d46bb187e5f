//! `timeout` and `rate-limit`.

use alloc::format;

use super::cx::Cx;
use super::draft::Draft;
use super::number::{NoTime, Unit};
use super::words::Words;

/// Timeouts of a section in milliseconds; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timeouts {
    pub(super) client: u32,
    pub(super) tarpit: u32,
    pub(super) http_keep_alive: u32,
    pub(super) http_request: u32,
    pub(super) server: u32,
    pub(super) connect: u32,
    pub(super) check: u32,
    pub(super) queue: u32,
    pub(super) tunnel: u32,
    pub(super) client_fin: u32,
    pub(super) server_fin: u32,
}

/// Which sections a timeout is for.
#[derive(Clone, Copy)]
struct For {
    frontend: bool,
    backend: bool,
}

const FRONTEND: For = For { frontend: true, backend: false };
const BACKEND: For = For { frontend: false, backend: true };
const BOTH: For = For { frontend: true, backend: true };

type Field = fn(&mut Timeouts) -> &mut u32;

const TIMEOUTS: &[(&str, For, Field)] = &[
    ("client", FRONTEND, |it| &mut it.client),
    ("tarpit", BOTH, |it| &mut it.tarpit),
    ("http-keep-alive", BOTH, |it| &mut it.http_keep_alive),
    ("http-request", BOTH, |it| &mut it.http_request),
    ("server", BACKEND, |it| &mut it.server),
    ("connect", BACKEND, |it| &mut it.connect),
    ("check", BACKEND, |it| &mut it.check),
    ("queue", BACKEND, |it| &mut it.queue),
    ("tunnel", BACKEND, |it| &mut it.tunnel),
    ("client-fin", FRONTEND, |it| &mut it.client_fin),
    ("server-fin", BACKEND, |it| &mut it.server_fin),
];

/// Names that went away.
const GONE: &[(&str, &str)] =
    &[("clitimeout", "client"), ("srvtimeout", "server"), ("contimeout", "connect")];

pub(super) fn timeout(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let skip = usize::from(&words[0] == "timeout");
    let name = &words[skip];
    if let Some((_, now)) = GONE.iter().find(|(gone, _)| *gone == name) {
        return cx.alert(&format!(
            "the '{name}' directive is not supported anymore since HAProxy 2.1. Use 'timeout {now}'."
        ));
    }
    let Some(&(_, sections, field)) = TIMEOUTS.iter().find(|(known, ..)| *known == name) else {
        return cx.alert(&format!(
            "'timeout' supports 'client', 'server', 'connect', 'check', 'queue', \
             'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' \
             (got '{name}')"
        ));
    };
    let value = &words[skip + 1];
    if value.is_empty() {
        return cx.alert(&format!("'timeout {name}' expects an integer value (in milliseconds)"));
    }
    let ms = match cx.time(value, Unit::Milliseconds) {
        Ok(ms) => ms,
        Err(NoTime::Over) => {
            return cx.alert(&format!(
                "timer overflow in argument '{value}' to 'timeout {name}' \
                 (maximum value is 2147483647 ms or ~24.8 days)"
            ));
        }
        Err(NoTime::At(at)) => {
            let at = at.unwrap_or_default();
            return cx.alert(&format!("unexpected character '{at}' in 'timeout {name}'"));
        }
    };
    if words.has(skip + 2) {
        let extra = &words[skip + 2];
        return cx.alert(&format!(
            "'timeout {name}' : unexpected extra argument '{extra}' after value '{value}'."
        ));
    }
    let fits = sections.frontend && draft.is_frontend() || sections.backend && draft.is_backend();
    if !fits {
        let missing = if sections.backend { "backend" } else { "frontend" };
        let (noun, section) = (draft.kind.noun(), &draft.name);
        cx.warn(&format!(
            "'timeout {name}' will be ignored because {noun} '{section}' has no {missing} capability"
        ));
    } else if draft.kind != super::draft::Kind::Defaults
        && *field(&mut draft.timeouts) != *field(&mut draft.inherited_timeouts)
    {
        cx.warn(&format!("overwriting 'timeout {name}' which was already specified"));
    }
    *field(&mut draft.timeouts) = ms;
}

pub(super) fn rate_limit(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let (keyword, what, value) = (&words[0], &words[1], &words[2]);
    if what != "sessions" {
        return cx.alert(&format!("'{keyword}' only supports 'sessions' (got '{what}')"));
    }
    if value.is_empty() {
        return cx.alert(&format!(
            "'{keyword} {what}' expects expects an integer value (in sessions/second)"
        ));
    }
    // A sign is taken, and what is below zero is a very large rate.
    let (sign, digits) = match value.strip_prefix(['-', '+']) {
        Some(digits) if !digits.is_empty() => (&value[..1], digits),
        _ => ("", value),
    };
    if let Some(at) = digits.chars().find(|c| !c.is_ascii_digit()) {
        return cx.alert(&format!(
            "'{keyword} {what}' : unexpected character '{at}' in integer value '{value}'"
        ));
    }
    let rate = super::text::leading_number(digits).min(i64::from(u32::MAX)) as u32;
    let rate = if sign == "-" { rate.wrapping_neg() } else { rate };
    if !draft.is_frontend() {
        let (noun, name) = (draft.kind.noun(), &draft.name);
        cx.warn(&format!(
            "{keyword} {what} will be ignored because {noun} '{name}' has no frontend capability"
        ));
    } else if draft.kind != super::draft::Kind::Defaults
        && draft.rate_limit != draft.inherited_rate_limit
    {
        cx.warn(&format!("overwriting {keyword} {what} which was already specified"));
    }
    draft.rate_limit = rate;
}
