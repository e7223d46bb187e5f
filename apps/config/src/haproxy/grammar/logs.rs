//! `log`: where lines go.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::address::{self, Allowed, Host};
use super::cx::Cx;
use super::draft::Draft;
use super::hosts;
use super::option::Prefix;
use super::text::{digits, leading_int};
use super::words::Words;
use crate::haproxy::{Facility, Level, LogTarget, LogTo, Style};

/// `log` in `global`.
pub(super) fn in_global(cx: &mut Cx<'_>, words: &Words, prefix: Prefix) {
    if prefix == Prefix::No {
        if words.has(1) {
            return cx.alert("log : 'no log' does not expect arguments");
        }
        return cx.global.global.logs.clear();
    }
    if &words[1] == "global" && words.has(1) && !words.has(2) {
        return cx.alert("log : 'global' is not supported for a global syslog server");
    }
    match target(cx, words, "") {
        Ok(target) => cx.global.global.logs.push(target),
        Err(wrong) => cx.alert(&format!("log : {wrong}")),
    }
}

/// `log` in a proxy.
pub(super) fn in_proxy(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words, prefix: Prefix) {
    if prefix == Prefix::No {
        if words.has(1) {
            return cx.alert("log : 'no log' does not expect arguments");
        }
        return draft.logs.clear();
    }
    if &words[1] == "global" && !words.has(2) {
        for (number, target) in cx.global.global.logs.iter().enumerate() {
            if !draft.logs.iter().any(|(_, known)| *known == Some(number)) {
                draft.logs.push((target.clone(), Some(number)));
            }
        }
        return;
    }
    match target(cx, words, "or global") {
        Ok(target) => draft.logs.push((target, None)),
        Err(wrong) => cx.alert(&format!("log : {wrong}")),
    }
}

fn target(cx: &mut Cx<'_>, words: &Words, or_global: &str) -> Result<LogTarget, String> {
    if !words.has(1) || !words.has(2) {
        return Err(format!("expects <address> and <facility> {or_global} as arguments"));
    }
    let mut target = LogTarget {
        to: LogTo::Console,
        style: Style::default(),
        length_max: 1024,
        sample_ranges: Vec::new(),
        sample_size: 0,
        facility: Facility(0),
        most: Level(7),
        least: Level(0),
    };
    let mut at = 2;
    if &words[at] == "len" {
        target.length_max = match leading_int(&words[at + 1]) {
            length @ 80..=65_535 => length as u32,
            _ => {
                let value = &words[at + 1];
                return Err(format!("invalid log length '{value}', must be between 80 and 65535"));
            }
        };
        at += 2;
    }
    if &words[at] == "format" {
        let name = &words[at + 1];
        let found = STYLES.iter().find(|(known, _)| *known == name);
        target.style = found.ok_or_else(|| format!("unknown log format '{name}'"))?.1;
        at += 2;
    } else if cx.global.hostname_in_logs {
        target.style = Style::Rfc3164;
    }
    if &words[at] == "sample" {
        (target.sample_ranges, target.sample_size) = sample(&words[at + 1])?;
        at += 2;
    }
    let facility = &words[at];
    let number = Facility::NAMES.iter().position(|known| *known == facility);
    let number = number.ok_or_else(|| format!("unknown log facility '{facility}'"))?;
    target.facility = Facility(number as u8);
    at += 1;
    if words.has(at) {
        target.most = level(&words[at], "unknown optional log level")?;
        at += 1;
    }
    if words.has(at) {
        target.least = level(&words[at], "unknown optional minimum log level")?;
        at += 1;
    }
    if words.has(at) {
        return Err(format!("cannot handle unexpected argument '{}'", &words[at]));
    }
    target.to = to(cx, &words[1])?;
    Ok(target)
}

fn level(name: &str, wrong: &str) -> Result<Level, String> {
    let number = Level::NAMES.iter().position(|known| *known == name);
    number.map(|number| Level(number as u8)).ok_or_else(|| format!("{wrong} '{name}'"))
}

fn to(cx: &mut Cx<'_>, text: &str) -> Result<LogTo, String> {
    if text.starts_with("ring@") {
        return Err(format!("'{text}': rings are not supported yet"));
    }
    let allowed =
        Allowed { name: true, local: true, datagram: true, stream_too: true, ..Allowed::default() };
    if matches!(text, "stdout" | "stderr") {
        cx.notice(text, &format!("'log {text}' goes to the console."));
        return Ok(LogTo::Console);
    }
    let parsed = address::parse(&cx.environment, text, allowed)?;
    if ["tcp@", "tcp4@", "tcp6@", "stream+"].iter().any(|prefix| text.starts_with(prefix)) {
        return Err(format!("'{text}': logs over TCP are not supported yet"));
    }
    let addr = match parsed.host {
        Host::Addr(addr) => addr,
        Host::Name(name) => hosts::find(cx, &name)
            .ok_or_else(|| format!("invalid address: '{name}' in '{text}'\n"))?,
        Host::Local(_) => {
            cx.notice(
                text,
                &format!("'log {text}' goes to the console: this machine has no such socket."),
            );
            return Ok(LogTo::Console);
        }
    };
    if addr.is_loopback() && !cx.input.route_localnet {
        let why = "no syslog server is on this machine";
        cx.notice(text, &format!("'log {text}' goes to the console: {why}."));
        return Ok(LogTo::Console);
    }
    Ok(LogTo::Udp { addr, port: if parsed.port == 0 { 514 } else { parsed.port as u16 } })
}

/// `1,3-4:10`: which of each ten lines.
fn sample(text: &str) -> Result<(Vec<RangeInclusive<u32>>, u32), String> {
    let (ranges, size) = text.split_once(':').ok_or("Missing sample size")?;
    let mut found: Vec<RangeInclusive<u32>> = Vec::new();
    let mut rest = ranges;
    while !rest.is_empty() {
        let (one, behind) = rest.split_once(',').unwrap_or((rest, ""));
        let wrong = || format!("wrong sample range '{rest}'");
        let (low, after) = digits(one);
        let high = match after.strip_prefix('-') {
            None if after.is_empty() => low,
            None => return Err(wrong()),
            Some(high) => match digits(high) {
                (high, "") if high > low => high,
                _ => return Err(wrong()),
            },
        };
        if low == 0 {
            return Err(wrong());
        }
        if found.iter().any(|it| it.contains(&low) || it.contains(&high)) {
            return Err("ranges are overlapping".to_owned());
        }
        found.push(low..=high);
        rest = behind;
    }
    let most = found.iter().map(|it| *it.end()).max().ok_or("no sampling ranges given")?;
    let (number, after) = digits(size);
    if number == 0 || !after.is_empty() {
        return Err(format!("wrong sample size '{size}' for sample range '{ranges}'"));
    }
    if number < most {
        return Err(format!(
            "sample size {number} should be greater or equal to {most} the maximum of the high ranges limits"
        ));
    }
    found.sort_by_key(|it| *it.start());
    Ok((found, number))
}

const STYLES: &[(&str, Style)] = &[
    ("local", Style::Local),
    ("rfc3164", Style::Rfc3164),
    ("rfc5424", Style::Rfc5424),
    ("priority", Style::Priority),
    ("short", Style::Short),
    ("timed", Style::Timed),
    ("iso", Style::Iso),
    ("raw", Style::Raw),
];
