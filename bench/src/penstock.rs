//! Penstock as a subject: one worker over the in-memory card, with an HTTP responder compiled in.

use penstock_queue::{Chunks, QueuePair};
use penstock_stack::config::{Capacity, Config, Interface, Route, SocketOptions, Steering, Tcp};
use penstock_stack::mail;
use penstock_stack::rfd::Cores;
use penstock_stack::{App, ConnId, Cx, Drop, Instant, ListenerId, Worker};
use penstock_wire::{Addr, Mac};

use crate::card::Card;
use crate::frames::{GATEWAY_V4, GATEWAY_V6, RESPONSE, SERVER_MAC, SERVER_V4, SERVER_V6};
use crate::subject::{Head, LISTEN_FIRST, Population, Setup, Subject};

/// Penstock behind a card: the one in memory, or any other queue pair.
pub struct Penstock<Q = Card> {
    worker: Worker<Q, Responder>,
    chunks: u64,
}

/// Answers each request once its head is complete, then closes.
pub struct Responder {
    /// By [`ConnId::index`].
    heads: Box<[Head]>,
}

impl Penstock {
    /// A server of `setup`.
    pub fn new(setup: &Setup) -> Penstock {
        Penstock::on(Card::new(setup.checksums), setup)
    }
}

impl<Q: QueuePair> Penstock<Q> {
    /// A server of `setup` on `queue`.
    ///
    /// # Panics
    /// When the stack refuses the configuration: a defect of this adapter.
    pub fn on(queue: Q, setup: &Setup) -> Penstock<Q> {
        let capacity = capacity(setup);
        let responder =
            Responder { heads: vec![Head::default(); capacity.connections as usize].into() };
        let cores = Cores::new(1).expect("one core is allowed");
        let post = mail::network(cores, 1).remove(0);
        let chunks = Chunks::new(capacity.chunks);
        let mut worker = Worker::new(config(capacity), 0, vec![queue], chunks, post, responder)
            .expect("the configuration is valid");
        let now = Instant(1);
        worker.start(now);
        worker.with(now, |_, cx| {
            for listener in 0..setup.listeners {
                cx.listen(None, LISTEN_FIRST + listener, SocketOptions::default())
                    .expect("room for every listener");
            }
        });
        Penstock { worker, chunks: capacity.chunks as u64 }
    }

    /// One turn.
    pub fn turn(&mut self, now_us: u64) {
        self.worker.turn(Instant(now_us));
    }

    /// What the stack holds.
    pub fn census(&self) -> Population {
        let census = self.worker.census();
        Population {
            connections: census.connections as u64,
            half_open: census.half_open as u64,
            time_wait: census.time_wait as u64,
            buffers: self.chunks - census.chunks_free as u64 + census.flights as u64,
        }
    }

    /// What it holds and has counted, for a person.
    pub fn account(&self) -> String {
        let counters = self.worker.counters().iter().filter(|(_, count)| *count > 0);
        let counters: Vec<String> =
            counters.map(|(name, count)| format!("{name} {count}")).collect();
        format!("{:?}; {}", self.census(), counters.join(", "))
    }
}

/// The default bounds, with room for the idle connections on top.
pub fn capacity(setup: &Setup) -> Capacity {
    let default = Capacity::default();
    Capacity { connections: default.connections + setup.idle, ..default }
}

/// One core with one address of each family, behind the gateway.
pub fn config(capacity: Capacity) -> Config {
    let address = |bytes: [u8; 4]| Addr::v4(u32::from_be_bytes(bytes));
    let gateway = |gateway: Addr, network: Addr| Route {
        network,
        prefix_bits: 0,
        gateway: Some(gateway),
        interface: 0,
    };
    Config {
        interfaces: vec![Interface {
            mac: Mac(SERVER_MAC),
            mtu: 1500,
            addresses: vec![(address(SERVER_V4), 24), (Addr::v6(SERVER_V6), 64)],
            steering: Steering::Unknown,
        }],
        routes: vec![
            gateway(address(GATEWAY_V4), Addr::v4(0)),
            gateway(Addr::v6(GATEWAY_V6), Addr::v6([0; 16])),
        ],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity,
        tcp: Tcp::default(),
        seed: [7; 32],
    }
}

impl Subject for Penstock {
    fn card(&mut self) -> &mut Card {
        self.worker.queue_mut(0).expect("there is one interface")
    }

    fn poll(&mut self, now_us: u64) {
        self.turn(now_us);
    }

    fn population(&self) -> Population {
        self.census()
    }

    fn explain(&self) -> String {
        self.account()
    }

    fn shed(&self) -> u64 {
        self.worker.counters().drops(Drop::SynOverload)
    }
}

impl App for Responder {
    fn on_accept(&mut self, _cx: &mut Cx<'_>, conn: ConnId, _listener: ListenerId) {
        self.heads[conn.index()] = Head::default();
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        if self.heads[conn.index()].take(bytes) {
            cx.send(conn, RESPONSE);
            cx.shutdown(conn);
        }
        bytes.len()
    }
}
