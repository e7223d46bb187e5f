//! What applications cost on the stack. The demo server: short connections, kept ones, long answers
//! and long requests, and its proxy mode. The proxy in `mode tcp`: short connections and long answers
//! where no more is asked of it than that, and short connections with what people configure.

use std::fmt;

use penstock_config::Boot;
use penstock_config::haproxy::grammar::{File, Files, Input};
use penstock_control::{Link, Plan, WithControl};
use penstock_proxy::Proxy;
use penstock_queue::Chunks;
use penstock_server::{Arguments, Server};
use penstock_stack::rfd::Cores;
use penstock_stack::{App, Capacity, Endpoint, Instant, Worker, mail};
use penstock_wire::{Addr, Mac, ethernet, icmp, ip};
use stats_alloc::Region;

use crate::ALLOCATOR;
use crate::callgrind::{self, Cost, Detail};
use crate::card::{Card, ChecksumBy};
use crate::counterpart::{self, Counterpart, Errand};
use crate::frames::Family;
use crate::penstock::config;
use crate::report::{Better, Figure, Kept, Report};
use crate::subject::{Population, Subject};
use crate::world::{Meter, World};

/// A row: what the server is, and what its clients want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    name: &'static str,
    what: What,
    errand: Errand,
    request: &'static [u8],
    clients: u16,
    /// What is counted, and how many of it while the meter is on.
    unit: &'static str,
    units: u64,
}

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The demo server, with these options.
    Server(&'static str),
    /// The demo server, and beneath it a control plane at work: it asks DHCP servers and routers for
    /// addresses and name servers for a name, and nobody answers.
    ServerOnControl,
    /// The same, and all that arrives are router advertisements, one in each turn.
    Advertised,
    /// The proxy, with this configuration.
    Proxy(&'static str),
}

/// What was measured of a row.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// The row.
    pub service: Service,
    /// How many units.
    pub units: u64,
    /// Frames, both ways.
    pub frames: u64,
    /// Allocations, which there should be none of.
    pub allocations: u64,
    /// What callgrind counted.
    pub cost: Cost,
}

impl Service {
    /// Every row, in the order of the table.
    pub const ALL: [Service; 13] = [
        Service {
            name: "server-short",
            what: What::Server(""),
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 16,
            unit: "connection",
            units: 4096,
        },
        Service {
            name: "server-short-control",
            what: What::ServerOnControl,
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 16,
            unit: "connection",
            units: 4096,
        },
        Service {
            name: "control-advertised",
            what: What::Advertised,
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 0,
            unit: "turn",
            units: 4096,
        },
        Service {
            name: "server-kept",
            what: What::Server("-k"),
            errand: Errand::Again,
            request: counterpart::AGAIN,
            clients: 16,
            unit: "request",
            units: 16_384,
        },
        Service {
            name: "server-down",
            what: What::Server("-k"),
            errand: Errand::Hear,
            request: counterpart::HEAR,
            clients: 4,
            unit: "KB",
            units: 40_960,
        },
        Service {
            name: "server-up",
            what: What::Server("-k"),
            errand: Errand::Speak,
            request: counterpart::SPEAK,
            clients: 4,
            unit: "KB",
            units: 40_960,
        },
        Service {
            name: "proxy-short",
            what: What::Server("-x 10.64.0.1:80"),
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 16,
            unit: "connection",
            units: 4096,
        },
        Service {
            name: "proxy-down",
            what: What::Server("-x 10.64.0.1:80"),
            errand: Errand::Hear,
            request: counterpart::HEAR,
            clients: 4,
            unit: "KB",
            units: 40_960,
        },
        Service {
            name: "tcp-short",
            what: What::Proxy(BARE),
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 16,
            unit: "connection",
            units: 4096,
        },
        Service {
            name: "tcp-short-c1",
            what: What::Proxy(BARE),
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 1,
            unit: "connection",
            units: 4096,
        },
        Service {
            name: "tcp-short-c256",
            what: What::Proxy(BARE),
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 256,
            unit: "connection",
            units: 16_384,
        },
        Service {
            name: "tcp-short-configured",
            what: What::Proxy(CONFIGURED),
            errand: Errand::Once,
            request: counterpart::ONCE,
            clients: 16,
            unit: "connection",
            units: 4096,
        },
        Service {
            name: "tcp-down",
            what: What::Proxy(BARE),
            errand: Errand::Hear,
            request: counterpart::HEAR,
            clients: 4,
            unit: "KB",
            units: 40_960,
        },
    ];

