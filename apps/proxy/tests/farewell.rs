//! How the proxy stops, in whole worlds: who is let in until when, who is cut off, and what is said, in
//! the words that haproxy 2.6.12 says it with.

mod world;

use penstock_stack::Close;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World, proxies};

fn world(global: &str, cores: u16) -> World {
    let text = format!(
        "\
global
    log stdout format raw local0
{global}defaults
    mode tcp
    timeout client 100s
    timeout server 100s
    timeout connect 3s
frontend fe
    bind :80
    default_backend be
listen both
    bind :81
    log stdout format raw local0
    option tcplog
    server s1 10.0.0.3:80
backend be
    server s1 10.0.0.3:80
backend unused
"
    );
    let mut world = Plan::fair(proxies(&text), cores, &[Ways::default()]).world();
    world.warm();
    world
}

fn stop(world: &mut World) {
    let now = world.now;
    world.cores.iter_mut().for_each(|core| core.with(now, |app, cx| app.stop(cx)));
}

fn have_stopped(world: &World) -> bool {
    world.cores.iter().all(|core| core.app().has_stopped())
}

const ENDS: [&str; 4] = [
    "[WARNING]  (1) : Proxy fe stopped (cumulated conns: FE: 6, BE: 0).\n",
    "[WARNING]  (1) : Proxy both stopped (cumulated conns: FE: 1, BE: 1).\n",
    "[WARNING]  (1) : Proxy be stopped (cumulated conns: FE: 0, BE: 6).\n",
    "[WARNING]  (1) : Proxy unused stopped (cumulated conns: FE: 0, BE: 0).\n",
];

#[test]
fn nobody_new_is_let_in_and_whoever_is_there_may_finish() {
    for cores in [1, 4] {
        let mut world = world("", cores);
        let stays = world.visit(81, Client { says: b"x".to_vec(), ..Client::default() });
        for _ in 0..5 {
            world.visit(80, Client::saying(b"x"));
        }
        world.pass_ms(200);
        assert!(!have_stopped(&world));
        world.take_log();
        stop(&mut world);
        world.pass_ms(20);
        assert!(have_stopped(&world));
        // What is said of `both` goes to its log besides.
        let mut lines = world.take_log();
        assert_eq!(lines.remove(2), "Proxy both stopped (cumulated conns: FE: 1, BE: 1).\n");
        assert_eq!(lines, ENDS, "with {cores} cores");
        let late = world.visit(80, Client::saying(b"x"));
        world.pass_ms(2_000);
        assert_eq!(world.client(late).end, Some(Close::Refused));
        assert_eq!((world.client(stays).heard.len(), world.client(stays).ended_at), (2, None));
        world.act(|_, cx| cx.close(stays));
        world.pass(10);
        assert_eq!(world.remains(), "");
    }
}

#[test]
fn it_serves_for_a_while_and_then_cuts_off_whoever_is_left() {
    for cores in [1, 4] {
        let mut world = world("    grace 300ms\n    hard-stop-after 1s\n", cores);
        let stays = world.visit(81, Client { says: b"x".to_vec(), ..Client::default() });
        for _ in 0..4 {
            world.visit(80, Client::saying(b"x"));
        }
        world.pass_ms(200);
        world.take_log();
        stop(&mut world);
        assert_eq!(
            world.take_log(),
            [
                "[NOTICE]   (1) : Scheduling a soft-stop in 300 ms.\n",
                "Scheduling a soft-stop in 300 ms.\n",
            ]
        );
        world.pass_ms(200);
        let in_time = world.visit(80, Client::saying(b"x"));
        world.pass_ms(50);
        assert_eq!(world.client(in_time).heard.len(), 2, "it serves");
        assert!(!have_stopped(&world));
        world.pass_ms(100);
        let lines = world.take_log();
        assert_eq!(lines.len(), 7, "{lines:?}");
        let grace = "Grace period expired, proceeding with soft-stop now.\n";
        assert_eq!(lines[..2], [format!("[NOTICE]   (1) : {grace}"), grace.to_owned()]);
        assert_eq!(lines[2], ENDS[0]);
        world.pass_ms(900);
        assert!(world.client(stays).ended_at.is_none());
        world.pass_ms(200);
        assert_eq!(world.client(stays).end, Some(Close::Finished), "an end, not a reset");
        let lines = world.take_log();
        let last = "soft-stop running for too long, performing a hard-stop.\n";
        let both = "Proxy both hard-stopped (1 remaining conns will be closed).\n";
        for line in [last, both] {
            assert!(lines.contains(&format!("[WARNING]  (1) : {line}")), "{lines:?}");
            assert!(lines.iter().any(|said| said == line), "{lines:?}");
        }
        assert!(lines.iter().any(|line| line.contains(" both/s1 ") && line.contains(" K- ")));
        assert_eq!(lines.len(), 5, "{lines:?}");
        world.pass(10);
        assert_eq!(world.remains(), "");
    }
}
