//! One core: turns, sleep, and the way to stop.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time;

use penstock_fault::FaultyQueue;
use penstock_stack::{App, Counters, Cx, Duration, Instant, Worker};
use penstock_tap::TapQueue;
use rustix::event::PollFd;

use crate::bell::Bell;
use crate::report::{self, Remains};

/// What a core has on an interface.
pub(crate) type Queue = FaultyQueue<TapQueue>;

/// What the host asks of an application besides the stack's upcalls.
pub(crate) trait Service: App + Send {
    /// What it had counted by the last line.
    type Seen: Default + Send;

    /// Begins: listens, binds.
    ///
    /// # Errors
    /// A line for a person.
    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String>;

    /// Lets nobody new in; who is there may finish.
    fn stop(&mut self, cx: &mut Cx<'_>);

    /// Whether it has done what there is to do about that, whoever is still there.
    fn has_stopped(&self) -> bool {
        true
    }

    /// Whether somebody wants a line each second.
    fn watches(&self) -> bool;

    /// What happened since the last such line.
    fn second(&self, counters: &Counters, seen: &mut Self::Seen) -> String;

    /// Whether what stands beneath it has a line for people.
    #[inline]
    fn has_lines(&self) -> bool {
        false
    }

    /// The next such line.
    fn line(&mut self, cx: &mut Cx<'_>) -> Option<String> {
        let _ = cx;
        None
    }

    /// Whether the application has a line for the console.
    #[inline]
    fn has_console_line(&self) -> bool {
        false
    }

    /// The next such line, with its line feed.
    fn console_line(&mut self) -> Option<&[u8]> {
        None
    }

    /// A line of the application's was printed: it may have to go elsewhere too.
    fn log(&mut self, cx: &mut Cx<'_>, line: &str) {
        let _ = (cx, line);
    }
}

/// What all cores of the process see.
#[derive(Debug)]
pub(crate) struct Orders {
    /// One for each core.
    pub(crate) bells: Vec<Bell>,
    /// Nobody new is let in.
    pub(crate) stop: AtomicBool,
    /// It ends now, whoever is there.
    pub(crate) end: AtomicBool,
    /// How often counters were asked for.
    pub(crate) reports: AtomicU32,
    /// Cores whose connections have all ended since `stop`.
    pub(crate) drained: AtomicUsize,
    /// When the clock of all cores began.
    pub(crate) epoch: time::Instant,
    /// A core never sleeps (`idle=poll`).
    pub(crate) polls: bool,
    /// Where the application's lines go; `None` is the terminal.
    pub(crate) log: Option<File>,
}

impl Orders {
    /// The moment.
    pub(crate) fn now(&self) -> Instant {
        // Not from 0: a worker may not take the clock of a machine for its own age.
        Instant(CLOCK_BEGINS_US + self.epoch.elapsed().as_micros() as u64)
    }

    pub(crate) fn ring_all(&self) {
        self.bells.iter().for_each(Bell::ring);
    }

    /// Rings for every core named in `cores`, a bit for each.
    fn ring(&self, mut cores: u128) {
        while cores != 0 {
            if let Some(bell) = self.bells.get(cores.trailing_zeros() as usize) {
                bell.ring();
            }
            cores &= cores - 1;
        }
    }

    /// A line of the application's. Where nobody listens any more it is lost; serving goes on.
    fn say(&self, line: &str) {
        match &self.log {
            Some(file) => drop({ file }.write_all(format!("{line}\n").as_bytes())),
            None => report::say(line),
        }
    }

    fn is_over(&self) -> bool {
        self.end.load(Ordering::Relaxed) || self.drained.load(Ordering::Relaxed) == self.bells.len()
    }
}

/// A core, ready to turn.
pub(crate) struct Core<A: Service> {
    pub(crate) number: u16,
    pub(crate) worker: Worker<Queue, A>,
    /// The files of its queues, to sleep on.
    pub(crate) files: Vec<OwnedFd>,
    stage: Stage,
    /// How many of [`Orders::reports`] it has followed.
    reports: u32,
    /// When the next line of each second is due, where somebody wants one.
    line_at: Option<Instant>,
    seen: A::Seen,
}

/// How far a core is on its way to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Stopping,
    Drained,
}

