//! Two machines with a card each and one cable between them, and what can break.

use std::cell::RefCell;
use std::rc::Rc;

use penstock_hw::fake::Memory;
use penstock_hw::{BusAddr, Device, Mmio};
use penstock_ixgbe::{Config, Error, Nic, Queue, Report};
use penstock_ixgbe_regs::Reg;
use penstock_nic82599::{Cable, Card, CardConfig, Loss, Unmapped};
use penstock_queue::{Chunks, QueuePair, Rss};

/// The world that both machines are in.
pub(crate) struct World {
    pub(crate) now_us: u64,
    pub(crate) sides: [Side; 2],
    pub(crate) cable: Cable,
}

/// A machine: its card and its memory.
pub(crate) struct Side {
    pub(crate) card: Card,
    pub(crate) memory: Memory,
    /// The card has left the bus: reads are all ones, writes are lost, nothing moves.
    pub(crate) gone: bool,
    /// Reads of this register have these bits forced to this.
    pub(crate) stuck: Option<(Reg, u32, u32)>,
    /// Reads are noise, drawn from this.
    pub(crate) noise: Option<u64>,
    /// Every write, if anybody wants to know.
    pub(crate) trace: Option<Vec<(u32, u32)>>,
}

/// A device as the driver of side `side` reaches it.
#[derive(Clone)]
pub(crate) struct ModelDevice {
    world: Rc<RefCell<World>>,
    side: usize,
    memory: Memory,
}

/// The card's way into memory.
struct View(Memory);

pub(crate) const MACS: [[u8; 6]; 2] = [[0x52, 0, 0, 0, 0, 1], [0x52, 0, 0, 0, 0, 2]];

/// Memory of each machine: none of it real before it is used.
const MEMORY_BYTES: usize = 320 << 20;

impl World {
    pub(crate) fn new() -> Rc<RefCell<World>> {
        World::with(|_| CardConfig::default())
    }

    /// `config` says how the card of each side is made; its address is set here.
    pub(crate) fn with(config: impl Fn(usize) -> CardConfig) -> Rc<RefCell<World>> {
        let side = |number: usize| Side {
            card: Card::new(CardConfig { mac: MACS[number], ..config(number) }),
            memory: Memory::new(MEMORY_BYTES),
            gone: false,
            stuck: None,
            noise: None,
            trace: None,
        };
        let sides = [side(0), side(1)];
        Rc::new(RefCell::new(World { now_us: 0, sides, cable: Cable::default() }))
    }

    /// Lets time pass, and both cards move what they can.
    pub(crate) fn advance(&mut self, us: u64) {
        self.now_us += us;
        for _ in 0..STEPS_MAX {
            let mut more = false;
            for number in 0..2 {
                let side = &mut self.sides[number];
                if !side.gone {
                    let mut view = View(side.memory.clone());
                    let mut wire = self.cable.end(number);
                    more |= side.card.step(self.now_us, &mut view, &mut wire).more;
                }
            }
            if !more {
                return;
            }
        }
    }

    pub(crate) fn losses(&self, side: usize) -> Vec<(Loss, u64)> {
        self.sides[side].card.losses().iter().collect()
    }
}

impl std::fmt::Debug for ModelDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "card {}", self.side)
    }
}

impl Mmio for ModelDevice {
    fn read32(&self, offset: u32) -> u32 {
        let side = &mut self.world.borrow_mut().sides[self.side];
        if side.gone {
            return !0;
        }
        let value = side.card.read32(offset);
        if let Some(noise) = &mut side.noise {
            // Numerical Recipes' generator: its upper half is noise enough.
            *noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            return (*noise >> 32) as u32;
        }
        match side.stuck {
            Some((reg, mask, forced)) if reg.0 == offset => value & !mask | forced & mask,
            _ => value,
        }
    }

    fn write32(&self, offset: u32, value: u32) {
        let side = &mut self.world.borrow_mut().sides[self.side];
        if let Some(trace) = &mut side.trace {
            trace.push((offset, value));
        }
        if !side.gone {
            side.card.write32(offset, value);
        }
    }
}

impl Device for ModelDevice {
    type Keeper = Memory;

    fn lend(&self, bytes: &[u8]) -> BusAddr {
        self.memory.lend(bytes)
    }

    fn delay_us(&self, us: u32) {
        self.world.borrow_mut().advance(us.into());
    }
}

impl penstock_nic82599::Memory for View {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unmapped> {
        self.0.read(BusAddr(address), into).map_err(|_| Unmapped)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        self.0.write(BusAddr(address), bytes).map_err(|_| Unmapped)
    }

