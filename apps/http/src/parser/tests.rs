//! What is a request and what is not; the corpus of smuggling; and a second opinion.

use super::*;
use crate::{Framing, Status};
use proptest::prelude::*;
use std::format;
use std::string::String;
use std::vec::Vec;

fn read(text: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    Parser::new().advance(text)
}

fn facts(text: &str) -> Facts {
    let request = read(text.as_bytes()).expect("a good request").expect("a whole one");
    assert_eq!(request.bytes().len(), text.len());
    request.facts
}

fn refusal(text: &[u8]) -> Refusal {
    match read(text) {
        Err(refusal) => refusal,
        Ok(request) => panic!("{} gave {request:?}", text.escape_ascii()),
    }
}

#[test]
fn a_request_is_seen_where_it_lies() {
    let text = b"GET /a?b HTTP/1.1\r\nHost: x:80\r\nX-Long:  a b\t \r\nempty:\r\n\r\nbehind";
    let request = read(text).expect("good").expect("whole");
    assert_eq!(request.method(), b"GET");
    assert_eq!(request.target(), b"/a?b");
    let fields: Vec<_> = request.fields().map(|field| (field.name, field.value)).collect();
    let expected: [(&[u8], &[u8]); 3] = [(b"Host", b"x:80"), (b"X-Long", b"a b"), (b"empty", b"")];
    assert_eq!(fields, expected);
    assert_eq!(&text[request.bytes().len()..], b"behind");
}

#[test]
fn persistence_is_as_each_version_has_it() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: a ,\tCLOSE,\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.9\r\nHost: x\r\n\r\n", true),
    ];
    for (text, keep_alive) in cases {
        assert_eq!(facts(text).keep_alive, keep_alive, "{text}");
    }
}

#[test]
fn bodies_are_framed_as_the_rfc_has_it() {
    let framing =
        |fields: &str| facts(&format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).framing;
    assert_eq!(framing(""), Framing::Length(0));
    assert_eq!(framing("Content-Length: 18446744073709551615\r\n"), Framing::Length(u64::MAX));
    assert_eq!(framing("content-length:\t007 \r\n"), Framing::Length(7));
    assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Framing::Chunked);
    assert_eq!(framing("Transfer-Encoding: , chunked ,\r\n"), Framing::Chunked);
}

#[test]
fn an_expectation_needs_a_body_and_a_version() {
    let expects = |version: &str, fields: &str| {
        let text = format!("POST / {version}\r\nHost: x\r\nExpect: 100-Continue\r\n{fields}\r\n");
        facts(&text).expects_continue
    };
    assert!(expects("HTTP/1.1", "Content-Length: 1\r\n"));
    assert!(!expects("HTTP/1.1", ""));
    assert!(!expects("HTTP/1.0", "Content-Length: 1\r\n"));
}

#[test]
fn targets_have_four_forms() {
    let path = |line: &str| {
        // Written with a bar: an address in full would claim that such a host exists.
        let line = line.replace('|', ":");
        let text = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
        let request = read(text.as_bytes()).map(|request| request.map(|r| r.path().to_vec()));
        request.map(Option::unwrap_or_default).map_err(Refusal::status)
    };
    let good = [
        ("GET /", "/"),
        ("GET //", "//"),
        ("GET http|//a:80/b?c", "/b?c"),
        ("GET HTTP|//a", "/"),
        ("GET http|//a?q", "?q"),
        ("GET https|//[::1]/x", "/x"),
        ("OPTIONS *", "*"),
        ("CONNECT a:443", "a:443"),
        ("BREW /pot", "/pot"),
    ];
    for (line, expected) in good {
        assert_eq!(path(line), Ok(expected.as_bytes().to_vec()), "{line}");
    }
    let bad = [
        "GET *",
        "GET a",
        "GET a:80",
        "GET http|//",
        "GET http|///x",
        "GET ftp|//a/",
        "GET /#x",
        "GET http|//u@h/",
        "CONNECT /",
        "CONNECT a",
        "GET /\u{e9}",
        "GET /\x7f",
        "GET /\t",
        "GET  /",
        "GET http|//a b/",
    ];
    for line in bad {
        assert!(path(line).is_err(), "{line}");
    }
}

