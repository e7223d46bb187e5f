//! From a backend to the answer of one of its servers: choice, queue, connection, another try.

use core::cell::Cell;
use core::cmp::Ordering;

use penstock_config::haproxy::{Port, ProxyHeader, Redispatch};
use penstock_relay::{Ended, Opening, Reason};
use penstock_stack::{ConnId, ConnectError, Cx, Endpoint, Instant, State};

use crate::balance::{Answer, Question};
use crate::limits;
use crate::proxy::{Proxy, Role};
use crate::proxy_protocol::{Endpoints, Tlvs, V1_BYTES_MAX, V2_BYTES_MAX, write_v1, write_v2};
use crate::record::{Ending, Moment};
use crate::session::{self, Phase, Session, SessionId, Termination};
use crate::setup::Approach;
use crate::slots::PoolId;

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
            Answer::AnyLater => self.wait_for_any(cx, id, backend),
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
    fn note_server(&mut self, id: SessionId, server: u16) {
        let Some(session) = self.session_mut(id) else { return };
        if session.server.replace(server).is_some_and(|before| before != server) {
            session.set(Session::REDISPATCHED);
        }
    }

    /// Takes a slot of its server and connects, or joins the server's queue.
    fn take_server(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        let Some(pool) = self.setup.pools.servers[server as usize] else {
            self.connect(cx, id, server);
            return;
        };
        let waiting = self.servers[server as usize].queue.len();
        if waiting == 0 && self.slots.take(pool) {
            self.connect_in_slot(cx, id, server);
        } else if self.queue_max(cx, server).is_some_and(|most| waiting >= most) {
            self.turn_away(cx, id, Termination::QUEUE_FULL);
        } else {
            self.wait_for_server(cx, id, server);
        }
    }

    /// How many may wait for a server on this core: its part of `maxqueue`, so that all parts are
    /// that together.
    fn queue_max(&self, cx: &Cx<'_>, server: u16) -> Option<u32> {
        let most = self.setup.server(server).maxqueue?;
        let (cores, core) = (u32::from(cx.cores()), u32::from(cx.core()));
        Some(most / cores + u32::from(core < most % cores))
    }

    /// Connects a session to a server without a limit.
    pub(crate) fn assign_to_free(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        self.note_server(id, server);
        self.connect(cx, id, server);
    }

    fn connect_in_slot(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        if let Some(session) = self.session_mut(id) {
            session.set(Session::SERVER_SLOT);
        }
        self.connect(cx, id, server);
    }

    fn wait_for_any(&mut self, cx: &mut Cx<'_>, id: SessionId, backend: u16) {
        let queue = &mut self.backends[backend as usize].queue;
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        session.phase = Phase::BackendQueue;
        session.joined_at = queue.served();
        let rank = session.take_rank(cx.now());
        self.places.join_by(queue, id.0, |other| {
            self.sessions.at(other).is_some_and(|it| it.is_after(rank))
        });
        self.wait_in_queue(cx, id, backend);
    }

    fn wait_for_server(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
        let queue = &mut self.servers[server as usize].queue;
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        session.phase = Phase::ServerQueue;
        session.joined_at = queue.served();
        let rank = session.take_rank(cx.now());
        self.places.join_by(queue, id.0, |other| {
            self.sessions.at(other).is_some_and(|it| it.is_after(rank))
        });
        let backend = self.setup.backend_of(server);
        self.wait_in_queue(cx, id, backend);
    }

    fn wait_in_queue(&mut self, cx: &mut Cx<'_>, id: SessionId, backend: u16) {
        self.ask_for_slots(backend);
        let timeouts = &self.setup.backend(backend).timeouts;
        self.wait(cx, id, timeouts.queue.or(timeouts.connect));
        self.leave_if_closed(cx, id);
    }

    /// Whoever has closed while he waits is waited for no more.
    pub(crate) fn leave_if_closed(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(&Session { phase, .. }) = self.session(id) else { return };
        let waits = matches!(phase, Phase::BackendQueue | Phase::ServerQueue | Phase::Pause);
        if waits && self.has_left(cx, id) {
            self.turn_away(cx, id, Termination::of(session::CLIENT_BROKE, phase));
        }
    }

    /// Whether a client has closed, and that is reason enough to forget it: for whoever has said
    /// nothing, and with `abortonclose` for everybody, though what was said is still to be read.
    fn has_left(&self, cx: &Cx<'_>, id: SessionId) -> bool {
        let Some(session) = self.session(id) else { return false };
        let Some(backend) = session.backend else { return false };
        let has_ended = session.has(Session::ENDED);
        if !self.setup.backend(backend).options.abort_on_close {
            return has_ended && !session.has_spoken();
        }
        has_ended || cx.info(session.client).is_some_and(|info| info.state == State::CloseWait)
    }

    /// Tells how many wait for each server of a backend.
    pub(crate) fn ask_for_slots(&mut self, backend: u16) {
        let any = self.backends[backend as usize].queue.len().min(limits::ASK_AHEAD);
        for server in self.setup.servers_of(backend) {
            let Some(pool) = self.setup.pools.servers[server as usize] else { continue };
            let state = &self.servers[server as usize];
            let share = state.standing.share(self.setup.server(server));
            let any = if share.is_usable() { any } else { 0 };
            self.slots.set_waiting(pool, state.queue.len() + any);
        }
    }

    /// Takes a session out of the queue that it stands in, if it stands in one.
    pub(crate) fn leave_queue(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        match (session.phase, session.backend, session.server) {
            (Phase::Entrance(pool), ..) => {
                let queue = &mut self.entrances[pool.0 as usize];
                self.places.leave(queue, id.0);
                self.slots.set_waiting(pool, queue.len());
            }
            (Phase::BackendQueue, Some(backend), _) => {
                let queue = &mut self.backends[backend as usize].queue;
                self.places.leave(queue, id.0);
                session.backend_queue += queue.served().wrapping_sub(session.joined_at) + 1;
                session.phase = Phase::Connecting;
                self.ask_for_slots(backend);
            }
            (Phase::ServerQueue, Some(backend), Some(server)) => {
                let queue = &mut self.servers[server as usize].queue;
                self.places.leave(queue, id.0);
                session.server_queue += queue.served().wrapping_sub(session.joined_at) + 1;
                session.phase = Phase::Connecting;
                self.ask_for_slots(backend);
            }
            _ => {}
        }
    }

    /// A slot of a server is idle, and somebody waits for it: whoever has waited longest.
    pub(crate) fn serve_queues(&mut self, cx: &mut Cx<'_>, pool: PoolId, server: u16) {
        let backend = self.setup.backend_of(server);
        while self.slots.has_idle(pool) {
            let own = self.servers[server as usize].queue.first();
            let share = self.servers[server as usize].standing.share(self.setup.server(server));
            let any = self.backends[backend as usize].queue.first();
            let any = any.filter(|_| share.is_usable());
            let until = |number: u32| self.sessions.at(number).map_or(0, |session| session.until);
            let class = |number: u32| self.sessions.at(number).map_or(0, |session| session.rank.0);
            let from_own = match (own, any) {
                (None, None) => return,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                // Both wait equally long at most, so who came first may wait less long.
                (Some(own), Some(any)) => match class(own).cmp(&class(any)) {
                    Ordering::Less => true,
                    Ordering::Greater => false,
                    Ordering::Equal => until(any).wrapping_sub(until(own)) as i32 >= 0,
                },
            };
            let queue = match from_own {
                true => &mut self.servers[server as usize].queue,
                false => &mut self.backends[backend as usize].queue,
            };
            let Some(number) = self.places.serve(queue) else { return };
            let served = queue.served();
            let id = SessionId(number);
            let is_taken = self.slots.take(pool);
            debug_assert!(is_taken, "it was idle");
            let Some(session) = self.session_mut(id) else { return };
            let waited = served.wrapping_sub(session.joined_at);
            if from_own {
                session.server_queue += waited;
            } else {
                session.backend_queue += waited;
            }
            session.phase = Phase::Connecting;
            self.ask_for_slots(backend);
            self.note_server(id, server);
            self.connect_in_slot(cx, id, server);
        }
    }

    /// Connects a session to its server.
    fn connect(&mut self, cx: &mut Cx<'_>, id: SessionId, server: u16) {
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

    /// Sessions of this core that wait in a backend and at its servers.
    pub(crate) fn waiting_in(&self, backend: u16) -> u32 {
        let servers = self.setup.servers_of(backend);
        let at_servers = servers.map(|server| self.servers[server as usize].queue.len());
        at_servers.sum::<u32>() + self.backends[backend as usize].queue.len()
    }

    /// A session of the relay has ended, or has not come about.
    pub(crate) fn relay_ended(&mut self, cx: &mut Cx<'_>, ended: Ended) {
        let Ended { client, server, reason, client_bytes, server_bytes, .. } = ended;
        self.roles[server.index()] = Role::None;
        let Role::RelayedClient(id) = self.roles[client.index()] else { return };
        self.roles[client.index()] = Role::Client(id);
        let Some(session) = self.session_mut(id) else { return };
        if ended.is_stored {
            session.set(Session::STORED);
        }
        if ended.has_ended {
            session.set(Session::ENDED);
        }
        let phase = session.phase;
        let bytes = (client_bytes, server_bytes);
        match reason {
            Reason::Unconnected(_) => self.connection_failed(cx, id, Failure::Refused),
            Reason::ConnectTimeout => self.connection_failed(cx, id, Failure::TimedOut),
            Reason::Abandoned => {
                self.turn_away(cx, id, Termination::of(session::CLIENT_BROKE, phase));
            }
            Reason::Mute => {
                self.turn_away(cx, id, Termination::of(session::CLIENT_TIMEOUT, phase));
            }
            Reason::Finished => self.finish(cx, id, Termination::NORMAL, bytes),
            Reason::ClientTimeout => {
                self.finish(cx, id, Termination::of(session::CLIENT_TIMEOUT, phase), bytes);
            }
            Reason::ServerTimeout => {
                self.finish(cx, id, Termination::of(session::SERVER_TIMEOUT, phase), bytes);
            }
            Reason::Client(_) => {
                self.finish(cx, id, Termination::of_reset(phase), bytes);
            }
            Reason::Server(_) => {
                self.finish(cx, id, Termination::of(session::SERVER_BROKE, phase), bytes);
            }
        }
    }

    /// The connection to its server has failed.
    fn connection_failed(&mut self, cx: &mut Cx<'_>, id: SessionId, failure: Failure) {
        let Some(&Session { backend: Some(backend), server: Some(server), .. }) = self.session(id)
        else {
            return;
        };
        if self.setup.observes {
            self.observe_failure(cx, server);
        }
        self.count_out_of_server(id, server);
        let configuration = self.setup.backend(backend);
        let retries_max = configuration.retries.0;
        let Some(session) = self.session_mut(id) else { return };
        if session.retries >= retries_max {
            let end = match failure {
                Failure::AtOnce | Failure::Refused => Termination::NO_SERVER,
                Failure::TimedOut => Termination::CONNECT_TIMEOUT,
            };
            self.turn_away(cx, id, end);
            return;
        }
        session.retries += 1;
        let (retries, is_directed) = (session.retries, session.has(Session::DIRECTED));
        self.statistics.retries += 1;
        let state = &self.backends[backend as usize];
        let has_choice = state.balancer.goes_in_turn() && state.used_count() > 1;
        let is_gone = !self.servers[server as usize].standing.is_running();
        let moves = configuration.redispatch.is_some_and(|redispatch| {
            is_gone || is_due(redispatch, retries, retries_max) || has_choice && !is_directed
        });
        // To ask the same server at once would end the same way.
        let pauses = match failure {
            Failure::AtOnce => true,
            Failure::Refused => !(moves && has_choice),
            Failure::TimedOut => false,
        };
        if moves {
            self.give_slot_up(id);
        }
        if let Some(session) = self.session_mut(id) {
            session.phase = Phase::Pause;
            if moves {
                session.take(Session::DIRECTED);
                session.set(Session::MOVES);
            }
        }
        if pauses && self.has_left(cx, id) {
            // Nobody waits for it: HAProxy calls that an end as any other.
            self.turn_away(cx, id, Termination::NORMAL);
        } else if pauses {
            let connect = configuration.timeouts.connect.unwrap_or(limits::PAUSE);
            self.wait(cx, id, Some(connect.min(limits::PAUSE)));
        } else {
            self.try_again(cx, id);
        }
    }

    /// The pause is over.
    pub(crate) fn try_again(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.session_mut(id) else { return };
        let moves = session.take(Session::MOVES);
        match session.server {
            Some(server) if !moves => self.connect(cx, id, server),
            _ => self.assign(cx, id),
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

    /// As many sessions as the balancer is to know of.
    pub(crate) fn load_changed(&mut self, server: u16) {
        let &Approach { backend, index, .. } = self.setup.approach(server);
        let sessions = self.gauges.total(self.gauges.server(server));
        self.backends[backend as usize].balancer.set_load(index, sessions);
    }
}

/// Why there is no connection to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It cannot even be tried: there is no way there, or no port to leave from.
    AtOnce,
    /// It refused.
    Refused,
    /// It did not answer in time.
    TimedOut,
}

/// Whether this try may go to another server.
fn is_due(redispatch: Redispatch, retries: u16, retries_max: u16) -> bool {
    match redispatch {
        Redispatch::Every(every) => retries.checked_rem(every) == Some(0),
        Redispatch::FromLast(last) => {
            let every = (retries_max + 1).saturating_sub(last).max(1);
            retries.is_multiple_of(every)
        }
    }
}

#[cfg(test)]
mod tests {
    //! The tries of HAProxy's `option redispatch`.

    use super::*;

    #[test]
    fn a_try_moves_as_often_as_is_said() {
        let moving = |redispatch, most| {
            let tries = (1..=most).filter(|&nth| is_due(redispatch, nth, most));
            tries.collect::<std::vec::Vec<u16>>()
        };
        assert_eq!(moving(Redispatch::FromLast(1), 3), [3], "by default");
        assert_eq!(moving(Redispatch::FromLast(2), 3), [2]);
        assert_eq!(moving(Redispatch::FromLast(9), 3), [1, 2, 3]);
        assert_eq!(moving(Redispatch::Every(1), 3), [1, 2, 3]);
        assert_eq!(moving(Redispatch::Every(2), 5), [2, 4]);
        assert_eq!(moving(Redispatch::Every(0), 3), [0; 0]);
    }
}
