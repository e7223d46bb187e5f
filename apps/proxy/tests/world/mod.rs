//! Clients, a proxy of one or more cores, and servers, on a wire that loses, delays, repeats and
//! damages frames, with little memory: all of it from one seed, in virtual time. No turn of the proxy
//! may allocate.
//!
//! Clients are at 10.0.0.1, the proxy at 10.0.0.2, servers from 10.0.0.3 on, port 80. A card spreads
//! flows over the proxy's cores by a hash that the stack does not know, so whatever answers a
//! connection of its own has to cross by mail.

#![allow(dead_code)]

pub(crate) mod client;
pub(crate) mod server;

use std::collections::{BTreeMap, VecDeque};

use assert_no_alloc::{AllocDisabler, assert_no_alloc, permit_alloc, violation_count};
use penstock_config::haproxy::Proxies;
use penstock_fault::{Rng, damage, mix};
use penstock_proxy::{Proxy, Setup};
use penstock_queue::{Capabilities, Chunks, Lent, MemoryQueue, Offload, QueuePair, RxFrame};
use penstock_stack::{
    App, Capacity, Config, ConnId, Endpoint, Instant, Interface, SocketOptions, Steering, Tcp,
    Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

use client::{Client, Clients};
use server::{Server, Ways};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) loss_ppm: u32,
    pub(crate) damage_ppm: u32,
    pub(crate) repeat_ppm: u32,
    /// The longest time a frame is on its way.
    pub(crate) delay_us: u64,
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    pub(crate) proxies: Proxies,
    pub(crate) cores: u16,
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
            connections: 4096,
            chunks: ROOMY,
            servers: servers.to_vec(),
        }
    }
}

pub(crate) struct World {
    pub(crate) clients: Worker<Cable, Clients>,
    pub(crate) cores: Vec<Worker<Cable, Proxy>>,
    /// From 10.0.0.3 on; those that have died leave their place.
    pub(crate) servers: Vec<Option<Worker<Cable, Server>>>,
    weather: Weather,
    chunks: u32,
    /// By when, and in which order they were sent.
    on_the_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    rng: Rng,
    pub(crate) now: Instant,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> World {
        let Plan { seed, weather, cores, connections, chunks, ref proxies, .. } = *plan;
        let setup = Setup::freeze(proxies.clone()).expect("a good configuration");
        let mut clients = workers(1, 1, LARGE, ROOMY, |_, _| Clients::default()).remove(0);
        clients.start(BEGIN);
        let proxy = |core, capacity: &Capacity| Proxy::new(setup, core, cores, capacity);
        let mut cores = workers(2, cores, connections, chunks, proxy);
        for core in &mut cores {
            core.start(BEGIN);
            core.with(BEGIN, |app, cx| app.start(cx)).expect("free ports");
        }
        let server = |(last, ways): (usize, &Ways)| {
            let app = |_, _: &Capacity| Server::new(last as u8, *ways);
            let mut server = workers(last, 1, LARGE, ROOMY, app).remove(0);
            server.start(BEGIN);
            server.with(BEGIN, |app, cx| app.start(cx));
            Some(server)
        };
        World {
            clients,
            cores,
            servers: (3..).zip(&plan.servers).map(server).collect(),
            weather,
            chunks,
            on_the_way: BTreeMap::new(),
            sent: 0,
            rng: Rng::new(seed, "wire"),
            now: BEGIN,
        }
    }

    /// Lets everybody learn where everybody is: a cold neighbour's first frames may be lost.
    pub(crate) fn warm(&mut self) {
        let visit = self.visit(80, Client::saying(b"x"));
        self.pass(30);
        self.clients.app_mut().by_conn.remove(&visit);
        for server in self.servers.iter_mut().flatten() {
            server.app_mut().forget();
        }
        self.take_log();
    }

    /// Somebody comes.
    pub(crate) fn visit(&mut self, port: u16, client: Client) -> ConnId {
        let remote = Endpoint { addr: addr(2), port };
        self.clients.with(self.now, |app, cx| {
            let options = SocketOptions { nodelay: true, ..SocketOptions::default() };
            let conn = cx.connect(remote, None, options).expect("a free port");
            app.by_conn.insert(conn, client);
            conn
        })
    }

