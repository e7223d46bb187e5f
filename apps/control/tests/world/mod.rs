//! A machine of one to four cores with the control plane on it, its servers, and a wire that loses,
//! delays, repeats and damages what they say: all of it from one seed, in virtual time. No turn of the
//! machine may allocate.
//!
//! A card brings each datagram to a core that the stack does not know, and everything else to core 0.

mod servers;

use std::collections::BTreeMap;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, permit_alloc, violation_count};
use penstock_control::{Application, Link, NameId, Plan, WithControl};
use penstock_fault::{Rng, damage, mix};
use penstock_queue::{Capabilities, Chunks, Lent, MemoryQueue, Offload, QueuePair, RxFrame};
use penstock_stack::{
    App, Capacity, Close, Config, ConnId, Cx, Datagram, Duration, Instant, Interface, ListenerId,
    SocketOptions, Steering, Tcp, UdpId, Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

pub(crate) use servers::{Leases, Servers};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) loss_ppm: u32,
    pub(crate) damage_ppm: u32,
    pub(crate) repeat_ppm: u32,
    pub(crate) delay_us: u64,
}

/// What a machine is on top: it listens, and remembers what it was told.
pub(crate) struct Tenant {
    names: Vec<String>,
    /// By name, what was told last.
    pub(crate) told: Vec<Option<Vec<Addr>>>,
    pub(crate) closed: Vec<Close>,
    pub(crate) accepted: u32,
}

impl App for Tenant {
    fn on_accept(&mut self, _: &mut Cx<'_>, _: ConnId, _: ListenerId) {
        self.accepted += 1;
    }

    fn on_closed(&mut self, _: &mut Cx<'_>, _: ConnId, reason: Close) {
        permit_alloc(|| self.closed.push(reason));
    }
}

impl Application for Tenant {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn on_name(&mut self, _: &mut Cx<'_>, name: NameId, addresses: &[Addr]) {
        permit_alloc(|| self.told[name.0 as usize] = Some(addresses.to_vec()));
    }
}

pub(crate) type Core = Worker<Cable, WithControl<Tenant>>;

/// The names that the machine wants to know.
pub(crate) const NAMES: [&str; 4] = ["web.example", "alias.example", "big.example", "known"];

