//! How sessions end, and what the log says of it: each kind is played once, with one core and with two.

mod world;

use penstock_stack::{Close, ConnId};

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World};

/// A service with one server, and a line of letters, tries and the milliseconds it was there.
fn world(words: &str, cores: u16) -> World {
    let text = format!(
        "global\n log stdout format raw local0\nlisten be\n log global\n log-format \"%ts %rc %Tt\"\n \
         bind :80\n timeout client 2s\n timeout connect 1s\n timeout server 3s\n retries 1\n \
         {words}\n"
    );
    let servers = [Ways::default()];
    let mut world = Plan::fair(world::proxies(&text), cores, &servers).world();
    world.warm();
    world
}

fn server(world: &mut World, ways: Ways) {
    world.servers[0].as_mut().expect("alive").app_mut().ways = ways;
}

fn mute(world: &mut World) {
    server(world, Ways { is_mute: true, ..Ways::default() });
}

fn break_all(world: &mut World) {
    let now = world.now;
    world.servers[0].as_mut().expect("alive").with(now, |app, cx| app.break_all(cx));
}

/// Says something, or nothing, and stays.
fn stays(world: &mut World, says: &[u8]) -> ConnId {
    let visit = world.visit(80, Client { says: says.to_vec(), ..Client::default() });
    world.pass_ms(20);
    visit
}

/// One has the only slot, and another comes.
fn queued(world: &mut World, client: Client) -> ConnId {
    mute(world);
    stays(world, b"x");
    let visit = world.visit(80, client);
    world.pass_ms(20);
    visit
}

struct Case {
    /// Of the configuration.
    words: &'static str,
    play: fn(&mut World),
    /// Letters and tries of the first line, and by when it is there.
    line: &'static str,
    after_ms: std::ops::Range<u64>,
}

const SERVER: &str = "server s1 10.0.0.3:80";
const SLOT: &str = "timeout queue 500ms\n server s1 10.0.0.3:80 maxconn 1";

