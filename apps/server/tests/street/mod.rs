//! A server, its visitors, and backends that it may be a proxy for: a core each, on a wire where
//! nothing is lost.

mod visitor;

use std::sync::Arc;

use penstock_server::{Arguments, Board, Server};
use penstock_stack::{ConnId, SocketOptions, Worker};
use penstock_world::{BEGIN, Cable, Weather, Wire, World, config, workers};

pub(crate) use visitor::{Visitor, Visitors};

/// The whole scene.
pub(crate) struct Street {
    pub(crate) world: World<Visitors, Server, Server>,
}

const CHUNKS: u32 = 4096;
const CONNECTIONS: u32 = 1024;

impl Street {
    /// A server with these options, backends with theirs, and nobody there yet.
    pub(crate) fn new(options: &str, backends: &[&str]) -> Street {
        let visitors = |_, _: &_| Visitors::default();
        let backends = (3..).zip(backends);
        let world = World {
            clients: workers(&config(1, 1, CONNECTIONS, CHUNKS), visitors).remove(0),
            cores: vec![serving(2, options)],
            servers: backends.map(|(last, options)| Some(serving(last, options))).collect(),
            wire: Wire::new(0, Weather::default()),
            chunks: CHUNKS,
            now: BEGIN,
            judge: Box::new(|_, _| {}),
        };
        Street { world }
    }

    /// Somebody comes to `port`.
    pub(crate) fn visit(&mut self, port: u16, visitor: Visitor) -> ConnId {
        let conn = self.world.connect(port, SocketOptions::default()).expect("free");
        self.world.clients.app_mut().by_conn.insert(conn, visitor);
        conn
    }

    /// Lets `span_ms` pass.
    pub(crate) fn pass(&mut self, span_ms: u64) {
        self.world.pass_ms(span_ms);
    }

    /// One visitor, for `span_ms`: what came of it.
    pub(crate) fn alone(&mut self, visitor: Visitor, span_ms: u64) -> Visitor {
        let conn = self.visit(80, visitor);
        self.pass(span_ms);
        self.take(conn)
    }

    /// What came of a visitor.
    pub(crate) fn take(&mut self, conn: ConnId) -> Visitor {
        self.world.clients.app_mut().by_conn.remove(&conn).expect("it came")
    }

    /// Nothing is left behind, once everybody has gone.
    pub(crate) fn is_clean(&mut self) {
        self.pass(200_000);
        let census = self.world.cores[0].census();
        assert_eq!((census.connections, census.flights), (0, 0));
        assert_eq!(census.chunks_free, CHUNKS);
        let statistics = self.world.cores[0].app().statistics(self.world.cores[0].counters());
        assert_eq!(statistics.active, 0, "{statistics}");
        assert_eq!(self.world.cores[0].app().heads_in_use(), 0);
    }
}

/// A server at work.
fn serving(last: u8, options: &str) -> Worker<Cable, Server> {
    let words: Vec<&str> = options.split_whitespace().collect();
    let arguments = Arguments::parse(&words).expect("good options");
    let facts = vec![("machine".to_string(), "a test".to_string())];
    let board = Arc::new(Board::new(1, facts));
    let app = |_, capacity: &_| Server::new(arguments.clone(), capacity).on_board(board.clone());
    let mut server = workers(&config(last, 1, CONNECTIONS, CHUNKS), app).remove(0);
    server.with(BEGIN, |app, cx| app.start(cx)).expect("free ports");
    server
}
