//! Core 0 watches the servers: each has a check, and what its checks come to is told to all cores.
//!
//! ```text
//!   time, a connection's events ─▶ Check ─▶ send, close, open
//!                                    └─ over ─▶ a line in the log, a Standing for every core
//! ```
//! Why core 0 alone: a check costs a connection now and then, and cores that came to different
//! verdicts would balance differently. `slowstart` is kept here too, since it begins with a verdict.

use alloc::boxed::Box;

use penstock_config::haproxy::ServerCheck;
use penstock_stack::{Close, ConnId, Cx, Duration, Instant};

use crate::balance::Share;
use crate::check::{
    Cause, Change, Check, Desk, Ending, Finished, Load, Orders, Outcome, Plan, Prober, Subject,
    Todo, first_at, write_check,
};
use crate::journal::wall;
use crate::limits;
use crate::proxy::{OPTIONS, Proxy, Role};
use crate::server::{Server, Standing, WARM, awaits_address};
use crate::setup::Setup;
use crate::transition::{NOTICE, names};

/// The servers that are checked, and what their checks share.
#[derive(Debug)]
pub(crate) struct Watch {
    probes: Box<[Probe]>,
    desk: Desk,
    /// The first moment at which time makes a difference to any of them.
    due_at: Option<Instant>,
    /// When the first could begin.
    started_at: Instant,
}

/// The check of a server, or what its agent is asked.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Its number among all servers.
    server: u16,
    plan: &'static Plan,
    with: &'static ServerCheck,
    check: Check,
    conn: Option<ConnId>,
    /// Connections of sessions that failed in a row.
    failures: u16,
}

impl Watch {
    /// Nothing is checked before [`Proxy::start_checks`].
    pub(crate) fn new(setup: &'static Setup) -> Option<Box<Watch>> {
        let count =
            setup.proxies.backends.iter().map(|backend| backend.servers.len()).sum::<usize>();
        let probe = |number: u16| {
            let server = setup.server(number);
            let health = server.check.as_ref().map(|with| {
                let plan = &setup.plans[setup.backend_of(number) as usize];
                let mut probe = Probe::new(number, plan, with);
                if server.disabled || awaits_address(server) {
                    probe.check.pause();
                }
                probe
            });
            let agent = server.agent.as_ref().zip(setup.agent_plan(number));
            let agent = agent.map(|(agent, plan)| Probe::new(number, plan, &agent.check));
            health.into_iter().chain(agent)
        };
        let probes: Box<[Probe]> = (0..count as u16).flat_map(probe).collect();
        if probes.is_empty() {
            return None;
        }
        Some(Box::new(Watch { probes, desk: Desk::new(), due_at: None, started_at: Instant(0) }))
    }

    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    fn find_due(&mut self) {
        self.due_at = self.probes.iter().filter_map(Probe::due_at).min();
    }
}

impl Probe {
    fn new(server: u16, plan: &'static Plan, with: &'static ServerCheck) -> Probe {
        let check = Check::new(plan, with, Instant(0));
        Probe { server, plan, with, check, conn: None, failures: 0 }
    }

    fn is_agent(&self) -> bool {
        self.check.prober() == Prober::Agent
    }

    fn due_at(&self) -> Option<Instant> {
        self.check.due_at()
    }
}

impl Proxy {
    /// The first checks begin soon, but not all at once.
    pub(crate) fn start_checks(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let Some(watch) = &mut self.watch else { return };
        watch.started_at = now;
        let inters = watch.probes.iter().map(|probe| probe.with.inter);
        let shortest = inters.filter(|inter| *inter >= SPREAD_FROM).min().unwrap_or_default();
        let count = watch.probes.len() as u64;
        for (position, probe) in (0..).zip(&mut watch.probes) {
            probe.check.begin_at(first_at(now, probe.with, shortest, position, count));
        }
        watch.find_due();
        self.alarm(cx);
    }

