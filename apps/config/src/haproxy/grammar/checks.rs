//! `option tcp-check`, `option httpchk`, `tcp-check` and `http-check`: what a health check does.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::address::{self, Allowed, Host};
use super::cx::Cx;
use super::draft::Draft;
use super::expect;
use super::fetches::CHECK;
use super::format::{self, How};
use super::proxy::wants_backend;
use super::sample::{self, Context, Scope};
use super::text::{binary, bytes, digits, readable};
use super::words::Words;
use crate::haproxy::{
    Address, CheckStep, Connect, Expect, Fetch, Format, HttpSend, Item, ProxyCheck,
};

/// A step as it was written.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Connect(Connect),
    Send {
        bytes: Format,
        is_hex: bool,
        comment: Option<String>,
    },
    Http(Request),
    Expect(Expect),
    /// `comment`: of the steps that follow.
    Comment(String),
}

/// A request, as far as it was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: Option<String>,
    pub(super) uri: Option<Format>,
    pub(super) version: Option<String>,
    pub(super) headers: Vec<(String, Format)>,
    pub(super) body: Option<Format>,
    pub(super) comment: Option<String>,
    /// Of `option httpchk`, and not merged with an `http-check send` yet.
    pub(super) from_option: bool,
}

/// The protocol of a list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Http,
}

/// Which steps are in force.
#[derive(Clone, Debug, Default)]
enum InForce {
    /// A connection and no more.
    #[default]
    None,
    /// This section's own.
    Own(Protocol),
    /// Those of the `defaults` before it.
    Inherited(Protocol, Vec<Step>),
    /// Those of an option that has all of them.
    Ready(Vec<Step>),
}

/// Checks of a section.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckDraft {
    in_force: InForce,
    tcp: Vec<Step>,
    http: Vec<Step>,
    /// Steps that no option has put in force.
    pub(super) unused_tcp: bool,
    pub(super) unused_http: bool,
    /// `http-check disable-on-404`.
    pub(super) disable_on_404: bool,
    /// `http-check send-state`.
    pub(super) send_state: bool,
}

impl CheckDraft {
    /// What a section that inherits begins with.
    pub(super) fn inherited(&self) -> CheckDraft {
        let in_force = match &self.in_force {
            InForce::Own(Protocol::Tcp) => InForce::Inherited(Protocol::Tcp, self.tcp.clone()),
            InForce::Own(Protocol::Http) => InForce::Inherited(Protocol::Http, self.http.clone()),
            other => other.clone(),
        };
        let CheckDraft { disable_on_404, send_state, .. } = *self;
        CheckDraft { in_force, disable_on_404, send_state, ..CheckDraft::default() }
    }

    fn protocol(&self) -> Option<Protocol> {
        match &self.in_force {
            InForce::Own(protocol) | InForce::Inherited(protocol, _) => Some(*protocol),
            InForce::None | InForce::Ready(_) => None,
        }
    }

    /// Whether an option has put any in force.
    pub(super) fn is_in_force(&self) -> bool {
        !matches!(self.in_force, InForce::None)
    }

    /// Whether it speaks HTTP.
    pub(super) fn is_http(&self) -> bool {
        self.protocol() == Some(Protocol::Http)
    }

    /// Puts the steps of an option in force.
    pub(super) fn set_ready(&mut self, steps: Vec<Step>) {
        *self = CheckDraft {
            in_force: InForce::Ready(steps),
            unused_tcp: false,
            unused_http: false,
            ..core::mem::take(self)
        };
    }

    /// The check, with what nobody has to write.
    pub(super) fn finished(&self) -> ProxyCheck {
        let (protocol, steps) = match &self.in_force {
            InForce::None => return ProxyCheck::Layer4,
            InForce::Own(Protocol::Tcp) => (Protocol::Tcp, &self.tcp),
            InForce::Own(Protocol::Http) => (Protocol::Http, &self.http),
            InForce::Inherited(protocol, steps) => (*protocol, steps),
            InForce::Ready(steps) => return ProxyCheck::ReadyMade(finish(steps.clone(), false)),
        };
        match protocol {
            Protocol::Tcp => ProxyCheck::Tcp(finish(steps.clone(), false)),
            Protocol::Http => ProxyCheck::Http(finish(steps.clone(), true)),
        }
    }
}

