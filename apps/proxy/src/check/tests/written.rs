//! Checks as people write them, from the line of the configuration to the line of the log.

use super::*;
use penstock_config::haproxy::grammar::{File, Input};
use std::{format, vec};

/// What the lines of a backend come to.
fn check_of(lines: &str) -> ProxyCheck {
    let text = format!("backend b\n {}\n server s 10.0.0.3:80\n", lines.replace(" / ", "\n "));
    let file = File { name: "a.cfg", bytes: text.as_bytes() };
    let read = crate::read(&Input::of(&[file]));
    let setup = read.setup.unwrap_or_else(|| panic!("{lines}: {:?}", read.messages));
    setup.proxies().backends[0].check.clone()
}

/// What MySQL 8.0.19 says first, and that a login is well, or not.
const MYSQL: &[u8] = b"\x4a\0\0\0\x0a8.0.19\0\x0a\0\0\0o<\x02^bIA\r\0\xff\xff\xff\x02\0\xff\xc7\
    \x15\0\0\0\0\0\0\0\0\0\0|\x18!Y\x10n'a\x14C\" \0caching_sha2_password\0";
const WELL: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const DENIED: &[u8] = b"\x17\0\0\x02\xff\x15\x04#28000Access denied!";

/// Responses with these fields.
const ONE: &str = "HTTP/1.1 200 OK\r\nx-A: 1\r\nContent-Length: 0\r\n\r\n";
const TWO: &str = "HTTP/1.1 200 OK\r\nx-A: one\r\nx-b:  two\r\nContent-Length: 0\r\n\r\n";
const LIST: &str = "HTTP/1.1 200 OK\r\nx-A: one, two\r\nContent-Length: 0\r\n\r\n";
const QUOTED: &str = "HTTP/1.1 200 OK\r\nx-A: a, \"b, c\" , d\r\nContent-Length: 0\r\n\r\n";
const COOKIE: &str =
    "HTTP/1.1 200 OK\r\nset-cookie: a=1; Expires=Wed, b\r\nContent-Length: 0\r\n\r\n";
const LONG: &str = "HTTP/1.1 200 OK\r\nx-en-A: one, n,two\r\nContent-Length: 0\r\n\r\n";