    /// Nobody is checked any more.
    pub(crate) fn stop_checks(&mut self, cx: &mut Cx<'_>) {
        self.warmups.stop();
        let Some(watch) = &mut self.watch else { return };
        for probe in &mut watch.probes {
            probe.check.pause();
            if let Some(conn) = probe.conn.take() {
                self.roles[conn.index()] = Role::None;
                cx.abort(conn);
            }
        }
        watch.find_due();
        self.alarm(cx);
    }

    /// Checks whose time has come.
    pub(crate) fn run_checks(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let Some(watch) = self.watch.as_ref().filter(|watch| is_due(watch.due_at)) else { return };
        let count = watch.probes.len();
        for number in 0..count as u16 {
            let Some(watch) = &mut self.watch else { return };
            let begun = now - watch.started_at;
            let probe = &mut watch.probes[usize::from(number)];
            if !is_due(probe.due_at()) {
                continue;
            }
            if begun < limits::CHECKS_WAIT && is_too_early(cx, probe, &self.servers) {
                probe.check.begin_at(now + limits::CHECKS_LOOK);
                watch.find_due();
            } else {
                self.check(cx, number, |check, subject, desk, now| {
                    check.on_time(subject, desk, now)
                });
            }
        }
    }

    pub(crate) fn check_connected(&mut self, cx: &mut Cx<'_>, probe: u16, conn: ConnId) {
        let Some(info) = cx.info(conn) else { return };
        self.check(cx, probe, |check, subject, desk, now| {
            check.on_connected(subject, desk, info.local, info.remote, now)
        });
    }

    pub(crate) fn check_data(&mut self, cx: &mut Cx<'_>, probe: u16, bytes: &[u8]) {
        self.check(cx, probe, |check, subject, desk, now| check.on_data(subject, desk, bytes, now));
    }

    pub(crate) fn check_ended(&mut self, cx: &mut Cx<'_>, probe: u16) {
        self.check(cx, probe, |check, subject, desk, now| check.on_end(subject, desk, now));
    }

    /// The connection of a check is gone.
    pub(crate) fn check_lost(&mut self, cx: &mut Cx<'_>, probe: u16, conn: ConnId, close: Close) {
        self.roles[conn.index()] = Role::None;
        if let Some(probe) = self.watch.as_mut().and_then(|w| w.probes.get_mut(usize::from(probe)))
        {
            probe.conn = None;
        }
        self.check(cx, probe, |check, subject, desk, now| check.on_lost(subject, desk, close, now));
    }

    /// Somebody takes a server out, or puts it back: its check, but not its agent, rests meanwhile.
    pub(crate) fn check_or_not(&mut self, cx: &mut Cx<'_>, server: u16, standing: &mut Standing) {
        let enters = standing.is_in_maintenance;
        if enters == self.servers[usize::from(server)].standing.is_in_maintenance {
            return;
        }
        standing.is_up = !enters && self.is_leader_up(server);
        let Some(watch) = &mut self.watch else { return };
        for probe in watch.probes.iter_mut().filter(|probe| probe.server == server) {
            if probe.is_agent() {
                standing.is_up &= probe.check.health().is_up();
            } else if enters {
                probe.check.pause();
                if let Some(conn) = probe.conn.take() {
                    self.roles[conn.index()] = Role::None;
                    cx.abort(conn);
                }
            } else {
                // It is believed to be up until a check fails.
                probe.check.resume(cx.now());
            }
        }
        watch.find_due();
        self.alarm(cx);
    }

    /// Whether the server that this one tracks, if any, is up.
    fn is_leader_up(&self, server: u16) -> bool {
        let leader = self.setup.leader_of(server);
        leader.is_none_or(|leader| self.servers[usize::from(leader)].standing.is_up)
    }

