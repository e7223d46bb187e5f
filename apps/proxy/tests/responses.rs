//! Rules on what a server says: until they have decided, its client hears nothing of it; what they
//! waited for is heard whole and in order; and what they refuse is heard by nobody.

mod world;

use penstock_stack::{Close, ConnId};

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World, site};

const LOG: &str = "    log stdout format raw local0\n    log-format \"%ts %U %B\"\n";

const SERVER: &str = "    server s1 10.0.0.3:80\n    tcp-response inspect-delay 1s\n";

/// Somebody has come who says so many bytes and stays.
fn world(rules: &str, ways: Ways, says: usize) -> (World, ConnId) {
    let mut world = Plan::fair(site(LOG, &format!("{SERVER}{rules}")), 1, &[ways]).world();
    world.warm();
    let says: Vec<u8> = (0..says).map(|at| at as u8).collect();
    let visit = world.visit(80, Client { says, ..Client::default() });
    (world, visit)
}

/// It has heard its server's name and all that it said itself.
fn has_heard_all(world: &World, visit: ConnId) -> bool {
    let Client { says, heard, .. } = world.client(visit);
    heard.split_first().is_some_and(|(name, rest)| *name == 3 && rest == says)
}

const WAITS: &str = "    tcp-response content accept if { res.len gt 100 }\n";

#[test]
fn what_is_refused_is_heard_by_nobody() {
    let rule = "    tcp-response content reject if { res.payload(0,1) -m bin 03 }\n";
    let (mut world, visit) = world(rule, Ways::default(), 5);
    world.pass_ms(500);
    let client = world.client(visit);
    assert_eq!((client.heard.len(), client.end), (0, Some(Close::Finished)));
    assert_eq!(world.take_log(), ["PD 5 6\n"]);
    assert_eq!(world.servers[0].as_ref().expect("alive").app().ends, [Close::Reset]);
    world.pass(30);
    assert_eq!(world.remains(), "");
}

#[test]
fn what_is_waited_for_is_kept_until_it_is_there() {
    let (mut world, visit) = world(WAITS, Ways::default(), 5);
    world.pass_ms(900);
    assert_eq!(world.client(visit).heard.len(), 0, "less than a hundred are there");
    world.act(|clients, cx| {
        let more = [7; 200];
        cx.send(visit, &more);
        let client = clients.by_conn.get_mut(&visit).expect("it came");
        client.says.extend(more);
        client.said += more.len();
    });
    world.pass_ms(50);
    assert!(has_heard_all(&world, visit));
    world.act(|_, cx| cx.shutdown(visit));
    world.pass(30);
    assert_eq!(world.take_log(), ["-- 205 206\n"]);
    assert_eq!(world.remains(), "");
}

#[test]
fn when_the_time_is_over_the_next_rule_decides() {
    let (mut world, visit) = world(WAITS, Ways::default(), 5);
    world.pass_ms(990);
    assert_eq!(world.client(visit).heard.len(), 0);
    world.pass_ms(50);
    assert!(has_heard_all(&world, visit), "nothing was against it");

    let rules = format!("{WAITS}    tcp-response content reject\n");
    let (mut world, visit) = self::world(&rules, Ways::default(), 5);
    world.pass_ms(990);
    assert!(world.client(visit).end.is_none());
    world.pass_ms(50);
    let client = world.client(visit);
    assert_eq!((client.heard.len(), client.end), (0, Some(Close::Finished)));
    assert_eq!(world.take_log(), ["PD 5 6\n"]);
}

#[test]
fn nobody_waits_for_more_than_a_buffer_holds() {
    let rule = "    tcp-response content accept if { res.len gt 1000000 }\n";
    let (mut world, visit) = world(rule, Ways::default(), 60_000);
    world.pass_ms(500);
    assert!(has_heard_all(&world, visit), "{:?}", world.client(visit));
}

#[test]
fn nobody_waits_for_a_server_that_has_said_all() {
    let (mut world, visit) = world(WAITS, Ways { closes: true, ..Ways::default() }, 0);
    world.pass_ms(50);
    let client = world.client(visit);
    assert_eq!((&*client.heard, client.end), (&[3][..], Some(Close::Finished)));
    world.pass(30);
    assert_eq!(world.remains(), "");

    // What came before a reset is heard, as without rules.
    let ways = Ways { resets_after: Some(2), ..Ways::default() };
    let (mut world, visit) = self::world(WAITS, ways, 1);
    world.pass_ms(50);
    world.act(|_, cx| {
        cx.send(visit, b"x");
    });
    world.pass_ms(50);
    let client = world.client(visit);
    assert_eq!(client.heard.first(), Some(&3), "{client:?}");
    world.pass(30);
    assert_eq!(world.remains(), "");
}

#[test]
fn what_was_said_before_a_close_is_heard() {
    let rule = "    tcp-response content close if { res.len gt 0 }\n";
    let (mut world, visit) = world(rule, Ways { after_ms: 20, ..Ways::default() }, 0);
    world.pass_ms(500);
    let client = world.client(visit);
    assert_eq!((&*client.heard, client.end), (&[3][..], Some(Close::Finished)));
    assert_eq!(world.take_log(), ["-- 0 1\n"]);
    world.pass(30);
    assert_eq!(world.remains(), "");
}