/// Names as in `recorded.txt`, lines with ` / ` between them, and what happens.
fn cases() -> Vec<(&'static str, &'static str, Vec<Event>)> {
    let ldap = |result: &'static [u8]| vec![Connected, Bytes(result)];
    let said = |text: &'static str| vec![Connected, Data(text)];
    let nothing = || vec![Connected, End];
    vec![
        (
            "mysqlok",
            "option mysql-check user u",
            vec![Connected, Bytes(&MYSQL[..50]), Bytes(&MYSQL[50..]), Bytes(WELL)],
        ),
        ("mysqlbare", "option mysql-check", vec![Connected, Bytes(MYSQL)]),
        (
            "mysqldenied",
            "option mysql-check user u pre-41",
            vec![Connected, Bytes(MYSQL), Bytes(DENIED)],
        ),
        ("mysqlcut", "option mysql-check", vec![Connected, Bytes(&MYSQL[..20]), End]),
        ("mysqlclosed", "option mysql-check user u post-41", nothing()),
        ("mysqlrefused", "option mysql-check user u", vec![Refused]),
        (
            "tlsok",
            "option ssl-hello-chk",
            vec![Connected, Bytes(b"\x15\x03\0\0"), Bytes(b"\x02\x02\x28")],
        ),
        ("tlshttp", "option ssl-hello-chk", said("HTTP/1.0 400 Bad\r\n\r\n")),
        ("tlsclosed", "option ssl-hello-chk", nothing()),
        ("tlscut", "option ssl-hello-chk", vec![Connected, Bytes(b"\x16\x03"), End]),
        ("tlssilent", "option ssl-hello-chk", vec![Connected, Silence]),
        (
            "ldapok",
            "option ldap-check",
            ldap(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"),
        ),
        (
            "ldapother",
            "option ldap-check",
            ldap(b"0\x0c\x02\x01\x01\x60\x07\x0a\x01\0\x04\0\x04\0"),
        ),
        (
            "ldapdenied",
            "option ldap-check",
            ldap(b"0\x0c\x02\x01\x01\x61\x07\x0a\x011\x04\0\x04\0"),
        ),
        ("ldaphttp", "option ldap-check", said("HTTP/1.0 400 Bad\r\n\r\n")),
        (
            "ldapcut",
            "option ldap-check",
            vec![Connected, Bytes(b"0\x14\x02\x01\x01\x61\x0f\x0a\x01\0\x04\0\x04\0"), End],
        ),
        ("redisrefused", "option redis-check", vec![Refused]),
        ("redisclosed", "option redis-check", nothing()),
        (
            "sendhex",
            "option tcp-check / tcp-check send-binary-lf %[str(ab),hex]0d0A / tcp-check expect \
             string ok",
            said("ok"),
        ),
        ("sendnohex", "option tcp-check / tcp-check send-binary-lf abc", vec![Connected]),
        ("expecthex", "option tcp-check / tcp-check expect binary-lf %[str(ok),hex]", said("ok")),
        (
            "expecthexbad",
            "option tcp-check / tcp-check expect binary-lf %[str(ok),hex]",
            vec![Connected, Data("ko"), End],
        ),
        ("expectnohex", "option tcp-check / tcp-check expect binary-lf xyz", said("ko")),
        (
            "expectnothing",
            "option tcp-check / tcp-check expect string-lf %[str()] on-error other comment why",
            said("ko"),
        ),
    ]
}

/// The same for `http-check expect`, behind `option httpchk GET /`: with what comes after it.
fn field_cases() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("hdrname", "hdr name X-a", ONE),
        ("hdrnameno", "hdr name X-b comment none", ONE),
        ("hdrnot", "! hdr name X-a", ONE),
        ("hdrvalue", "hdr name X-a value two", LIST),
        ("hdrvaluecase", "hdr name X-a value Two", LIST),
        ("fhdrvalue", "fhdr name X-a value two", LIST),
        ("fhdrall", "fhdr name X-a value \"one, two\"", LIST),
        ("hdrbeg", "hdr name -m beg x- value -m beg tw", TWO),
        ("hdrend", "hdr name -m end -A value -m end ne", TWO),
        ("hdrsub", "hdr name -m sub en value -m sub n,", LONG),
        ("fhdrsub", "fhdr name -m sub EN value -m sub n,", LONG),
        ("hdrreg", "hdr name -m reg ^X-.$ value -m reg ^t.o$", TWO),
        ("hdrregcase", "hdr name -m reg ^x-.$ value -m reg ^T.o$", TWO),
        ("hdrlf", "hdr name-lf x-%[str(a)] value-lf %[str(one)]", TWO),
        ("hdrlfnone", "hdr name-lf %[str()] value one", TWO),
        ("hdrstatus", "hdr name X-z error-status L7RSP on-error gone", ONE),
        ("hdrquoted", "hdr name x-a value '\"b, c\"'", QUOTED),
        ("hdrcookie", "hdr name set-cookie value -m beg \"b\"", COOKIE),
    ]
}

#[test]
fn what_was_written_comes_to_what_was_recorded() {
    let recorded = recorded();
    let cases =
        cases().into_iter().map(|(name, lines, events)| (name, String::from(lines), events));
    let fields = field_cases().into_iter().map(|(name, words, response)| {
        let lines = format!("option httpchk GET / \n http-check expect {words}");
        (name, lines, vec![Connected, Data(response), End])
    });
    for (name, lines, events) in cases.chain(fields) {
        let mut bed = Bed::new(name, check_of(&lines), ServerCheck::default());
        bed.run(&events).unwrap_or_else(|| panic!("{name} is not over"));
        let took = format!("duration: {}ms", bed.check.report().duration_ms.unwrap_or(0));
        assert_eq!(bed.line().replace(&took, "duration: 0ms"), recorded[name]);
        if let Some(sent) = recorded.get(format!("{name} sent").as_str()) {
            let digits: String = bed.sent.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digits, *sent, "{name}");
        }
    }
}

