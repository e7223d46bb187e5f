//! Servers are checked from core 0: one that dies gets no new sessions on any core, one that comes
//! back does, and the log says so in HAProxy's words.

mod world;

use penstock_config::haproxy::{
    BackendId, CheckStep, Connect, Expect, ExpectMatch, Format, Item, Observe, OnError, Port,
    Proxies, ProxyCheck, Retries, ServerId,
};
use penstock_stack::{Close, Duration};

use penstock_world::addr;
use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World, site};

/// A frontend on port 80, two servers that are checked once a second, and their lines on the console.
fn proxies() -> Proxies {
    let servers = "\
    log stdout format short local0
    server s1 10.0.0.3:80 check inter 1s
    server s2 10.0.0.4:80 check inter 1s
";
    site("", servers)
}

/// After two seconds, in which everybody has learned where everybody is.
fn world(proxies: Proxies, cores: u16) -> World {
    let mut world = Plan::fair(proxies, cores, &[Ways::default(); 2]).world();
    meet(&mut world);
    world
}

fn meet(world: &mut World) {
    for _ in 0..8 {
        world.visit(80, Client::saying(b"x"));
    }
    world.pass_ms(2_000);
}

fn lose_address(world: &mut World) {
    for core in &mut world.cores {
        core.with(world.now, |_, cx| assert!(cx.remove_address(0, addr(2))));
    }
}

fn refuse(world: &mut World, index: usize) {
    let now = world.now;
    let server = world.servers[index].as_mut().expect("alive");
    server.with(now, |app, cx| app.refuse(cx));
}

fn serve(world: &mut World, index: usize) {
    let now = world.now;
    let server = world.servers[index].as_mut().expect("alive");
    server.with(now, |app, cx| app.start(cx));
}

/// Which servers answer ten clients who come now, in order of their names.
fn who_answers(world: &mut World) -> Vec<u8> {
    let visits: Vec<_> = (0..10).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    world.pass_ms(500);
    let mut names: Vec<u8> = visits
        .iter()
        .map(|visit| world.client(*visit).heard.first().copied().unwrap_or(0))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn a_server_that_refuses_gets_no_more_sessions_until_it_is_back() {
    for cores in [1, 4] {
        let mut world = world(proxies(), cores);
        assert_eq!(who_answers(&mut world), [3, 4]);
        assert_eq!(world.take_log(), [""; 0], "nothing has changed");
        refuse(&mut world, 1);
        world.pass_ms(4_000);
        assert_eq!(
            world.take_log(),
            ["<1>Server be/s2 is DOWN, reason: Layer4 connection problem, info: \"Connection \
              refused\", check duration: 0ms. 1 active and 0 backup servers left. 0 sessions \
              active, 0 requeued, 0 remaining in queue.\n"]
        );
        assert_eq!(who_answers(&mut world), [3], "on {cores} cores");
        refuse(&mut world, 0);
        world.pass_ms(4_000);
        let lines = world.take_log();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[1], "<0>backend be has no server available!\n");
        assert_eq!(who_answers(&mut world), [0]);
        serve(&mut world, 1);
        world.pass_ms(3_000);
        assert_eq!(
            world.take_log(),
            ["<5>Server be/s2 is UP, reason: Layer4 check passed, check duration: 0ms. 1 active \
              and 0 backup servers online. 0 sessions requeued, 0 total in queue.\n"]
        );
        assert_eq!(who_answers(&mut world), [4]);
    }
}

#[test]
fn a_server_that_is_silent_is_found_out_in_time() {
    let mut world = world(proxies(), 2);
    world.pass_ms(3_000);
    world.kill(0);
    world.pass_ms(8_000);
    let lines = world.take_log();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with(
            "<1>Server be/s1 is DOWN, reason: Layer4 timeout, check duration: 1000ms. 1 active"
        ),
        "{lines:?}"
    );
    assert_eq!(who_answers(&mut world), [4]);
}

