//! Keywords of `defaults`, `frontend`, `backend` and `listen`.

use alloc::borrow::ToOwned;
use alloc::format;

use super::captures;
use super::cx::Cx;
use super::draft::{Draft, Kind, LogText};
use super::number::{NoTime, Unit};
use super::option::{self, Prefix};
use super::text::{digits, leading_int, leading_number, readable};
use super::words::Words;
use super::{
    acl, balance, checks, listener, logs, routing, server, tables, tcp_rules, timeout, web,
};
use crate::haproxy::Mode;

/// A keyword's function.
pub(super) type Parse = fn(&mut Cx<'_>, &mut Draft, &Words, Prefix);

/// All of them. HAProxy has more: [`super::known`].
pub(super) const KEYWORDS: &[(&str, Parse)] = &[
    ("acl", |cx, draft, words, _| acl::acl(cx, draft, words)),
    ("backlog", |cx, draft, words, _| count(cx, draft, words, |draft| &mut draft.backlog)),
    ("balance", |cx, draft, words, _| balance::balance(cx, draft, words)),
    ("bind-process", |cx, _, words, _| bind_process(cx, words)),
    ("bind", |cx, draft, words, _| listener::bind(cx, draft, words)),
    ("capture", |cx, draft, words, _| web::capture(cx, draft, words)),
    ("clitcpka-cnt", |cx, draft, words, _| probes(cx, draft, words)),
    ("clitcpka-idle", |cx, draft, words, _| probes(cx, draft, words)),
    ("clitcpka-intvl", |cx, draft, words, _| probes(cx, draft, words)),
    ("clitimeout", |cx, draft, words, _| timeout::timeout(cx, draft, words)),
    ("contimeout", |cx, draft, words, _| timeout::timeout(cx, draft, words)),
    ("compression", |cx, draft, words, _| web::compression(cx, draft, words)),
    ("cookie", |cx, draft, words, _| web::cookie(cx, draft, words)),
    ("declare", |cx, draft, words, _| captures::declare(cx, draft, words)),
    ("default-server", |cx, draft, words, _| server::default_server(cx, draft, words)),
    ("default_backend", |cx, draft, words, _| routing::default_backend(cx, draft, words)),
    ("description", |cx, draft, words, _| description(cx, draft, words)),
    ("disabled", |cx, draft, words, _| {
        if cx.at_most(words, 0, 0) {
            draft.disabled = true;
        }
    }),
    ("enabled", |cx, draft, words, _| {
        if cx.at_most(words, 0, 0) {
            draft.disabled = false;
        }
    }),
    ("dispatch", |cx, draft, words, _| server::dispatch(cx, draft, words)),
    ("dynamic-cookie-key", |cx, draft, words, _| web::dynamic_cookie_key(cx, draft, words)),
    ("error-log-format", |cx, draft, words, _| error_log_format(cx, draft, words)),
    ("errorfile", |cx, _, words, _| web::errorfile(cx, words)),
    ("errorloc", |cx, _, words, _| web::errorloc(cx, words)),
    ("errorloc302", |cx, _, words, _| web::errorloc(cx, words)),
    ("errorloc303", |cx, _, words, _| web::errorloc(cx, words)),
    ("force-persist", |cx, draft, words, _| routing::persist_rule(cx, draft, words)),
    ("fullconn", |cx, draft, words, _| count(cx, draft, words, |draft| &mut draft.fullconn)),
    ("hash-balance-factor", |cx, draft, words, _| balance::factor(cx, draft, words)),
    ("hash-type", |cx, draft, words, _| balance::hash_type(cx, draft, words)),
    ("http-check", |cx, draft, words, _| checks::http_check(cx, draft, words)),
    ("http-reuse", |cx, draft, words, _| web::http_reuse(cx, draft, words)),
    ("http-send-name-header", |cx, draft, words, _| web::send_name_header(cx, draft, words)),
    ("id", |cx, draft, words, _| id(cx, draft, words)),
    ("ignore-persist", |cx, draft, words, _| routing::persist_rule(cx, draft, words)),
    ("load-server-state-from-file", |cx, draft, words, _| state_from_file(cx, draft, words)),
    ("log", |cx, draft, words, prefix| logs::in_proxy(cx, draft, words, prefix)),
    ("log-format", |cx, draft, words, _| log_format(cx, draft, words)),
    ("log-tag", |cx, draft, words, _| {
        if !words.has(1) {
            return cx.alert(&format!("'{}' expects a tag for use in syslog.", &words[0]));
        }
        draft.log_tag = Some(readable(&words[1]));
    }),
    ("max-keep-alive-queue", |cx, draft, words, _| web::max_keep_alive_queue(cx, draft, words)),
    ("max-session-srv-conns", |cx, draft, words, _| web::max_session_srv_conns(cx, draft, words)),
    ("maxconn", |cx, draft, words, _| count(cx, draft, words, |draft| &mut draft.maxconn)),
    ("mode", |cx, draft, words, _| mode(cx, draft, words)),
    ("monitor", |cx, draft, words, _| web::monitor(cx, draft, words)),
    ("monitor-uri", |cx, draft, words, _| web::monitor_uri(cx, draft, words)),
    ("option", option::option),
    ("rate-limit", |cx, draft, words, _| timeout::rate_limit(cx, draft, words)),
    ("retries", |cx, draft, words, _| retries(cx, draft, words)),
    ("retry-on", |cx, draft, words, _| web::retry_on(cx, draft, words)),
    ("server", |cx, draft, words, _| server::server(cx, draft, words)),
    ("server-template", |cx, draft, words, _| server::template(cx, draft, words)),
    ("server-state-file-name", |cx, draft, words, _| state_file_name(cx, draft, words)),
    ("source", |cx, draft, words, _| server::proxy_source(cx, draft, words)),
    ("srvtcpka-cnt", |cx, draft, words, _| probes(cx, draft, words)),
    ("srvtcpka-idle", |cx, draft, words, _| probes(cx, draft, words)),
    ("srvtcpka-intvl", |cx, draft, words, _| probes(cx, draft, words)),
    ("srvtimeout", |cx, draft, words, _| timeout::timeout(cx, draft, words)),
    ("stats", |cx, draft, words, _| web::stats(cx, draft, words)),
    ("persist", |cx, draft, words, _| routing::persist(cx, draft, words)),
    ("stick", |cx, draft, words, _| tables::stick(cx, draft, words)),
    ("stick-table", |cx, draft, words, _| tables::stick_table(cx, draft, words)),
    ("tcp-check", |cx, draft, words, _| checks::tcp_check(cx, draft, words)),
    ("tcp-request", |cx, draft, words, _| tcp_rules::tcp_request(cx, draft, words)),
    ("tcp-response", |cx, draft, words, _| tcp_rules::tcp_response(cx, draft, words)),
    ("timeout", |cx, draft, words, _| timeout::timeout(cx, draft, words)),
    ("unique-id-format", |cx, draft, words, _| unique_id_format(cx, draft, words)),
    ("unique-id-header", |cx, _, words, _| web::unique_id_header(cx, words)),
    ("use-server", |cx, draft, words, _| routing::use_server(cx, draft, words)),
    ("use_backend", |cx, draft, words, _| routing::use_backend(cx, draft, words)),
];

/// The warning about a keyword in a section that it is not for.
pub(super) fn warn_misplaced(
    cx: &mut Cx<'_>,
    draft: &Draft,
    keyword: &str,
    frontend: bool,
    backend: bool,
    hint: &str,
) {
    let missing = match (frontend, backend) {
        (true, true) => "neither frontend nor backend",
        (true, false) => "no frontend",
        _ => "no backend",
    };
    let (noun, name) = (draft.kind.noun(), &draft.name);
    cx.warn(&format!(
        "'{keyword}' ignored because {noun} '{name}' has {missing} capability.{hint}"
    ));
}

/// `bind-process`, which has no effect any more: there is one process.
fn bind_process(cx: &mut Cx<'_>, words: &Words) {
    for word in words.rest(1).iter().take_while(|word| *word != "all") {
        let (first, rest) = digits(word);
        let last = rest.strip_prefix('-').map_or((first, rest), digits);
        let is_one = (first, last) == (1, (1, ""));
        if is_one || matches!(word.as_str(), "odd" | "even") {
            continue;
        }
        let is_number = word.len() > rest.len() && last.1.is_empty();
        let hint = if is_number { " It supports numbers from 1 to 1.\n" } else { "" };
        let wrong = format!("'{word}' is not a valid number/range.{hint}");
        return cx.alert(&format!("bind-process : {wrong}"));
    }
    cx.warn_tight(
        "'bind-process' has no effect, is deprecated, and will be removed in version 2.7.",
    );
}

/// Warns when this is no frontend.
pub(super) fn wants_frontend(cx: &mut Cx<'_>, draft: &Draft, keyword: &str) {
    if !draft.is_frontend() {
        warn_misplaced(cx, draft, keyword, true, false, "");
    }
}

/// Warns when this is no backend.
pub(super) fn wants_backend(cx: &mut Cx<'_>, draft: &Draft, keyword: &str) {
    if !draft.is_backend() {
        warn_misplaced(cx, draft, keyword, false, true, "");
    }
}

/// Complains when this is `defaults`. Returns whether it is not.
pub(super) fn not_in_defaults(cx: &mut Cx<'_>, draft: &Draft, keyword: &str) -> bool {
    if draft.kind == Kind::Defaults {
        cx.alert(&format!("'{keyword}' not allowed in 'defaults' section."));
    }
    draft.kind != Kind::Defaults
}

fn count(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, field: fn(&mut Draft) -> &mut i32) {
    let keyword = &words[0];
    match keyword {
        "fullconn" if !draft.is_backend() => {
            let hint = " Maybe you want 'maxconn' instead ?";
            warn_misplaced(cx, draft, keyword, false, true, hint);
        }
        "maxconn" if !draft.is_frontend() => {
            let hint = " Maybe you want 'fullconn' instead ?";
            warn_misplaced(cx, draft, keyword, true, false, hint);
        }
        "backlog" => wants_frontend(cx, draft, keyword),
        _ => {}
    }
    if !words.has(1) {
        return cx.alert(&format!("'{keyword}' expects an integer argument."));
    }
    *field(draft) = leading_int(&words[1]);
    cx.at_most(words, 1, 0);
}

fn retries(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, &words[0]);
    if !cx.at_most(words, 1, 0) {
        return;
    }
    if !words.has(1) {
        return cx.alert("'retries' expects an integer argument (dispatch counts for one).");
    }
    draft.retries = leading_int(&words[1]);
}

