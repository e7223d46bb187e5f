//! From a backend to the answer of one of its servers: choice, slot, connection.

use core::cell::Cell;

use penstock_config::haproxy::{Port, ProxyHeader};
use penstock_relay::Opening;
use penstock_stack::{ConnId, ConnectError, Cx, Endpoint, Instant};

use crate::balance::{Answer, Question};
use crate::proxy::{Proxy, Role};
use crate::proxy_protocol::{Endpoints, Tlvs, V1_BYTES_MAX, V2_BYTES_MAX, write_v1, write_v2};
use crate::record::{Ending, Moment};
use crate::retry::Failure;
use crate::session::{Phase, Session, SessionId, Termination};
use crate::setup::Approach;

impl Proxy {
    /// Gives a session a server, or a place in a queue.
    pub(crate) fn assign(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(&Session { backend: Some(backend), server: before, key, .. }) = self.session(id)
        else {
            return;
        };
        if let Some(session) = self.session_mut(id) {
            session.queued_ms = None;
        }
        // A slot of the server that failed may be all that there is.
        self.give_slot_up(id);
        let random = self.draw();
        let servers = self.setup.servers_of(backend);
        let pools = &self.setup.pools.servers;
        let (slots, standing) = (&self.slots, &self.servers);
        let passed_over = Cell::new(None);
        let has_room = |index: u16| {
            let server = servers.start + index;
            let is_free = |pool| {
                let is_free = slots.has_idle(pool);
                passed_over.set(passed_over.get().or((!is_free).then_some(pool)));
                is_free
            };
            pools[server as usize].is_none_or(is_free) && standing[server as usize].queue.len() == 0
        };
        let state = &mut self.backends[backend as usize];
        let waiting = state.queue.len();
        let sessions = self.gauges.total(self.gauges.backend(backend));
        let answer = if state.balancer.queue_means_full() && waiting > 0 && waiting < sessions {
            Answer::AnyLater
        } else {
            state.balancer.next(&Question {
                key,
                avoid: before.map(|server| server - servers.start),
                has_room,
                loads: self.gauges.of_servers(servers.clone()),
                random,
            })
        };
        if let Some(pool) = passed_over.get() {
            self.slots.want_one_more(pool);
        }
        match answer {
            Answer::Nobody => self.turn_away(cx, id, Termination::NO_SERVER),
            Answer::AnyLater => self.wait_in_queue(cx, id, backend, None),
            Answer::Server(index) => {
                let server = servers.start + index;
                self.note_server(id, server);
                self.take_server(cx, id, server);
            }
        }
    }

    /// Gives a session the server that a rule named.
    pub(crate) fn assign_to(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        if let Some(session) = self.session_mut(id) {
            session.set(Session::DIRECTED);
        }
        self.note_server(id, server);
        self.take_server(cx, id, server);
    }

    /// Its server is this one.
    pub(crate) fn note_server(&mut self, id: SessionId, server: u16) {
        let Some(session) = self.session_mut(id) else { return };
        if session.server.replace(server).is_some_and(|before| before != server) {
            session.set(Session::REDISPATCHED);
        }
    }

    /// Takes a slot of its server and connects, or joins the server's queue.
    pub(crate) fn take_server(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        let Some(pool) = self.setup.pools.servers[server as usize] else {
            self.connect(cx, id, server);
            return;
        };
        let waiting = self.servers[server as usize].queue.len();
        if waiting == 0 && self.slots.take(pool) {
            self.connect_in_slot(cx, id, server);
        } else if self.queue_max(cx, server).is_some_and(|most| waiting >= most) {
            self.passed_on(cx, id);
        } else {
            self.wait_in_queue(cx, id, self.setup.backend_of(server), Some(server));
        }
    }

    /// As many wait for its server as may: a session that a rule sent there may ask for another.
    fn passed_on(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let setup = self.setup;
        let Some(session) = self.session_mut(id) else { return };
        let moves = session.backend.is_some_and(|at| setup.backend(at).redispatch.is_some());
        if moves && !session.has(Session::FORCED) && session.take(Session::DIRECTED) {
            self.assign(cx, id);
        } else {
            self.turn_away(cx, id, Termination::QUEUE_FULL);
        }
    }

    /// Connects a session to a server without a limit.
    pub(crate) fn assign_to_free(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        self.note_server(id, server);
        self.connect(cx, id, server);
    }

    pub(crate) fn connect_in_slot(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        if let Some(session) = self.session_mut(id) {
            session.set(Session::SERVER_SLOT);
        }
        self.connect(cx, id, server);
    }

    /// Connects a session to its server.
    pub(crate) fn connect(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        let now = cx.now();
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        session.phase = Phase::Connecting;
        let queued_ms = session.age_ms(now);
        session.queued_ms.get_or_insert(queued_ms);
        let &mut Session { client, frontend, .. } = session;
        let destination = session.destination.get();
        let (said, has_ended) = (session.said(), session.has(Session::ENDED));
        let Some(endpoint) = self.server_endpoint(destination, server) else {
            self.connection_failed(cx, id, Failure::AtOnce);
            return;
        };
        let &Approach { backend, options, .. } = self.setup.approach(server);
        let origin = self.cards.origins[server as usize];
        let opening = Opening {
            server: endpoint,
            origin,
            options,
            manners: self.setup.manners_of(frontend, backend),
            said,
            has_ended,
        };
        self.variables.respond(id);
        self.count_in_server(id, server, cx.now());
        match self.relay.open(cx, client, opening) {
            Ok(conn) => {
                self.roles[client.index()] = Role::RelayedClient(id);
                self.roles[conn.index()] = Role::Server(id);
            }
            Err(ConnectError::NoRoute | ConnectError::BadDestination | ConnectError::NoAddress) => {
                self.connection_failed(cx, id, Failure::AtOnce)
            }
            // Of those that `source` names: one may be free by the next try.
            Err(ConnectError::PortsExhausted) if origin.ports.is_some() => {
                self.connection_failed(cx, id, Failure::AtOnce);
            }
            Err(
                ConnectError::PortsExhausted
                | ConnectError::TooManyConnections
                | ConnectError::NoMemory,
            ) => self.turn_away(cx, id, Termination::RESOURCE),
        }
    }

