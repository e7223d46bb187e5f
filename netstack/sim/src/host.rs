//! A host of ours: its cards, and a worker on each core, polled by one thread in a seeded order.
//! Since workers share nothing but mail, that covers every real schedule of the cores.

use std::cell::RefCell;
use std::rc::Rc;

use penstock_queue::{Chunks, PortMask, Rss, SteerRule};
use penstock_stack::{Config, Event, Steering, SynCookies, Worker, mail, rfd};
use penstock_wire::ethernet;

use crate::card::{Accepted, Card, SimQueue};
use crate::datagrams;
use crate::frame::Frame;
use crate::memory;
use crate::observer::{Limits, Observer};
use crate::plan::HostPlan;
use crate::scene::{Check, Scene};
use crate::traffic::Traffic;
use penstock_fault::Rng;

/// A host at work; without cores while it is down.
pub(crate) struct Host {
    pub(crate) number: usize,
    pub(crate) plan: HostPlan,
    pub(crate) cards: Vec<Rc<RefCell<Card>>>,
    pub(crate) cores: Vec<Core>,
    pub(crate) observer: Observer,
    scene: Rc<Scene>,
    rng: Rng,
    boots: u64,
    turns: u64,
    /// Turns at one moment of virtual time.
    turns_now: (u64, u32),
}

pub(crate) struct Core {
    pub(crate) worker: Worker<SimQueue, Traffic>,
    pub(crate) stalled_until_us: u64,
}

impl Host {
    /// `is_undisturbed`: no incident keeps the host from sending when it wants to.
    pub(crate) fn new(
        scene: &Rc<Scene>,
        number: usize,
        plan: HostPlan,
        seed: u64,
        is_undisturbed: bool,
    ) -> Host {
        let tcp = &plan.config.tcp;
        let is_prompt = is_undisturbed
            && plan
                .cards
                .iter()
                .all(|card| card.transmit_ring >= 256 && card.write_back_us.1 <= 2_000);
        let limits = Limits {
            rto_min_us: if is_prompt { tcp.rto_min.0 } else { 0 },
            initial_window: tcp.initial_window as u64,
            makes_cookies: tcp.syncookies != SynCookies::Never,
        };
        let observer = Observer::new(scene, number, limits);
        let mut host = Host {
            number,
            plan,
            cards: Vec::new(),
            cores: Vec::new(),
            observer,
            scene: Rc::clone(scene),
            rng: Rng::new(seed, &format!("host {number}")),
            boots: 0,
            turns: 0,
            turns_now: (0, 0),
        };
        host.boot();
        host
    }

    /// Starts with nothing in memory.
    pub(crate) fn boot(&mut self) {
        if self.is_up() {
            return;
        }
        self.boots += 1;
        let mut config = self.plan.config.clone();
        config.seed[31] ^= self.boots as u8;
        self.cards = self.make_cards(&config);
        let cores = config.cores;
        let Some(all) = rfd::Cores::new(cores) else { return };
        let jumbo = config.interfaces.iter().any(|interface| interface.mtu > 2_000);
        // Every second host has no room for the longest frames, and offers a smaller MSS.
        let roomy = jumbo && self.number.is_multiple_of(2);
        let posts = mail::network(all, if roomy { MAIL_FRAMES_JUMBO } else { MAIL_FRAMES });
        for (core, post) in (0..cores).zip(posts) {
            let queues = self.make_queues(core);
            let chunks = Chunks::new(config.capacity.chunks);
            let app_rng = Rng::new(self.rng.draw(), "traffic");
            let app = Traffic::new(&self.scene, self.number, core, app_rng);
            match Worker::new(config.clone(), core, queues, chunks, post, app) {
                Ok(worker) => self.cores.push(Core { worker, stalled_until_us: 0 }),
                Err(error) => {
                    self.scene.violate(Check::Worker, format!("no worker: {error:?}"));
                    return;
                }
            }
        }
        self.open_for_business();
    }

    fn make_cards(&mut self, config: &Config) -> Vec<Rc<RefCell<Card>>> {
        let mut cards = Vec::new();
        for (interface, plan) in config.interfaces.iter().zip(&self.plan.cards) {
            let (rss, rules) = steering(config, &interface.steering, &mut self.rng);
            let card = Card::new(plan.clone(), interface.mac, rss, rules, config.cores as usize);
            cards.push(Rc::new(RefCell::new(card)));
        }
        cards
    }

    fn make_queues(&mut self, core: u16) -> Vec<SimQueue> {
        let mut queues = Vec::new();
        for (position, card) in self.cards.iter().enumerate() {
            let name = format!("host {} card {position} queue {core}", self.number);
            let rng = Rng::new(self.rng.draw(), "queue");
            queues.push(SimQueue::new(card, &self.scene, name, core as usize, rng));
        }
        queues
    }

    fn open_for_business(&mut self) {
        let now = self.scene.now();
        let ports = self.plan.ports.clone();
        let listening = self.plan.listening;
        let options = self.plan.config.tcp.options;
        for core in &mut self.cores {
            core.worker.start(now);
            let outcome = core.worker.with(now, |app, cx| {
                let listens = cx.core() < listening;
                for &port in ports.iter().filter(|_| listens) {
                    if let Err(error) = cx.listen(None, port, options) {
                        return Err(format!("cannot listen to {port}: {error:?}"));
                    }
                }
                let socket = cx.udp_bind(None, datagrams::PORT);
                app.udp.extend(socket);
                Ok(())
            });
            if let Err(text) = outcome {
                self.scene.violate(Check::Worker, text);
            }
        }
    }

    /// Loses everything.
    pub(crate) fn die(&mut self) {
        for core in &mut self.cores {
            core.worker.app_mut().bury();
        }
        self.cores.clear();
        self.observer.forget();
    }

