//! What a client gets for what it says, how long it may take, and that nothing stays behind.

mod street;

use penstock_server::pattern_byte;
use penstock_stack::Close;
use street::{Street, Visitor};

/// The body of an answer, whole.
fn body(heard: &[u8]) -> &[u8] {
    let at = heard.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    &heard[at + 4..]
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

const LAST: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn a_short_connection_is_answered_and_ended() {
    let mut street = Street::new("", &[]);
    let visitor = street.alone(Visitor::saying(LAST), 1000);
    assert!(visitor.text().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(visitor.text().contains("Connection: close\r\n"));
    assert_eq!(body(&visitor.heard), b"Hello from Penstock.\n");
    assert_eq!((visitor.saw_end, visitor.closed), (true, Some(Close::Finished)));
    street.is_clean();
}

#[test]
fn a_connection_is_kept_only_when_both_want_it() {
    for (options, text, kept) in [
        ("-k", get("/"), true),
        ("", get("/"), false),
        ("-k", LAST.into(), false),
        ("-k", "GET / HTTP/1.0\r\n\r\n".into(), false),
        ("-k", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".into(), true),
    ] {
        let mut street = Street::new(options, &[]);
        let visitor = street.alone(Visitor::saying(&text), 1000);
        assert_eq!(visitor.saw_end, !kept, "{options} {text}");
        let says_kept = visitor.text().contains("Connection: keep-alive");
        assert_eq!(says_kept, kept && text.contains("1.0"));
        street.is_clean();
    }
}

#[test]
fn requests_in_a_row_are_answered_in_order_however_they_are_cut() {
    let wishes = ["/status/201", "/", "/bytes/3000", "/headers", "/delay/50", "/status/404"];
    let all: String = wishes.iter().map(|wish| get(wish)).collect();
    let mut whole = Street::new("-k", &[]);
    let expected = whole.alone(Visitor::saying(&all), 5000).heard;
    for piece in [1, 7, 100] {
        let mut street = Street::new("-k", &[]);
        let says = all.as_bytes().chunks(piece).map(|piece| (0, piece.to_vec())).collect();
        let visitor = street.alone(Visitor { says, ..Visitor::default() }, 5000);
        assert_eq!(visitor.heard, expected, "in pieces of {piece}");
        street.is_clean();
    }
    let text = String::from_utf8_lossy(&expected);
    let statuses = text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]);
    assert_eq!(statuses.collect::<Vec<_>>(), ["201", "200", "200", "200", "200", "404"]);
}

#[test]
fn a_browser_sees_the_machine_and_everybody_else_is_greeted() {
    let mut street = Street::new("-k", &[]);
    street.alone(Visitor::saying(LAST), 1500);
    let ask = |path: &str, accept: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n")
    };
    let browser = "application/xhtml+xml,text/html;q=0.9,*/*;q=0.8";
    let seen = street.alone(Visitor::saying(ask("/", browser)), 1000);
    assert!(seen.text().contains("Content-Type: text/html; charset=utf-8\r\n"));
    assert!(seen.text().contains("<dt>machine</dt><dd>a test</dd>"));
    let length = format!("Content-Length: {}\r\n", body(&seen.heard).len());
    assert!(seen.text().contains(&length) && seen.text().ends_with("</html>\n"));
    let plain = street.alone(Visitor::saying(ask("/status", "*/*")), 1000).text().to_string();
    assert!(plain.contains("Content-Type: text/plain\r\n"));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    // One was there before, and the browser, who has left; this one is told of when its second is over.
    assert!(words(&plain).contains("all 0 1 2 2 0"), "{plain}");
    for (path, accept) in [("/", "*/*"), ("/", "text/plain"), ("/anything", browser)] {
        let greeted = street.alone(Visitor::saying(ask(path, accept)), 1000);
        assert_eq!(body(&greeted.heard), b"Hello from Penstock.\n", "{path} {accept}");
    }
    street.is_clean();
}