    pub(crate) fn client(&self, conn: ConnId) -> &Client {
        &self.clients.app().by_conn[&conn]
    }

    /// Does something as a client.
    pub(crate) fn act(&mut self, act: impl FnOnce(&mut Clients, &mut penstock_stack::Cx<'_>)) {
        self.clients.with(self.now, act);
    }

    /// Lets time pass until nothing is open any more, or `span_s` are over.
    pub(crate) fn pass(&mut self, span_s: u64) {
        let end = Instant(self.now.0 + span_s * 1_000_000);
        while self.now < end && !self.is_over() {
            self.step(end);
        }
    }

    /// Lets `span_ms` pass.
    pub(crate) fn pass_ms(&mut self, span_ms: u64) {
        let end = Instant(self.now.0 + span_ms * 1000);
        while self.now < end {
            self.step(end);
        }
    }

    /// The server at `10.0.0.(3 + index)` is gone, without a word.
    pub(crate) fn kill(&mut self, index: usize) {
        self.servers[index] = None;
    }

    /// Nobody holds anything.
    pub(crate) fn is_over(&self) -> bool {
        let open = self.cores.iter().map(|core| core.census().connections).sum::<u32>();
        open + self.clients.census().connections == 0
    }

    /// Sessions of the proxy over all cores.
    pub(crate) fn sessions(&self) -> u32 {
        self.cores.iter().map(|core| core.app().statistics().active).sum()
    }

    /// The lines of its log, over all cores, and forgets them.
    pub(crate) fn take_log(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for core in &mut self.cores {
            while let Some(line) = core.app_mut().take_line() {
                lines.push(String::from_utf8_lossy(line).into_owned());
            }
        }
        lines
    }

    /// What is left behind, in words; empty when nothing is. A frame may still wait for a neighbour.
    pub(crate) fn remains(&self) -> String {
        let mut text = String::new();
        for (number, core) in self.cores.iter().enumerate() {
            let (census, app) = (core.census(), core.app());
            let is_clean = (census.connections, census.flights) == (0, 0)
                && census.chunks_free + census.waiting == self.chunks
                && app.is_idle();
            if !is_clean {
                text += &format!("core {number}: {census:?} {}\n", app.statistics());
            }
        }
        text
    }

    fn step(&mut self, end: Instant) {
        self.deliver();
        let mut is_busy = self.clients.turn(self.now).more;
        for core in &mut self.cores {
            let before = violation_count();
            is_busy |= assert_no_alloc(|| core.turn(self.now)).more;
            assert_eq!(violation_count(), before, "a turn of the proxy allocated");
            core.check().expect("sound");
        }
        for server in self.servers.iter_mut().flatten() {
            is_busy |= server.turn(self.now).more;
        }
        self.collect();
        let has_mail = self.cores.iter_mut().any(Worker::has_mail);
        if is_busy || has_mail {
            self.now = Instant(self.now.0 + 20);
            return;
        }
        let deadlines = self.cores.iter().map(Worker::next_deadline);
        let theirs = self.servers.iter().flatten().map(Worker::next_deadline);
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let rest = [self.clients.next_deadline(), arrival];
        let next = deadlines.chain(theirs).chain(rest).flatten().min();
        self.now = next.unwrap_or(end).max(Instant(self.now.0 + 20)).min(end);
    }

    /// Takes what everybody sent, and does to it what the weather is like.
    fn collect(&mut self) {
        let World { clients, cores, servers, weather, on_the_way, sent, rng, now, .. } = self;
        let mut send = |from: usize, queue: Option<&mut Cable>| {
            for mut frame in queue.into_iter().flat_map(Cable::take) {
                if rng.chance(weather.loss_ppm) {
                    continue;
                }
                if rng.chance(weather.damage_ppm) {
                    damage(&mut frame, rng);
                }
                let copies = 1 + rng.chance(weather.repeat_ppm) as u64;
                for _ in 0..copies {
                    let at = Instant(now.0 + 20 + rng.below(weather.delay_us + 1));
                    *sent += 1;
                    on_the_way.insert((at, *sent), (from, frame.clone()));
                }
            }
        };
        send(1, clients.queue_mut(0));
        cores.iter_mut().for_each(|core| send(2, core.queue_mut(0)));
        for (last, server) in (3..).zip(servers) {
            send(last, server.as_mut().and_then(|server| server.queue_mut(0)));
        }
    }

    /// What has arrived by now goes to everybody but the sender, and at the proxy to one core.
    fn deliver(&mut self) {
        while let Some(first) = self.on_the_way.first_entry()
            && first.key().0 <= self.now
        {
            let (from, frame) = first.remove();
            let feed = |queue: Option<&mut Cable>| {
                if let Some(queue) = queue {
                    queue.0.feed(frame.clone());
                }
            };
            if from != 1 {
                feed(self.clients.queue_mut(0));
            }
            if from != 2 {
                let core = core_of(&frame, self.cores.len());
                let cores = core.map_or(0..self.cores.len(), |core| core..core + 1);
                self.cores[cores].iter_mut().for_each(|core| feed(core.queue_mut(0)));
            }
            for (last, server) in (3..).zip(&mut self.servers) {
                if from != last {
                    feed(server.as_mut().and_then(|server| server.queue_mut(0)));
                }
            }
        }
    }
}

/// The core that a card brings a TCP flow to; `None` for what all of them must hear.
fn core_of(frame: &[u8], cores: usize) -> Option<usize> {
    let is_tcp = frame.get(12..14)? == [8, 0] && *frame.get(23)? == 6;
    let ports = frame.get(34..38).filter(|_| is_tcp)?;
    let word = u32::from_be_bytes(ports.try_into().expect("four bytes"));
    Some((mix(word as u64) % cores as u64) as usize)
}

/// A queue pair whose own memory is not what is watched.
pub(crate) struct Cable(MemoryQueue);

impl Cable {
    fn take(&mut self) -> VecDeque<Vec<u8>> {
        self.0.take().into()
    }
}

impl QueuePair for Cable {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn recv(&mut self, max: usize) -> usize {
        permit_alloc(|| self.0.recv(max))
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        self.0.frame(index)
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        self.0.part(index, part)
    }

