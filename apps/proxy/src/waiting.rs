//! Sessions in line: at the entrance, for their server, or for any server of their backend.
//!
//! ```text
//!   no slot ─▶ in line (queue.rs), and slots.rs is told how many wait
//!                │  a slot is idle here ─▶ whoever has waited longest goes on
//!                │  timeout queue, the client leaves, the server goes ─▶ out of line
//! ```

use core::cmp::Ordering;

use penstock_stack::{Cx, State};

use crate::limits;
use crate::proxy::Proxy;
use crate::session::{self, Phase, Session, SessionId, Termination};
use crate::slots::PoolId;

impl Proxy {
    /// A client waits for a slot behind the next gate of its listener.
    pub(crate) fn wait_at_entrance(&mut self, cx: &mut Cx<'_>, id: SessionId, pool: PoolId) {
        let Some(session) = self.session_mut(id) else { return };
        session.phase = Phase::Entrance(pool);
        let (client, frontend, bind) = (session.client, session.frontend, session.bind);
        let queue = &mut self.entrances[pool.0 as usize];
        self.places.join(queue, id.0);
        let waiting = queue.len();
        self.slots.set_waiting(pool, waiting);
        let backlog = self.setup.bind(frontend, bind).backlog;
        if backlog.or(self.setup.frontend(frontend).backlog).is_some_and(|most| waiting > most) {
            self.leave_queue(id);
            self.forget(cx, id);
            cx.abort(client);
        }
    }

    /// Slots at the entrance are idle: whoever has waited longest goes on to the next gate.
    pub(crate) fn serve_entrance(&mut self, cx: &mut Cx<'_>, pool: PoolId) {
        while self.slots.has_idle(pool) {
            let queue = &mut self.entrances[pool.0 as usize];
            let Some(number) = self.places.serve(queue) else { return };
            let waiting = queue.len();
            // It is taken before it is said who waits on: else it would seem to be nobody's.
            let is_taken = self.slots.take(pool);
            debug_assert!(is_taken, "it was idle");
            let id = SessionId(number);
            if let Some(session) = self.session_mut(id) {
                session.gates_passed += 1;
            }
            self.slots.set_waiting(pool, waiting);
            self.enter(cx, id);
        }
    }

    /// A session waits for its server or, without one, for any of its backend.
    pub(crate) fn wait_in_queue(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        backend: u16,
        server: Option<u16>,
    ) {
        let (phase, queue) = match server {
            Some(server) => (Phase::ServerQueue, &mut self.servers[server as usize].queue),
            None => (Phase::BackendQueue, &mut self.backends[backend as usize].queue),
        };
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        session.phase = phase;
        session.joined_at = queue.served();
        let rank = session.take_rank(cx.now());
        self.places.join_by(queue, id.0, |other| {
            self.sessions.at(other).is_some_and(|it| it.is_after(rank))
        });
        self.ask_for_slots(backend);
        let timeouts = &self.setup.backend(backend).timeouts;
        self.wait(cx, id, timeouts.queue.or(timeouts.connect));
        self.leave_if_closed(cx, id);
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

    /// How many may wait for a server on this core: its part of `maxqueue`, so that all parts are
    /// that together.
    pub(crate) fn queue_max(&self, cx: &Cx<'_>, server: u16) -> Option<u32> {
        let most = self.setup.server(server).maxqueue?;
        let (cores, core) = (u32::from(cx.cores()), u32::from(cx.core()));
        Some(most / cores + u32::from(core < most % cores))
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
    pub(crate) fn has_left(&self, cx: &Cx<'_>, id: SessionId) -> bool {
        let Some(session) = self.session(id) else { return false };
        let Some(backend) = session.backend else { return false };
        let has_ended = session.has(Session::ENDED);
        if !self.setup.backend(backend).options.abort_on_close {
            return has_ended && !session.has_spoken();
        }
        has_ended || cx.info(session.client).is_some_and(|info| info.state == State::CloseWait)
    }

    /// Sessions of this core that wait in a backend and at its servers.
    pub(crate) fn waiting_in(&self, backend: u16) -> u32 {
        let servers = self.setup.servers_of(backend);
        let at_servers = servers.map(|server| self.servers[server as usize].queue.len());
        at_servers.sum::<u32>() + self.backends[backend as usize].queue.len()
    }
}
