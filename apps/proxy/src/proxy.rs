//! The proxy of one core: the upcalls, handed on by what a connection is.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use penstock_config::haproxy::{Bind, Patience};
use penstock_control::{Absence, Application, NameId};
use penstock_relay::Relay;
use penstock_stack::{
    App, Capacity, Close, ConnId, Cx, Duration, Endpoint, Instant, ListenerId, SocketOptions,
};
use penstock_wire::Addr;

use crate::backend::Backend;
use crate::cards::Cards;
use crate::counters::Counters;
use crate::farewell::Farewell;
use crate::gauges::Gauges;
use crate::identity::{UniqueId, unique_ids};
use crate::journal::Journal;
use crate::kept::Kept;
use crate::limits;
use crate::proxy_protocol::Reader;
use crate::queue::{Places, Queue};
use crate::sample::Workspace;
use crate::server::Server;
use crate::session::{Session, SessionId};
use crate::setup::{Door, Setup, keepalive};
use crate::slab::Slab;
use crate::slots::Slots;
use crate::statistics::Statistics;
use crate::variables::Variables;
use crate::warmup::Warmups;
use crate::watch::Watch;

/// The proxy of one core.
#[derive(Debug)]
pub struct Proxy {
    pub(crate) setup: &'static Setup,
    pub(crate) cards: &'static Cards,
    pub(crate) core: u16,
    pub(crate) cores: u16,
    /// By [`ConnId::index`].
    pub(crate) roles: Box<[Role]>,
    pub(crate) sessions: Slab<Session>,
    pub(crate) relay: Relay,
    pub(crate) backends: Vec<Backend>,
    pub(crate) servers: Vec<Server>,
    pub(crate) slots: Slots,
    pub(crate) gauges: Gauges,
    pub(crate) places: Places,
    /// Stick tables.
    pub(crate) counters: Counters,
    /// What rules keep for each other.
    pub(crate) variables: Variables,
    /// Clients that wait for a slot, by pool.
    pub(crate) entrances: Vec<Queue>,
    /// The number of the next session. Those of a core are so far apart that all cores have theirs.
    pub(crate) next_number: u32,
    /// What sessions are called, where a server is told.
    pub(crate) unique_ids: Box<[UniqueId]>,
    /// Bytes of clients that rules wait for.
    pub(crate) kept: Kept,
    /// PROXY headers under way.
    pub(crate) readers: Slab<Reader>,
    /// Room for what rules put together; taken out while they do.
    pub(crate) work: Option<Box<Workspace>>,
    /// Taken out while a line is written.
    pub(crate) journal: Option<Box<Journal>>,
    /// The checks of all servers, on core 0.
    pub(crate) watch: Option<Box<Watch>>,
    /// Servers that come up slowly, on core 0.
    pub(crate) warmups: Warmups,
    pub(crate) is_stopping: bool,
    pub(crate) farewell: Farewell,
    /// What is behind each listener of the stack, by [`ListenerId`].
    pub(crate) doors: Vec<Option<u16>>,
    pub(crate) random: u64,
    pub(crate) statistics: Statistics,
    /// When somebody has to be told something.
    pub(crate) tell_at: Option<Instant>,
    /// Connections to each server that failed, of which core 0 does not know yet.
    pub(crate) untold_failures: Box<[u16]>,
    /// When to see what time has brought to those who wait for a rate.
    pub(crate) look_at: Option<Instant>,
    /// Some server's sessions are about to be cut off.
    pub(crate) has_cuts: bool,
    /// The cores that have to be told again how servers stand, a bit for each.
    pub(crate) behind: u128,
}

/// What a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nobody's.
    None,
    /// A client whose session has no server yet.
    Client(SessionId),
    /// A client whose bytes are the relay's business.
    RelayedClient(SessionId),
    /// The server of a session.
    Server(SessionId),
    /// One of whose answer rules have yet to decide: see `response.rs`.
    JudgedServer(SessionId),
    /// A client that was turned away and may not have noticed.
    Leaving,
    /// A check's, by its number.
    Check(u16),
}

