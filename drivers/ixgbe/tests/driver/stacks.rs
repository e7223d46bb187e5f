//! Two appliances of several cores: the stack on the driver on the card, and an application that
//! sends something there and back.

use std::cell::RefCell;
use std::rc::Rc;

use penstock_ixgbe::{Config, Nic, Queue, Report, Steer};
use penstock_queue::{Chunks, SteerRule};
use penstock_stack::rfd::{self, Cores, PortRange};
use penstock_stack::{
    App, Capacity, Close, Config as StackConfig, ConnId, Cx, Endpoint, Event, Instant, Interface,
    ListenerId, SocketOptions, Steering, Tcp, Worker, mail,
};
use penstock_wire::{Addr, Mac};

use crate::machine::{MACS, ModelDevice, World, bring_up, rss};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Ports the servers listen on; one of them is in the range of active connections.
pub(crate) const LISTENED: [u16; 2] = [80, 40_001];

const CHUNKS: u32 = 2048;

/// Both appliances and what is between them.
pub(crate) struct Stacks {
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) sides: [Appliance; 2],
    /// Between two turns.
    pub(crate) turn_us: u64,
}

pub(crate) struct Appliance {
    pub(crate) nic: Nic<ModelDevice>,
    pub(crate) workers: Vec<Worker<Queue<ModelDevice>, Talker>>,
    pub(crate) reports: Vec<Report>,
}

/// A client sends so many bytes and closes when as many have come back; a server sends back what
/// comes.
#[derive(Default)]
pub(crate) struct Talker {
    request_bytes: usize,
    is_server: bool,
    /// By connection.
    sent: Vec<usize>,
    received: Vec<usize>,
    pub(crate) ended: Vec<Close>,
    pub(crate) open: usize,
}

impl Talker {
    fn push(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let sent = &mut self.sent[conn.index()];
        while *sent < self.request_bytes {
            let room = (self.request_bytes - *sent).min(1000);
            let bytes: Vec<u8> =
                (*sent..*sent + room).map(|at| (at * 31 + at / 256) as u8).collect();
            let taken = cx.send(conn, &bytes);
            *sent += taken;
            if taken == 0 {
                return;
            }
        }
    }

    fn end(&mut self, reason: Close) {
        self.ended.push(reason);
        self.open -= 1;
    }
}

impl App for Talker {
    fn on_accept(&mut self, _cx: &mut Cx<'_>, _conn: ConnId, _listener: ListenerId) {
        self.open += 1;
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.sent[conn.index()] = 0;
        self.received[conn.index()] = 0;
        self.push(cx, conn);
    }

    fn on_connect_failed(&mut self, _cx: &mut Cx<'_>, _conn: ConnId, reason: Close) {
        self.end(reason);
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        if self.is_server {
            return cx.send(conn, bytes);
        }
        let received = &mut self.received[conn.index()];
        for &byte in bytes {
            assert_eq!(byte, (*received * 31 + *received / 256) as u8, "byte {received}");
            *received += 1;
        }
        if *received == self.request_bytes {
            cx.shutdown(conn);
        }
        bytes.len()
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        if self.is_server { cx.resume(conn) } else { self.push(cx, conn) }
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        cx.shutdown(conn);
    }

    fn on_closed(&mut self, _cx: &mut Cx<'_>, _conn: ConnId, reason: Close) {
        self.end(reason);
    }
}

impl Stacks {
    /// `cores` on each side; requests of so many bytes.
    pub(crate) fn new(cores: u16, request_bytes: usize) -> Stacks {
        Stacks::with_rules(cores, request_bytes, |_| ())
    }

    /// `change` may spoil the rules of the clients' card.
    pub(crate) fn with_rules(
        cores: u16,
        request_bytes: usize,
        change: impl Fn(&mut [SteerRule]),
    ) -> Stacks {
        let world = World::new();
        let sides = [0, 1].map(|side| {
            let count = Cores::new(cores).expect("a number of cores");
            let rules = rfd::steering(count, cores, PortRange::DEFAULT);
            let (mask, rules) = rules.expect("the upper half");
            let mut rules: Vec<SteerRule> = rules.collect();
            if side == 0 {
                change(&mut rules);
            }
            let steer = Some(Steer { mask, rules });
            let config = Config { steer, ..Config::new(cores, rss(cores)) };
            let (nic, queues) = bring_up(&world, side, config).expect("a card in order");
            let posts = mail::network(count, 64);
            let workers =
                queues.into_iter().zip(posts).enumerate().map(|(number, (queue, post))| {
                    let app = Talker {
                        request_bytes,
                        is_server: side == 1,
                        sent: vec![0; 1024],
                        received: vec![0; 1024],
                        ..Talker::default()
                    };
                    let config = stack_config(side, cores);
                    let number = number as u16;
                    Worker::new(config, number, vec![queue], Chunks::new(CHUNKS), post, app)
                        .expect("valid")
                });
            Appliance { nic, workers: workers.collect(), reports: Vec::new() }
        });
        let mut stacks = Stacks { world, sides, turn_us: 20 };
        stacks.begin();
        stacks
    }

