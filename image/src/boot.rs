//! From the command line to cores that serve.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use penstock_config::{Boot, Card as Description, Driver, Error, Machine as Settings, Steer};
use penstock_control::{self as control, WithControl};
use penstock_hw::Mapped;
use penstock_ixgbe::Seed;
use penstock_kernel::leave::{self, Outcome};
use penstock_kernel::machine::{Core, Machine};
use penstock_kernel::{clock, entropy, heap, info, log, notice, warning};
use penstock_proxy::{Needs, Proxy};
use penstock_queue::Chunks;
use penstock_server::{Arguments, Board, Server};
use penstock_stack::rfd::{CORES_MAX, Cores, PortRange};
use penstock_stack::{Capacity, Config, Duration, Endpoint, Worker, mail};

use crate::about;
use crate::capacity::{self, Room};
use crate::card::{self, Card, Plan};
use crate::departure::Departure;
use crate::proxy;
use crate::serve::{Nics, Opening, instant, serve};
use crate::tenant::Tenant;

/// What an image begins with.
pub fn run(mut machine: Machine) {
    if let Err(errors) = start(&mut machine) {
        for line in errors {
            log::line(log::Level::Error, format_args!("{line}"));
        }
        leave::leave(Outcome::Refused);
    }
}

/// Reads the command line, brings the cards up and gives every core its work.
///
/// # Errors
/// All that is wrong, a line for each.
fn start(machine: &mut Machine) -> Result<(), Vec<String>> {
    heap::take_for("the configuration");
    let boot = Boot::parse(machine.command_line());
    let mut errors = boot.errors;
    let (delivered, bad_files) = proxy::delivered(machine.files());
    let words = &boot.application.words;
    let brings_proxy = !boot.application.is_named && delivered.configuration().is_some();
    let wanted = match &*boot.application.name {
        _ if brings_proxy => Ok(Wanted::Proxy),
        "proxy" => Ok(Wanted::Proxy),
        "server" => Arguments::parse(words).map(Wanted::Server),
        _ => Err(vec![boot.application.unknown()]),
    };
    let wanted = wanted.map_err(|more| errors.extend(more));
    errors.extend(elsewhere(&boot.machine));
    let all = || lines(&errors).into_iter().chain(bad_files.iter().cloned()).collect();
    let (Ok(wanted), true, []) = (wanted, errors.is_empty(), &*bad_files) else {
        return Err(all());
    };
    boot.notices.iter().for_each(|ignored| notice!("{ignored}"));
    let settings = boot.machine;
    let plan = plan(machine, &settings)?;
    let cores = plan.cores.count();
    let hosts = delivered.hosts().map(Cow::into_owned).unwrap_or_default();
    match wanted {
        Wanted::Server(arguments) => {
            arguments.check(cores).map_err(|errors| lines(&errors))?;
            let appetite = Appetite {
                wanted: &|usual| usual,
                bytes: &|_, connections| Server::bytes(connections),
                most: String::new(),
            };
            let ground = Ground::prepare(machine, &settings, plan, hosts, appetite)?;
            for Endpoint { addr, port } in &arguments.listen {
                match addr.is_unspecified() {
                    true => info!("server: listens on port {port} of every address"),
                    false => info!("server: listens on port {port} of {addr}"),
                }
            }
            let facts = about::facts(machine, &ground.cards, cores, &ground.config.capacity);
            let board = Arc::new(Board::new(cores, facts));
            let tenant = move |_, capacity: &Capacity| {
                Tenant::Server(Server::new(arguments.clone(), capacity).on_board(board.clone()))
            };
            ground.settle(machine, Arc::new(tenant));
        }
        Wanted::Proxy => {
            let setup = proxy::setup(words, &delivered, &boot.environment, &settings)?;
            setup.check(cores)?;
            let needs = Needs::of(setup, cores);
            let appetite = Appetite {
                wanted: &|usual| setup.suited(usual, cores),
                bytes: &|core, connections| needs.bytes(core, connections),
                most: format!(" ({needs})"),
            };
            let ground = Ground::prepare(machine, &settings, plan, hosts, appetite)?;
            let descriptions = card::descriptions(&ground.cards);
            let cards = setup.cards(|name| Description::find(&descriptions, name))?;
            setup.summary().iter().for_each(|line| info!("{line}"));
            if let Some(line) = setup.beyond(&ground.config.capacity, cores) {
                warning!("{line}");
            }
            let tenant = move |core, capacity: &Capacity| {
                Tenant::Proxy(Proxy::new(setup, cards, core, cores, capacity))
            };
            ground.settle(machine, Arc::new(tenant));
        }
    }
    Ok(())
}

