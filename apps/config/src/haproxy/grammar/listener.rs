//! `bind`: addresses, and what follows them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::address::{self, Allowed, Host};
use super::cx::Cx;
use super::draft::Draft;
use super::nearest::nearest;
use super::number::{self, NoTime, Unit};
use super::proxy::{not_in_defaults, wants_frontend};
use super::text::{is_space, leading_int, readable};
use super::words::Words;
use super::{hosts, known, text};
use crate::haproxy::{Bind, BindAddress};

/// At most so many listeners in one section: a range of ports is one for each.
const LISTENERS_MAX: usize = 1024;

pub(super) fn bind(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if !not_in_defaults(cx, draft, "bind") {
        return;
    }
    wants_frontend(cx, draft, "bind");
    if !words.has(1) {
        return cx.alert(
            "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.",
        );
    }
    let mut binds = match listeners(cx, &words[1]) {
        Ok(binds) => binds,
        Err(wrong) => {
            let wrong = wrong.trim_end_matches('\n');
            return cx.alert(&format!("'bind' : {wrong}"));
        }
    };
    if draft.binds.len() + binds.len() > LISTENERS_MAX {
        let (name, most) = (&draft.name, LISTENERS_MAX);
        return cx.alert(&format!("'bind' : more than {most} listeners in '{name}'."));
    }
    if !options(cx, draft, words, &mut binds) {
        return;
    }
    if let [bind] = &binds[..]
        && bind.id > 0
    {
        draft.bind_texts.push((bind.id, words[1].to_owned()));
    }
    draft.binds.append(&mut binds);
}

/// One listener for each address and port.
fn listeners(cx: &Cx<'_>, text: &str) -> Result<Vec<Bind>, String> {
    let allowed = Allowed { port_mandatory: true, range: true, name: true, ..Allowed::default() };
    let mut binds = Vec::new();
    for address in text.split(',').filter(|part| !part.is_empty()) {
        let expanded = cx.environment.expand(address);
        let inherited = expanded.strip_prefix("fd@").and_then(|number| cx.inherited(number));
        if let Some(at) = inherited {
            binds.push(Bind { place: cx.place(), ..Bind::new(at) });
            continue;
        }
        let parsed = address::parse(&cx.environment, address, allowed)?;
        let addr = match parsed.host {
            Host::Addr(addr) => addr,
            Host::Name(name) => hosts::find(cx, &name)
                .ok_or_else(|| format!("invalid address: '{name}' in '{address}'\n"))?,
            Host::Local(_) => continue,
        };
        for port in parsed.port..=parsed.last {
            let at = BindAddress { addr, port: port as u16 };
            binds.push(Bind { place: cx.place(), ..Bind::new(at) });
            if binds.len() > LISTENERS_MAX {
                return Err(format!("more than {LISTENERS_MAX} listeners in '{text}'"));
            }
        }
    }
    Ok(binds)
}

