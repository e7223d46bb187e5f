//! Options that are a whole health check: Redis, SMTP, PostgreSQL.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use super::checks::{Step, formatted, plain};
use super::cx::Cx;
use super::draft::Draft;
use super::expect::blank;
use super::proxy::wants_backend;
use super::text::bytes;
use super::words::Words;
use crate::haproxy::{CheckStatus, Connect, Expect, ExpectMatch, Format, Item};

/// A connection that ends with a FIN: these servers would log a reset.
fn polite() -> Step {
    Step::Connect(Connect { default: true, linger: true, ..Connect::default() })
}

fn send(bytes: Vec<u8>) -> Step {
    Step::Send { bytes: Format(alloc::vec![Item::Text(bytes)]), comment: None }
}

fn expect(matching: ExpectMatch, set: impl FnOnce(&mut Expect)) -> Step {
    let mut expect = blank(matching);
    set(&mut expect);
    Step::Expect(expect)
}

fn regex(text: &str) -> ExpectMatch {
    ExpectMatch::Regex(text.to_owned())
}

/// A format that is known to be good.
fn format_of(cx: &mut Cx<'_>, draft: &Draft, text: &str) -> Option<Format> {
    formatted(cx, draft, text).ok()
}

const REPLY: &str = "%[res.payload(0,0),cut_crlf]";
const REPLY_TEXT: &str = "%[res.payload(4,0),ltrim(' '),cut_crlf]";

pub(super) fn redis(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "redis-check");
    if !cx.at_most(words, 0, 1) {
        return;
    }
    let on_error = format_of(cx, draft, REPLY);
    draft.check.set_ready(alloc::vec![
        send(b"*1\r\n$4\r\nPING\r\n".to_vec()),
        expect(ExpectMatch::Bytes(b"+PONG\r\n".to_vec()), |it| {
            it.error_status = Some(CheckStatus::Layer7Status);
            it.on_error = on_error;
            it.on_success = Some(plain("Redis server is ok"));
        }),
    ]);
}

pub(super) fn smtp(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "smtpchk");
    if !cx.at_most(words, 2, 1) {
        return;
    }
    let hello = match &words[2] {
        verb @ ("EHLO" | "HELO") if words.has(3) => format!("{verb} {}\r\n", &words[3]),
        _ => "HELO localhost\r\n".to_owned(),
    };
    let (reply, text) = (format_of(cx, draft, REPLY), format_of(cx, draft, REPLY_TEXT));
    let code = status_code();
    let is_2xx = |it: &mut Expect| {
        it.error_status = Some(CheckStatus::Layer7Status);
        it.on_error = text.clone();
        it.status_code = Some(code.clone());
    };
    draft.check.set_ready(alloc::vec![
        polite(),
        expect(regex("^[0-9]{3}[ \r]"), |it| {
            it.min_recv = Some(4);
            it.error_status = Some(CheckStatus::Layer7Response);
            it.on_error = reply;
        }),
        expect(regex("^2[0-9]{2}[ \r]"), |it| {
            is_2xx(it);
            it.min_recv = Some(4);
        }),
        send(bytes(&hello)),
        expect(regex("^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]"), |it| {
            is_2xx(it);
            it.on_success = text.clone();
        }),
        send(b"QUIT\r\n".to_vec()),
        expect(regex("^2[0-9]{2}[- \r]"), |it| {
            is_2xx(it);
            it.min_recv = Some(4);
            it.on_success = text.clone();
        }),
    ]);
}

/// The first three bytes of a reply, as a number.
fn status_code() -> crate::haproxy::Sample {
    let way = super::draft::Draft::way(true);
    crate::haproxy::Fetch::Payload { way, offset: 0, length: 3 }.into()
}

pub(super) fn pgsql(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "pgsql-check");
    if !cx.at_most(words, 2, 1) {
        return;
    }
    if !words.has(2) || !words.has(3) {
        return cx.alert("'option pgsql-check' expects 'user <username>' as argument.");
    }
    if &words[2] != "user" {
        return cx.alert("'option pgsql-check' only supports optional values: 'user'.");
    }
    // A start-up message of version 3.0 (PostgreSQL's documentation, "Message Formats").
    let user = bytes(&words[3]);
    let mut hello = Vec::new();
    hello.extend_from_slice(&(15 + user.len() as u32).to_be_bytes());
    hello.extend_from_slice(&[0, 3, 0, 0]);
    hello.extend_from_slice(b"user\0");
    hello.extend_from_slice(&user);
    hello.extend_from_slice(&[0, 0]);
    let text = format_of(cx, draft, "%[res.payload(6,0)]");
    draft.check.set_ready(alloc::vec![
        polite(),
        send(hello),
        expect(regex("^E"), |it| {
            it.negated = true;
            it.min_recv = Some(5);
            it.error_status = Some(CheckStatus::Layer7Response);
            it.on_error = text;
        }),
        expect(hex("^52000000[A-Z0-9]{2}000000(00|02|03|04|05|06|07|09|0A)"), |it| {
            it.min_recv = Some(9);
            it.error_status = Some(CheckStatus::Layer7Status);
            it.on_success = Some(plain("PostgreSQL server is ok"));
            it.on_error = Some(plain("PostgreSQL unknown error"));
        }),
    ]);
}

fn hex(text: &str) -> ExpectMatch {
    ExpectMatch::HexRegex(text.to_owned())
}

/// Those that are not here yet.
pub(super) fn missing(cx: &mut Cx<'_>, _: &mut Draft, words: &Words) {
    cx.alert(&format!("'option {}' is not supported yet.", &words[1]));
}
