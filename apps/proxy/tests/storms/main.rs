//! Everything at once, from one seed. What a client hears is its server's name and the beginning of
//! what it said itself, and what a server hears is the beginning of what one client said, behind that
//! client's address where it is told one; the books of each core agree after every step, and nobody
//! waits for longer than he may, or for a slot that is free; no more come than a rate lets in; a key
//! keeps its server; each session is in the log once, with an end and numbers that fit what happened;
//! and in the end nothing is left.
//!
//! `SEED=42 cargo test -p penstock-proxy --test storms` is one storm again, `WORLDS=1000` many.

mod judgement;
mod plan;
#[path = "../world/mod.rs"]
mod world;

use std::cell::RefCell;
use std::rc::Rc;

use penstock_config::haproxy::{BackendId, ServerId};
use penstock_fault::{Rng, mix};
use penstock_proxy::Standing;
use penstock_stack::{ConnId, Instant};
use penstock_world::Weather;

use judgement::watching;
use plan::{Storm, Upset};
use world::client::Client;
use world::{Scene, World};

#[test]
fn no_byte_is_lost_invented_or_given_to_the_wrong_client() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("WORLDS").unwrap_or(60)).collect(),
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

/// What is known of one client besides what it knows itself.
struct Guest {
    conn: ConnId,
    port: u16,
    /// Where it comes from, as its PROXY header has it if it sends one.
    source: (String, u16),
    came_at: Instant,
    /// Without its PROXY header.
    says: Vec<u8>,
    /// It may not hear all: it broke off, or left early.
    has_left: bool,
}

impl Storm {
    fn pass(&self) {
        let mut world = self.world();
        let log = Rc::new(RefCell::new(Vec::new()));
        world.judge = Box::new(watching(self, log.clone()));
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
        // Checks have connections of their own: it is over when no session is there. Eight tries of a
        // connection that everybody has left, from three seconds on, are nine minutes.
        let end = Instant(world.now.0 + 700_000_000);
        while world.now < end && !self.is_over(&world, &guests) {
            world.pass_ms(1_000);
        }
        world.wire.weather = Weather::default();
        world.pass_ms(3_000);
        if self.is_checked || self.has_agents {
            let now = world.now;
            world.cores.iter_mut().for_each(|core| core.with(now, |app, cx| app.stop(cx)));
            // A mute server leaves its side open.
            world.pass(200);
        }
        self.judge(&world, &guests, &log.take());
    }

    fn is_over(&self, world: &World, guests: &[Guest]) -> bool {
        let has_ended = |guest: &Guest| world.client(guest.conn).ended_at.is_some();
        let is_watched = self.is_checked || self.has_agents;
        match is_watched {
            true => world.sessions() == 0 && guests.iter().all(has_ended),
            false => world.is_over(),
        }
    }

    fn come(&self, world: &mut World, number: u64, rng: &mut Rng) -> Guest {
        let len = rng.pick(&[0, 2, 100, 3_000, 60_000]);
        let mut says: Vec<u8> = (0..len).map(|at| mix(number << 32 | at) as u8).collect();
        says.iter_mut().zip((number as u16).to_be_bytes()).for_each(|(to, from)| *to = from);
        let named = (1 + number as u8 % 5, 10_000 + number as u16);
        let header = self.header_in.map_or(vec![], |version| header(version, named));
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
        let came_at = world.now;
        let conn = world.visit(80, client);
        let mut port = 0;
        world.act(|_, cx| port = cx.info(conn).expect("it came").local.port);
        let breaks = !self.is_calm() && rng.percent(8);
        if breaks {
            world.pass_ms(rng.pick(&[0, 1, 30]));
            world.act(|_, cx| cx.abort(conn));
        }
        let source = match self.header_in {
            Some(_) => (format!("192.0.2.{}", named.0), named.1),
            None => ("10.0.0.1".to_owned(), port),
        };
        Guest { conn, port, source, came_at, says, has_left: breaks || leaves_early }
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
            Upset::Say(at, word) => {
                if let Some(server) = &mut world.servers[at] {
                    server.app_mut().agent_says = word;
                }
            }
            Upset::Flee => {
                for guest in guests {
                    guest.has_left = true;
                    world.act(|_, cx| cx.abort(guest.conn));
                }
            }
        }
    }
}

/// The PROXY header of a client at 192.0.2.`last` and this port.
fn header(version: u8, (last, port): (u8, u16)) -> Vec<u8> {
    if version == 1 {
        return format!("PROXY TCP4 192.0.2.{last} 192.0.2.200 {port} 80\r\n").into_bytes();
    }
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([192, 0, 2, last, 192, 0, 2, 200]);
    header.extend([port.to_be_bytes(), 80u16.to_be_bytes()].concat());
    header
}