/// Each of these has been a request to one program and something else to the next.
#[test]
fn the_corpus_of_smuggling_is_refused() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
    let cases: &[(&str, Refusal)] = &[
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", Refusal::LengthAndCoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", Refusal::LengthAndCoding),
        ("Transfer-Encoding: identity\r\nContent-Length: 5", Refusal::LengthAndCoding),
        ("Content-Length: 5\r\nContent-Length: 6", Refusal::Length),
        ("Content-Length: 5\r\nContent-Length: 5", Refusal::Length),
        ("Content-Length: 5, 5", Refusal::Length),
        ("Content-Length: +5", Refusal::Length),
        ("Content-Length: -5", Refusal::Length),
        ("Content-Length: 0x5", Refusal::Length),
        ("Content-Length: 5 5", Refusal::Length),
        ("Content-Length: 5.0", Refusal::Length),
        ("Content-Length: 1e3", Refusal::Length),
        ("Content-Length: ", Refusal::Length),
        ("Content-Length: 18446744073709551616", Refusal::Length),
        ("Content-Length : 5", Refusal::FieldName),
        ("Content-Length\t: 5", Refusal::FieldName),
        (" Content-Length: 5", Refusal::Folded),
        ("X: a\r\n Content-Length: 5", Refusal::Folded),
        ("X: a\r\n\tb", Refusal::Folded),
        ("X: a\nContent-Length: 5", Refusal::LineEnd),
        ("X: a\rContent-Length: 5", Refusal::LineEnd),
        ("X: a\r\r\nContent-Length: 5", Refusal::LineEnd),
        ("X: a\0b", Refusal::FieldValue),
        ("X: a\x0bb", Refusal::FieldValue),
        ("X: a\x7f", Refusal::FieldValue),
        ("X\0: a", Refusal::FieldName),
        ("X", Refusal::FieldName),
        (": a", Refusal::FieldName),
        ("X(a): b", Refusal::FieldName),
        ("\u{b5}: b", Refusal::FieldName),
        ("Transfer-Encoding:", Refusal::Coding),
        ("Transfer-Encoding: ,", Refusal::Coding),
        ("Transfer-Encoding: identity", Refusal::Coding),
        ("Transfer-Encoding: gzip", Refusal::Coding),
        ("Transfer-Encoding: xchunked", Refusal::Coding),
        ("Transfer-Encoding: chunked;q=1", Refusal::Coding),
        ("Transfer-Encoding: \"chunked\"", Refusal::Coding),
        ("Transfer-Encoding: chun\tked", Refusal::Coding),
        ("Transfer-Encoding: chunked, identity", Refusal::Coding),
        ("Transfer-Encoding: chunked, chunked", Refusal::Coding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Refusal::Coding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", Refusal::Coding),
        ("Transfer-Encoding: gzip, chunked", Refusal::CodingUnknown),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Refusal::CodingUnknown),
        ("Transfer-Encoding : chunked", Refusal::FieldName),
        ("Transfer-Encoding\n: chunked", Refusal::FieldName),
        ("Transfer-Encoding:\n chunked", Refusal::LineEnd),
        ("Transfer-Encoding: chunked\x0b", Refusal::FieldValue),
        ("Host: y", Refusal::Host),
        ("Expect: 100-continue, x", Refusal::Expectation),
    ];
    for (fields, expected) in cases {
        assert_eq!(refusal(post(fields).as_bytes()), *expected, "{}", fields.escape_debug());
    }
    let whole: &[(&[u8], Refusal)] = &[
        (b"GET / HTTP/1.1\r\n\r\n", Refusal::Host),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Refusal::Host),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Refusal::Host),
        (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Refusal::Host),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::Coding),
        (b"GET /\r\n", Refusal::Version),
        (b"GET /\n", Refusal::Version),
        (b"GET / \r\n\r\nXXXXXX", Refusal::Version),
        (b"GET / HTTP/1.1\nHost: x\n\n", Refusal::LineEnd),
        (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", Refusal::LineEnd),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\n", Refusal::LineEnd),
        (b"GET / HTTP/1.1\r\nHost: x\n\r\n", Refusal::LineEnd),
        (b"GET / HTTP/1.10\r\nHost: x\r\n\r\n", Refusal::LineEnd),
        (b"GET / http/1.1\r\nHost: x\r\n\r\n", Refusal::Version),
        (b"GET / HTTP/01.1\r\n\r\n", Refusal::Version),
        (b"GET / HTTP/0.9\r\n\r\n", Refusal::VersionUnsupported),
        (b"GET / HTTP/2.0\r\n\r\n", Refusal::VersionUnsupported),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::Target),
        (b"GET\t/ HTTP/1.1\r\n\r\n", Refusal::Method),
        (b"GET /\tHTTP/1.1\r\n\r\n", Refusal::Target),
        (b" GET / HTTP/1.1\r\n\r\n", Refusal::Method),
        (b"\x16\x03\x01", Refusal::Method),
        (b"\n", Refusal::LineEnd),
        (b"\r\n\r\n", Refusal::Method),
        (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", Refusal::Folded),
    ];
    for (text, expected) in whole {
        assert_eq!(refusal(text), *expected, "{}", text.escape_ascii());
    }
}

