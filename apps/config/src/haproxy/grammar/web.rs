//! What belongs to HTTP. HAProxy reads it in any section, and says at the section's end that it means
//! nothing in mode `tcp`: [`Draft::http_only`] holds the words for that.

use alloc::format;
use alloc::string::String;

use super::cx::Cx;
use super::draft::{Draft, Kind};
use super::number::{NoTime, Unit};
use super::proxy::{not_in_defaults, wants_backend, wants_frontend};
use super::text::{invalid_in_name, leading_int, leading_number};
use super::words::Words;
use super::{acl, captures};

pub(super) fn http_reuse(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, &words[0]);
    match &words[1] {
        "never" | "safe" | "aggressive" | "always" => {
            cx.at_most(words, 0, 1);
        }
        _ => cx.alert(&format!(
            "'{}' only supports 'never', 'safe', 'aggressive', 'always'.",
            &words[0]
        )),
    }
}

/// `errorfile`: a body of HTTP, of which the ones that are here are built in.
pub(super) fn errorfile(cx: &mut Cx<'_>, words: &Words) {
    let (keyword, status, path) = (&words[0], &words[1], &words[2]);
    if !is_error(cx, words, "file") || cx.delivered(path).is_some() {
        return;
    }
    if path.starts_with("/etc/haproxy/errors/") || path == "/dev/null" {
        let text = format!(
            "'{keyword} {status}' : '{path}' was not delivered: the built-in body is used."
        );
        return cx.notice("errorfile", &text);
    }
    cx.alert(&format!("{keyword} : error opening file '{path}'."));
}

/// `errorloc` and its kin.
pub(super) fn errorloc(cx: &mut Cx<'_>, words: &Words) {
    is_error(cx, words, "url");
}

/// A status that has a body of its own, and one thing more.
fn is_error(cx: &mut Cx<'_>, words: &Words, what: &str) -> bool {
    let (keyword, code) = (&words[0], leading_number(&words[1]));
    if !words.has(2) {
        cx.alert(&format!("{keyword} : expects <status_code> and <{what}> as arguments.\n"));
    } else if !HTTP_ERRORS.contains(&code) {
        cx.alert(&format!("{keyword} : status code '{code}' not handled."));
    } else {
        return true;
    }
    false
}

const HTTP_ERRORS: &[i64] = &[
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504,
];

/// `stats`: the page of statistics.
pub(super) fn stats(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let (what, value) = (&words[1], &words[2]);
    match what {
        "enable" | "hide-version" | "show-legends" | "show-modules" => {}
        "uri" | "realm" | "auth" | "scope" if words.has(2) => {}
        "uri" => return cx.alert("'uri' needs an URI prefix."),
        "realm" => return cx.alert("'realm' needs an realm name."),
        "auth" => return cx.alert("'auth' needs a user:password account."),
        "scope" => return cx.alert("'scope' needs a proxy name."),
        "refresh" => match cx.time(value, Unit::Seconds) {
            Ok(_) => {}
            Err(NoTime::Over) => {
                return cx.alert_tight(&format!(
                    "timer overflow in argument <{value}> to stats refresh interval, maximum value \
                     is 2147483647 s (~68 years)."
                ));
            }
            Err(NoTime::At(at)) => {
                let at = at.unwrap_or_default();
                return cx.alert_tight(&format!(
                    "unexpected character '{at}' in argument to stats refresh interval."
                ));
            }
        },
        "admin" => {
            if draft.kind == Kind::Defaults {
                return cx.alert_tight("'stats admin' not allowed in 'defaults' section.");
            }
            if !is_condition(cx, draft, words, "rule") {
                return;
            }
        }
        "show-node" => {
            if value.is_empty() && words.has(2) || invalid_in_name(value).is_some() {
                return cx.alert_tight(
                    "'stats show-node' invalid node name - should be a stringwith digits(0-9), \
                     letters(A-Z, a-z), hyphen(-) or underscode(_).",
                );
            }
        }
        "show-desc" => {
            if !words.has(2) && cx.global.global.description.is_none() {
                cx.warn_tight(
                    "'show-desc' requires a parameter or 'desc' to be set in the global section.",
                );
                return;
            }
        }
        "http-request" => {
            return cx.alert("'stats http-request' is not supported yet: it belongs to mode http.");
        }
        _ => {
            let (head, word) = match what {
                "" => ("missing keyword in", "stats"),
                _ => ("unknown stats parameter", what),
            };
            return cx.alert_tight(&format!(
                "{head} '{word}', expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', \
                 'hide-version', 'show-node', 'show-desc' or 'show-legends'."
            ));
        }
    }
    draft.belongs_to_http("stats");
}

