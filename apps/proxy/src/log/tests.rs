//! Lines come out as HAProxy's, byte for byte: `recorded.txt` has formats and what HAProxy 2.6.12
//! logged with them for a client that sent 3 bytes, to a server that answered 5, to one that was
//! down, to none, and with `option logasap`. Each line begins with the plain numbers from which the
//! test makes the record. In mode `tcp` HAProxy's `%Tw` is a millisecond more than was waited, since a
//! request that does not exist counts as -1; the file has what was waited.

use super::*;
use crate::sample::tests::{Bytes, parse};
use crate::sample::{Value, View, Workspace};
use penstock_config::haproxy::{
    Counter, Facility, Fetch, Format, Item, ItemOptions, LogTo, Sample, Style, TableId, Variable,
    Way,
};
use penstock_wire::Addr;
use std::string::{String, ToString};
use std::vec::Vec;

const LOOPBACK: Addr = Addr::v4(0x7f00_0001);

/// A format, as a configuration has it: `%ci`, `%{+Q}ci`, `%[src]`, text.
fn format(text: &str) -> Format {
    let mut items = Vec::new();
    let mut defaults = ItemOptions { mandatory: true, ..ItemOptions::default() };
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        items.push(Item::Text(rest[..at].into()));
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            items.push(Item::Text(b"%".into()));
            rest = behind;
            continue;
        }
        let mut options = defaults;
        if let Some(behind) = rest.strip_prefix('{') {
            let (flags, behind) = behind.split_once('}').expect("closed");
            for flag in flags.split(',') {
                let on = flag.starts_with('+');
                match &flag[1..] {
                    "Q" => options.quote = on,
                    "X" => options.hexadecimal = on,
                    "E" => options.escape = on,
                    _ => options.mandatory = on,
                }
            }
            rest = behind;
        }
        if let Some(behind) = rest.strip_prefix('[') {
            let (sample, behind) = behind.split_once(']').expect("closed");
            items.push(Item::Sample(sample_of(sample), options));
            rest = behind;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = &rest[..end];
        rest = &rest[end..];
        if name == "o" {
            defaults = options;
            continue;
        }
        let variable = Variable::NAMES.iter().find(|(known, _)| *known == name).expect("known");
        items.push(Item::Variable(variable.1, options));
    }
    items.push(Item::Text(rest.into()));
    Format(items)
}

fn sample_of(text: &str) -> Sample {
    match text {
        "src_port" => Fetch::SourcePort.into(),
        "dst" => Fetch::Destination.into(),
        "fe_name" => Fetch::FrontendName.into(),
        _ => parse(text),
    }
}

/// The samples of a record.
struct Session<'r>(&'r Record<'r>);

impl View for Session<'_> {
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
        let Record { client, frontend_end, frontend, .. } = self.0;
        match fetch {
            Fetch::Source => Some(Value::Addr((*client)?.addr)),
            Fetch::SourcePort => Some(Value::Int(i64::from((*client)?.port))),
            Fetch::Destination => Some(Value::Addr((*frontend_end)?.addr)),
            Fetch::DestinationPort => Some(Value::Int(i64::from((*frontend_end)?.port))),
            Fetch::FrontendName => Some(Value::Text(frontend.as_bytes())),
            _ => None,
        }
    }

    fn table(&self, _: TableId, _: Option<Counter>, _: Value<'_>) -> Option<i64> {
        None
    }
}

fn record() -> Record<'static> {
    Record {
        accepted_at: Duration(0),
        client: Some(Endpoint { addr: LOOPBACK, port: 45_678 }),
        frontend_end: Some(Endpoint { addr: LOOPBACK, port: 20_000 }),
        backend_end: None,
        server_end: None,
        frontend: "fe",
        backend: "be",
        server: None,
        timers: Timers::default(),
        termination: *b"--",
        bytes_up: 0,
        bytes_down: 0,
        counts: Counts { process: 1, frontend: 1, backend: 0, server: 0 },
        retries: 0,
        is_redispatched: false,
        server_queue: 0,
        backend_queue: 0,
        unique_id: b"a\"b]c",
        sessions_before: 0,
        lines_before: 0,
        is_early: false,
        host_name: "vm",
        pid: 1,
    }
}