impl Proxy {
    /// The proxy of core `core` of `cores`, with these bounds. All memory it will ever use is taken
    /// here and in [`start`](Self::start).
    pub fn new(
        setup: &'static Setup,
        cards: &'static Cards,
        core: u16,
        cores: u16,
        capacity: &Capacity,
    ) -> Proxy {
        let proxies = setup.proxies();
        let servers = proxies.backends.iter().flat_map(|backend| &backend.servers);
        let servers: Vec<Server> = servers.map(Server::new).collect();
        let servers_count = servers.len();
        let backends = (0..proxies.backends.len() as u16)
            .map(|number| Backend::new(setup, number, &servers, core))
            .collect();
        let tune = &proxies.global.tune;
        let kept_bytes = tune.buffer_bytes.saturating_sub(tune.rewrite_bytes) as usize;
        // Each session is two connections.
        let sessions = capacity.connections as usize / 2;
        let mut work = Box::<Workspace>::default();
        let variables = Variables::new(&proxies.variables, core, sessions);
        variables.assign(&proxies.global.assignments, &mut work);
        let (fronts, backs) = (proxies.frontends.len(), proxies.backends.len());
        let mut gauges = Gauges::new(fronts, backs, servers.len(), cores);
        if proxies.counts_rates {
            gauges.count_rates();
        }
        Proxy {
            setup,
            cards,
            core,
            cores,
            roles: alloc::vec![Role::None; capacity.connections as usize].into(),
            sessions: Slab::new(sessions),
            relay: Relay::new(capacity, &setup.manners),
            gauges,
            backends,
            servers,
            slots: Slots::new(core, cores, &setup.pools.supplies),
            places: Places::new(sessions),
            counters: Counters::new(&proxies.tables, cores, sessions, setup.stick_keys()),
            variables,
            entrances: alloc::vec![Queue::EMPTY; setup.pools.supplies.len()],
            next_number: core.into(),
            unique_ids: unique_ids(setup, sessions),
            kept: Kept::new(if setup.looks_at_bytes() { limits::KEPT } else { 0 }, kept_bytes),
            readers: Slab::new(if setup.expects_headers() { limits::HEADERS } else { 0 }),
            work: Some(work),
            journal: Some(Box::new(Journal::new())),
            watch: if core == 0 { Watch::new(setup) } else { None },
            warmups: Warmups::new(setup, core),
            is_stopping: false,
            farewell: Farewell::new(fronts + backs),
            doors: Vec::new(),
            random: 0x9e37_79b9_7f4a_7c15 ^ core as u64,
            statistics: Statistics::default(),
            tell_at: None,
            untold_failures: alloc::vec![0; if setup.observes { servers_count } else { 0 }].into(),
            look_at: None,
            has_cuts: false,
            behind: 0,
        }
    }