/// What an application takes of the machine's memory.
struct Appetite<'a> {
    /// The capacity that suits it, from the usual one.
    wanted: &'a dyn Fn(Capacity) -> Capacity,
    /// Bytes on a core, with so many connections.
    bytes: &'a dyn Fn(u16, u32) -> usize,
    /// What it takes the most for, for a person.
    most: String,
}

/// What is to be run.
enum Wanted {
    Server(Arguments),
    Proxy,
}

/// The application of a core, by its number and what it may hold.
type TenantOf = dyn Fn(u16, &Capacity) -> Tenant + Send + Sync;

/// Everything that cores are given, before they are.
struct Ground {
    cards: Vec<Card>,
    config: Config,
    beneath: control::Plan,
    plan: Plan,
    /// When the cards were up, and how long that took.
    with_cards_ns: u64,
    cards_ns: u64,
}

impl Ground {
    /// Brings the cards up, and divides the memory.
    ///
    /// # Errors
    /// All that is wrong, a line for each.
    fn prepare(
        machine: &Machine,
        settings: &Settings,
        plan: Plan,
        hosts: String,
        appetite: Appetite<'_>,
    ) -> Result<Ground, Vec<String>> {
        heap::take_for("the cards");
        let begin = clock::now_ns();
        let cards = bring_up(machine, settings, plan)?;
        let with_cards_ns = clock::now_ns();
        let cards_ns = with_cards_ns - begin;
        let (config, mut beneath) = assemble(settings, &cards, plan.cores, appetite)?;
        beneath.hosts = hosts;
        Ok(Ground { cards, config, beneath, plan, with_cards_ns, cards_ns })
    }

    /// Gives each core its queues and its tenant.
    fn settle(self, machine: &mut Machine, tenant: Arc<TenantOf>) {
        heap::take_for("tables and pools");
        let Ground { cards, config, beneath, plan, with_cards_ns, cards_ns } = self;
        let (nics, lanes) = deal(cards, plan.cores);
        let mail_frames = capacity::mail_frames(plan.cores.count(), heap::usage().1);
        let mut nics = Some(nics);
        let posts = mail::network(plan.cores, mail_frames);
        let departures = Departure::of_cores(plan.cores.count());
        for (((number, seeds), post), departure) in (0..).zip(lanes).zip(posts).zip(departures) {
            let (config, beneath, tenant) = (config.clone(), beneath.clone(), tenant.clone());
            let nics = nics.take().unwrap_or_default();
            machine.start(number as usize, move |mut core: Core| {
                let queues = seeds.into_iter().map(Seed::start).collect();
                let chunks = Chunks::new(config.capacity.chunks);
                let tenant = tenant(number, &config.capacity);
                let app = WithControl::new(tenant, number, &beneath);
                let worker = Worker::new(config, number, queues, chunks, post, app);
                let mut worker = match worker {
                    Ok(worker) => worker,
                    Err(error) => refuse(&error.to_string()),
                };
                worker.start(instant(clock::now_ns()));
                let listens = worker.with(instant(clock::now_ns()), crate::control::start);
                if let Err(error) = listens {
                    refuse(&error);
                }
                crate::control::say(&mut worker, instant(clock::now_ns()));
                core.seal();
                let opening = Opening { cards_ns, tables_ns: clock::now_ns() - with_cards_ns };
                let opening = (core.id() == 0).then_some(opening);
                serve(&mut core, worker, nics, opening, departure);
            });
        }
    }
}

/// Words that mean something on other grounds, and cannot be obeyed here.
fn elsewhere(settings: &Settings) -> impl Iterator<Item = Error> {
    let faulty = !settings.faults.is_none() || settings.steer != Steer::Card;
    let fault =
        "nothing: an image has the network that is there (the emulated card takes --fault=)";
    let driver = match settings.driver {
        None | Some(Driver::Ixgbe) => None,
        Some(Driver::Ixgbevf | Driver::Virtio) => Some(Error::missing("nic.driver", "ixgbe")),
    };
    faulty.then(|| Error::missing("fault", fault)).into_iter().chain(driver)
}

