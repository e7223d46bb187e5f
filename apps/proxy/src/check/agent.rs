//! `agent-check`: what an agent says of a server, a line of words.
//!
//! ```text
//!   up | down | stopped | fail      its health            ready | drain | maint   what it is to do
//!   75%                             its weight            maxconn:30              its limit
//!   # words                         why, behind the rest
//! ```
//! HAProxy's configuration manual, section 5.2, `agent-check`; of words of a kind the last counts.

use core::fmt::Write;

use penstock_config::haproxy::Algorithm;

use super::report::Status;
use super::subject::Subject;
use crate::line::Line;

/// What is to be done with a server, beside what it is believed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Orders {
    /// `ready`, `drain`, `maint`.
    pub admin: Option<Admin>,
    /// Its weight from now on.
    pub weight: Option<u16>,
    /// Its sessions at once from now on; 0 for no limit.
    pub maxconn: Option<u32>,
}

/// What somebody wants of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// `ready`: it is to serve, if it can.
    Ready,
    /// `drain`: it serves whom it has.
    Drain,
    /// `maint`: it serves nobody and is not checked.
    Maintenance,
}

/// The words of a line that count.
#[derive(Default)]
struct Words<'a> {
    health: Option<(&'a [u8], Status)>,
    orders: Orders,
    /// What was not understood, and what cannot be done.
    error: Option<&'a [u8]>,
    warning: Option<&'static str>,
    why: &'a [u8],
}

/// Reads what an agent said, without the end of its line: the status that it comes to, and orders.
/// What there is to say of it is written to `info`.
pub(super) fn read(text: &[u8], subject: &Subject<'_>, info: &mut Line<'_>) -> (Status, Orders) {
    let Words { health, orders, error, warning, why } = words(text, subject);
    let trouble = error.or(warning.map(str::as_bytes)).unwrap_or_default();
    // A Line takes everything, or its beginning: writing never fails.
    let Some((word, status)) = health else {
        if let Some(error) = error {
            info.push(b"agent reports an error : ");
            info.push(error);
        } else if let Some(warning) = warning {
            let _ = write!(info, "agent warns : {warning}");
        }
        return (Status::Checked, orders);
    };
    info.push(b"via agent : ");
    info.push(word);
    // Why it is down is more important than what is wrong with the line.
    let is_up = status == Status::Layer7Ok;
    let message = if !trouble.is_empty() && (is_up || why.is_empty()) { trouble } else { why };
    if !message.is_empty() {
        info.push(b" (");
        info.push(message);
        info.byte(b')');
    }
    (status, orders)
}

fn words<'a>(text: &'a [u8], subject: &Subject<'_>) -> Words<'a> {
    let mut found = Words::default();
    let mut rest = text;
    let is_gap = |byte: &u8| matches!(byte, b' ' | b'\t' | b',');
    while let Some(begin) = rest.iter().position(|byte| !is_gap(byte)) {
        rest = &rest[begin..];
        if let Some(why) = rest.strip_prefix(b"#") {
            found.why = why.trim_ascii_start();
            break;
        }
        let (word, behind) = rest.split_at(rest.iter().position(is_gap).unwrap_or(rest.len()));
        rest = behind;
        let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        if is("up") {
            found.health = Some((word, Status::Layer7Ok));
        } else if is("down") || is("stopped") || is("fail") {
            found.health = Some((word, Status::Layer7Status));
        } else if is("ready") {
            found.orders.admin = Some(Admin::Ready);
        } else if is("drain") {
            found.orders.admin = Some(Admin::Drain);
        } else if is("maint") {
            found.orders.admin = Some(Admin::Maintenance);
        } else if word[0].is_ascii_digit() && word.contains(&b'%') {
            let weight = weight(word, subject);
            (found.orders.weight, found.warning) = (weight.ok(), weight.err().or(found.warning));
        } else if word.get(..8).is_some_and(|it| it.eq_ignore_ascii_case(b"maxconn:")) {
            let maxconn = maxconn(&word[8..]);
            (found.orders.maxconn, found.warning) = (maxconn.ok(), found.warning.or(maxconn.err()));
        } else {
            found.error = found.error.or(Some(word));
        }
    }
    found
}

/// `75%` of the weight that was configured.
fn weight(word: &[u8], subject: &Subject<'_>) -> Result<u16, &'static str> {
    let (number, rest) = number(word);
    if rest != b"%" {
        return Err(match number {
            0..=256 => "Trailing garbage in weight string",
            _ => "Absolute weight can only be between 0 and 256 inclusive.\n",
        });
    }
    let initial = u64::from(subject.server.weight);
    let weight = (initial * number.min(25_600) / 100).min(256);
    let backend = subject.backend;
    let is_fixed = match &backend.algorithm {
        Algorithm::StaticRoundRobin => true,
        Algorithm::Source | Algorithm::Hash(_) => !backend.hash_type.consistent,
        Algorithm::RoundRobin
        | Algorithm::LeastConn
        | Algorithm::First
        | Algorithm::Random { .. } => false,
    };
    if is_fixed && weight != 0 && weight != initial {
        return Err(
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n",
        );
    }
    Ok(weight as u16)
}

fn maxconn(word: &[u8]) -> Result<u32, &'static str> {
    match number(word) {
        _ if word.is_empty() => Err("Require <maxconn>.\n"),
        (_, rest) if rest.len() == word.len() => Err("maxconn string empty or preceded by garbage"),
        (number, b"") => Ok(number.min(u64::from(u32::MAX)) as u32),
        _ => Err("Trailing garbage in maxconn string"),
    }
}

/// The digits in front as a number, and what is behind them.
fn number(word: &[u8]) -> (u64, &[u8]) {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = word[..digits].iter().fold(0u64, |number, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    (number, &word[digits..])
}
