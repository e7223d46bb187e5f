//! The loop of a core: turn, rest, turn. And how it ends.

use penstock_control::WithControl;
use penstock_hw::Mapped;
use penstock_ixgbe::{Link, Nic, Queue, Report};
use penstock_kernel::idle::Sleeper;
use penstock_kernel::log::{self, Level};
use penstock_kernel::machine::Core;
use penstock_kernel::pci::Address;
use penstock_kernel::{clock, idle, info, notice, warning};
use penstock_stack::{Instant, Worker};

use alloc::vec::Vec;
use core::fmt;

use crate::control;
use crate::departure::{Departure, Step};
use crate::report;
use crate::tenant::{Done, Tenant};

/// The cards, as core 0 looks after them.
pub(crate) type Nics = Vec<(Address, Nic<Mapped>)>;

/// A worker on the cards' queue pairs of its core.
pub(crate) type Served = Worker<Queue<Mapped>, WithControl<Tenant>>;

/// Serves until the machine is to stop and whoever was there has left, or has had his time.
pub(crate) fn serve(
    core: &mut Core,
    mut worker: Served,
    mut nics: Nics,
    mut opening: Option<Opening>,
    mut departure: Departure,
) {
    let mut watcher = Watcher::of(&worker);
    loop {
        let now_ns = core.turn();
        let now = instant(now_ns);
        let turn = worker.turn(now);
        wake(worker.take_mailed());
        for (address, nic) in &mut nics {
            let was_running = nic.is_running();
            let report = nic.poll(now.0);
            let is_up = matches!(report.link, Some(Link::Up { .. }));
            if is_up || nic.is_running() && !was_running {
                worker.on_link(now);
            }
            tell(*address, report);
        }
        if opening.is_some() && nics.iter().all(|(_, nic)| nic.is_running()) {
            opening.take().iter().for_each(Opening::say_that_it_is_over);
        }
        watcher.look(core.id(), now_ns, &mut worker);
        if worker.app().has_lines() {
            control::say(&mut worker, now);
        }
        if worker.app().app().has_console_line() {
            say_console_lines(&mut worker);
        }
        if core.stop_requested() {
            let left = worker.census().connections + u32::from(!worker.app().app().has_stopped());
            match departure.step(now_ns, left) {
                Step::Serve => {}
                Step::Stop => {
                    worker.with(now, control::stop);
                    continue;
                }
                Step::Leave => break,
            }
        }
        if !turn.more {
            let deadline = worker.next_deadline().map_or(u64::MAX, nanoseconds);
            let look = now_ns
                + match (&opening, nics.is_empty()) {
                    (Some(_), _) => OPENING_LOOK_NS,
                    (None, false) => NIC_LOOK_NS,
                    (None, true) => LOOK_NS,
                };
            let ends = departure.next_ns(now_ns);
            let seen = watcher.next_ns;
            core.rest(deadline.min(look).min(ends).min(seen), &mut Resting(&mut worker));
        }
    }
    let done = worker.app().app().done(worker.counters());
    info!("core {}: {done}, {} connections cut", core.id(), worker.census().connections);
    report::core(core.id(), worker.counters());
    for (address, mut nic) in nics {
        report::card(address, &mut nic);
        if let Err(error) = nic.shut_down() {
            warning!("nic {address}: {error}");
        }
    }
    // The machine ends: to take tables and pools apart piece by piece would be work for nobody.
    core::mem::forget(worker);
}

/// Prints what the application logs to the console.
#[cold]
fn say_console_lines(worker: &mut Served) {
    while let Some(line) = worker.app_mut().app_mut().console_line() {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        log::line(Level::Info, format_args!("{}", Printable(line)));
    }
}

/// Text that can do a terminal no harm: what is not printable is in hexadecimal, all else as it is.
struct Printable<'a>(&'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b' '..=b'~' => write!(f, "{}", char::from(*byte)),
            _ => write!(f, "\\x{byte:02x}"),
        })
    }
}

/// The time from the first turn to the moment when the cards receive on all queues: before that, nobody
/// is served.
pub(crate) struct Opening {
    /// What cards took so far.
    pub(crate) cards_ns: u64,
    /// What tables and pools took.
    pub(crate) tables_ns: u64,
}

impl Opening {
    fn say_that_it_is_over(&self) {
        let &Opening { cards_ns, tables_ns } = self;
        let [now_ms, cards_ms, tables_ms] =
            [clock::now_ns(), cards_ns, tables_ns].map(|ns| ns / 1_000_000);
        info!(
            "ready: serving after {now_ms} ms, {cards_ms} of them for cards, {tables_ms} for tables \
             and pools"
        );
    }
}

/// Says each second what was done in it, where somebody wants to see that.
struct Watcher {
    next_ns: u64,
    before: Done,
}

impl Watcher {
    fn of(worker: &Served) -> Watcher {
        let tenant = worker.app().app();
        let next_ns = if tenant.is_watched() { 0 } else { u64::MAX };
        Watcher { next_ns, before: tenant.done(worker.counters()) }
    }

    fn look(&mut self, core: usize, now_ns: u64, worker: &mut Served) {
        if now_ns < self.next_ns {
            return;
        }
        let now = worker.app().app().done(worker.counters());
        if now != self.before {
            let since = now.since(self.before);
            control::tell(worker, instant(now_ns), format_args!("core {core}: {since}"));
        }
        self.before = now;
        self.next_ns = now_ns + SECOND_NS;
    }
}

/// The stack's clock. It does not begin at 0: a worker may not take that for its own age.
pub(crate) fn instant(now_ns: u64) -> Instant {
    Instant(CLOCK_BEGINS_US + now_ns / 1_000)
}

fn nanoseconds(at: Instant) -> u64 {
    at.0.saturating_sub(CLOCK_BEGINS_US).saturating_mul(1_000)
}

/// Wakes each core of the set, a bit for each.
fn wake(mut cores: u128) {
    while cores != 0 {
        idle::wake(cores.trailing_zeros() as usize);
        cores &= cores - 1;
    }
}

fn tell(address: Address, report: Report) {
    let Report { link, reset, error } = report;
    if let Some(link) = link {
        notice!("nic {address}: link {link}");
    }
    if let Some(reason) = reset {
        notice!("nic {address}: was reset: {reason}");
    }
    if let Some(error) = error {
        warning!("nic {address}: {error}; it is tried again");
    }
}

/// A worker about to sleep: woken by its cards, looked at once more for frames and mail.
struct Resting<'w>(&'w mut Served);

impl Sleeper for Resting<'_> {
    fn has_work(&mut self) -> bool {
        let mut queues = (0..).map_while(|interface| self.0.queue(interface));
        queues.any(Queue::has_work) || self.0.has_mail()
    }

    fn arm(&mut self) {
        let queues = (0..).map_while(|interface| self.0.queue(interface));
        queues.for_each(Queue::arm_interrupt);
    }
}

const CLOCK_BEGINS_US: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// A core looks for frames at least this often: an interrupt may be lost, and costs time then.
const LOOK_NS: u64 = 500_000_000;

/// Core 0 looks so often whether all queues are armed.
const OPENING_LOOK_NS: u64 = 1_000_000;

/// Core 0 looks after the cards at least this often.
const NIC_LOOK_NS: u64 = 100_000_000;