fn mode(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !cx.at_most(words, 1, 0) {
        return;
    }
    match &words[1] {
        "tcp" => draft.mode = Mode::Tcp,
        "http" => draft.mode = Mode::Http,
        "health" => cx.alert(
            "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.",
        ),
        other => cx.alert(&format!("unknown proxy mode '{other}'.")),
    }
}

fn id(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if draft.kind == Kind::Defaults {
        return cx.alert_tight(&format!("'{}' not allowed in 'defaults' section.", &words[0]));
    }
    if !cx.at_most(words, 1, 0) {
        return;
    }
    if !words.has(1) {
        return cx.alert_tight(&format!("'{}' expects an integer argument.", &words[0]));
    }
    let id = leading_number(&words[1]) as i32;
    if id <= 0 {
        return cx.alert_tight("custom id has to be > 0.");
    }
    let id = id as u32;
    if let Some((noun, name, spot)) = cx.used_ids.get(&id) {
        let (other, this) = (draft.kind.noun(), &draft.name);
        let text = format!(
            "{other} {this} reuses same custom id as {noun} {name} (declared at {}:{}).",
            spot.file, spot.line
        );
        return cx.alert_tight(&text);
    }
    cx.used_ids.insert(id, (draft.kind.noun(), draft.name.clone(), draft.spot.clone()));
    draft.id = Some(id);
}

