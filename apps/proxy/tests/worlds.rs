//! Sessions in whole worlds: which server gets them, and what becomes of them when somebody is slow,
//! silent or gone.

mod world;

use penstock_config::haproxy::{
    Action, Address, Algorithm, Backend, BackendId, Bind, BindAddress, Frontend, Port, Proxies,
    Rule, Server,
};
use penstock_stack::{Close, Duration};
use penstock_wire::Addr;

use penstock_world::addr;
use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World};

/// A frontend on port 80, and servers from 10.0.0.3 on.
fn proxies(algorithm: Algorithm, servers: u32) -> Proxies {
    let at = BindAddress { addr: Addr::UNSPECIFIED, port: 80 };
    let mut frontend = Frontend {
        name: "fe".into(),
        binds: vec![Bind::new(at)],
        default_backend: Some(BackendId(0)),
        ..Frontend::default()
    };
    frontend.timeouts.client = Some(Duration::from_secs(10));
    let server = |number| {
        let address = Address::Addr(addr(3 + number));
        Server { id: number + 1, ..Server::new(&format!("s{number}"), address, Port::Fixed(80)) }
    };
    let mut backend = Backend {
        name: "be".into(),
        algorithm,
        servers: (0..servers).map(server).collect(),
        ..Backend::default()
    };
    backend.timeouts.connect = Some(Duration::from_secs(3));
    backend.timeouts.server = Some(Duration::from_secs(10));
    Proxies { frontends: vec![frontend], backends: vec![backend], ..Proxies::default() }
}

/// How often each server was asked.
fn shares(world: &World) -> Vec<u32> {
    world.servers.iter().map(|server| server.as_ref().map_or(0, |s| s.app().accepted)).collect()
}

#[test]
fn what_a_client_says_comes_back() {
    for cores in [1, 4] {
        let mut world =
            Plan::fair(proxies(Algorithm::RoundRobin, 2), cores, &[Ways::default(); 2]).world();
        let says: Vec<u8> = (0..1_000_000u32).map(|at| (at * 7) as u8).collect();
        let visits: Vec<_> = (0..6).map(|_| world.visit(80, Client::saying(&says))).collect();
        let begin = world.now;
        world.pass(60);
        for visit in visits {
            let client = world.client(visit);
            let ended_ms = (client.ended_at.expect("over").0 - begin.0) / 1000;
            assert!(ended_ms < 9_000, "it is an end that ended it, and no timeout: {ended_ms}");
            assert!((3..5).contains(&client.heard[0]));
            assert!(client.heard[1..] == says, "{} of {}", client.heard.len(), says.len());
        }
        assert_eq!(world.remains(), "");
        assert_eq!(shares(&world).iter().sum::<u32>(), 6);
    }
}

