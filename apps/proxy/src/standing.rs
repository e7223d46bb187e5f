//! A server stands otherwise than before: what that means for those who wait for it or are on it.
//!
//! Core 0 decides, and tells all others, which apply it in the same way. To a core whose mailbox was
//! full everything is told again.

use penstock_config::haproxy::{OnMarkedDown, OnMarkedUp, ServerId};
use penstock_stack::Cx;

use crate::proxy::{Proxy, Role};
use crate::server::Standing;
use crate::session::{self, Session, SessionId, Termination};

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
    pub(crate) fn set_standing(&mut self, cx: &mut Cx<'_>, server: u16, mut standing: Standing) {
        self.begin_slowly(cx, server, &mut standing);
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
        let configuration = self.setup.backend(backend);
        let moves = configuration.redispatch.is_some() && !configuration.options.persist;
        if is_open(before) && !is_open(standing) && moves {
            self.redistribute(cx, server);
        }
        let shuts = description.on_marked_down == OnMarkedDown::ShutdownSessions;
        if before.is_running() && !standing.is_running() && shuts {
            self.cut_later(server, session::SERVER_DOWN);
        }
        if !before.is_running()
            && standing.is_running()
            && description.on_marked_up == OnMarkedUp::ShutdownBackupSessions
        {
            let setup = self.setup;
            for backup in setup.servers_of(backend).filter(|&at| setup.server(at).backup) {
                self.cut_later(backup, session::SERVERS_UP);
            }
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

    /// Has the sessions of `server` end once all is said: its line comes before theirs, and counts them.
    fn cut_later(&mut self, server: u16, cause: u8) {
        self.servers[usize::from(server)].cut = Some(cause);
        self.has_cuts = true;
    }

    /// Ends the sessions of those servers.
    #[inline(never)]
    pub(crate) fn cut_sessions(&mut self, cx: &mut Cx<'_>) {
        self.has_cuts = false;
        for number in 0..self.sessions.capacity() as u32 {
            let Some(session) = self.sessions.at(number) else { continue };
            let server = session.server.filter(|_| session.has(Session::IN_SERVER));
            if let Some(cause) = server.and_then(|server| self.servers[usize::from(server)].cut) {
                self.cut(cx, SessionId(number), cause);
            }
        }
        self.servers.iter_mut().for_each(|server| server.cut = None);
    }

    /// Both ends of a session see an end. One whose client has nothing more to say goes on, as with
    /// HAProxy: its server may still answer.
    fn cut(&mut self, cx: &mut Cx<'_>, id: SessionId, cause: u8) {
        let Some(&Session { client, phase, .. }) = self.session(id) else { return };
        if self.relay.has_ended(client) {
            return;
        }
        let Some(ended) = self.relay.give_up(client) else { return };
        self.roles[ended.server.index()] = Role::None;
        cx.close(ended.server);
        let bytes = (ended.client_bytes, ended.server_bytes);
        self.finish(cx, id, Termination::of_cut(cause, phase), bytes);
        self.let_go(cx, client, ended.is_stored);
    }
}
