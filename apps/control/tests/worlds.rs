//! Whatever the weather, a machine comes to its address, its names and the time, keeps them for as long
//! as somebody says so and not longer, and every core knows. `SEED=n` plays one world again, `WORLDS=n`
//! that many.

mod world;

use penstock_fault::Rng;
use penstock_stack::{Close, SocketOptions};
use penstock_wire::Addr;
use penstock_world::Weather;
use world::{Leases, NAMES, World};

const FAIR: Weather = Weather { loss_ppm: 0, damage_ppm: 0, repeat_ppm: 0, delay_us: 200 };

/// What all cores of a machine agree on, when nothing has been wrong for a while.
fn judge(world: &mut World, again: &str) {
    let lease = Addr::v4(world.servers.app().leases.addr);
    let own = Addr { hi: 0xfd << 56, lo: 0xff_fe00_0002 };
    let mut expected = vec![lease];
    expected.extend((world.servers.app().prefix_seconds > 0).then_some(own));
    expected.sort();
    let web: Vec<Addr> =
        world.servers.app().web.iter().map(|bytes| Addr::v4(u32::from_be_bytes(*bytes))).collect();
    let right = world.servers.app().wall.0 + world.now.0;
    for core in 0..world.cores.len() {
        assert_eq!(world.addresses(core), expected, "core {core}; {again}");
        let told = &world.cores[core].app().app().told;
        for (name, told) in NAMES.iter().zip(told) {
            let mut told = told.clone().unwrap_or_else(|| panic!("{name} unknown; {again}"));
            told.sort();
            match *name {
                "known" => assert_eq!(told, [Addr::v4(0x0a00_00c8)], "{again}"),
                "big.example" => assert_eq!(told.len(), 8, "{again}"),
                _ => assert_eq!(told, web, "core {core}, {name}; {again}"),
            }
        }
        let now = world.now;
        let wall = world.cores[core].with(now, |_, cx| cx.wall()).expect("known").0;
        assert!(wall.abs_diff(right) < 100_000, "off by {} us; {again}", wall.abs_diff(right));
    }
}

/// A connection to the machine's IPv4 address, and what becomes of it.
fn connect(world: &mut World) {
    let addr = world.servers.app().leases.addr;
    let to = penstock_stack::Endpoint { addr: Addr::v4(addr), port: 80 };
    let now = world.now;
    let conn = world.servers.with(now, |_, cx| cx.connect(to, None, SocketOptions::default()));
    conn.expect("a port");
}

#[test]
fn a_good_day() {
    let mut world = World::new(1, 2, FAIR);
    world.pass(5);
    judge(&mut world, "a good day");
    assert!(world.servers.app().asked_over_tcp > 0, "big.example does not fit a datagram");
    let lines = world.lines.join("\n");
    for line in [
        "clock: RTC, 2026-11-18 11:06:40 UTC",
        "ip 10.0.0.50/24 on eth0, leased by 10.0.0.1 for 20 s",
        "gateway 10.0.0.1 on eth0",
        "dns 10.0.0.1",
        "ip fd00::ff:fe00:2/64 on eth0, by router advertisement",
        "gateway fe80::ff:fe00:1 on eth0",
        "clock: time server 10.0.0.1, stratum 2, ",
    ] {
        assert!(lines.contains(line), "no {line:?} in:\n{lines}");
    }
    let log = world.servers.app().log.join("\n");
    assert!(log.contains("web1 tenant: gateway"), "lines go to the syslog server: {log}");
    assert!(log.lines().all(|line| line.starts_with("<15")), "facility local3: {log}");
}

#[test]
fn a_server_that_goes_and_comes_back() {
    let mut world = World::new(2, 2, FAIR);
    world.pass(5);
    connect(&mut world);
    world.pass(1);
    world.servers.app_mut().are_silent = true;
    world.pass(11);
    assert_eq!(world.addresses(1).len(), 2, "the lease is not over");
    world.pass(30);
    assert!(world.addresses(0).is_empty() && world.addresses(1).is_empty(), "everything is over");
    let closed: Vec<_> =
        world.cores.iter().flat_map(|core| core.app().app().closed.clone()).collect();
    assert_eq!(closed, [Close::AddressLost]);
    let lines = world.lines.join("\n");
    for line in [
        "ip 10.0.0.50 on eth0: 10.0.0.1 is silent: rebinding",
        "ip 10.0.0.50 on eth0: the lease is over, the address lost",
        "ip fd00::ff:fe00:2 on eth0: its prefix is over, the address lost",
        "dns: no answer about",
    ] {
        assert!(lines.contains(line), "no {line:?} in:\n{lines}");
    }
    world.servers.app_mut().are_silent = false;
    world.pass(80);
    judge(&mut world, "it is back");
}

