//! Clients, a proxy of one or more cores with little memory, and servers at port 80.

#![allow(dead_code)]

pub(crate) mod client;
pub(crate) mod server;

use std::cell::RefCell;
use std::rc::Rc;

use penstock_config::haproxy::Proxies;
use penstock_config::haproxy::grammar::{File, Input, read};
use penstock_proxy::{Proxy, Setup};
use penstock_stack::{Capacity, ConnId, Instant, SocketOptions, Worker};
use penstock_world::{BEGIN, Cable, Judge, Weather, Wire, config, second_card, workers};

use client::{Client, Clients};
use server::{Server, Ways};

/// What a configuration says.
pub(crate) fn proxies(text: &str) -> Proxies {
    let file = File { name: "haproxy.cfg", bytes: text.as_bytes() };
    let reading = read(&Input::of(&[file]));
    reading.proxies.unwrap_or_else(|| panic!("{:?}", reading.messages))
}

/// A frontend `fe` at port 80 of a backend `be`: with these lines in `defaults`, and these in the backend.
pub(crate) fn site(defaults: &str, backend: &str) -> Proxies {
    let text = "\
defaults
    mode tcp
    timeout client 10s
    timeout server 10s
    timeout connect 3s
";
    let fe = "frontend fe\n    bind :80\n    default_backend be\n";
    proxies(&format!("{text}{defaults}{fe}backend be\n{backend}"))
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    pub(crate) proxies: Proxies,
    pub(crate) cores: u16,
    /// The proxy is at 10.0.0.102 too, with a card of its own: `eth1`.
    pub(crate) has_two_cards: bool,
    /// Connections, and payload chunks, of each of the proxy's cores.
    pub(crate) connections: u32,
    pub(crate) chunks: u32,
    /// What each server is like, from 10.0.0.3 on.
    pub(crate) servers: Vec<Ways>,
}

impl Plan {
    /// Fair weather, enough of everything.
    pub(crate) fn fair(proxies: Proxies, cores: u16, servers: &[Ways]) -> Plan {
        Plan {
            seed: 1,
            weather: Weather::default(),
            proxies,
            cores,
            has_two_cards: false,
            connections: 4096,
            chunks: ROOMY,
            servers: servers.to_vec(),
        }
    }

    /// The world of that plan, and nobody there yet.
    pub(crate) fn world(&self) -> World {
        let Plan { seed, weather, cores, connections, chunks, ref proxies, .. } = *self;
        let setup = Setup::freeze(proxies.clone()).expect("a good configuration");
        let mut machine = config(2, cores, connections, chunks);
        if self.has_two_cards {
            second_card(&mut machine, 2);
        }
        let names = ["eth0", "eth1"].into_iter().take(machine.interfaces.len());
        let number = |name: &str| names.clone().position(|known| known == name);
        let cards = setup.cards(|name| number(name).map(|at| at as u8));
        let cards = cards.unwrap_or_else(|lines| panic!("{lines:?}"));
        let proxy = |core, capacity: &Capacity| Proxy::new(setup, cards, core, cores, capacity);
        let mut cores = workers(&machine, proxy);
        for core in &mut cores {
            core.with(BEGIN, |app, cx| app.start(cx)).expect("free ports");
        }
        let server = |(last, ways): (u8, &Ways)| {
            let app = |_, _: &Capacity| Server::new(last, *ways);
            let mut server = workers(&config(last, 1, LARGE, ROOMY), app).remove(0);
            server.with(BEGIN, |app, cx| app.start(cx));
            Some(server)
        };
        World {
            clients: workers(&config(1, 1, LARGE, ROOMY), |_, _| Clients::default()).remove(0),
            cores,
            servers: (3..).zip(&self.servers).map(server).collect(),
            wire: Wire::new(seed, weather),
            chunks,
            now: BEGIN,
            judge: watching(),
        }
    }
}

pub(crate) type World = penstock_world::World<Clients, Proxy, Server>;

