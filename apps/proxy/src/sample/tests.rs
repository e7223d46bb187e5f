//! Samples come out as HAProxy's do: `recorded.txt` holds expressions and what HAProxy 2.6.12 logged
//! for each with `log-format "%[..]"`, where `-` is a sample that is not there, or is empty.

use super::*;
use core::net::IpAddr;
use penstock_config::haproxy::{Converter, HashFunction, Operation, PayloadBegin};
use penstock_wire::Addr;
use std::string::String;
use std::vec::Vec;

/// A session from 127.0.0.1 to port 20000, of which only bytes matter.
pub(crate) struct Bytes<'b> {
    pub(crate) request: &'b [u8],
    pub(crate) is_final: bool,
}

impl View for Bytes<'_> {
    fn bytes(&self, way: Way) -> &[u8] {
        if way == Way::Request { self.request } else { &[] }
    }

    fn bytes_max(&self) -> usize {
        16_384
    }

    fn is_final(&self) -> bool {
        self.is_final
    }

    fn fetch<'a>(&'a self, fetch: &'a Fetch) -> Option<Value<'a>> {
        match fetch {
            Fetch::Source => Some(Value::Addr(Addr::v4(0x7f00_0001))),
            Fetch::DestinationPort => Some(Value::Int(20_000)),
            _ => None,
        }
    }

    fn table(&self, _: TableId, _: Option<Counter>, _: Value<'_>) -> Option<i64> {
        None
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
        let sample = parse(text);
        let view = Bytes { request: &[], is_final: true };
        let mut work = Workspace::new();
        let mut fetched = fetch(&sample, &view, &mut work);
        let found = match fetched.value {
            Known::Is(value) => String::from_utf8_lossy(value.text(&mut fetched.room)).into_owned(),
            Known::Never | Known::NotYet => String::new(),
        };
        assert_eq!(if found.is_empty() { "-" } else { &found }, wanted, "{text}");
        count += 1;
    }
    assert!(count > 60, "{count} lines");
}

/// Splits at commas outside of parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// An expression, as in a configuration.
pub(crate) fn parse(text: &str) -> Sample {
    let mut parts = parts(text).into_iter().map(|part| {
        let (name, rest) = part.split_once('(').unwrap_or((part, ")"));
        (name, rest.strip_suffix(')').expect("closed").split(',').collect::<Vec<_>>())
    });
    let (name, arguments) = parts.next().expect("a fetch");
    let address = || Addr::from(arguments[0].parse::<IpAddr>().expect("an address"));
    let fetch = match name {
        "str" => Fetch::Text(arguments[0].into()),
        "int" => Fetch::Int(arguments[0].parse().expect("a number")),
        "ipv4" | "ipv6" => Fetch::Addr(address()),
        "bool" => Fetch::Bool(arguments[0] == "true"),
        "bin" => {
            let digit = |at: usize| u8::from_str_radix(&arguments[0][at..at + 2], 16);
            let bytes = (0..arguments[0].len()).step_by(2).map(digit);
            Fetch::Binary(bytes.map(|byte| byte.expect("digits")).collect())
        }
        "always_true" => Fetch::Bool(true),
        "always_false" => Fetch::Bool(false),
        "src" => Fetch::Source,
        "dst_port" => Fetch::DestinationPort,
        "req.len" => Fetch::Length(Way::Request),
        "req.payload" => {
            let number = |at: usize| arguments[at].parse().expect("a number");
            Fetch::Payload { way: Way::Request, offset: number(0), length: number(1) }
        }
        "req.ssl_hello_type" => Fetch::TlsHelloType(Way::Request),
        "req.ssl_sni" => Fetch::TlsServerName,
        "wait_end" => Fetch::WaitEnd,
        _ => panic!("fetch {name}"),
    };
    let converters = parts.map(|(name, arguments)| converter(name, &arguments)).collect();
    Sample { fetch, converters }
}

fn converter(name: &str, arguments: &[&str]) -> Converter {
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<i64>().expect("a number"));
    let first = || number(0).expect("one");
    let count = || number(2).unwrap_or(1) as u32;
    let delimiters = || arguments[1].into();
    let hash = |function| Converter::Hash { function, avalanche: arguments[0] == "1" };
    match name {
        "lower" => Converter::Lower,
        "upper" => Converter::Upper,
        "length" => Converter::Length,
        "hex" => Converter::Hex,
        "base64" => Converter::Base64,
        "bytes" => Converter::Bytes { offset: first() as u32, length: number(1).map(|n| n as u32) },
        "field" => {
            Converter::Field { index: first() as i32, delimiters: delimiters(), count: count() }
        }
        "word" => {
            Converter::Word { index: first() as i32, delimiters: delimiters(), count: count() }
        }
        "ipmask" => Converter::Mask {
            v4: if arguments[0] == "24" { 0xffff_ff00 } else { 0xffff_0000 },
            v6: 0xffff_ffff << 96,
        },
        "bool" => Converter::Bool,
        "not" => Converter::Not,
        "odd" => Converter::Odd,
        "even" => Converter::Even,
        "neg" => Converter::Negate,
        "cpl" => Converter::Complement,
        "add" => Converter::Arithmetic(Operation::Add, first()),
        "sub" => Converter::Arithmetic(Operation::Subtract, first()),
        "mul" => Converter::Arithmetic(Operation::Multiply, first()),
        "div" => Converter::Arithmetic(Operation::Divide, first()),
        "mod" => Converter::Arithmetic(Operation::Modulo, first()),
        "and" => Converter::Arithmetic(Operation::And, first()),
        "or" => Converter::Arithmetic(Operation::Or, first()),
        "xor" => Converter::Arithmetic(Operation::Xor, first()),
        "sdbm" => hash(HashFunction::Sdbm),
        "djb2" => hash(HashFunction::Djb2),
        "wt6" => hash(HashFunction::Wt6),
        "crc32" => hash(HashFunction::Crc32),
        "iif" => Converter::Choose { yes: arguments[0].into(), no: arguments[1].into() },
        _ => panic!("converter {name}"),
    }
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