#[test]
fn sessions_are_logged_as_recorded() {
    let lines: Vec<&str> = include_str!("recorded.txt").lines().collect();
    assert!(lines.len() > 100, "{} lines", lines.len());
    for pair in lines.chunks(2) {
        let mut head = pair[0].splitn(3, ' ');
        let kind = head.next().expect("a backend");
        let port: u16 = head.next().expect("a port").parse().expect("a number");
        let text = head.next().expect("a format");
        let (numbers, wanted) = pair[1].split_once('|').expect("numbers");
        let words: Vec<&str> = numbers.split_whitespace().collect();
        let number = |at: usize| words[at].trim_start_matches('+').parse::<i64>().ok();
        let (queued, connecting, transferring) = (number(3), number(4), number(5));
        let close_ms = number(6).expect("a total") as u32;
        let (mut request, mut queue, mut connect) = (None, None, None);
        if let Some(transferring) = transferring.filter(|time| *time >= 0) {
            connect = Some(close_ms - transferring as u32);
        }
        if let Some(queued) = queued.filter(|time| *time >= 0) {
            let left = connect.map(|at| at - connecting.expect("connected") as u32);
            queue = Some(left.unwrap_or(queued as u32));
            request = queue.map(|at| at - queued as u32);
        }
        let frontend = std::format!("fe{}", port - 20_000);
        let server = Endpoint { addr: LOOPBACK, port: if kind == "down" { 7001 } else { 7000 } };
        let end = number(9).map(|port| Endpoint { addr: LOOPBACK, port: port as u16 });
        let is_early = kind == "asap";
        let on_server = u32::from(is_early);
        let record = Record {
            accepted_at: Duration(
                number(0).expect("seconds") as u64 * 1_000_000
                    + number(1).expect("milliseconds") as u64 * 1_000,
            ),
            client: Some(Endpoint { addr: LOOPBACK, port: port + 25_678 }),
            frontend_end: Some(Endpoint { addr: LOOPBACK, port }),
            backend_end: end,
            server_end: end.map(|_| server),
            frontend: &frontend,
            backend: match kind {
                "none" => &frontend,
                "asap" => "be",
                name => name,
            },
            server: (kind != "none").then_some("s1"),
            timers: Timers {
                handshake_ms: 0,
                request_ms: request,
                queue_ms: queue,
                connect_ms: connect,
                close_ms,
            },
            termination: if matches!(kind, "be" | "asap") { *b"--" } else { *b"SC" },
            bytes_down: number(7).expect("bytes") as u64,
            bytes_up: number(8).expect("bytes") as u64,
            counts: Counts { backend: on_server, server: on_server, ..record().counts },
            retries: u32::from(kind == "down"),
            sessions_before: number(11).expect("a count") as u32,
            is_early,
            ..record()
        };
        // The process has another number here.
        let pid = words[12].parse::<u32>().expect("a number");
        let wanted = wanted.replace(&std::format!("{pid:04X}"), "0001");
        let (mut out, mut work) = ([0; 512], Workspace::new());
        let mut line = Line::new(&mut out);
        let view = Session(&record);
        let format = format(text).with_spaces_merged();
        write_session(&format, &record, &view, &mut work, &mut line);
        let found = String::from_utf8_lossy(line.as_bytes()).into_owned();
        // The recorded line has text in front, so that a space at its beginning is one.
        assert_eq!(found, wanted.trim_start(), "{kind}: {text}");
    }
}

#[test]
fn what_is_no_session_is_logged_as_recorded() {
    let accepted_at = Duration(1_795_672_536_655_000);
    let client = Endpoint { addr: LOOPBACK, port: 45_780 };
    let refused = |listener, refusal| {
        let mut out = [0; 512];
        let mut line = Line::new(&mut out);
        write_refused(client, accepted_at, "proxied", listener, refusal, &mut line);
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    };
    assert_eq!(
        refused((Some("px"), 1), Refusal::NotHeader),
        "127.0.0.1:45780 [26/Nov/2026:05:55:36.655] proxied/px: Received something which does not \
         look like a PROXY protocol header"
    );
    assert_eq!(
        refused((None, 2), Refusal::Truncated),
        "127.0.0.1:45780 [26/Nov/2026:05:55:36.655] proxied/2: Truncated PROXY protocol header \
         received"
    );
    let mut out = [0; 512];
    let mut line = Line::new(&mut out);
    write_connect(&Record { frontend: "plain", ..record() }, &mut line);
    let wanted = b"Connect from 127.0.0.1:45678 to 127.0.0.1:20000 (plain/TCP)";
    assert_eq!(line.as_bytes(), wanted);
}

fn target(style: Style, length_max: u32) -> LogTarget {
    LogTarget {
        to: LogTo::Console,
        style,
        length_max,
        sample_ranges: Vec::new(),
        sample_size: 0,
        facility: Facility(19),
        most: Level(7),
        least: Level(0),
    }
}