const CASES: &[Case] = &[
    Case {
        words: SERVER,
        play: |world| {
            world.visit(80, Client::saying(b"x"));
        },
        line: "-- 0",
        after_ms: 0..50,
    },
    // Nobody is silent for too long but the client.
    Case {
        words: SERVER,
        play: |world| {
            stays(world, b"x");
        },
        line: "cD 0",
        after_ms: 1_950..2_100,
    },
    Case {
        words: SERVER,
        play: |world| {
            mute(world);
            world.visit(80, Client::saying(b"x"));
        },
        line: "sD 0",
        after_ms: 2_950..3_100,
    },
    // The time of a FIN begins with it, however long everybody was silent before.
    Case {
        words: "timeout server-fin 500ms\n server s1 10.0.0.3:80",
        play: |world| {
            mute(world);
            let visit = stays(world, b"x");
            world.pass_ms(1_480);
            world.act(|_, cx| cx.shutdown(visit));
        },
        line: "sD 0",
        after_ms: 1_980..2_100,
    },
    Case {
        words: SERVER,
        play: |world| {
            let visit = stays(world, b"x");
            world.act(|_, cx| cx.abort(visit));
        },
        line: "CD 0",
        after_ms: 0..100,
    },
    Case {
        words: SERVER,
        play: |world| {
            mute(world);
            stays(world, b"x");
            break_all(world);
        },
        line: "SD 0",
        after_ms: 0..100,
    },
    Case {
        words: SERVER,
        play: |world| {
            world.kill(0);
            stays(world, b"x");
        },
        line: "sC 1",
        after_ms: 1_950..2_100,
    },
    Case {
        words: SERVER,
        play: |world| {
            let now = world.now;
            world.servers[0].as_mut().expect("alive").with(now, |app, cx| app.refuse(cx));
            stays(world, b"x");
        },
        line: "SC 1",
        after_ms: 950..1_100,
    },
    // One that has said nothing may leave before its server answers, and may not be silent.
    Case {
        words: SERVER,
        play: |world| {
            world.kill(0);
            let visit = stays(world, b"");
            world.act(|_, cx| cx.close(visit));
        },
        line: "CC 0",
        after_ms: 0..100,
    },
    // And what was said does not matter where that is wished.
    Case {
        words: "option abortonclose\n server s1 10.0.0.3:80",
        play: |world| {
            world.kill(0);
            world.visit(80, Client::saying(b"x"));
        },
        line: "CC 0",
        after_ms: 0..100,
    },
    Case {
        words: "timeout client 300ms\n server s1 10.0.0.3:80",
        play: |world| {
            world.kill(0);
            stays(world, b"");
        },
        line: "cC 0",
        after_ms: 280..400,
    },
    Case {
        words: SLOT,
        play: |world| {
            queued(world, Client { says: b"x".to_vec(), ..Client::default() });
        },
        line: "sQ 0",
        after_ms: 480..600,
    },
    Case {
        words: SLOT,
        play: |world| {
            let visit = queued(world, Client::default());
            world.act(|_, cx| cx.close(visit));
        },
        line: "CQ 0",
        after_ms: 0..100,
    },
    Case {
        words: "timeout client 300ms\n timeout queue 5s\n server s1 10.0.0.3:80 maxconn 1",
        play: |world| {
            mute(world);
            // It has ended, so that its server alone may be silent.
            world.visit(80, Client::saying(b"x"));
            world.pass_ms(20);
            stays(world, b"");
        },
        line: "cQ 0",
        after_ms: 280..400,
    },
    Case {
        words: "balance source\n timeout queue 1s\n server s1 10.0.0.3:80 maxconn 1 maxqueue 1",
        play: |world| {
            queued(world, Client { says: b"x".to_vec(), ..Client::default() });
            stays(world, b"x");
            // With two cores, the place in the queue may be the other's.
            stays(world, b"x");
        },
        line: "SQ 0",
        after_ms: 0..100,
    },
    // What rules wait for.
    Case {
        words: "tcp-request inspect-delay 500ms\n tcp-request content accept if { req.len gt 9 }\n \
                tcp-request content reject\n server s1 10.0.0.3:80",
        play: |world| {
            stays(world, b"x");
        },
        line: "PR 0",
        after_ms: 480..600,
    },
    Case {
        words: "timeout client 300ms\n tcp-request inspect-delay 1s\n \
                tcp-request content accept if { req.len gt 9 }\n server s1 10.0.0.3:80",
        play: |world| {
            stays(world, b"");
        },
        line: "cR 0",
        after_ms: 280..400,
    },
    Case {
        words: "tcp-request inspect-delay 1s\n tcp-request content accept if { req.len gt 9 }\n \
                server s1 10.0.0.3:80",
        play: |world| {
            let visit = stays(world, b"x");
            world.act(|_, cx| cx.abort(visit));
        },
        line: "CR 0",
        after_ms: 0..100,
    },
    Case {
        words: "tcp-response inspect-delay 1s\n tcp-response content reject if { res.len gt 0 }\n \
                server s1 10.0.0.3:80",
        play: |world| {
            stays(world, b"x");
        },
        line: "PD 0",
        after_ms: 0..100,
    },
    // Nobody is there to be asked.
    Case {
        words: "server s1 10.0.0.3:80 disabled",
        play: |world| {
            stays(world, b"x");
        },
        line: "SC 0",
        after_ms: 0..50,
    },
];

#[test]
fn each_end_has_its_letters_and_its_time() {
    for cores in [1, 2] {
        for &Case { words, play, line, ref after_ms } in CASES {
            let mut world = world(words, cores);
            play(&mut world);
            world.pass_ms(4_000);
            let log = world.take_log();
            let first = log.first().map(|text| text.trim_end().rsplit_once(' '));
            let Some(Some((letters, ms))) = first else { panic!("{words}: {log:?}") };
            assert_eq!(letters, line, "{words}, {cores} cores: {log:?}");
            let ms: u64 = ms.parse().expect("a number");
            assert!(after_ms.contains(&ms), "{words}, {cores} cores: {log:?}");
        }
    }
}

