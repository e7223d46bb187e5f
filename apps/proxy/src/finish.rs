//! How a session ends: what it held is given back, and its line is written.

use penstock_relay::{Ended, Reason};
use penstock_stack::{Close, ConnId, Cx};

use crate::limits;
use crate::pools::{Fee, Gate};
use crate::proxy::{Proxy, Role};
use crate::record::{Ending, Moment};
use crate::retry::Failure;
use crate::session::{self, Phase, Session, SessionId, Termination};

impl Proxy {
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

    /// Ends a session that has no server, and lets its client know.
    pub(crate) fn turn_away(&mut self, cx: &mut Cx<'_>, id: SessionId, end: Termination) {
        let now = cx.now();
        let Some(session) = self.session_mut(id) else { return };
        let client = session.client;
        let has_spoken = session.has(Session::STORED);
        if matches!(session.phase, Phase::BackendQueue | Phase::ServerQueue) {
            session.queued_ms = Some(session.age_ms(now));
        }
        self.finish(cx, id, end, (0, 0));
        self.let_go(cx, client, has_spoken);
    }

    /// Closes a client's connection. What waits of what it has said is thrown away first: it should
    /// see an end, not a reset.
    pub(crate) fn let_go(&mut self, cx: &mut Cx<'_>, client: ConnId, has_spoken: bool) {
        if has_spoken {
            self.roles[client.index()] = Role::Leaving;
            cx.shutdown(client);
            cx.resume(client);
            cx.set_timer(client, Some(limits::LEAVE_AFTER));
        } else {
            cx.close(client);
        }
    }

    /// Ends a session that has a server, both sides by RST.
    pub(crate) fn shut(&mut self, cx: &mut Cx<'_>, id: SessionId, end: Termination) {
        let Some(&Session { client, .. }) = self.session(id) else { return };
        let reason = Reason::Server(Close::Aborted);
        let Some(ended) = self.relay.abort(cx, client, reason) else { return };
        self.roles[ended.server.index()] = Role::None;
        self.finish(cx, id, end, (ended.client_bytes, ended.server_bytes));
    }

    /// Ends a session whose connections are gone or closed: bytes from its client to its server, and
    /// the other way.
    pub(crate) fn finish(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        end: Termination,
        bytes: (u64, u64),
    ) {
        if end != Termination::NORMAL {
            self.statistics.failed += 1;
        }
        self.leave_queue(id);
        if self.setup.has_tables() {
            self.counters.end(id, bytes, cx.now());
        }
        self.log_end(cx, id, Ending { termination: end, bytes, moment: Moment::Over });
        self.forget(cx, id);
    }

    /// Gives back what a session holds, and its record.
    pub(crate) fn forget(&mut self, cx: &Cx<'_>, id: SessionId) {
        let Some(&Session { client, frontend, bind, backend, server, .. }) = self.session(id)
        else {
            return;
        };
        if self.setup.has_tables() {
            self.counters.release(id, cx.now());
        }
        self.variables.release(id);
        self.give_slot_up(id);
        if let Some(server) = server {
            self.count_out_of_server(id, server);
        }
        let Some(mut session) = self.sessions.take(id.0) else { return };
        self.roles[client.index()] = Role::None;
        if let Some(buffer) = session.kept {
            self.kept.give(buffer);
        }
        if let Some(reader) = session.reader {
            self.readers.take(reader);
        }
        if session.take(Session::IN_BACKEND)
            && let Some(backend) = backend
        {
            self.gauges.less(self.gauges.backend(backend));
            self.load_of_backend_changed(backend);
        }
        let was_inside = session.take(Session::IN_FRONTEND);
        if was_inside {
            self.gauges.less(self.gauges.frontend(frontend));
            self.gauges.less(self.gauges.process());
        }
        let gates = self.setup.gates(frontend, bind);
        for &Gate { pool, fee } in gates[..session.gates_passed as usize].iter().rev() {
            let is_used_up = match fee {
                Fee::Deposit => false,
                Fee::Connection => was_inside,
                Fee::Session => session.has(Session::BEGUN),
            };
            if !is_used_up {
                self.slots.release(pool);
            }
        }
    }
}
