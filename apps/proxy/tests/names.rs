//! Servers whose names are asked for while the proxy runs: each is where its name leads, on every core,
//! and the log says so in HAProxy's words.

mod world;

use penstock_config::haproxy::grammar::{File, Input};
use penstock_config::haproxy::{BackendId, ServerId};
use penstock_control::{Absence, Application, NameId};
use penstock_stack::{Duration, Endpoint};
use penstock_wire::Addr;

use penstock_world::addr;
use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World};

/// Three servers of one name, of which two have somewhere to go.
fn world(cores: u16) -> World {
    let mut world =
        with_servers(cores, "server-template s 3 web.example:80 resolvers mydns init-addr none");
    world.pass_ms(1_000);
    world
}

fn with_servers(cores: u16, servers: &str) -> World {
    with_sections(cores, "", servers)
}

/// `more` goes on with the section of name servers.
fn with_sections(cores: u16, more: &str, servers: &str) -> World {
    let text = "defaults\n timeout connect 1s\n \
                timeout client 9s\n timeout server 9s\nlisten be\n bind :80\n log stdout format short \
                daemon\n";
    let head = "resolvers mydns\n nameserver ns1 10.0.0.9:8600\n";
    let text = format!("{head} {more}\n{text} {servers}\n");
    let file = File { name: "a.cfg", bytes: text.as_bytes() };
    let reading = penstock_config::haproxy::grammar::read(&Input::of(&[file]));
    let proxies = reading.proxies.unwrap_or_else(|| panic!("{:?}", reading.messages));
    Plan::fair(proxies, cores, &[Ways::default(); 2]).world()
}

fn resolve(world: &mut World, addresses: &[Addr]) -> Vec<String> {
    world.take_log();
    for core in &mut world.cores {
        core.with(world.now, |app, cx| app.on_name(cx, NameId(0), addresses));
    }
    world.pass_ms(20);
    world.take_log()
}

/// Which servers answer ten clients, in order.
fn who_answers(world: &mut World) -> Vec<u8> {
    let visits: Vec<_> = (0..10).map(|_| world.visit(80, Client::saying(b"x"))).collect();
    world.pass_ms(4_000);
    let heard = |visit| world.client(visit).heard.first().copied().unwrap_or(0);
    let mut names: Vec<u8> = visits.into_iter().map(heard).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn servers_are_where_their_name_leads() {
    for cores in [1, 4] {
        let mut world = world(cores);
        let asked = world.cores[0].app().name_servers();
        assert_eq!(asked, [Endpoint { addr: addr(9), port: 8600 }]);
        assert_eq!(who_answers(&mut world), [0], "nobody knows where they are");
        let found = |server: u32, at: Addr| {
            let by = if server == 1 { "mydns/ns1" } else { "DNS cache" };
            [
                format!("<5>be/s{server} changed its IP from (none) to {at} by {by}.\n"),
                format!("<5>Server be/s{server} ('web.example') is UP/READY (resolves again).\n"),
                format!(
                    "<5>Server be/s{server} administratively READY thanks to valid DNS answer.\n"
                ),
            ]
        };
        let lines = resolve(&mut world, &[addr(3), addr(4)]);
        assert_eq!(lines, [found(1, addr(3)), found(2, addr(4))].concat(), "each its own");
        assert_eq!(who_answers(&mut world), [3, 4], "on {cores} cores");
        assert_eq!(resolve(&mut world, &[addr(4), addr(3)]), [""; 0], "the order is nothing");
        // One address goes: whose it was is nowhere, the other stays where it is.
        let lines = resolve(&mut world, &[addr(4)]);
        assert_eq!(
            lines,
            ["<1>Server be/s1 is going DOWN for maintenance (No IP for server ). 1 active and 0 \
              backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.\n"]
        );
        assert_eq!(who_answers(&mut world), [4]);
        assert_eq!(resolve(&mut world, &[addr(4), addr(3)]), found(1, addr(3)));
        assert_eq!(who_answers(&mut world), [3, 4]);
        let lines = resolve(&mut world, &[]);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(
            lines[0].starts_with("<1>Server be/s1 is going DOWN for maintenance (DNS NX status)")
        );
        assert_eq!(lines[2], "<0>proxy be has no server available!\n");
        let id = ServerId { backend: BackendId(0), index: 0 };
        assert!(world.cores.iter().all(|core| core.app().standing(id).is_in_maintenance));
    }
}

/// The words of HAProxy for each reason; and each name is asked for as its section says.
#[test]
fn why_a_name_leads_nowhere_is_said() {
    for (absence, why) in [
        (Absence::NoSuchName, "DNS NX status"),
        (Absence::NoAddress, "unspecified DNS error"),
        (Absence::Refusal, "DNS refused status"),
        (Absence::Failure, "unspecified DNS error"),
        (Absence::Silence, "DNS timeout status"),
    ] {
        let mut world = world(1);
        resolve(&mut world, &[addr(3)]);
        world.cores[0].with(world.now, |app, cx| app.on_nameless(cx, NameId(0), absence));
        world.pass_ms(20);
        let lines = world.take_log();
        let line = format!("<1>Server be/s1 is going DOWN for maintenance ({why}). 0 active and ");
        assert!(lines[0].starts_with(&line), "{lines:?}");
        assert_eq!(lines[1..], ["<0>proxy be has no server available!\n"]);
    }
    let two = "hold nx 7s\n timeout resolve 3s\nresolvers other\n nameserver ns 10.0.0.8:53\n";
    let servers =
        [("a", "resolvers mydns"), ("b", "resolvers other"), ("c", ""), ("d", "resolvers mydns")];
    let servers = servers.map(|(name, by)| format!("server {name} web.example:80 {by}\n"));
    let world = with_sections(1, two, &servers.concat());
    let patience = |name| world.cores[0].app().patience(NameId(name));
    let asked = [0, 1, 2].map(|name| patience(name).map(|it| (it.pause, it.hold_nx)));
    let (usual, seconds) = (Duration::from_secs(30), Duration::from_secs);
    assert_eq!(asked, [Some((seconds(3), seconds(7))), Some((seconds(1), usual)), None]);
    assert_eq!(world.cores[0].app().names().len(), 3, "the first and the last are one");
}

/// Without `resolvers` nothing is said of a name; but a check that has nowhere to go has failed.
#[test]
fn a_server_whose_name_nobody_knows_is_down_once_there_was_time_to_ask() {
    for cores in [1, 4] {
        let mut world = with_servers(cores, "server s1 web.example:80 check inter 1s");
        world.pass_ms(14_000);
        assert_eq!(world.take_log(), [""; 0], "the answer may be on its way");
        world.pass_ms(2_500);
        assert_eq!(
            world.take_log(),
            [
                "<1>Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Name or \
                 service not known\", check duration: 0ms. 0 active and 0 backup servers left. 0 \
                 sessions active, 0 requeued, 0 remaining in queue.\n",
                "<0>proxy be has no server available!\n"
            ]
        );
        assert_eq!(resolve(&mut world, &[addr(3)]), [""; 0]);
        world.pass_ms(3_500);
        let lines = world.take_log();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("<5>Server be/s1 is UP"), "{lines:?}");
        assert_eq!(who_answers(&mut world), [3], "on {cores} cores");
    }
}