/// Moves the request of `option httpchk` to its place, and adds the connection in front and the
/// expectation at the end that are not written.
fn finish(mut steps: Vec<Step>, is_http: bool) -> Vec<CheckStep> {
    let first = steps.iter().position(|step| !matches!(step, Step::Comment(_)));
    if let Some(first) = first
        && matches!(&steps[first], Step::Http(request) if request.from_option)
        && matches!(steps.get(first + 1), Some(Step::Connect(_)))
    {
        steps.swap(first, first + 1);
    }
    let last = steps.iter().rev().find(|step| !matches!(step, Step::Comment(_)));
    if is_http && matches!(last, Some(Step::Http(_))) {
        steps.push(Step::Expect(expect::ok_status()));
    }
    let first = steps.iter().find(|step| !matches!(step, Step::Comment(_)));
    if !matches!(first, Some(Step::Connect(_))) {
        let implicit = Connect { default: true, implicit: true, ..Connect::default() };
        steps.insert(0, Step::Connect(implicit));
    }
    let mut comment: Option<String> = None;
    let mut previous = None;
    let mut finished = Vec::new();
    for step in steps {
        let kind = core::mem::discriminant(&step);
        let is_comment = matches!(step, Step::Comment(_));
        if previous.is_some_and(|(before, was_comment): (_, bool)| !was_comment && before != kind) {
            comment = None;
        }
        previous = Some((kind, is_comment));
        match step {
            Step::Comment(text) => comment = Some(text),
            Step::Connect(mut step) => {
                step.comment = step.comment.or(comment.take());
                finished.push(CheckStep::Connect(step));
            }
            Step::Send { bytes, is_hex, comment: own } => {
                let comment = own.or_else(|| comment.clone());
                finished.push(CheckStep::Send { bytes, is_hex, comment });
            }
            Step::Http(request) => finished.push(CheckStep::HttpSend(HttpSend {
                method: request.method.unwrap_or_else(|| "OPTIONS".to_owned()),
                uri: request.uri.unwrap_or_else(|| plain("/")),
                version: request.version.unwrap_or_else(|| "HTTP/1.0".to_owned()),
                headers: request.headers,
                body: request.body,
                comment: request.comment.or_else(|| comment.clone()),
            })),
            Step::Expect(mut step) => {
                step.comment = step.comment.or_else(|| comment.clone());
                finished.push(CheckStep::Expect(step));
            }
        }
    }
    finished
}

/// Text as a format that is always the same.
pub(super) fn plain(text: &str) -> Format {
    Format(alloc::vec![Item::Text(bytes(text))])
}

/// A format of a check.
pub(super) fn formatted(cx: &mut Cx<'_>, draft: &Draft, text: &str) -> Result<Format, String> {
    let how = How { context: Context::Check, places: CHECK };
    format::read(cx, draft, text, how)
        .map_err(|wrong| format!("'{text}' invalid log-format string ({wrong}).\n"))
}

pub(super) fn tcp_check_option(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "tcp-check");
    if cx.at_most(words, 0, 1) && draft.check.protocol() != Some(Protocol::Tcp) {
        draft.check.in_force = InForce::Own(Protocol::Tcp);
        (draft.check.unused_tcp, draft.check.unused_http) = (false, false);
    }
}

impl CheckDraft {
    /// The request of `option httpchk`, from here on.
    pub(super) fn ask(&mut self, request: Request) {
        self.in_force = InForce::Own(Protocol::Http);
        (self.unused_tcp, self.unused_http) = (false, false);
        let is_first = |step: &Step| !matches!(step, Step::Comment(_) | Step::Connect(_));
        match self.http.iter_mut().find(|step| is_first(step)) {
            Some(Step::Http(known)) if known.from_option => *known = request,
            Some(Step::Http(known)) => known.overwrite(request),
            _ => self.http.insert(0, Step::Http(request)),
        }
    }
}

