//! The rings of the 82599 driver, priced: alone, and below the stack.
//!
//! ```text
//!   client ──▶ Card ──▶ Engine ──▶ descriptors, frames ──▶ Queue (the driver) ──▶ worker
//!   client ◀── Card ◀── Engine ◀── descriptors, slots  ◀──────┘
//!                       ^^^^^^ between turns, so that no meter sees it
//! ```
//! The engine does what the card's DMA does, from a script: it fills the descriptors up to the tail
//! and writes back those that ask for it. The emulated card would do the same and more, but only the
//! driver's side of the rings is measured here, and that does not know the difference.

use std::cell::Cell;
use std::rc::Rc;

use penstock_hw::fake::Memory;
use penstock_hw::{BusAddr, Device, Mmio};
use penstock_ixgbe::{Config, Filters, Nic, Queue};
use penstock_ixgbe_regs::bits::{ctrl, eec, eerd, rdrxctl, sec};
use penstock_ixgbe_regs::descriptor::{packet_type, rss_type, rx_status, tx_command, tx_options};
use penstock_ixgbe_regs::{self as regs, Reg};
use penstock_queue::{BURST_MAX, Chunks, Offload, QueuePair, RETA_ENTRIES, RSS_KEY_BYTES, Rss};

use crate::card::{Card, ChecksumBy};
use crate::frames::SERVER_MAC;
use crate::penstock::Penstock;
use crate::subject::{Population, Setup, Subject};

/// A card whose registers are plain memory, but for what bring-up waits for.
#[derive(Clone, Debug)]
pub struct Scripted {
    registers: Rc<[Cell<u32>]>,
    memory: Memory,
}

impl Scripted {
    fn new() -> Scripted {
        let registers = vec![Cell::new(0); regs::BAR0_BYTES as usize / 4].into();
        Scripted { registers, memory: Memory::new(MEMORY_BYTES) }
    }

    fn at(&self, reg: Reg) -> u32 {
        self.registers[reg.0 as usize / 4].get()
    }

    /// A queue pair whose rings are armed.
    fn queue(&self, chunks: &mut Chunks) -> Queue<Scripted> {
        let rss = Rss { key: [0; RSS_KEY_BYTES], reta: [0; RETA_ENTRIES] };
        let filters = Filters { station: Some(SERVER_MAC), ..Filters::default() };
        let config = Config { filters, ..Config::new(1, rss) };
        let memory = self.memory.take(config.memory_bytes());
        let up = Nic::bring_up(self.clone(), memory, config);
        let (_, mut seeds) = up.expect("a scripted card has no faults");
        let mut queue = seeds.remove(0).start();
        queue.reclaim(chunks);
        queue
    }
}

impl Mmio for Scripted {
    fn read32(&self, offset: u32) -> u32 {
        let value = self.at(Reg(offset));
        match Reg(offset) {
            regs::CTRL => value & !(ctrl::RST | ctrl::LNK_RST),
            regs::EEC => eec::ARD,
            regs::RDRXCTL => value | rdrxctl::DMAIDONE,
            regs::SECRXSTAT => sec::RDY,
            // An EEPROM of zeroes, but for the checksum.
            regs::EERD => {
                let is_checksum = value >> eerd::ADDR_SHIFT & eerd::ADDR_MASK == 0x3F;
                eerd::DONE | (is_checksum as u32 * 0xBABA) << eerd::DATA_SHIFT
            }
            _ => value,
        }
    }

    #[inline]
    fn write32(&self, offset: u32, value: u32) {
        self.registers[offset as usize / 4].set(value);
    }
}

impl Device for Scripted {
    type Keeper = Memory;

    #[inline]
    fn lend(&self, bytes: &[u8]) -> BusAddr {
        // The conversations here lend nothing; the engine would not find it.
        BusAddr(bytes.as_ptr().addr() as u64)
    }

    fn delay_us(&self, _us: u32) {}
}

/// The card's DMA.
struct Engine {
    device: Scripted,
    receive_head: u32,
    transmit_head: u32,
}

