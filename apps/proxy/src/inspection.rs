//! What a client says before it is relayed: rules look at it, and decide where its session goes.
//!
//! ```text
//!   bytes ─▶ rules.rs ─▶ a backend, perhaps a server ─▶ dispatch.rs
//!              │  └─▶ refused
//!              └ they want to see more: bytes are kept (kept.rs), until inspect-delay is over
//! ```

use penstock_stack::{ConnId, Cx, Instant};

use crate::proxy::{Proxy, Role};
use crate::rules::{Decision, More, Verdict};
use crate::sample::View;
use crate::session::{Phase, Session, SessionId, Termination};

impl Proxy {
    /// A client that is not relayed yet said something. Returns how much of it was taken.
    pub(crate) fn client_data(&mut self, cx: &mut Cx<'_>, id: SessionId, bytes: &[u8]) -> usize {
        let Some(&Session { phase, kept, client, .. }) = self.session(id) else {
            return bytes.len();
        };
        match phase {
            Phase::Unspoken => {
                self.enter_at_last(cx, id, client);
                match self.hand_over(cx, client, bytes) {
                    Some(taken) => taken,
                    None => self.client_data(cx, id, bytes),
                }
            }
            Phase::Header => self.header_data(cx, id, bytes),
            Phase::FrontendRules | Phase::BackendRules => match kept {
                Some(buffer) => {
                    let taken = self.kept.push(buffer, bytes);
                    self.inspect(cx, id, &[], More::MayCome);
                    taken + self.client_rest(cx, id, client, &bytes[taken..])
                }
                None => {
                    self.inspect(cx, id, bytes, More::MayCome);
                    self.client_rest(cx, id, client, bytes)
                }
            },
            Phase::Entrance(_)
            | Phase::BackendQueue
            | Phase::ServerQueue
            | Phase::Pause
            | Phase::Connecting
            | Phase::Relayed => self.leave_in_store(id),
        }
    }