pub(crate) struct World {
    pub(crate) cores: Vec<Core>,
    pub(crate) servers: Worker<Cable, Servers>,
    pub(crate) weather: Weather,
    on_the_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    rng: Rng,
    pub(crate) now: Instant,
    pub(crate) lines: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, cores: u16, weather: Weather) -> World {
        let plan = Plan {
            links: vec![Link {
                name: "eth0".into(),
                dhcp: true,
                router_advertisements: true,
                ..Link::default()
            }],
            hostname: "web1".into(),
            tag: "tenant".into(),
            hosts: "10.0.0.200 known\n".into(),
            log: penstock_config::Boot::parse("log=10.0.0.1,local3").machine.log,
            clock: Some((Duration::from_secs(1_795_000_000), "RTC")),
            seed: [seed as u8; 32],
            ..Plan::default()
        };
        let posts = mail::network(rfd::Cores::new(cores).expect("few"), 64);
        let machine = (0..cores).zip(posts).map(|(core, post)| {
            let names = NAMES.map(str::to_owned).to_vec();
            let told = vec![None; names.len()];
            let app =
                WithControl::new(Tenant { names, told, closed: vec![], accepted: 0 }, core, &plan);
            let queues = vec![Cable(MemoryQueue::new(1500))];
            let config = config(2, cores, vec![], seed as u8);
            let chunks = Chunks::new(config.capacity.chunks);
            let mut worker = Worker::new(config, core, queues, chunks, post, app).expect("good");
            worker.start(BEGIN);
            worker.with(BEGIN, |app, cx| {
                app.begin(cx);
                cx.listen(None, 80, SocketOptions::default()).expect("free");
            });
            worker
        });
        World {
            cores: machine.collect(),
            servers: servers::worker(config(1, 1, vec![(SERVER, 24)], seed as u8)),
            weather,
            on_the_way: BTreeMap::new(),
            sent: 0,
            rng: Rng::new(seed, "wire"),
            now: BEGIN,
            lines: vec![],
        }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.step(end);
        }
    }

    fn step(&mut self, end: Instant) {
        let mut is_busy = self.servers.turn(self.now).more;
        for core in &mut self.cores {
            let before = violation_count();
            is_busy |= assert_no_alloc(|| core.turn(self.now)).more;
            assert_eq!(violation_count(), before, "a turn of the machine allocated");
            core.check().expect("sound");
        }
        let now = self.now;
        while let Some(line) = self.cores[0].with(now, |app, cx| app.take_line(cx)) {
            self.lines.push(line.as_str().to_owned());
        }
        let addresses = self.addresses(0);
        self.servers.app().judge(now, &addresses);
        self.collect();
        is_busy |= self.deliver();
        // Whoever has mail is woken.
        is_busy |= self.cores.iter_mut().any(|core| core.has_mail());
        if is_busy {
            self.now = Instant(self.now.0 + 20);
            return;
        }
        let deadlines = self.cores.iter().map(Worker::next_deadline);
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let next = deadlines.chain([self.servers.next_deadline(), arrival]).flatten().min();
        self.now = next.unwrap_or(end).max(Instant(self.now.0 + 20)).min(end);
    }

    /// The addresses of a core, link-local ones aside.
    pub(crate) fn addresses(&mut self, core: usize) -> Vec<Addr> {
        let now = self.now;
        let mut all = self.cores[core].with(now, |_, cx| {
            let own = cx.addresses(0).map(|(addr, _)| addr);
            own.filter(|addr| !addr.is_link_local_v6()).collect::<Vec<_>>()
        });
        all.sort();
        all
    }

    fn collect(&mut self) {
        let World { cores, servers, weather, on_the_way, sent, rng, now, .. } = self;
        let mut carry = |from: usize, frame: Vec<u8>| {
            if rng.chance(weather.loss_ppm) {
                return;
            }
            let mut frame = frame;
            if rng.chance(weather.damage_ppm) {
                damage(&mut frame, rng);
            }
            for _ in 0..1 + u64::from(rng.chance(weather.repeat_ppm)) {
                let at = Instant(now.0 + 20 + rng.below(weather.delay_us + 1));
                *sent += 1;
                on_the_way.insert((at, *sent), (from, frame.clone()));
            }
        };
        let machine = cores.iter_mut().filter_map(|core| core.queue_mut(0));
        machine.flat_map(|queue| queue.0.take()).for_each(|frame| carry(2, frame));
        let by_hand = servers.app_mut().take_frames(*now);
        let queue = servers.queue_mut(0).map(|queue| queue.0.take()).unwrap_or_default();
        queue.into_iter().chain(by_hand).for_each(|frame| carry(1, frame));
    }

    /// Whether anything has arrived by now.
    fn deliver(&mut self) -> bool {
        let before = self.on_the_way.len();
        while let Some(first) = self.on_the_way.first_entry()
            && first.key().0 <= self.now
        {
            let (from, frame) = first.remove();
            if from == 1 {
                let core = core_of(&frame, self.cores.len());
                self.cores[core].queue_mut(0).expect("one").0.feed(frame);
            } else if !self.servers.app_mut().hear(self.now, &frame) {
                self.servers.queue_mut(0).expect("one").0.feed(frame);
            }
        }
        self.on_the_way.len() < before
    }
}

/// The core that a card brings a frame to.
fn core_of(frame: &[u8], cores: usize) -> usize {
    let is_ip = frame.get(12..14) == Some(&[8, 0][..]);
    let flow = frame.get(34..38).filter(|_| is_ip).and_then(|ports| ports.try_into().ok());
    flow.map_or(0, |ports| (mix(u64::from(u32::from_be_bytes(ports))) % cores as u64) as usize)
}

pub(crate) fn config(last: u8, cores: u16, addresses: Vec<(Addr, u8)>, seed: u8) -> Config {
    Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses,
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity {
            connections: 64,
            flights: 64,
            half_open: 64,
            time_wait: 64,
            chunks: 512,
            ..Capacity::default()
        },
        tcp: Tcp::default(),
        seed: [seed ^ last; 32],
    }
}

/// A queue pair whose own memory is not what is watched.
pub(crate) struct Cable(pub(crate) MemoryQueue);

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

pub(crate) const SERVER: Addr = Addr::v4(0x0a00_0001);
pub(crate) const BEGIN: Instant = Instant(1_000_000);