    /// Listens.
    ///
    /// # Errors
    /// HAProxy's line about the first place where it cannot.
    pub fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        if let Some(journal) = &mut self.journal {
            journal.start(cx);
        }
        for (door, &Door { frontend, bind, .. }) in (0..).zip(&self.setup.doors) {
            let (section, described) =
                (self.setup.frontend(frontend), self.setup.bind(frontend, bind));
            if section.disabled {
                continue;
            }
            let &Bind { at, both_families, .. } = described;
            let card = self.cards.doors[usize::from(door)];
            let addr = (!both_families).then_some(at.addr);
            let listener = cx
                .listen_on(card, addr, at.port, self.client_options(frontend, bind))
                .map_err(|error| {
                self.setup.cannot_bind(section, described, format_args!("socket ({error})"))
            })?;
            let index = listener.0 as usize;
            if self.doors.len() <= index {
                self.doors.resize(index + 1, None);
            }
            self.doors[index] = Some(door);
        }
        self.setup.claim_ports(cx);
        self.start_checks(cx);
        Ok(())
    }

    /// What was done so far.
    pub fn statistics(&self) -> Statistics {
        Statistics { active: self.sessions.in_use() as u32, ..self.statistics }
    }

    /// Whether it holds nothing of anybody's (a check, for tests).
    pub fn is_idle(&self) -> bool {
        self.sessions.in_use() + self.kept.in_use() + self.readers.in_use() == 0
            && self.roles.iter().all(|role| *role == Role::None)
    }

    /// The next line for the console, if there is one.
    pub fn take_line(&mut self) -> Option<&[u8]> {
        self.journal.as_mut()?.take_line()
    }

    /// Whether a line waits for the console.
    #[inline]
    pub fn has_line(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.has_line())
    }

    pub(crate) fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.at(id.0)
    }

    pub(crate) fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.at_mut(id.0)
    }

    /// A number that nobody has to guess.
    pub(crate) fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn client_options(&self, frontend: u16, bind: u16) -> SocketOptions {
        let &Bind { user_timeout, mss, .. } = self.setup.bind(frontend, bind);
        let mss = mss.and_then(|mss| NonZeroU16::new(mss.unsigned_abs()));
        let section = self.setup.frontend(frontend);
        let patient = section.options.smart_accept != Some(false);
        let keepalive = keepalive(section.options.keep_alive, &section.options.probes);
        SocketOptions { user_timeout, patient, keepalive, mss, ..OPTIONS }
    }

    /// Sets the client's timer to the end of the phase that its session is in.
    pub(crate) fn wait(&mut self, cx: &mut Cx<'_>, id: SessionId, span: Option<Duration>) {
        let now = cx.now();
        let Some(session) = self.session_mut(id) else { return };
        let span = span.filter(|span| span.0 > 0);
        session.until = (now + span.unwrap_or(limits::FOR_EVER)).millis();
        let (client, has_spoken) = (session.client, session.has_spoken());
        let left = self.mute_left(id, now).filter(|_| !has_spoken);
        cx.set_timer(client, span.into_iter().chain(left).min());
    }

    /// How much longer a client may say nothing.
    pub(crate) fn mute_left(&self, id: SessionId, now: Instant) -> Option<Duration> {
        let session = self.session(id)?;
        let timeout = self.setup.frontend(session.frontend).timeouts.client?;
        let left_ms = timeout.millis().saturating_sub(session.age_ms(now).into());
        Some(Duration::from_millis(left_ms.max(1)))
    }
}

impl Application for Proxy {
    fn names(&self) -> &[String] {
        &self.setup.names
    }

    fn name_servers(&self) -> &[Endpoint] {
        &self.setup.name_servers
    }

    fn patience(&self, name: NameId) -> Option<Patience> {
        self.setup.patience(name.0)
    }

    fn on_name(&mut self, cx: &mut Cx<'_>, name: NameId, addresses: &[Addr]) {
        self.resolved(cx, name.0, Ok(addresses));
        self.settle(cx);
    }

    fn on_nameless(&mut self, cx: &mut Cx<'_>, name: NameId, why: Absence) {
        self.resolved(cx, name.0, Err(why));
        self.settle(cx);
    }
}