impl Request {
    /// What the other says counts.
    fn overwrite(&mut self, other: Request) {
        self.method = other.method.or(self.method.take());
        self.uri = other.uri.or(self.uri.take());
        self.version = other.version.or(self.version.take());
        if !other.headers.is_empty() {
            self.headers = other.headers;
        }
        self.body = other.body.or(self.body.take());
    }
}

/// The rule's own words behind its keyword and name.
type Rest<'w> = &'w [String];

pub(super) fn tcp_check(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "tcp-check");
    let rest = words.rest(2);
    let step = match &words[1] {
        "connect" => connect(cx, draft, words, rest, false),
        name @ ("send" | "send-binary" | "send-lf" | "send-binary-lf") => {
            send(cx, draft, name, rest)
        }
        "expect" => expect::expect(cx, draft, rest, false).map(Step::Expect),
        "comment" => comment(rest),
        "set-var" | "unset-var" => Err("not supported yet".to_owned()),
        other if other.starts_with("set-var") || other.starts_with("unset-var") => {
            Err("not supported yet".to_owned())
        }
        other => {
            return cx.alert(&format!(
                "'tcp-check' only supports 'comment', 'connect', 'send', 'send-binary', 'expect', \
                 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '{other}'"
            ));
        }
    };
    match step {
        Ok(step) => {
            draft.check.tcp.push(step);
            let is_in_force = draft.check.protocol() == Some(Protocol::Tcp);
            if is_in_force {
                draft.check.in_force = InForce::Own(Protocol::Tcp);
            }
            draft.check.unused_tcp = !is_in_force;
        }
        Err(wrong) => {
            // HAProxy forgets all steps of a list with a mistake in it.
            draft.check.tcp.clear();
            cx.alert(&format!("'tcp-check {}' : {wrong}.", &words[1]));
        }
    }
}

pub(super) fn http_check(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "http-check");
    let rest = words.rest(2);
    let step = match &words[1] {
        option @ ("disable-on-404" | "send-state") => {
            if words.has(2) {
                let extra = &words[2];
                return cx
                    .alert(&format!("'http-check' cannot handle unexpected argument '{extra}'."));
            }
            draft.check.disable_on_404 |= option == "disable-on-404";
            draft.check.send_state |= option == "send-state";
            return;
        }
        "connect" => connect(cx, draft, words, rest, true),
        "send" => request(cx, draft, rest).map(Step::Http),
        "expect" => expect::expect(cx, draft, rest, true).map(Step::Expect),
        "comment" => comment(rest),
        other if other.starts_with("set-var") || other.starts_with("unset-var") => {
            Err("not supported yet".to_owned())
        }
        other => {
            return cx.alert(&format!(
                "'http-check' only supports 'disable-on-404', 'send-state', 'comment', 'connect', \
                 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '{other}'"
            ));
        }
    };
    let is_in_force = draft.check.protocol() == Some(Protocol::Http);
    let added = step.and_then(|step| {
        draft.check.unused_http = !is_in_force;
        if is_in_force {
            draft.check.in_force = InForce::Own(Protocol::Http);
            return add_http(&mut draft.check.http, step);
        }
        draft.check.http.push(step);
        Ok(())
    });
    if let Err(wrong) = added {
        draft.check.http.clear();
        cx.alert(&format!("'http-check {}' : {wrong}.", &words[1]));
    }
}

