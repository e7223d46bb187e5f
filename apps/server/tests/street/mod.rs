//! A server, its visitors, and backends that it may be a proxy for: a worker each, on one wire, in
//! virtual time, with nothing lost.

mod visitor;

use std::sync::Arc;

use penstock_queue::{Chunks, MemoryQueue};
use penstock_server::{Arguments, Board, Server};
use penstock_stack::{
    App, Capacity, Config, ConnId, Endpoint, Instant, Interface, SocketOptions, Steering, Tcp,
    Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

pub(crate) use visitor::{Visitor, Visitors};

/// The whole scene.
pub(crate) struct Street {
    pub(crate) server: Worker<MemoryQueue, Server>,
    pub(crate) visitors: Worker<MemoryQueue, Visitors>,
    /// From 10.0.0.3 on.
    pub(crate) backends: Vec<Worker<MemoryQueue, Server>>,
    pub(crate) now: Instant,
}

const CHUNKS: u32 = 4096;

impl Street {
    /// A server with these options, backends with theirs, and nobody there yet.
    pub(crate) fn new(options: &str, backends: &[&str]) -> Street {
        let mut street = Street {
            server: serving(2, options),
            visitors: worker(1, Visitors::default()),
            backends: (3..).zip(backends).map(|(last, options)| serving(last, options)).collect(),
            now: BEGIN,
        };
        street.visitors.start(BEGIN);
        street
    }

    /// Somebody comes to `port`.
    pub(crate) fn visit(&mut self, port: u16, visitor: Visitor) -> ConnId {
        let remote = Endpoint { addr: addr(2), port };
        let now = self.now;
        self.visitors.with(now, |app, cx| {
            let conn = cx.connect(remote, None, SocketOptions::default()).expect("free");
            app.by_conn.insert(conn, visitor);
            conn
        })
    }

    /// Lets `span_ms` pass.
    pub(crate) fn pass(&mut self, span_ms: u64) {
        let end = Instant(self.now.0 + span_ms * 1000);
        while self.now < end {
            let mut is_busy = self.visitors.turn(self.now).more | self.server.turn(self.now).more;
            self.server.check().expect("sound");
            for backend in &mut self.backends {
                is_busy |= backend.turn(self.now).more;
            }
            if self.carry() || is_busy {
                self.now = Instant(self.now.0 + 50);
                continue;
            }
            let backends = self.backends.iter().map(Worker::next_deadline);
            let next = backends.chain([self.server.next_deadline(), self.visitors.next_deadline()]);
            let next = next.flatten().min().unwrap_or(end);
            self.now = next.max(Instant(self.now.0 + 50)).min(end);
        }
    }

    /// Carries what everybody sent to everybody else; whether there was anything.
    fn carry(&mut self) -> bool {
        let mut queues: Vec<&mut MemoryQueue> = vec![];
        queues.extend(self.visitors.queue_mut(0));
        queues.extend(self.server.queue_mut(0));
        queues.extend(self.backends.iter_mut().filter_map(|backend| backend.queue_mut(0)));
        let mut any = false;
        for from in 0..queues.len() {
            for frame in queues[from].take() {
                any = true;
                for to in (0..queues.len()).filter(|to| *to != from) {
                    queues[to].feed(frame.clone());
                }
            }
        }
        any
    }

    /// One visitor, for `span_ms`: what came of it.
    pub(crate) fn alone(&mut self, visitor: Visitor, span_ms: u64) -> Visitor {
        let conn = self.visit(80, visitor);
        self.pass(span_ms);
        self.take(conn)
    }

    /// What came of a visitor.
    pub(crate) fn take(&mut self, conn: ConnId) -> Visitor {
        self.visitors.app_mut().by_conn.remove(&conn).expect("it came")
    }

    /// Nothing is left behind, once everybody has gone.
    pub(crate) fn is_clean(&mut self) {
        self.pass(200_000);
        let census = self.server.census();
        assert_eq!((census.connections, census.flights), (0, 0));
        assert_eq!(census.chunks_free, CHUNKS);
        let statistics = self.server.app().statistics(self.server.counters());
        assert_eq!(statistics.active, 0, "{statistics}");
        assert_eq!(self.server.app().heads_in_use(), 0);
    }
}

/// A server at work.
fn serving(last: u8, options: &str) -> Worker<MemoryQueue, Server> {
    let words: Vec<&str> = options.split_whitespace().collect();
    let arguments = Arguments::parse(&words).expect("good options");
    let facts = vec![("machine".to_string(), "a test".to_string())];
    let board = Arc::new(Board::new(1, facts));
    let app = Server::new(arguments, &config(last).capacity).on_board(board);
    let mut server = worker(last, app);
    server.start(BEGIN);
    server.with(BEGIN, |app, cx| app.start(cx)).expect("free ports");
    server
}

const BEGIN: Instant = Instant(1_000_000);

fn addr(last: u32) -> Addr {
    Addr::v4(0x0a00_0000 + last)
}

fn worker<A: App>(last: u8, app: A) -> Worker<MemoryQueue, A> {
    let queue = MemoryQueue::new(1500);
    let post = mail::network(rfd::Cores::new(1).expect("one"), 1).remove(0);
    Worker::new(config(last), 0, vec![queue], Chunks::new(CHUNKS), post, app).expect("valid")
}

fn config(last: u8) -> Config {
    Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses: vec![(addr(last as u32), 24)],
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity {
            connections: 1024,
            flights: 1024,
            half_open: 256,
            time_wait: 1024,
            chunks: CHUNKS,
            ..Capacity::default()
        },
        tcp: Tcp::default(),
        seed: [last; 32],
    }
}
