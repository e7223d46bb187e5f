//! How the proxy stops, in HAProxy's steps and words: for the time of `grace` as before, then nobody
//! new is let in, and whoever is still there after `hard-stop-after` is cut off.
//!
//! Each core goes through the steps by its own clock. What is said of a whole section, core 0 says, once
//! all others have told it how many they had let in.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt::{Arguments, Write};

use penstock_config::haproxy::grammar::Severity;
use penstock_config::haproxy::{Level, LogTarget};
use penstock_stack::{Close, Cx, Instant, ListenerId};

use penstock_relay::Reason;

use crate::journal::Voice;
use crate::limits;
use crate::line::Line;
use crate::proxy::{Proxy, Role};
use crate::session::{Phase, SessionId, Termination};

/// How far a core is.
#[derive(Debug)]
pub(crate) struct Farewell {
    step: Step,
    /// When the next step is due.
    pub(crate) due_at: Option<Instant>,
    /// The first section of which core 0 has yet to hear.
    untold: u16,
    /// On core 0: what all cores have let in, by section.
    ever: Box<[u64]>,
    /// On core 0: other cores that have told everything.
    told_all: u16,
}

/// The steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Serving,
    /// It has been told to stop, and serves for a while (`grace`).
    Grace,
    /// Nobody new is let in.
    Stopping,
    /// And everything has been said.
    Said,
}

impl Farewell {
    /// What it takes for each section.
    pub(crate) const SECTION_BYTES: usize = size_of::<u64>();

    /// For so many sections: frontends, then backends.
    pub(crate) fn new(sections: usize) -> Farewell {
        let ever = vec![0; sections].into();
        Farewell { step: Step::Serving, due_at: None, untold: 0, ever, told_all: 0 }
    }
}

impl Proxy {
    /// Lets nobody new in and checks nobody, at once or after the time of `grace`; sessions go on.
    pub fn stop(&mut self, cx: &mut Cx<'_>) {
        self.is_stopping = true;
        if self.farewell.step != Step::Serving {
            return;
        }
        match self.setup.proxies().global.grace.filter(|grace| grace.0 > 0) {
            None => self.stop_now(cx),
            Some(grace) => {
                let text = format_args!("Scheduling a soft-stop in {} ms.", grace.millis());
                self.announce(cx, Severity::Notice, WARNING, None, text);
                self.farewell.step = Step::Grace;
                self.farewell.due_at = Some(cx.now() + grace);
                self.alarm(cx);
            }
        }
    }

    /// Whether it lets nobody in, and has said what there was to say about it.
    pub fn has_stopped(&self) -> bool {
        self.farewell.step == Step::Said
    }

    /// The time of a step is over.
    pub(crate) fn next_step(&mut self, cx: &mut Cx<'_>) {
        if self.farewell.due_at.is_none_or(|at| at > cx.now()) {
            return;
        }
        self.farewell.due_at = None;
        if self.farewell.step == Step::Grace {
            let text = format_args!("Grace period expired, proceeding with soft-stop now.");
            self.announce(cx, Severity::Notice, NOTICE, None, text);
            self.stop_now(cx);
        } else {
            self.stop_hard(cx);
        }
    }

    fn stop_now(&mut self, cx: &mut Cx<'_>) {
        for (listener, door) in (0..).zip(&mut self.doors) {
            if door.take().is_some() {
                cx.unlisten(ListenerId(listener));
            }
        }
        self.stop_checks(cx);
        self.farewell.step = Step::Stopping;
        self.farewell.due_at =
            self.setup.proxies().global.hard_stop_after.map(|span| cx.now() + span);
        self.alarm(cx);
        self.tell_ends(cx);
    }

    /// Tells core 0 how many this core let in, as far as that has room for it.
    pub(crate) fn tell_ends(&mut self, cx: &mut Cx<'_>) {
        if self.farewell.step != Step::Stopping {
            return;
        }
        while usize::from(self.farewell.untold) < self.farewell.ever.len() {
            let section = self.farewell.untold;
            let count = self.gauges.ever(section);
            if self.core == 0 {
                self.farewell.ever[usize::from(section)] += count;
            } else if cx.tell(0, &crate::cores::end_words(section, count)).is_err() {
                self.tell_later(cx, cx.now() + limits::TELL_AGAIN_AFTER);
                return;
            }
            self.farewell.untold += 1;
        }
        if self.core == 0 {
            self.say_ends(cx);
        } else {
            self.farewell.step = Step::Said;
        }
    }