/// Steps of HTTP come in an order: a connection, a request, expectations.
fn add_http(steps: &mut Vec<Step>, step: Step) -> Result<(), String> {
    let number = steps.len() + 1;
    let last = steps.iter().rev().find(|step| !matches!(step, Step::Comment(_)));
    let after_connect = matches!(last, Some(Step::Connect(_)));
    let after_send = matches!(last, Some(Step::Http(_)));
    let after_expect = matches!(last, Some(Step::Expect(_)));
    let first_of_all = match last {
        None => true,
        Some(Step::Http(request)) => request.from_option,
        Some(_) => false,
    };
    let missing = match &step {
        _ if first_of_all => None,
        Step::Http(_) if !after_connect => Some(("send", "connect")),
        Step::Expect(_) if !after_send && !after_expect => Some(("expect", "send")),
        Step::Connect(_) if !after_expect => Some(("connect", "expect")),
        _ => None,
    };
    if let Some((what, missing)) = missing {
        return Err(format!(
            "unable to add http-check {what} rule at step {number} (missing {missing} rule)."
        ));
    }
    if let Step::Http(request) = &step {
        let first = steps.iter().position(|step| !matches!(step, Step::Comment(_)));
        if let Some(first) = first
            && let Step::Http(known) = &mut steps[first]
            && known.from_option
        {
            known.overwrite(request.clone());
            known.from_option = false;
            let merged = steps.remove(first);
            steps.push(merged);
            return Ok(());
        }
    }
    steps.push(step);
    Ok(())
}

fn comment(rest: Rest<'_>) -> Result<Step, String> {
    match rest.first() {
        Some(text) => Ok(Step::Comment(readable(text))),
        None => Err("expects a string as argument".to_owned()),
    }
}

fn connect(
    cx: &mut Cx<'_>,
    draft: &Draft,
    _: &Words,
    rest: Rest<'_>,
    is_http: bool,
) -> Result<Step, String> {
    let steps = if is_http { &draft.check.http } else { &draft.check.tcp };
    let first = steps.iter().find(|step| match step {
        Step::Comment(_) => false,
        Step::Http(request) => !request.from_option,
        _ => true,
    });
    if !matches!(first, None | Some(Step::Connect(_))) {
        return Err("first step MUST also be a 'connect', optionally preceded by a 'set-var', an \
                    'unset-var' or a 'comment', when there is a 'connect' step in the tcp-check ruleset"
            .to_owned());
    }
    let mut connect = Connect::default();
    let word = |at: usize| rest.get(at).map_or("", String::as_str);
    let mut at = 0;
    while !word(at).is_empty() {
        let (option, value) = (word(at), word(at + 1));
        at += 1;
        match option {
            "default" => connect.default = true,
            "send-proxy" => connect.send_proxy = true,
            "linger" => connect.linger = true,
            "comment" if value.is_empty() => {
                return Err("'comment' expects a string as argument.".to_owned());
            }
            "comment" => {
                connect.comment = Some(readable(value));
                at += 1;
            }
            "addr" if value.is_empty() => {
                return Err("'addr' expects <ipv4|ipv6> as argument.".to_owned());
            }
            "addr" => {
                let parsed = address::parse(&cx.environment, value, Allowed::default())
                    .map_err(|wrong| format!("'addr' : {wrong}."))?;
                if let Host::Addr(addr) = parsed.host {
                    connect.addr = Some(Address::Addr(addr));
                }
                if parsed.port > 0 && connect.port.is_none() {
                    connect.port = Some(Fetch::Int(i64::from(parsed.port)).into());
                }
                at += 1;
            }
            "port" if value.is_empty() => {
                return Err(
                    "'port' expects a port number or a sample expression as argument.".to_owned()
                );
            }
            "port" => {
                connect.port = Some(port(cx, draft, value)?);
                at += 1;
            }
            "ssl" | "sni" | "alpn" | "via-socks4" | "proto" => {
                return Err(format!("'{option}' is not supported yet"));
            }
            _ => {
                return Err(format!(
                    "expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or \
                     'via-socks4', 'linger', 'default' but got '{option}' as argument."
                ));
            }
        }
    }
    Ok(Step::Connect(connect))
}