#[test]
fn lengths_are_bounded_and_each_bound_has_its_status() {
    let head = |target: usize, fields: usize, filler: usize| {
        let mut text = format!("GET /{} HTTP/1.1\r\n", "a".repeat(target));
        for _ in 0..fields {
            text.push_str("X: y\r\n");
        }
        text.push_str("Host: ");
        text.push_str(&"h".repeat(filler));
        text.push_str("\r\n\r\n");
        text
    };
    let status = |text: String| read(text.as_bytes()).map(|_| ()).map_err(Refusal::status);
    assert_eq!(status(head(TARGET_BYTES_MAX - 1, 99, 10)), Ok(()));
    assert_eq!(status(head(TARGET_BYTES_MAX, 0, 10)), Err(Status(414)));
    assert_eq!(status(head(0, 100, 1)), Err(Status(431)));
    let rest = head(0, 0, 0).len();
    assert_eq!(status(head(0, 0, HEAD_BYTES_MAX - rest)), Ok(()));
    assert_eq!(status(head(0, 0, HEAD_BYTES_MAX - rest + 1)), Err(Status(431)));
    assert_eq!(refusal(&[b'A'; METHOD_BYTES_MAX + 1]).status(), Status(501));
}

/// Reading on costs what reading once costs: the parser stands where the bytes ended.
#[test]
fn a_head_that_comes_byte_by_byte_is_read_once() {
    let text = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(9_000));
    let mut parser = Parser::new();
    for end in 1..text.len() {
        assert!(parser.advance(&text.as_bytes()[..end]).expect("good so far").is_none());
        assert!(end - parser.at as usize <= 10, "{} of {end}", parser.at);
    }
    assert!(parser.advance(text.as_bytes()).expect("good").is_some());
}

const PIECES: &[&str] = &[
    "GET ",
    "POST ",
    "/ ",
    "/a%20b?c ",
    "* ",
    "HTTP/1.1\r\n",
    "HTTP/1.0\r\n",
    "Host: x\r\n",
    "Host:\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X: a b\tc \r\n",
    "\r\n",
    "\n",
    " ",
    "\t",
    ":",
    "X",
    "\u{e9}",
    "\0",
    "\r",
];

/// Text that is nearly a request.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(PIECES);
    prop_oneof![
        prop::collection::vec(piece.clone(), 0..12),
        prop::collection::vec(piece, 0..6).prop_map(|rest| {
            [&["GET ", "/ ", "HTTP/1.1\r\n", "Host: x\r\n"][..], &rest, &["\r\n"]].concat()
        }),
    ]
    .prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    /// Whatever we accept, `httparse` reads in the same way.
    #[test]
    fn a_second_opinion_agrees(text in nearly()) {
        if let Ok(Some(request)) = read(&text) {
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let mut other = httparse::Request::new(&mut headers);
            let status = other.parse(&text).expect("accepted there too");
            prop_assert_eq!(status, httparse::Status::Complete(request.bytes().len()));
            prop_assert_eq!(other.method.map(str::as_bytes), Some(request.method()));
            prop_assert_eq!(other.path.map(str::as_bytes), Some(request.target()));
            prop_assert_eq!(request.fields().count(), other.headers.len());
            for (field, header) in request.fields().zip(other.headers.iter()) {
                prop_assert_eq!(field.name, header.name.as_bytes());
                prop_assert_eq!(field.value, header.value);
            }
        }
    }
}
