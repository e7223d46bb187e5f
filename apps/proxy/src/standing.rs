//! A server stands otherwise than before: what that means for those who wait for it or are on it.
//!
//! Core 0 decides, and tells all others, which apply it in the same way. To a core whose mailbox was
//! full everything is told again.

use penstock_config::haproxy::{OnMarkedDown, OnMarkedUp, ServerId};
use penstock_stack::Cx;

use crate::proxy::Proxy;
use crate::server::Standing;
use crate::session::{Session, SessionId, Termination};

impl Proxy {
    /// How a server stands, by its position in its backend.
    pub fn standing(&self, id: ServerId) -> Standing {
        self.servers[self.setup.server_number(id.backend.0, id.index) as usize].standing
    }

    /// Has a server stand like this from now on. To be called on core 0, which tells the others.
    pub fn set_server(&mut self, cx: &mut Cx<'_>, id: ServerId, mut standing: Standing) {
        let server = self.setup.server_number(id.backend.0, id.index);
        self.check_or_not(cx, server, &mut standing);
        self.set_standing(cx, server, standing);
        self.settle(cx);
    }

    /// On core 0: `server` stands like this from now on.
    pub(crate) fn set_standing(&mut self, cx: &mut Cx<'_>, server: u16, standing: Standing) {
        for core in 0..cx.cores() {
            if core != self.core {
                self.tell_standing(cx, core, server, standing);
            }
        }
        self.apply_standing(cx, server, standing);
    }

    /// On every core: `server` stands like this from now on.
    pub(crate) fn apply_standing(&mut self, cx: &mut Cx<'_>, server: u16, standing: Standing) {
        let Some(state) = self.servers.get_mut(server as usize) else { return };
        let before = core::mem::replace(&mut state.standing, standing);
        if (Standing { is_suspected: before.is_suspected, ..standing }) == before {
            return;
        }
        let backend = self.setup.backend_of(server);
        self.backends[backend as usize].update(self.setup, backend, &self.servers);
        let description = self.setup.server(server);
        let is_open = |it: Standing| it.is_running() && it.takes_new();
        let moves = self.setup.backend(backend).redispatch.is_some();
        if is_open(before) && !is_open(standing) && moves {
            self.redistribute(cx, server);
        }
        let shuts = description.on_marked_down == OnMarkedDown::ShutdownSessions;
        if before.is_running() && !standing.is_running() && shuts {
            let is_its_own = |at: u16| at == server;
            self.shut_sessions(cx, is_its_own, Termination::SERVER_DOWN);
        }
        if !before.is_running()
            && standing.is_running()
            && description.on_marked_up == OnMarkedUp::ShutdownBackupSessions
        {
            let setup = self.setup;
            let is_backup = |at: u16| setup.backend_of(at) == backend && setup.server(at).backup;
            self.shut_sessions(cx, is_backup, Termination::SERVERS_UP);
        }
        if (before.warmth, before.maxconn) != (standing.warmth, standing.maxconn) {
            self.set_limits(backend);
        }
        self.ask_for_slots(backend);
        if standing.share(description).is_usable() {
            self.relieve(cx, server);
        }
    }

    /// Those who wait for a server that is gone ask for another.
    fn redistribute(&mut self, cx: &mut Cx<'_>, server: u16) {
        // As many as there are now: those who come back to it wait again.
        for _ in 0..self.servers[server as usize].queue.len() {
            let Some(number) = self.servers[server as usize].queue.first() else { return };
            let id = SessionId(number);
            self.leave_queue(id);
            if let Some(session) = self.session_mut(id) {
                session.take(Session::DIRECTED);
            }
            self.assign(cx, id);
        }
    }

    /// A server without a limit takes all who wait for any.
    fn relieve(&mut self, cx: &mut Cx<'_>, server: u16) {
        if self.setup.pools.servers[server as usize].is_some() {
            return;
        }
        let backend = self.setup.backend_of(server);
        let queue = |proxy: &mut Proxy| {
            let queue = &mut proxy.backends[backend as usize].queue;
            proxy.places.serve(queue)
        };
        while let Some(number) = queue(self) {
            self.assign_to_free(cx, SessionId(number), server);
        }
    }

    /// Ends the sessions of some servers.
    fn shut_sessions(&mut self, cx: &mut Cx<'_>, is_one: impl Fn(u16) -> bool, end: Termination) {
        for number in 0..self.sessions.capacity() as u32 {
            let Some(session) = self.sessions.at(number) else { continue };
            if !session.has(Session::IN_SERVER) || !session.server.is_some_and(&is_one) {
                continue;
            }
            self.shut(cx, SessionId(number), end);
        }
    }
}
