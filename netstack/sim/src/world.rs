//! A world at work: an event queue in virtual time, and everything that hangs on it.
//!
//! ```text
//!   host ▸ card ▸ link (faults) ▸ LAN ▸ card ▸ host
//!                                  └──▸ router ▸ link ▸ LAN …
//! ```
//! Events of one moment run in the order in which they were scheduled, so a seed is a story.

mod ending;
mod events;
mod outcome;

use std::rc::Rc;

use penstock_wire::ethernet;

use crate::card::Accepted;
use crate::foreign::Foreign;
use crate::frame::Frame;
use crate::heckler::Heckler;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::link::Link;
use crate::plan::{HostKind, Incident, Plan, What};
use crate::router::Router;
use crate::scene::{Check, Scene};
use crate::trace::Trace;
use events::{Event, Events};
pub use outcome::Outcome;
use penstock_fault::Rng;

/// A world that can be run once.
pub struct World {
    plan: Plan,
    scene: Rc<Scene>,
    events: Events,
    stations: Vec<Station>,
    ports: Vec<Port>,
    heckler: Option<Heckler>,
    rng: Rng,
    trace: Trace,
    are_faults_over: bool,
}

/// Whoever is attached to LANs.
enum Station {
    Host(Box<Host>),
    Foreign(Box<Foreign>),
    Router(Box<Router>),
}

/// Where a station is attached to a LAN.
struct Port {
    lan: usize,
    station: usize,
    /// The station's own number for it.
    position: usize,
    mac: penstock_wire::Mac,
    mtu: u16,
    link: Link,
    is_cut: bool,
    /// Frames that a cut cable did not deliver.
    lost_down: u64,
}

impl World {
    /// Builds the world of a plan.
    pub fn new(plan: Plan, trace: Trace) -> World {
        let scene = Scene::new(Ledger::new(&plan.conversations), trace.tells_story());
        let mut world = World {
            scene: Rc::clone(&scene),
            events: Events::default(),
            stations: Vec::new(),
            ports: Vec::new(),
            heckler: None,
            rng: Rng::new(plan.seed, "world"),
            trace,
            are_faults_over: false,
            plan,
        };
        world.attach_hosts();
        world.attach_routers();
        world.attach_heckler();
        world.schedule();
        world
    }

    fn attach_hosts(&mut self) {
        let seed = self.plan.seed;
        let delays =
            |incident: &Incident| matches!(incident.what, What::Stall { .. } | What::Choke { .. });
        let is_undisturbed = !self.plan.incidents.iter().any(delays);
        for (number, host) in self.plan.hosts.clone().into_iter().enumerate() {
            for (position, interface) in host.config.interfaces.iter().enumerate() {
                let rng = Rng::new(seed, &format!("link {number} {position}"));
                self.ports.push(Port {
                    lan: host.lans[position],
                    station: number,
                    position,
                    mac: interface.mac,
                    mtu: interface.mtu,
                    link: Link::new(host.faults[position], rng),
                    is_cut: false,
                    lost_down: 0,
                });
            }
            self.stations.push(match host.kind {
                HostKind::Penstock => Station::Host(Box::new(Host::new(
                    &self.scene,
                    number,
                    host,
                    seed,
                    is_undisturbed,
                ))),
                HostKind::Smoltcp => {
                    Station::Foreign(Box::new(Foreign::new(&self.scene, number, host, seed)))
                }
            });
        }
    }

    fn attach_routers(&mut self) {
        let mut known = Vec::new();
        for host in &self.plan.hosts {
            for interface in &host.config.interfaces {
                known.extend(interface.addresses.iter().map(|(addr, _)| (*addr, interface.mac)));
            }
        }
        for (router, _) in &self.plan.routers {
            for port in &router.ports {
                known.extend(port.addresses.iter().map(|addr| (*addr, port.mac)));
            }
        }
        for (number, (router, faults)) in self.plan.routers.clone().into_iter().enumerate() {
            for (position, port) in router.ports.iter().enumerate() {
                let purpose = format!("router link {number} {position}");
                self.ports.push(Port {
                    lan: port.lan,
                    station: self.stations.len(),
                    position,
                    mac: port.mac,
                    mtu: port.mtu,
                    link: Link::new(faults, Rng::new(self.plan.seed, &purpose)),
                    is_cut: false,
                    lost_down: 0,
                });
            }
            self.stations.push(Station::Router(Box::new(Router::new(router, known.clone()))));
        }
    }

    fn attach_heckler(&mut self) {
        let Some((lan, _)) = self.plan.heckler else { return };
        let mut victims = Vec::new();
        for host in self.plan.hosts.iter().filter(|host| host.kind == HostKind::Penstock) {
            for (position, interface) in host.config.interfaces.iter().enumerate() {
                if host.lans[position] == lan {
                    victims
                        .extend(interface.addresses.iter().map(|(addr, _)| (interface.mac, *addr)));
                }
            }
        }
        let rng = Rng::new(self.plan.seed, "heckler");
        self.heckler = Some(Heckler::new(lan, victims, rng));
        self.events.at(1_000, Event::Heckle);
    }