impl Engine {
    /// Writes a frame into the next receive descriptor; false if the driver has given none.
    fn receive(&mut self, frame: &[u8], checksums: ChecksumBy) -> bool {
        let device = &self.device;
        let count = device.at(regs::RDLEN.at(0)) / regs::descriptor::BYTES as u32;
        if self.receive_head == device.at(regs::RDT.at(0)) {
            return false;
        }
        let ring = self.ring(regs::RDBAL.at(0), regs::RDBAH.at(0));
        let at = ring.add(u64::from(self.receive_head) * 16);
        let buffer = BusAddr(self.word(at));
        device.memory.write(buffer, frame).expect("a frame of the card's");
        let is_v6 = frame[12..14] == [0x86, 0xDD];
        let (kind, hashed) = if is_v6 {
            (packet_type::IPV6, rss_type::TCP_IPV6)
        } else {
            (packet_type::IPV4, rss_type::TCP_IPV4)
        };
        let verdict = match checksums {
            ChecksumBy::Card => rx_status::IPCS | rx_status::L4I,
            ChecksumBy::Software => 0,
        };
        let status = rx_status::DD | rx_status::EOP | verdict;
        let low = u64::from(kind | packet_type::TCP | hashed);
        let high = u64::from(status) | (frame.len() as u64) << 32;
        device.memory.write(at, &low.to_le_bytes()).expect("a ring is the card's");
        device.memory.write(at.add(8), &high.to_le_bytes()).expect("a ring is the card's");
        self.receive_head = (self.receive_head + 1) % count;
        true
    }

    /// Hands every frame up to the transmit tail to `sink` and reports where the driver asks.
    fn transmit(&mut self, mut sink: impl FnMut(&[u8])) {
        let device = self.device.clone();
        let count = device.at(regs::TDLEN.at(0)) / regs::descriptor::BYTES as u32;
        let ring = self.ring(regs::TDBAL.at(0), regs::TDBAH.at(0));
        let mut frame = [0; penstock_queue::SLOT_BYTES];
        while self.transmit_head != device.at(regs::TDT.at(0)) {
            let at = ring.add(u64::from(self.transmit_head) * 16);
            let high = self.word(at.add(8));
            let command = high as u32;
            let kind = command >> tx_command::DTYP_SHIFT & tx_command::DTYP_MASK;
            if kind == tx_command::DTYP_DATA {
                assert!(command & tx_command::EOP != 0, "the engine gathers nothing");
                let frame = &mut frame[..(command & tx_command::LENGTH) as usize];
                device.memory.read(BusAddr(self.word(at)), frame).expect("a slot of the card's");
                sink(frame);
            }
            if command & tx_command::RS != 0 {
                let done = high | u64::from(tx_options::DD) << 32;
                let written = device.memory.write(at.add(8), &done.to_le_bytes());
                written.expect("a ring is the card's");
            }
            self.transmit_head = (self.transmit_head + 1) % count;
        }
    }

    fn ring(&self, low: Reg, high: Reg) -> BusAddr {
        BusAddr(u64::from(self.device.at(high)) << 32 | u64::from(self.device.at(low)))
    }

    fn word(&self, at: BusAddr) -> u64 {
        let mut bytes = [0; 8];
        self.device.memory.read(at, &mut bytes).expect("a ring is the card's");
        u64::from_le_bytes(bytes)
    }
}

/// Penstock on the driver's rings.
pub struct OnRings {
    stack: Penstock<Queue<Scripted>>,
    /// What the client fills and empties.
    card: Card,
    engine: Engine,
}

impl OnRings {
    /// A server of `setup`.
    pub fn new(setup: &Setup) -> OnRings {
        let device = Scripted::new();
        let queue = device.queue(&mut Chunks::new(1));
        OnRings {
            stack: Penstock::on(queue, setup),
            card: Card::new(setup.checksums),
            engine: Engine { device, receive_head: 0, transmit_head: 0 },
        }
    }
}

impl Subject for OnRings {
    fn card(&mut self) -> &mut Card {
        &mut self.card
    }

