//! Samples come out as HAProxy's do: `recorded.txt` holds expressions and what HAProxy 2.6.12 logged
//! for each with `log-format "%[..]"`, where `-` is a sample that is not there, or is empty.

use super::*;
use penstock_config::haproxy::PayloadBegin;
use penstock_config::haproxy::grammar::{self, File, Files, Input};
use penstock_wire::Addr;
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use crate::session::SessionId;
use crate::variables::Variables;

/// A session from 127.0.0.1 to port 20000, of which only bytes matter.
pub(crate) struct Bytes<'b> {
    pub(crate) request: &'b [u8],
    pub(crate) is_final: bool,
}

impl View for Bytes<'_> {
    fn bytes(&self, way: Way) -> &[u8] {
        if way != Way::Response { self.request } else { &[] }
    }

    fn bytes_max(&self) -> usize {
        16_384
    }

    fn is_final(&self) -> bool {
        self.is_final
    }

    fn fetch<'a>(&'a self, fetch: &'a Fetch) -> Option<Value<'a>> {
        of_session(fetch)
    }

    fn table(&self, _: TableId, _: Option<Counter>, _: Value<'_>) -> Option<i64> {
        None
    }
}

fn of_session<'a>(fetch: &Fetch) -> Option<Value<'a>> {
    match fetch {
        Fetch::Source => Some(Value::Addr(Addr::v4(0x7f00_0001))),
        Fetch::DestinationPort => Some(Value::Int(20_000)),
        _ => None,
    }
}

/// The same session, with variables.
struct Recorded<'v>(&'v Variables);

impl View for Recorded<'_> {
    fn bytes(&self, _: Way) -> &[u8] {
        &[]
    }

    fn bytes_max(&self) -> usize {
        16_384
    }

    fn is_final(&self) -> bool {
        true
    }

    fn fetch<'a>(&'a self, fetch: &'a Fetch) -> Option<Value<'a>> {
        of_session(fetch)
    }

    fn table(&self, _: TableId, _: Option<Counter>, _: Value<'_>) -> Option<i64> {
        None
    }

    fn variable<'a>(&self, variable: VariableId, room: &mut Room<'a>) -> Option<Value<'a>> {
        self.0.value(Some(SessionId(0)), variable, room)
    }

    fn set_variable(&self, variable: VariableId, value: Value<'_>, provisos: Provisos) -> bool {
        self.0.set(Some(SessionId(0)), variable, value, provisos, 0)
    }

    fn unset_variable(&self, variable: VariableId) -> bool {
        self.0.unset(Some(SessionId(0)), variable, 0)
    }
}

/// What is fetched from these bytes, as numbers or text.
fn of_bytes(fetch_: Fetch, request: &[u8], is_final: bool) -> Known<(Option<i64>, Vec<u8>)> {
    let sample = Sample::from(fetch_);
    let view = Bytes { request, is_final };
    let mut work = Workspace::new();
    let mut fetched = fetch(&sample, &view, &mut work);
    fetched.value.map(|value| (value.int(), value.bytes(&mut fetched.room).to_vec()))
}

#[test]
fn expressions_come_out_as_recorded() {
    let mut count = 0;
    for line in include_str!("recorded.txt").lines() {
        let (text, wanted) = line.split_once(" => ").expect("an arrow");
        let (sample, variables) = read(text);
        let view = Recorded(&variables);
        let mut work = Workspace::new();
        let mut fetched = fetch(&sample, &view, &mut work);
        let found = match fetched.value {
            Known::Is(value) => String::from_utf8_lossy(value.text(&mut fetched.room)).into_owned(),
            Known::Never | Known::NotYet => String::new(),
        };
        assert_eq!(if found.is_empty() { "-" } else { &found }, wanted, "{text}");
        count += 1;
    }
    assert!(count > 160, "{count} lines");
}

struct Delivered;

impl Files for Delivered {
    fn bytes(&self, path: &str) -> Option<std::borrow::Cow<'_, [u8]>> {
        (path == "/etc/haproxy/names.map").then_some(std::borrow::Cow::Borrowed(NAMES))
    }
}

const NAMES: &[u8] =
    b"# names\n\n10.0.0.0/8  inside\n  10.1.0.0/16 lab  \n.example.com 7\n1:5 few\n";

/// An expression of a configuration, and the variables that it names.
fn read(text: &str) -> (Sample, Variables) {
    let text = std::format!("frontend f\n bind :1\n acl a '{text}' -m found\n");
    let file = File { name: "a.cfg", bytes: text.as_bytes() };
    let reading = grammar::read(&Input { delivered: &Delivered, ..Input::of(&[file]) });
    let proxies = reading.proxies.unwrap_or_else(|| panic!("{text}: {:?}", reading.messages));
    let sample = proxies.frontends[0].acls[0].tests[0].sample.clone();
    let named = Box::leak(Box::new(proxies.variables));
    let variables = Variables::new(named, 0, 1);
    variables.begin(SessionId(0));
    (sample, variables)
}

