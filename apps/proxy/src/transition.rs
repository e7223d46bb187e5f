//! A server is something else now: every core is told, and the log, in HAProxy's words.
//!
//! On core 0, whoever found it out: checks (`watch.rs`), somebody's wish (`admin.rs`), names
//! (`resolve.rs`). What it means for sessions is in `standing.rs`.

use penstock_config::haproxy::{Backend, Level, Server};
use penstock_stack::Cx;

use crate::check::{
    Cause, Change, Names, Step, Tally, write_no_server, write_step, write_transition,
};
use crate::journal::Voice;
use crate::line::Line;
use crate::proxy::Proxy;
use crate::server::Standing;

impl Proxy {
    /// A server's checks have come to something.
    pub(crate) fn change(
        &mut self,
        cx: &mut Cx<'_>,
        server: u16,
        change: Change,
        cause: Cause<'_>,
    ) {
        let setup = self.setup;
        let (backend, description) =
            (setup.backend(setup.backend_of(server)), setup.server(server));
        let before = self.servers[usize::from(server)].standing;
        let mut standing = before;
        standing.is_up = change != Change::Down;
        standing.is_drained = change == Change::Stopping;
        let tally = self.restand(cx, server, standing);
        // Who was stopping already surprises nobody.
        let level = match change {
            Change::Down if !before.is_drained && !before.is_in_drain => ALERT,
            _ => NOTICE,
        };
        let names = names(backend, description);
        self.say(cx, backend, level, |line| write_transition(names, change, cause, tally, line));
        self.tell_if_last(cx, server, &tally);
    }

    /// Servers that `track` this one do as it does.
    pub(crate) fn follow(&mut self, cx: &mut Cx<'_>, server: u16, change: Change) {
        self.each_follower(cx, server, |proxy, cx, follower, leader| {
            if !proxy.servers[usize::from(follower)].standing.is_in_maintenance {
                proxy.change(cx, follower, change, Cause::Tracked(leader));
            }
        });
    }

    /// Calls this for each server that tracks that one, with its names: the last in the configuration
    /// first, as HAProxy goes through them.
    pub(crate) fn each_follower(
        &mut self,
        cx: &mut Cx<'_>,
        server: u16,
        mut act: impl FnMut(&mut Proxy, &mut Cx<'_>, u16, Names<'static>),
    ) {
        let setup = self.setup;
        let leader = names(setup.backend(setup.backend_of(server)), setup.server(server));
        for follower in (0..self.servers.len() as u16).rev() {
            if setup.leader_of(follower) == Some(server) {
                act(self, cx, follower, leader);
            }
        }
    }

    /// Has a server stand like this, and says it.
    pub(crate) fn take_step(
        &mut self,
        cx: &mut Cx<'_>,
        server: u16,
        standing: Standing,
        (step, level): (Step<'_>, Level),
        via: Option<Names<'_>>,
    ) {
        let tally = self.restand(cx, server, standing);
        self.say_step(cx, server, (step, level), via, tally);
        self.tell_if_last(cx, server, &tally);
    }

    /// Says what has become of a server, without a check to blame.
    pub(crate) fn say_step(
        &mut self,
        cx: &mut Cx<'_>,
        server: u16,
        (step, level): (Step<'_>, Level),
        via: Option<Names<'_>>,
        tally: Tally,
    ) {
        let setup = self.setup;
        let backend = setup.backend(setup.backend_of(server));
        let names = names(backend, setup.server(server));
        self.say(cx, backend, level, |line| write_step(names, step, via, tally, line));
    }

    /// Has a server stand like this on every core, and counts what is left.
    pub(crate) fn restand(&mut self, cx: &mut Cx<'_>, server: u16, standing: Standing) -> Tally {
        let backend = self.setup.backend_of(server);
        let (active_before, backups_before) = self.usable(backend);
        let waiting = self.servers[usize::from(server)].queue.len();
        self.set_standing(cx, server, standing);
        let (active, backups) = self.usable(backend);
        let queued = self.servers[usize::from(server)].queue.len();
        Tally {
            active,
            backups,
            sessions: self.gauges.total(self.gauges.server(server)),
            requeued: waiting.abs_diff(queued),
            queued,
            has_lost_last: active_before + backups_before > 0 && active + backups == 0,
        }
    }

    /// Tells that a backend has nobody left, if it just lost the last.
    pub(crate) fn tell_if_last(&mut self, cx: &mut Cx<'_>, server: u16, tally: &Tally) {
        if !tally.has_lost_last {
            return;
        }
        let setup = self.setup;
        let backend = setup.backend(setup.backend_of(server));
        let frontends = &setup.proxies.frontends;
        let is_listen = frontends.iter().any(|frontend| frontend.name == backend.name);
        self.say(cx, backend, EMERG, |line| write_no_server(&backend.name, is_listen, line));
    }

    /// Servers of a backend that could be given sessions: active ones, and backups.
    fn usable(&self, backend: u16) -> (u32, u32) {
        let usable = |is_backup| {
            let servers = self.setup.servers_of(backend).filter(|&number| {
                let description = self.setup.server(number);
                let share = self.servers[usize::from(number)].standing.share(description);
                share.is_usable() && description.backup == is_backup
            });
            servers.count() as u32
        };
        (usable(false), usable(true))
    }

    /// Has a line of a backend in its log.
    pub(crate) fn say(
        &mut self,
        cx: &mut Cx<'_>,
        backend: &Backend,
        level: Level,
        write: impl FnOnce(&mut Line<'_>),
    ) {
        let Some(mut journal) = self.journal.take() else { return };
        let mut line = Line::new(&mut journal.line);
        write(&mut line);
        let len = line.len();
        let global = &self.setup.proxies.global;
        let tag = backend.log_tag.as_deref().unwrap_or(&global.log_tag);
        let voice = Voice { level, tag, host: global.log_hostname.as_deref(), pid: global.pid };
        journal.send(cx, &backend.logs, voice, len);
        self.journal = Some(journal);
    }
}

pub(crate) fn names<'a>(backend: &'a Backend, server: &'a Server) -> Names<'a> {
    Names { backend: &backend.name, server: &server.name, is_backup: server.backup }
}

const EMERG: Level = Level(0);
pub(crate) const ALERT: Level = Level(1);
pub(crate) const NOTICE: Level = Level(5);