    /// Links, rings, listeners.
    fn begin(&mut self) {
        let now = Instant(self.world.borrow().now_us);
        for side in &mut self.sides {
            side.workers.iter_mut().for_each(|worker| worker.start(now));
        }
        for worker in &mut self.sides[1].workers {
            for port in LISTENED {
                let listening =
                    worker.with(now, |_, cx| cx.listen(None, port, SocketOptions::default()));
                listening.expect("free");
            }
        }
        self.turns(10_000, |stacks| stacks.sides.iter().all(|side| side.nic.is_running()));
        // Once more, for the link.
        self.turns(5_000, |_| false);
        self.sides.iter_mut().for_each(|side| side.reports.clear());
    }

    pub(crate) fn connect_from_every_core(&mut self, family: Family, port: u16, count: usize) {
        let now = Instant(self.world.borrow().now_us);
        let addr = addrs(1)[family as usize];
        for worker in &mut self.sides[0].workers {
            for _ in 0..count {
                let connected = worker.with(now, |app, cx| {
                    app.open += 1;
                    cx.connect(Endpoint { addr, port }, None, SocketOptions::default())
                });
                connected.expect("a port is free");
            }
        }
    }

    /// Turns of every core, at most `most`, until `done`.
    pub(crate) fn turns(&mut self, most: usize, mut done: impl FnMut(&mut Stacks) -> bool) -> bool {
        for turn in 0..most {
            if done(self) {
                return true;
            }
            self.world.borrow_mut().advance(self.turn_us);
            let now_us = self.world.borrow().now_us;
            for side in &mut self.sides {
                let count = side.workers.len();
                for index in 0..count {
                    // Not always in the same order.
                    let worker = &mut side.workers[(index + turn) % count];
                    worker.turn(Instant(now_us));
                }
                let report = side.nic.poll(now_us);
                if report != Report::default() {
                    side.reports.push(report);
                }
            }
        }
        false
    }

    /// Runs until every connection has ended on both sides.
    ///
    /// # Panics
    /// After `most_ms`.
    pub(crate) fn run(&mut self, most_ms: u64) {
        let turns = most_ms * 1000 / self.turn_us;
        let ended = self.turns(turns as usize, |stacks| {
            stacks.sides.iter().flat_map(|side| &side.workers).all(|worker| worker.app().open == 0)
        });
        let open = |side: &Appliance| -> usize {
            side.workers.iter().map(|worker| worker.app().open).sum()
        };
        let open = self.sides.each_ref().map(open);
        let reports = self.sides.each_ref().map(|side| &side.reports);
        assert!(ended, "connections still open: {open:?}, {reports:?}");
        // What the last segments lent comes back.
        self.turns(100, |_| false);
    }
}

impl Appliance {
    pub(crate) fn count(&self, event: Event) -> u64 {
        self.workers.iter().map(|worker| worker.counters().count(event)).sum()
    }

    pub(crate) fn statistic(&mut self, wanted: &str) -> u64 {
        let mut found = None;
        self.nic.statistics(|name, value| {
            if name.to_string() == wanted {
                found = Some(value);
            }
        });
        found.unwrap_or_else(|| panic!("no {wanted}"))
    }

    pub(crate) fn ended(&self) -> impl Iterator<Item = Close> + '_ {
        self.workers.iter().flat_map(|worker| worker.app().ended.iter().copied())
    }

    /// Nothing is held for connections that have ended, by the stack or by the card.
    pub(crate) fn assert_nothing_left(&self) {
        for worker in &self.workers {
            worker.check().expect("sound");
            let census = worker.census();
            assert_eq!((census.connections, census.flights), (0, 0));
            assert_eq!(census.chunks_free, CHUNKS);
        }
    }
}

fn addrs(side: usize) -> [Addr; 2] {
    let last = side as u32 + 1;
    [Addr::v4(0x0a00_0000 + last), Addr { hi: 0x2001_0db8 << 32, lo: last.into() }]
}

fn stack_config(side: usize, cores: u16) -> StackConfig {
    let [v4, v6] = addrs(side);
    StackConfig {
        interfaces: vec![Interface {
            mac: Mac(MACS[side]),
            mtu: 1500,
            addresses: vec![(v4, 24), (v6, 64)],
            steering: Steering::FlowDirector(rss(cores)),
        }],
        routes: vec![],
        cores,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity {
            connections: 512,
            flights: 512,
            half_open: 256,
            time_wait: 512,
            chunks: CHUNKS,
            ..Capacity::default()
        },
        tcp: Tcp { retries2: 6, ..Tcp::default() },
        seed: [side as u8; 32],
    }
}