    fn publish(&mut self, address: u64, word: u32) -> Result<(), Unmapped> {
        self.write(address, &word.to_le_bytes())
    }
}

/// A key that spreads, and a table that goes round the first `queues` queues.
pub(crate) fn rss(queues: u16) -> Rss {
    let key = std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ 0x6d);
    Rss { key, reta: std::array::from_fn(|at| (at % usize::from(queues.min(16))) as u8) }
}

pub(crate) fn device(world: &Rc<RefCell<World>>, side: usize) -> ModelDevice {
    let memory = world.borrow().sides[side].memory.clone();
    ModelDevice { world: Rc::clone(world), side, memory }
}

/// Brings the card of one side up.
pub(crate) fn bring_up(
    world: &Rc<RefCell<World>>,
    side: usize,
    config: Config,
) -> Result<(Nic<ModelDevice>, Vec<Queue<ModelDevice>>), Error> {
    let device = device(world, side);
    let memory = device.memory.take(config.memory_bytes().min(MEMORY_BYTES));
    let (nic, seeds) = Nic::bring_up(device, memory, config)?;
    Ok((nic, seeds.into_iter().map(penstock_ixgbe::Seed::start).collect()))
}

/// One machine with its card up, and the chunks of each of its cores.
pub(crate) struct Machine {
    pub(crate) nic: Nic<ModelDevice>,
    pub(crate) queues: Vec<Queue<ModelDevice>>,
    pub(crate) chunks: Vec<Chunks>,
    pub(crate) reports: Vec<Report>,
}

impl Machine {
    pub(crate) fn new(world: &Rc<RefCell<World>>, side: usize, config: Config) -> Machine {
        let count = usize::from(config.queues);
        let (nic, queues) = bring_up(world, side, config).expect("a card in order");
        let chunks = (0..count).map(|_| Chunks::new(64)).collect();
        Machine { nic, queues, chunks, reports: Vec::new() }
    }

    /// What a turn does before and after the frames.
    pub(crate) fn turn(&mut self, now_us: u64) {
        for (queue, chunks) in self.queues.iter_mut().zip(&mut self.chunks) {
            queue.reclaim(chunks);
            queue.flush();
        }
        let report = self.nic.poll(now_us);
        if report != Report::default() {
            self.reports.push(report);
        }
    }

    /// The frames that have arrived on queue `number`.
    pub(crate) fn recv(&mut self, number: usize) -> Vec<Vec<u8>> {
        let queue = &mut self.queues[number];
        let mut frames = Vec::new();
        loop {
            let count = queue.recv(32);
            for index in 0..count {
                let frame = queue.frame(index);
                let mut bytes = frame.bytes.to_vec();
                for part in 1..=frame.parts {
                    bytes.extend_from_slice(queue.part(index, part));
                }
                frames.push(bytes);
            }
            queue.recycle();
            queue.flush();
            if count == 0 {
                return frames;
            }
        }
    }
}

/// Two machines whose cards are up and linked, receiving.
pub(crate) fn pair(config: Config) -> (Rc<RefCell<World>>, [Machine; 2]) {
    let world = World::new();
    let mut machines = [0, 1].map(|side| Machine::new(&world, side, config.clone()));
    settle(&world, &mut machines);
    for machine in &mut machines {
        assert!(machine.nic.is_running(), "{:?}", machine.reports);
        machine.reports.clear();
    }
    (world, machines)
}

/// Turns for a fifth of a second: links train, rings are armed.
pub(crate) fn settle(world: &Rc<RefCell<World>>, machines: &mut [Machine; 2]) {
    for _ in 0..20 {
        world.borrow_mut().advance(10_000);
        let now_us = world.borrow().now_us;
        machines.iter_mut().for_each(|machine| machine.turn(now_us));
    }
}

/// Turns until `done` says so, a millisecond each.
///
/// # Panics
/// After `most_ms`.
pub(crate) fn until(
    world: &Rc<RefCell<World>>,
    machines: &mut [Machine; 2],
    most_ms: u64,
    mut done: impl FnMut(&mut [Machine; 2]) -> bool,
) {
    for _ in 0..most_ms {
        if done(machines) {
            return;
        }
        world.borrow_mut().advance(1000);
        let now_us = world.borrow().now_us;
        machines.iter_mut().for_each(|machine| machine.turn(now_us));
    }
    panic!("not within {most_ms} ms: {:?}", machines.each_ref().map(|machine| &machine.reports));
}

/// Steps of a card that has more to do.
const STEPS_MAX: usize = 1000;