#[test]
fn many_bytes_are_the_ones_that_were_promised() {
    let mut street = Street::new("-k", &[]);
    let visitor = street.alone(Visitor::saying(get("/bytes/3000000")), 20_000);
    let body = body(&visitor.heard);
    assert_eq!(body.len(), 3_000_000);
    assert!(body.iter().enumerate().all(|(at, byte)| *byte == pattern_byte(at as u64)));
    let visitor =
        street.alone(Visitor::saying("HEAD /bytes/3000000 HTTP/1.1\r\nHost: x\r\n\r\n"), 1000);
    assert!(visitor.text().contains("Content-Length: 3000000\r\n"));
    assert!(visitor.heard.ends_with(b"\r\n\r\n"));
    street.is_clean();
}

#[test]
fn a_body_comes_back_as_it_was() {
    let data: Vec<u8> = (0..400_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let head = format!("PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", data.len());
    let mut street = Street::new("-k", &[]);
    let visitor = street.alone(Visitor::saying([head.as_bytes(), &data].concat()), 20_000);
    assert_eq!(body(&visitor.heard), data);
    let mut chunked =
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in data.chunks(5000) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let visitor = street.alone(Visitor::saying(&chunked), 20_000);
    assert!(visitor.text().contains("Transfer-Encoding: chunked\r\n"));
    assert_eq!(unchunked(body(&visitor.heard)), data);
    street.is_clean();
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n").expect("a length");
        let digits = std::str::from_utf8(&bytes[..line]).expect("digits");
        let len = usize::from_str_radix(digits, 16).expect("digits");
        bytes = &bytes[line + 2..];
        data.extend_from_slice(&bytes[..len]);
        assert_eq!(&bytes[len..len + 2], b"\r\n");
        bytes = &bytes[len + 2..];
        if len == 0 {
            assert!(bytes.is_empty());
            return data;
        }
    }
}