    /// Another core let so many into a section, which it has stopped.
    pub(crate) fn hear_end(&mut self, cx: &mut Cx<'_>, section: u16, count: u64) {
        let farewell = &mut self.farewell;
        let Some(ever) = farewell.ever.get_mut(usize::from(section)) else { return };
        *ever += count;
        farewell.told_all += u16::from(usize::from(section) + 1 == farewell.ever.len());
        self.say_ends(cx);
    }

    /// Says of each section that it has stopped, once all cores have.
    fn say_ends(&mut self, cx: &mut Cx<'_>) {
        let setup = self.setup;
        if self.farewell.step != Step::Stopping
            || usize::from(self.farewell.untold) < self.farewell.ever.len()
            || self.farewell.told_all + 1 < cx.cores()
        {
            return;
        }
        self.farewell.step = Step::Said;
        let (frontends, backends) = (&setup.proxies().frontends, &setup.proxies().backends);
        let ever = core::mem::take(&mut self.farewell.ever);
        let (in_frontends, in_backends) = ever.split_at(frontends.len());
        let enabled = frontends.iter().zip(in_frontends);
        for (frontend, count) in enabled.filter(|(frontend, _)| !frontend.disabled) {
            // A `listen` is both.
            let both = backends.iter().position(|backend| backend.id == frontend.id);
            let behind = both.map_or(0, |at| in_backends[at]);
            self.say_end(cx, &frontend.name, (*count, behind), &frontend.logs);
        }
        for (backend, count) in backends.iter().zip(in_backends) {
            if !backend.disabled && frontends.iter().all(|frontend| frontend.id != backend.id) {
                self.say_end(cx, &backend.name, (0, *count), &backend.logs);
            }
        }
        self.farewell.ever = ever;
    }

    fn say_end(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
        counts: (u64, u64),
        logs: &'static [LogTarget],
    ) {
        let (front, back) = counts;
        let text = format_args!("Proxy {name} stopped (cumulated conns: FE: {front}, BE: {back}).");
        self.announce(cx, Severity::Warning, WARNING, Some(logs), text);
    }

    /// Cuts off whoever is still there.
    fn stop_hard(&mut self, cx: &mut Cx<'_>) {
        let text = format_args!("soft-stop running for too long, performing a hard-stop.");
        self.announce(cx, Severity::Warning, WARNING, None, text);
        for (number, frontend) in (0..).zip(&self.setup.proxies().frontends) {
            let left = self.gauges.total(self.gauges.frontend(number));
            if left > 0 {
                let name = &frontend.name;
                let text = format_args!(
                    "Proxy {name} hard-stopped ({left} remaining conns will be closed)."
                );
                self.announce(cx, Severity::Warning, WARNING, Some(&frontend.logs), text);
            }
        }
        for number in 0..self.sessions.capacity() as u32 {
            self.cut_off(cx, SessionId(number));
        }
    }

    fn cut_off(&mut self, cx: &mut Cx<'_>, id: SessionId) {
        let Some(session) = self.session(id) else { return };
        let (client, phase) = (session.client, session.phase);
        if let Some(ended) = self.relay.close(cx, client, Reason::Server(Close::Aborted)) {
            self.roles[ended.server.index()] = Role::None;
            self.finish(cx, id, Termination::KILLED, (ended.client_bytes, ended.server_bytes));
        } else if matches!(phase, Phase::Unspoken | Phase::Header | Phase::Entrance(_)) {
            // There is no session yet.
            self.leave_queue(id);
            self.forget(cx, id);
            cx.abort(client);
        } else {
            self.turn_away(cx, id, Termination::KILLED);
        }
    }

    /// Says something on the console, and in the logs of a section or, without one, of the process. It
    /// concerns all cores: core 0 says it.
    fn announce(
        &mut self,
        cx: &mut Cx<'_>,
        severity: Severity,
        level: Level,
        logs: Option<&'static [LogTarget]>,
        text: Arguments<'_>,
    ) {
        let global = &self.setup.proxies().global;
        let Some(journal) = self.journal.as_mut().filter(|_| self.core == 0) else { return };
        let mut line = Line::new(&mut journal.line);
        // A Line takes everything, or its beginning: writing never fails.
        let _ = line.write_fmt(text);
        let len = line.len();
        journal.say(severity, global.pid, len);
        let voice = Voice {
            level,
            tag: &global.log_tag,
            host: global.log_hostname.as_deref(),
            pid: global.pid,
        };
        journal.send(cx, logs.unwrap_or(&global.logs), voice, len);
    }
}

const WARNING: Level = Level(4);
const NOTICE: Level = Level(5);
