//! The upcalls, handed on by what a connection is; and how connections begin and end.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use penstock_control::Application;
use penstock_http::Gatherer;
use penstock_http::limits::HEAD_BYTES_MAX;
use penstock_relay::Relay;
use penstock_stack::{
    App, Capacity, Close, ConnId, Counters, Cx, Duration, Endpoint, ListenerId, SocketOptions,
};

use crate::board::Board;
use crate::client::{Client, Stage};
use crate::page::Page;
use crate::statistics::Counts;
use crate::{Arguments, Service, Statistics, limits, pattern};

/// The demo server of one core.
pub struct Server {
    arguments: Arguments,
    /// What is behind each listener, by [`ListenerId`].
    doors: Vec<Stage>,
    /// By [`ConnId::index`].
    pub(crate) clients: Box<[Client]>,
    pub(crate) heads: Gatherer<ConnId>,
    pub(crate) pattern: Box<[u8]>,
    pub(crate) lines: Box<[u8]>,
    pub(crate) keep_alive: bool,
    pub(crate) backends: Box<[Endpoint]>,
    /// Whose turn it is.
    pub(crate) backend_next: usize,
    pub(crate) relay: Relay,
    pub(crate) counts: Counts,
    /// There is one where the ground knows what to say of its machine.
    pub(crate) page: Option<Page>,
    board: Option<Arc<Board>>,
    /// What it had accepted when it told the board last.
    accepted_before: u64,
}

impl Server {
    /// The server of a core with these bounds. All memory it will ever use is taken here and in
    /// [`start`](Self::start).
    pub fn new(arguments: Arguments, capacity: &Capacity) -> Server {
        // Who is no proxy needs no records for one.
        let relayed = if arguments.backends.is_empty() { 0 } else { capacity.connections };
        let relay = Relay::new(&Capacity { connections: relayed, ..*capacity }, &[limits::RELAY]);
        Server {
            keep_alive: arguments.keep_alive,
            backends: arguments.backends.clone().into(),
            backend_next: 0,
            relay,
            arguments,
            doors: Vec::new(),
            clients: vec![Client::GONE; capacity.connections as usize].into(),
            heads: Gatherer::new(limits::HEADS),
            pattern: pattern::period(),
            lines: pattern::lines(),
            counts: Counts::default(),
            page: None,
            board: None,
            accepted_before: 0,
        }
    }

    /// What a server takes of its core's memory with so many connections, in bytes: a little more than
    /// it is.
    pub fn bytes(connections: u32) -> usize {
        let heads = usize::from(limits::HEADS) * (HEAD_BYTES_MAX + 128);
        let each = size_of::<Client>() + Relay::CONNECTION_BYTES;
        heads + 2 * pattern::PATTERN_BYTES as usize + connections as usize * each
    }

    /// With a page about the machine, and a place for this core on it.
    pub fn on_board(self, board: Arc<Board>) -> Server {
        Server { board: Some(board), ..self }
    }

    /// Listens, if this core is one of those that serve.
    ///
    /// # Errors
    /// A line about the first place where it cannot.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        if let Some(board) = self.board.take() {
            self.page = Some(Page::new(board, cx.now()));
            cx.wake_at(Some(cx.now() + TELL_AFTER));
        }
        if !self.arguments.serves(cx.core()) {
            return Ok(());
        }
        // Cores take turns of their own: they begin at different backends.
        self.backend_next = cx.core() as usize % self.backends.len().max(1);
        let first = if self.backends.is_empty() { Stage::Idle } else { Stage::Proxy };
        let listen = self.arguments.listen.iter().map(|endpoint| (*endpoint, first));
        let services = self.arguments.services.iter().map(|service| {
            let stage = match service {
                Service::Echo => Stage::Echo,
                Service::Discard => Stage::Discard,
                Service::Chargen => Stage::Chargen(0),
            };
            (Endpoint { addr: penstock_wire::Addr::UNSPECIFIED, port: service.port() }, stage)
        });
        for (endpoint, stage) in listen.chain(services).collect::<Vec<_>>() {
            let addr = Some(endpoint.addr).filter(|addr| !addr.is_unspecified());
            let listener = cx.listen(addr, endpoint.port, OPTIONS).map_err(|error| {
                let Endpoint { addr, port } = endpoint;
                format!("cannot listen on {addr} port {port}: {error}")
            })?;
            let at = listener.0 as usize;
            if self.doors.len() <= at {
                self.doors.resize(at + 1, Stage::Gone);
            }
            self.doors[at] = stage;
        }
        Ok(())
    }

    /// What it was told.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// Lets nobody new in, and lets everybody go after the answer under way.
    pub fn stop(&mut self, cx: &mut Cx<'_>) {
        self.keep_alive = false;
        for (at, door) in self.doors.iter_mut().enumerate() {
            if *door != Stage::Gone {
                cx.unlisten(ListenerId(at as u16));
                *door = Stage::Gone;
            }
        }
    }

    /// What was done so far; `counters` are those of this server's worker.
    pub fn statistics(&self, counters: &Counters) -> Statistics {
        self.counts.statistics(counters)
    }

    /// Heads under way in pieces (a walk: for checks only).
    pub fn heads_in_use(&self) -> usize {
        self.heads.in_use()
    }

    /// From here on `stage`, for `timeout` at most.
    pub(crate) fn wait(&mut self, cx: &mut Cx<'_>, conn: ConnId, stage: Stage, timeout: Duration) {
        let client = &mut self.clients[conn.index()];
        client.stage = stage;
        client.moved_at = cx.now().millis();
        cx.set_timer(conn, Some(timeout));
    }

    /// The stall timer ran out: has anything moved since it was set?
    pub(crate) fn watch(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let moved_at = self.clients[conn.index()].moved_at;
        let still_ms = cx.now().millis().wrapping_sub(moved_at) as u64;
        match limits::STALL_TIMEOUT.millis().checked_sub(still_ms) {
            Some(left_ms) if left_ms > 0 => {
                cx.set_timer(conn, Some(Duration::from_millis(left_ms)));
            }
            _ => {
                self.counts.timeouts += 1;
                self.abandon(cx, conn);
            }
        }
    }

    /// Closes in order; no upcall follows.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.forget(conn);
        cx.close(conn);
    }

    /// Resets; no upcall follows.
    pub(crate) fn abandon(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.forget(conn);
        cx.abort(conn);
    }

    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.release(conn);
        let client = &mut self.clients[conn.index()];
        if client.stage != Stage::Gone {
            client.stage = Stage::Gone;
            self.counts.active -= 1;
        }
    }

    /// Gives back what it holds of the core's.
    pub(crate) fn release(&mut self, conn: ConnId) {
        let client = &mut self.clients[conn.index()];
        if let Stage::Head(gather) = client.stage {
            self.heads.end(gather);
            client.stage = Stage::Idle;
        }
        if let Some(gather) = client.answer.gather() {
            self.heads.end(gather);
            client.answer = crate::answer::Answer::NONE;
        }
    }
}