    pub(crate) fn is_up(&self) -> bool {
        !self.cores.is_empty()
    }

    /// A frame arrives at a card.
    pub(crate) fn accept(&mut self, card: usize, frame: Frame) -> Accepted {
        if !self.is_up() {
            return Accepted::Filtered;
        }
        let copy = frame.clone();
        let accepted = self.cards[card].borrow_mut().accept(frame);
        let own = self.plan.config.interfaces[card].mac;
        // A card that hears everything is not its host.
        let is_for_it =
            copy.starts_with(&own.0) || ethernet::parse(&copy).is_ok_and(|it| it.dst.is_group());
        if matches!(accepted, Accepted::Queue(_)) && is_for_it {
            self.observer.delivered(&copy);
        }
        accepted
    }

    /// Polls every core that runs, until nothing is left to do at this moment. What was sent is in
    /// the cards' outboxes.
    pub(crate) fn step(&mut self) {
        let now_us = self.scene.now_us();
        let mut order: Vec<usize> = (0..self.cores.len()).collect();
        let mut is_busy = true;
        for _ in 0..ROUNDS_MAX {
            self.rng.shuffle(&mut order);
            is_busy = false;
            for &core in &order {
                if self.cores[core].stalled_until_us <= now_us {
                    is_busy |= self.turn(core);
                }
            }
            if !is_busy || self.scene.is_violated() {
                break;
            }
        }
        let awake = self.cores.iter().filter(|core| core.stalled_until_us <= now_us);
        let mut deadlines = awake.filter_map(|core| core.worker.next_deadline());
        if !is_busy && deadlines.any(|deadline| deadline <= self.scene.now()) {
            self.scene.violate(Check::Worker, format!("host {} would not sleep", self.number));
        }
    }

    /// One turn of a core; whether another may find work.
    fn turn(&mut self, core: usize) -> bool {
        let now = self.scene.now();
        let Core { worker, .. } = &mut self.cores[core];
        let (turn, allocations) = memory::watch(|| worker.turn(now));
        if allocations > 0 {
            let text = format!("host {} core {core}: {allocations} allocations", self.number);
            self.scene.violate(Check::Allocation, text);
        }
        let queues = (0..self.cards.len()).filter_map(|position| worker.queue(position));
        queues.for_each(SimQueue::check_after_turn);
        self.turns += 1;
        if self.turns.is_multiple_of(CHECK_EVERY) {
            self.check_worker(core);
        }
        let is_busy = turn.received > 0 || turn.sent > 0 || turn.more;
        self.count_turn(is_busy);
        is_busy
    }

    /// A worker that finds work for ever at one moment is stuck.
    fn count_turn(&mut self, is_busy: bool) {
        let now_us = self.scene.now_us();
        if self.turns_now.0 != now_us {
            self.turns_now = (now_us, 0);
        }
        self.turns_now.1 += is_busy as u32;
        if self.turns_now.1 > TURNS_A_MOMENT_MAX {
            self.scene.violate(Check::Worker, format!("host {} never comes to rest", self.number));
        }
    }

    pub(crate) fn check_worker(&self, core: usize) {
        if let Err(error) = self.cores[core].worker.check() {
            let text = format!("host {} core {core}: {error:?}", self.number);
            self.scene.violate(Check::Worker, text);
        }
    }

    /// When the host has to run though no frame arrives.
    pub(crate) fn next_wake_us(&mut self) -> Option<u64> {
        let now_us = self.scene.now_us();
        let mut wake: Option<u64> = None;
        let mut at = |us: u64| wake = Some(wake.map_or(us, |wake| wake.min(us)));
        for (number, core) in self.cores.iter().enumerate() {
            let stalled_us = core.stalled_until_us;
            if stalled_us > now_us {
                at(stalled_us);
                continue;
            }
            if let Some(deadline) = core.worker.next_deadline() {
                at(Scene::us_of(deadline).max(now_us + 1));
            }
            for card in &self.cards {
                let card = card.borrow();
                if card.has_frames(number) {
                    at(now_us + 1);
                }
                if let Some(us) = card.next_write_back(number, now_us) {
                    at(us.max(now_us + 1));
                }
            }
        }
        wake
    }

    /// Sum of an event over all cores.
    pub(crate) fn count(&self, event: Event) -> u64 {
        self.cores.iter().map(|core| core.worker.counters().count(event)).sum()
    }
}

/// What the card is programmed with, and what the workers are told of it.
fn steering(
    config: &Config,
    steering: &Steering,
    rng: &mut Rng,
) -> (Rss, Option<(PortMask, Vec<SteerRule>)>) {
    match steering {
        Steering::FlowDirector(rss) => {
            let (first, last) = config.ephemeral_ports;
            let rules = rfd::Cores::new(config.cores)
                .zip(rfd::PortRange::new(first, last))
                .and_then(|(cores, range)| rfd::steering(cores, config.cores, range).ok())
                .map(|(mask, rules)| (mask, rules.collect()));
            (rss.clone(), rules)
        }
        Steering::Rss(rss) => (rss.clone(), None),
        Steering::Unknown => (crate::plan::rss(config.cores, rng), None),
    }
}

/// Frames that a mailbox holds: few, so that some worlds fill it.
const MAIL_FRAMES: usize = 2;
/// The same where a frame may be as long as five ordinary ones.
const MAIL_FRAMES_JUMBO: usize = 5;
/// Rounds over the cores at one moment of virtual time.
const ROUNDS_MAX: usize = 64;
/// Turns that find work at one moment.
const TURNS_A_MOMENT_MAX: u32 = 20_000;
/// The workers' own check walks all their tables.
const CHECK_EVERY: u64 = 64;