/// What the tests ask of a world with a proxy in it.
pub(crate) trait Scene {
    /// Lets everybody learn where everybody is: a cold neighbour's first frames may be lost.
    fn warm(&mut self);
    /// Somebody comes.
    fn visit(&mut self, port: u16, client: Client) -> ConnId;
    fn client(&self, conn: ConnId) -> &Client;
    /// Sessions of the proxy over all cores.
    fn sessions(&self) -> u32;
    /// The lines of its log, over all cores, and forgets them.
    fn take_log(&mut self) -> Vec<String>;
    /// What is left behind, in words; empty when nothing is.
    fn remains(&self) -> String;
}

impl Scene for World {
    fn warm(&mut self) {
        let visit = self.visit(80, Client::saying(b"x"));
        self.pass(30);
        self.clients.app_mut().by_conn.remove(&visit);
        for server in self.servers.iter_mut().flatten() {
            server.app_mut().forget();
        }
        self.take_log();
    }

    fn visit(&mut self, port: u16, client: Client) -> ConnId {
        let options = SocketOptions { nodelay: true, ..SocketOptions::default() };
        let conn = self.connect(port, options).expect("a free port");
        self.clients.app_mut().by_conn.insert(conn, client);
        conn
    }

    fn client(&self, conn: ConnId) -> &Client {
        &self.clients.app().by_conn[&conn]
    }

    fn sessions(&self) -> u32 {
        self.cores.iter().map(|core| core.app().statistics().active).sum()
    }

    fn take_log(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        self.cores.iter_mut().for_each(|core| read_log(core, &mut lines));
        lines
    }

    fn remains(&self) -> String {
        self.left_behind(|core| (core.app().is_idle(), core.app().statistics().to_string()))
    }
}

/// [`watch`], at every sixteenth step.
fn watching() -> Judge<Proxy> {
    let mut steps = 0;
    Box::new(move |cores, _| {
        steps += 1;
        if steps % 16 == 0 {
            watch(cores);
        }
    })
}

/// What holds at any time: the books of each core agree, and together they use no more slots than there
/// are.
pub(crate) fn watch(cores: &[Worker<Cable, Proxy>]) {
    let mut pools = vec![(0, 0, 0); cores[0].app().pools().len()];
    for core in cores {
        core.app().books_agree().unwrap_or_else(|text| panic!("{text}"));
        for (pool, sum) in core.app().pools().iter().zip(&mut pools) {
            *sum = (pool.limit, sum.1 + pool.in_use, sum.2 + pool.held);
        }
    }
    for (limit, in_use, held) in pools {
        assert!(in_use <= limit && held <= limit, "{in_use} of {limit} slots used, {held} held");
    }
}

/// After every step: the books agree, nobody waits for longer than he may, the log is read, and who waits
/// for a slot that is free has not waited for a millisecond, where waits are short.
pub(crate) fn keeping(
    waits_are_short: bool,
    log: Rc<RefCell<Vec<String>>>,
) -> impl FnMut(&mut [Worker<Cable, Proxy>], Instant) + use<> {
    let mut since: Vec<Option<Instant>> = Vec::new();
    move |cores, now| {
        watch(cores);
        for core in cores.iter_mut() {
            core.app().is_in_time(now).unwrap_or_else(|text| panic!("{text}"));
            read_log(core, &mut log.borrow_mut());
        }
        let mut pools = vec![(0, 0); cores[0].app().pools().len()];
        for core in cores.iter() {
            for (pool, sum) in core.app().pools().iter().zip(&mut pools) {
                let idle = pool.held.saturating_sub(pool.in_use) + pool.at_home.unwrap_or(0);
                *sum = (sum.0 + pool.waiting, sum.1 + idle);
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

fn read_log(core: &mut Worker<Cable, Proxy>, lines: &mut Vec<String>) {
    while let Some(line) = core.app_mut().take_line() {
        lines.push(String::from_utf8_lossy(line).into_owned());
    }
}

/// Chunks of those who are not tested.
const ROOMY: u32 = 8192;
/// Connections of those who are not tested.
const LARGE: u32 = 16_384;
