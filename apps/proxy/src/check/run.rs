//! A check: what happens to its connection, and what is to be done next.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt::Write;

use penstock_config::haproxy::{
    Address, CheckStep, Connect, Expect, Format, OnError, Port, ServerCheck,
};
use penstock_stack::{Close, Duration, Endpoint, Instant};

use super::agent::Orders;
use super::health::Health;
use super::plan::Plan;
use super::report::{Outcome, Prober, Report, Status};
use super::request;
use super::subject::{self, Asked, Desk, INPUT_BYTES_MAX, Subject};
use super::todo::{Ending, Finished, Todo};
use crate::line::Line;

/// The check of one server.
#[derive(Debug)]
pub struct Check {
    phase: Phase,
    /// The step that is under way.
    pub(super) at: usize,
    pub(super) begun_at: Instant,
    /// The next check begins, or this one is given up.
    due_at: Instant,
    is_paused: bool,
    /// What the server said since it was last sent something.
    pub(super) input: Box<[u8]>,
    pub(super) input_bytes: usize,
    /// The server has said all.
    pub(super) has_ended: bool,
    prober: Prober,
    pub(super) health: Health,
    pub(super) report: Report,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between two checks.
    Idle,
    Connecting,
    Connected,
    /// The connection is gone, but what it brought is still looked at.
    Lost,
}

impl Check {
    /// A check that begins at `first_at`, of a server that is up until it fails.
    pub fn new(plan: &Plan, check: &ServerCheck, first_at: Instant) -> Check {
        let prober = plan.prober();
        let input = if plan.listens() { INPUT_BYTES_MAX } else { 0 };
        Check {
            phase: Phase::Idle,
            at: 0,
            begun_at: first_at,
            due_at: first_at,
            is_paused: false,
            input: vec![0; input].into(),
            input_bytes: 0,
            has_ended: false,
            prober,
            health: Health::new(check.rise, check.fall),
            report: Report::new(),
        }
    }

    /// The first check begins then.
    pub fn begin_at(&mut self, at: Instant) {
        self.due_at = at;
    }

    /// Between two checks, or before the first.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// When time itself makes a difference; `None` while it is not checked.
    pub fn due_at(&self) -> Option<Instant> {
        (!self.is_paused).then_some(self.due_at)
    }

    /// What is believed of the server.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Who looks after the server.
    pub fn prober(&self) -> Prober {
        self.prober
    }

    /// What the last check came to.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Takes the server out, by hand: it is down and not checked. Says whether a connection is to
    /// be closed.
    pub fn pause(&mut self) -> Option<Ending> {
        self.is_paused = true;
        self.health.take_out();
        let had_one = matches!(self.phase, Phase::Connecting | Phase::Connected);
        self.phase = Phase::Idle;
        had_one.then_some(Ending::Reset)
    }

    /// Puts it back: it is believed to be up, and checked at once.
    pub fn resume(&mut self, now: Instant) {
        self.is_paused = false;
        self.health.put_back();
        self.due_at = now;
    }

    /// So many connections of sessions have failed in a row: that counts as `on-error` has it.
    pub fn on_failures(
        &mut self,
        subject: &Subject<'_>,
        count: u16,
        now: Instant,
    ) -> Option<Finished> {
        if let (Phase::Idle, Some(soon)) = (self.phase, subject.check.fast_inter) {
            self.due_at = self.due_at.min(after(now, soon));
        }
        match subject.server.on_error {
            OnError::FastInter => return None,
            OnError::FailCheck => {}
            OnError::SuddenDeath => self.health.weaken(1),
            OnError::MarkDown => self.health.weaken(0),
        }
        let finished = self.conclude(Status::HealthAnalyze, 0, |line| {
            // A Line takes everything, or its beginning: writing never fails.
            let _ = write!(line, "Detected {count} consecutive errors, last one was: ");
            line.push(b"L4 unsuccessful connection");
        });
        self.report.duration_ms = None;
        Some(finished)
    }

