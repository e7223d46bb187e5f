//! The checks whose lines were recorded, and what happens to each one's connection.

use super::Event;
use super::Event::{Connected, Data, End, Refused, Reset, Silence};
use penstock_config::haproxy::{
    CheckStatus, CheckStep, Connect, Expect, ExpectMatch, Fetch, Format, HttpSend, Item,
    ItemOptions, ProxyCheck, Variable,
};
use std::string::String;
use std::vec;
use std::vec::Vec;

pub(super) fn text(text: &str) -> Format {
    Format(vec![Item::Text(text.into())])
}

pub(super) fn some(comment: &str) -> Option<String> {
    (!comment.is_empty()).then(|| comment.into())
}

pub(super) fn connection() -> CheckStep {
    CheckStep::Connect(Connect::default())
}

pub(super) fn send(bytes: &str, comment: &str) -> CheckStep {
    CheckStep::Send { bytes: text(bytes), is_hex: false, comment: some(comment) }
}

pub(super) fn expectation(matching: ExpectMatch) -> Expect {
    Expect::of(matching)
}

pub(super) fn wants(bytes: &str) -> Expect {
    expectation(ExpectMatch::Bytes(bytes.into()))
}

pub(super) fn request(
    method: &str,
    uri: &str,
    version: &str,
    headers: &[(&str, &str)],
) -> HttpSend {
    let headers = headers.iter().map(|(name, value)| (String::from(*name), text(value)));
    HttpSend {
        method: method.into(),
        uri: text(uri),
        version: version.into(),
        headers: headers.collect(),
        body: None,
        comment: None,
    }
}

pub(super) fn options() -> HttpSend {
    request("OPTIONS", "/", "HTTP/1.0", &[])
}

pub(super) fn http(send: HttpSend, expect: Expect) -> ProxyCheck {
    let implicit = CheckStep::Connect(Connect { implicit: true, ..Connect::default() });
    ProxyCheck::Http(vec![implicit, CheckStep::HttpSend(send), CheckStep::Expect(expect)])
}

pub(super) fn well() -> Expect {
    expectation(ExpectMatch::Status(vec![200..=399]))
}

pub(super) fn tcp(steps: impl IntoIterator<Item = CheckStep>) -> ProxyCheck {
    let steps: Vec<_> = steps.into_iter().collect();
    let implicit = CheckStep::Connect(Connect { implicit: true, ..Connect::default() });
    let begins = matches!(steps.first(), Some(CheckStep::Connect(_)));
    ProxyCheck::Tcp(if begins { steps } else { [vec![implicit], steps].concat() })
}

/// `option tcp-check`, with one expectation.
pub(super) fn tcp_wants(expect: Expect) -> ProxyCheck {
    tcp([CheckStep::Expect(expect)])
}

pub(super) fn variable(variable: Variable) -> Item {
    Item::Variable(variable, ItemOptions::default())
}

pub(super) fn sample(fetch: Fetch) -> Item {
    Item::Sample(fetch.into(), ItemOptions::default())
}