/// What an option takes, and how it is read. `Err` holds what HAProxy says behind the option's name.
enum Option_ {
    Flag(fn(&mut Bind)),
    Value(fn(&mut Cx<'_>, &mut [Bind], &str, &str) -> Result<(), String>),
    /// Read and without effect here: why.
    Idle(&'static str, usize),
}

use Option_::{Flag, Idle, Value};

const OPTIONS: &[(&str, Option_)] = &[
    ("accept-proxy", Flag(|bind| bind.accept_proxy = true)),
    (
        "backlog",
        Value(|_, binds, name, value| count(binds, name, value, "> 0", |it| &mut it.backlog)),
    ),
    ("defer-accept", Flag(|bind| bind.defer_accept = true)),
    ("expose-fd", Idle("there is no other process", 1)),
    ("gid", Idle("there are no users", 1)),
    ("group", Idle("there are no users", 1)),
    ("id", Value(id)),
    (
        "interface",
        Value(|_, binds, name, value| {
            if value.is_empty() {
                return Err(format!("'{name}' : missing interface name"));
            }
            binds.iter_mut().for_each(|bind| bind.interface = Some(readable(value)));
            Ok(())
        }),
    ),
    ("level", Idle("it is for control ports", 1)),
    (
        "maxconn",
        Value(|_, binds, name, value| count(binds, name, value, ">= 0", |it| &mut it.maxconn)),
    ),
    ("mode", Idle("there are no users", 1)),
    ("mss", Value(mss)),
    (
        "name",
        Value(|_, binds, name, value| {
            if value.is_empty() {
                return Err(format!("'{name}' : missing name"));
            }
            binds.iter_mut().for_each(|bind| bind.name = Some(readable(value)));
            Ok(())
        }),
    ),
    (
        "nice",
        Value(|_, _, name, value| match value {
            "" => Err(format!("'{name}' : missing value")),
            _ if (-1024..=1024).contains(&leading_int(value)) => Ok(()),
            _ => Err(format!(
                "'{name}' : invalid value {}, allowed range is -1024..1024",
                leading_int(value)
            )),
        }),
    ),
    ("process", Value(process)),
    ("severity-output", Idle("it is for control ports", 1)),
    (
        "shards",
        Value(|_, _, name, value| match value {
            "" => Err(format!("'{name}' : missing value")),
            "by-thread" => Ok(()),
            _ if (1..=64).contains(&leading_int(value)) => Ok(()),
            _ => Err(format!(
                "'{name}' : invalid value {}, allowed range is 1..64 or 'by-thread'",
                leading_int(value)
            )),
        }),
    ),
    ("tcp-ut", Value(user_timeout)),
    ("tfo", Flag(|bind| bind.fast_open = true)),
    ("thread", Value(thread)),
    ("uid", Idle("there are no users", 1)),
    ("user", Idle("there are no users", 1)),
    // As on Linux, the IPv6 wildcard takes both unless told otherwise, and `v6only` is the stronger.
    ("v4v6", Flag(|_| ())),
    ("v6only", Flag(|bind| bind.both_families = false)),
];

/// Returns whether all options are good.
fn options(cx: &mut Cx<'_>, draft: &Draft, words: &Words, binds: &mut [Bind]) -> bool {
    let (section, address) = (cx.section, words[1].to_owned());
    let mut at = 2;
    while words.has(at) {
        let (name, value) = (&words[at], &words[at + 1]);
        let Some((_, option)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
            unknown(cx, name, &address);
            return false;
        };
        match option {
            Flag(set) => binds.iter_mut().for_each(set),
            Value(set) => {
                if let Err(wrong) = set(cx, binds, name, value) {
                    let wrong = wrong.trim_end_matches('\n');
                    cx.alert(&format!("'bind {address}' in section '{section}' : {wrong}"));
                    return false;
                }
                at += 1;
            }
            Idle(why, values) => {
                cx.notice(name, &format!("'bind .. {name}' has no effect: {why}."));
                at += values;
            }
        }
        if name == "process" {
            let old = deprecated_process(value);
            cx.warn(&format!("'bind {address}' in section '{section}' : {old}"));
        }
        if name == "id"
            && let Some(id) = binds.first().map(|bind| bind.id)
            && let Some(other) = draft.binds.iter().find(|other| other.id == id)
        {
            let place = &other.place;
            let written = draft.bind_texts.iter().find(|(known, _)| *known == id);
            let written = written.map_or("", |(_, text)| text);
            cx.alert(&format!(
                "'bind {address}' in section '{section}' : 'id' : custom id {id} already used at \
                 {}:{} ('bind {written}')",
                place.file, place.line
            ));
            return false;
        }
        at += 1;
    }
    true
}

fn unknown(cx: &mut Cx<'_>, name: &str, address: &str) {
    let section = cx.section;
    let head = format!("'bind {address}' in section '{section}'");
    if known::BIND.contains(&name) {
        return cx.alert(&format!("{head} : '{name}' is not supported yet."));
    }
    let all = known::BIND.iter().copied().chain(OPTIONS.iter().map(|(known, _)| *known));
    let best = nearest(name, all);
    let hint = best.map(|best| format!("; did you mean '{best}' maybe ?"));
    match hint {
        Some(hint) => cx.alert(&format!("{head}: unknown keyword '{name}'{hint}")),
        None => cx.alert(&format!("{head}: unknown keyword '{name}'.")),
    }
}

fn count(
    binds: &mut [Bind],
    name: &str,
    value: &str,
    bound: &str,
    field: fn(&mut Bind) -> &mut Option<u32>,
) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("'{name}' : missing value"));
    }
    let count = leading_int(value);
    if count < 0 {
        return Err(format!("'{name}' : invalid value {count}, must be {bound}"));
    }
    for bind in binds {
        *field(bind) = (count > 0).then_some(count as u32);
    }
    Ok(())
}

fn id(_: &mut Cx<'_>, binds: &mut [Bind], name: &str, value: &str) -> Result<(), String> {
    let [bind] = binds else {
        return Err(format!("'{name}' can only be used with a single socket"));
    };
    if value.is_empty() {
        return Err(format!("'{name}' : expects an integer argument"));
    }
    let digits = value.trim_start_matches(is_space).trim_start_matches(['-', '+']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("'{name}' : expects an integer argument, found '{value}'"));
    }
    match leading_int(value) {
        ..=0 => Err(format!("'{name}' : custom id has to be > 0")),
        id => {
            bind.id = id as u32;
            Ok(())
        }
    }
}