#[test]
fn an_expectation_is_answered_before_the_body_comes() {
    let mut street = Street::new("-k", &[]);
    let head = "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let says = vec![(0, head.into()), (25, b"ok".to_vec())];
    let visitor = street.alone(Visitor { says, ..Visitor::default() }, 2000);
    assert!(visitor.text().starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
    assert!(visitor.heard.ends_with(b"\r\n\r\nok"));
    street.is_clean();
}

#[test]
fn a_body_that_nobody_wants_is_read_and_the_next_request_found() {
    let mut street = Street::new("-k", &[]);
    let post = "POST /status/202 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = format!("{post}5;x\r\nhello\r\n0\r\nA: b\r\n\r\n{}", get("/status/203"));
    let visitor = street.alone(Visitor::saying(text), 1000);
    let text = visitor.text();
    assert!(text.find("HTTP/1.1 202").expect("first") < text.find("HTTP/1.1 203").expect("second"));
    street.is_clean();
}

#[test]
fn what_is_wrong_is_told_and_ends_the_connection() {
    for (text, status) in [
        ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", "400"),
        ("GET / HTTP/3.0\r\n\r\n", "505"),
        ("GET /\r\n", "400"),
        ("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "501"),
    ] {
        let mut street = Street::new("-k", &[]);
        let visitor = street.alone(Visitor::saying(text), 10_000);
        let heard = visitor.text();
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{text}: {heard}");
        assert_eq!(heard.matches("HTTP/1.1").count(), 1, "{text}: {heard}");
        if status != "501" {
            assert_eq!((visitor.saw_end, visitor.closed), (true, Some(Close::Finished)), "{text}");
        }
        street.is_clean();
    }
}

#[test]
fn a_status_without_content_has_none() {
    let mut street = Street::new("-k", &[]);
    let all: String = [204, 205, 304, 404].map(|code| get(&format!("/status/{code}"))).concat();
    let visitor = street.alone(Visitor::saying(all), 1000);
    let heard = visitor.text();
    let answers: Vec<&str> = heard.split("HTTP/1.1 ").skip(1).collect();
    assert_eq!(answers[0], "204 No Content\r\n\r\n");
    assert_eq!(answers[1], "205 Reset Content\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answers[2], "304 Not Modified\r\n\r\n");
    assert!(answers[3].ends_with("Content-Length: 10\r\n\r\nNot Found\n"), "{}", answers[3]);
    street.is_clean();
}

#[test]
fn a_client_that_shuts_its_side_still_gets_its_answer() {
    for path in ["/", "/bytes/300000", "/delay/500", "/drip"] {
        let mut street = Street::new("-k", &[]);
        let visitor = Visitor { shuts: true, ..Visitor::saying(get(path)) };
        let visitor = street.alone(visitor, 10_000);
        assert!(visitor.text().starts_with("HTTP/1.1 200 OK"), "{path}");
        assert_eq!(visitor.closed, Some(Close::Finished), "{path}");
        street.is_clean();
    }
}

#[test]
fn half_an_echo_never_looks_whole() {
    let mut street = Street::new("-k", &[]);
    let text = "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nhalf";
    let visitor = street.alone(Visitor { shuts: true, ..Visitor::saying(text) }, 1000);
    assert_eq!(visitor.closed, Some(Close::Reset));
    street.is_clean();
}

#[test]
fn whoever_is_silent_or_slow_is_sent_away() {
    // Silent; a head that stops; a head that never stops coming; a body that stops.
    let mut street = Street::new("-k", &[]);
    let silent = street.visit(80, Visitor::default());
    let stopped = street.visit(80, Visitor::saying("GET / HT"));
    let body =
        street.visit(80, Visitor::saying("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"));
    street.pass(9_900);
    assert!(!street.world.clients.app().by_conn[&silent].saw_end);
    street.pass(6_000);
    assert!(street.take(silent).saw_end);
    assert!(street.take(stopped).text().starts_with("HTTP/1.1 408 "));
    street.pass(20_000);
    assert_eq!(street.take(body).closed, Some(Close::Reset));
    street.is_clean();
}

#[test]
fn a_deaf_client_costs_a_bounded_amount_for_a_bounded_time() {
    let mut street = Street::new("-k", &[]);
    let deaf = || Visitor { is_deaf: true, ..Visitor::saying(get("/bytes/100000000")) };
    let conns: Vec<_> = (0..20).map(|_| street.visit(80, deaf())).collect();
    let many: String = get("/status/200").repeat(20_000);
    let pipeliner = street.visit(80, Visitor { is_deaf: true, ..Visitor::saying(many) });
    street.pass(5_000);
    let used = 4096 - street.world.cores[0].census().chunks_free;
    // Twenty times a window's worth, and what the pipeliner may have in both directions.
    assert!(used < 1024, "{used} chunks");
    // Another one is served all the same.
    let visitor = street.alone(Visitor::saying(LAST), 1000);
    assert!(visitor.saw_end);
    street.pass(400_000);
    for conn in conns.into_iter().chain([pipeliner]) {
        assert!(street.take(conn).closed.is_some());
    }
    street.is_clean();
}

#[test]
fn heads_held_back_give_way_to_heads_that_come() {
    let mut street = Street::new("-k", &[]);
    let slow: Vec<_> = (0..600).map(|_| street.visit(80, Visitor::saying("GET / HT"))).collect();
    street.pass(1000);
    let says = vec![(0, b"GET / HTTP/1.1\r\nHo".to_vec()), (0, b"st: x\r\n\r\n".to_vec())];
    let visitor = street.alone(Visitor { says, ..Visitor::default() }, 1000);
    assert!(visitor.text().starts_with("HTTP/1.1 200 OK"));
    let evicted = slow.into_iter().filter(|conn| !street.take(*conn).heard.is_empty()).count();
    assert!(evicted >= 536, "{evicted}");
    street.is_clean();
}

#[test]
fn small_services_do_what_their_rfcs_say() {
    let mut street = Street::new("services=echo,discard,chargen", &[]);
    let text = b"hello, world ".repeat(10_000);
    let echo = street.visit(7, Visitor { shuts: true, ..Visitor::saying(&text) });
    let discard = street.visit(9, Visitor { shuts: true, ..Visitor::saying(&text) });
    let chargen = street.visit(19, Visitor::default());
    street.pass(2000);
    let echo = street.take(echo);
    assert_eq!((echo.heard == text, echo.closed), (true, Some(Close::Finished)));
    let discard = street.take(discard);
    assert_eq!((discard.heard.len(), discard.closed), (0, Some(Close::Finished)));
    let heard = &street.world.clients.app().by_conn[&chargen].heard;
    assert!(heard.len() > 100_000);
    let lines: Vec<&[u8]> = heard.split(|byte| *byte == b'\n').take(200).collect();
    assert!(lines.iter().all(|line| line.len() == 73 && line.ends_with(b"\r")));
    street.world.act(|_, cx| cx.abort(chargen));
    street.is_clean();
}
