//! A server and its visitors, a worker each, on one wire: in virtual time, with nothing lost.

use std::collections::BTreeMap;

use penstock_queue::{Chunks, MemoryQueue};
use penstock_server::{Arguments, Server};
use penstock_stack::{
    App, Capacity, Close, Config, ConnId, Cx, Endpoint, Instant, Interface, SocketOptions,
    Steering, Tcp, Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

/// What one visitor says, and what came of it.
#[derive(Default)]
pub(crate) struct Visitor {
    /// Said as soon as there is room, piece by piece; a piece waits until the visitor has heard
    /// this many bytes.
    pub(crate) says: Vec<(usize, Vec<u8>)>,
    /// Half-closes behind the last piece.
    pub(crate) shuts: bool,
    /// Takes nothing of what it is told.
    pub(crate) is_deaf: bool,
    pub(crate) heard: Vec<u8>,
    pub(crate) saw_end: bool,
    pub(crate) closed: Option<Close>,
    pub(crate) said: usize,
    pub(crate) within: usize,
}

impl Visitor {
    /// Says all of `text` at once.
    pub(crate) fn saying(text: impl AsRef<[u8]>) -> Visitor {
        Visitor { says: vec![(0, text.as_ref().to_vec())], ..Visitor::default() }
    }

    /// What it heard, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    fn push(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        while let Some((after, piece)) = self.says.get(self.said) {
            if self.heard.len() < *after {
                return;
            }
            self.within += cx.send(conn, &piece[self.within..]);
            if self.within < piece.len() {
                return;
            }
            self.within = 0;
            self.said += 1;
        }
        if self.shuts {
            cx.shutdown(conn);
        }
    }
}

/// The visitors' worker's application.
#[derive(Default)]
pub(crate) struct Visitors {
    pub(crate) by_conn: BTreeMap<ConnId, Visitor>,
}

impl Visitors {
    fn with(&mut self, conn: ConnId, f: impl FnOnce(&mut Visitor)) {
        if let Some(visitor) = self.by_conn.get_mut(&conn) {
            f(visitor);
        }
    }
}

impl App for Visitors {
    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.with(conn, |visitor| visitor.push(cx, conn));
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let mut taken = 0;
        self.with(conn, |visitor| {
            if !visitor.is_deaf {
                taken = bytes.len();
                visitor.heard.extend_from_slice(bytes);
                visitor.push(cx, conn);
            }
        });
        taken
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        self.with(conn, |visitor| visitor.push(cx, conn));
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.with(conn, |visitor| visitor.saw_end = true);
        cx.shutdown(conn);
    }

    fn on_closed(&mut self, _cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.with(conn, |visitor| visitor.closed = Some(reason));
    }
}

/// The whole scene.
pub(crate) struct Street {
    pub(crate) server: Worker<MemoryQueue, Server>,
    pub(crate) visitors: Worker<MemoryQueue, Visitors>,
    pub(crate) now: Instant,
}

const CHUNKS: u32 = 4096;

impl Street {
    /// A server with these options, and nobody there yet.
    pub(crate) fn new(options: &str) -> Street {
        let words: Vec<&str> = options.split_whitespace().collect();
        let arguments = Arguments::parse(&words).expect("good options");
        let server = Server::new(arguments, &config(2).capacity);
        let mut street = Street {
            server: worker(2, server),
            visitors: worker(1, Visitors::default()),
            now: Instant(1_000_000),
        };
        let now = street.now;
        street.server.start(now);
        street.visitors.start(now);
        street.server.with(now, |app, cx| app.start(cx)).expect("free ports");
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

    /// Lets `span_ms` pass, or less if all fall silent and nothing waits.
    pub(crate) fn pass(&mut self, span_ms: u64) {
        let end = Instant(self.now.0 + span_ms * 1000);
        while self.now < end {
            let turns = [self.server.turn(self.now), self.visitors.turn(self.now)];
            self.server.check().expect("sound");
            let there = carry(&mut self.visitors, &mut self.server);
            let back = carry(&mut self.server, &mut self.visitors);
            if there || back || turns.iter().any(|turn| turn.more) {
                self.now = Instant(self.now.0 + 50);
                continue;
            }
            let next = [self.server.next_deadline(), self.visitors.next_deadline()];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            self.now = next.max(Instant(self.now.0 + 50)).min(end);
        }
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

fn carry<A: App, B: App>(
    from: &mut Worker<MemoryQueue, A>,
    to: &mut Worker<MemoryQueue, B>,
) -> bool {
    let frames = from.queue_mut(0).expect("one interface").take();
    let any = !frames.is_empty();
    frames.into_iter().for_each(|frame| to.queue_mut(0).expect("one interface").feed(frame));
    any
}

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