/// The cases of `tcp-check`, and of a connection alone.
pub(super) fn tcp_cases() -> Vec<(&'static str, ProxyCheck, Vec<Event>)> {
    let commented = |expect: Expect| Expect { comment: some("pong"), ..expect };
    let negated = |expect: Expect| Expect { negated: true, ..expect };
    let ping = || tcp([send("PING\r\n", ""), CheckStep::Expect(wants("+PONG"))]);
    let binary = |text: &str| tcp([send("PING", ""), CheckStep::Expect(wants(text))]);
    let banner = |matching| tcp_wants(expectation(matching));
    let ssh = || banner(ExpectMatch::Regex("^SSH-[0-9]".into()));
    let hex = || banner(ExpectMatch::HexRegex("^2B50".into()));
    let port_9 = CheckStep::Connect(Connect {
        port: Some(Fetch::Int(9).into()),
        comment: some("nine"),
        ..Connect::default()
    });
    vec![
        ("l4ok", ProxyCheck::Layer4, vec![Connected]),
        ("l4refused", ProxyCheck::Layer4, vec![Refused]),
        ("tcpconnect", tcp([]), vec![Connected]),
        ("tcprefused", tcp([]), vec![Refused]),
        ("redis", ping(), vec![Connected, Data("+PO"), Data("NG\r\n")]),
        ("redisbad", ping(), vec![Connected, Data("-NOAUTH\r\n"), End]),
        ("redissilent", ping(), vec![Connected, Silence]),
        (
            "redisclose",
            tcp([send("PING\r\n", "ping"), CheckStep::Expect(commented(wants("+PONG")))]),
            vec![Connected, Reset],
        ),
        (
            "redisreset",
            tcp([connection(), CheckStep::Expect(commented(wants("+PONG")))]),
            vec![Connected, Reset],
        ),
        (
            "tcpempty",
            tcp([send("x", ""), CheckStep::Expect(commented(wants("hello")))]),
            vec![Connected, End],
        ),
        ("bannerreg", ssh(), vec![Connected, Data("SSH-2.0-x\r\n")]),
        ("bannerregbad", ssh(), vec![Connected, Data("HTTP\r\n"), End]),
        ("bannerneg", tcp_wants(negated(wants("ERR"))), vec![Connected, Data("fine"), End]),
        (
            "bannernegbad",
            tcp_wants(negated(wants("ERR"))),
            vec![Connected, Data("an ERR here"), End],
        ),
        ("bin", binary("+PO"), vec![Connected, Data("+PONG")]),
        ("rbin", hex(), vec![Connected, Data("+PONG")]),
        ("rbinbad", hex(), vec![Connected, Data("-PONG"), End]),
        (
            "minrecv",
            tcp_wants(Expect { min_recv: Some(5), ..wants("PONG") }),
            vec![Connected, Data("+PANG")],
        ),
        ("connport", tcp([port_9, send("x", "")]), vec![Refused]),
        ("connonly", tcp([connection()]), vec![Connected]),
        ("sendlast", tcp([connection(), send("x", "")]), vec![Connected]),
        (
            "onerr",
            tcp_wants(Expect {
                on_error: Some(text("no pong")),
                error_status: Some(CheckStatus::Layer7Status),
                ..wants("+PONG")
            }),
            vec![Connected, Data("x"), End],
        ),
        (
            "onok",
            tcp_wants(Expect {
                on_success: Some(text("a pong")),
                ok_status: Some(CheckStatus::Layer7OkConditionally),
                ..wants("+PONG")
            }),
            vec![Connected, Data("+PONG")],
        ),
        (
            "toutst",
            tcp_wants(Expect {
                timeout_status: Some(CheckStatus::Layer4Timeout),
                ..wants("+PONG")
            }),
            vec![Connected, Silence],
        ),
        (
            "twoexp",
            tcp([CheckStep::Expect(wants("a")), CheckStep::Expect(wants("b"))]),
            vec![Connected, Data("a"), Data("b")],
        ),
        (
            "twoconn",
            tcp([
                connection(),
                CheckStep::Expect(wants("a")),
                connection(),
                CheckStep::Expect(wants("b")),
            ]),
            vec![Connected, Data("ab"), Connected, Data("ab")],
        ),
        (
            "sendlf",
            tcp([
                CheckStep::Send {
                    bytes: Format(vec![
                        sample(Fetch::BackendName),
                        Item::Text(b" ".into()),
                        sample(Fetch::ServerName),
                        Item::Text(b"  ".into()),
                        variable(Variable::Frontend),
                        Item::Text(b" ".into()),
                        variable(Variable::Backend),
                        Item::Text(b" ".into()),
                        variable(Variable::Server),
                    ]),
                    is_hex: false,
                    comment: None,
                },
                CheckStep::Expect(wants("hello")),
            ]),
            vec![Connected, Data("hello9")],
        ),
        (
            "expectlf",
            tcp([
                send("x", ""),
                CheckStep::Expect(expectation(ExpectMatch::Format(Format(vec![
                    Item::Text(b"no ".into()),
                    sample(Fetch::ServerName),
                ])))),
            ]),
            vec![Connected, Data("nope"), End],
        ),
        (
            "esc",
            tcp_wants(Expect { comment: some("it's <x>"), ..wants("a\"b") }),
            vec![Connected, Data("\x01x"), End],
        ),
    ]
}