    /// Time has passed.
    pub fn on_time<'d>(
        &mut self,
        subject: &Subject<'_>,
        desk: &'d mut Desk,
        now: Instant,
    ) -> Todo<'d> {
        if self.is_paused || now < self.due_at {
            return Todo::default();
        }
        match self.phase {
            Phase::Idle if subject.addr.is_none() => {
                self.begun_at = now;
                self.at = 0;
                match subject.server.address {
                    Address::Name(_) => self.fail(subject, now, Status::Layer4Connection, NAMELESS),
                    // Each client's own destination: nobody can be asked how it is.
                    Address::Addr(_) | Address::Client => {
                        self.due_at = after(now, subject.check.inter);
                        Todo::default()
                    }
                }
            }
            Phase::Idle => {
                self.begun_at = now;
                self.at = 0;
                self.report.code = 0;
                self.run(subject, desk, 0, now)
            }
            Phase::Connecting => self.fail(subject, now, Status::Layer4Timeout, ""),
            Phase::Connected | Phase::Lost => {
                let status = match self.step(subject.plan) {
                    Some(CheckStep::Expect(Expect { timeout_status: Some(status), .. })) => {
                        Status::from(*status)
                    }
                    _ => Status::Layer7Timeout,
                };
                self.fail(subject, now, status, "")
            }
        }
    }

    /// The connection stands, between these ends.
    pub fn on_connected<'d>(
        &mut self,
        subject: &Subject<'_>,
        desk: &'d mut Desk,
        local: Endpoint,
        remote: Endpoint,
        now: Instant,
    ) -> Todo<'d> {
        if self.phase != Phase::Connecting {
            return Todo::default();
        }
        self.phase = Phase::Connected;
        if let Some(limit) = subject.backend.timeouts.check {
            self.due_at = after(now, limit);
        }
        let mut used = 0;
        if let Some(CheckStep::Connect(connect)) = self.step(subject.plan)
            && (connect.send_proxy || (is_default(connect) && subject.check.send_proxy))
        {
            used = request::write_header(subject.server, local, remote, &mut desk.output);
        }
        self.at += 1;
        self.run(subject, desk, used, now)
    }

    /// The server said something.
    pub fn on_data<'d>(
        &mut self,
        subject: &Subject<'_>,
        desk: &'d mut Desk,
        bytes: &[u8],
        now: Instant,
    ) -> Todo<'d> {
        if self.phase != Phase::Connected {
            return Todo::default();
        }
        let room = &mut self.input[self.input_bytes..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.input_bytes += count;
        self.look(subject, desk, now)
    }

    /// The server has said all it has to say.
    pub fn on_end<'d>(
        &mut self,
        subject: &Subject<'_>,
        desk: &'d mut Desk,
        now: Instant,
    ) -> Todo<'d> {
        if self.phase != Phase::Connected {
            return Todo::default();
        }
        self.has_ended = true;
        self.look(subject, desk, now)
    }

    /// The connection is gone, or never was.
    pub fn on_lost<'d>(
        &mut self,
        subject: &Subject<'_>,
        desk: &'d mut Desk,
        close: Close,
        now: Instant,
    ) -> Todo<'d> {
        match self.phase {
            Phase::Idle | Phase::Lost => Todo::default(),
            Phase::Connecting => {
                self.phase = Phase::Lost;
                self.fail(subject, now, Status::Layer4Connection, subject::describe(close))
            }
            // A reset often follows the last bytes: they are what counts.
            Phase::Connected if self.input_bytes > 0 || close == Close::Finished => {
                self.phase = Phase::Lost;
                self.has_ended = true;
                self.look(subject, desk, now)
            }
            Phase::Connected => {
                self.phase = Phase::Lost;
                self.fail(subject, now, Status::SocketError, subject::describe(close))
            }
        }
    }

    fn step<'p>(&self, plan: &'p Plan) -> Option<&'p CheckStep> {
        plan.steps.get(self.at).map(|step| &step.what)
    }

    /// Looks at the input again, from the first of the expectations that wait for it.
    fn look<'d>(&mut self, subject: &Subject<'_>, desk: &'d mut Desk, now: Instant) -> Todo<'d> {
        if !matches!(self.step(subject.plan), Some(CheckStep::Expect(_))) {
            return Todo::default();
        }
        self.at = subject.plan.first_expectation(self.at);
        self.run(subject, desk, 0, now)
    }

    /// Takes steps until one has to wait. `used` bytes of output are there already.
    fn run<'d>(
        &mut self,
        subject: &Subject<'_>,
        desk: &'d mut Desk,
        mut used: usize,
        now: Instant,
    ) -> Todo<'d> {
        let plan = subject.plan;
        let mut todo = Todo::default();
        let phase = self.phase;
        while let Some(step) = plan.steps.get(self.at) {
            match &step.what {
                CheckStep::Connect(connect) => {
                    todo.close = self.close(plan, phase, used > 0);
                    todo.open = Some(self.open(subject, connect, desk, now));
                    break;
                }
                CheckStep::Send { .. } | CheckStep::HttpSend(_) => {
                    self.input_bytes = 0;
                    let Some(count) = self.write(subject, &step.what, desk, used) else {
                        todo.finished = Some(self.fail_to_send(subject, now));
                        break;
                    };
                    used += count;
                    self.at += 1;
                }
                CheckStep::Expect(expect) => match self.judge(subject, expect, desk, now) {
                    Ok(true) => self.at += 1,
                    Ok(false) => break,
                    Err(finished) => {
                        todo.finished = Some(finished);
                        break;
                    }
                },
            }
        }
        if self.at == plan.steps.len() {
            todo.finished = Some(self.succeed(subject, desk, now));
        }
        if todo.finished.is_some() {
            todo.close = self.close(plan, phase, used > 0);
        }
        todo.send = &desk.output[..used];
        todo
    }

    /// Where the connection goes, and how long it may take.
    fn open(
        &mut self,
        subject: &Subject<'_>,
        connect: &Connect,
        desk: &mut Desk,
        now: Instant,
    ) -> Endpoint {
        let timeouts = &subject.backend.timeouts;
        let limit = match (timeouts.check, timeouts.connect) {
            (Some(_), Some(connect)) => connect.min(subject.check.inter),
            _ => subject.check.inter,
        };
        self.due_at = after(now, limit);
        self.phase = Phase::Connecting;
        self.input_bytes = 0;
        self.has_ended = false;
        let of_step = match connect.addr {
            Some(Address::Addr(addr)) => Some(addr),
            _ => None,
        };
        let addr = of_step.or(subject.check.addr).or(subject.addr).unwrap_or_default();
        let port = connect.port.as_ref().and_then(|sample| {
            let asked = Asked { subject, input: &[] };
            let port = subject::number(sample, &asked, &mut desk.work)?;
            u16::try_from(port).ok()
        });
        let own = match subject.server.port {
            Port::Fixed(port) => port,
            Port::Offset(_) => 0,
        };
        Endpoint { addr, port: port.or(subject.check.port).unwrap_or(own) }
    }

    /// Closes the connection, if there is one in this phase. What was just sent has to arrive first.
    fn close(&self, plan: &Plan, phase: Phase, has_sent: bool) -> Option<Ending> {
        let before = plan.steps[..self.at.min(plan.steps.len())].iter().rev();
        let lingers = before
            .filter_map(|step| match &step.what {
                CheckStep::Connect(connect) => Some(connect.linger),
                _ => None,
            })
            .next();
        let is_there = matches!(phase, Phase::Connecting | Phase::Connected);
        let ending = if has_sent || lingers == Some(true) { Ending::Fin } else { Ending::Reset };
        is_there.then_some(ending)
    }

    /// Adds what a step sends to the output; returns how much that was, or `None` where what was to
    /// be digits is none.
    fn write(
        &self,
        subject: &Subject<'_>,
        step: &CheckStep,
        desk: &mut Desk,
        used: usize,
    ) -> Option<usize> {
        let Desk { work, output, made, scratch } = desk;
        let asked = Asked { subject, input: &[] };
        let mut line = Line::new(&mut output[used..]);
        let mut format = |format: &Format, line: &mut Line<'_>| {
            subject::write_format(format, &asked, work, line);
        };
        match step {
            CheckStep::Send { bytes, is_hex: false, .. } => format(bytes, &mut line),
            CheckStep::Send { bytes, is_hex: true, .. } => {
                format(bytes, &mut line);
                line.digits_to_bytes().then_some(())?;
            }
            CheckStep::HttpSend(send) => {
                let mut body = Line::new(made);
                if let Some(text) = &send.body {
                    format(text, &mut body);
                }
                let mut state = Line::new(scratch);
                if let Some(load) = &subject.load {
                    request::write_state(subject, &self.health, load, &mut state);
                }
                request::write_request(send, format, state.as_bytes(), body.as_bytes(), &mut line);
            }
            CheckStep::Connect(_) | CheckStep::Expect(_) => {}
        }
        Some(line.len())
    }

    /// What the step that is under way was to send cannot be made.
    fn fail_to_send(&mut self, subject: &Subject<'_>, now: Instant) -> Finished {
        let number = subject.plan.number(self.at);
        self.finish(subject, now, Status::Layer7Response, 0, |line| {
            line.push(b"tcp-check send : failed to build log-format string at step ");
            line.number(number as u64);
        })
    }

    /// The connection failed, or time ran out.
    fn fail<'d>(
        &mut self,
        subject: &Subject<'_>,
        now: Instant,
        status: Status,
        what: &str,
    ) -> Todo<'d> {
        let close = self.close(subject.plan, self.phase, false);
        let (plan, at) = (subject.plan, self.at);
        let finished = self.finish(subject, now, status, 0, |line| {
            line.push(what.as_bytes());
            subject::write_place(plan, at, line);
        });
        Todo { close, finished: Some(finished), ..Todo::default() }
    }

    /// The check is over: what it means, and when the next begins.
    pub(super) fn finish(
        &mut self,
        subject: &Subject<'_>,
        now: Instant,
        status: Status,
        code: u16,
        info: impl FnOnce(&mut Line<'_>),
    ) -> Finished {
        let finished = self.conclude(status, code, info);
        self.report.duration_ms = Some((now.0.saturating_sub(self.begun_at.0) / 1_000) as u32);
        self.due_at = after(now, self.interval(subject));
        self.phase = Phase::Idle;
        finished
    }

    /// Something was learned of the server.
    fn conclude(
        &mut self,
        status: Status,
        code: u16,
        info: impl FnOnce(&mut Line<'_>),
    ) -> Finished {
        let before = core::mem::replace(&mut self.report.status, status);
        self.report.code = code;
        self.report.set_info(info);
        let (has_moved, change) = match (self.prober, status) {
            // Of an agent, what it says counts, and not that it cannot be asked.
            (Prober::Agent, Status::Layer7Ok | Status::Layer7Status) | (Prober::Check, _) => {
                self.health.apply(status.outcome())
            }
            (Prober::Agent, _) => (false, None),
        };
        let is_news = (has_moved || status != before) && status.outcome() != Outcome::Neutral;
        Finished { is_news, change, repeats: false, orders: Orders::default() }
    }

    fn interval(&self, subject: &Subject<'_>) -> Duration {
        let ServerCheck { inter, fast_inter, down_inter, .. } = *subject.check;
        let interval = if self.health.is_full() {
            inter
        } else if self.health.is_dead() {
            down_inter.unwrap_or(inter)
        } else {
            fast_inter.unwrap_or(inter)
        };
        let spread = interval.0 * u64::from(subject.spread_percent) / 100;
        let shift = (2 * spread * u64::from(subject.random)) >> 32;
        Duration(interval.0 + spread - shift)
    }
}

/// Where the first of `count` checks begin, so that not all begin at once: `position` counts all
/// servers that are checked. `shortest` is the shortest interval of a second or more among them.
pub fn first_at(
    now: Instant,
    check: &ServerCheck,
    shortest: Duration,
    position: u64,
    count: u64,
) -> Instant {
    let within = check.inter.max(shortest).0;
    Instant(now.0 + within * position / count.max(1))
}

/// What is wrong with a name that has no address, in the C library's words.
const NAMELESS: &str = "Name or service not known";

fn after(now: Instant, span: Duration) -> Instant {
    Instant(now.0 + span.0)
}

/// Whether a connection is made as the server's line says.
fn is_default(connect: &Connect) -> bool {
    connect.implicit || connect.default
}