    fn arrive(&mut self) {
        let checksums = self.card.checksums();
        for _ in 0..BURST_MAX {
            let Some((frame, _)) = self.card.take() else { return };
            assert!(self.engine.receive(frame, checksums), "the driver returns what it takes");
        }
    }

    fn poll(&mut self, now_us: u64) {
        self.stack.turn(now_us);
    }

    fn drain(&mut self, sink: impl FnMut(&[u8])) {
        let card = &mut self.card;
        self.engine.transmit(|frame| {
            let departure = card.depart().expect("the client empties the card each turn");
            departure.send(frame.len(), |slot| {
                slot.copy_from_slice(frame);
                // The pseudo-header's sum, which is all that the stack puts there; where checking is
                // on, the card computes the whole.
                let is_tcp_v4 = frame[12..14] == [8, 0] && frame[23] == 6;
                let is_tcp_v6 = frame[12..14] == [0x86, 0xDD] && frame[20] == 6;
                let l4 = if is_tcp_v4 { 34 } else { 54 };
                if is_tcp_v4 || is_tcp_v6 {
                    slot[l4 + 16..l4 + 18].fill(0);
                }
            });
        });
        self.card.collect(sink);
    }

    fn population(&self) -> Population {
        self.stack.census()
    }

    fn explain(&self) -> String {
        self.stack.account()
    }
}

/// What a driver does at the least: takes each frame, looks at it, and sends one as long. The frame
/// sent is not the one received, as everywhere in this stack; no byte of it is written, because what
/// writes it is not the driver.
struct Forwarder {
    queue: Queue<Scripted>,
    chunks: Chunks,
    engine: Engine,
    frames: u64,
}

impl Forwarder {
    fn turn(&mut self) {
        self.queue.reclaim(&mut self.chunks);
        let count = self.queue.recv(BURST_MAX);
        for index in 0..count {
            let frame = self.queue.frame(index);
            let (bytes, first) = (frame.bytes.len(), frame.bytes[0]);
            let Some(slot) = self.queue.slot() else { break };
            slot[0] = first;
            self.queue.send(bytes, &[], OFFLOAD, &mut self.chunks);
        }
        self.queue.recycle();
        self.queue.flush();
        self.frames += count as u64;
    }
}

/// Forwards `rounds` bursts of `burst` frames and returns how many frames that were. The meter sees
/// the turns alone.
pub fn forward(rounds: u64, burst: usize) -> u64 {
    let device = Scripted::new();
    let mut chunks = Chunks::new(1);
    let queue = device.queue(&mut chunks);
    let engine = Engine { device, receive_head: 0, transmit_head: 0 };
    let mut forwarder = Forwarder { queue, chunks, engine, frames: 0 };
    let frame = [0x42; 60];
    for round in 0..WARM_ROUNDS + rounds {
        for _ in 0..burst {
            let given = forwarder.engine.receive(&frame, ChecksumBy::Card);
            assert!(given, "the driver returns what it takes");
        }
        if round < WARM_ROUNDS {
            forwarder.turn();
            forwarder.frames = 0;
        } else {
            crate::world::stack_side(&mut forwarder, 0, &mut 0);
        }
        let mut sent = 0;
        forwarder.engine.transmit(|_| sent += 1);
        assert_eq!(sent, burst, "every frame goes on");
    }
    forwarder.frames
}

impl Subject for Forwarder {
    fn card(&mut self) -> &mut Card {
        unreachable!("no client talks to a forwarder")
    }

    fn poll(&mut self, _now_us: u64) {
        self.turn();
    }

    fn population(&self) -> Population {
        Population::default()
    }
}

/// What nearly every frame of the stack asks for.
const OFFLOAD: Offload = Offload {
    mac_bytes: 14,
    ip_bytes: 20,
    l4_bytes: 20,
    ip_checksum: true,
    l4_checksum: penstock_queue::L4::Tcp,
    segment_bytes: 0,
};

/// Rounds before the meter is switched on: every descriptor has been used.
const WARM_ROUNDS: u64 = 64;

const MEMORY_BYTES: usize = 8 << 20;
