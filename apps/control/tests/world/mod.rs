//! A machine of one to four cores with the control plane on it, its servers, and a wire that loses,
//! delays, repeats and damages what they say: all of it from one seed, in virtual time. No turn of the
//! machine may allocate.
//!
//! A card brings each datagram to a core that the stack does not know, and everything else to core 0.

mod servers;

use assert_no_alloc::permit_alloc;
use penstock_control::{Application, Link, NameId, Plan, WithControl};
use penstock_stack::{
    App, Close, Config, ConnId, Cx, Datagram, Duration, Instant, ListenerId, SocketOptions, UdpId,
    Worker,
};
use penstock_wire::Addr;
use penstock_world::{BEGIN, Cable, Weather, Wire, core_of, later, watched_turn, workers};

pub(crate) use servers::{Leases, Servers};

/// What a machine is on top: it listens, and remembers what it was told.
pub(crate) struct Tenant {
    names: Vec<String>,
    /// By name, what was told last.
    pub(crate) told: Vec<Option<Vec<Addr>>>,
    pub(crate) closed: Vec<Close>,
    pub(crate) accepted: u32,
}

impl App for Tenant {
    fn on_accept(&mut self, _: &mut Cx<'_>, _: ConnId, _: ListenerId) {
        self.accepted += 1;
    }

    fn on_closed(&mut self, _: &mut Cx<'_>, _: ConnId, reason: Close) {
        permit_alloc(|| self.closed.push(reason));
    }
}

impl Application for Tenant {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn on_name(&mut self, _: &mut Cx<'_>, name: NameId, addresses: &[Addr]) {
        permit_alloc(|| self.told[name.0 as usize] = Some(addresses.to_vec()));
    }
}

pub(crate) type Core = Worker<Cable, WithControl<Tenant>>;

/// The names that the machine wants to know.
pub(crate) const NAMES: [&str; 4] = ["web.example", "alias.example", "big.example", "known"];

pub(crate) struct World {
    pub(crate) cores: Vec<Core>,
    pub(crate) servers: Worker<Cable, Servers>,
    pub(crate) wire: Wire,
    pub(crate) now: Instant,
    pub(crate) lines: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, cores: u16, weather: Weather) -> World {
        let plan = Plan {
            links: vec![Link {
                name: "eth0".into(),
                dhcp: true,
                router_advertisements: true,
                ..Link::default()
            }],
            hostname: "web1".into(),
            tag: "tenant".into(),
            hosts: "10.0.0.200 known\n".into(),
            log: penstock_config::Boot::parse("log=10.0.0.1,local3").machine.log,
            clock: Some((Duration::from_secs(1_795_000_000), "RTC")),
            seed: [seed as u8; 32],
            ..Plan::default()
        };
        let machine = workers(&config(2, cores, vec![], seed as u8), |core, _| {
            let names = NAMES.map(str::to_owned).to_vec();
            let told = vec![None; names.len()];
            WithControl::new(Tenant { names, told, closed: vec![], accepted: 0 }, core, &plan)
        });
        let mut world = World {
            cores: machine,
            servers: servers::worker(&config(1, 1, vec![(SERVER, 24)], seed as u8)),
            wire: Wire::new(seed, weather),
            now: BEGIN,
            lines: vec![],
        };
        for core in &mut world.cores {
            core.with(BEGIN, |app, cx| {
                app.begin(cx);
                cx.listen(None, 80, SocketOptions::default()).expect("free");
            });
        }
        world
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.step(end);
        }
    }

    fn step(&mut self, end: Instant) {
        let mut is_busy = self.servers.turn(self.now).more;
        for core in &mut self.cores {
            is_busy |= watched_turn(core, self.now);
        }
        let now = self.now;
        while let Some(line) = self.cores[0].with(now, |app, cx| app.take_line(cx)) {
            self.lines.push(line.as_str().to_owned());
        }
        let addresses = self.addresses(0);
        self.servers.app().judge(now, &addresses);
        self.collect();
        is_busy |= self.deliver();
        // Whoever has mail is woken.
        is_busy |= self.cores.iter_mut().any(Worker::has_mail);
        let cores = self.cores.iter().map(Worker::next_deadline);
        let rest = [self.servers.next_deadline(), self.wire.arrival()];
        self.now = later(self.now, is_busy, cores.chain(rest), end);
    }

    /// The addresses of a core, link-local ones aside.
    pub(crate) fn addresses(&mut self, core: usize) -> Vec<Addr> {
        let now = self.now;
        let mut all = self.cores[core].with(now, |_, cx| {
            let own = cx.addresses(0).map(|(addr, _)| addr);
            own.filter(|addr| !addr.is_link_local_v6()).collect::<Vec<_>>()
        });
        all.sort();
        all
    }

    fn collect(&mut self) {
        let World { cores, servers, wire, now, .. } = self;
        let machine = cores.iter_mut().filter_map(|core| core.queue_mut(0));
        machine.flat_map(Cable::take).for_each(|frame| wire.carry(*now, 2, frame));
        let by_hand = servers.app_mut().take_frames(*now);
        let queue = servers.queue_mut(0).map(Cable::take).unwrap_or_default();
        queue.into_iter().chain(by_hand).for_each(|frame| wire.carry(*now, 1, frame));
    }

    /// Whether anything has arrived by now.
    fn deliver(&mut self) -> bool {
        let mut any = false;
        while let Some((from, frame)) = self.wire.arrived(self.now) {
            any = true;
            if from == 1 {
                let core = core_of(&frame, self.cores.len()).unwrap_or(0);
                self.cores[core].queue_mut(0).expect("one").feed(frame);
            } else if !self.servers.app_mut().hear(self.now, &frame) {
                self.servers.queue_mut(0).expect("one").feed(frame);
            }
        }
        any
    }
}

/// A host with these addresses.
fn config(last: u8, cores: u16, addresses: Vec<(Addr, u8)>, seed: u8) -> Config {
    let mut config = penstock_world::config(last, cores, 64, 512);
    config.interfaces[0].addresses = addresses;
    config.seed = [seed ^ last; 32];
    config
}

pub(crate) const SERVER: Addr = Addr::v4(0x0a00_0001);