#[test]
fn a_line_says_who_was_asked_and_who_is_left() {
    let text = "global\n log stdout format raw local0\nlisten be\n log global\n bind :80\n \
                log-format \"%ts %rc %s %ac/%fc/%bc/%sc\"\n timeout client 9s\n timeout connect 9s\n \
                timeout server 9s\n option redispatch 1\n server s1 10.0.0.3:80\n \
                server s2 10.0.0.4:80\n";
    let refuses = Ways { refuses: true, ..Ways::default() };
    let servers = [refuses, Ways::default()];
    let mut world = Plan::fair(world::proxies(text), 1, &servers).world();
    let who_stays = stays(&mut world, b"x");
    for _ in 0..2 {
        world.visit(80, Client::saying(b"x"));
        world.pass_ms(20);
    }
    world.act(|_, cx| cx.close(who_stays));
    world.pass_ms(20);
    // It has not left the frontend itself; who stays is left at the server.
    let lines = ["-- +1 s2 2/2/1/1\n", "-- +1 s2 2/2/1/1\n", "-- +1 s2 1/1/0/0\n"];
    assert_eq!(world.take_log(), lines);
}

#[test]
fn a_line_has_the_numbers_of_its_client() {
    let text = "global\n log stdout format raw local0\nlisten be\n log global\n \
                bind :80 accept-proxy\n log-format \"%ci:%cp %U %B %Tw %Tc\"\n timeout client 9s\n \
                timeout connect 9s\n timeout server 9s\n tcp-request inspect-delay 5s\n \
                tcp-request content accept if { req.len ge 5 }\n server s1 10.0.0.3:80 maxconn 1\n";
    let servers = [Ways { after_ms: 100, ..Ways::default() }];
    let mut world = Plan::fair(world::proxies(text), 1, &servers).world();
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.200 4711 80\r\n";
    let visit = |world: &mut World, says: &[u8]| {
        world.visit(80, Client { piece: Some((44, 10)), ..Client::saying(says) })
    };
    // The second has to wait for the first, in pieces that rules keep until there are enough.
    let says = [header, &b"hello"[..]].concat();
    visit(&mut world, &says);
    world.pass_ms(50);
    let second = visit(&mut world, &says);
    world.pass_ms(2_000);
    assert_eq!(world.client(second).heard, b"\x03hello");
    let lines = world.take_log();
    let told: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
    assert!(told.iter().all(|line| line[..3] == ["192.0.2.7:4711", "5", "6"]), "{lines:?}");
    // Who came second came 50 ms after the first, of whose 100 ms were left as many.
    let waited = |line: &Vec<&str>| line[3].parse::<u32>().expect("a number");
    let [first, second] = &told[..] else { panic!("{lines:?}") };
    assert!(waited(first) < 20 && (40..80).contains(&waited(second)), "{lines:?}");
    assert_eq!((first[4], second[4]), ("1", "1"), "nobody waits for a server twice");
}

#[test]
fn a_server_that_had_closed_and_hears_more_has_ended_in_order() {
    let text = "log stdout format raw local0\nlisten be\n log global\n bind :80\n log-format %ts\n timeout \
                client 9s\n timeout connect 9s\n timeout server 9s\n server s1 10.0.0.3:80\n";
    let closes = Ways { closes: true, ..Ways::default() };
    let proxies = world::proxies(&format!("global\n {text}"));
    let mut world = Plan::fair(proxies, 1, &[closes]).world();
    world.warm();
    let visit = world.visit(80, Client { deaf_ms: 100, ..Client::default() });
    world.pass_ms(50);
    // Said to a server that is gone: a reset is the answer.
    world.act(|_, cx| assert_eq!(cx.send(visit, b"x"), 1));
    world.pass_ms(100);
    assert_eq!(world.client(visit).heard, b"\x03");
    assert_eq!(world.client(visit).end, Some(Close::Finished));
    assert_eq!(world.take_log(), ["--\n"]);
}