impl App for Proxy {
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, listener: ListenerId) {
        match self.doors.get(listener.0 as usize).copied().flatten() {
            Some(door) => self.accept(cx, conn, door),
            None => cx.abort(conn),
        }
        self.settle(cx);
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        match self.roles[conn.index()] {
            Role::Server(id) | Role::JudgedServer(id) => self.server_answered(cx, id, conn),
            Role::Check(probe) => {
                self.check_connected(cx, probe, conn);
                self.settle(cx);
            }
            Role::Client(_) | Role::RelayedClient(_) | Role::Leaving | Role::None => {}
        }
    }

    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        if let Role::Check(probe) = self.roles[conn.index()] {
            self.check_lost(cx, probe, conn, reason);
        } else if let Some(ended) = self.relay.on_connect_failed(conn, reason) {
            self.relay_ended(cx, ended);
        }
        self.settle(cx);
    }

    #[inline]
    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        match self.roles[conn.index()] {
            Role::Server(_) | Role::RelayedClient(_) => self.relay.on_data(cx, conn, bytes),
            Role::JudgedServer(id) => {
                let taken = self.server_data(cx, id, conn, bytes);
                self.settle(cx);
                taken
            }
            Role::Client(id) => {
                let taken = self.client_data(cx, id, bytes);
                self.settle(cx);
                if taken == bytes.len() {
                    return taken;
                }
                taken + self.let_in_meanwhile(cx, conn, &bytes[taken..])
            }
            Role::Check(probe) => {
                self.check_data(cx, probe, bytes);
                self.settle(cx);
                bytes.len()
            }
            Role::Leaving | Role::None => bytes.len(),
        }
    }

    #[inline]
    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        self.relay.on_acknowledged(cx, conn);
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if let Role::JudgedServer(id) = self.roles[conn.index()] {
            self.response_over(cx, id, conn);
        }
        match self.roles[conn.index()] {
            Role::Server(_) | Role::JudgedServer(_) | Role::RelayedClient(_) => {
                if let Some(ended) = self.relay.on_remote_closed(cx, conn) {
                    self.relay_ended(cx, ended);
                }
            }
            Role::Client(id) => self.client_closed(cx, id),
            Role::Check(probe) => self.check_ended(cx, probe),
            Role::Leaving | Role::None => {
                self.roles[conn.index()] = Role::None;
                cx.close(conn);
            }
        }
        self.settle(cx);
    }

    fn on_remote_closing(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        match self.roles[conn.index()] {
            Role::RelayedClient(_) => {
                if let Some(ended) = self.relay.on_remote_closing(cx, conn) {
                    self.relay_ended(cx, ended);
                }
            }
            Role::Client(id) => self.leave_if_closed(cx, id),
            Role::Server(_)
            | Role::JudgedServer(_)
            | Role::Check(_)
            | Role::Leaving
            | Role::None => return,
        }
        self.settle(cx);
    }

    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        if let Role::JudgedServer(id) = self.roles[conn.index()] {
            self.response_over(cx, id, conn);
        }
        match self.roles[conn.index()] {
            Role::Server(_) | Role::JudgedServer(_) | Role::RelayedClient(_) => {
                if let Some(ended) = self.relay.on_closed(cx, conn, reason) {
                    self.relay_ended(cx, ended);
                }
            }
            Role::Client(id) => self.client_broke(cx, id),
            Role::Check(probe) => self.check_lost(cx, probe, conn, reason),
            Role::Leaving | Role::None => self.roles[conn.index()] = Role::None,
        }
        self.settle(cx);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        match self.roles[conn.index()] {
            // The time that rules give a response is over.
            Role::RelayedClient(id) => {
                if let Some(server) = self.relay.other(conn)
                    && self.roles[server.index()] == Role::JudgedServer(id)
                {
                    self.response_over(cx, id, server);
                }
            }
            Role::Server(_) | Role::JudgedServer(_) => {
                if let Some(ended) = self.relay.on_timer(cx, conn) {
                    self.relay_ended(cx, ended);
                }
            }
            Role::Client(id) => self.phase_over(cx, id),
            // Checks keep their time together: see `watch.rs`.
            Role::Check(_) => {}
            Role::Leaving | Role::None => {
                self.roles[conn.index()] = Role::None;
                cx.abort(conn);
            }
        }
        self.settle(cx);
    }

    fn on_told(&mut self, cx: &mut Cx<'_>, from: u16, words: &[u64]) {
        self.hear(cx, from, words);
        self.settle(cx);
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        self.wake(cx);
        self.settle(cx);
    }
}

/// Bytes are passed on as they come: there is nothing for Nagle to gather.
pub(crate) const OPTIONS: SocketOptions = SocketOptions {
    nodelay: true,
    quickack: false,
    patient: true,
    user_timeout: None,
    keepalive: None,
    mss: None,
};

const _: () = assert!(size_of::<Role>() <= 8);
const _: () = assert!(limits::PAUSE.0 > 0);