/// The cases of `http-check`.
pub(super) fn http_cases() -> Vec<(&'static str, ProxyCheck, Vec<Event>)> {
    let status = |wanted: &[(u16, u16)]| {
        let ranges = wanted.iter().map(|(from, to)| *from..=*to);
        expectation(ExpectMatch::Status(ranges.collect()))
    };
    let negated = |expect: Expect| Expect { negated: true, ..expect };
    let post = HttpSend {
        body: Some(text("hello")),
        ..request("POST", "/x", "HTTP/1.1", &[("Host", "a.b"), ("X-Y", "z")])
    };
    let named = HttpSend {
        headers: vec![
            ("Connection".into(), text("keep-alive")),
            ("Host".into(), Format(vec![sample(Fetch::ServerName)])),
        ],
        ..request("GET", "/x", "HTTP/1.1", &[])
    };
    let get = |uri: &str| CheckStep::HttpSend(request("GET", uri, "HTTP/1.0", &[]));
    let two = ProxyCheck::Http(vec![
        connection(),
        get("/a"),
        CheckStep::Expect(status(&[(200, 200)])),
        connection(),
        get("/b"),
        CheckStep::Expect(status(&[(204, 204)])),
    ]);
    let reply = |head: &'static str| vec![Connected, Data(head), Data("hello"), End];
    macro_rules! hello {
        ($status:literal) => {
            reply(concat!("HTTP/1.1 ", $status, "\r\nContent-Length: 5\r\n\r\n"))
        };
    }
    let default = |expect| http(options(), expect);
    vec![
        ("http", default(well()), hello!("200 OK")),
        ("httpget", http(request("GET", "/health", "HTTP/1.0", &[]), well()), hello!("301 Moved")),
        (
            "http11",
            http(request("GET", "/health", "HTTP/1.1", &[("Host", "example.org")]), well()),
            hello!("204 No Content"),
        ),
        ("httpsend", http(post, well()), hello!("200 Fine")),
        (
            "httpsend10",
            http(request("HEAD", "/x", "HTTP/1.0", &[("Host", "a.b")]), well()),
            hello!("200 Fine2"),
        ),
        ("httpopts", http(request("PUT", "/x", "HTTP/1.0", &[]), well()), hello!("200 OK")),
        ("httpclosehdr", http(named, well()), hello!("200 OKx")),
        (
            "httpabs",
            http(request("GET", "http://10.82.0.2/x", "HTTP/1.1", &[]), well()),
            hello!("200 OKy"),
        ),
        ("http503", default(well()), hello!("503 Service Unavailable")),
        ("httpnoreason", default(well()), hello!("500")),
        ("httpjunk", default(well()), vec![Connected, Data("SSH-2.0\r\n"), End]),
        ("httpclose", default(well()), vec![Connected, Reset]),
        ("httpempty", default(well()), vec![Connected, End]),
        ("httpcut", default(well()), vec![Connected, Data("HTTP/1.1 200 OK\r\nX: y\r\n"), End]),
        ("httpsilent", default(well()), vec![Connected, Silence]),
        (
            "httphalf",
            default(well()),
            vec![Connected, Data("HTTP/1.1 200 OK\r\nX: y\r\n"), Silence],
        ),
        (
            "httpstatusonly",
            default(well()),
            vec![Connected, Data("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")],
        ),
        ("httpstatus", default(status(&[(200, 200)])), hello!("201 Created")),
        ("httpstatusok", default(status(&[(200, 200), (300, 310)])), hello!("302 Found")),
        ("httpnot", default(negated(status(&[(500, 500)]))), hello!("500 Bad")),
        (
            "httprstatus",
            default(expectation(ExpectMatch::StatusRegex("^2".into()))),
            hello!("404 Not Found"),
        ),
        ("httpstring", default(wants("hell")), hello!("500 Err")),
        ("httpstringbad", default(wants("heaven")), hello!("200 OKs")),
        ("httpstringneg", default(negated(wants("hell"))), hello!("200 OKn")),
        (
            "httprstring",
            default(expectation(ExpectMatch::Regex("^h.*o$".into()))),
            hello!("200 OKr"),
        ),
        (
            "httpnobody",
            default(wants("x")),
            vec![Connected, Data("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
        ),
        (
            "httpbody",
            default(wants("hello")),
            vec![Connected, Data("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhellohell")],
        ),
        (
            "httpcutbody",
            default(wants("hello")),
            vec![Connected, Data("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell"), End],
        ),
        (
            "httpchunked",
            default(wants("helloworld")),
            vec![
                Connected,
                Data("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
                Data("lo\r\n5\r\nworld\r\n0\r\n\r\n"),
            ],
        ),
        (
            "httpnolen",
            default(wants("end")),
            vec![Connected, Data("HTTP/1.0 200 OK\r\n\r\nto the "), Data("end"), End],
        ),
        (
            "http100",
            default(status(&[(200, 200)])),
            vec![Connected, Data("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")],
        ),
        (
            "httpconn",
            two,
            vec![
                Connected,
                Data("HTTP/1.1 200 Two\r\nContent-Length: 5\r\n\r\nhello"),
                Connected,
                Data("HTTP/1.1 200 Two\r\nContent-Length: 5\r\n\r\nhello"),
            ],
        ),
    ]
}
