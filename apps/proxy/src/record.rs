//! The log line of a session: what is known of it, and who hears it.

use penstock_config::haproxy::{Frontend, Level, LogFormat};
use penstock_stack::{Cx, Duration, Instant};

use crate::journal::Voice;
use crate::line::Line;
use crate::log::{Counts, Record, Timers, write_connect, write_refused, write_session};
use crate::proxy::Proxy;
use crate::proxy_protocol::Refusal;
use crate::sample::Workspace;
use crate::session::{Session, SessionId, Termination};
use crate::view::SessionView;

/// How much a session moved, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) termination: Termination,
    pub(crate) bytes: (u64, u64),
    pub(crate) moment: Moment,
}

/// When a session is written about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Rules look at it.
    UnderWay,
    /// Its server has answered (`option logasap`).
    Early,
    /// It has ended.
    Over,
}

impl Ending {
    /// It is not over, and has moved nothing yet.
    pub(crate) const UNDER_WAY: Ending =
        Ending { termination: Termination::NORMAL, bytes: (0, 0), moment: Moment::UnderWay };
}

impl Proxy {
    /// Logs a session that ends, if its frontend wants that.
    pub(crate) fn log_end(&mut self, cx: &mut Cx<'_>, id: SessionId, ending: Ending) {
        let Some(session) = self.session(id) else { return };
        let frontend = self.setup.frontend(session.frontend);
        if frontend.logs.is_empty() {
            return;
        }
        let went_wrong = ending.termination != Termination::NORMAL
            || session.retries > 0
            || session.has(Session::REDISPATCHED);
        let said_nothing = ending.bytes.0 == 0 && !session.has_spoken();
        let is_silent = frontend.options.dont_log_null && said_nothing
            || frontend.options.dont_log_normal && !went_wrong
            || frontend.options.log_asap
                && ending.moment == Moment::Over
                && session.connected_ms.is_some();
        let LogFormat::Items(format) = &frontend.log_format else { return };
        if is_silent {
            return;
        }
        let is_grave = frontend.options.log_separate_errors && went_wrong;
        let level = match session.log_level.get() {
            Some(None) => return,
            Some(Some(level)) => level,
            None if is_grave => ERR,
            None => INFO,
        };
        self.write(cx, id, (frontend, level), ending, |record, view, work, line| {
            write_session(format, record, view, work, line);
        });
    }

    /// Logs a session whose server has answered, where that is early enough (`option logasap`).
    pub(crate) fn log_early(&mut self, cx: &mut Cx<'_>, id: SessionId, ending: Ending) {
        let Some(session) = self.session(id) else { return };
        if self.setup.frontend(session.frontend).options.log_asap {
            self.log_end(cx, id, ending);
        }
    }

    /// Logs a session that begins, where no format says how one that ends is logged.
    pub(crate) fn log_begin(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.session(id) else { return };
        let frontend = self.setup.frontend(session.frontend);
        if frontend.logs.is_empty() || frontend.log_format != LogFormat::Connect {
            return;
        }
        self.write(cx, id, (frontend, INFO), Ending::UNDER_WAY, |record, _, _, line| {
            write_connect(record, line);
        });
    }

    /// Logs a client whose PROXY header was missing or wrong.
    pub(crate) fn log_refusal(&mut self, cx: &mut Cx<'_>, id: SessionId, refusal: Refusal) {
        let Some(session) = self.session(id).cloned() else { return };
        let frontend = self.setup.frontend(session.frontend);
        if frontend.logs.is_empty() || frontend.options.dont_log_null && refusal.is_null() {
            return;
        }
        let Some(mut journal) = self.journal.take() else { return };
        let bind = self.setup.bind(session.frontend, session.bind);
        let mut line = Line::new(&mut journal.line);
        let accepted_at = accepted_at(cx.wall(), cx.now(), &session);
        let listener = (bind.name.as_deref(), bind.id);
        write_refused(
            session.peer.get(),
            accepted_at,
            &frontend.name,
            listener,
            refusal,
            &mut line,
        );
        let len = line.len();
        journal.send(cx, &frontend.logs, self.voice(frontend, INFO), len);
        self.journal = Some(journal);
    }