    /// Rules have looked at these bytes: they go where their session is now. Returns how many were
    /// taken.
    pub(crate) fn client_rest(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        client: ConnId,
        bytes: &[u8],
    ) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        if let Some(taken) = self.hand_over(cx, client, bytes) {
            return taken;
        }
        let Some(&Session { phase, kept, .. }) = self.session(id) else { return bytes.len() };
        if !matches!(phase, Phase::FrontendRules | Phase::BackendRules) {
            return self.leave_in_store(id);
        }
        let Some(buffer) = kept.or_else(|| self.kept.take()) else {
            // Every buffer is taken: this has to do.
            self.inspect(cx, id, bytes, More::Never);
            return match self.hand_over(cx, client, bytes) {
                Some(taken) => taken,
                None => self.leave_in_store(id),
            };
        };
        if let Some(session) = self.session_mut(id) {
            session.kept = Some(buffer);
        }
        let taken = self.kept.push(buffer, bytes);
        if taken < bytes.len() {
            self.inspect(cx, id, &[], More::Never);
        }
        taken
    }

    /// Gives a client's bytes to whoever takes them now; `None` where its session has no server yet.
    fn hand_over(&mut self, cx: &mut Cx<'_>, client: ConnId, bytes: &[u8]) -> Option<usize> {
        match self.roles[client.index()] {
            Role::Client(_) => None,
            Role::RelayedClient(_) => Some(self.relay.on_data(cx, client, bytes)),
            // It was turned away.
            Role::None
            | Role::Leaving
            | Role::Server(_)
            | Role::JudgedServer(_)
            | Role::Check(_) => Some(bytes.len()),
        }
    }

    /// A client that waited, and spoke, may have been let in since by what was settled: it was listened
    /// to again before the stack knew that these bytes wait, and nothing would bring them a second
    /// time. Returns how many are taken after all.
    #[cold]
    pub(crate) fn let_in_meanwhile(
        &mut self,
        cx: &mut Cx<'_>,
        client: ConnId,
        bytes: &[u8],
    ) -> usize {
        let id = match self.roles[client.index()] {
            Role::Client(id) => id,
            Role::Leaving => return bytes.len(),
            _ => return 0,
        };
        let is_listened_to = self.session(id).is_some_and(|session| {
            let reads =
                matches!(session.phase, Phase::Header | Phase::FrontendRules | Phase::BackendRules);
            reads && !session.has(Session::STORED)
        });
        if !is_listened_to {
            return 0;
        }
        let taken = self.client_data(cx, id, bytes);
        self.settle(cx);
        taken
    }

    /// What a client says waits where it is.
    fn leave_in_store(&mut self, id: SessionId) -> usize {
        if let Some(session) = self.session_mut(id) {
            session.set(Session::STORED);
        }
        0
    }

    /// Looks at what the client has said, `bytes` or what is kept of it, and does what follows.
    pub(crate) fn inspect(&mut self, cx: &mut Cx<'_>, id: SessionId, bytes: &[u8], more: More) {
        let decision = self.look(cx, id, bytes, |view, work| {
            let has_all = view.session.has(Session::ENDED) || view.bytes.len() >= view.bytes_max();
            view.is_final = more == More::Never || has_all;
            view.proxy.decide(view, work)
        });
        match decision {
            None => {}
            Some(Decision::Wait(phase, backend)) => self.wait_for_bytes(cx, id, phase, backend),
            Some(Decision::End(verdict)) => self.refuse(cx, id, verdict),
            Some(Decision::NoBackend) => self.turn_away(cx, id, Termination::NO_SERVER),
            Some(Decision::Go { backend, directed, is_forced, key }) => {
                if is_forced && let Some(session) = self.session_mut(id) {
                    session.set(Session::FORCED);
                }
                self.go_to_backend(cx, id, backend, directed, key);
            }
        }
    }

    /// Its backend is known, and perhaps the server of that.
    pub(crate) fn go_to_backend(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        backend: u16,
        directed: Option<u16>,
        key: Option<u32>,
    ) {
        self.join_backend(id, backend, cx.now());
        if let Some(session) = self.session_mut(id) {
            session.phase = Phase::Connecting;
            session.key = key;
        }
        match directed {
            Some(server) => self.assign_to(cx, id, server),
            None => self.assign(cx, id),
        }
    }

    /// It counts in its backend from here on.
    fn join_backend(&mut self, id: SessionId, backend: u16, now: Instant) {
        let Some(session) = self.session_mut(id) else { return };
        if session.backend.replace(backend).is_none() {
            session.set(Session::IN_BACKEND);
            self.gauges.more(self.gauges.backend(backend), now);
            self.load_of_backend_changed(backend);
        }
    }

    /// Rules of its frontend, or of a backend, want to see more.
    fn wait_for_bytes(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        phase: Phase,
        backend: Option<u16>,
    ) {
        let Some(session) = self.session_mut(id) else { return };
        let begins = session.phase != phase || !session.has(Session::INSPECTED);
        session.phase = phase;
        session.set(Session::INSPECTED);
        let frontend = session.frontend;
        if let Some(backend) = backend {
            self.join_backend(id, backend, cx.now());
        }
        self.listen_again(cx, id);
        if begins {
            let span = match backend {
                Some(backend) => self.setup.backend(backend).inspect_delay,
                None => self.setup.frontend(frontend).inspect_delay,
            };
            self.wait(cx, id, span);
        }
    }

    /// A rule does not want what the client says.
    fn refuse(&mut self, cx: &mut Cx<'_>, id: SessionId, verdict: Verdict) {
        if verdict == Verdict::Drop {
            let Some(&Session { client, .. }) = self.session(id) else { return };
            self.finish(cx, id, Termination::REFUSED, (0, 0));
            cx.forsake(client);
        } else {
            self.turn_away(cx, id, Termination::REFUSED);
        }
    }
}