#[test]
fn a_listener_of_one_family_leaves_the_other_alone() {
    for (at, both_families, is_served) in [
        (Addr::v4(0), false, true),
        (Addr::UNSPECIFIED, true, true),
        (Addr::UNSPECIFIED, false, false),
    ] {
        let mut proxies = proxies(Algorithm::RoundRobin, 1);
        let at = BindAddress { addr: at, port: 80 };
        proxies.frontends[0].binds = vec![Bind { both_families, ..Bind::new(at) }];
        let mut world = Plan::fair(proxies, 2, &[Ways::default()]).world();
        let visit = world.visit(80, Client::saying(b"x"));
        world.pass(10);
        let client = world.client(visit);
        // Who is not served is refused, and was never let in.
        assert_eq!(
            (client.heard.len(), client.connected_at.is_some()),
            (2 * is_served as usize, is_served)
        );
        assert_eq!(client.end, Some(if is_served { Close::Finished } else { Close::Refused }));
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn a_listener_bounds_the_segments_of_its_clients() {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    let at = |port| BindAddress { addr: Addr::UNSPECIFIED, port };
    proxies.frontends[0].binds =
        vec![Bind::new(at(80)), Bind { mss: Some(700), ..Bind::new(at(81)) }];
    let mut world = Plan::fair(proxies, 2, &[Ways::default()]).world();
    let silent = Client::default;
    let visits = [80, 81].map(|port| world.visit(port, silent()));
    world.pass_ms(1_000);
    let mut sizes = [0; 2];
    world.act(|_, cx| sizes = visits.map(|visit| cx.info(visit).expect("there still").mss));
    // Less the timestamps.
    assert_eq!(sizes, [1460 - 12, 700 - 12]);
}

#[test]
fn servers_have_their_shares_over_all_cores() {
    let mut proxies = proxies(Algorithm::RoundRobin, 2);
    proxies.backends[0].servers[1].weight = 3;
    let mut world = Plan::fair(proxies, 4, &[Ways::default(); 2]).world();
    for _ in 0..400 {
        world.visit(80, Client::saying(b"x"));
        world.pass_ms(1);
    }
    world.pass(10);
    let shares = shares(&world);
    assert_eq!(shares.iter().sum::<u32>(), 400);
    assert!(shares[0].abs_diff(100) <= 8, "{shares:?}");
}

#[test]
fn one_slot_for_four_cores() {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    proxies.backends[0].servers[0].maxconn = Some(1);
    let ways = Ways { after_ms: 5, ..Ways::default() };
    let mut world = Plan::fair(proxies, 4, &[ways]).world();
    world.warm();
    let visits: Vec<_> = (0..40).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    let begin = world.now;
    world.pass(10);
    let server = world.servers[0].as_ref().expect("alive").app();
    assert_eq!((server.accepted, server.open_max), (40, 1));
    for visit in visits {
        assert_eq!(world.client(visit).heard.len(), 2, "{:?}", world.client(visit));
    }
    // Each holds the slot for 5 ms and a few round trips: none of it may be spent on waiting for it.
    let span_us = world.now.0 - begin.0;
    assert!(span_us < 40 * 6_000, "{span_us} us");
    assert_eq!(world.remains(), "");
}

#[test]
fn as_many_wait_for_a_server_as_may_over_all_cores() {
    for cores in [1, 4] {
        let mut proxies = proxies(Algorithm::Source, 1);
        let server = &mut proxies.backends[0].servers[0];
        (server.maxconn, server.maxqueue) = (Some(1), Some(9));
        let ways = Ways { after_ms: 50, ..Ways::default() };
        let mut world = Plan::fair(proxies, cores, &[ways]).world();
        world.warm();
        let visits: Vec<_> = (0..60).map(|_| world.visit(80, Client::saying(b"x"))).collect();
        world.pass(10);
        let served = visits.iter().filter(|&&visit| world.client(visit).heard.len() == 2).count();
        // Nine that waited, and whoever had the slot meanwhile, if he did not wait for it himself.
        assert!((9..=10).contains(&served), "{served} with {cores} cores");
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn three_slots_and_ten_thousand_sessions() {
    let mut proxies = proxies(Algorithm::LeastConn, 1);
    proxies.backends[0].servers[0].maxconn = Some(3);
    proxies.backends[0].timeouts.connect = Some(Duration::from_secs(100));
    proxies.frontends[0].timeouts.client = Some(Duration::from_secs(100));
    let ways = Ways { after_ms: 1, ..Ways::default() };
    let mut world = Plan::fair(proxies, 4, &[ways]).world();
    let mut visits = Vec::new();
    for _ in 0..100 {
        visits.extend((0..100).map(|_| world.visit(80, Client::saying(b"x"))));
        world.pass(30);
    }
    let server = world.servers[0].as_ref().expect("alive").app();
    assert_eq!((server.accepted, server.open_max), (10_000, 3));
    assert!(visits.iter().all(|&visit| world.client(visit).heard == [3, b'x']));
    assert_eq!(world.remains(), "");
}

#[test]
fn a_frontend_lets_in_as_many_as_it_may() {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    proxies.frontends[0].maxconn = Some(2);
    let ways = Ways { after_ms: 50, ..Ways::default() };
    let mut world = Plan::fair(proxies, 3, &[ways]).world();
    let visits: Vec<_> = (0..10).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    world.pass(10);
    let server = world.servers[0].as_ref().expect("alive").app();
    assert_eq!((server.accepted, server.open_max), (10, 2));
    assert!(visits.iter().all(|&visit| world.client(visit).heard.len() == 2));
    assert_eq!(world.remains(), "");
}

#[test]
fn a_rate_lets_in_later_and_refuses_nobody() {
    let set: [fn(&mut Proxies); 3] = [
        |proxies| proxies.frontends[0].session_rate_max = Some(20),
        |proxies| proxies.global.connection_rate_max = Some(20),
        |proxies| proxies.global.session_rate_max = Some(20),
    ];
    for (cores, set) in [1, 4].into_iter().flat_map(|cores| set.map(|set| (cores, set))) {
        let mut proxies = proxies(Algorithm::RoundRobin, 1);
        set(&mut proxies);
        let mut world = Plan::fair(proxies, cores, &[Ways::default()]).world();
        world.warm();
        // The one before has been forgotten.
        world.pass_ms(3_000);
        let visits: Vec<_> = (0..60).map(|_| world.visit(80, Client::saying(b"x"))).collect();
        let begin = world.now;
        world.pass_ms(900);
        let served = |world: &World| {
            visits.iter().filter(|&&visit| world.client(visit).heard.len() == 2).count()
        };
        assert_eq!(served(&world), 20, "with {cores} cores");
        world.pass_ms(1_100);
        let then = served(&world);
        assert!((38..=42).contains(&then), "{then} with {cores} cores");
        world.pass(10);
        assert_eq!(served(&world), 60);
        let last = visits.iter().filter_map(|&visit| world.client(visit).ended_at).max();
        let ended_ms = (last.expect("all ended").0 - begin.0) / 1000;
        assert!((2_950..3_200).contains(&ended_ms), "{ended_ms} with {cores} cores");
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn who_is_refused_by_a_rule_costs_no_session_of_a_rate() {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    proxies.frontends[0].session_rate_max = Some(5);
    proxies.frontends[0].connection_rules = vec![Rule { action: Action::Reject, condition: None }];
    let mut world = Plan::fair(proxies, 2, &[Ways::default()]).world();
    world.warm();
    let visits: Vec<_> = (0..50).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    world.pass_ms(900);
    assert!(visits.iter().all(|&visit| world.client(visit).ended_at.is_some()));
    assert_eq!(world.remains(), "");
}

#[test]
fn another_server_is_asked_at_once_where_one_refuses() {
    let mut proxies = proxies(Algorithm::RoundRobin, 2);
    proxies.backends[0].redispatch = Some(penstock_config::haproxy::Redispatch::FromLast(1));
    let refuses = Ways { refuses: true, ..Ways::default() };
    let mut world = Plan::fair(proxies, 2, &[refuses, Ways::default()]).world();
    world.warm();
    let visits: Vec<_> = (0..20).map(|_| world.visit(80, Client::saying(b"hello"))).collect();
    let begin = world.now;
    world.pass(10);
    assert!(visits.iter().all(|&visit| world.client(visit).heard == b"\x04hello"));
    assert!(world.now.0 - begin.0 < 500_000, "nobody had to pause");
    assert_eq!(world.remains(), "");
}

#[test]
fn the_same_server_is_asked_again_after_a_pause() {
    let refuses = Ways { refuses: true, ..Ways::default() };
    let mut world = Plan::fair(proxies(Algorithm::RoundRobin, 1), 1, &[refuses]).world();
    world.warm();
    let visit = world.visit(80, Client::saying(b"hello"));
    let begin = world.now;
    world.pass(10);
    // Three pauses of a second; then an end, not a reset.
    let ended_ms = (world.client(visit).ended_at.expect("over").0 - begin.0) / 1000;
    assert!((3000..3100).contains(&ended_ms), "{ended_ms}");
    assert_eq!(world.client(visit).end, Some(penstock_stack::Close::Finished));
    world.pass(10);
    assert_eq!(world.remains(), "");
}

#[test]
fn who_waits_too_long_is_sent_away() {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    proxies.backends[0].servers[0].maxconn = Some(1);
    proxies.backends[0].timeouts.queue = Some(Duration::from_millis(300));
    let mute = Ways { is_mute: true, ..Ways::default() };
    let mut world = Plan::fair(proxies, 2, &[mute]).world();
    let first = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
    world.pass_ms(50);
    let second = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
    let begin = world.now;
    world.pass_ms(1000);
    let ended_ms = (world.client(second).ended_at.expect("over").0 - begin.0) / 1000;
    assert!((300..320).contains(&ended_ms), "{ended_ms}");
    assert!(world.client(first).ended_at.is_none());
    world.pass(30);
    assert!(world.client(first).is_closed);
}

#[test]
fn who_speaks_while_it_waits_is_not_mute() {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    proxies.frontends[0].timeouts.client = Some(Duration::from_millis(200));
    proxies.backends[0].timeouts.server = Some(Duration::from_secs(5));
    proxies.backends[0].timeouts.queue = Some(Duration::from_secs(2));
    proxies.backends[0].servers[0].maxconn = Some(1);
    let mut world = Plan::fair(proxies, 1, &[Ways::default()]).world();
    world.warm();
    world.servers[0].as_mut().expect("alive").app_mut().ways = MUTE;
    world.visit(80, Client::saying(b"x"));
    world.pass_ms(20);
    let speaks = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
    let mute = world.visit(80, Client::default());
    world.pass_ms(500);
    assert!(world.client(mute).ended_at.is_some(), "it had 200 ms to say something");
    assert!(world.client(speaks).ended_at.is_none(), "it may wait for 2 s");
    world.pass_ms(1800);
    assert!(world.client(speaks).ended_at.is_some());
}

#[test]
fn a_server_in_maintenance_gets_nobody_and_its_queue_moves_on() {
    let mut proxies = proxies(Algorithm::Source, 2);
    proxies.backends[0].redispatch = Some(penstock_config::haproxy::Redispatch::FromLast(1));
    for server in &mut proxies.backends[0].servers {
        server.maxconn = Some(1);
    }
    let ways = Ways { after_ms: 200, ..Ways::default() };
    let mut world = Plan::fair(proxies, 4, &[ways; 2]).world();
    let visits: Vec<_> = (0..8).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    world.pass_ms(100);
    let busy = shares(&world).iter().position(|&share| share == 1).expect("one is asked");
    let id = penstock_config::haproxy::ServerId { backend: BackendId(0), index: busy as u16 };
    let now = world.now;
    world.cores[0].with(now, |app, cx| {
        let standing = app.standing(id);
        app.set_server(cx, id, penstock_proxy::Standing { is_in_maintenance: true, ..standing });
    });
    world.pass(10);
    let shares = shares(&world);
    assert_eq!((shares[busy], shares[1 - busy]), (1, 7), "its own session went on");
    assert!(visits.iter().all(|&visit| world.client(visit).heard.len() == 2));
    assert_eq!(world.remains(), "");
}

#[test]
fn who_waits_for_the_only_server_is_sent_away_when_it_goes() {
    let mut proxies = proxies(Algorithm::Source, 1);
    proxies.backends[0].redispatch = Some(penstock_config::haproxy::Redispatch::FromLast(1));
    proxies.backends[0].servers[0].maxconn = Some(1);
    let ways = Ways { after_ms: 100, ..Ways::default() };
    let mut world = Plan::fair(proxies, 2, &[ways]).world();
    world.warm();
    let visits: Vec<_> = (0..6).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    world.pass_ms(50);
    let id = penstock_config::haproxy::ServerId { backend: BackendId(0), index: 0 };
    let now = world.now;
    for is_in_maintenance in [true, false] {
        world.cores[0].with(now, |app, cx| {
            let standing = app.standing(id);
            app.set_server(cx, id, penstock_proxy::Standing { is_in_maintenance, ..standing });
        });
    }
    world.pass(10);
    let served = visits.iter().filter(|&&visit| world.client(visit).heard.len() == 2).count();
    assert_eq!(served, 1, "the one that it had");
    let visit = world.visit(80, Client::saying(b"x"));
    world.pass(10);
    assert_eq!(world.client(visit).heard, b"\x03x");
    assert_eq!(world.remains(), "");
}

/// A client and a server that are both there, and what the proxy may wait for.
fn timeouts(
    set: impl FnOnce(&mut Proxies),
    ways: Ways,
    client: Client,
) -> (World, penstock_stack::ConnId) {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    proxies.frontends[0].timeouts.client = Some(Duration::from_secs(2));
    proxies.backends[0].timeouts.server = Some(Duration::from_secs(4));
    set(&mut proxies);
    let mut world = Plan::fair(proxies, 1, &[Ways::default()]).world();
    world.warm();
    world.servers[0].as_mut().expect("alive").app_mut().ways = ways;
    let visit = world.visit(80, client);
    world.pass_ms(20);
    (world, visit)
}

const MUTE: Ways = Ways {
    refuses: false,
    is_mute: true,
    after_ms: 0,
    closes: false,
    shuts: false,
    resets_after: None,
    header: None,
};

fn ended_after_ms(world: &mut World, visit: penstock_stack::ConnId) -> u64 {
    let begin = world.now;
    world.pass(20);
    (world.client(visit).ended_at.expect("over").0 - begin.0) / 1000
}

#[test]
fn a_silent_client_is_taken_to_have_closed_and_its_server_may_still_answer() {
    let (mut world, visit) = timeouts(|_| {}, Ways::default(), Client::default());
    // The server hears the end of the client after 2 s, and closes at once.
    let ms = ended_after_ms(&mut world, visit);
    assert!((1950..2050).contains(&ms), "{ms}");
    assert_eq!(world.remains(), "");
}

#[test]
fn a_silent_server_is_given_its_own_time() {
    let (mut world, visit) = timeouts(|_| {}, MUTE, Client::saying(b"x"));
    let ms = ended_after_ms(&mut world, visit);
    assert!((3950..4050).contains(&ms), "{ms}");
    assert_eq!(world.client(visit).end, Some(penstock_stack::Close::Finished));
}

/// What rules held back is let go when their time is over, and that is no sign of life of the server.
#[test]
fn a_server_has_been_silent_since_it_spoke_and_not_since_it_was_heard() {
    let mut world = Plan::fair(
        world::proxies(
            "listen be\n bind :80\n timeout connect 1s\n timeout client 20s\n timeout server 4s\n \
             tcp-response inspect-delay 1s\n tcp-response content accept if { res.len gt 9 }\n \
             server s 10.0.0.3:80\n",
        ),
        1,
        &[Ways::default()],
    )
    .world();
    world.warm();
    let visit = world.visit(80, Client::default());
    world.pass_ms(500);
    assert_eq!(world.client(visit).heard, b"");
    world.pass_ms(1_000);
    assert_eq!(world.client(visit).heard, b"\x03");
    let ms = 1_500 + ended_after_ms(&mut world, visit);
    assert!((3_950..4_100).contains(&ms), "{ms}");
}

#[test]
fn a_fin_begins_another_time() {
    let set = |proxies: &mut Proxies| {
        proxies.backends[0].timeouts.server_fin = Some(Duration::from_secs(1));
    };
    let (mut world, visit) = timeouts(set, MUTE, Client::saying(b"x"));
    let ms = ended_after_ms(&mut world, visit);
    assert!((950..1050).contains(&ms), "{ms}");
}

#[test]
fn a_tunnel_has_one_time_for_both() {
    let set = |proxies: &mut Proxies| {
        proxies.backends[0].timeouts.tunnel = Some(Duration::from_secs(7));
    };
    let (mut world, visit) = timeouts(set, Ways::default(), Client::default());
    let ms = ended_after_ms(&mut world, visit);
    assert!((6950..7050).contains(&ms), "{ms}");
}

#[test]
fn a_client_that_does_not_listen_is_cut() {
    let (mut world, visit) = timeouts(|_| {}, Ways::default(), Client::default());
    // It says much and takes nothing of what comes back.
    world.act(|clients, cx| {
        clients.by_conn.remove(&visit);
        cx.pause(visit);
        clients.deaf = Some(visit);
    });
    for _ in 0..2000 {
        world.act(|_, cx| {
            cx.send(visit, &[7; 1000]);
        });
        world.pass_ms(1);
    }
    world.pass_ms(3000);
    assert_eq!(world.sessions(), 0, "it was given 2 s to take something");
}

#[test]
fn a_reset_reaches_the_other_side_and_an_end_stays_an_end() {
    let (mut world, visit) = timeouts(|_| {}, MUTE, Client::default());
    world.act(|_, cx| cx.abort(visit));
    world.pass_ms(50);
    let server = world.servers[0].as_ref().expect("alive").app();
    assert_eq!(server.ends, [penstock_stack::Close::Reset]);
    assert_eq!(world.remains(), "");

    // As HAProxy does it, a server's reset is an end for its client.
    let says = b"x".to_vec();
    let (mut world, visit) = timeouts(|_| {}, MUTE, Client { says, ..Client::default() });
    let now = world.now;
    let server = world.servers[0].as_mut().expect("alive");
    server.with(now, |app, cx| app.break_all(cx));
    world.pass_ms(50);
    assert_eq!(world.client(visit).end, Some(penstock_stack::Close::Finished));
}

#[test]
fn a_client_that_leaves_while_it_waits_is_forgotten() {
    let mut proxies = proxies(Algorithm::RoundRobin, 1);
    proxies.backends[0].servers[0].maxconn = Some(1);
    let mut world = Plan::fair(proxies, 2, &[Ways::default()]).world();
    world.warm();
    world.servers[0].as_mut().expect("alive").app_mut().ways = MUTE;
    let first = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
    world.pass_ms(10);
    let gone: Vec<_> = (0..4).map(|_| world.visit(80, Client::default())).collect();
    world.pass_ms(10);
    assert_eq!(world.sessions(), 5);
    for visit in gone {
        world.act(|_, cx| cx.close(visit));
    }
    world.pass_ms(10);
    assert_eq!(world.sessions(), 1, "they had said nothing");
    assert!(world.client(first).ended_at.is_none());
    let server = world.servers[0].as_ref().expect("alive").app();
    assert_eq!(server.accepted, 1);
}

#[test]
fn who_has_said_something_and_left_the_queue_is_not_connected_if_so_wished() {
    for (abort_on_close, connected) in [(false, 2), (true, 1)] {
        let mut proxies = proxies(Algorithm::RoundRobin, 1);
        proxies.backends[0].servers[0].maxconn = Some(1);
        proxies.backends[0].options.abort_on_close = abort_on_close;
        let mut world = Plan::fair(proxies, 2, &[Ways::default()]).world();
        world.warm();
        world.servers[0].as_mut().expect("alive").app_mut().ways = MUTE;
        let first = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
        world.pass_ms(10);
        let gone: Vec<_> = (0..4).map(|_| world.visit(80, Client::saying(b"x"))).collect();
        world.pass_ms(10);
        assert_eq!(world.sessions(), if abort_on_close { 1 } else { 5 }, "at once");
        world.act(|_, cx| cx.abort(first));
        world.pass_ms(100);
        let server = world.servers[0].as_ref().expect("alive").app();
        assert_eq!(server.accepted, connected);
        let ended = gone.iter().filter(|&&visit| world.client(visit).is_closed).count();
        assert_eq!(ended, if abort_on_close { 4 } else { 0 });
    }
}