    /// Where a server is, for a client that came to `destination`.
    pub(crate) fn server_endpoint(&self, destination: Endpoint, server: u16) -> Option<Endpoint> {
        let &Approach { is_where_clients_went, port, .. } = self.setup.approach(server);
        let addr = match is_where_clients_went {
            true => destination.addr,
            false => self.servers[server as usize].addr?,
        };
        let port = match port {
            Port::Fixed(port) => port,
            Port::Offset(offset) => (i32::from(destination.port) + offset) as u16,
        };
        Some(Endpoint { addr, port })
    }

    fn count_in_server(&mut self, id: SessionId, server: u16, now: Instant) {
        let Some(session) = self.session_mut(id) else { return };
        if !session.has(Session::IN_SERVER) {
            session.set(Session::IN_SERVER);
            self.gauges.more(self.gauges.server(server), now);
            self.load_changed(server);
        }
    }

    /// A server has answered: what is sent before the client's own bytes leaves with the
    /// acknowledgement that completes the handshake.
    pub(crate) fn server_answered(&mut self, cx: &mut Cx<'_>, id: SessionId, conn: ConnId) {
        let now = cx.now();
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        session.phase = Phase::Relayed;
        session.connected_ms = Some(session.age_ms(now));
        if self.setup.wants_outgoing {
            session.outgoing = cx.endpoints(conn).map(|(local, _)| local);
        }
        let (client, kept) = (session.client, session.kept.take());
        self.statistics.sessions += 1;
        let header = session.server.and_then(|at| self.setup.approach(at).header);
        let mut is_sent = header.is_none_or(|header| self.send_header(cx, id, conn, header));
        if let Some(buffer) = kept {
            let bytes = if is_sent { self.kept.bytes(buffer) } else { &[] };
            let sent = cx.send(conn, bytes);
            is_sent &= sent == bytes.len();
            self.relay.sent(client, sent as u64);
            self.kept.give(buffer);
        }
        if !is_sent {
            // Memory is short. Behind half a header, a server would take its client's word for it.
            self.shut(cx, id, Termination::RESOURCE);
            self.settle(cx);
            return;
        }
        self.relay.on_connected(cx, conn);
        if self.setup.observes
            && let Some(server) = self.session(id).and_then(|session| session.server)
        {
            self.observe_success(cx, server);
        }
        if self.setup.has_responses {
            self.begin_response(cx, id, conn);
        }
        if self.setup.logs_early {
            self.log_early(cx, id, Ending { moment: Moment::Early, ..Ending::UNDER_WAY });
        }
    }

    /// Tells a server whose connection this is; false where there is no memory for all of it.
    fn send_header(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        conn: ConnId,
        header: ProxyHeader,
    ) -> bool {
        if let ProxyHeader::V2 { unique_id: true, .. } = header {
            self.identify(cx, id);
        }
        let Some(session) = self.session(id) else { return false };
        let endpoints =
            Endpoints { source: session.source.get(), destination: session.destination.get() };
        let (mut v1, mut v2) = ([0; V1_BYTES_MAX], [0; V2_BYTES_MAX]);
        let bytes = match header {
            ProxyHeader::V1 => write_v1(Some(&endpoints), &mut v1),
            ProxyHeader::V2 { crc32c, unique_id, .. } => {
                let unique_id = unique_id.then(|| self.known_unique_id(id));
                let tlvs = Tlvs { has_crc32c: crc32c, unique_id, ..Tlvs::default() };
                write_v2(Some(&endpoints), tlvs, &mut v2)
            }
        };
        cx.send(conn, bytes) == bytes.len()
    }

    /// Usable servers of a backend; one that sessions are dispatched to is none.
    pub(crate) fn usable_in(&self, backend: u16) -> u32 {
        let is_dispatch = |server| self.setup.server(server).is_dispatch;
        match self.setup.servers_of(backend).any(is_dispatch) {
            true => 0,
            false => self.backends[backend as usize].usable_count(),
        }
    }

    /// It holds no slot of a server any more.
    pub(crate) fn give_slot_up(&mut self, id: SessionId) {
        let Some(session) = self.session_mut(id) else { return };
        if !session.take(Session::SERVER_SLOT) {
            return;
        }
        let Some(server) = session.server else { return };
        if let Some(pool) = self.setup.pools.servers[server as usize] {
            self.slots.release(pool);
        }
    }

    pub(crate) fn count_out_of_server(&mut self, id: SessionId, server: u16) {
        let Some(session) = self.session_mut(id) else { return };
        if session.take(Session::IN_SERVER) {
            self.gauges.less(self.gauges.server(server));
            self.load_changed(server);
        }
    }

    /// Tells the balancer how many sessions a server has, over all cores.
    pub(crate) fn load_changed(&mut self, server: u16) {
        let &Approach { backend, index, .. } = self.setup.approach(server);
        let sessions = self.gauges.total(self.gauges.server(server));
        self.backends[backend as usize].balancer.set_load(index, sessions);
    }
}
