//! Who is let in when: those who are to speak first, and those who wait at the entrance.

mod world;

use penstock_stack::ConnId;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World};

/// A service with one server, which this is like.
fn world(words: &str, cores: u16, ways: Ways) -> World {
    let text = format!(
        "listen be\n timeout client 9s\n timeout connect 9s\n timeout server 9s\n \
         server s1 10.0.0.3:80\n {words}\n"
    );
    let mut world = Plan::fair(world::proxies(&text), cores, &[ways]).world();
    world.warm();
    world
}

#[test]
fn who_is_to_speak_first_comes_in_with_his_first_word_or_a_second_later() {
    for cores in [1, 2] {
        let mut world = world("bind :80 defer-accept", cores, Ways::default());
        let accepted = |world: &World| world.servers[0].as_ref().expect("alive").app().accepted;
        let speaks = world.visit(80, Client::saying(b"hello"));
        let silent = world.visit(80, Client::default());
        world.pass_ms(100);
        assert_eq!(
            (world.client(speaks).heard.as_slice(), accepted(&world)),
            (&b"\x03hello"[..], 1)
        );
        assert!(world.client(silent).connected_at.is_some(), "it does not notice");
        let closes = world.visit(80, Client { shuts: true, ..Client::default() });
        let breaks = world.visit(80, Client::default());
        world.pass_ms(100);
        assert_eq!((world.client(closes).heard.len(), accepted(&world)), (1, 2));
        world.act(|_, cx| cx.abort(breaks));
        world.pass_ms(700);
        assert_eq!(accepted(&world), 2);
        world.pass_ms(300);
        assert_eq!((world.client(silent).heard.len(), accepted(&world)), (1, 3));
        world.pass(30);
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn who_spoke_at_the_entrance_is_heard_inside() {
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nx";
    let ways = Ways { after_ms: 20, ..Ways::default() };
    let text = "listen be\n bind :80 accept-proxy\n maxconn 1\n timeout client 9s\n timeout connect 9s\n \
                timeout server 9s\n server s1 10.0.0.3:80\n";
    let mut world = Plan::fair(world::proxies(text), 1, &[ways]).world();
    let visits: Vec<_> = (0..5).map(|_| world.visit(80, Client::saying(header))).collect();
    world.pass(10);
    assert!(visits.iter().all(|&visit| world.client(visit).heard == b"\x03x"));
    assert_eq!(world.remains(), "");
}

/// Whoever comes costs two words where so many may come in a second: he waits, speaks and is let in
/// within one upcall.
#[test]
fn who_speaks_first_and_is_let_in_at_once_is_heard_by_rules() {
    for cores in [1, 2] {
        let words = "bind :80 defer-accept\n rate-limit sessions 10\n tcp-request inspect-delay 5s\n \
                     tcp-request content accept if { req.len gt 4 }";
        let mut world = world(words, cores, Ways::default());
        let visits: Vec<ConnId> =
            (0..5).map(|_| world.visit(80, Client::saying(b"hello"))).collect();
        world.pass_ms(1_500);
        assert!(visits.iter().all(|&visit| world.client(visit).heard == b"\x03hello"));
        world.pass(30);
        assert_eq!(world.remains(), "");
    }
}
