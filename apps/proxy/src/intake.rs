//! From a client's handshake to the moment at which it is a session, or not.
//!
//! ```text
//!   accept ─▶ slots of listener, ─▶ rules on the ─▶ PROXY  ─▶ rules on the ─▶ inspection.rs, or the
//!             frontend, process     connection      header    session         only backend there is
//!             (else: waiting.rs)
//! ```

use core::cell::Cell;

use penstock_config::haproxy::Rule;
use penstock_stack::{ConnId, Cx, Duration, Endpoint, Instant};

use crate::limits;
use crate::pools::Gate;
use crate::proxy::{Proxy, Role};
use crate::proxy_protocol::{Reader, Refusal};
use crate::rules::{More, Verdict};
use crate::session::{self, Phase, Session, SessionId, Termination};
use crate::setup::Door;

impl Proxy {
    /// A client is there.
    pub(crate) fn accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, door: u16) {
        let Door { frontend, bind, defers } = self.setup.doors[door as usize];
        let Some((local, remote)) = cx.endpoints(conn) else { return };
        let session = Session::new(conn, (frontend, bind), remote, local, cx.now());
        let Some(number) = self.sessions.put(session) else {
            // Each session needs a second connection: who has none for it lets nobody in.
            cx.abort(conn);
            return;
        };
        let id = SessionId(number);
        self.roles[conn.index()] = Role::Client(id);
        if defers {
            self.wait_for_a_word(cx, id);
        } else {
            self.enter(cx, id);
        }
    }

    /// It comes in when it says something or closes, or a second later, as from Linux's
    /// `TCP_DEFER_ACCEPT`, which takes it then for one that waits to be spoken to.
    fn wait_for_a_word(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        session.phase = Phase::Unspoken;
        cx.set_timer(session.client, Some(limits::DEFERRED));
    }

    /// It was waited for, and comes in.
    pub(crate) fn enter_at_last(&mut self, cx: &mut Cx<'_>, id: SessionId, client: ConnId) {
        cx.set_timer(client, None);
        self.enter(cx, id);
    }

    /// Takes the slots it needs, from the narrowest to the widest, or waits for the next of them.
    pub(crate) fn enter(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        let gates = self.setup.gates(session.frontend, session.bind);
        for &Gate { pool, .. } in &gates[session.gates_passed as usize..] {
            if !self.slots.take(pool) {
                self.wait_at_entrance(cx, id, pool);
                return;
            }
            session.gates_passed += 1;
        }
        self.welcome(cx, id);
    }

    /// It is inside: from here on it counts.
    fn welcome(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let now = cx.now();
        let Some(session) = self.session_mut(id) else { return };
        session.accepted_at = now;
        session.phase = Phase::FrontendRules;
        session.set(Session::IN_FRONTEND);
        let (frontend, bind) = (session.frontend, session.bind);
        self.statistics.accepted += 1;
        self.gauges.more(self.gauges.process(), cx.now());
        self.gauges.more(self.gauges.frontend(frontend), cx.now());
        let rules = &self.setup.frontend(frontend).connection_rules;
        let verdict = match rules.is_empty() {
            true => Verdict::Accept,
            false => self.judge_connection(cx, id, rules),
        };
        match verdict {
            end @ (Verdict::Reject | Verdict::Drop) => self.dismiss(cx, id, end),
            Verdict::ExpectHeader => self.expect_header(cx, id),
            Verdict::Accept | Verdict::Wait | Verdict::Close
                if self.setup.bind(frontend, bind).accept_proxy =>
            {
                self.expect_header(cx, id);
            }
            Verdict::Accept | Verdict::Wait | Verdict::Close => self.begin(cx, id, &[]),
        }
    }

    /// What rules say that look at no bytes.
    fn judge_connection(&mut self, cx: &mut Cx<'_>, id: SessionId, rules: &[Rule]) -> Verdict {
        let verdict = self.look(cx, id, &[], |view, work| {
            let acls = &view.proxy.setup.frontend_acls[view.session.frontend as usize];
            view.proxy.judge(rules, acls, view, work)
        });
        verdict.unwrap_or(Verdict::Reject)
    }

    fn expect_header(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let reader = self.readers.put(Reader::new());
        let Some(session) = self.session_mut(id) else { return };
        session.phase = Phase::Header;
        session.reader = reader;
        let client = session.client;
        if reader.is_none() {
            // Too many others have not come to their point.
            self.forget(cx, id);
            cx.abort(client);
            return;
        }
        if session.has(Session::ENDED) {
            self.header_refused(cx, id, Reader::new().close());
            return;
        }
        self.listen_again(cx, id);
        self.wait(cx, id, None);
    }

    /// What a client said at the entrance waits in the stack: it is wanted now.
    pub(crate) fn listen_again(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.session_mut(id) else { return };
        if session.take(Session::STORED) {
            cx.resume(session.client);
        }
    }

    /// Bytes of a PROXY header, or behind it. Returns how many were taken.
    pub(crate) fn header_data(&mut self, cx: &mut Cx<'_>, id: SessionId, bytes: &[u8]) -> usize {
        let Some(session) = self.sessions.at_mut(id.0) else { return bytes.len() };
        let Some(number) = session.reader else { return bytes.len() };
        let Some(reader) = self.readers.at_mut(number) else { return bytes.len() };
        let taken = match reader.advance(bytes) {
            Err(refusal) => {
                self.header_refused(cx, id, refusal);
                return bytes.len();
            }
            Ok((taken, None)) => return taken,
            Ok((taken, Some(header))) => {
                session.set(Session::HEADER_CAME);
                if let Some(endpoints) = header.endpoints {
                    session.source.set(endpoints.source);
                    session.destination.set(endpoints.destination);
                }
                self.variables.keep_header(id, &header);
                taken
            }
        };
        self.readers.take(number);
        session.reader = None;
        session.handshake_ms = session.age_ms(cx.now());
        session.phase = Phase::FrontendRules;
        let client = session.client;
        cx.set_timer(client, None);
        self.begin(cx, id, &bytes[taken..]);
        taken + self.client_rest(cx, id, client, &bytes[taken..])
    }

    /// The client's addresses are known: the session begins, with these bytes of it.
    fn begin(&mut self, cx: &mut Cx<'_>, id: SessionId, bytes: &[u8]) {
        let Some(&Session { frontend, .. }) = self.session(id) else { return };
        let rules = &self.setup.frontend(frontend).session_rules;
        if !rules.is_empty() {
            let verdict = self.judge_connection(cx, id, rules);
            if matches!(verdict, Verdict::Reject | Verdict::Drop) {
                self.dismiss(cx, id, verdict);
                return;
            }
        }
        if let Some(session) = self.sessions.at_mut(id.0) {
            session.set(Session::BEGUN);
            session.number = self.next_number;
            self.next_number = self.next_number.wrapping_add(cx.cores().into());
        }
        if self.setup.has_tables() {
            self.counters.begin(id, cx.now());
        }
        self.variables.begin(id);
        self.log_begin(cx, id);
        match self.setup.sole_backend(frontend) {
            Some(backend) => self.go_to_backend(cx, id, backend, None, None),
            None => self.inspect(cx, id, bytes, More::MayCome),
        }
    }

    /// A rule does not want the connection: there was no session, and nothing is logged.
    fn dismiss(&mut self, cx: &mut Cx<'_>, id: SessionId, verdict: Verdict) {
        let Some(&Session { client, .. }) = self.session(id) else { return };
        self.forget(cx, id);
        if verdict == Verdict::Drop {
            cx.forsake(client);
        } else {
            self.let_go(cx, client, false);
        }
    }

    /// A client that is not relayed yet has no more to say, and nothing that it has said waits.
    pub(crate) fn client_closed(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.session_mut(id) else { return };
        session.set(Session::ENDED);
        let (phase, reader) = (session.phase, session.reader);
        match phase {
            Phase::Entrance(_) | Phase::Connecting | Phase::Relayed => {}
            Phase::Unspoken => self.closed_unspoken(cx, id),
            Phase::Header => {
                let reader = reader.and_then(|number| self.readers.at(number));
                if let Some(refusal) = reader.map(Reader::close) {
                    self.header_refused(cx, id, refusal);
                }
            }
            Phase::FrontendRules | Phase::BackendRules => self.inspect(cx, id, &[], More::Never),
            Phase::BackendQueue | Phase::ServerQueue | Phase::Pause => {
                self.leave_if_closed(cx, id);
            }
        }
    }

    /// A client that was to say something closed instead: its server is asked all the same.
    fn closed_unspoken(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(&Session { client, .. }) = self.session(id) else { return };
        self.enter_at_last(cx, id, client);
        if self.roles[client.index()] == Role::Client(id) {
            self.client_closed(cx, id);
        }
    }

    /// A client that is not relayed yet is gone.
    pub(crate) fn client_broke(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(&Session { phase, reader, .. }) = self.session(id) else { return };
        match phase {
            // HAProxy would not have seen it yet.
            Phase::Entrance(_) | Phase::Unspoken => {
                self.leave_queue(id);
                self.forget(cx, id);
            }
            Phase::Header => {
                let reader = reader.and_then(|number| self.readers.at(number));
                let refusal = match reader.map(Reader::close) {
                    Some(Refusal::Truncated) => Refusal::Truncated,
                    _ => Refusal::Aborted,
                };
                self.log_refusal(cx, id, refusal);
                self.forget(cx, id);
            }
            _ => {
                let now = cx.now();
                if let (Phase::BackendQueue | Phase::ServerQueue, Some(session)) =
                    (phase, self.session_mut(id))
                {
                    session.queued_ms = Some(session.age_ms(now));
                }
                self.finish(cx, id, Termination::of_reset(phase), (0, 0));
            }
        }
    }

    /// The time of the phase that a session is in is over, or its client has been mute for too long.
    pub(crate) fn phase_over(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(&Session { client, phase, until, .. }) = self.session(id) else { return };
        let now = cx.now();
        let left_ms = until.wrapping_sub(now.millis()) as i32;
        let is_over = left_ms <= 0;
        let may_wait = phase != Phase::Header && self.session(id).is_some_and(Session::has_spoken);
        if !is_over && may_wait {
            // It was mute when the timer was set, and is no more.
            cx.set_timer(client, Some(Duration::from_millis(left_ms as u64)));
            return;
        }
        match phase {
            Phase::Pause if is_over => self.try_again(cx, id),
            Phase::BackendQueue | Phase::ServerQueue if is_over => {
                self.turn_away(cx, id, Termination::QUEUE_TIMEOUT);
            }
            Phase::FrontendRules | Phase::BackendRules if is_over => {
                self.inspect(cx, id, &[], More::Never);
            }
            Phase::Entrance(_) | Phase::Connecting | Phase::Relayed => {}
            Phase::Unspoken => self.enter(cx, id),
            Phase::Header => {
                self.header_refused(cx, id, Refusal::TimedOut);
            }
            Phase::FrontendRules
            | Phase::BackendRules
            | Phase::Pause
            | Phase::BackendQueue
            | Phase::ServerQueue => {
                self.turn_away(cx, id, Termination::of(session::CLIENT_TIMEOUT, phase));
            }
        }
    }

    /// A PROXY header is missing or wrong: there is no session.
    fn header_refused(&mut self, cx: &mut Cx<'_>, id: SessionId, refusal: Refusal) {
        let Some(&Session { client, .. }) = self.session(id) else { return };
        self.log_refusal(cx, id, refusal);
        self.forget(cx, id);
        match refusal {
            Refusal::Empty | Refusal::Aborted | Refusal::TimedOut => self.let_go(cx, client, true),
            // HAProxy leaves what came unread, and so the end is a reset.
            Refusal::Truncated
            | Refusal::NotHeader
            | Refusal::Invalid
            | Refusal::UnknownProtocol => cx.abort(client),
        }
    }
}

impl Session {
    fn new(
        client: ConnId,
        (frontend, bind): (u16, u16),
        source: Endpoint,
        destination: Endpoint,
        now: Instant,
    ) -> Session {
        Session {
            client,
            phase: Phase::FrontendRules,
            frontend,
            bind,
            backend: None,
            server: None,
            retries: 0,
            flags: 0,
            number: 0,
            gates_passed: 0,
            peer: Cell::new(source),
            local: Cell::new(destination),
            source: Cell::new(source),
            destination: Cell::new(destination),
            log_level: Cell::new(None),
            priority: Cell::new((0, 0)),
            resume: Cell::new(None),
            rank: (0, 0),
            outgoing: None,
            accepted_at: now,
            handshake_ms: 0,
            queued_ms: None,
            connected_ms: None,
            server_queue: 0,
            backend_queue: 0,
            joined_at: 0,
            until: 0,
            key: None,
            kept: None,
            reader: None,
        }
    }

    /// Something that its client has said waits.
    pub(crate) fn has_spoken(&self) -> bool {
        self.kept.is_some() || self.has(Session::STORED)
    }
}