fn description(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if draft.kind == Kind::Defaults {
        return cx.alert_tight(&format!("'{}' not allowed in 'defaults' section.", &words[0]));
    }
    if !words.has(1) {
        return cx.alert_tight(&format!("'{}' expects a string argument.", &words[0]));
    }
    draft.description = Some(readable(&words.rest(1).join(" ")));
}

/// `load-server-state-from-file`: a machine that has just booted remembers nothing.
fn state_from_file(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let (keyword, from) = (&words[0], &words[1]);
    wants_backend(cx, draft, keyword);
    draft.loads_state = match from {
        "global" => true,
        "local" | "none" => false,
        _ => {
            return cx
                .alert(&format!("'{keyword}' expects 'global', 'local' or 'none'. Got '{from}'"));
        }
    };
    if from != "none" {
        cx.notice(keyword, &format!("'{keyword}' has no effect: {}.", super::global::NO_STATE));
    }
}

fn state_file_name(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, &words[0]);
    cx.at_most(words, 1, 0);
}

/// A format and nothing else in a line.
fn one_format(cx: &mut Cx<'_>, words: &Words) -> bool {
    let keyword = &words[0];
    if !words.has(1) {
        cx.alert(&format!("{keyword} expects an argument."));
        return false;
    }
    if words.has(2) {
        cx.alert(&format!("{keyword} expects only one argument, don't forget to escape spaces!"));
        return false;
    }
    true
}

