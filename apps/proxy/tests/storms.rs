//! Everything at once, from one seed. What a client hears is its server's name and the beginning of
//! what it said itself, and what a server hears is the beginning of what one client said; the books of
//! each core agree after every step; nobody waits for a slot that is free; each session is in the log
//! once, with an end that fits what happened; and in the end nothing is left.
//!
//! `SEED=42 cargo test -p penstock-proxy --test storms` is one storm again, `WORLDS=1000` many.

mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use penstock_config::haproxy::grammar::{File, Input, read};
use penstock_config::haproxy::{BackendId, ServerId};
use penstock_fault::{Rng, mix};
use penstock_proxy::{Proxy, Standing};
use penstock_stack::{Close, ConnId, Instant, Worker};
use penstock_world::{Cable, Weather};
use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, World, watch};

#[test]
fn no_byte_is_lost_invented_or_given_to_the_wrong_client() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        // Those after the first once fell.
        None => (0..number("WORLDS").unwrap_or(60)).chain([368, 558, 1463]).collect(),
    };
    let mut fell = Vec::new();
    for seed in seeds {
        let storm = Storm::new(seed);
        let told = format!("{storm:#?}\n{}", storm.text.replace("\n\n", "\n"));
        let passed = std::panic::catch_unwind(|| storm.pass());
        let replay = format!("SEED={seed} cargo test -p penstock-proxy --test storms");
        if passed.is_err() {
            eprintln!("{told}\nreplay: {replay}");
            fell.push(seed);
        }
    }
    assert!(fell.is_empty(), "storms fell: {fell:?}");
}

/// What a storm is made of.
#[derive(Clone, Debug)]
struct Storm {
    seed: u64,
    /// The configuration.
    text: String,
    weather: Weather,
    cores: u16,
    chunks: u32,
    servers: Vec<Ways>,
    visits: u64,
    upsets: Vec<(u64, Upset)>,
    /// Clients begin with a PROXY header; servers are told one, of this version.
    header_in: bool,
    header_out: Option<u8>,
    /// How many may be in the frontend, or wait at a server, if that is bounded.
    is_narrow: bool,
    is_queue_short: bool,
    /// A server has slots, and so many however many sessions there are.
    has_slots: bool,
    is_elastic: bool,
    aborts_on_close: bool,
}

/// What happens before so many clients have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upset {
    /// A server is gone without a word; it is cut off for some seconds.
    Kill(usize),
    Cut(usize),
    /// It resets everybody; listens no more, and again.
    Break(usize),
    Refuse(usize),
    /// It is taken out, and is back.
    TakeOut(usize),
    /// All clients reset.
    Flee,
}

/// What is known of one client besides what it knows itself.
struct Guest {
    conn: ConnId,
    port: u16,
    /// Without its PROXY header.
    says: Vec<u8>,
    /// It may not hear all: it broke off, or left early.
    has_left: bool,
}