/// HAProxy counts a pass of its own readers twice, the second time without words.
#[test]
fn one_pass_of_a_mysql_server_is_two() {
    let mut bed = Bed::new("mysqlok", check_of("option mysql-check"), ServerCheck::default());
    assert_eq!(bed.run(&[Refused]).expect("over").change, Some(Change::Down));
    let first = bed.run(&[Connected, Bytes(MYSQL)]).expect("over");
    assert_eq!(
        first,
        Finished { is_news: true, repeats: true, ..Finished::default() },
        "one of the two that it takes"
    );
    assert_eq!(
        bed.line(),
        "Health check for server mysqlok/s1 succeeded, reason: Layer7 check passed, code: 0, info: \
         \"8.0.19\", check duration: 0ms, status: 1/2 DOWN."
    );
    let second = bed.repeat();
    assert_eq!(second, Finished { is_news: true, change: Some(Change::Up), ..Finished::default() });
    assert_eq!(
        bed.line(),
        "Health check for server mysqlok/s1 succeeded, reason: Layer7 check passed, code: 0, check \
         duration: 0ms, status: 3/3 UP."
    );
}

/// `disable-on-404`: as recorded, whatever else is expected; who is down is not stopping.
#[test]
fn who_answers_404_wants_no_new_sessions() {
    let recorded = recorded();
    let lines = "option httpchk GET /\n http-check disable-on-404\n http-check expect string ok";
    let gone = "HTTP/1.1 404 Gone\r\nContent-Length: 2\r\n\r\nno";
    let well = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut bed = Bed::new("http404", check_of(lines), ServerCheck::default());
    bed.backend.options.disable_on_404 = true;
    let mut run = |answer| {
        let change = bed.run(&[Connected, Data(answer)]).expect("over").change;
        (change, bed.line())
    };
    assert_eq!(run(gone), (Some(Change::Stopping), recorded["http404"].into()));
    assert_eq!(run(gone).0, None);
    assert_eq!(run(well).0, Some(Change::Up));
    assert_eq!(run("SSH\r\n\r\n").0, None);
    assert_eq!(run("SSH\r\n\r\n").0, None);
    assert_eq!(run("SSH\r\n\r\n").0, Some(Change::Down));
    let line = "Health check for server http404/s1 failed, reason: Layer7 invalid response, info: \
                \"HTTP content check did not match\", check duration: 0ms, status: 0/2 DOWN.";
    assert_eq!(run(gone), (None, line.into()));
}

/// `send-state`: as recorded.
#[test]
fn a_server_is_told_of_itself() {
    let lines = "option httpchk GET /\n http-check send-state\n http-check send hdr X-y z";
    let mut bed = Bed::new("state", check_of(lines), ServerCheck::default());
    let mut sent = |events: &[Event]| {
        bed.sent.clear();
        bed.load = Some(Load {
            node: "lb",
            weight: 3,
            weights: 8,
            sessions: 1,
            connections: 2,
            queued: 0,
            throttle_percent: None,
        });
        bed.run(events);
        let sent = String::from_utf8_lossy(&bed.sent).into_owned();
        sent.lines().find(|line| line.starts_with("x-hap")).unwrap_or_default().to_string()
    };
    let state = |health: &str| {
        format!(
            "x-haproxy-server-state: {health}; address=127.0.0.1; port=7000; name=state/s1; \
             node=lb; weight=3/8; scur=1/2; qcur=0"
        )
    };
    let well = [Connected, Data("HTTP/1.1 200 OK\r\n\r\n"), End];
    let wrong = [Connected, Data("HTTP/1.1 500 No\r\n\r\n"), End];
    let wanted = ["UP 1/3", "UP", "UP 2/3", "UP 1/3", "DOWN", "DOWN 1/2", "UP"];
    let events = [&well[..], &wrong, &wrong, &wrong, &well, &well, &well];
    for (events, wanted) in events.iter().zip(wanted) {
        assert_eq!(sent(events), state(wanted));
    }
}
