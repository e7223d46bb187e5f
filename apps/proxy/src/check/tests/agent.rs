//! What agents say: the lines of the log as recorded from HAProxy, and what is to be done.

use super::*;
use penstock_config::haproxy::Algorithm;
use std::vec;

/// A server with an agent that says this, over and over.
fn bed() -> Bed {
    let with = ServerCheck { rise: 1, fall: 1, ..ServerCheck::default() };
    let mut bed = Bed::new("l", ProxyCheck::Layer4, with.clone());
    bed.plan = Plan::agent(b"hello\n");
    bed.check = Check::new(&bed.plan, &with, Instant(0));
    bed
}

fn says(bed: &mut Bed, line: &'static str) -> Finished {
    bed.run(&[Connected, Data(line), End]).expect("over")
}

#[test]
fn an_agent_is_heard_as_recorded() {
    let mut bed = bed();
    let up = "succeeded, reason: Layer7 check passed, code: 0, info: \"via agent : up\", check \
              duration: 0ms, status: 1/1 UP.";
    let why = "failed, reason: Layer7 wrong status, code: 0, info: \"via agent : down (why not)\", \
               check duration: 0ms, status: 0/1 DOWN.";
    let odd = "succeeded, reason: Layer7 check passed, code: 0, info: \"via agent : up (nonsense)\", \
               check duration: 0ms, status: 1/1 UP.";
    let down = "failed, reason: Layer7 wrong status, code: 0, info: \"via agent : down \
                (nonsense)\", check duration: 0ms, status: 0/1 DOWN.";
    let garbage = "succeeded, reason: Layer7 check passed, code: 0, info: \"via agent : up (maxconn \
                   string empty or preceded by garbage)\", check duration: 0ms, status: 1/1 UP.";
    for (said, line, change) in [
        ("up\n", up, None),
        ("down # why not\n", why, Some(Change::Down)),
        ("up nonsense\r\n", odd, Some(Change::Up)),
        ("down nonsense\n", down, Some(Change::Down)),
        ("maxconn:x up\n", garbage, Some(Change::Up)),
    ] {
        let finished = says(&mut bed, said);
        assert_eq!((finished.is_news, finished.change), (true, change), "{said}");
        assert_eq!(bed.line(), std::format!("Agent check for server l/s1 {line}"), "{said}");
    }
    assert_eq!(bed.sent, b"hello\n".repeat(5));
}

#[test]
fn an_agent_gives_orders() {
    let mut bed = bed();
    bed.server.weight = 50;
    let admin = |admin| Orders { admin: Some(admin), ..Orders::default() };
    let weight = |weight| Orders { weight: Some(weight), ..Orders::default() };
    let maxconn = |maxconn| Orders { maxconn: Some(maxconn), ..Orders::default() };
    for (said, orders, info) in [
        ("drain\n", admin(Admin::Drain), ""),
        ("ready,\tMAINT\n", admin(Admin::Maintenance), ""),
        ("maint ready # late\n", admin(Admin::Ready), ""),
        ("75%\n", weight(37), ""),
        ("99999999999999999999%\n", weight(256), ""),
        ("0%\n", weight(0), ""),
        ("MaxConn:30\n", maxconn(30), ""),
        ("maxconn:\n", Orders::default(), "agent warns : Require <maxconn>.\n"),
        ("maxconn:3x\n", Orders::default(), "agent warns : Trailing garbage in maxconn string"),
        ("5%%\n", Orders::default(), "agent warns : Trailing garbage in weight string"),
        (
            "300x%\n",
            Orders::default(),
            "agent warns : Absolute weight can only be between 0 and 256 inclusive.\n",
        ),
        ("-5%\n", Orders::default(), "agent reports an error : -5%"),
        ("5 7\n", Orders::default(), "agent reports an error : 5"),
        ("up", Orders::default(), "Ignoring incomplete line from agent"),
        ("# nothing\n", Orders::default(), ""),
        ("\n", Orders::default(), ""),
    ] {
        let finished = says(&mut bed, said);
        assert_eq!(finished, Finished { orders, ..Finished::default() }, "{said}");
        assert_eq!(String::from_utf8_lossy(bed.check.report().info()), info, "{said}");
        assert_eq!(bed.check.report().status, Status::Checked);
    }
    bed.backend.algorithm = Algorithm::StaticRoundRobin;
    assert_eq!(says(&mut bed, "100%\n").orders, weight(50));
    assert_eq!(says(&mut bed, "50% up\n").orders, Orders::default());
    assert_eq!(
        bed.check.report().info(),
        b"via agent : up (Backend is using a static LB algorithm and only accepts weights '0%' and \
          '100%'.\n)"
    );
}

#[test]
fn an_agent_that_is_not_there_changes_nothing() {
    let mut bed = bed();
    says(&mut bed, "up\n");
    for events in [vec![Refused], vec![Connected, End], vec![Connected, Silence]] {
        let finished = bed.run(&events).expect("over");
        assert_eq!((finished.is_news, finished.change), (true, None), "{events:?}");
        assert!(bed.check.health().is_up());
    }
    says(&mut bed, "down\n");
    bed.run(&[Refused]).expect("over");
    assert!(!bed.check.health().is_up(), "it does not bring up who is down, either");
}
