//! Visitors, a server of one or two cores, and backends, on a wire that loses, delays, repeats and
//! damages frames, with little memory: all of it from one seed, in virtual time. No turn of the
//! server may allocate.
//!
//! A card spreads flows over the server's cores by a hash that the stack does not know, so whatever
//! answers a connection of its own has to cross by mail.

use std::collections::{BTreeMap, VecDeque};

use assert_no_alloc::{AllocDisabler, assert_no_alloc, permit_alloc, violation_count};
use penstock_fault::{Rng, damage, mix};
use penstock_queue::{Capabilities, Chunks, Lent, MemoryQueue, Offload, QueuePair, RxFrame};
use penstock_server::{Arguments, Server};
use penstock_stack::{
    App, Capacity, Config, ConnId, Endpoint, Instant, Interface, SocketOptions, Steering, Tcp,
    Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

use crate::visitor::{Visitor, Visitors};

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
    pub(crate) options: String,
    pub(crate) cores: u16,
    /// Payload chunks of each of the server's cores.
    pub(crate) chunks: u32,
    /// Options of each backend, from 10.0.0.3 on.
    pub(crate) backends: Vec<String>,
    /// They die while visitors are there.
    pub(crate) backends_die: bool,
}

pub(crate) struct World {
    pub(crate) visitors: Worker<Cable, Visitors>,
    pub(crate) servers: Vec<Worker<Cable, Server>>,
    /// From 10.0.0.3 on; those that have died leave their place.
    backends: Vec<Option<Worker<Cable, Server>>>,
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
        let Plan { seed, weather, cores, chunks, .. } = *plan;
        let backends = (3..).zip(&plan.backends);
        let mut visitors = workers(1, 1, ROOMY, |_| Visitors::default()).remove(0);
        visitors.start(BEGIN);
        World {
            visitors,
            servers: serving(2, cores, chunks, &plan.options),
            backends: backends.map(|(last, text)| serving(last, 1, ROOMY, text).pop()).collect(),
            weather,
            chunks,
            on_the_way: BTreeMap::new(),
            sent: 0,
            rng: Rng::new(seed, "wire"),
            now: BEGIN,
        }
    }

    /// Somebody comes.
    pub(crate) fn visit(&mut self, port: u16, visitor: Visitor) -> Option<ConnId> {
        let remote = Endpoint { addr: addr(2), port };
        self.visitors.with(self.now, |app, cx| {
            let conn = cx.connect(remote, None, SocketOptions::default()).ok()?;
            app.by_conn.insert(conn, visitor);
            Some(conn)
        })
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

    /// The backends are gone, without a word.
    pub(crate) fn kill_backends(&mut self) {
        self.backends.iter_mut().for_each(|backend| *backend = None);
    }

    /// Nobody holds anything.
    pub(crate) fn is_over(&self) -> bool {
        let servers = self.servers.iter().map(Worker::census);
        let open = servers.map(|census| census.connections).sum::<u32>();
        open + self.visitors.census().connections == 0
    }

    /// What is left behind, in words; empty when nothing is. A frame may still wait for a neighbour.
    pub(crate) fn remains(&self) -> String {
        let mut text = String::new();
        for (core, server) in self.servers.iter().enumerate() {
            let (census, app) = (server.census(), server.app());
            let statistics = app.statistics(server.counters());
            let is_clean = (census.connections, census.flights) == (0, 0)
                && census.chunks_free + census.waiting == self.chunks
                && statistics.active == 0
                && app.heads_in_use() == 0;
            if !is_clean {
                text += &format!("core {core}: {census:?} {statistics}\n");
            }
        }
        text
    }

    fn step(&mut self, end: Instant) {
        let mut is_busy = self.visitors.turn(self.now).more;
        for server in &mut self.servers {
            let before = violation_count();
            is_busy |= assert_no_alloc(|| server.turn(self.now)).more;
            assert_eq!(violation_count(), before, "a turn of the server allocated");
            server.check().expect("sound");
        }
        for backend in self.backends.iter_mut().flatten() {
            is_busy |= backend.turn(self.now).more;
        }
        self.collect();
        self.deliver();
        if is_busy {
            self.now = Instant(self.now.0 + 20);
            return;
        }
        let deadlines = self.servers.iter().chain(self.backends.iter().flatten());
        let deadlines = deadlines.map(Worker::next_deadline);
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let next = deadlines.chain([self.visitors.next_deadline(), arrival]).flatten().min();
        self.now = next.unwrap_or(end).max(Instant(self.now.0 + 20)).min(end);
    }

    /// Takes what everybody sent, and does to it what the weather is like.
    fn collect(&mut self) {
        let World { visitors, servers, backends, weather, on_the_way, sent, rng, now, .. } = self;
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
        send(1, visitors.queue_mut(0));
        servers.iter_mut().for_each(|server| send(2, server.queue_mut(0)));
        for (last, backend) in (3..).zip(backends) {
            send(last, backend.as_mut().and_then(|backend| backend.queue_mut(0)));
        }
    }

    /// What has arrived by now goes to everybody but the sender, and at the server to one core.
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
                feed(self.visitors.queue_mut(0));
            }
            if from != 2 {
                let core = core_of(&frame, self.servers.len());
                let cores = core.map_or(0..self.servers.len(), |core| core..core + 1);
                self.servers[cores].iter_mut().for_each(|server| feed(server.queue_mut(0)));
            }
            for (last, backend) in (3..).zip(&mut self.backends) {
                if from != last {
                    feed(backend.as_mut().and_then(|backend| backend.queue_mut(0)));
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

fn serving(last: usize, cores: u16, chunks: u32, options: &str) -> Vec<Worker<Cable, Server>> {
    let words: Vec<&str> = options.split_whitespace().collect();
    let arguments = Arguments::parse(&words).expect("good options");
    let mut servers =
        workers(last, cores, chunks, |capacity| Server::new(arguments.clone(), capacity));
    for server in &mut servers {
        server.start(BEGIN);
        server.with(BEGIN, |app, cx| app.start(cx)).expect("free ports");
    }
    servers
}

fn workers<A: App>(
    last: usize,
    cores: u16,
    chunks: u32,
    app: impl Fn(&Capacity) -> A,
) -> Vec<Worker<Cable, A>> {
    let posts = mail::network(rfd::Cores::new(cores).expect("a number of cores"), 64);
    let worker = |(core, post)| {
        let config = config(last as u8, cores, chunks);
        let app = app(&config.capacity);
        let queues = vec![Cable(MemoryQueue::new(1500))];
        Worker::new(config, core, queues, Chunks::new(chunks), post, app).expect("valid")
    };
    (0..cores).zip(posts).map(worker).collect()
}

fn config(last: u8, cores: u16, chunks: u32) -> Config {
    Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses: vec![(addr(last as u32), 24)],
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity {
            connections: 256,
            flights: 256,
            half_open: 64,
            time_wait: 256,
            chunks,
            ..Capacity::default()
        },
        tcp: Tcp::default(),
        seed: [last; 32],
    }
}

fn addr(last: u32) -> Addr {
    Addr::v4(0x0a00_0000 + last)
}

const BEGIN: Instant = Instant(1_000_000);
/// Chunks of those who are not tested.
const ROOMY: u32 = 8192;