#[test]
fn what_a_server_says_is_looked_at() {
    let step = |matching| CheckStep::Expect(Expect::of(matching));
    // Each server says its own last byte, and then what it hears.
    let check = |name: u8| {
        ProxyCheck::Tcp(vec![
            CheckStep::Connect(Connect { implicit: true, ..Connect::default() }),
            step(ExpectMatch::Bytes(vec![name])),
            CheckStep::Send {
                bytes: Format(vec![Item::Text(b"hello".to_vec())]),
                is_hex: false,
                comment: None,
            },
            step(ExpectMatch::Regex("^hel+o$".into())),
        ])
    };
    let mut proxies = proxies();
    proxies.backends[0].check = check(4);
    proxies.backends[0].options.log_health_checks = true;
    let mut world = world(proxies, 2);
    world.pass_ms(1_000);
    let lines = world.take_log();
    assert!(
        lines.iter().any(|line| line.starts_with(
            "<5>Health check for server be/s2 succeeded, reason: Layer7 check passed, code: 0, \
             info: \"(tcp-check)\""
        )),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("<1>Server be/s1 is DOWN.")), "{lines:?}");
    assert_eq!(who_answers(&mut world), [4]);
}

#[test]
fn who_is_taken_out_by_hand_is_not_checked() {
    let mut proxies = proxies();
    proxies.backends[0].options.log_health_checks = true;
    let mut world = world(proxies, 2);
    world.pass_ms(2_000);
    let id = ServerId { backend: BackendId(0), index: 1 };
    let now = world.now;
    world.cores[0].with(now, |app, cx| {
        let standing = app.standing(id);
        app.set_server(cx, id, penstock_proxy::Standing { is_in_maintenance: true, ..standing });
    });
    world.pass_ms(100);
    world.take_log();
    refuse(&mut world, 1);
    world.pass_ms(5_000);
    assert_eq!(world.take_log(), [""; 0], "a check would have failed");
    serve(&mut world, 1);
    assert_eq!(who_answers(&mut world), [3]);
    let now = world.now;
    world.cores[0].with(now, |app, cx| {
        let standing = app.standing(id);
        app.set_server(cx, id, penstock_proxy::Standing { is_in_maintenance: false, ..standing });
    });
    world.pass_ms(100);
    assert_eq!(who_answers(&mut world), [3, 4], "up until a check fails");
}

/// HAProxy's lines for the same, recorded: three sessions in a row that nobody answers.
#[test]
fn sessions_that_fail_count_as_checks() {
    const DETECTED: &str = "<5>Health check for server be/s1 failed, reason: Health analyze, info: \
                            \"Detected 3 consecutive errors, last one was: L4 unsuccessful \
                            connection\", status: ";
    const DOWN: &str = "<1>Server be/s1 is DOWN. 0 active and 0 backup servers left. ";
    for (on_error, wanted) in [
        (OnError::FastInter, vec![]),
        (OnError::FailCheck, vec![format!("{DETECTED}2/3 UP.\n")]),
        (OnError::SuddenDeath, vec![format!("{DETECTED}1/3 UP.\n")]),
        (OnError::MarkDown, vec![format!("{DETECTED}0/2 DOWN.\n"), DOWN.into()]),
    ] {
        for cores in [1, 4] {
            let mut proxies = proxies();
            let backend = &mut proxies.backends[0];
            backend.options.log_health_checks = true;
            backend.retries = Retries(0);
            backend.servers.truncate(1);
            let server = &mut backend.servers[0];
            // Checks find somebody, sessions do not.
            server.port = Port::Fixed(81);
            server.observe = Some(Observe::Layer4);
            server.on_error = on_error;
            server.error_limit = 3;
            let check = server.check.as_mut().expect("checked");
            (check.port, check.inter) = (Some(80), Duration::from_secs(60));
            let mut world = Plan::fair(proxies, cores, &[Ways::default(); 2]).world();
            world.pass_ms(1_000);
            world.take_log();
            for _ in 0..3 {
                world.visit(80, Client::saying(b"x"));
                world.pass_ms(100);
            }
            let lines = world.take_log();
            let matches = lines.iter().zip(&wanted).all(|(line, wanted)| line.starts_with(wanted));
            assert!(matches && lines.len() >= wanted.len(), "{on_error:?} on {cores}: {lines:?}");
            assert!(!wanted.is_empty() || lines.is_empty(), "{on_error:?} on {cores}: {lines:?}");
        }
    }
}