/// `thread`, with its group, of which there is one, before a slash: which of them accept.
fn thread(cx: &mut Cx<'_>, _: &mut [Bind], name: &str, value: &str) -> Result<(), String> {
    let (group, threads) = value.split_once('/').unwrap_or(("1", value));
    let group = leading_int(group);
    if group != 1 {
        let bounds = "thread-group number must be between 1 and 1";
        return Err(format!("'{value}' {bounds} (was {group})"));
    }
    one_of(threads, THREADS_MAX).map_err(|wrong| format!("'{threads}' : {wrong}"))?;
    cx.notice(name, &format!("'bind .. {name}' has no effect: each core accepts its own."));
    Ok(())
}

/// `process`, with its threads behind a slash: which of them accept.
fn process(cx: &mut Cx<'_>, _: &mut [Bind], name: &str, value: &str) -> Result<(), String> {
    processes(value).map_err(|wrong| format!("'{name}' : {wrong}"))?;
    cx.notice(name, &format!("'bind .. {name}' has no effect: each core accepts its own."));
    Ok(())
}

/// Looks at the value of `process`.
///
/// # Errors
/// HAProxy's words.
pub(super) fn processes(value: &str) -> Result<(), String> {
    let (processes, threads) = match value.split_once('/') {
        Some((processes, threads)) => (processes, Some(threads)),
        None => (value, None),
    };
    one_of(processes, 1)?;
    threads.map_or(Ok(()), |threads| one_of(threads, THREADS_MAX))
}

/// A set of numbers from 1 to `most`: a word, a number, a range, or one without an end.
///
/// # Errors
/// HAProxy's words.
fn one_of(text: &str, most: i32) -> Result<(), String> {
    if matches!(text, "all" | "odd" | "even") {
        return Ok(());
    }
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (text, None),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(first) || !last.is_none_or(are_digits) {
        return Err(format!("'{text}' is not a valid number/range."));
    }
    let first_number = leading_int(first);
    let last_number = match last {
        None => first_number,
        Some("") => most,
        Some(last) => leading_int(last),
    };
    match first_number.min(last_number) >= 1 && first_number.max(last_number) <= most {
        true => Ok(()),
        false => Err(format!(
            "'{text}' is not a valid number/range. It supports numbers from 1 to {most}.\n"
        )),
    }
}

/// What HAProxy thinks of `process`.
pub(super) fn deprecated_process(value: &str) -> String {
    let instead = value.split_once('/').map(|(_, threads)| threads);
    let instead = instead.map(|threads| format!(" Please use 'thread {threads}' instead."));
    format!(
        "'process {value}' on 'bind' lines is deprecated and will be removed in 2.7.{}",
        instead.unwrap_or_default()
    )
}

/// As many as HAProxy of Debian is built for.
const THREADS_MAX: i32 = 64;

fn mss(_: &mut Cx<'_>, binds: &mut [Bind], name: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("'{name}' : missing MSS value"));
    }
    let mss = text::leading_number(value);
    if mss == 0 || mss.abs() > 65_535 {
        return Err(format!(
            "'{name}' : expects an MSS with and absolute value between 1 and 65535"
        ));
    }
    let mss = mss.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
    binds.iter_mut().for_each(|bind| bind.mss = Some(mss));
    Ok(())
}

fn user_timeout(
    cx: &mut Cx<'_>,
    binds: &mut [Bind],
    name: &str,
    value: &str,
) -> Result<(), String> {
    let ms = user_timeout_ms(cx, name, value)?;
    binds.iter_mut().for_each(|bind| bind.user_timeout = number::limit(ms));
    Ok(())
}

/// `tcp-ut`, of listeners and servers.
pub(super) fn user_timeout_ms(cx: &mut Cx<'_>, name: &str, value: &str) -> Result<u32, String> {
    if value.is_empty() {
        return Err(format!("'{name}' : missing TCP User Timeout value"));
    }
    cx.time(value, Unit::Milliseconds).map_err(|wrong| match wrong {
        NoTime::Over => format!(
            "timer overflow in argument '{value}' to '{name}' \
             (maximum value is 2147483647 ms or ~24.8 days)"
        ),
        NoTime::At(_) => format!("'{name}' : expects a positive delay in milliseconds"),
    })
}