    fn schedule(&mut self) {
        for station in 0..self.stations.len() {
            self.events.at(0, Event::Run(station));
        }
        for (number, conversation) in self.plan.conversations.iter().enumerate() {
            self.events.at(conversation.at_us, Event::Start(number as u32));
        }
        for (number, question) in self.plan.questions.iter().enumerate() {
            self.events.at(question.at_us, Event::Ask(number as u32));
        }
        for incident in &self.plan.incidents {
            self.events.at(incident.at_us, Event::Begin(incident.what));
        }
        self.events.at(self.plan.faults_end_us, Event::Calm);
    }

    /// Runs until everything has ended, or a rule is broken, or time is up.
    pub fn run(mut self) -> Outcome {
        while let Some((at_us, event)) = self.events.next() {
            if at_us > self.plan.ends_by_us {
                break;
            }
            self.scene.set_now(at_us);
            self.handle(event);
            if self.scene.is_violated() {
                break;
            }
            if self.are_faults_over && !self.events.has_work() && self.is_over() {
                break;
            }
        }
        self.conclude()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive { lan, from, frame } => self.arrive(lan, from, frame),
            Event::Run(station) => self.run_station(station),
            Event::Wake(station) => {
                // Only the latest alarm counts.
                if self.events.alarm(station) == Some(self.scene.now_us()) {
                    self.run_station(station);
                }
            }
            Event::Start(conversation) => self.start(conversation),
            Event::Ask(question) => self.ask(question),
            Event::Begin(what) => self.begin(what),
            Event::Finish(what) => self.finish(what),
            Event::Calm => self.calm(),
            Event::Heckle => self.heckle(),
        }
    }

    /// A frame has crossed a link and is on a LAN.
    fn arrive(&mut self, lan: usize, from: usize, frame: Frame) {
        let Ok(header) = ethernet::parse(&frame) else { return };
        let is_known = self.ports.iter().any(|port| port.lan == lan && port.mac == header.dst);
        let to_all = header.dst.is_group() || !is_known || self.plan.is_hub;
        for at in 0..self.ports.len() {
            let port = &mut self.ports[at];
            if port.lan != lan || at == from || !(to_all || port.mac == header.dst) {
                continue;
            }
            if port.is_cut {
                port.lost_down += 1;
                continue;
            }
            self.deliver(at, frame.clone());
        }
    }

    fn deliver(&mut self, port: usize, frame: Frame) {
        let Port { station, position, .. } = self.ports[port];
        self.trace.frame(self.scene.now_us(), port, '<', &frame);
        match &mut self.stations[station] {
            Station::Host(host) => {
                if let Accepted::Queue(_) = host.accept(position, frame) {
                    let delay_us = self.rng.below(self.plan.poll_delay_us + 1);
                    self.wake(station, self.scene.now_us() + delay_us);
                }
            }
            Station::Foreign(foreign) => {
                foreign.accept(frame);
                self.run_station(station);
            }
            Station::Router(router) => {
                let mut sent = Vec::new();
                router.receive(position, frame, |out, frame| sent.push((out, frame)));
                let ports = self.ports.len();
                for (out, frame) in sent {
                    let is_out = |at: &usize| {
                        self.ports[*at].station == station && self.ports[*at].position == out
                    };
                    if let Some(at) = (0..ports).find(is_out) {
                        self.transmit(at, frame);
                    }
                }
            }
        }
    }

    /// A frame leaves a station.
    fn transmit(&mut self, at: usize, frame: Frame) {
        let now_us = self.scene.now_us();
        self.trace.frame(now_us, at, '>', &frame);
        let Port { lan, ref mut link, .. } = self.ports[at];
        let events = &mut self.events;
        link.carry(now_us, frame, |at_us, frame| {
            events.at(at_us, Event::Arrive { lan, from: at, frame });
        });
    }

    /// Lets a station run, carries away what it sent, and sets its alarm.
    fn run_station(&mut self, number: usize) {
        let mut sent = Vec::new();
        let wake_us = match &mut self.stations[number] {
            Station::Host(host) => {
                if !host.is_up() {
                    return;
                }
                host.step();
                for (position, card) in host.cards.iter().enumerate() {
                    let outbox = std::mem::take(&mut card.borrow_mut().outbox);
                    sent.extend(outbox.into_iter().map(|frame| (position, frame)));
                }
                host.next_wake_us()
            }
            Station::Foreign(foreign) => {
                foreign.step();
                sent.extend(foreign.take_sent().into_iter().map(|frame| (0, frame)));
                foreign.next_wake_us()
            }
            Station::Router(_) => return,
        };
        for (position, frame) in sent {
            let is_ours = |port: &Port| port.station == number && port.position == position;
            let Some(at) = self.ports.iter().position(is_ours) else { continue };
            if let Station::Host(host) = &mut self.stations[number] {
                host.observer.sent(&frame, self.ports[at].mtu);
            }
            self.transmit(at, frame);
        }
        self.events.set_alarm(number, wake_us);
    }

    fn wake(&mut self, station: usize, at_us: u64) {
        self.events.set_alarm_earlier(station, at_us);
    }

    fn start(&mut self, conversation: u32) {
        let (host, core) = self.plan.conversations[conversation as usize].from;
        match &mut self.stations[host] {
            Station::Host(at) if at.is_up() => {
                let now = self.scene.now();
                let core = &mut at.cores[core as usize];
                core.worker.with(now, |app, cx| app.start(cx, conversation));
            }
            Station::Foreign(foreign) => foreign.start(conversation),
            _ => {
                let mut ledger = self.scene.ledger.borrow_mut();
                let record = ledger.record(conversation);
                record.is_started = true;
                record.initiator.end = Some(crate::ledger::End::HostDied);
                return;
            }
        }
        self.run_station(host);
    }

    fn ask(&mut self, number: u32) {
        let question = self.plan.questions[number as usize];
        let (host, core) = question.from;
        let now = self.scene.now();
        if let Station::Host(at) = &mut self.stations[host]
            && at.is_up()
        {
            let worker = &mut at.cores[core as usize].worker;
            worker.with(now, |app, cx| crate::datagrams::ask(app, cx, number, &question));
            self.run_station(host);
        }
    }

    fn begin(&mut self, what: What) {
        let now_us = self.scene.now_us();
        self.scene.tell(|| format!("{what:?} begins"));
        let (host, for_us) = match what {
            What::Reboot { host, down_us } => {
                if let Station::Host(at) = &mut self.stations[host] {
                    at.die();
                    self.events.set_alarm(host, None);
                    self.events.at(now_us + down_us, Event::Finish(what));
                }
                return;
            }
            What::Die { host } => {
                if let Station::Host(at) = &mut self.stations[host] {
                    at.die();
                    self.events.set_alarm(host, None);
                }
                return;
            }
            What::Partition { host, for_us } => {
                self.cut(host, true);
                (host, for_us)
            }
            What::Stall { host, core, for_us } => {
                if let Station::Host(at) = &mut self.stations[host]
                    && let Some(core) = at.cores.get_mut(core as usize)
                {
                    core.stalled_until_us = now_us + for_us;
                }
                (host, for_us)
            }
            What::Choke { host, for_us } => {
                if let Station::Host(at) = &mut self.stations[host] {
                    for card in &at.cards {
                        card.borrow_mut().choked_until_us = now_us + for_us;
                    }
                }
                (host, for_us)
            }
        };
        self.events.at(now_us + for_us, Event::Finish(what));
        self.wake(host, now_us);
    }

    fn finish(&mut self, what: What) {
        self.scene.tell(|| format!("{what:?} is over"));
        match what {
            What::Reboot { host, .. } => {
                if let Station::Host(at) = &mut self.stations[host] {
                    at.boot();
                }
                self.run_station(host);
            }
            What::Die { .. } => {}
            What::Partition { host, .. } => self.cut(host, false),
            What::Stall { host, .. } | What::Choke { host, .. } => {
                self.wake(host, self.scene.now_us());
            }
        }
    }

    fn cut(&mut self, host: usize, is_cut: bool) {
        for port in self.ports.iter_mut().filter(|port| port.station == host) {
            port.is_cut = is_cut;
            port.link.is_cut = is_cut;
        }
    }

    fn calm(&mut self) {
        self.are_faults_over = true;
        self.heckler = None;
        for port in &mut self.ports {
            port.link.faults = port.link.faults.calmed();
        }
        self.scene.tell(|| "faults stop".to_owned());
    }

    fn heckle(&mut self) {
        let (Some(heckler), Some((lan, every_us))) = (&mut self.heckler, self.plan.heckler) else {
            return;
        };
        let mut frame = None;
        if self.rng.percent(30) {
            let victim = self.rng.below(self.plan.hosts.len() as u64) as usize;
            if let Station::Host(host) = &self.stations[victim] {
                let hint = host.observer.hint(&mut self.rng);
                frame = hint.and_then(|hint| heckler.strike(hint));
            }
        }
        if let Some(frame) = frame.or_else(|| heckler.heckle()) {
            self.trace.frame(self.scene.now_us(), usize::MAX, '!', &frame);
            self.arrive(lan, usize::MAX, frame);
        }
        let next_us = self.scene.now_us() + 1 + self.rng.below(every_us * 2);
        self.events.at(next_us, Event::Heckle);
    }

    /// Whether every conversation has ended, on both sides and in the applications' own books.
    fn is_over(&self) -> bool {
        if !self.scene.ledger.borrow().records.iter().all(|record| record.is_over()) {
            return false;
        }
        self.stations.iter().all(|station| match station {
            Station::Host(host) => {
                host.cores.iter().all(|core| core.worker.app().open_count() == 0)
            }
            Station::Foreign(foreign) => foreign.open_count() == 0,
            Station::Router(_) => true,
        })
    }

    fn violate(&self, check: Check, text: String) {
        self.scene.violate(check, text);
    }
}
