//! Listeners and connections to servers that keep to one card of a machine with two, on one core and on
//! several.

mod world;

use penstock_stack::{ConnId, Endpoint, SocketOptions};
use penstock_world::addr;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World};

/// A proxy at 10.0.0.2 (`eth0`) and 10.0.0.102 (`eth1`), with one server.
fn world(cores: u16, format: &str, text: &str) -> World {
    let proxies = world::proxies(&format!(
        "defaults\n timeout connect 1s\n timeout client 9s\n timeout server 9s\n \
         log stdout format raw daemon\n log-format \"{format}\"\n{text}"
    ));
    Plan { has_two_cards: true, ..Plan::fair(proxies, cores, &[Ways::default()]) }.world()
}

/// Somebody comes to one of the cards.
fn visit(world: &mut World, card: u32, port: u16) -> ConnId {
    let remote = Endpoint { addr: addr(2 + 100 * card), port };
    let conn = world.connect_to(remote, SocketOptions::default()).expect("a free port");
    world.clients.app_mut().by_conn.insert(conn, Client::saying(b"x"));
    conn
}

/// The lines of its log, in the order of the alphabet.
fn log(world: &mut World) -> Vec<String> {
    let mut lines: Vec<_> = world.take_log().iter().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn who_comes_in_by_another_card_is_not_heard() {
    for cores in [1, 4] {
        let mut world = world(
            cores,
            "%f %fi %ts",
            "frontend front\n bind :80 interface eth0\n default_backend be\n\
             frontend back\n bind :80,:81 interface eth1\n default_backend be\n\
             frontend any\n bind :82 interface eth0\n bind :82\n default_backend be\n\
             backend be\n server s 10.0.0.3:80\n",
        );
        let came = [(0, 80), (1, 80), (0, 81), (1, 81), (0, 82), (1, 82)];
        let visits: Vec<_> =
            came.iter().map(|&(card, port)| visit(&mut world, card, port)).collect();
        world.pass(30);
        let heard: Vec<_> = visits.iter().map(|&at| world.client(at).heard.len()).collect();
        assert_eq!(heard, [2, 2, 0, 2, 2, 2], "on {cores} cores");
        let expected = [
            "any 10.0.0.102 --",
            "any 10.0.0.2 --",
            "back 10.0.0.102 --",
            "back 10.0.0.102 --",
            "front 10.0.0.2 --",
        ];
        assert_eq!(log(&mut world), expected);
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn connections_leave_by_the_card_of_their_source() {
    for cores in [1, 4] {
        let mut world = world(
            cores,
            "%f %fi %bi %ts",
            "listen other\n bind :80\n source 0.0.0.0 interface eth1\n server s 10.0.0.3:80\n\
             listen near\n bind :81\n source 0.0.0.0 interface eth1\n \
             server s 10.0.0.3:80 source 10.0.0.2:5000-5063 interface eth0\n\
             listen wrong\n bind :82\n retries 0\n \
             server s 10.0.0.3:80 source 10.0.0.2 interface eth1\n",
        );
        let visits: Vec<_> = (80..83).map(|port| visit(&mut world, 0, port)).collect();
        world.pass(30);
        let heard: Vec<_> = visits.iter().map(|&at| world.client(at).heard.len()).collect();
        assert_eq!(heard, [2, 2, 0], "on {cores} cores");
        let expected =
            ["near 10.0.0.2 10.0.0.2 --", "other 10.0.0.2 10.0.0.102 --", "wrong 10.0.0.2 - SC"];
        assert_eq!(log(&mut world), expected);
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn a_card_that_is_not_there_is_told_in_haproxys_words() {
    let setup = penstock_proxy::Setup::freeze(world::proxies(
        "listen a\n bind 10.0.0.2:80 interface nosuch\n bind :81 interface eth1\n server s 10.0.0.3:80\n\
         frontend f\n bind :::82 interface gone\n default_backend b\n\
         backend b\n source 10.0.0.2 interface gone\n server s 10.0.0.3:80\n",
    ))
    .expect("a good configuration");
    let lines = setup.cards(|name| (name == "eth1").then_some(1)).expect_err("three are not there");
    let expected = [
        "Binding [haproxy.cfg:2] for proxy a: cannot bind receiver to device 'nosuch' (No such \
         device) for [10.0.0.2:80]",
        "Binding [haproxy.cfg:6] for frontend f: cannot bind receiver to device 'gone' (No such \
         device) for [:::82]",
        "backend 'b' : 'source' 10.0.0.2 : cannot bind to device 'gone' (No such device)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_listener_that_cannot_be_is_told_in_haproxys_words() {
    let mut world = world(1, "x", "listen a\n bind :80\n server s 10.0.0.3:80\n");
    let now = world.now;
    let error = world.cores[0].with(now, |app, cx| app.start(cx)).expect_err("it listens already");
    let expected = "Binding [haproxy.cfg:8] for proxy a: cannot bind socket (Address already in \
                    use) for [0.0.0.0:80]";
    assert_eq!(error, expected);
}