/// An expression of a configuration.
pub(crate) fn parse(text: &str) -> Sample {
    read(text).0
}

#[test]
fn payload_is_waited_for_as_far_as_it_can_come() {
    let payload = |offset, length| Fetch::Payload { way: Way::Request, offset, length };
    let found = |fetch, request: &[u8]| of_bytes(fetch, request, false).map(|(_, bytes)| bytes);
    assert_eq!(found(payload(1, 2), b"abc"), Known::Is(b"bc".to_vec()));
    assert_eq!(found(payload(1, 3), b"abc"), Known::NotYet);
    assert_eq!(found(payload(1, 0), b"abc"), Known::Is(b"bc".to_vec()));
    assert_eq!(found(payload(3, 0), b"abc"), Known::Is(b"".to_vec()));
    assert_eq!(found(payload(4, 0), b"abc"), Known::NotYet);
    assert_eq!(found(payload(16_000, 385), b"abc"), Known::Never);
    assert_eq!(found(payload(u32::MAX, u32::MAX), b"abc"), Known::Never);
}

#[test]
fn a_length_in_the_bytes_says_how_many() {
    let by_length =
        |offset, width, begin| Fetch::PayloadByLength { way: Way::Request, offset, width, begin };
    let found = |fetch, request: &[u8]| of_bytes(fetch, request, false).map(|(_, bytes)| bytes);
    let bytes = b"x\0\x03abcdef";
    assert_eq!(found(by_length(1, 2, None), bytes), Known::Is(b"abc".to_vec()));
    let at = Some(PayloadBegin::At(5));
    assert_eq!(found(by_length(1, 2, at), bytes), Known::Is(b"cde".to_vec()));
    let back = Some(PayloadBegin::Relative(-1));
    assert_eq!(found(by_length(1, 2, back), bytes), Known::Is(b"\x03ab".to_vec()));
    let too_far_back = Some(PayloadBegin::Relative(-4));
    assert_eq!(found(by_length(1, 2, too_far_back), bytes), Known::Never);
    assert_eq!(found(by_length(1, 2, None), b"x\0\x03ab"), Known::NotYet);
    assert_eq!(found(by_length(1, 2, None), b"x\0\0ab"), Known::Never);
    assert_eq!(found(by_length(0, 2, None), b"\xff\xff"), Known::Never);
    assert_eq!(found(by_length(0, 8, None), &[0xff; 8]), Known::Never);
}

#[test]
fn protocols_show_themselves() {
    let mut rdp = b"\x03\0\0\0\x25\xe0\0\0\0\0\0Cookie: mstshash=user\r\n".to_vec();
    rdp[3] = rdp.len() as u8;
    let name = |name: &str| Fetch::RdpCookie(Some(name.into()));
    let found = |fetch, request: &[u8]| of_bytes(fetch, request, false).map(|(_, bytes)| bytes);
    assert_eq!(found(Fetch::RdpCookie(None), &rdp), Known::Is(b"user".to_vec()));
    assert_eq!(found(name("mstshash"), &rdp), Known::Is(b"user".to_vec()));
    assert_eq!(found(name("msts"), &rdp), Known::Never);
    for end in 0..rdp.len() {
        assert_eq!(found(name("mstshash"), &rdp[..end]), Known::NotYet);
    }
    let http = |request: &[u8]| of_bytes(Fetch::LooksLikeHttp, request, false).map(|(int, _)| int);
    assert_eq!(http(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Known::Is(Some(1)));
    assert_eq!(http(b"GET / HT"), Known::NotYet);
    assert_eq!(http(b"SSH-2.0-x\r\n"), Known::Never);
}

#[test]
fn the_end_is_waited_for() {
    assert_eq!(of_bytes(Fetch::WaitEnd, b"", false), Known::NotYet);
    assert_eq!(of_bytes(Fetch::WaitEnd, b"", true).map(|(int, _)| int), Known::Is(Some(1)));
}

#[test]
fn maps_give_what_stands_behind_a_key() {
    for (text, wanted) in [
        ("str(10.0.0.0/8),map(/etc/haproxy/names.map)", Some("inside")),
        ("str(x),map(/etc/haproxy/names.map)", None),
        ("str(x),map(/etc/haproxy/names.map,other)", Some("other")),
        ("str(www.example.com),map_end(/etc/haproxy/names.map)", Some("7")),
        ("str(.example.com:80),map_beg(/etc/haproxy/names.map),add(1)", Some("8")),
        ("str(10.1.0.0/16/x),map_sub(/etc/haproxy/names.map)", Some("lab")),
    ] {
        let (sample, variables) = read(text);
        let view = Recorded(&variables);
        let mut work = Workspace::new();
        let mut fetched = fetch(&sample, &view, &mut work);
        let found = match fetched.value {
            Known::Is(value) => Some(value.text(&mut fetched.room).to_vec()),
            Known::Never | Known::NotYet => None,
        };
        assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{text}");
    }
}