/// As many cores as there are and may be, each with the same ports to open connections from.
fn plan(machine: &Machine, settings: &Settings) -> Result<Plan, Vec<String>> {
    let queues = settings.queues.unwrap_or(CORES_MAX);
    let count = machine.cores().min(queues.into());
    let (first, last) = settings.ephemeral_ports;
    let ports = PortRange::new(first, last);
    let cores = u16::try_from(count).ok().and_then(Cores::new);
    match cores.zip(ports) {
        Some((cores, ports)) => Ok(Plan { cores, ports, rfd: settings.rfd }),
        None => Err(vec!["more cores than a card has queues, or no ports".to_string()]),
    }
}

fn bring_up(machine: &Machine, settings: &Settings, plan: Plan) -> Result<Vec<Card>, Vec<String>> {
    let mut cards = Vec::new();
    let mut errors = Vec::new();
    for function in card::find(machine, &settings.nics)? {
        match Card::bring_up(&function, plan) {
            Ok(card) => cards.push(card),
            Err(error) => errors.push(error),
        }
    }
    for (number, Card { nic, description, address, .. }) in cards.iter().enumerate() {
        let (mac, mtu, queues) = (description.mac, description.mtu, plan.cores.count());
        let link = nic.link();
        info!(
            "nic eth{number}: 82599 at {address}, {mac}, mtu {mtu}, {queues} queues, link {link}"
        );
    }
    if errors.is_empty() { Ok(cards) } else { Err(errors) }
}

/// The stack's configuration, in the memory that there is, and the control plane's.
fn assemble(
    settings: &Settings,
    cards: &[Card],
    cores: Cores,
    appetite: Appetite<'_>,
) -> Result<(Config, control::Plan), Vec<String>> {
    let descriptions = card::descriptions(cards);
    let mut seed = [0; 32];
    entropy::fill(&mut seed);
    let config = settings.assemble(&descriptions, cores.count(), seed);
    let mut config = config.map_err(|errors| lines(&errors))?;
    heap::take_rest();
    let (_, free) = heap::usage();
    let room = Room { cores: cores.count(), bytes: free, application: appetite.bytes };
    config.capacity = room.fitted((appetite.wanted)(config.capacity)).map_err(|least| {
        let (cores, free, least) = (cores.count(), free >> 10, least >> 10);
        let (cores, fewer) = match cores {
            1 => ("a core".to_string(), ""),
            cores => (format!("{cores} cores"), "; maxcpus= takes fewer cores"),
        };
        let most = &appetite.most;
        vec![format!("memory: {free} KiB are left for {cores}: expected {least}{most}{fewer}")]
    })?;
    for route in &config.routes {
        let card = descriptions.get(usize::from(route.interface));
        if let (Some(gateway), Some(card)) = (route.gateway, card) {
            info!("gateway {gateway} on {}", card.name);
        }
    }
    let Capacity { connections, chunks, .. } = config.capacity;
    info!("stack: for each core {connections} connections and {} KiB in flight", chunks * 2);
    let mut plan = control::Plan::of(settings, &descriptions, seed);
    plan.clock = clock::unix_seconds().map(|seconds| (Duration::from_secs(seconds), "RTC"));
    Ok((config, plan))
}

/// A card's parts, to whom they belong: what looks after it, and for each core its queue pairs.
fn deal(cards: Vec<Card>, cores: Cores) -> (Nics, Vec<Vec<Seed<Mapped>>>) {
    let mut lanes: Vec<Vec<_>> = (0..cores.count()).map(|_| Vec::new()).collect();
    let mut nics = Vec::new();
    for card in cards {
        lanes.iter_mut().zip(card.seeds).for_each(|(lane, seed)| lane.push(seed));
        nics.push((card.address, card.nic));
    }
    (nics, lanes)
}

/// What one core cannot do, none can: it is said once.
fn refuse(line: &str) -> ! {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if IS_SAID.swap(true, Ordering::AcqRel) {
        // Whoever says it ends the machine.
        loop {
            core::hint::spin_loop();
        }
    }
    log::line(log::Level::Error, format_args!("{line}"));
    leave::leave(Outcome::Refused)
}

fn lines(errors: &[Error]) -> Vec<String> {
    errors.iter().map(Error::to_string).collect()
}