/// Without `resolvers` it is `init-addr` that says what a server is whose name leads nowhere: the first of
/// its methods that has something to say, `libc` apart.
#[test]
fn what_a_server_is_without_its_name_is_as_init_addr_says() {
    let sent_away = [
        "<1>Server be/s1 is going DOWN for maintenance (DNS NX status). 0 active and 0 \
                      backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.\n",
        "<0>proxy be has no server available!\n",
    ];
    let back = [
        "<5>Server be/s1 ('web.example') is UP/READY (resolves again).\n",
        "<5>Server be/s1 administratively READY thanks to valid DNS answer.\n",
    ];
    // The methods, whether the name is asked for, and who answers before, without, and with an address of 3.
    for (methods, asks, answering) in [
        ("libc", true, [0, 0, 3]),
        ("last,libc,none", true, [0, 0, 3]),
        ("libc,10.0.0.4,none", true, [4, 4, 3]),
        ("10.0.0.4,libc", false, [4, 4, 4]),
        ("none,libc", false, [0, 0, 0]),
        ("last,none", false, [0, 0, 0]),
    ] {
        for cores in [1, 4] {
            let server = format!("server s1 web.example:80 init-addr {methods}");
            let mut world = with_servers(cores, &server);
            assert_eq!(world.cores[0].app().names().len(), usize::from(asks), "{methods}");
            let mut seen = vec![who_answers(&mut world)[0]];
            world.take_log();
            for core in world.cores.iter_mut().filter(|_| asks) {
                core.with(world.now, |app, cx| {
                    app.on_nameless(cx, NameId(0), Absence::NoSuchName);
                });
            }
            world.pass_ms(20);
            let is_disabled = methods == "last,libc,none";
            let expected = if is_disabled { &sent_away[..] } else { &[] };
            assert_eq!(world.take_log(), expected, "{methods} on {cores} cores");
            seen.push(who_answers(&mut world)[0]);
            let lines = if asks { resolve(&mut world, &[addr(3)]) } else { Vec::new() };
            let expected = if is_disabled { &back[..] } else { &[] };
            assert_eq!(lines, expected, "{methods} on {cores} cores");
            seen.push(who_answers(&mut world)[0]);
            assert_eq!(seen, answering, "{methods} on {cores} cores");
        }
    }
}
