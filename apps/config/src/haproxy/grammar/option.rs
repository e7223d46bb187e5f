//! `option`, `no option` and `default option`.

use alloc::format;

use super::cx::Cx;
use super::draft::{Draft, Kind, LogText};
use super::words::Words;
use super::{checks, httpchk, readymade};

/// What stands in front of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Nothing.
    None,
    /// `no`.
    No,
    /// `default`.
    Default,
}

/// Options that are on or off, one bit each, by their place in [`SWITCHES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    on: u64,
    off: u64,
}

impl Switches {
    /// Whether `name` is on.
    pub(super) fn has(self, name: &str) -> bool {
        self.on & bit(name) != 0
    }

    /// Whether `name` was switched on or off; `None`: neither.
    pub(super) fn said(self, name: &str) -> Option<bool> {
        let bit = bit(name);
        (self.on & bit != 0).then_some(true).or((self.off & bit != 0).then_some(false))
    }

    fn set(&mut self, at: usize, prefix: Prefix) {
        let bit = 1 << at;
        self.on &= !bit;
        self.off &= !bit;
        match prefix {
            Prefix::None => self.on |= bit,
            Prefix::No => self.off |= bit,
            Prefix::Default => {}
        }
    }

    /// Those that are on and need mode `http`, in the order of HAProxy's warnings.
    pub(super) fn http_only(self, draft: &Draft) -> impl Iterator<Item = &'static str> {
        let (frontend, backend) = (draft.is_frontend(), draft.is_backend());
        SWITCHES.iter().enumerate().filter_map(move |(at, &(name, sides, effect))| {
            let fits = sides.frontend && frontend || sides.backend && backend;
            (fits && matches!(effect, Effect::Http) && self.on & 1 << at != 0).then_some(name)
        })
    }
}

fn bit(name: &str) -> u64 {
    SWITCHES.iter().position(|(known, ..)| *known == name).map_or(0, |at| 1 << at)
}

#[derive(Clone, Copy)]
struct Sides {
    frontend: bool,
    backend: bool,
}

const FE: Sides = Sides { frontend: true, backend: false };
const BE: Sides = Sides { frontend: false, backend: true };
const ANY: Sides = Sides { frontend: true, backend: true };

