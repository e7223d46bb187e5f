//! Who is with which server: of a key, the one that it had; by `use-server`, the one that it names; by
//! `leastconn`, the one with the fewest; first of all who waits, whoever is most urgent; and who has
//! waited for too long is heard out.

mod world;

use penstock_config::haproxy::{BackendId, ServerId};
use penstock_proxy::Standing;
use penstock_stack::Close;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World, site};

const SERVERS: &str = "    server s1 10.0.0.3:80\n    server s2 10.0.0.4:80\n";

fn world(backend: &str, cores: u16) -> World {
    let mut world = Plan::fair(site("", backend), cores, &[Ways::default(); 2]).world();
    for _ in 0..8 {
        world.visit(80, Client::saying(b"x"));
    }
    // What was remembered of them is forgotten.
    world.pass_ms(20_000);
    world
}

/// Who answers so many clients that come one after the other, 0 for nobody.
fn who_answers(world: &mut World, count: usize) -> Vec<u8> {
    let visits: Vec<_> = (0..count)
        .map(|_| {
            let visit = world.visit(80, Client::saying(b"x"));
            world.pass_ms(100);
            visit
        })
        .collect();
    let name = |visit| world.client(visit).heard.first().copied().unwrap_or(0);
    visits.into_iter().map(name).collect()
}

/// Takes a server out, or puts it back.
fn take_out(world: &mut World, index: u16, is_in_maintenance: bool) {
    let id = ServerId { backend: BackendId(0), index };
    world.cores[0].with(world.now, |app, cx| {
        app.set_server(cx, id, Standing { is_in_maintenance, ..app.standing(id) });
    });
    world.pass_ms(10);
}

/// They all have the same key.
const STICKS: &str =
    "    stick-table type integer size 100 expire 10s\n    stick on src_port,mod(1)\n";