    /// Lets something happen to a check, and does what it wants.
    fn check<F>(&mut self, cx: &mut Cx<'_>, number: u16, event: F)
    where
        F: for<'d> FnOnce(&mut Check, &Subject<'_>, &'d mut Desk, Instant) -> Todo<'d>,
    {
        let now = cx.now();
        let Some(mut watch) = self.watch.take() else { return };
        let Watch { probes, desk, .. } = &mut *watch;
        let probe = &mut probes[usize::from(number)];
        let subject = self.subject(cx, probe);
        let Todo { send, close, open, mut finished } = event(&mut probe.check, &subject, desk, now);
        if let Some(conn) = probe.conn
            && !send.is_empty()
        {
            // What does not fit is more than any server is asked; the check then runs out of time.
            cx.send(conn, send);
        }
        if let Some(ending) = close
            && let Some(conn) = probe.conn.take()
        {
            self.roles[conn.index()] = Role::None;
            match ending {
                Ending::Fin => cx.close(conn),
                Ending::Reset => cx.abort(conn),
            }
        }
        if let Some(remote) = open {
            let origin = self.cards.origins[usize::from(probe.server)];
            match cx.connect_from(remote, origin, OPTIONS) {
                Ok(conn) => {
                    self.roles[conn.index()] = Role::Check(number);
                    probe.conn = Some(conn);
                }
                Err(_) => {
                    let lost = probe.check.on_lost(&subject, desk, Close::Unreachable, now);
                    finished = lost.finished;
                }
            }
        }
        watch.find_due();
        self.watch = Some(watch);
        if let Some(finished) = finished {
            self.check_over(cx, number, finished);
        }
        self.alarm(cx);
    }

    /// What a check of a server is to know.
    fn subject(&mut self, cx: &Cx<'_>, probe: &Probe) -> Subject<'static> {
        let (setup, number) = (self.setup, probe.server);
        let backend = setup.backend_of(number);
        Subject {
            plan: probe.plan,
            backend: setup.backend(backend),
            server: setup.server(number),
            check: probe.with,
            addr: self.servers[usize::from(number)].addr,
            spread_percent: setup.proxies.global.spread_checks_percent,
            random: (self.draw() >> 32) as u32,
            unix_s: wall(cx).0 / 1_000_000,
            load: setup.backend(backend).options.send_state.then(|| self.load(cx, probe)),
        }
    }

    /// What `http-check send-state` tells a server.
    fn load(&self, cx: &Cx<'_>, probe: &Probe) -> Load<'static> {
        let (setup, gauges, number) = (self.setup, &self.gauges, probe.server);
        let backend = setup.backend_of(number);
        let global = &setup.proxies.global;
        let of =
            |server: u16| self.servers[usize::from(server)].standing.share(setup.server(server));
        let warmed = |share: Share| (share.weight * share.warmth).div_ceil(u32::from(WARM));
        let usable = setup.servers_of(backend).map(of).filter(|share| share.is_usable());
        let waiting = self.backends[usize::from(backend)].queue.len();
        let throttle = self.warmups.since(number).zip(setup.server(number).slowstart).map(
            |(since, slowstart)| {
                let passed = cx.now().0.saturating_sub(since.0);
                (100 * passed / slowstart.0.max(1)).clamp(1, 99) as u8
            },
        );
        Load {
            node: global.node.as_deref().or(global.log_hostname.as_deref()).unwrap_or_default(),
            weight: warmed(of(number)),
            weights: usable.map(warmed).sum(),
            sessions: gauges.total(gauges.server(number)),
            connections: gauges.total(gauges.backend(backend)).saturating_sub(waiting),
            queued: self.servers[usize::from(number)].queue.len(),
            throttle_percent: throttle,
        }
    }

    /// What a check that is over means for its server.
    fn check_over(&mut self, cx: &mut Cx<'_>, number: u16, mut finished: Finished) {
        let setup = self.setup;
        let Some(mut watch) = self.watch.take() else { return };
        let probe = &mut watch.probes[usize::from(number)];
        let server = probe.server;
        let backend = setup.backend(setup.backend_of(server));
        let is_told = backend.options.log_health_checks;
        let has_passed = probe.check.report().status.outcome() != Outcome::Failed;
        if has_passed && core::mem::take(&mut probe.failures) > 0 {
            self.suspect(cx, server, false);
        }
        let orders = finished.orders;
        if orders != Orders::default() {
            self.watch = Some(watch);
            self.obey(cx, server, orders);
            let Some(still) = self.watch.take() else { return };
            watch = still;
        }
        let probe = &mut watch.probes[usize::from(number)];
        self.tell_check(cx, probe, finished);
        if finished.repeats {
            let subject = self.subject(cx, probe);
            let first = finished.change;
            finished = probe.check.repeat(&subject, cx.now());
            finished.change = first.or(finished.change);
            self.tell_check(cx, probe, finished);
        }
        let change = finished.change.filter(|change| self.is_new(&watch, server, *change));
        let probe = &watch.probes[usize::from(number)];
        if let Some(change) = change {
            let cause = if is_told { Cause::Told } else { Cause::Check(probe.check.report()) };
            self.change(cx, server, change, cause);
            self.watch = Some(watch);
            self.follow(cx, server, change);
        } else {
            self.watch = Some(watch);
        }
    }

    /// Whether what one of its checks says makes a server something else: it is up when all say so,
    /// and a server in maintenance is none of their business.
    fn is_new(&self, watch: &Watch, server: u16, change: Change) -> bool {
        let standing = self.servers[usize::from(server)].standing;
        let mut probes = watch.probes.iter().filter(|probe| probe.server == server);
        let all_agree =
            probes.all(|probe| probe.check.health().is_up()) && self.is_leader_up(server);
        !standing.is_in_maintenance
            && match change {
                Change::Down => standing.is_up,
                Change::Stopping => all_agree && !standing.is_drained,
                Change::Up => all_agree && (!standing.is_up || standing.is_drained),
            }
    }

    /// On core 0: so many connections of sessions to a server have failed, or, for none, one has come
    /// about.
    pub(crate) fn observed(&mut self, cx: &mut Cx<'_>, server: u16, failures: u16) {
        let Some(mut watch) = self.watch.take() else { return };
        let is_its = |probe: &Probe| probe.server == server && !probe.is_agent();
        let at = watch.probes.iter().position(is_its);
        let mut finished = None;
        if let Some(probe) = at.and_then(|at| watch.probes.get_mut(at))
            && probe.check.due_at().is_some()
        {
            let description = self.setup.server(server);
            probe.failures =
                if failures == 0 { 0 } else { probe.failures.saturating_add(failures) };
            if probe.failures >= description.error_limit {
                let count = core::mem::take(&mut probe.failures);
                let subject = self.subject(cx, probe);
                finished = probe.check.on_failures(&subject, count, cx.now());
            }
            let is_suspected = probe.failures > 0;
            watch.find_due();
            self.watch = Some(watch);
            self.suspect(cx, server, is_suspected);
        } else {
            self.watch = Some(watch);
        }
        if let Some((number, finished)) = at.zip(finished) {
            self.check_over(cx, number as u16, finished);
        }
        self.alarm(cx);
    }

    /// Whether core 0 wants to hear of connections to a server that come about.
    fn suspect(&mut self, cx: &mut Cx<'_>, server: u16, is_suspected: bool) {
        let standing = self.servers[usize::from(server)].standing;
        if standing.is_suspected != is_suspected {
            self.set_standing(cx, server, Standing { is_suspected, ..standing });
        }
    }

    /// What `option log-health-checks` has to say of a check that is over.
    fn tell_check(&mut self, cx: &mut Cx<'_>, probe: &Probe, finished: Finished) {
        let setup = self.setup;
        let backend = setup.backend(setup.backend_of(probe.server));
        if !finished.is_news || !backend.options.log_health_checks {
            return;
        }
        let check = &probe.check;
        let seen = (check.report(), check.health());
        let weight = self.servers[usize::from(probe.server)].standing.weight;
        let names = names(backend, setup.server(probe.server));
        self.say(cx, backend, NOTICE, |line| {
            write_check(names, check.prober(), seen, weight, line);
        });
    }
}

/// Whether a machine that has just started has not learned yet what a check needs: an address of its
/// own, which a lease may bring, or the server's, which a name server may know.
fn is_too_early(cx: &Cx<'_>, probe: &Probe, servers: &[Server]) -> bool {
    let addr = probe.with.addr.or(servers[usize::from(probe.server)].addr);
    probe.check.is_idle() && addr.is_none_or(|addr| !cx.has_address(addr.is_v4()))
}

/// Checks that are less far apart begin as they like.
const SPREAD_FROM: Duration = Duration::from_secs(1);