    /// Has a line written and sends it.
    fn write(
        &mut self,
        cx: &mut Cx<'_>,
        id: SessionId,
        (frontend, level): (&Frontend, Level),
        ending: Ending,
        write: impl FnOnce(&Record<'_>, &SessionView<'_>, &mut Workspace, &mut Line<'_>),
    ) {
        let random = self.draw();
        let (Some(mut journal), Some(mut work)) = (self.journal.take(), self.work.take()) else {
            return;
        };
        if let Some(view) = SessionView::whole(self, cx, id, random) {
            let mut room = core::mem::take(&mut journal.unique_id);
            let mut record: Record<'_> = self.record(&view, ending);
            record.unique_id = self.unique_id(&view, &record, &mut work, &mut room);
            record.lines_before = journal.lines() as u32;
            let mut line = Line::new(&mut journal.line);
            write(&record, &view, &mut work, &mut line);
            let len = line.len();
            journal.send(cx, &frontend.logs, self.voice(frontend, level), len);
            journal.unique_id = room;
        }
        (self.journal, self.work) = (Some(journal), Some(work));
    }

    fn voice<'a>(&self, frontend: &'a Frontend, level: Level) -> Voice<'a> {
        let global = &self.setup.proxies().global;
        let tag = frontend.log_tag.as_deref().unwrap_or(&global.log_tag);
        Voice { level, tag, host: global.log_hostname.as_deref(), pid: global.pid }
    }

    /// What is known of a session at this moment.
    pub(crate) fn record(&self, view: &SessionView<'_>, ending: Ending) -> Record<'static> {
        let setup = self.setup;
        let SessionView { session, now, .. } = *view;
        let frontend = setup.frontend(session.frontend);
        let gauges = &self.gauges;
        let backend = session.backend.map(|at| setup.backend(at));
        let server = session.server;
        // A session that ends has left its backend and its server, though not its frontend.
        let left = |flag: u16| u32::from(ending.moment == Moment::Over && session.has(flag));
        let in_backend = session.backend.map_or(0, |at| gauges.total(gauges.backend(at)));
        let of_server = server.filter(|at| !self.setup.server(*at).is_dispatch);
        let in_server = of_server.map_or(0, |at| gauges.total(gauges.server(at)));
        Record {
            accepted_at: accepted_at(view.cx.wall(), now, session),
            client: Some(session.source.get()),
            frontend_end: Some(session.destination.get()),
            backend_end: session.outgoing,
            server_end: server.and_then(|at| self.server_endpoint(session.destination.get(), at)),
            frontend: &frontend.name,
            backend: backend.map_or(&frontend.name, |backend| &backend.name),
            server: server.map(|at| &*setup.server(at).name),
            timers: Timers {
                handshake_ms: session.handshake_ms,
                request_ms: None,
                queue_ms: session.queued_ms,
                connect_ms: session.connected_ms,
                close_ms: session.age_ms(now),
            },
            termination: ending.termination.0,
            bytes_up: ending.bytes.0,
            bytes_down: ending.bytes.1,
            counts: Counts {
                process: gauges.total(gauges.process()),
                frontend: gauges.total(gauges.frontend(session.frontend)),
                backend: in_backend.saturating_sub(left(Session::IN_BACKEND)),
                server: in_server.saturating_sub(left(Session::IN_SERVER)),
            },
            retries: session.retries.into(),
            is_redispatched: session.has(Session::REDISPATCHED),
            server_queue: session.server_queue,
            backend_queue: session.backend_queue,
            unique_id: &[],
            sessions_before: session.number,
            lines_before: 0,
            is_early: ending.moment == Moment::Early,
            host_name: setup.proxies().global.node.as_deref().unwrap_or("penstock"),
            pid: setup.proxies().global.pid,
        }
    }
}

/// The time of day at which a session was accepted; where it is not known, the time since the machine
/// began.
fn accepted_at(wall: Option<Duration>, now: Instant, session: &Session) -> Duration {
    let wall = wall.unwrap_or(Duration(now.0));
    Duration(wall.0.saturating_sub((now - session.accepted_at).0))
}

const ERR: Level = Level(3);
const INFO: Level = Level(6);
