//! What a server says, before its client hears it: rules on the response, and the server of a key.
//!
//! ```text
//!   server's answer ─▶ rules ─accept─▶ relay          (what they wait for is kept: see kept.rs)
//!                        └─ reject, close ─▶ the end
//! ```
//! A session of a backend without such rules, and without a stick table, never comes here.

use penstock_relay::Reason;
use penstock_stack::{Close, ConnId, Cx, Duration};

use crate::proxy::{Proxy, Role};
use crate::rules::{More, Verdict};
use crate::sample::View;
use crate::session::{Session, SessionId, Termination};

impl Proxy {
    /// A server has answered the handshake; `conn` is its connection.
    pub(crate) fn begin_response(&mut self, cx: &mut Cx<'_>, id: SessionId, conn: ConnId) {
        let Some(&Session { backend: Some(backend), client, .. }) = self.session(id) else {
            return;
        };
        let description = self.setup.backend(backend);
        if description.response_rules.is_empty() && description.persistence.is_empty() {
            return;
        }
        let verdict = self.judge_response(cx, id, &[], More::MayCome);
        if verdict == Verdict::Wait {
            self.roles[conn.index()] = Role::JudgedServer(id);
            // The relay keeps its time by the server's timer: the client's is free.
            let delay = description.response_inspect_delay;
            cx.set_timer(client, Some(delay.unwrap_or(Duration::from_millis(1))));
        } else {
            self.end_inspection(cx, id, conn, verdict, &[]);
        }
        self.settle(cx);
    }

    /// Bytes of a server that rules look at. Returns how many were taken.
    pub(crate) fn server_data(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        conn: ConnId,
        bytes: &[u8],
    ) -> usize {
        self.relay.heard(cx, conn);
        let Some(&Session { kept, .. }) = self.session(id) else { return bytes.len() };
        let mut taken = 0;
        let mut verdict = match kept {
            None => self.judge_response(cx, id, bytes, More::MayCome),
            Some(buffer) => {
                taken = self.kept.push(buffer, bytes);
                let has_room = taken == bytes.len();
                let more = if has_room { More::MayCome } else { More::Never };
                self.judge_response(cx, id, &[], more)
            }
        };
        if verdict == Verdict::Wait && kept.is_none() {
            match self.kept.take() {
                Some(buffer) => {
                    taken = self.kept.push(buffer, bytes);
                    if let Some(session) = self.session_mut(id) {
                        session.kept = Some(buffer);
                    }
                    if taken < bytes.len() {
                        verdict = self.judge_response(cx, id, &[], More::Never);
                    }
                }
                // Every buffer is taken: this has to do.
                None => verdict = self.judge_response(cx, id, bytes, More::Never),
            }
        }
        if verdict == Verdict::Wait {
            return taken;
        }
        taken + self.end_inspection(cx, id, conn, verdict, &bytes[taken..])
    }

    /// Nothing more is waited for: the time is over, or the server has said all it had to say.
    pub(crate) fn response_over(&mut self, cx: &mut Cx<'_>, id: SessionId, conn: ConnId) {
        let verdict = self.judge_response(cx, id, &[], More::Never);
        self.end_inspection(cx, id, conn, verdict, &[]);
    }

    /// What the rules of its backend say of a response: `bytes`, or what is kept of it.
    fn judge_response(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        bytes: &[u8],
        more: More,
    ) -> Verdict {
        let verdict = self.look(cx, id, bytes, |view, work| {
            let (proxy, backend) = (view.proxy, view.session.backend?);
            let description = proxy.setup.backend(backend);
            let acls = &proxy.setup.backend_acls[backend as usize];
            view.table = description.table;
            view.response = core::mem::take(&mut view.bytes);
            let may_wait = description.response_inspect_delay.is_some();
            view.is_final =
                more == More::Never || !may_wait || view.response.len() >= view.bytes_max();
            let verdict = proxy.judge(&description.response_rules, acls, view, work);
            if !matches!(verdict, Verdict::Wait | Verdict::Reject | Verdict::Drop) {
                view.is_final = true;
                proxy.remember_server(view, work);
            }
            Some(verdict)
        });
        verdict.flatten().unwrap_or(Verdict::Accept)
    }

    /// Rules have decided about a response, of which `rest` is not kept. Returns how much of that was
    /// taken.
    fn end_inspection(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        conn: ConnId,
        verdict: Verdict,
        rest: &[u8],
    ) -> usize {
        let Some(session) = self.session_mut(id) else { return rest.len() };
        let (client, kept) = (session.client, session.kept.take());
        cx.set_timer(client, None);
        self.roles[conn.index()] = Role::Server(id);
        let passes = !matches!(verdict, Verdict::Reject | Verdict::Drop);
        if let Some(buffer) = kept {
            let bytes = self.kept.bytes(buffer);
            let sent = if passes { cx.send(client, bytes) } else { 0 };
            let is_lost = passes && sent < bytes.len();
            // What is refused counts as well, as with HAProxy.
            self.relay.sent(conn, bytes.len() as u64);
            self.kept.give(buffer);
            if is_lost {
                // No memory for it: what a client gets has no holes.
                if let Some(ended) = self.relay.abort(cx, conn, Reason::Client(Close::Aborted)) {
                    self.relay_ended(cx, ended);
                }
                return rest.len();
            }
        }
        let taken = if rest.is_empty() {
            // Nothing came just now: no sign of life of the server.
            0
        } else if passes {
            self.relay.on_data(cx, conn, rest)
        } else {
            self.relay.sent(conn, rest.len() as u64);
            rest.len()
        };
        if matches!(verdict, Verdict::Reject | Verdict::Drop | Verdict::Close) {
            let Some(ended) = self.relay.give_up(conn) else { return taken };
            self.roles[conn.index()] = Role::None;
            cx.abort(conn);
            let end = match verdict {
                Verdict::Close => Termination::NORMAL,
                _ => Termination::REFUSED_RESPONSE,
            };
            self.finish(cx, id, end, (ended.client_bytes, ended.server_bytes));
            match verdict {
                Verdict::Drop => cx.forsake(client),
                _ => self.let_go(cx, client, ended.is_stored),
            }
            return rest.len();
        }
        taken
    }
}