#[test]
fn a_key_keeps_its_server_on_all_cores_while_that_is_there() {
    for cores in [1, 4] {
        let mut world = world(&format!("{STICKS}{SERVERS}"), cores);
        let names = who_answers(&mut world, 12);
        let first = names[0];
        assert_eq!(names, [first; 12], "on {cores} cores");
        let other = 7 - first;
        take_out(&mut world, u16::from(first) - 3, true);
        assert_eq!(who_answers(&mut world, 4), [other; 4]);
        take_out(&mut world, u16::from(first) - 3, false);
        assert_eq!(who_answers(&mut world, 4), [other; 4], "it has another one by now");
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn a_key_moves_on_from_a_server_that_refuses() {
    let mut world = world(&format!("    option redispatch\n{STICKS}{SERVERS}"), 2);
    let first = who_answers(&mut world, 1)[0];
    let now = world.now;
    let server = world.servers[usize::from(first) - 3].as_mut().expect("alive");
    server.with(now, |app, cx| app.refuse(cx));
    // Its last try may be with another.
    let visit = world.visit(80, Client::saying(b"x"));
    world.pass_ms(4_000);
    let other = 7 - first;
    assert_eq!(world.client(visit).heard.first(), Some(&other));
    assert_eq!(who_answers(&mut world, 4), [other; 4]);
}

/// `payload` is of the client where a server is looked for, and of the server where that is remembered: all
/// clients say the first byte of what one server says, and come to that one from then on.
#[test]
fn what_a_server_has_said_leads_to_it_when_a_client_says_it() {
    for cores in [1, 4] {
        let rules = "    stick-table type binary len 1 size 100\n    stick match payload(0,1)\n    \
                     stick store-response payload(0,1)\n    tcp-request inspect-delay 1s\n    \
                     tcp-request content accept if { req.len gt 0 }\n    \
                     tcp-response inspect-delay 1s\n    \
                     tcp-response content accept if { res.len gt 0 }\n";
        let mut world = world(&format!("{rules}{SERVERS}"), cores);
        let mut visit = |says: &[u8]| {
            let visit = world.visit(80, Client::saying(says));
            world.pass_ms(100);
            world.client(visit).heard.first().copied()
        };
        // Both have been with somebody, and a server's first byte is its name.
        let met: Vec<_> = (0..8).map(|_| visit(b"x")).collect();
        assert!(met.contains(&Some(3)) && met.contains(&Some(4)), "on {cores} cores: {met:?}");
        for name in [3, 4, 4, 3] {
            assert_eq!([(); 3].map(|()| visit(&[name])), [Some(name); 3], "on {cores} cores");
        }
    }
}

#[test]
fn a_server_that_nobody_is_to_stick_to_is_not_remembered() {
    let servers = SERVERS.replace(":80\n", ":80 non-stick\n");
    let mut world = world(&format!("{STICKS}{servers}"), 1);
    let names = who_answers(&mut world, 4);
    assert!(names.contains(&3) && names.contains(&4), "{names:?}");
}

#[test]
fn a_rule_names_a_server_unless_that_is_away() {
    let rule = "    use-server s2 if { src_port gt 0 }\n";
    let mut world = world(&format!("{rule}{SERVERS}"), 2);
    assert_eq!(who_answers(&mut world, 6), [4; 6]);
    take_out(&mut world, 1, true);
    assert_eq!(who_answers(&mut world, 4), [3; 4]);
}

#[test]
fn who_has_the_fewest_sessions_gets_the_next() {
    for cores in [1, 4] {
        let mut world = world(&format!("    balance leastconn\n{SERVERS}"), cores);
        let stay = |world: &mut World| {
            let visit = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
            world.pass_ms(100);
            (visit, world.client(visit).heard[0])
        };
        let visits: Vec<_> = (0..6).map(|_| stay(&mut world)).collect();
        let (at_first, rest): (Vec<_>, Vec<_>) = visits.iter().partition(|(_, name)| *name == 3);
        assert_eq!((at_first.len(), rest.len()), (3, 3));
        for (visit, _) in at_first {
            world.act(|_, cx| cx.abort(visit));
        }
        world.pass_ms(100);
        let names: Vec<u8> = (0..3).map(|_| stay(&mut world).1).collect();
        assert_eq!(names, [3; 3], "on {cores} cores");
    }
}

#[test]
fn who_is_urgent_is_served_first() {
    let rules = "    tcp-request inspect-delay 5s
    tcp-request content set-priority-class int(5) if { req.payload(0,1) -m bin 62 }
    tcp-request content set-priority-class int(-5) if { req.payload(0,1) -m bin 63 }
    server s1 10.0.0.3:80 maxconn 1
";
    let mut world = world(rules, 1);
    let blocks = world.visit(80, Client { says: b"a".to_vec(), ..Client::default() });
    world.pass_ms(10);
    let visits: Vec<_> = [b"b", b"a", b"c", b"a", b"c"]
        .map(|says| {
            let visit = world.visit(80, Client::saying(says));
            world.pass_ms(2);
            visit
        })
        .into();
    world.act(|_, cx| cx.abort(blocks));
    world.pass_ms(500);
    let mut order: Vec<usize> = (0..5).collect();
    order.sort_by_key(|&at| world.client(visits[at]).heard_at);
    assert_eq!(order, [2, 4, 1, 3, 0]);
}

#[test]
fn who_is_sent_away_is_heard_out_but_not_for_ever() {
    let mut world = world("    timeout queue 1s\n    server s1 10.0.0.3:80 maxconn 1\n", 1);
    let first = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
    world.pass_ms(10);
    let [waits, stays] =
        [(), ()].map(|()| world.visit(80, Client { says: vec![7; 100_000], ..Client::default() }));
    world.pass_ms(500);
    // It closes when it likes, not when it is told.
    world.act(|clients, _| {
        clients.by_conn.remove(&stays);
    });
    world.pass_ms(1_000);
    assert_eq!(world.client(waits).end, Some(Close::Finished), "and not a reset");
    world.act(|_, cx| cx.abort(first));
    world.pass_ms(3_000);
    let open = |world: &World| world.cores[0].census().connections;
    assert_eq!(open(&world), 1, "who stays has some seconds");
    world.pass_ms(3_000);
    assert_eq!(open(&world), 0);
}