/// Reads the condition behind two words, which stand for nothing here.
fn is_condition(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, what: &str) -> bool {
    let said = words.0[..2].join(" ");
    if !matches!(&words[2], "if" | "unless") {
        let text = format!("'{said}' requires either 'if' or 'unless' followed by a condition.");
        cx.alert(&text);
        return false;
    }
    if let Err(wrong) = acl::condition(cx, draft, words.rest(2)) {
        cx.alert(&format!("error detected while parsing a '{said}' {what} : {wrong}."));
        return false;
    }
    true
}

/// `monitor fail`.
pub(super) fn monitor(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !not_in_defaults(cx, draft, "monitor") {
        return;
    }
    wants_frontend(cx, draft, "monitor");
    match &words[1] {
        "fail" => {
            is_condition(cx, draft, words, "condition");
        }
        _ => cx.alert("'monitor' only supports 'fail'."),
    }
}

pub(super) fn monitor_uri(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_frontend(cx, draft, "monitor-uri");
    if !cx.at_most(words, 1, 0) {
        return;
    }
    if !words.has(1) {
        return cx.alert("'monitor-uri' expects an URI.");
    }
    draft.belongs_to_http("monitor-uri");
}

/// `capture`: of headers and cookies. A header's is a slot that stays empty.
pub(super) fn capture(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_frontend(cx, draft, "capture");
    let (what, header) = (words[1].into(), &words[2] == "header");
    let what: String = what;
    match &*what {
        "cookie" => {}
        "request" | "response" if header => {}
        _ => {
            return cx
                .alert("'capture' expects 'cookie' or 'request header' or 'response header'.");
        }
    }
    if draft.kind == Kind::Defaults {
        return cx.alert(&format!("'capture {what}' not allowed in 'defaults' section."));
    }
    if !cx.at_most(words, 4, 1) {
        return;
    }
    if what == "cookie" {
        if !words.has(4) {
            return cx.alert("'capture' expects 'cookie' <cookie_name> 'len' <len>.");
        }
        return draft.belongs_to_http("capture");
    }
    if &words[4] != "len" || !words.has(5) {
        let expected = "expects 'header' <header_name> 'len' <len>.";
        return cx.alert(&format!("'capture {what}' {expected}"));
    }
    if what == "request" {
        captures::add(cx, draft, leading_int(&words[5]).max(0).unsigned_abs());
    }
}

/// `compression`: what would be compressed, and how.
pub(super) fn compression(cx: &mut Cx<'_>, draft: &Draft, words: &Words) {
    match &words[1] {
        "algo" => {
            let known = ["identity", "deflate", "raw-deflate", "gzip"];
            if !words.has(2) {
                let at = cx.at();
                return cx.alert(&format!("{at} : 'compression' expects <algorithm>."));
            }
            if let Some(wrong) = words.rest(2).iter().find(|word| !known.contains(&word.as_str())) {
                let text = format!("'compression' : '{wrong}' is not a supported algorithm.");
                cx.alert(&text);
            }
        }
        "type" if words.has(2) => {}
        "type" => cx.alert("'compression' expects <type>."),
        "offload" if draft.kind == Kind::Defaults => {
            cx.warn("'compression' : 'offload' ignored in 'defaults' section.");
        }
        "offload" => {}
        _ => cx.alert("'compression' expects 'algo', 'type' or 'offload'"),
    }
}

pub(super) fn send_name_header(cx: &mut Cx<'_>, draft: &Draft, words: &Words) {
    wants_backend(cx, draft, &words[0]);
    if !words.has(1) {
        cx.alert("'http-send-name-header' requires a header string.");
    }
}

/// `retry-on`: what of HTTP is tried again.
pub(super) fn retry_on(cx: &mut Cx<'_>, draft: &Draft, words: &Words) {
    if !words.has(1) {
        return cx.alert("'retry-on' needs at least one keyword to specify when to retry");
    }
    if !draft.is_backend() {
        return cx.alert("'retry-on' only available in backend or listen section");
    }
    for (at, word) in (1..).zip(words.rest(1)) {
        if word == "none" && (at != 1 || words.has(2)) {
            return cx.alert("'retry-on' 'none' keyworld only usable alone");
        }
        if word != "none" && !RETRIED.contains(&word.as_str()) {
            return cx.alert(&format!("'retry-on': unknown keyword '{word}'"));
        }
    }
}

const RETRIED: &[&str] = &[
    "0rtt-rejected",
    "401",
    "403",
    "404",
    "408",
    "425",
    "500",
    "501",
    "502",
    "503",
    "504",
    "all-retryable-errors",
    "conn-failure",
    "empty-response",
    "junk-response",
    "response-timeout",
];

pub(super) fn max_session_srv_conns(cx: &mut Cx<'_>, draft: &Draft, words: &Words) {
    wants_frontend(cx, draft, &words[0]);
    if !words.has(1) {
        // With HAProxy's own spelling.
        let (file, line) = (&cx.spot.file, cx.spot.line);
        let text = format!(
            "parsine [{file}:{line}] : 'max-session-srv-conns' expects a number. Got no argument"
        );
        cx.messages.alert(text);
    }
}