/// HAProxy's lines for the same, recorded: the server's first, in which its sessions still count, and theirs
/// without a phase, but of one who waits for an answer; one whose client has said all it had to say stays.
#[test]
fn sessions_are_cut_off_once_their_server_was_spoken_of() {
    for cores in [1, 4] {
        let text = "log stdout format raw local0\nlisten be\n log global\n bind :80\n log-format %s:%ts\n \
                    timeout client 9s\n timeout connect 9s\n timeout server 9s\n server s1 10.0.0.3:80 \
                    check inter 1s fall 1 rise 1 on-marked-down shutdown-sessions on-marked-up \
                    shutdown-backup-sessions\n server s2 10.0.0.4:80 backup\n";
        let mute = Ways { is_mute: true, ..Ways::default() };
        let proxies = world::proxies(&format!("global\n {text}"));
        let mut world = Plan::fair(proxies, cores, &[mute; 2]).world();
        world.pass_ms(1_500);
        for (change, cause, line) in [
            (
                refuse as fn(&mut World, usize),
                "s1:D-",
                "Server be/s1 is DOWN, reason: Layer4 connection \
              problem, info: \"Connection refused\", check duration: 0ms. 0 active and 1 backup servers \
              left. Running on backup. 3 sessions active, 0 requeued, 0 remaining in queue.",
            ),
            (
                serve,
                "s2:U-",
                "Server be/s1 is UP, reason: Layer4 check passed, check duration: 0ms. 1 \
              active and 1 backup servers online. 0 sessions requeued, 0 total in queue.",
            ),
        ] {
            let stays = Client { says: b"x".to_vec(), shuts: true, ..Client::default() };
            let stays = world.visit(80, stays);
            let cut = [b"".as_slice(), b"x"]
                .map(|says| world.visit(80, Client { says: says.to_vec(), ..Client::default() }));
            world.pass_ms(100);
            world.take_log();
            change(&mut world, 0);
            world.pass_ms(1_500);
            let mut lines = world.take_log();
            // Each core has a console of its own: here they are in order, core by core.
            assert_eq!(lines.remove(0).trim_end(), line, "on {cores} cores");
            assert_eq!(lines, [format!("{cause}\n"), format!("{cause}\n")], "on {cores} cores");
            let end = |visit| world.client(visit).end;
            assert_eq!(cut.map(end), [Some(Close::Finished); 2], "an end, not a reset");
            assert_eq!(world.client(stays).ended_at, None);
            world.pass(10);
            assert_eq!(world.take_log().len(), 1, "its time was over");
        }
    }
}

#[test]
fn a_server_that_comes_up_slowly_has_its_share_in_the_end() {
    let mut proxies = proxies();
    proxies.backends[0].servers[1].slowstart = Some(Duration::from_secs(20));
    // A limit grows with it: slots that were called in come back.
    proxies.backends[0].servers[1].maxconn = Some(64);
    let mut world = world(proxies, 2);
    world.pass_ms(2_000);
    refuse(&mut world, 1);
    world.pass_ms(4_000);
    serve(&mut world, 1);
    world.pass_ms(3_000);
    let id = ServerId { backend: BackendId(0), index: 1 };
    let warmth = |world: &World| world.cores[1].app().standing(id).warmth;
    assert!((1..4).contains(&warmth(&world)), "{}", warmth(&world));
    world.pass_ms(10_000);
    assert!((7..12).contains(&warmth(&world)), "{}", warmth(&world));
    world.pass_ms(12_000);
    assert_eq!(warmth(&world), 16);
    who_answers(&mut world);
    assert_eq!(who_answers(&mut world), [3, 4]);
}