    /// The row of this name.
    pub fn named(name: &str) -> Option<Service> {
        Service::ALL.into_iter().find(|service| service.name == name)
    }

    /// What is counted.
    pub fn unit(&self) -> &'static str {
        self.unit
    }

    /// Runs the row inside callgrind and prints what was counted.
    ///
    /// # Errors
    /// What went wrong.
    pub fn inside(&self) -> Result<(), String> {
        match self.what {
            What::Server(options) => self.inside_with(Serving::server(options)),
            What::ServerOnControl => self.inside_with(Serving::server_on_control()),
            What::Advertised => self.inside_advertised(Serving::server_on_control()),
            What::Proxy(text) => self.inside_with(Serving::proxy(text)),
        }
    }

    fn inside_with<A: App>(&self, serving: Serving<A>) -> Result<(), String> {
        let mut world = World::new(serving, Family::V4);
        let mut counterpart = Counterpart::new(self.errand, self.clients, self.request);
        // Every answer is looked at while warming up, and never while measuring.
        world.subject.card().set_checking(true);
        run(&mut world, &mut counterpart, Meter::Off, self.units / 4)?;
        world.subject.card().set_checking(false);
        run(&mut world, &mut counterpart, Meter::Off, self.units / 4)?;
        let (units, frames) = (counterpart.units(), counterpart.frames());
        let region = Region::new(ALLOCATOR);
        run(&mut world, &mut counterpart, Meter::Instructions, self.units)?;
        let heap = region.change();
        let (units, frames) = (counterpart.units() - units, counterpart.frames() - frames);
        let allocations = heap.allocations + heap.reallocations;
        println!("units={units} frames={frames} allocations={allocations}");
        Ok(())
    }

    /// Turns, in each of which a router advertises a prefix.
    fn inside_advertised<A: App>(&self, serving: Serving<A>) -> Result<(), String> {
        let mut world = World::new(serving, Family::V4);
        let frame = advertisement();
        let mut turns = |meter, units| {
            let region = Region::new(ALLOCATOR);
            for _ in 0..units {
                let write = |slot: &mut [u8]| {
                    slot[..frame.len()].copy_from_slice(&frame);
                    frame.len()
                };
                if !world.subject.card().deliver(write) {
                    return Err("the card is full".to_owned());
                }
                world.turn(meter);
                world.subject.drain(|_| ());
            }
            let heap = region.change();
            Ok(heap.allocations + heap.reallocations)
        };
        turns(Meter::Off, self.units / 4)?;
        let allocations = turns(Meter::Instructions, self.units)?;
        println!("units={} frames={} allocations={allocations}", self.units, self.units);
        Ok(())
    }

    /// Measures the row, in a process of its own.
    ///
    /// # Errors
    /// Why it could not be measured.
    pub fn measure(&self) -> Result<Served, String> {
        let run = callgrind::run(&["--inside-app", self.name], Detail::Caches)?;
        let number = |name| run.number(name).ok_or_else(|| format!("{self} printed no {name}"));
        Ok(Served {
            service: *self,
            units: number("units")?,
            frames: number("frames")?,
            allocations: number("allocations")?,
            cost: *run.costs.first().ok_or("callgrind wrote no totals")?,
        })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Served {
    /// `of` per unit.
    pub fn per_unit(&self, of: u64) -> f64 {
        of as f64 / self.units as f64
    }
}

/// Measures every row, and adds rows and figures.
pub fn all(report: &mut Report) {
    for service in Service::ALL {
        match service.measure() {
            Ok(served) => report.served.push(served),
            Err(why) => report.failures.push(why),
        }
    }
    let instructions = |name: &str| {
        let served = report.served.iter().find(|served| served.service.name == name);
        served.map_or(f64::NAN, |served| served.per_unit(served.cost.instructions))
    };
    let figure = |name, value, bounds| Figure {
        name,
        value,
        better: Better::Less,
        bounds,
        kept: Kept::Exact(0),
    };
    let figures = [
        figure(
            "instructions, short connection to the demo server",
            instructions("server-short"),
            [6000.0, 3000.0, 1500.0],
        ),
        figure(
            "instructions, what a control plane at work adds to it",
            instructions("server-short-control") - instructions("server-short"),
            [60.0, 30.0, 0.0],
        ),
        figure(
            "instructions, a turn with a router's advertisement",
            instructions("control-advertised"),
            [20_000.0, 5000.0, 2000.0],
        ),
        figure(
            "instructions, proxied short connection",
            instructions("proxy-short"),
            [12_000.0, 8000.0, 4000.0],
        ),
        figure(
            "instructions, short connection through the proxy, mode tcp",
            instructions("tcp-short"),
            [11_400.0, 8000.0, 4000.0],
        ),
        figure(
            "instructions, the same with log, limits, leastconn, checks",
            instructions("tcp-short-configured"),
            [15_200.0, 12_000.0, 6000.0],
        ),
        figure(
            "allocations while running, all applications",
            report.served.iter().map(|served| served.allocations).sum::<u64>() as f64,
            [0.0; 3],
        ),
    ];
    report.figures.extend(figures);
}

/// Runs until `units` more are done.
fn run<A: App>(
    world: &mut World<Serving<A>>,
    counterpart: &mut Counterpart,
    meter: Meter,
    units: u64,
) -> Result<(), String> {
    let end = counterpart.units() + units;
    let mut silent_us = 0;
    while counterpart.units() < end {
        let frames = counterpart.frames();
        counterpart.fill(world.subject.card());
        world.turn(meter);
        world.subject.drain(|frame| counterpart.receive(frame));
        if let Some(failure) = counterpart.failure() {
            return Err(format!("{failure} ({})", world.subject.explain()));
        }
        let is_silent = counterpart.frames() == frames;
        silent_us = if is_silent { silent_us + world.step_us } else { 0 };
        if silent_us > SILENCE_US_MAX {
            return Err(format!("the server fell silent ({})", world.subject.explain()));
        }
    }
    Ok(())
}

/// A worker with an application on it.
struct Serving<A: App> {
    worker: Worker<Card, A>,
    /// What the application has done, for a message.
    explain: fn(&Worker<Card, A>) -> String,
}

impl<A: App> Serving<A> {
    fn new(app: impl FnOnce(&Capacity) -> A, explain: fn(&Worker<Card, A>) -> String) -> Self {
        let capacity = Capacity::default();
        let post = mail::network(Cores::new(1).expect("one core is allowed"), 1).remove(0);
        let queues = vec![Card::new(ChecksumBy::Card)];
        let chunks = Chunks::new(capacity.chunks);
        let app = app(&capacity);
        let mut worker = Worker::new(config(capacity), 0, queues, chunks, post, app)
            .expect("the configuration is valid");
        worker.start(Instant(1));
        Serving { worker, explain }
    }
}

impl Serving<Server> {
    fn server(options: &str) -> Serving<Server> {
        let words: Vec<&str> = options.split_whitespace().collect();
        let arguments = Arguments::parse(&words).expect("the rows' options are good");
        let app = |capacity: &Capacity| Server::new(arguments, capacity);
        let explain =
            |worker: &Worker<Card, Server>| worker.app().statistics(worker.counters()).to_string();
        let mut serving = Serving::new(app, explain);
        serving.worker.with(Instant(1), |app, cx| app.start(cx)).expect("the ports are free");
        serving
    }
}

impl Serving<WithControl<Server>> {
    fn server_on_control() -> Serving<WithControl<Server>> {
        let arguments = Arguments::parse(&[""; 0]).expect("no options are good options");
        let link = Link { dhcp: true, router_advertisements: true, ..Link::default() };
        let plan = Plan {
            links: vec![link],
            dns: vec![Endpoint { addr: Addr::v4(0x0a40_0001), port: 53 }],
            log: Boot::parse("log=name.example").machine.log,
            ..Plan::default()
        };
        let app =
            |capacity: &Capacity| WithControl::new(Server::new(arguments, capacity), 0, &plan);
        let explain = |worker: &Worker<Card, WithControl<Server>>| {
            worker.app().app().statistics(worker.counters()).to_string()
        };
        let mut serving = Serving::new(app, explain);
        let started = serving.worker.with(Instant(1), |app, cx| {
            app.begin(cx);
            app.app_mut().start(cx)
        });
        started.expect("the ports are free");
        serving
    }
}

impl Serving<Proxy> {
    fn proxy(text: &str) -> Serving<Proxy> {
        // Examples have the servers on the link and ports of their own.
        let text = text.replace("10.0.0.", "10.64.0.").replace(":7000", ":80");
        let file = File { name: "bench.cfg", bytes: text.as_bytes() };
        let delivered = [file];
        let delivered: &dyn Files = &&delivered[..];
        let read = penstock_proxy::read(&Input { delivered, ..Input::of(&[file]) });
        assert!(read.messages.is_empty(), "{:?}", read.messages);
        let setup = read.setup.expect("the row's configuration is good");
        let cards = setup.cards(|_| None).expect("it names none");
        let app = |capacity: &Capacity| Proxy::new(setup, cards, 0, 1, capacity);
        let explain = |worker: &Worker<Card, Proxy>| worker.app().statistics().to_string();
        let mut serving = Serving::new(app, explain);
        serving.worker.with(Instant(1), |app, cx| app.start(cx)).expect("the ports are free");
        serving
    }
}

/// A router's advertisement of fd00::/64, whole.
fn advertisement() -> Vec<u8> {
    let prefix = icmp::Prefix {
        addr: Addr { hi: 0xfd << 56, lo: 0 },
        bits: 64,
        on_link: true,
        autonomous: true,
        valid_seconds: 3600,
        preferred_seconds: 3600,
    };
    let said =
        icmp::Advertised { lifetime_seconds: 1800, prefix: Some(prefix), ..Default::default() };
    let (src, dst) = (Addr { hi: 0xfe80 << 48, lo: 1 }, Addr::ALL_NODES);
    let mut frame = vec![0; 256];
    let at = ethernet::HEADER_BYTES + ip::V6_HEADER_BYTES;
    let message = icmp::Outgoing::RouterAdvertisement(said);
    let payload_bytes = icmp::emit(&mut frame[at..], &message, src, dst);
    let header = ip::HeaderV6 {
        src,
        dst,
        protocol: ip::ICMPV6,
        payload_bytes: payload_bytes as u16,
        hop_limit: icmp::NDP_HOP_LIMIT,
        traffic_class: 0,
        flow_label: 0,
    };
    ip::emit_v6(&mut frame[ethernet::HEADER_BYTES..], &header);
    let router = Mac([2, 0, 0, 0, 0, 0xfe]);
    ethernet::emit(&mut frame, Mac::from_group(dst), router, ethernet::IPV6);
    frame.truncate(at + payload_bytes);
    frame
}

impl<A: App> Subject for Serving<A> {
    fn card(&mut self) -> &mut Card {
        self.worker.queue_mut(0).expect("there is one interface")
    }

    fn poll(&mut self, now_us: u64) {
        self.worker.turn(Instant(now_us));
    }

    fn population(&self) -> Population {
        let census = self.worker.census();
        Population {
            connections: census.connections as u64,
            half_open: census.half_open as u64,
            time_wait: census.time_wait as u64,
            buffers: census.flights as u64,
        }
    }

    fn explain(&self) -> String {
        let counters = self.worker.counters().iter().filter(|(_, count)| *count > 0);
        let counters: Vec<String> =
            counters.map(|(name, count)| format!("{name} {count}")).collect();
        let statistics = (self.explain)(&self.worker);
        format!("{statistics}; {:?}; {}", self.population(), counters.join(", "))
    }
}

/// Longer than any wait that a lossless ring should ever need.
const SILENCE_US_MAX: u64 = 10_000_000;

/// One server, and nothing that could be left out.
const BARE: &str = "
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen app
    bind :80
    server s 10.64.0.1:80
";

/// What somebody would run: checks, limits, a choice of servers, and a line of log for each session.
const CONFIGURED: &str = include_str!("../../examples/tcp-failover.cfg");
