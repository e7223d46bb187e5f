//! An 82599 of this machine: found, given memory and interrupts, and brought up.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use penstock_config::{Card as Description, PciAddress};
use penstock_hw::{Function, Mapped, Msix, Window};
use penstock_ixgbe::{Config, Interrupts, Nic, Seed, Steer};
use penstock_kernel::machine::Machine;
use penstock_kernel::pci::{self, Address};
use penstock_kernel::{clock, entropy, frames, paging};
use penstock_queue::{RETA_ENTRIES, RSS_KEY_BYTES, Rss};
use penstock_stack::Steering;
use penstock_stack::rfd::{self, Cores, PortRange};
use penstock_wire::Mac;

use crate::capacity;

/// A card at work, before its parts go to their cores.
pub(crate) struct Card {
    /// What looks after it, on core 0.
    pub(crate) nic: Nic<Mapped>,
    /// A queue pair for each core.
    pub(crate) seeds: Vec<Seed<Mapped>>,
    /// What the stack is to know of it.
    pub(crate) description: Description,
    /// Where it is.
    pub(crate) address: Address,
}

/// How many cores, which ports they open connections from, and whether replies are steered.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) cores: Cores,
    pub(crate) ports: PortRange,
    pub(crate) rfd: bool,
}

/// The functions to use: those that were named, or all that the driver knows.
///
/// # Errors
/// A line for each that is named and is not there, or when there is none at all.
pub(crate) fn find(
    machine: &Machine,
    named: &[PciAddress],
) -> Result<Vec<pci::Function>, Vec<String>> {
    let known = |function: &&pci::Function| {
        Function::new(function.config.clone()).is_ok_and(|function| {
            function.vendor() == INTEL && DEVICES.contains(&function.device())
        })
    };
    let all: Vec<pci::Function> = machine.functions().iter().filter(known).cloned().collect();
    let shown = |functions: &[pci::Function]| {
        let addresses = functions.iter().map(|function| function.address.to_string());
        addresses.collect::<Vec<_>>().join(", ")
    };
    if all.is_empty() {
        return Err(Vec::from([NO_CARD.to_string()]));
    }
    if named.is_empty() {
        return Ok(all);
    }
    let mut used = Vec::new();
    let mut errors = Vec::new();
    for &PciAddress { segment, bus, device, function } in named {
        let address = Address { segment, bus, device, function };
        match all.iter().find(|function| function.address == address) {
            Some(function) => used.push(function.clone()),
            None => errors
                .push(format!("nic={address}: expected a card that is there: {}", shown(&all))),
        }
    }
    if errors.is_empty() { Ok(used) } else { Err(errors) }
}

impl Card {
    /// Brings a card up, with a queue pair for each core.
    ///
    /// # Errors
    /// A line for a person.
    pub(crate) fn bring_up(found: &pci::Function, plan: Plan) -> Result<Card, String> {
        let Plan { cores, ports, rfd } = plan;
        let address = found.address;
        let told = |what: &dyn core::fmt::Display| format!("nic {address}: {what}");
        let function = Function::new(found.config.clone()).map_err(|error| told(&error))?;
        let rss = rss(cores);
        let mut config = Config::new(cores.count(), rss.clone());
        config.interrupts = Some(Interrupts { moderation_us: MODERATION_US });
        if rfd && cores.count() > 1 {
            let rules = rfd::steering(cores, cores.count(), ports);
            let (mask, rules) = rules.map_err(|error| told(&error))?;
            config.steer = Some(Steer { mask, rules: rules.collect() });
        }
        let registers = map(&function, 0).map_err(|what| told(&what))?;
        route_interrupts(&function, cores.count()).map_err(|what| told(&what))?;
        let config = capacity::with_rings_that_fit(config, frames::free_bytes() as usize / 2);
        let (needed, free) = (config.memory_bytes() >> 10, frames::free_bytes() >> 10);
        let memory = frames::take_dma(config.memory_bytes());
        let memory = memory.ok_or_else(|| {
            told(&format!("memory: its rings need {needed} KiB, and {free} KiB are left"))
        })?;
        let device = Mapped::new(registers, frames::bus_map(), clock::delay_us);
        function.enable();
        let mtu = config.mtu;
        let (nic, seeds) = Nic::bring_up(device, memory, config).map_err(|error| told(&error))?;
        let steering = if rfd { Steering::FlowDirector(rss) } else { Steering::Unknown };
        let description =
            Description { name: address.to_string(), mac: Mac(nic.station()), mtu, steering };
        Ok(Card { nic, seeds, description, address })
    }
}

/// What the stack is to know of these.
pub(crate) fn descriptions(cards: &[Card]) -> Vec<Description> {
    cards.iter().map(|card| card.description.clone()).collect()
}

/// Flows that no rule steers are spread over the cores, under a key that nobody can guess.
fn rss(cores: Cores) -> Rss {
    let mut key = [0; RSS_KEY_BYTES];
    entropy::fill(&mut key);
    let queues = cores.count().min(RSS_QUEUES);
    let mut reta = [0; RETA_ENTRIES];
    (0u16..).zip(&mut reta).for_each(|(at, queue)| *queue = (at % queues) as u8);
    Rss { key, reta }
}

/// Maps a window of registers.
fn map(function: &Function<Window>, bar: u8) -> Result<Window, String> {
    let bar = function.memory_bar(bar).map_err(|error| error.to_string())?;
    paging::map_window(bar.address, bar.bytes).map_err(ToString::to_string)
}

/// Each queue's message goes to its core, that of everything else to core 0.
fn route_interrupts(function: &Function<Window>, queues: u16) -> Result<(), String> {
    let tables = function.msix().map_err(|error| error.to_string())?;
    let window = map(function, tables.table_bar)?;
    let table = window.part(tables.table_offset, u32::from(tables.vectors) * 16);
    let msix = Msix::new(table.ok_or("its MSI-X table lies nowhere")?, tables.vectors);
    let other = tables.vectors - 1;
    for queue in 0..queues.min(other) {
        msix.route(queue, pci::interrupt_message(queue.into()));
    }
    msix.route(other, pci::interrupt_message(0));
    function.enable_msix().map_err(|error| error.to_string())
}

const NO_CARD: &str = "no network card that can be driven: an Intel 82599 (8086:10fb) is";
const INTEL: u16 = 0x8086;

/// 82599 with SFP+ cages, on cards and as Intel's own.
const DEVICES: [u16; 2] = [0x10fb, 0x154d];

/// A core that sleeps is woken at most this often by one queue.
const MODERATION_US: u32 = 20;

/// What receive-side scaling of the 82599 can name.
const RSS_QUEUES: u16 = 16;