fn port(cx: &mut Cx<'_>, draft: &Draft, value: &str) -> Result<crate::haproxy::Sample, String> {
    match digits(value) {
        (port @ 1..=65_535, "") => Ok(Fetch::Int(i64::from(port)).into()),
        (_, "") => Err(format!(
            "expects a valid TCP port (from range 1 to 65535) or a sample expression, got {value}."
        )),
        _ => {
            let mut scope = Scope::new(cx, draft, Context::Check);
            let parsed =
                sample::words(&mut scope, &[value.to_owned()], &mut 0).map_err(|wrong| {
                    format!("error detected while parsing port expression : {wrong}")
                })?;
            if parsed.places & CHECK == 0 {
                return Err(format!(
                    "error detected while parsing port expression :  fetch method '{value}' extracts \
                     information from '{}', none of which is available here.\n",
                    parsed.source
                ));
            }
            Ok(parsed.sample)
        }
    }
}

fn send(cx: &mut Cx<'_>, draft: &Draft, name: &str, rest: Rest<'_>) -> Result<Step, String> {
    let Some(data) = rest.first() else {
        let what = if name == "send-binary" { "binary string" } else { "string" };
        // HAProxy has the two words in this order.
        return Err(format!("'{what}' expects a {name} as argument"));
    };
    let mut comment = None;
    let mut at = 1;
    while let Some(option) = rest.get(at) {
        match (option.as_str(), rest.get(at + 1)) {
            ("comment", Some(text)) => comment = Some(readable(text)),
            ("comment", None) => return Err("'comment' expects a string as argument.".to_owned()),
            (other, _) => {
                return Err(format!("expects 'comment' but got '{other}' as argument."));
            }
        }
        at += 2;
    }
    let bytes = match name {
        "send" => plain(data),
        "send-binary" => {
            let bytes = binary(data)
                .map_err(|wrong| format!("'{data}' invalid binary string ({wrong}).\n"))?;
            Format(alloc::vec![Item::Text(bytes)])
        }
        _ => formatted(cx, draft, data)?,
    };
    Ok(Step::Send { bytes, is_hex: name == "send-binary-lf", comment })
}

fn request(cx: &mut Cx<'_>, draft: &Draft, rest: Rest<'_>) -> Result<Request, String> {
    let mut request = Request::default();
    let word = |at: usize| rest.get(at).map_or("", String::as_str);
    let mut at = 0;
    while !word(at).is_empty() {
        let (option, value) = (word(at), word(at + 1));
        let known = ["meth", "uri", "uri-lf", "ver", "hdr", "body", "body-lf", "comment"];
        if !known.contains(&option) {
            return Err(format!(
                "expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but \
                 got '{option}' as argument."
            ));
        }
        if option == "hdr" {
            let text = word(at + 2);
            if value.is_empty() || text.is_empty() {
                return Err("'hdr' expects <name> and <value> as arguments".to_owned());
            }
            let lower = value.to_ascii_lowercase();
            if lower == "host"
                && request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"))
            {
                return Err(format!("'{value}' header already defined"));
            }
            // The length is the body's, whatever is said.
            if !["content-length", "transfer-encoding"].contains(&lower.as_str()) {
                let how = How { context: Context::Check, places: CHECK };
                let text = format::read(cx, draft, text, how)?;
                request.headers.push((readable(value), text));
            }
            at += 3;
            continue;
        }
        if value.is_empty() {
            return Err(format!("'{option}' expects a string as argument."));
        }
        match option {
            "meth" => request.method = Some(readable(value)),
            "uri" => request.uri = Some(plain(value)),
            "uri-lf" => request.uri = Some(formatted(cx, draft, value)?),
            "ver" => request.version = Some(readable(value)),
            "body" => request.body = Some(plain(value)),
            "body-lf" => request.body = Some(formatted(cx, draft, value)?),
            _ => request.comment = Some(readable(value)),
        }
        at += 2;
    }
    Ok(request)
}
