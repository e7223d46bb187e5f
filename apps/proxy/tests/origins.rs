//! Sessions leave from the ports that `source` names, on every core, and from no others.

mod world;

use std::collections::BTreeSet;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World};

/// A proxy with one server, reached from these ports; it logs the port, the end and the retries.
fn world(cores: u16, ports: &str, retries: u16) -> World {
    let proxies = world::proxies(&format!(
        "defaults\n timeout connect 1s\n timeout client 9s\n timeout server 9s\nlisten be\n bind :80\n \
         retries {retries}\n log stdout format raw daemon\n log-format \"%bi %bp %ts %rc\"\n \
         server s 10.0.0.3:80 source 10.0.0.2:{ports}\n"
    ));
    Plan::fair(proxies, cores, &[Ways::default()]).world()
}

#[test]
fn sessions_leave_from_the_ports_of_source() {
    for (cores, ports) in [(1, 1000..=1063), (4, 1000..=1063), (4, 40_000..=40_063)] {
        let mut world = world(cores, &format!("{}-{}", ports.start(), ports.end()), 3);
        let visits: Vec<_> = (0..24).map(|_| world.visit(80, Client::saying(b"x"))).collect();
        world.pass(30);
        for visit in visits {
            assert_eq!(world.client(visit).heard.len(), 2, "{:?}", world.client(visit));
        }
        let lines = world.take_log();
        let left: BTreeSet<u16> = lines
            .iter()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                assert_eq!((words[0], words[2]), ("10.0.0.2", "--"), "{line}");
                words[1].parse().expect("a port")
            })
            .collect();
        assert_eq!(lines.len(), 24);
        assert!(left.iter().all(|port| ports.contains(port)), "{left:?}");
        let homes: BTreeSet<u16> = left.iter().map(|port| port % cores).collect();
        assert!(homes.len() as u16 > cores / 2, "{left:?}");
        assert_eq!(world.remains(), "");
    }
}

/// One port is for one connection at a time, and for the next when it is over.
#[test]
fn a_single_port_serves_one_session_after_the_other() {
    let mut world = world(1, "1000", 0);
    for _ in 0..3 {
        let one = world.visit(80, Client::saying(b"x"));
        let other = world.visit(80, Client::saying(b"x"));
        world.pass(5);
        let lines = world.take_log();
        let heard = [one, other].map(|visit| world.client(visit).heard.len());
        assert!(heard == [2, 0] || heard == [0, 2], "{heard:?}, {lines:?}");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("10.0.0.2 1000 -- 0")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains(" SC ")), "{lines:?}");
        // What waits in TIME-WAIT may be had again after a second.
        world.pass_ms(1_500);
    }
    assert_eq!(world.remains(), "");
}

#[test]
fn ports_that_leave_a_core_without_one_are_refused() {
    let setup = penstock_proxy::Setup::freeze(world::proxies(
        "listen be\n bind :80\n source 10.0.0.2:1000\n server s 10.0.0.3:80 source 10.0.0.2:7-10\n",
    ))
    .expect("a good configuration");
    assert_eq!(setup.check(1), Ok(()));
    let single = "backend 'be' : 'source' 10.0.0.2 ports 1000-1000 : expected 4 ports or more with 3 \
                  cores, each of which needs its own";
    assert_eq!(setup.check(3), Err(vec![single.to_string()]));
    assert_eq!(setup.check(8).map_err(|lines| lines.len()), Err(2));
}
