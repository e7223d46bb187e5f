//! Checks come to what HAProxy's come to: `recorded.txt` has, for each case below, the line that
//! HAProxy 2.6.12 logged and what it sent, with the duration set to 0.

mod agent;
mod cases;
mod written;

use super::*;
use cases::{http_cases, send, tcp, tcp_cases, wants};
use penstock_config::haproxy::{
    Address, Backend, CheckStep, Connect, Fetch, Port, ProxyCheck, ProxyHeader, Server, ServerCheck,
};
use penstock_stack::{Close, Duration, Endpoint, Instant};
use penstock_wire::Addr;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::line::Line;

/// When checks were recorded.
const UNIX_S: u64 = 0x6b07_f18a;

const LOOPBACK: Addr = Addr::v4(0x7f00_0001);

/// What happens to a check's connection.
#[derive(Clone, Copy, Debug)]
enum Event {
    Connected,
    Refused,
    Data(&'static str),
    Bytes(&'static [u8]),
    End,
    Reset,
    /// Nothing, until time is up.
    Silence,
}

use Event::{Bytes, Connected, Data, End, Refused, Reset, Silence};

/// A check, and all that is around it.
struct Bed {
    backend: Backend,
    server: Server,
    plan: Plan,
    check: Check,
    desk: Desk,
    now: Instant,
    sent: Vec<u8>,
    load: Option<Load<'static>>,
    opened: Vec<Endpoint>,
    closed: Vec<Ending>,
}

impl Bed {
    fn new(name: &str, check: ProxyCheck, with: ServerCheck) -> Bed {
        let mut backend = Backend { name: name.into(), check, ..Backend::default() };
        backend.timeouts.check = Some(Duration::from_millis(400));
        backend.timeouts.connect = Some(Duration::from_secs(1));
        let mut server = Server::new("s1", Address::Addr(LOOPBACK), Port::Fixed(7000));
        server.check = Some(with.clone());
        let plan = Plan::compile(&backend.check).expect("good");
        let check = Check::new(&plan, &with, Instant(0));
        Bed {
            backend,
            server,
            plan,
            check,
            desk: Desk::new(),
            now: Instant(0),
            sent: Vec::new(),
            load: None,
            opened: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Check, &Subject<'_>, &mut Desk, Instant) -> T,
    ) -> T {
        let subject = Subject {
            plan: &self.plan,
            backend: &self.backend,
            server: &self.server,
            check: self.server.check.as_ref().expect("checked"),
            addr: Some(LOOPBACK),
            spread_percent: 0,
            random: 0,
            unix_s: UNIX_S,
            load: self.load,
        };
        act(&mut self.check, &subject, &mut self.desk, self.now)
    }

    fn step(
        &mut self,
        act: impl FnOnce(&mut Check, &Subject<'_>, &mut Desk, Instant) -> Done,
    ) -> Option<Finished> {
        let done = self.with(act);
        self.sent.extend(done.send);
        self.opened.extend(done.open);
        self.closed.extend(done.close);
        done.finished
    }

    /// What repeats does.
    fn repeat(&mut self) -> Finished {
        self.with(|check, subject, _, now| check.repeat(subject, now))
    }

    /// The next check begins.
    fn begin(&mut self) -> Option<Finished> {
        self.now = self.check.due_at().expect("checked");
        self.step(|check, subject, desk, now| check.on_time(subject, desk, now).into())
    }

    fn happen(&mut self, event: Event) -> Option<Finished> {
        if matches!(event, Silence) {
            self.now = self.check.due_at().expect("checked");
        }
        let ends = [40_000, 7000].map(|port| Endpoint { addr: LOOPBACK, port });
        self.step(|check, subject, desk, now| match event {
            Connected => check.on_connected(subject, desk, ends[0], ends[1], now).into(),
            Refused => check.on_lost(subject, desk, Close::Refused, now).into(),
            Data(text) => check.on_data(subject, desk, text.as_bytes(), now).into(),
            Bytes(bytes) => check.on_data(subject, desk, bytes, now).into(),
            End => check.on_end(subject, desk, now).into(),
            Reset => check.on_lost(subject, desk, Close::Reset, now).into(),
            Silence => check.on_time(subject, desk, now).into(),
        })
    }

    /// A whole check.
    fn run(&mut self, events: &[Event]) -> Option<Finished> {
        if let Some(finished) = self.begin() {
            return Some(finished);
        }
        events.iter().find_map(|event| self.happen(*event))
    }

    fn names(&self) -> Names<'_> {
        Names { backend: &self.backend.name, server: "s1", is_backup: false }
    }

    /// The line of `option log-health-checks`.
    fn line(&self) -> String {
        let mut out = [0; 512];
        let mut line = Line::new(&mut out);
        let seen = (self.check.report(), self.check.health());
        write_check(self.names(), self.check.prober(), seen, 1, &mut line);
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    }
}

/// A [`Todo`] that outlives its desk.
struct Done {
    send: Vec<u8>,
    close: Option<Ending>,
    open: Option<Endpoint>,
    finished: Option<Finished>,
}

impl From<Todo<'_>> for Done {
    fn from(todo: Todo<'_>) -> Done {
        let Todo { send, close, open, finished } = todo;
        Done { send: send.to_vec(), close, open, finished }
    }
}

/// Lines by their names.
fn recorded() -> BTreeMap<&'static str, &'static str> {
    include_str!("recorded.txt")
        .lines()
        .map(|line| line.split_once(" | ").expect("a name and a line"))
        .collect()
}

#[test]
fn checks_come_to_what_was_recorded() {
    let recorded = recorded();
    let cases: Vec<_> = tcp_cases().into_iter().chain(http_cases()).collect();
    assert!(cases.len() > 55, "{} cases", cases.len());
    for (name, check, events) in cases {
        let mut bed = Bed::new(name, check, ServerCheck::default());
        let finished = bed.run(&events);
        assert!(finished.is_some_and(|finished| finished.is_news), "{name} is over, and new");
        let took = std::format!("duration: {}ms", bed.check.report().duration_ms.unwrap_or(0));
        let line = bed.line().replace(&took, "duration: 0ms");
        assert_eq!(line, recorded[name]);
        if let Some(sent) = recorded.get(std::format!("{name} sent").as_str()) {
            let quoted = String::from_utf8_lossy(&bed.sent).escape_default().to_string();
            let wanted = sent.trim_matches('\'');
            // Of two requests, the first was recorded.
            assert!(quoted.starts_with(wanted), "{name}: {quoted} is not {wanted}");
        }
    }
}

#[test]
fn a_server_goes_and_comes_as_recorded() {
    let mut bed = Bed::new("quiet", ProxyCheck::Layer4, ServerCheck::default());
    assert_eq!(bed.run(&[Connected]).and_then(|finished| finished.change), None);
    let changes: Vec<_> = (0..3).map(|_| bed.run(&[Refused]).expect("over").change).collect();
    assert_eq!(changes, [None, None, Some(Change::Down)]);
    let written = |bed: &Bed, change, cause: Cause<'_>, tally| {
        let mut out = [0; 512];
        let mut line = Line::new(&mut out);
        write_transition(bed.names(), change, cause, tally, &mut line);
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    };
    assert_eq!(
        written(&bed, Change::Down, Cause::Check(bed.check.report()), Tally::default()),
        "Server quiet/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", \
         check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 \
         remaining in queue."
    );
    assert_eq!(
        written(&bed, Change::Down, Cause::Told, Tally { backups: 1, ..Tally::default() }),
        "Server quiet/s1 is DOWN. 0 active and 1 backup servers left. Running on backup. 0 \
         sessions active, 0 requeued, 0 remaining in queue."
    );
    let changes: Vec<_> = (0..2).map(|_| bed.run(&[Connected]).expect("over").change).collect();
    assert_eq!(changes, [None, Some(Change::Up)]);
    assert_eq!(
        written(
            &bed,
            Change::Up,
            Cause::Check(bed.check.report()),
            Tally { active: 1, ..Tally::default() }
        ),
        "Server quiet/s1 is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 0 \
         backup servers online. 0 sessions requeued, 0 total in queue."
    );
    let mut out = [0; 64];
    let mut line = Line::new(&mut out);
    write_no_server("quiet", false, &mut line);
    assert_eq!(line.as_bytes(), b"backend quiet has no server available!");
    let mut line = Line::new(&mut out);
    write_no_server("lst", true, &mut line);
    assert_eq!(line.as_bytes(), b"proxy lst has no server available!");
}

#[test]
fn intervals_depend_on_the_health() {
    let ms = Duration::from_millis;
    let with = ServerCheck {
        inter: ms(1000),
        fast_inter: Some(ms(200)),
        down_inter: Some(ms(5000)),
        ..ServerCheck::default()
    };
    let mut bed = Bed::new("b", ProxyCheck::Layer4, with);
    let mut next = |event| {
        bed.run(&[event]).expect("over");
        (bed.check.due_at().expect("checked").0 - bed.now.0) / 1_000
    };
    assert_eq!(next(Connected), 1000, "all is well");
    assert_eq!(next(Refused), 200, "falling");
    assert_eq!(next(Refused), 200);
    assert_eq!(next(Refused), 5000, "down");
    assert_eq!(next(Connected), 200, "rising");
    assert_eq!(next(Refused), 5000, "down again");
    assert_eq!(next(Connected), 200);
    assert_eq!(next(Connected), 1000, "up");
}

#[test]
fn a_check_is_given_up_in_time() {
    let with = ServerCheck { inter: Duration::from_millis(600), ..ServerCheck::default() };
    let mut bed = Bed::new("b", ProxyCheck::Layer4, with);
    bed.run(&[Silence]).expect("over");
    assert_eq!(
        (bed.check.report().status, bed.check.report().duration_ms),
        (Status::Layer4Timeout, Some(600))
    );
    assert_eq!(bed.closed, [Ending::Reset]);
    let steps = || tcp([send("x", ""), CheckStep::Expect(wants("y"))]);
    let mut bed = Bed::new("b", steps(), ServerCheck::default());
    bed.begin();
    assert_eq!(bed.check.due_at(), Some(Instant(1_000_000)), "timeout connect");
    bed.happen(Connected);
    assert_eq!(bed.check.due_at(), Some(Instant(400_000)), "timeout check");
    assert!(bed.happen(Data("x")).is_none() && bed.happen(Silence).is_some());
    assert_eq!(bed.check.report().status, Status::Layer7Timeout);
}

#[test]
fn connections_go_where_they_are_told_to() {
    let with =
        ServerCheck { port: Some(81), addr: Some(Addr::v4(0x0a00_0001)), ..ServerCheck::default() };
    let mut bed = Bed::new("b", ProxyCheck::Layer4, with);
    bed.begin();
    assert_eq!(bed.opened, [Endpoint { addr: Addr::v4(0x0a00_0001), port: 81 }]);
    let other = Connect {
        port: Some(Fetch::Int(82).into()),
        addr: Some(Address::Addr(Addr::v4(0x0a00_0002))),
        linger: true,
        ..Connect::default()
    };
    let mut bed = Bed::new("b", tcp([CheckStep::Connect(other)]), ServerCheck::default());
    bed.run(&[Connected]);
    assert_eq!(bed.opened, [Endpoint { addr: Addr::v4(0x0a00_0002), port: 82 }]);
    assert_eq!(bed.closed, [Ending::Fin], "linger");
}

#[test]
fn a_proxy_header_comes_first() {
    let with = ServerCheck { send_proxy: true, ..ServerCheck::default() };
    let steps = || tcp([send("x", ""), CheckStep::Expect(wants("hello"))]);
    let mut bed = Bed::new("b", steps(), with.clone());
    bed.run(&[Connected]);
    assert_eq!(bed.sent, b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 7000\r\nx");
    let mut bed = Bed::new("b", steps(), with);
    bed.server.send_proxy =
        Some(ProxyHeader::V2 { crc32c: false, unique_id: false, authority: false });
    bed.run(&[Connected]);
    assert_eq!(bed.sent, b"\r\n\r\n\0\r\nQUIT\n \0\0\0x");
}

#[test]
fn who_is_taken_out_is_not_checked() {
    let mut bed = Bed::new("b", ProxyCheck::Layer4, ServerCheck::default());
    bed.begin();
    assert_eq!(bed.check.pause(), Some(Ending::Reset));
    assert_eq!((bed.check.due_at(), bed.check.pause()), (None, None));
    assert!(bed.happen(Connected).is_none(), "what comes too late is nothing");
    bed.check.resume(Instant(5));
    assert_eq!(bed.check.due_at(), Some(Instant(5)));
    assert!(bed.run(&[Connected]).expect("over").change.is_none(), "it was believed to be up");
}

#[test]
fn checks_do_not_begin_all_at_once() {
    let with = ServerCheck::default();
    let at = |position| first_at(Instant(7), &with, Duration::from_secs(1), position, 4).0;
    assert_eq!([at(0), at(1), at(3)], [7, 500_007, 1_500_007]);
}

#[test]
fn a_spread_stays_within_its_percents() {
    let mut bed = Bed::new("b", ProxyCheck::Layer4, ServerCheck::default());
    for (random, wanted_ms) in [(0, 2200), (u32::MAX / 2, 2000), (u32::MAX, 1800)] {
        bed.begin();
        bed.step(|check, subject, desk, now| {
            let subject = Subject { spread_percent: 10, random, ..*subject };
            check.on_lost(&subject, desk, Close::Refused, now).into()
        });
        let span = bed.check.due_at().expect("checked").0 - bed.now.0;
        assert!(span.abs_diff(wanted_ms * 1_000) < 10, "{span}");
    }
}

#[test]
fn failures_of_sessions_hasten_the_next_check() {
    let ms = Duration::from_millis;
    let with = ServerCheck { inter: ms(1000), fast_inter: Some(ms(100)), ..ServerCheck::default() };
    let mut bed = Bed::new("l", ProxyCheck::Layer4, with);
    bed.run(&[Connected]).expect("over");
    bed.now = Instant(bed.now.0 + 5_000);
    let finished = bed.with(|check, subject, _, now| check.on_failures(subject, 3, now));
    assert_eq!(finished, Some(Finished { is_news: true, ..Finished::default() }));
    assert_eq!(
        bed.line(),
        "Health check for server l/s1 failed, reason: Health analyze, info: \"Detected 3 \
         consecutive errors, last one was: L4 unsuccessful connection\", status: 2/3 UP."
    );
    assert_eq!(bed.check.due_at(), Some(Instant(bed.now.0 + 100_000)));
}
