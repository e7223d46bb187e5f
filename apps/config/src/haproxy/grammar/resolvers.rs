//! `resolvers` sections (configuration manual, section 5.3.2).

use alloc::format;

use penstock_stack::Duration;

use super::address::{self, Allowed, Host};
use super::cx::Cx;
use super::number::{NoTime, Unit};
use super::text::{invalid_in_name, leading_number};
use super::words::Words;
use crate::haproxy::{BindAddress, Patience, Resolvers};

/// A section begins.
pub(super) fn begin(cx: &mut Cx<'_>, words: &Words) {
    let name = &words[1];
    if !words.has(1) {
        cx.alert("missing name for resolvers section.");
    } else if let Some(wrong) = invalid_in_name(name) {
        cx.alert(&format!("character '{wrong}' is not permitted in 'resolvers' name '{name}'."));
    }
    if cx.resolvers.iter().any(|other| other.name == name) {
        cx.alert(&format!("resolvers '{name}' has same name as another resolvers."));
    }
    cx.resolvers.push(Resolvers { name: name.into(), ..Resolvers::default() });
}

/// A line of it.
pub(super) fn line(cx: &mut Cx<'_>, words: &Words) {
    let keyword = &words[0];
    match keyword {
        "nameserver" => nameserver(cx, words),
        "parse-resolv-conf" => {
            cx.notice(keyword, "'parse-resolv-conf' : there is no such file, the machine's name servers are asked.");
        }
        "hold" => {
            if !words.has(2) {
                return cx.alert("'hold' expects an <event> and a <time> as arguments.");
            }
            let event: fn(&mut Patience) -> &mut Duration = match &words[1] {
                "nx" => |patience| &mut patience.hold_nx,
                "other" => |patience| &mut patience.hold_other,
                "refused" => |patience| &mut patience.hold_refused,
                "timeout" => |patience| &mut patience.hold_timeout,
                "obsolete" => |patience| &mut patience.hold_obsolete,
                "valid" if time(cx, &words[2], keyword).is_some() => {
                    return idle(cx, keyword, "names are asked for as 'timeout resolve' says.");
                }
                "valid" => return,
                _ => {
                    let event = &words[1];
                    return cx.alert(&format!(
                    "'hold' unknown <event>: '{event}', expects either 'nx', 'timeout', 'valid', \
                     'obsolete' or 'other'."
                ));
                }
            };
            let span = time(cx, &words[2], keyword);
            set(cx, event, span);
        }
        "timeout" => match &words[1] {
            "resolve" | "retry" if !words.has(2) => {
                let what = &words[1];
                cx.alert(&format!("'timeout {what}' expects <time> as argument."));
            }
            "resolve" | "retry" => {
                let span = time(cx, &words[2], &format!("timeout {}", &words[1]));
                match &words[1] {
                    "resolve" => set(cx, |patience| &mut patience.pause, span),
                    _ => set(cx, |patience| &mut patience.retry, span),
                }
            }
            "" => cx.alert("'timeout' expects 'retry' or 'resolve' and <time> as arguments."),
            other => cx.alert(&format!(
                "'timeout' expects 'retry' or 'resolve' and <time> as arguments got '{other}'."
            )),
        },
        "resolve_retries" | "accepted_payload_size" if !words.has(1) => {
            cx.alert(&format!("'{keyword}' expects <nb> as argument."));
        }
        "accepted_payload_size" => {
            let size = &words[1];
            if !(512..=65_535).contains(&leading_number(size)) {
                return cx.alert(&format!(
                    "'accepted_payload_size' must be between 512 and 65535 inclusive (was {size})."
                ));
            }
            idle(cx, keyword, "what does not fit is asked for over TCP.");
        }
        "resolve_retries" => {
            let tries = leading_number(&words[1]).clamp(1, TRIES_MAX);
            set(cx, |patience| &mut patience.tries, Some(tries as u32));
        }
        _ => cx.alert(&format!("unknown keyword '{keyword}' in 'resolvers' section")),
    }
}

/// Takes what a line says of the section, if it could be read.
fn set<T>(cx: &mut Cx<'_>, of: impl FnOnce(&mut Patience) -> &mut T, value: Option<T>) {
    if let (Some(section), Some(value)) = (cx.resolvers.last_mut(), value) {
        *of(&mut section.patience) = value;
    }
}

fn idle(cx: &mut Cx<'_>, keyword: &str, why: &str) {
    cx.notice(keyword, &format!("'{keyword}' has no effect: {why}"));
}

fn time(cx: &mut Cx<'_>, text: &str, what: &str) -> Option<Duration> {
    let wrong = match cx.time(text, Unit::Milliseconds) {
        Ok(ms) => return Some(Duration::from_millis(ms.into())),
        Err(NoTime::Over) => format!(
            "timer overflow in argument <{text}> to <{what}>, maximum value is 2147483647 ms (~24.8 \
             days)."
        ),
        Err(NoTime::At(at)) => {
            let at = at.unwrap_or_default();
            format!("unexpected character '{at}' in argument to <{what}>.")
        }
    };
    cx.alert_tight(&wrong);
    None
}

fn nameserver(cx: &mut Cx<'_>, words: &Words) {
    let (name, text) = (&words[1], &words[2]);
    if !words.has(2) {
        return cx.alert("'nameserver' expects <name> and <addr>[:<port>] as arguments.");
    }
    if let Some(wrong) = invalid_in_name(name) {
        return cx.alert(&format!("character '{wrong}' is not permitted in server name '{name}'."));
    }
    let allowed = Allowed { port_mandatory: true, ..Allowed::default() };
    let parsed = match address::parse(&cx.environment, text.trim_start_matches("udp@"), allowed) {
        Ok(parsed) => parsed,
        Err(wrong) => return cx.alert(&format!("'nameserver {name}' : {wrong}")),
    };
    let Host::Addr(addr) = parsed.host else {
        return cx.alert(&format!("'nameserver {name}' : a name is not supported yet."));
    };
    if let Some(section) = cx.resolvers.last_mut() {
        section.servers.push((name.into(), BindAddress { addr, port: parsed.port as u16 }));
    }
}

/// Nobody is asked more often in a row.
const TRIES_MAX: i64 = 100;