/// As HAProxy, which throttles it from when it leaves maintenance, checked or not.
#[test]
fn a_server_that_was_taken_out_comes_back_slowly() {
    let id = ServerId { backend: BackendId(0), index: 1 };
    let warmth = |world: &World| world.cores[1].app().standing(id).warmth;
    for is_checked in [true, false] {
        let mut proxies = proxies();
        let server = &mut proxies.backends[0].servers[1];
        server.slowstart = Some(Duration::from_secs(20));
        if !is_checked {
            server.check = None;
        }
        let mut world = world(proxies, 2);
        world.pass_ms(2_000);
        assert_eq!(warmth(&world), 16);
        for is_in_maintenance in [true, false] {
            let now = world.now;
            world.cores[0].with(now, |app, cx| {
                let standing = app.standing(id);
                app.set_server(cx, id, penstock_proxy::Standing { is_in_maintenance, ..standing });
            });
            world.pass_ms(1_500);
        }
        assert!((1..4).contains(&warmth(&world)), "{}", warmth(&world));
        world.pass_ms(10_000);
        assert!((7..12).contains(&warmth(&world)), "{}", warmth(&world));
        world.pass_ms(12_000);
        assert_eq!(warmth(&world), 16);
    }
}

#[test]
fn a_tracking_server_does_as_the_one_it_tracks() {
    let mut proxies = proxies();
    proxies.backends[0].servers[1].check = None;
    proxies.backends[0].servers[1].track = Some(ServerId { backend: BackendId(0), index: 0 });
    let mut world = world(proxies, 2);
    world.pass_ms(2_000);
    refuse(&mut world, 0);
    world.pass_ms(4_000);
    let lines = world.take_log();
    let via = "<1>Server be/s2 is DOWN via be/s1. 0 active and 0 backup servers left. 0 sessions \
               active, 0 requeued, 0 remaining in queue.\n";
    assert!(lines.iter().any(|line| line == via), "{lines:?}");
    assert_eq!(who_answers(&mut world), [0]);
}

#[test]
fn nothing_stays_behind_when_it_stops() {
    let mut world = world(proxies(), 4);
    world.pass_ms(2_050);
    for core in &mut world.cores {
        core.with(world.now, |app, cx| app.stop(cx));
    }
    world.pass(20);
    assert_eq!(world.remains(), "");
}

/// A lease takes a second or two: until then nothing is known against anybody.
#[test]
fn nobody_is_checked_before_the_machine_has_an_address() {
    for cores in [1, 4] {
        let mut world = Plan::fair(proxies(), cores, &[Ways::default(); 2]).world();
        lose_address(&mut world);
        world.pass_ms(5_000);
        assert_eq!(world.take_log(), [""; 0]);
        for core in &mut world.cores {
            core.with(world.now, |_, cx| cx.add_address(0, addr(2), 24)).expect("room");
        }
        meet(&mut world);
        assert_eq!(world.take_log(), [""; 0]);
        assert_eq!(who_answers(&mut world), [3, 4], "on {cores} cores");
        // Later, an address that goes is nothing to wait for.
        world.pass_ms(10_000);
        lose_address(&mut world);
        world.pass_ms(4_000);
        let lines = world.take_log();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains("is DOWN"), "{lines:?}");
    }
}

#[test]
fn an_agent_takes_its_server_out_and_puts_it_back() {
    let log = "    log stdout format raw local0\n    log-format %ts\n";
    let servers = "\
    server s1 10.0.0.3:80 agent-check agent-port 82 agent-inter 500ms
    server s2 10.0.0.4:80
";
    let (both, other) = (&[3, 4][..], &[4][..]);
    let words = [
        ("drain", other, "Server be/s1 enters drain state."),
        ("ready", both, "Server be/s1 is UP (leaving forced drain)."),
        ("maint", other, "Server be/s1 is going DOWN for maintenance."),
        ("ready", both, "Server be/s1 is UP/READY (leaving forced maintenance)."),
        ("down", other, "Server be/s1 is DOWN, reason: Layer7 wrong status"),
        ("up", both, "Server be/s1 is UP, reason: Layer7 check passed"),
        // A weight is not told.
        ("0%", other, ""),
        ("100%", both, ""),
    ];
    for cores in [1, 4] {
        let mut world = world(site(log, servers), cores);
        for (word, names, sentence) in words {
            let server = world.servers[0].as_mut().expect("alive");
            server.app_mut().agent_says = word;
            world.take_log();
            world.pass_ms(1_200);
            let lines = world.take_log();
            assert_eq!(lines.is_empty(), sentence.is_empty(), "{word}: {lines:?}");
            assert!(lines.iter().all(|line| line.starts_with(sentence)), "{word}: {lines:?}");
            assert_eq!(who_answers(&mut world), names, "{word}, on {cores} cores");
        }
    }
}