impl<A: Service> Core<A> {
    pub(crate) fn new(number: u16, worker: Worker<Queue, A>, files: Vec<OwnedFd>) -> Core<A> {
        let line_at = worker.app().watches().then_some(Instant(CLOCK_BEGINS_US) + SECOND);
        let (stage, seen) = (Stage::Serving, A::Seen::default());
        Core { number, worker, files, stage, reports: 0, line_at, seen }
    }

    /// Turns until the end, and says what is left then.
    pub(crate) fn run(mut self, orders: &Orders) -> Remains {
        let bell = &orders.bells[self.number as usize];
        let files = std::mem::take(&mut self.files);
        let mut watched = bell.watch(&files);
        while !orders.is_over() {
            let turn = self.worker.turn(orders.now());
            self.follow(orders);
            if self.worker.app().has_lines() {
                self.say_lines(orders.now());
            }
            if self.worker.app().has_console_line() {
                self.say_console_lines();
            }
            orders.ring(self.take_mailed());
            if self.is_gone() {
                return Remains::of(&self, orders.now(), Some("the TAP device is gone"));
            }
            if !turn.more && !orders.polls {
                self.sleep(bell, &mut watched, orders);
            }
        }
        // What was said since the last turn still leaves.
        self.worker.turn(orders.now());
        Remains::of(&self, orders.now(), None)
    }

    /// Prints what the control plane has to say.
    pub(crate) fn say_lines(&mut self, now: Instant) {
        while let Some(line) = self.worker.with(now, |app, cx| app.line(cx)) {
            report::say(line);
        }
    }

    /// Prints what the application logs to the console.
    fn say_console_lines(&mut self) {
        while let Some(line) = self.worker.app_mut().console_line() {
            report::print(String::from_utf8_lossy(line));
        }
    }

    /// Sleeps until the next deadline at most.
    fn sleep(&mut self, bell: &Bell, watched: &mut [PollFd<'_>], orders: &Orders) {
        let now = orders.now();
        let deadline = self.worker.next_deadline().into_iter().chain(self.line_at).min();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return;
        }
        let at_most = deadline.map(|deadline| time::Duration::from_micros((deadline - now).0));
        bell.sleep(watched, at_most, || self.is_wanted(orders));
    }

    /// Does what it was told, and what a second brings.
    fn follow(&mut self, orders: &Orders) {
        if self.stage == Stage::Serving && orders.stop.load(Ordering::Relaxed) {
            self.worker.with(orders.now(), |app, cx| app.stop(cx));
            self.stage = Stage::Stopping;
        }
        if self.stage == Stage::Stopping
            && self.worker.app().has_stopped()
            && report::is_empty(&self.worker.census())
        {
            self.stage = Stage::Drained;
            orders.drained.fetch_add(1, Ordering::Relaxed);
            orders.ring_all();
        }
        let reports = orders.reports.load(Ordering::Relaxed);
        if reports != self.reports {
            self.reports = reports;
            report::print(report::counters(self, orders.now()));
        }
        if let Some(line_at) = self.line_at
            && line_at <= orders.now()
        {
            let line = self.worker.app().second(self.worker.counters(), &mut self.seen);
            let line = format!("core {}: {line}", self.number);
            orders.say(&line);
            self.worker.with(orders.now(), |app, cx| app.log(cx, &line));
            // Not one for each second that a stopped process has missed.
            self.line_at = Some(orders.now().max(line_at) + SECOND);
        }
    }

    /// The last look before sleeping: orders, mail, and frames that the wrapper keeps.
    fn is_wanted(&mut self, orders: &Orders) -> bool {
        let mut waits = self.worker.has_mail()
            || orders.is_over()
            || orders.reports.load(Ordering::Relaxed) != self.reports
            || (self.stage == Stage::Serving && orders.stop.load(Ordering::Relaxed));
        for interface in 0.. {
            let Some(queue) = self.worker.queue_mut(interface) else { break };
            waits |= queue.has_waiting();
        }
        waits
    }

    fn take_mailed(&mut self) -> u128 {
        let mut mailed = self.worker.take_mailed();
        for interface in 0.. {
            let Some(queue) = self.worker.queue_mut(interface) else { break };
            mailed |= queue.take_mailed();
        }
        mailed
    }

    fn is_gone(&self) -> bool {
        let mut queues = (0..).map_while(|interface| self.worker.queue(interface));
        queues.any(|queue| queue.inner().is_gone())
    }
}

/// What a core's clock shows in the beginning.
const CLOCK_BEGINS_US: u64 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);
