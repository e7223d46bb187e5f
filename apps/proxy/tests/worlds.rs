//! Sessions in whole worlds: which server gets them, what becomes of them when somebody is slow,
//! silent or gone, and that no byte is lost, invented or given to the wrong client.

mod world;

use penstock_config::haproxy::{
    Address, Algorithm, Backend, BackendId, Bind, BindAddress, Frontend, Port, Proxies, Server,
};
use penstock_stack::Duration;
use penstock_wire::Addr;

use world::client::Client;
use world::server::Ways;
use world::{Plan, World, addr};

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
        let mut world = World::new(&Plan::fair(
            proxies(Algorithm::RoundRobin, 2),
            cores,
            &[Ways::default(); 2],
        ));
        let says: Vec<u8> = (0..1_000_000u32).map(|at| (at * 7) as u8).collect();
        let visits: Vec<_> = (0..6).map(|_| world.visit(80, Client::saying(&says))).collect();
        world.pass(60);
        for visit in visits {
            let client = world.client(visit);
            assert!((3..5).contains(&client.heard[0]));
            assert!(client.heard[1..] == says, "{} of {}", client.heard.len(), says.len());
        }
        assert_eq!(world.remains(), "");
        assert_eq!(shares(&world).iter().sum::<u32>(), 6);
    }
}

#[test]
fn servers_have_their_shares_over_all_cores() {
    let mut proxies = proxies(Algorithm::RoundRobin, 2);
    proxies.backends[0].servers[1].weight = 3;
    let mut world = World::new(&Plan::fair(proxies, 4, &[Ways::default(); 2]));
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
    let mut world = World::new(&Plan::fair(proxies, 4, &[ways]));
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
fn three_slots_and_ten_thousand_sessions() {
    let mut proxies = proxies(Algorithm::LeastConn, 1);
    proxies.backends[0].servers[0].maxconn = Some(3);
    proxies.backends[0].timeouts.connect = Some(Duration::from_secs(100));
    proxies.frontends[0].timeouts.client = Some(Duration::from_secs(100));
    let mut world = World::new(&Plan::fair(proxies, 4, &[Ways::default()]));
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
    let mut world = World::new(&Plan::fair(proxies, 3, &[ways]));
    let visits: Vec<_> = (0..10).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    world.pass(10);
    let server = world.servers[0].as_ref().expect("alive").app();
    assert_eq!((server.accepted, server.open_max), (10, 2));
    assert!(visits.iter().all(|&visit| world.client(visit).heard.len() == 2));
    assert_eq!(world.remains(), "");
}

#[test]
fn another_server_is_asked_at_once_where_one_refuses() {
    let mut proxies = proxies(Algorithm::RoundRobin, 2);
    proxies.backends[0].redispatch = Some(penstock_config::haproxy::Redispatch::FromLast(1));
    let refuses = Ways { refuses: true, ..Ways::default() };
    let mut world = World::new(&Plan::fair(proxies, 2, &[refuses, Ways::default()]));
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
    let mut world = World::new(&Plan::fair(proxies(Algorithm::RoundRobin, 1), 1, &[refuses]));
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
    let mut world = World::new(&Plan::fair(proxies, 2, &[mute]));
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
fn a_server_in_maintenance_gets_nobody_and_its_queue_moves_on() {
    let mut proxies = proxies(Algorithm::Source, 2);
    proxies.backends[0].redispatch = Some(penstock_config::haproxy::Redispatch::FromLast(1));
    for server in &mut proxies.backends[0].servers {
        server.maxconn = Some(1);
    }
    let ways = Ways { after_ms: 200, ..Ways::default() };
    let mut world = World::new(&Plan::fair(proxies, 4, &[ways; 2]));
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