/// A line of the log.
#[derive(Debug)]
struct Line {
    end: String,
    said: u64,
    told: u64,
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let mut rng = Rng::new(seed, "storm");
        let rng = &mut rng;
        // Half of all storms are no storms: then everything has to come out as it should.
        let is_calm = rng.percent(35);
        let weather = Weather {
            loss_ppm: rng.pick(&[0, 10_000, 50_000]),
            damage_ppm: rng.pick(&[0, 5_000]),
            repeat_ppm: rng.pick(&[0, 10_000]),
            delay_us: rng.pick(&[0, 500, 20_000]),
        };
        let weather = match is_calm {
            true => Weather { loss_ppm: 0, damage_ppm: 0, ..weather },
            false => weather,
        };
        let header_out = rng.pick(&[None, None, None, Some(1), Some(2)]);
        let ways = |rng: &mut Rng| Ways {
            refuses: rng.percent(10),
            is_mute: rng.percent(5),
            after_ms: rng.pick(&[0, 0, 3, 50]),
            closes: rng.percent(5),
            shuts: rng.percent(10),
            resets_after: rng.percent(5).then(|| rng.pick(&[1, 1_000, 30_000])),
            header: header_out,
        };
        let count = rng.range(1, 4) as usize;
        let servers: Vec<Ways> = (0..count)
            .map(|_| match is_calm {
                true => Ways {
                    after_ms: rng.pick(&[0, 0, 3, 50]),
                    header: header_out,
                    ..Ways::default()
                },
                false => ways(rng),
            })
            .collect();
        let visits = rng.range(5, 60);
        let upset = |rng: &mut Rng| {
            let server = rng.below(count as u64) as usize;
            let upset = rng.pick(&[
                Upset::Kill(server),
                Upset::Cut(server),
                Upset::Break(server),
                Upset::Refuse(server),
                Upset::TakeOut(server),
                Upset::Flee,
            ]);
            (rng.below(visits), upset)
        };
        let upsets = if is_calm { 0 } else { rng.below(4) };
        let upsets = (0..upsets).map(|_| upset(rng)).collect();
        let slots = rng.pick(&[None, None, Some(1), Some(3)]);
        let storm = Storm {
            seed,
            text: String::new(),
            weather,
            cores: rng.pick(&[1, 2, 4]),
            chunks: if is_calm { 8192 } else { rng.pick(&[96, 256, 4096]) },
            servers,
            visits,
            upsets,
            header_in: rng.percent(20),
            header_out,
            is_narrow: rng.percent(30),
            is_queue_short: slots.is_some() && rng.percent(15),
            has_slots: slots.is_some(),
            is_elastic: slots == Some(3) && rng.percent(30),
            aborts_on_close: rng.percent(30),
        };
        let text = storm.configuration(slots, rng);
        Storm { text, ..storm }
    }

    fn configuration(&self, slots: Option<u32>, rng: &mut Rng) -> String {
        let is_calm = self.is_calm();
        let mut text = String::from(
            "defaults
    mode tcp
    log stdout format raw local0
    log-format \"%cp %ts %U %B\"
    timeout connect 2s
    timeout client 20s
    timeout server 20s
",
        );
        let options = [
            (is_calm && self.has_slots, "timeout queue 10m"),
            (!is_calm && self.has_slots && rng.percent(50), "timeout queue 3s"),
            (rng.percent(20), "timeout tunnel 30s"),
            (rng.percent(20), "timeout client-fin 5s"),
            (rng.percent(20), "timeout server-fin 5s"),
            (rng.percent(50), "option redispatch 1"),
            (self.aborts_on_close, "option abortonclose"),
            (!is_calm && rng.percent(10), "option nolinger"),
        ];
        for (_, option) in options.iter().filter(|(is_there, _)| *is_there) {
            let _ = writeln!(text, "    {option}");
        }
        let _ = writeln!(text, "frontend fe\n    default_backend be");
        let rules = [
            (true, if self.header_in { "bind :80 accept-proxy" } else { "bind :80" }),
            (self.is_narrow, "maxconn 4"),
            (rng.percent(20), "tcp-request connection track-sc0 src"),
        ];
        for (_, rule) in rules.iter().filter(|(is_there, _)| *is_there) {
            let _ = writeln!(text, "    {rule}");
        }
        if rules[2].0 {
            let _ = writeln!(text, "    stick-table type ip size 100 expire 10s store conn_cur");
        }
        if rng.percent(40) {
            // Wants what no client says; so it waits for as long, for so much, or for the end.
            let _ = writeln!(
                text,
                "    tcp-request inspect-delay {}\n    tcp-request content accept if {{ req.len gt {} }}",
                rng.pick(&["50ms", "2s"]),
                rng.pick(&[0, 1, 3_000, 12_000]),
            );
        }
        let algorithms = ["roundrobin", "static-rr", "leastconn", "source", "first", "random"];
        let _ = writeln!(text, "backend be\n    balance {}", rng.pick(&algorithms));
        if self.is_elastic {
            let _ = writeln!(text, "    fullconn 12");
        }
        let header = match self.header_out {
            None => "",
            Some(1) => " send-proxy",
            Some(_) => " send-proxy-v2",
        };
        for number in 0..self.servers.len() {
            let weight = rng.range(1, 5);
            let _ = write!(text, "    server s{number} 10.0.0.{}:80 weight {weight}", 3 + number);
            if let Some(slots) = slots {
                let _ = write!(text, " maxconn {slots}");
            }
            if self.is_elastic {
                let _ = write!(text, " minconn 1");
            }
            if self.is_queue_short {
                let _ = write!(text, " maxqueue 4");
            }
            let _ = writeln!(text, "{header}");
        }
        text
    }

    fn world(&self) -> World {
        let file = File { name: "haproxy.cfg", bytes: self.text.as_bytes() };
        let reading = read(&Input::of(&[file]));
        let proxies = reading.proxies.unwrap_or_else(|| panic!("{:?}", reading.messages));
        let Storm { seed, weather, cores, chunks, .. } = *self;
        let servers = self.servers.clone();
        let has_two_cards = false;
        let connections = 256;
        Plan { seed, weather, proxies, cores, has_two_cards, connections, chunks, servers }.world()
    }

    /// Nothing goes wrong.
    fn is_calm(&self) -> bool {
        let good = Ways { header: self.header_out, ..Ways::default() };
        let is_good = |ways: &Ways| *ways == Ways { after_ms: ways.after_ms, ..good };
        let Weather { loss_ppm, damage_ppm, .. } = self.weather;
        loss_ppm + damage_ppm == 0
            && self.upsets.is_empty()
            && self.servers.iter().all(is_good)
            && self.chunks > 1_000
            && !self.is_queue_short
    }

    fn pass(&self) {
        let mut world = self.world();
        let log = Rc::new(RefCell::new(Vec::new()));
        world.judge = Box::new(judge(self.waits_are_short(), log.clone()));
        let mut rng = Rng::new(self.seed, "clients");
        let mut guests = Vec::new();
        for number in 0..self.visits {
            for &(_, upset) in self.upsets.iter().filter(|(at, _)| *at == number) {
                self.upset(&mut world, upset, &mut guests);
            }
            guests.push(self.come(&mut world, number, &mut rng));
            world.pass_ms(rng.pick(&[0, 0, 5, 20, 200]));
        }
        world.wire.cut.clear();
        world.pass(400);
        world.wire.weather = Weather::default();
        world.pass_ms(3_000);
        let log = log.take();
        self.judge_log(&world, &guests, &log);
        self.judge_bytes(&world, &guests);
        assert_eq!(world.remains(), "", "left behind");
        self.judge_slots(&world);
    }

    fn come(&self, world: &mut World, number: u64, rng: &mut Rng) -> Guest {
        let len = rng.pick(&[0, 2, 100, 3_000, 60_000]);
        let mut says: Vec<u8> = (0..len).map(|at| mix(number << 32 | at) as u8).collect();
        says.iter_mut().zip((number as u16).to_be_bytes()).for_each(|(to, from)| *to = from);
        let header = format!("PROXY TCP4 192.0.2.1 192.0.2.2 {} 80\r\n", 10_000 + number);
        let header = if self.header_in { header.into_bytes() } else { vec![] };
        // Who does not close first waits until it has heard everything.
        let shuts = rng.percent(70);
        let leaves_early = rng.percent(5) && len > 0;
        let leaves_after = match (leaves_early, shuts) {
            (true, _) => Some(rng.range(1, len) as usize),
            (false, false) => Some(1 + says.len()),
            (false, true) => None,
        };
        let piece = rng.percent(20).then(|| (rng.range(1, 20_000) as usize, rng.range(1, 30)));
        let client = Client {
            shuts,
            leaves_after,
            piece: piece.map(|(bytes, ms)| (bytes.max(says.len() / 100).max(1), ms)),
            deaf_ms: rng.pick(&[0, 0, 0, 0, 100, 3_000]),
            ..Client::saying(&[header, says.clone()].concat())
        };
        let client = match client.piece {
            Some(_) => Client { deaf_ms: 0, ..client },
            None => client,
        };
        let conn = world.visit(80, client);
        let mut port = 0;
        world.act(|_, cx| port = cx.info(conn).expect("it came").local.port);
        let breaks = !self.is_calm() && rng.percent(8);
        if breaks {
            world.pass_ms(rng.pick(&[0, 1, 30]));
            world.act(|_, cx| cx.abort(conn));
        }
        Guest { conn, port, says, has_left: breaks || leaves_early }
    }

    fn upset(&self, world: &mut World, upset: Upset, guests: &mut [Guest]) {
        let now = world.now;
        match upset {
            Upset::Kill(at) => world.kill(at),
            Upset::Cut(at) => world.wire.cut.push(3 + at),
            Upset::Break(at) => {
                if let Some(server) = &mut world.servers[at] {
                    server.with(now, |app, cx| app.break_all(cx));
                }
            }
            Upset::Refuse(at) => {
                if let Some(server) = &mut world.servers[at] {
                    server.with(now, |app, cx| app.refuse_or_serve(cx));
                }
            }
            Upset::TakeOut(at) => {
                let id = ServerId { backend: BackendId(0), index: at as u16 };
                world.cores[0].with(now, |app, cx| {
                    let standing = app.standing(id);
                    let is_in_maintenance = !standing.is_in_maintenance;
                    app.set_server(cx, id, Standing { is_in_maintenance, ..standing });
                });
            }
            Upset::Flee => {
                for guest in guests {
                    guest.has_left = true;
                    world.act(|_, cx| cx.abort(guest.conn));
                }
            }
        }
    }

    /// Whether everybody who waits for a slot gets the next one.
    fn waits_are_short(&self) -> bool {
        !self.upsets.iter().any(|(_, upset)| matches!(upset, Upset::TakeOut(_)))
    }

    fn judge_bytes(&self, world: &World, guests: &[Guest]) {
        for guest in guests {
            let client = world.client(guest.conn);
            if let Some((name, rest)) = client.heard.split_first() {
                assert!((3..3 + self.servers.len() as u8).contains(name), "no server's name");
                assert!(guest.says.starts_with(rest), "a client hears what is not its own");
            }
            let is_whole = client.heard.len() == 1 + guest.says.len();
            let is_heard = is_whole || self.may_end_early(guest, client) || !self.is_calm();
            assert!(is_heard, "a part is missing: {} {client:?}", guest.port);
        }
        let mut heard_of = BTreeMap::new();
        for server in world.servers.iter().flatten() {
            for heard in server.app().heard.values() {
                let (port, heard) = self.without_header(heard);
                let Some(number) = heard.first_chunk() else { continue };
                let number = u16::from_be_bytes(*number);
                let guest = guests.get(number as usize).expect("a server hears what nobody said");
                assert!(guest.says.starts_with(heard), "a server hears what is not one client's");
                let own = if self.header_in { 10_000 + number } else { guest.port };
                assert!(port.is_none_or(|port| port == own), "it was told another's address");
                assert!(heard_of.insert(number, ()).is_none(), "two servers hear a client");
            }
        }
    }

    /// A client may end unheard: it left, or closed before a server had answered, having said nothing
    /// or taken at its word.
    fn may_end_early(&self, guest: &Guest, client: &Client) -> bool {
        guest.has_left || client.shuts && (guest.says.is_empty() || self.aborts_on_close)
    }

    /// What a server heard behind the PROXY header that it was told, and whose port stands there.
    fn without_header<'h>(&self, heard: &'h [u8]) -> (Option<u16>, &'h [u8]) {
        let ways = Ways { header: self.header_out, ..Ways::default() };
        let len = match ways.header_bytes(heard) {
            Some(len) if len <= heard.len() => len,
            _ => return (None, &[]),
        };
        let (header, rest) = heard.split_at(len);
        let port = match self.header_out {
            None => None,
            Some(1) => {
                let line = str::from_utf8(header).expect("a header first");
                let line = line.strip_prefix("PROXY TCP4 ").expect("a header first");
                line.split(' ').nth(2).and_then(|port| port.parse().ok())
            }
            Some(_) => {
                assert_eq!(header[..14], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11", "no header first");
                Some(u16::from_be_bytes([header[24], header[25]]))
            }
        };
        (port, rest)
    }

    fn judge_log(&self, world: &World, guests: &[Guest], log: &[String]) {
        let mut lines: BTreeMap<u16, Vec<Line>> = BTreeMap::new();
        for text in log {
            let mut words = text.split_whitespace();
            let Some(port) = words.next().and_then(|word| word.parse().ok()) else {
                // Of a client whose PROXY header was missing or wrong.
                assert!(self.header_in, "what is this? {text}");
                continue;
            };
            let end = words.next().expect("an end").to_owned();
            let mut number = || words.next().expect("a number").parse().expect("a number");
            lines.entry(port).or_default().push(Line { end, said: number(), told: number() });
        }
        for (number, guest) in (0..).zip(guests) {
            let client = world.client(guest.conn);
            let port = if self.header_in { 10_000 + number } else { guest.port };
            let own = lines.remove(&port).unwrap_or_default();
            assert!(own.len() <= 1, "one session, two lines: {own:?}");
            let is_certain =
                self.is_calm() && !self.is_narrow && !self.header_in || !client.heard.is_empty();
            let Some(line) = own.first() else {
                assert!(
                    !is_certain || client.connected_at.is_none(),
                    "no line of {port}: {client:?}"
                );
                continue;
            };
            self.judge_line(guest, client, line);
        }
        assert!(lines.is_empty(), "lines of nobody: {lines:?}");
    }

    fn judge_line(&self, guest: &Guest, client: &Client, line: &Line) {
        let told = format!("{line:?} of {} {client:?}", guest.port);
        assert!(line.told >= client.heard.len() as u64, "more was heard than told: {told}");
        assert!(line.said <= guest.says.len() as u64, "more is told than was said: {told}");
        let Weather { loss_ppm, damage_ppm, .. } = self.weather;
        let is_rough = loss_ppm + damage_ppm > 0 || self.chunks < 1_000;
        let any = |is: fn(&Ways) -> bool| self.servers.iter().any(is);
        let upset = |is: fn(&Upset) -> bool| self.upsets.iter().any(|(_, upset)| is(upset));
        let is_silent = any(|ways| ways.is_mute)
            || upset(|upset| matches!(upset, Upset::Kill(_) | Upset::Cut(_)));
        let is_broken = any(|ways| ways.refuses || ways.resets_after.is_some())
            || self.text.contains("nolinger")
            || upset(|upset| !matches!(upset, Upset::Flee));
        let fits = match line.end.as_str() {
            "--" => true,
            "CC" | "CQ" => self.may_end_early(guest, client) || is_rough,
            "CR" | "CD" => guest.has_left || client.leaves_after.is_some() || is_rough,
            // Who waits for one that is silent says nothing meanwhile.
            "cD" => is_silent || is_rough || is_broken || any(|ways| ways.shuts),
            "cR" | "cC" | "cQ" => guest.says.is_empty() || is_rough || is_silent,
            "sD" | "sC" => is_silent || is_rough || is_broken,
            "SD" | "SC" => is_silent || is_broken || is_rough,
            "sQ" => self.has_slots,
            "SQ" => self.is_queue_short,
            "RC" => self.chunks < 1_000,
            _ => false,
        };
        assert!(fits, "why? {told}");
        if line.end == "--" && client.end == Some(Close::Finished) && !guest.has_left {
            assert_eq!(line.told, client.heard.len() as u64, "{told}");
        }
        if self.is_calm() && !guest.has_left && line.end != "--" {
            let may_leave = client.leaves_after.is_some() || self.may_end_early(guest, client);
            assert!(may_leave, "in a calm: {told}");
        }
    }

    /// All slots are there again, and everybody knows that there are no sessions.
    fn judge_slots(&self, world: &World) {
        let mut sums = vec![(0, 0); world.cores[0].app().pools().len()];
        for core in &world.cores {
            assert_eq!(core.app().believed_sessions(), 0, "a core believes in sessions elsewhere");
            for (pool, sum) in core.app().pools().iter().zip(&mut sums) {
                assert_eq!((pool.in_use, pool.waiting), (0, 0), "{pool:?}");
                *sum = (pool.limit, sum.1 + pool.held + pool.at_home.unwrap_or(0));
            }
        }
        for (limit, there) in sums {
            assert!(there == limit || self.is_elastic, "{there} of {limit} slots are left");
        }
    }
}