impl Application for Server {}

impl App for Server {
    #[inline]
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, listener: ListenerId) {
        let stage = self.doors.get(listener.0 as usize).copied().unwrap_or(Stage::Gone);
        self.counts.accepted += 1;
        self.counts.active += 1;
        self.clients[conn.index()] = Client::new(stage, cx.now().millis());
        let timeout = match stage {
            Stage::Idle | Stage::Proxy => limits::HEAD_TIMEOUT,
            _ => limits::STALL_TIMEOUT,
        };
        cx.set_timer(conn, Some(timeout));
        self.chatter(cx, conn);
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.relay.on_connected(cx, conn);
    }

    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        if let Some(ended) = self.relay.on_connect_failed(conn, reason) {
            self.relay_ended(cx, ended);
        }
    }

    #[inline]
    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        match self.clients[conn.index()].stage {
            Stage::Relayed => self.relay.on_data(cx, conn, bytes),
            Stage::Proxy => self.proxy_data(cx, conn, bytes),
            Stage::Echo | Stage::Discard | Stage::Chargen(_) => self.service_data(cx, conn, bytes),
            _ => self.web_data(cx, conn, bytes),
        }
    }

    #[inline]
    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        match self.clients[conn.index()].stage {
            Stage::Relayed => self.relay.on_acknowledged(cx, conn),
            Stage::Answer => self.web_acknowledged(cx, conn),
            Stage::Echo | Stage::Discard | Stage::Chargen(_) => {
                self.service_acknowledged(cx, conn);
            }
            _ => {}
        }
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        match self.clients[conn.index()].stage {
            Stage::Relayed => {
                if let Some(ended) = self.relay.on_remote_closed(cx, conn) {
                    self.relay_ended(cx, ended);
                }
            }
            Stage::Echo | Stage::Discard | Stage::Chargen(_) => self.leave(cx, conn),
            _ => self.web_remote_closed(cx, conn),
        }
    }

    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        if self.clients[conn.index()].stage != Stage::Relayed {
            self.forget(conn);
        } else if let Some(ended) = self.relay.on_closed(cx, conn, reason) {
            self.relay_ended(cx, ended);
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        let Some(page) = &self.page else { return };
        let statistics = self.counts.statistics(cx.counters());
        page.board().publish(cx.core(), &statistics, statistics.accepted - self.accepted_before);
        self.accepted_before = statistics.accepted;
        cx.wake_at(Some(cx.now() + TELL_AFTER));
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        match self.clients[conn.index()].stage {
            Stage::Relayed => {
                if let Some(ended) = self.relay.on_timer(cx, conn) {
                    self.relay_ended(cx, ended);
                }
            }
            Stage::Echo | Stage::Discard | Stage::Chargen(_) => self.watch(cx, conn),
            _ => self.web_timer(cx, conn),
        }
    }
}

/// How often a core tells the others how it fares.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// Answers are written in one go: there is nothing for Nagle to gather.
pub(crate) const OPTIONS: SocketOptions = SocketOptions {
    nodelay: true,
    quickack: false,
    patient: false,
    user_timeout: None,
    keepalive: None,
    mss: None,
};
