//! `slowstart`: a server that begins to serve, whether a check, an agent, a name or a person brought it
//! back, has a sixteenth of its weight at first, and all of it when that time is over.
//!
//! On core 0, which tells the others.

use alloc::boxed::Box;

use penstock_stack::{Cx, Duration, Instant};

use crate::proxy::Proxy;
use crate::server::{Standing, WARM};
use crate::setup::Setup;

/// Servers that have not their whole weight yet.
#[derive(Debug)]
pub(crate) struct Warmups {
    /// By server; nothing where no server starts slowly.
    under_way: Box<[Option<Warming>]>,
    /// When the first of them will be warmer.
    pub(crate) due_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Warming {
    since: Instant,
    next_at: Instant,
}

impl Warmups {
    /// Nobody is cold at the start. `core` is whose they are: one keeps them for all.
    pub(crate) fn new(setup: &Setup, core: u16) -> Warmups {
        let count = if core == 0 { places(setup) } else { 0 };
        Warmups { under_way: alloc::vec![None; count].into(), due_at: None }
    }

    /// What they take.
    pub(crate) fn bytes(setup: &Setup) -> usize {
        places(setup) * size_of::<Option<Warming>>()
    }

    /// Since when a server has been up, if it is not warm yet.
    pub(crate) fn since(&self, server: u16) -> Option<Instant> {
        let warming = self.under_way.get(usize::from(server)).copied().flatten();
        warming.map(|warming| warming.since)
    }

    /// Nobody becomes any warmer.
    pub(crate) fn stop(&mut self) {
        self.under_way.fill(None);
        self.due_at = None;
    }

    fn set(&mut self, server: u16, warming: Option<Warming>) {
        if let Some(place) = self.under_way.get_mut(usize::from(server)) {
            *place = warming;
            self.due_at = self.under_way.iter().flatten().map(|warming| warming.next_at).min();
        }
    }
}

impl Proxy {
    /// A server is about to stand like this: one that begins to serve begins slowly.
    pub(crate) fn begin_slowly(&mut self, cx: &mut Cx<'_>, server: u16, standing: &mut Standing) {
        let Some(slowstart) = self.setup.server(server).slowstart else { return };
        let before = self.servers[usize::from(server)].standing;
        let serves = |it: &Standing| it.is_running() && !it.is_drained;
        if serves(&before) == serves(standing) {
            return;
        }
        let now = cx.now();
        let warming = Warming { since: now, next_at: now + step(slowstart) };
        if serves(standing) {
            standing.warmth = 1;
        }
        self.warmups.set(server, serves(standing).then_some(warming));
        self.alarm(cx);
    }

    /// Servers whose time has come are warmer.
    pub(crate) fn warm_up(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        while self.warmups.due_at.is_some_and(|at| at <= now) {
            let is_due = |it: &Option<Warming>| it.is_some_and(|warming| warming.next_at <= now);
            let Some(at) = self.warmups.under_way.iter().position(is_due) else { return };
            let server = at as u16;
            let found = self.warmups.under_way[at].zip(self.setup.server(server).slowstart);
            let Some((Warming { since, next_at }, slowstart)) = found else { return };
            let passed = now.0.saturating_sub(since.0);
            let warmth = 1 + passed * u64::from(WARM - 1) / slowstart.0.max(1);
            let is_warm = warmth >= u64::from(WARM);
            let next_at = (next_at + step(slowstart)).max(now);
            self.warmups.set(server, (!is_warm).then_some(Warming { since, next_at }));
            let mut standing = self.servers[at].standing;
            standing.warmth = warmth.min(u64::from(WARM)) as u8;
            self.set_standing(cx, server, standing);
        }
    }
}

/// All servers have a place, where one comes up slowly.
fn places(setup: &Setup) -> usize {
    let count = setup.servers_count();
    let is_slow = (0..count).any(|server| setup.server(server).slowstart.is_some());
    if is_slow { count.into() } else { 0 }
}

/// How long a server that comes up slowly keeps a weight: a twentieth of the whole, but a second.
fn step(slowstart: Duration) -> Duration {
    Duration((slowstart.0 / 20).max(1_000_000))
}