    fn recycle(&mut self) {
        permit_alloc(|| self.0.recycle());
    }

    fn slots(&self) -> usize {
        self.0.slots()
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        self.0.slot()
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], offload: Offload, chunks: &mut Chunks) {
        permit_alloc(|| self.0.send(bytes, lent, offload, chunks));
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn reclaim(&mut self, chunks: &mut Chunks) {
        self.0.reclaim(chunks);
    }
}

fn workers<A: App>(
    last: usize,
    cores: u16,
    connections: u32,
    chunks: u32,
    app: impl Fn(u16, &Capacity) -> A,
) -> Vec<Worker<Cable, A>> {
    let posts = mail::network(rfd::Cores::new(cores).expect("a number of cores"), 64);
    let worker = |(core, post)| {
        let config = config(last as u8, cores, connections, chunks);
        let app = app(core, &config.capacity);
        let queues = vec![Cable(MemoryQueue::new(1500))];
        Worker::new(config, core, queues, Chunks::new(chunks), post, app).expect("valid")
    };
    (0..cores).zip(posts).map(worker).collect()
}

fn config(last: u8, cores: u16, connections: u32, chunks: u32) -> Config {
    Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses: vec![(addr(last as u32), 24)],
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores,
        ephemeral_ports: (1_024, 65_535),
        capacity: Capacity {
            connections,
            flights: connections,
            half_open: connections,
            time_wait: connections,
            chunks,
            ..Capacity::default()
        },
        tcp: Tcp::default(),
        seed: [last; 32],
    }
}

pub(crate) fn addr(last: u32) -> Addr {
    Addr::v4(0x0a00_0000 + last)
}

const BEGIN: Instant = Instant(1_000_000);
/// Chunks of those who are not tested.
const ROOMY: u32 = 8192;
/// Connections of those who are not tested.
const LARGE: u32 = 16_384;