pub(super) fn max_keep_alive_queue(cx: &mut Cx<'_>, draft: &Draft, words: &Words) {
    let (keyword, value) = (&words[0], &words[1]);
    if value.is_empty() {
        return cx
            .alert(&format!("'{keyword}' expects expects an integer value (or -1 to disable)"));
    }
    let digits = value.trim_start_matches(['-', '+']);
    if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_digit()) {
        return cx.alert(&format!(
            "'{keyword}' : unexpected character '{wrong}' in integer value '{value}'"
        ));
    }
    if !draft.is_backend() {
        let (noun, name) = (draft.kind.noun(), &draft.name);
        cx.warn(&format!(
            "{keyword} will be ignored because {noun} '{name}' has no backend capability"
        ));
    }
}

pub(super) fn dynamic_cookie_key(cx: &mut Cx<'_>, draft: &Draft, words: &Words) {
    wants_backend(cx, draft, &words[0]);
    if !words.has(1) {
        cx.alert("'dynamic-cookie-key' expects <secret_key> as argument.");
    }
}

pub(super) fn unique_id_header(cx: &mut Cx<'_>, words: &Words) {
    if !words.has(1) {
        cx.alert("unique-id-header expects an argument.");
    }
}

/// `cookie`: persistence by one.
pub(super) fn cookie(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "cookie");
    if !words.has(1) {
        return cx.alert("'cookie' expects <cookie_name> as argument.");
    }
    draft.belongs_to_http("cookie");
    let mut at = 2;
    while words.has(at) {
        let (option, value) = (&words[at], &words[at + 1]);
        let expected = match option {
            "domain" => "<domain>",
            "maxidle" => "<idletime> in seconds",
            "maxlife" => "<lifetime> in seconds",
            "attr" => "<value>",
            _ => "",
        };
        if !expected.is_empty() && value.is_empty() {
            return cx.alert_tight(&format!("'{option}' expects {expected} as argument."));
        }
        let is_good = match option {
            "rewrite" | "indirect" | "insert" | "nocache" | "postonly" | "preserve" | "prefix"
            | "httponly" | "secure" => true,
            "dynamic" => {
                wants_backend(cx, draft, "dynamic");
                true
            }
            "domain" => is_domain(cx, value),
            "maxidle" | "maxlife" => is_life(cx, option, value),
            "attr" => match value.chars().find(|&c| c.is_ascii_control() || c == ';') {
                None => true,
                Some(wrong) => {
                    let wrong = u32::from(wrong);
                    cx.alert_tight(&format!(
                        "character '%x{wrong:02X}' is not permitted in attribute value."
                    ));
                    false
                }
            },
            _ => {
                cx.alert(
                    "'cookie' supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', \
                     'postonly', 'domain', 'maxidle', 'dynamic', 'maxlife' and 'attr' options.",
                );
                false
            }
        };
        if !is_good {
            return;
        }
        at += if expected.is_empty() { 1 } else { 2 };
    }
    let has = |option: &str| words.rest(2).iter().any(|word| word == option);
    if has("rewrite") && has("indirect") {
        cx.alert("cookie 'rewrite' and 'indirect' modes are incompatible.");
    }
    if ["rewrite", "insert", "prefix"].iter().filter(|mode| has(mode)).count() > 1 {
        cx.alert("cookie 'rewrite', 'insert' and 'prefix' modes are incompatible.");
    }
    if has("preserve") && !has("insert") && !has("indirect") {
        cx.alert("cookie 'preserve' requires at least 'insert' or 'indirect'.");
    }
}

fn is_domain(cx: &mut Cx<'_>, text: &str) -> bool {
    if !text.contains('.') {
        cx.warn_tight(&format!(
            "domain '{text}' contains no embedded dot, this configuration may not work properly \
             (see RFC6265#5.2.3)."
        ));
    }
    let wrong = invalid_in_name(text).or_else(|| text.contains(':').then_some(':'));
    if let Some(wrong) = wrong {
        cx.alert_tight(&format!("character '{wrong}' is not permitted in domain name '{text}'."));
    }
    wrong.is_none()
}

fn is_life(cx: &mut Cx<'_>, option: &str, text: &str) -> bool {
    let wrong = match cx.time(text, Unit::Seconds) {
        Ok(_) => return true,
        Err(NoTime::Over) => format!(
            "timer overflow in argument <{text}> to <{option}>, maximum value is 2147483647 s (~68 \
             years)."
        ),
        Err(NoTime::At(at)) => {
            let at = at.unwrap_or_default();
            format!("unexpected character '{at}' in argument to <{option}>.")
        }
    };
    cx.alert_tight(&wrong);
    false
}
