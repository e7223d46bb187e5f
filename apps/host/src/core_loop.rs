//! One core: turns, sleep, and the way to stop.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time;

use penstock_fault::FaultyQueue;
use penstock_stack::{App, Cx, Instant, Turn, Worker};
use penstock_tap::TapQueue;

use crate::bell::Bell;
use crate::report::{self, Remains};

/// What a core has on an interface.
pub(crate) type Queue = FaultyQueue<TapQueue>;

/// What the host asks of an application besides the stack's upcalls.
pub(crate) trait Service: App + Send {
    /// Begins: listens, binds.
    ///
    /// # Errors
    /// A line for a person.
    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String>;

    /// Lets nobody new in; who is there may finish.
    fn stop(&mut self, cx: &mut Cx<'_>);

    /// What it counted, each with its name.
    fn counts(&self) -> Vec<(&'static str, u64)>;
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

    fn is_over(&self) -> bool {
        self.end.load(Ordering::Relaxed) || self.drained.load(Ordering::Relaxed) == self.bells.len()
    }
}

/// A core, ready to turn.
pub(crate) struct Core<A> {
    pub(crate) number: u16,
    pub(crate) worker: Worker<Queue, A>,
    /// The files of its queues, to sleep on.
    pub(crate) files: Vec<OwnedFd>,
}

impl<A: Service> Core<A> {
    /// Turns until the end, and says what is left then.
    pub(crate) fn run(mut self, orders: &Orders) -> Remains {
        let bell = &orders.bells[self.number as usize];
        let files = std::mem::take(&mut self.files);
        let mut watched = bell.watch(&files);
        let mut reports = 0;
        let mut stage = Stage::Serving;
        while !orders.is_over() {
            let turn = self.worker.turn(orders.now());
            orders.ring(self.take_mailed());
            if self.is_gone() {
                return Remains::of(&self, orders.now(), Some("the TAP device is gone"));
            }
            stage = self.advance(stage, orders);
            if orders.reports.load(Ordering::Relaxed) != reports {
                reports = orders.reports.load(Ordering::Relaxed);
                print!("{}", report::counters(&self, orders.now()));
            }
            if !orders.polls {
                self.sleep(turn, bell, &mut watched, orders);
            }
        }
        Remains::of(&self, orders.now(), None)
    }

    /// Sleeps unless there is something to do.
    fn sleep(
        &mut self,
        turn: Turn,
        bell: &Bell,
        watched: &mut [rustix::event::PollFd<'_>],
        orders: &Orders,
    ) {
        let now = orders.now();
        let deadline = self.worker.next_deadline();
        if turn.more || deadline.is_some_and(|deadline| deadline <= now) {
            return;
        }
        let at_most = deadline.map(|deadline| time::Duration::from_micros((deadline - now).0));
        let worker = &mut self.worker;
        bell.sleep(watched, at_most, || has_work(worker));
    }

    /// From serving to stopping, from stopping to drained.
    fn advance(&mut self, stage: Stage, orders: &Orders) -> Stage {
        match stage {
            Stage::Serving if orders.stop.load(Ordering::Relaxed) => {
                self.worker.with(orders.now(), |app, cx| app.stop(cx));
                Stage::Stopping
            }
            Stage::Stopping if report::is_empty(&self.worker.census()) => {
                orders.drained.fetch_add(1, Ordering::Relaxed);
                orders.ring_all();
                Stage::Drained
            }
            stage => stage,
        }
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

/// How far a core is on its way to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Stopping,
    Drained,
}

/// The last look before sleeping: mail, and frames that the wrapper keeps.
fn has_work<A: App>(worker: &mut Worker<Queue, A>) -> bool {
    let mut waits = worker.has_mail();
    for interface in 0.. {
        let Some(queue) = worker.queue_mut(interface) else { break };
        waits |= queue.has_waiting();
    }
    waits
}

const CLOCK_BEGINS_US: u64 = 1_000_000;
