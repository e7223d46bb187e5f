//! Who is gone without a word is noticed by probes, where the configuration wants them (`option clitcpka`,
//! `srvtcpka`), and by nothing else within an hour.

mod world;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, proxies};

const CONFIGURATION: &str = "\
defaults
    mode tcp
    log stdout format raw local0
    log-format %ts
    timeout client 1h
    timeout server 1h
    timeout connect 3s
frontend fe
    bind :80
    clitcpka-idle 2s
    clitcpka-intvl 1s
    clitcpka-cnt 3
    default_backend be
backend be
    server s1 10.0.0.3:80
    srvtcpka-idle 2s
    srvtcpka-intvl 1s
    srvtcpka-cnt 3
";

/// What is logged of a session within a minute, after this machine was cut off.
fn ends_of(option: &str, machine: usize) -> Vec<String> {
    let text = CONFIGURATION.replace("    mode tcp\n", &format!("    mode tcp\n{option}"));
    let mut world = Plan::fair(proxies(&text), 1, &[Ways::default()]).world();
    world.warm();
    let visit = world.visit(80, Client { says: b"x".to_vec(), ..Client::default() });
    world.pass_ms(20_000);
    assert_eq!(world.client(visit).heard, [3, b'x'], "who answers probes is left alone");
    world.wire.cut.push(machine);
    world.pass_ms(60_000);
    world.take_log()
}

#[test]
fn a_client_that_is_gone_is_noticed() {
    assert_eq!(ends_of("    option clitcpka\n", CLIENTS), ["CD\n"]);
    assert_eq!(ends_of("    option tcpka\n", CLIENTS), ["CD\n"]);
    assert_eq!(ends_of("    option srvtcpka\n", CLIENTS), [""; 0]);
}

#[test]
fn a_server_that_is_gone_is_noticed() {
    assert_eq!(ends_of("    option srvtcpka\n", SERVER), ["SD\n"]);
    assert_eq!(ends_of("    option tcpka\n", SERVER), ["SD\n"]);
    assert_eq!(ends_of("", SERVER), [""; 0]);
}

/// Machines by the last number of their address.
const CLIENTS: usize = 1;
const SERVER: usize = 3;
