//! Stick tables in whole worlds, by the words of a configuration: rates of a source add up over all
//! cores, and rules refuse whoever comes too often.

mod world;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World, proxies};

const HEAD: &str = "\
defaults
    mode tcp
    timeout client 10s
    timeout server 10s
    timeout connect 3s
backend be
    server s1 10.0.0.3:80
frontend fe
    bind :80
    default_backend be
";

fn world(rules: &str, cores: u16) -> World {
    let mut world =
        Plan::fair(proxies(&format!("{HEAD}{rules}")), cores, &[Ways::default()]).world();
    // Everybody learns where everybody is, and the tables forget.
    for _ in 0..8 {
        world.visit(80, Client::saying(b"x"));
    }
    world.pass_ms(30_000);
    world
}

/// How many of so many clients are served, who come a few milliseconds apart.
fn served(world: &mut World, count: usize) -> usize {
    let mut visits = Vec::new();
    for _ in 0..count {
        visits.push(world.visit(80, Client::saying(b"x")));
        world.pass_ms(5);
    }
    world.pass_ms(1_000);
    visits.iter().filter(|visit| !world.client(**visit).heard.is_empty()).count()
}

#[test]
fn who_comes_too_often_is_refused_whichever_core_he_comes_to() {
    for cores in [1, 4] {
        let mut world = world(
            "    stick-table type ip size 100k expire 10s store conn_rate(10s)
    tcp-request connection track-sc0 src
    tcp-request connection reject if { sc0_conn_rate gt 20 }
",
            cores,
        );
        let first = served(&mut world, 60);
        assert!((20..=22).contains(&first), "{first} on {cores} cores");
        assert_eq!(served(&mut world, 5), 0);
        world.pass_ms(25_000);
        assert_eq!(served(&mut world, 5), 5, "the rate is gone");
    }
}

#[test]
fn what_a_source_does_is_looked_up_without_tracking_it() {
    let mut world = world(
        "    stick-table type ip size 100 expire 10s store conn_cnt,conn_cur,sess_cnt,gpc0
    tcp-request connection reject if { src_conn_cnt gt 3 }
    tcp-request connection track-sc1 src
",
        4,
    );
    let count = served(&mut world, 10);
    assert!((3..=5).contains(&count), "the fourth is the last: {count}");
}

#[test]
fn connections_that_are_there_are_counted_until_they_are_gone() {
    let mut world = world(
        "    stick-table type ip size 100 expire 60s store conn_cur
    tcp-request connection track-sc0 src
    tcp-request connection reject if { sc0_conn_cur gt 2 }
",
        4,
    );
    assert_eq!(served(&mut world, 8), 8, "one after the other");
    let visits: Vec<_> = (0..6)
        .map(|_| {
            let visit = world.visit(80, Client { shuts: false, ..Client::saying(b"x") });
            world.pass_ms(20);
            visit
        })
        .collect();
    world.pass_ms(500);
    let served = visits.iter().filter(|visit| !world.client(**visit).heard.is_empty()).count();
    assert_eq!(served, 2);
}

#[test]
fn bytes_count_in_both_directions_when_a_session_is_over() {
    for counter in ["bytes_in_cnt", "bytes_out_cnt"] {
        let rules = format!(
            "    stick-table type ip size 100 expire 60s store {counter}
    tcp-request connection reject if {{ src_kbytes gt 8 }}
    tcp-request connection track-sc0 src
"
        );
        let side = if counter == "bytes_in_cnt" { "src_kbytes_in" } else { "src_kbytes_out" };
        let mut world = world(&rules.replace("src_kbytes", side), 4);
        // In HAProxy's KiB.
        for (bytes, is_served) in [(8 * 1024, true), (1024, true), (1, false)] {
            let visit = world.visit(80, Client::saying(&vec![7; bytes]));
            world.pass_ms(500);
            assert_eq!(!world.client(visit).heard.is_empty(), is_served, "{side}: {bytes}");
        }
    }
}
