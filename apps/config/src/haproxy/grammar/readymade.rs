//! Options that are a whole health check: Redis, SMTP, PostgreSQL, MySQL, LDAP, TLS, agents of SPOP.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use super::checks::{Step, formatted, plain};
use super::cx::Cx;
use super::draft::Draft;
use super::proxy::wants_backend;
use super::text::bytes;
use super::words::Words;
use crate::haproxy::{CheckStatus, Connect, Expect, ExpectMatch, Format, Item, Reply};

/// A connection that ends with a FIN: these servers would log a reset.
fn polite() -> Step {
    Step::Connect(Connect { default: true, linger: true, ..Connect::default() })
}

fn send(bytes: Vec<u8>) -> Step {
    Step::Send { bytes: Format(alloc::vec![Item::Text(bytes)]), is_hex: false, comment: None }
}

fn expect(matching: ExpectMatch, set: impl FnOnce(&mut Expect)) -> Step {
    let mut expect = Expect::of(matching);
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

/// A message that is read as its protocol has it.
fn reply(reply: Reply) -> Step {
    Step::Expect(Expect::of(ExpectMatch::Reply(reply)))
}

pub(super) fn mysql(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "mysql-check");
    if !cx.at_most(words, 3, 1) {
        return;
    }
    let mut steps = alloc::vec![polite()];
    if !words.has(2) {
        steps.push(reply(Reply::MysqlHandshake));
        return draft.check.set_ready(steps);
    }
    let (what, user, version) = (&words[2], bytes(&words[3]), &words[4]);
    if what != "user" {
        return cx.alert(&format!(
            "'option mysql-check' only supports optional values: 'user' (got '{what}')."
        ));
    }
    if user.is_empty() {
        return cx.alert("'option mysql-check user' expects <username> as argument.");
    }
    let capabilities: &[u8] = match version {
        // HandshakeResponse41: capabilities, the largest packet, UTF-8, 23 zeros (MySQL's protocol).
        "" | "post-41" => &MYSQL_41,
        // HandshakeResponse320: capabilities, the largest packet.
        "pre-41" => &[0, 0x80, 0, 0, 1],
        other => {
            return cx.alert(&format!(
                "keyword 'user' only supports 'post-41' and 'pre-41' (got '{other}')."
            ));
        }
    };
    let length = (capabilities.len() + user.len() + 2) as u32;
    let mut login = Vec::from(&length.to_le_bytes()[..3]);
    login.push(1);
    login.extend_from_slice(capabilities);
    login.extend_from_slice(&user);
    login.extend_from_slice(&[0, 0]);
    // COM_QUIT.
    login.extend_from_slice(&[1, 0, 0, 0, 1]);
    steps.extend([send(login), reply(Reply::MysqlHandshake), reply(Reply::MysqlLogin)]);
    draft.check.set_ready(steps);
}

const MYSQL_41: [u8; 32] = {
    let mut bytes = [0; 32];
    (bytes[1], bytes[5], bytes[7], bytes[8]) = (0x82, 0x80, 1, 0x21);
    bytes
};

pub(super) fn ldap(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "ldap-check");
    if !cx.at_most(words, 0, 1) {
        return;
    }
    // An anonymous bind of version 3 (RFC 4511 section 4.2).
    let bind = [0x30, 12, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];
    draft.check.set_ready(alloc::vec![
        send(Vec::from(bind)),
        expect(hex("^30"), |it| {
            it.min_recv = Some(14);
            it.on_error = Some(plain("Not LDAPv3 protocol"));
        }),
        reply(Reply::LdapBind),
    ]);
}

pub(super) fn tls(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "ssl-hello-chk");
    if !cx.at_most(words, 0, 1) {
        return;
    }
    let Some(hello) = format_of(cx, draft, &client_hello()) else { return };
    draft.check.set_ready(alloc::vec![
        Step::Send { bytes: hello, is_hex: true, comment: None },
        expect(hex("^1[56]"), |it| {
            it.min_recv = Some(5);
            it.ok_status = Some(CheckStatus::Layer6Ok);
            it.error_status = Some(CheckStatus::Layer6Response);
            it.timeout_status = Some(CheckStatus::Layer6Timeout);
        }),
    ]);
}

/// The ClientHello of SSL 3.0 that HAProxy sends (RFC 6101 section 5.6.1.2), as a format that makes
/// hexadecimal digits: the time, 28 bytes that are no secret, 39 cipher suites.
fn client_hello() -> alloc::string::String {
    let suites = (0x01..=0x1b).chain(0x2f..=0x3a).map(|suite: u16| format!("{suite:04X}"));
    let suites: alloc::string::String = suites.collect();
    let random = "%[date(),htonl,hex]%[str(HAPROXYSSLCHK\nHAPROXYSSLCHK\n),hex]";
    format!("1603000079010000750300{random}00004E{suites}0100")
}

pub(super) fn spop(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "spop-check");
    if !cx.at_most(words, 0, 1) {
        return;
    }
    // HAPROXY-HELLO (SPOE's documentation, section 3.2.4): the last fragment, of no stream; then names
    // and values: 8 is a text with its length, 3 a number (16380), 0x11 true.
    let hello =
        b"\x01\0\0\0\x01\0\0\x12supported-versions\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\
        \x0ccapabilities\x08\0\x0bhealthcheck\x11";
    let frame = [&(hello.len() as u32).to_be_bytes()[..], hello].concat();
    draft.check.set_ready(alloc::vec![send(frame), reply(Reply::SpopHello)]);
}

/// Those that are not here yet.
pub(super) fn missing(cx: &mut Cx<'_>, _: &mut Draft, words: &Words) {
    cx.alert(&format!("'option {}' is not supported yet.", &words[1]));
}
