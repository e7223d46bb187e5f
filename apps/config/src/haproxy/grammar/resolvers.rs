//! `resolvers` sections (configuration manual, section 5.3.2).

use alloc::format;

use super::address::{self, Allowed, Host};
use super::cx::Cx;
use super::number::{NoTime, Unit};
use super::text::{invalid_in_name, leading_number};
use super::words::Words;
use crate::haproxy::{BindAddress, Resolvers};

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
            let known = ["nx", "other", "refused", "timeout", "valid", "obsolete"];
            if !words.has(2) {
                return cx.alert("'hold' expects an <event> and a <time> as arguments.");
            }
            if !known.contains(&&words[1]) {
                let event = &words[1];
                return cx.alert(&format!(
                    "'hold' unknown <event>: '{event}', expects either 'nx', 'timeout', 'valid', \
                     'obsolete' or 'other'."
                ));
            }
            if time(cx, &words[2], keyword) {
                idle(cx, keyword);
            }
        }
        "timeout" => match &words[1] {
            "resolve" | "retry" if !words.has(2) => {
                let what = &words[1];
                cx.alert(&format!("'timeout {what}' expects <time> as argument."));
            }
            "resolve" | "retry" => {
                if time(cx, &words[2], &format!("timeout {}", &words[1])) {
                    idle(cx, keyword);
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
            idle(cx, keyword);
        }
        "resolve_retries" => idle(cx, keyword),
        _ => cx.alert(&format!("unknown keyword '{keyword}' in 'resolvers' section")),
    }
}

/// A word that holds for a time of its own, and would have others ask differently.
fn idle(cx: &mut Cx<'_>, keyword: &str) {
    let why = "names are asked for again when their time is over, and answers that do not come leave \
               what was known.";
    cx.notice(keyword, &format!("'{keyword}' has no effect: {why}"));
}

fn time(cx: &mut Cx<'_>, text: &str, what: &str) -> bool {
    let wrong = match cx.time(text, Unit::Milliseconds) {
        Ok(_) => return true,
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
    false
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
    let parsed = match address::parse(text.trim_start_matches("udp@"), allowed) {
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