#[test]
fn a_lease_without_an_end() {
    let mut world = World::new(5, 1, FAIR);
    world.servers.app_mut().leases.seconds = u32::MAX;
    world.pass(5);
    let line = "ip 10.0.0.50/24 on eth0, leased by 10.0.0.1 for ever";
    assert!(world.lines.iter().any(|known| known == line), "{:?}", world.lines);
}

#[test]
fn nobody_to_ask() {
    let mut world = World::new(4, 2, FAIR);
    world.servers.app_mut().are_silent = true;
    world.pass(40);
    let is_missed = |line: &&String| line.ends_with(": no name server is known");
    let lines: Vec<_> = world.lines.iter().filter(is_missed).collect();
    assert_eq!(lines.len(), 1, "{:?}", world.lines);
    assert!(lines[0].starts_with("dns: nobody to ask about "), "{lines:?}");
    world.servers.app_mut().are_silent = false;
    world.pass(80);
    judge(&mut world, "somebody is there after all");
}

#[test]
fn another_address() {
    let mut world = World::new(3, 4, FAIR);
    world.pass(5);
    for _ in 0..8 {
        connect(&mut world);
    }
    world.pass(1);
    world.servers.app_mut().leases.addr = 0x0a00_0033;
    world.servers.app_mut().web = vec![[10, 0, 0, 101], [10, 0, 0, 102]];
    world.pass(20);
    judge(&mut world, "another address");
    let closed = world.cores.iter().flat_map(|core| core.app().app().closed.clone());
    assert_eq!(closed.collect::<Vec<_>>(), [Close::AddressLost; 8]);
    let line = "ip 10.0.0.50 on eth0: refused by 10.0.0.1, the address lost";
    assert!(world.lines.iter().any(|known| known == line), "{:?}", world.lines);
    connect(&mut world);
    world.pass(1);
    assert_eq!(world.cores.iter().map(|core| core.app().app().accepted).sum::<u32>(), 9);
}

#[test]
fn any_weather() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WORLDS").unwrap_or(24),
    };
    for seed in seeds {
        story(seed);
    }
}

/// Bad weather, servers that come and go and change their minds, and then a while of peace.
fn story(seed: u64) {
    let again =
        format!("again with: SEED={seed} cargo test -p penstock-control --test worlds any_weather");
    println!("{again}");
    let mut rng = Rng::new(seed, "story");
    let weather = Weather {
        loss_ppm: rng.below(300_000) as u32,
        damage_ppm: rng.below(50_000) as u32,
        repeat_ppm: rng.below(50_000) as u32,
        delay_us: rng.below(30_000),
    };
    let mut world = World::new(seed, 1 + (seed % 4) as u16, weather);
    for _ in 0..rng.below(8) {
        world.pass(1 + rng.below(20));
        let servers = world.servers.app_mut();
        match rng.below(5) {
            0 => servers.are_silent = !servers.are_silent,
            1 => servers.leases.addr = 0x0a00_0032 + rng.below(4) as u32,
            2 => servers.leases = Leases { seconds: 4 + rng.below(30) as u32, ..servers.leases },
            3 => servers.web = (0..1 + rng.below(8)).map(|last| [10, 0, 1, last as u8]).collect(),
            _ => {
                servers.wall.0 =
                    servers.wall.0.saturating_add_signed(rng.below(200_000) as i64 - 100_000)
            }
        }
        connect(&mut world);
    }
    let servers = world.servers.app_mut();
    servers.are_silent = false;
    servers.leases.seconds = servers.leases.seconds.max(8);
    world.wire.weather = Weather { delay_us: 200, ..FAIR };
    // The longest that a client waits is a minute, and the time is asked for every 17 minutes.
    world.pass(80);
    world.pass(1100);
    judge(&mut world, &again);
}