fn log_format(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if one_format(cx, words) {
        option::set_log_format(cx, draft, LogText::Text(words[1].to_owned()), "log-format");
        option::warn_in_backend(cx, draft, "log-format");
    }
}

fn error_log_format(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !one_format(cx, words) {
        return;
    }
    if draft.kind == Kind::Defaults && draft.error_log_format.is_some() {
        cx.warn_tight(
            "'error-log-format' overrides previous 'error-log-format' in 'defaults' section.",
        );
    }
    draft.error_log_format = Some((words[1].to_owned(), cx.spot.clone()));
    option::warn_in_backend(cx, draft, "error-log-format");
}

fn unique_id_format(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if one_format(cx, words) {
        draft.unique_id_format = Some((words[1].to_owned(), cx.spot.clone()));
    }
}

/// `clitcpka-*`, `srvtcpka-*`.
fn probes(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let (keyword, value) = (&words[0], &words[1]);
    if value.is_empty() {
        return cx.alert(&format!("'{keyword}' expects an integer value"));
    }
    let number = if keyword.ends_with("cnt") {
        match value.chars().find(|c| !c.is_ascii_digit()) {
            None => leading_number(value).min(i64::from(u32::MAX)) as u32,
            Some(at) => {
                return cx.alert(&format!(
                    "'{keyword}' : unexpected character '{at}' in integer value '{value}'"
                ));
            }
        }
    } else {
        match cx.time(value, Unit::Seconds) {
            Ok(seconds) => seconds,
            Err(wrong) => return cx.alert(&no_time(wrong, keyword, value)),
        }
    };
    let side = usize::from(keyword.starts_with("srv"));
    let (fits, missing) = match side {
        0 => (draft.is_frontend(), "frontend"),
        _ => (draft.is_backend(), "backend"),
    };
    if !fits {
        let (noun, name) = (draft.kind.noun(), &draft.name);
        cx.warn(&format!(
            "{keyword} will be ignored because {noun} '{name}' has no {missing} capability"
        ));
    }
    let which = ["cnt", "idle", "intvl"].iter().position(|end| keyword.ends_with(end));
    draft.probes[side][which.unwrap_or(0)] = Some(number);
}

fn no_time(wrong: NoTime, keyword: &str, value: &str) -> alloc::string::String {
    match wrong {
        NoTime::Over => format!(
            "timer overflow in argument '{value}' to '{keyword}' \
             (maximum value is 2147483647 ms or ~24.8 days)"
        ),
        NoTime::At(at) => {
            let at = at.unwrap_or_default();
            format!("unexpected character '{at}' in argument to <{keyword}>.\n")
        }
    }
}