/// After every step: the books agree, the log is read, and who waits for a slot that is free has not
/// waited for a millisecond.
fn judge(
    waits_are_short: bool,
    log: Rc<RefCell<Vec<String>>>,
) -> impl FnMut(&mut [Worker<Cable, Proxy>], Instant) {
    let mut since: Vec<Option<Instant>> = Vec::new();
    move |cores, now| {
        watch(cores);
        let mut pools = vec![(0, 0); cores[0].app().pools().len()];
        for core in cores.iter_mut() {
            for (pool, sum) in core.app().pools().iter().zip(&mut pools) {
                let idle = pool.held.saturating_sub(pool.in_use) + pool.at_home.unwrap_or(0);
                *sum = (sum.0 + pool.waiting, sum.1 + idle);
            }
            while let Some(line) = core.app_mut().take_line() {
                log.borrow_mut().push(String::from_utf8_lossy(line).into_owned());
            }
        }
        since.resize(pools.len(), None);
        for ((waiting, idle), since) in pools.into_iter().zip(&mut since) {
            let waits = waiting > 0 && idle > 0 && waits_are_short;
            *since = waits.then(|| since.unwrap_or(now));
            let waited_us = since.map_or(0, |since| now.0 - since.0);
            assert!(waited_us <= 1_000, "{waiting} wait, {idle} slots are free: {waited_us} us");
        }
    }
}
