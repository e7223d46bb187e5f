//! Checks as people write them, from the line of the configuration to the line of the log.

use super::*;
use penstock_config::haproxy::grammar::{File, Files, Input};
use std::borrow::Cow;
use std::{format, vec};

struct Nothing;

impl Files for Nothing {
    fn bytes(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// What the lines of a backend come to.
fn check_of(lines: &str) -> ProxyCheck {
    let text = format!("backend b\n {}\n server s 10.0.0.3:80\n", lines.replace(" / ", "\n "));
    let file = File { name: "a.cfg", bytes: text.as_bytes() };
    let read = crate::read(&Input { files: &[file], environment: &[], delivered: &Nothing });
    let setup = read.setup.unwrap_or_else(|| panic!("{lines}: {:?}", read.messages));
    setup.proxies().backends[0].check.clone()
}

/// What MySQL 8.0.19 says first, and that a login is well, or not.
const MYSQL: &[u8] = b"\x4a\0\0\0\x0a8.0.19\0\x0a\0\0\0o<\x02^bIA\r\0\xff\xff\xff\x02\0\xff\xc7\
    \x15\0\0\0\0\0\0\0\0\0\0|\x18!Y\x10n'a\x14C\" \0caching_sha2_password\0";
const WELL: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const DENIED: &[u8] = b"\x17\0\0\x02\xff\x15\x04#28000Access denied!";

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

#[test]
fn what_was_written_comes_to_what_was_recorded() {
    let recorded = recorded();
    for (name, lines, events) in cases() {
        let mut bed = Bed::new(name, check_of(lines), ServerCheck::default());
        bed.run(&events).unwrap_or_else(|| panic!("{name} is not over"));
        let took = format!("duration: {}ms", bed.check.report().duration_ms);
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
        Finished { is_news: true, change: None, repeats: true },
        "one of the two that it takes"
    );
    assert_eq!(
        bed.line(),
        "Health check for server mysqlok/s1 succeeded, reason: Layer7 check passed, code: 0, info: \
         \"8.0.19\", check duration: 0ms, status: 1/2 DOWN."
    );
    let second = bed.repeat();
    assert_eq!(second, Finished { is_news: true, change: Some(Change::Up), repeats: false });
    assert_eq!(
        bed.line(),
        "Health check for server mysqlok/s1 succeeded, reason: Layer7 check passed, code: 0, check \
         duration: 0ms, status: 3/3 UP."
    );
}
