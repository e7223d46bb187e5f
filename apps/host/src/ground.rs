//! The ground under the workers: TAP devices, opened, and everything that is made once for all cores.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use penstock_config::{Card, Idle, Machine, Steer};
use penstock_control::{Application, Plan, WithControl};
use penstock_fault::FaultyQueue;
use penstock_proxy::Needs;
use penstock_queue::Chunks;
use penstock_stack::mail::{self, Post};
use penstock_stack::{Capacity, Config, Duration, Steering, Worker, rfd};
use penstock_tap::{Tap, TapQueue};
use penstock_wire::Mac;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::bell::Bell;
use crate::boot::lines;
use crate::core_loop::{Core, Orders, Queue, Service};
use crate::house::{House, Manners};
use crate::report::say;

/// The devices, opened, and what the stack is to know.
pub(crate) struct Ground {
    taps: Vec<Tap>,
    cards: Vec<Card>,
    config: Config,
    cores: rfd::Cores,
    /// What the control plane is told.
    plan: Plan,
}

impl Ground {
    /// Opens a queue of each device for each core.
    ///
    /// # Errors
    /// All that is wrong, a line for each.
    pub(crate) fn open(machine: &Machine, names: &[String]) -> Result<Ground, Vec<String>> {
        let available = thread::available_parallelism().map_or(1, |count| count.get());
        let count = available.min(machine.maxcpus.unwrap_or(rfd::CORES_MAX) as usize) as u16;
        let cores = rfd::Cores::new(count).ok_or_else(|| vec!["no cores".to_owned()])?;
        let mut taps = Vec::new();
        let mut errors = Vec::new();
        for name in names {
            match Tap::open(name, count) {
                Ok(tap) => taps.push(tap),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for Tap { name, mtu, mac, is_down, .. } in &taps {
            say(format_args!("tap {name}: mtu {mtu}, station {mac}, queues {count}"));
            if *is_down {
                say(format_args!("tap {name}: its other end is down: ip link set {name} up"));
            }
        }
        let cards: Vec<Card> = taps.iter().map(card).collect();
        let (config, plan) = assemble(machine, &cards, count)?;
        Ok(Ground { taps, cards, config, cores, plan })
    }

    /// The station of the first device, at our end.
    pub(crate) fn station(&self) -> Option<Mac> {
        self.taps.first().map(|tap| tap.mac)
    }

    /// The number of the device of this name, or of `ethN`.
    pub(crate) fn find_card(&self, name: &str) -> Option<u8> {
        Card::find(&self.cards, name)
    }

    /// How many cores there are to be.
    pub(crate) fn cores(&self) -> u16 {
        self.cores.count()
    }

    /// The bounds of each.
    pub(crate) fn capacity(&self) -> Capacity {
        self.config.capacity
    }

    /// Each core has this capacity, and the proxy what it needs.
    ///
    /// # Errors
    /// This machine has no memory for the proxy: Linux would find out only when it is used.
    pub(crate) fn holds(&mut self, capacity: Capacity, needs: &Needs) -> Result<(), Vec<String>> {
        self.config.capacity = capacity;
        let cores = self.cores();
        let needed: usize = (0..cores).map(|core| needs.bytes(core, capacity.connections)).sum();
        let (needed, available) = (needed >> 10, available_kib().unwrap_or(usize::MAX));
        if needed <= available {
            return Ok(());
        }
        Err(vec![format!(
            "memory: {available} KiB are left for {cores} cores: expected {needed} ({needs})"
        )])
    }

    /// Builds a worker for each core, and lets them go.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn settle<A: Service + Application + 'static>(
        self,
        machine: &Machine,
        app: impl Fn(u16) -> A,
        manners: Manners,
        log: Option<File>,
    ) -> Result<House, Vec<String>> {
        let Ground { taps, cards: _, config, cores, plan } = self;
        let told = |error: io::Error| vec![error.to_string()];
        let bells: Result<Vec<Bell>, io::Error> = (0..cores.count()).map(|_| Bell::new()).collect();
        let orders = Orders {
            bells: bells.map_err(told)?,
            stop: AtomicBool::new(false),
            end: AtomicBool::new(false),
            reports: AtomicU32::new(0),
            drained: AtomicUsize::new(0),
            epoch: Instant::now(),
            polls: machine.idle == Idle::Poll,
            log,
        };
        let mut lanes = lanes(taps, cores);
        let mut built = Vec::new();
        for (number, post) in (0..).zip(mail::network(cores, MAIL_FRAMES)) {
            let lane = lanes.remove(0);
            let files: io::Result<Vec<OwnedFd>> =
                lane.iter().map(|(queue, _)| queue.file().try_clone_to_owned()).collect();
            let wrap = |(queue, post)| {
                let what = (machine.faults, machine.steer);
                FaultyQueue::new(queue, what, (number, cores.count()), post)
            };
            let queues: Vec<Queue> = lane.into_iter().map(wrap).collect();
            let chunks = Chunks::new(config.capacity.chunks);
            let app = WithControl::new(app(number), number, &plan);
            let worker = Worker::new(config.clone(), number, queues, chunks, post, app);
            let worker = worker.map_err(|error| vec![error.to_string()])?;
            built.push((number, worker, files.map_err(told)?));
        }
        // The time of none begins while another is built: its first checks would be late already.
        let mut ready = Vec::new();
        for (number, mut worker, files) in built {
            worker.start(orders.now());
            let started = worker.with(orders.now(), |app, cx| app.start(cx));
            started.map_err(|line| vec![line])?;
            let mut core = Core::new(number, worker, files);
            core.say_lines(orders.now());
            ready.push(core);
        }
        House::open(ready, orders, manners).map_err(told)
    }
}

/// What Linux says that a process may still have.
fn available_kib() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// For each core its queue of each device, with a mailbox for its wrapper.
fn lanes(taps: Vec<Tap>, cores: rfd::Cores) -> Vec<Vec<(TapQueue, Post)>> {
    let mut lanes: Vec<Vec<_>> = (0..cores.count()).map(|_| Vec::new()).collect();
    for tap in taps {
        let posts = mail::network(cores, MAIL_FRAMES);
        for (lane, pair) in lanes.iter_mut().zip(tap.queues.into_iter().zip(posts)) {
            lane.push(pair);
        }
    }
    lanes
}

fn card(Tap { name, mtu, mac, .. }: &Tap) -> Card {
    Card { name: name.clone(), mac: *mac, mtu: *mtu, steering: Steering::Unknown }
}

fn assemble(machine: &Machine, cards: &[Card], cores: u16) -> Result<(Config, Plan), Vec<String>> {
    let mut seed = [0; 32];
    if getrandom(&mut seed, GetRandomFlags::empty()) != Ok(seed.len()) {
        return Err(vec!["no random bytes from the kernel".to_owned()]);
    }
    let config = machine.assemble(cards, cores, seed).map_err(|errors| lines(&errors))?;
    for route in &config.routes {
        if let (Some(gateway), Some(card)) = (route.gateway, cards.get(route.interface as usize)) {
            say(format_args!("gateway {gateway} on {}", card.name));
        }
    }
    print_faults(machine);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut plan = Plan::of(machine, cards, seed);
    plan.clock = Some((Duration(since_1970.as_micros() as u64), "the host's"));
    Ok((config, plan))
}

fn print_faults(machine: &Machine) {
    let faults = &machine.faults;
    if !faults.is_none() {
        let percent = |ppm: u32| ppm as f64 / 10_000.0;
        say(format_args!(
            "fault: loss {}%, reorder {}%, corrupt {}%, duplicate {}%, each way, seed {}",
            percent(faults.loss_ppm),
            percent(faults.reorder_ppm),
            percent(faults.corrupt_ppm),
            percent(faults.duplicate_ppm),
            faults.seed
        ));
    }
    if machine.steer == Steer::Scramble {
        say(format_args!("steer: flows arrive where seed {} says", faults.seed));
    }
    if machine.driver.is_some() || !machine.nics.is_empty() || machine.console.is_some() {
        say("nic=, nic.driver=, console=: ignored: a process has a TAP and a terminal");
    }
}

/// Frames that fit in a mailbox between two cores.
const MAIL_FRAMES: usize = 256;