/// What becomes of an option.
#[derive(Clone, Copy)]
enum Effect {
    /// It has one.
    Ours,
    /// In mode `http` only.
    Http,
    /// None: there is nothing here that it could change.
    Nothing(&'static str),
    /// It would, and is not here yet.
    Missing,
}

use Effect::{Http, Missing, Nothing, Ours};

const SPLICED: &str = "bytes are not spliced by a kernel, there is none";

/// In the order of HAProxy's own tables.
const SWITCHES: &[(&str, Sides, Effect)] = &[
    ("abortonclose", BE, Ours),
    ("allbackups", BE, Ours),
    ("checkcache", BE, Http),
    ("clitcpka", FE, Ours),
    ("contstats", FE, Ours),
    ("dontlognull", FE, Ours),
    ("http-buffer-request", ANY, Http),
    ("http-ignore-probes", FE, Http),
    ("idle-close-on-response", FE, Http),
    ("prefer-last-server", BE, Http),
    ("logasap", FE, Ours),
    ("nolinger", ANY, Ours),
    ("persist", BE, Ours),
    ("srvtcpka", BE, Ours),
    ("transparent", BE, Missing),
    ("splice-request", ANY, Nothing(SPLICED)),
    ("splice-response", ANY, Nothing(SPLICED)),
    ("splice-auto", ANY, Nothing(SPLICED)),
    ("accept-invalid-http-request", FE, Http),
    ("accept-invalid-http-response", BE, Http),
    ("dontlog-normal", FE, Ours),
    ("log-separate-errors", FE, Ours),
    ("log-health-checks", BE, Ours),
    ("socket-stats", FE, Ours),
    ("tcp-smart-accept", FE, Ours),
    ("tcp-smart-connect", BE, Ours),
    ("independent-streams", ANY, Missing),
    ("http-use-proxy-header", FE, Http),
    ("http-pretend-keepalive", BE, Http),
    ("http-no-delay", ANY, Http),
    ("h1-case-adjust-bogus-client", FE, Http),
    ("h1-case-adjust-bogus-server", BE, Http),
    ("disable-h2-upgrade", FE, Http),
];

const _: () = assert!(SWITCHES.len() <= 64);

type Parse = fn(&mut Cx<'_>, &mut Draft, &Words);

/// Options with a syntax of their own, in the order of HAProxy's suggestions.
const OTHERS: &[(&str, Parse)] = &[
    ("httpclose", http_connection),
    ("http-server-close", http_connection),
    ("http-keep-alive", http_connection),
    ("redispatch", |_, _, _| {}),
    ("httplog", httplog),
    ("tcplog", tcplog),
    ("tcpka", tcpka),
    ("httpchk", httpchk::httpchk),
    ("ssl-hello-chk", readymade::tls),
    ("smtpchk", readymade::smtp),
    ("pgsql-check", readymade::pgsql),
    ("redis-check", readymade::redis),
    ("mysql-check", readymade::mysql),
    ("ldap-check", readymade::ldap),
    ("spop-check", readymade::spop),
    ("tcp-check", checks::tcp_check_option),
    ("external-check", readymade::missing),
    ("forwardfor", forwardfor),
    ("httpslog", httpslog),
    ("originalto", originalto),
    ("http-restrict-req-hdr-names", restrict_names),
];

/// What HAProxy suggests beside the switches; it spells one of them as nobody may.
const SUGGESTED: usize = 17;
const SUGGESTED_LAST: [&str; 2] = ["forwardfor", "original-to"];

pub(super) fn option(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, prefix: Prefix) {
    let name = &words[1];
    if name.is_empty() {
        return cx.alert_tight(&format!("'{}' expects an option name.", &words[0]));
    }
    if let Some(at) = SWITCHES.iter().position(|(known, ..)| *known == name) {
        return switch(cx, draft, words, prefix, at);
    }
    if let "http-tunnel" | "forceclose" | "http_proxy" = name {
        return gone(cx, name);
    }
    if prefix != Prefix::None && !MAY_BE_NEGATED.contains(&name) {
        let text = format!("negation/default is not supported for option '{name}'.");
        return cx.alert_tight(&text);
    }
    let Some(&(known, parse)) = OTHERS.iter().find(|(known, _)| *known == name) else {
        let switches = SWITCHES.iter().map(|(known, ..)| *known);
        let others = OTHERS[..SUGGESTED].iter().map(|(known, _)| *known);
        let known = switches.chain(others).chain(SUGGESTED_LAST);
        return match super::nearest::nearest(name, known) {
            Some(best) => {
                cx.alert(&format!("unknown option '{name}'; did you mean '{best}' maybe ?"))
            }
            None => cx.alert(&format!("unknown option '{name}'.")),
        };
    };
    match known {
        "redispatch" => redispatch(cx, draft, words, prefix),
        _ => parse(cx, draft, words),
    }
}

/// Those of [`OTHERS`] that `no` may stand before.
const MAY_BE_NEGATED: [&str; 4] =
    ["redispatch", "httpclose", "http-server-close", "http-keep-alive"];

fn gone(cx: &mut Cx<'_>, name: &str) {
    let why = match name {
        "forceclose" => {
            "2.0, please just remove it, or use 'option httpclose' if absolutely needed."
        }
        "http_proxy" => {
            "2.5. This option stopped working in HAProxy 1.9 and usually had nasty side effects. It \
             can be more reliably implemented with combinations of 'http-request set-dst' and \
             'http-request set-uri', and even 'http-request do-resolve' if DNS resolution is desired."
        }
        _ => "2.1, please just remove it, it shouldn't be needed.",
    };
    cx.alert_tight(&format!("option '{name}' is not supported any more since HAProxy {why}"));
}

fn switch(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, prefix: Prefix, at: usize) {
    let (name, sides, effect) = SWITCHES[at];
    if !cx.at_most(words, 0, 1) {
        return;
    }
    let fits = sides.frontend && draft.is_frontend() || sides.backend && draft.is_backend();
    if !fits {
        return super::proxy::warn_misplaced(cx, draft, name, sides.frontend, sides.backend, "");
    }
    match effect {
        Missing if prefix == Prefix::None => {
            return cx.alert(&format!("'option {name}' is not supported yet."));
        }
        Nothing(why) if prefix == Prefix::None => {
            cx.notice(name, &format!("'option {name}' has no effect: {why}."));
        }
        _ => {}
    }
    draft.switches.set(at, prefix);
}

fn redispatch(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, prefix: Prefix) {
    if !draft.is_backend() {
        return super::proxy::warn_misplaced(cx, draft, "redispatch", false, true, "");
    }
    draft.redispatch = match prefix {
        Prefix::None if words.has(2) => Some(super::text::leading_int(&words[2])),
        Prefix::None => Some(-1),
        Prefix::No | Prefix::Default => None,
    };
}

/// How long connections of HTTP live: without HTTP, nothing.
fn http_connection(cx: &mut Cx<'_>, _: &mut Draft, words: &Words) {
    cx.at_most(words, 0, 1);
}

/// A log format instead of the one before; in `defaults` that is worth a warning.
pub(super) fn set_log_format(cx: &mut Cx<'_>, draft: &mut Draft, text: LogText, said: &str) {
    if let (Kind::Defaults, Some((before, _))) = (draft.kind, &draft.log_format) {
        let before = before.keyword();
        cx.warn_tight(&format!("'{said}' overrides previous '{before}' in 'defaults' section."));
    }
    draft.log_format = Some((text, cx.spot.clone()));
}

/// Backends log no sessions.
pub(super) fn warn_in_backend(cx: &mut Cx<'_>, draft: &Draft, said: &str) {
    if draft.kind == Kind::Backend {
        let name = &draft.name;
        cx.warn(&format!("backend '{name}' : '{said}' directive is ignored in backends."));
    }
}

fn httplog(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let mut text = LogText::Http;
    if words.has(2) {
        if &words[2] != "clf" {
            return cx.alert("keyword 'httplog' only supports option 'clf'.");
        }
        text = LogText::HttpClf;
        if !cx.at_most(words, 1, 1) {
            return;
        }
    }
    let said = text.keyword();
    set_log_format(cx, draft, text, said);
    warn_in_backend(cx, draft, "option httplog");
}

fn tcplog(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    set_log_format(cx, draft, LogText::Tcp, "option tcplog");
    if cx.at_most(words, 0, 1) {
        warn_in_backend(cx, draft, "option tcplog");
    }
}

fn httpslog(cx: &mut Cx<'_>, draft: &mut Draft, _: &Words) {
    set_log_format(cx, draft, LogText::Https, "option httplog");
    warn_in_backend(cx, draft, "option httpslog");
}

fn tcpka(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if cx.at_most(words, 0, 1) {
        for (name, fits) in [("clitcpka", draft.is_frontend()), ("srvtcpka", draft.is_backend())] {
            if let (true, Some(at)) = (fits, SWITCHES.iter().position(|it| it.0 == name)) {
                draft.switches.set(at, Prefix::None);
            }
        }
    }
}

fn forwardfor(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let expected = "only supports optional values: 'except', 'header' and 'if-none'.";
    add_header(cx, draft, words, "forwardfor", expected);
}

fn originalto(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let expected = "only supports optional values: 'except' and 'header'.";
    add_header(cx, draft, words, "originalto", expected);
}

/// A header that HTTP would carry: read, and without effect in mode `tcp`.
fn add_header(
    cx: &mut Cx<'_>,
    draft: &mut Draft,
    words: &Words,
    name: &'static str,
    expected: &str,
) {
    let option = format!("{} {}", &words[0], &words[1]);
    let mut at = 2;
    while words.has(at) {
        let (what, value) = (&words[at], &words[at + 1]);
        match what {
            "except" if super::address::network(value).is_some() => at += 2,
            "except" => {
                return cx
                    .alert(&format!("'{option} {what}' expects <address>[/mask] as argument."));
            }
            "header" if !value.is_empty() => at += 2,
            "header" => {
                return cx.alert(&format!("'{option} {what}' expects <header_name> as argument."));
            }
            "if-none" if name == "forwardfor" => at += 1,
            _ => return cx.alert(&format!("'{option}' {expected}")),
        }
    }
    draft.belongs_to_http(name);
}

fn restrict_names(cx: &mut Cx<'_>, _: &mut Draft, words: &Words) {
    if !cx.at_most(words, 2, 0) {
        return;
    }
    let (name, value) = (&words[1], &words[2]);
    let expected = format!("option '{name}' expects 'preserve', 'reject' or 'delete' option.");
    match value {
        "" => cx.alert(&format!("missing parameter. {expected}")),
        "preserve" | "reject" | "delete" => {}
        _ => cx.alert(&format!("invalid parameter '{value}'. {expected}")),
    }
}