#[test]
fn headers_are_as_recorded() {
    let sent_at = Duration(1_795_672_536_632_302);
    let mut clock = Clock::new();
    let mut framed = |style, length_max, host, message: &str| {
        let header = Header { level: Level(6), sent_at, host, tag: "penstock", pid: 1 };
        let mut out = [0; 1025];
        let target = target(style, length_max);
        let line = frame(&target, &header, message.as_bytes(), &mut clock, &mut out);
        String::from_utf8_lossy(line).into_owned()
    };
    // HAProxy's process is replaced by ours.
    for (style, host, wanted) in [
        (Style::Local, None, "<158>Nov 26 05:55:36 penstock[1]: hello\n"),
        (Style::Local, Some("lb1"), "<158>Nov 26 05:55:36 penstock[1]: hello\n"),
        (Style::Rfc3164, None, "<158>Nov 26 05:55:36 localhost penstock[1]: hello\n"),
        (Style::Rfc3164, Some("lb1"), "<158>Nov 26 05:55:36 lb1 penstock[1]: hello\n"),
        (Style::Rfc5424, None, "<158>1 2026-11-26T05:55:36.632302+00:00 - penstock 1 - - hello\n"),
        (
            Style::Rfc5424,
            Some("lb1"),
            "<158>1 2026-11-26T05:55:36.632302+00:00 lb1 penstock 1 - - hello\n",
        ),
        (Style::Priority, None, "<158>hello\n"),
        (Style::Short, None, "<6>hello\n"),
        (Style::Timed, None, "<6>2026-11-26T05:55:36.632302+00:00 hello\n"),
        (Style::Iso, None, "2026-11-26T05:55:36.632302+00:00 hello\n"),
        (Style::Raw, None, "hello\n"),
    ] {
        assert_eq!(framed(style, 1024, host, "hello"), wanted);
    }
    let long = "0123456789 ".repeat(9);
    let cut = framed(Style::Rfc3164, 80, None, &long);
    assert_eq!((cut.len(), cut.ends_with('\n')), (81, true), "{cut}");
    let sent_at = Duration::from_secs(0);
    let day = Header { level: Level(6), sent_at, host: None, tag: "t", pid: 1 };
    let mut out = [0; 100];
    let line = frame(&target(Style::Local, 99), &day, b"x", &mut clock, &mut out);
    assert_eq!(line, b"<158>Jan  1 00:00:00 t[1]: x\n");
    assert_eq!(frame(&target(Style::Raw, 99), &day, b"abc", &mut clock, &mut [0; 3]), b"ab\n");
    assert_eq!(frame(&target(Style::Raw, 99), &day, b"abc", &mut clock, &mut []), b"");
}

#[test]
fn a_target_takes_what_it_was_told_to() {
    let mut target = target(Style::Raw, 80);
    target.most = Level(5);
    target.least = Level(3);
    assert_eq!(route(&target, Level(6), 0), None);
    assert_eq!(route(&target, Level(5), 0), Some(Level(5)));
    assert_eq!(route(&target, Level(0), 0), Some(Level(3)));
    target.sample_size = 5;
    target.sample_ranges = [2..=3, 5..=5].into();
    let taken: Vec<u64> = (0..10).filter(|n| route(&target, Level(5), *n).is_some()).collect();
    assert_eq!(taken, [1, 2, 4, 6, 7, 9]);
}

#[test]
fn spaces_are_kept_where_they_matter() {
    let view = Bytes { request: b"", is_final: true };
    let written = |format: &Format| {
        let mut out = [0; 64];
        let mut line = Line::new(&mut out);
        write_session(format, &record(), &view, &mut Workspace::new(), &mut line);
        String::from_utf8_lossy(line.as_bytes()).to_string()
    };
    let format = format("  GET  %[int(1)]  %hr  %rt");
    assert_eq!(written(&format), "  GET  1    0");
    assert_eq!(written(&format.with_spaces_merged()), "GET 1 0");
}

#[test]
fn a_clock_says_the_second_that_it_is_asked_for() {
    let mut clock = Clock::new();
    for (second, wanted) in [
        (1_795_672_536, "26/Nov/2026:05:55:36 Nov 26 05:55:36 "),
        (1_795_672_537, "26/Nov/2026:05:55:37 Nov 26 05:55:37 "),
        (0, "01/Jan/1970:00:00:00 Jan  1 00:00:00 "),
    ] {
        for micros in [0, 999_999] {
            let at = Duration(second * 1_000_000 + micros);
            let said = [clock.day_and_time(at), b" "].concat();
            let said = [&said, clock.legacy(at)].concat();
            assert_eq!(String::from_utf8_lossy(&said), wanted);
        }
    }
}
