//! A small driver: brings a port up as section 4.6 of the datasheet says, sends and receives.

use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{self, dmatxctl, fctrl, rxctrl, rxdctl, srrctl, txdctl};
use penstock_ixgbe_regs::descriptor::{BYTES, rx_status, tx_command, tx_options};
use penstock_ixgbe_regs::{Reg, RegArray};
use penstock_nic82599::{Card, CardConfig, FlatMemory, Memory, Progress, Wire};

/// A card, its memory and a driver's view of its rings.
pub(crate) struct Port {
    pub(crate) card: Card,
    pub(crate) memory: FlatMemory,
    pub(crate) now_us: u64,
    rx_next: [u32; 128],
    tx_next: [u32; 128],
    tx_clean: [u32; 128],
}

/// A received frame with what its last descriptor said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) types: u32,
    pub(crate) hash: u32,
    pub(crate) status: u32,
    pub(crate) tag: u16,
    pub(crate) parts: usize,
}

/// Descriptors of every ring.
pub(crate) const RING: u32 = 64;

const BASE: u64 = 0x10_0000;
/// Each queue has this much memory, half for receive and half for transmit.
const QUEUE_BYTES: u64 = 0x8_0000;
const BUFFERS: u64 = 0x1000;
const BUFFER_BYTES: u64 = 0x800;

impl Port {
    /// A port after reset, its link up, with `queues` queue pairs running.
    pub(crate) fn new(config: CardConfig, queues: u32) -> Port {
        let mut port = Port {
            card: Card::new(config),
            memory: FlatMemory::new(BASE, (u64::from(queues) * QUEUE_BYTES) as usize),
            now_us: 0,
            rx_next: [0; 128],
            tx_next: [0; 128],
            tx_clean: [0; 128],
        };
        port.start(queues);
        port
    }

    /// Resets the card and brings it up; rings start empty.
    pub(crate) fn start(&mut self, queues: u32) {
        self.set(regs::CTRL, bits::ctrl::RST | bits::ctrl::LNK_RST);
        self.set(regs::FCTRL, fctrl::BAM);
        self.set(regs::RXCSUM, bits::rxcsum::PCSD);
        self.set(regs::RXCTRL, rxctrl::RXEN);
        let control = self.get(regs::DMATXCTL);
        self.set(regs::DMATXCTL, control | dmatxctl::TE);
        for queue in 0..queues {
            self.start_receive(queue, srrctl::DROP_EN | 1 << srrctl::DESCTYPE_SHIFT | 2);
            self.start_transmit(queue);
        }
    }

    pub(crate) fn set(&mut self, reg: Reg, value: u32) {
        self.card.write32(reg.0, value);
    }

    pub(crate) fn get(&mut self, reg: Reg) -> u32 {
        self.card.read32(reg.0)
    }

    /// Sets up the receive ring of `queue`, all descriptors but one given to the card.
    pub(crate) fn start_receive(&mut self, queue: u32, split: u32) {
        let base = self.ring(queue, 0);
        self.set(regs::RDBAL.at(queue), base as u32);
        self.set(regs::RDBAH.at(queue), (base >> 32) as u32);
        self.set(regs::RDLEN.at(queue), RING * BYTES as u32);
        self.set(regs::RDH.at(queue), 0);
        self.set(regs::RDT.at(queue), 0);
        self.set(regs::SRRCTL.at(queue), split);
        self.set(regs::RXDCTL.at(queue), rxdctl::ENABLE);
        assert_ne!(self.get(regs::RXDCTL.at(queue)) & rxdctl::ENABLE, 0);
        for index in 0..RING {
            self.give(queue, index);
        }
        self.rx_next[queue as usize] = 0;
        self.set(regs::RDT.at(queue), RING - 1);
    }

    fn start_transmit(&mut self, queue: u32) {
        let base = self.ring(queue, 1);
        self.set(regs::TDBAL.at(queue), base as u32);
        self.set(regs::TDBAH.at(queue), (base >> 32) as u32);
        self.set(regs::TDLEN.at(queue), RING * BYTES as u32);
        self.set(regs::TDH.at(queue), 0);
        self.set(regs::TDT.at(queue), 0);
        self.set(regs::TXDCTL.at(queue), txdctl::ENABLE);
        (self.tx_next[queue as usize], self.tx_clean[queue as usize]) = (0, 0);
        assert_ne!(self.get(regs::TXDCTL.at(queue)) & txdctl::ENABLE, 0);
    }

    pub(crate) fn ring(&self, queue: u32, direction: u64) -> u64 {
        BASE + u64::from(queue) * QUEUE_BYTES + direction * QUEUE_BYTES / 2
    }

    fn buffer(&self, queue: u32, direction: u64, index: u32) -> u64 {
        self.ring(queue, direction) + BUFFERS + u64::from(index) * BUFFER_BYTES
    }

    fn give(&mut self, queue: u32, index: u32) {
        let at = self.ring(queue, 0) + u64::from(index) * BYTES as u64;
        let mut descriptor = [0; BYTES];
        let buffer = self.buffer(queue, 0, index);
        descriptor[..8].copy_from_slice(&buffer.to_le_bytes());
        self.memory.write(at, &descriptor).expect("the ring is mapped");
    }

    /// The next frame of `queue`, if the card has written one whole.
    pub(crate) fn recv(&mut self, queue: u32) -> Option<Received> {
        let mut bytes = Vec::new();
        let mut index = self.rx_next[queue as usize];
        for parts in 1.. {
            let words = self.descriptor(queue, 0, index);
            if words[2] & rx_status::DD == 0 {
                return None;
            }
            let mut part = vec![0; (words[3] & 0xFFFF) as usize];
            let buffer = self.buffer(queue, 0, index);
            self.memory.read(buffer, &mut part).expect("the buffer is mapped");
            bytes.extend(part);
            index = (index + 1) % RING;
            if words[2] & rx_status::EOP != 0 {
                while self.rx_next[queue as usize] != index {
                    let done = self.rx_next[queue as usize];
                    self.give(queue, done);
                    self.set(regs::RDT.at(queue), done);
                    self.rx_next[queue as usize] = (done + 1) % RING;
                }
                let (types, hash) = (words[0], words[1]);
                let tag = (words[3] >> 16) as u16;
                return Some(Received { bytes, types, hash, status: words[2], tag, parts });
            }
        }
        None
    }

    pub(crate) fn descriptor(&self, queue: u32, direction: u64, index: u32) -> [u32; 4] {
        let mut bytes = [0; BYTES];
        let at = self.ring(queue, direction) + u64::from(index) * BYTES as u64;
        self.memory.read(at, &mut bytes).expect("the ring is mapped");
        core::array::from_fn(|word| {
            u32::from_le_bytes(core::array::from_fn(|byte| bytes[word * 4 + byte]))
        })
    }

    /// Puts one descriptor in the ring; the doorbell is the caller's.
    pub(crate) fn push(&mut self, queue: u32, words: [u32; 4]) {
        let index = self.tx_next[queue as usize];
        let at = self.ring(queue, 1) + u64::from(index) * BYTES as u64;
        for (word, value) in words.into_iter().enumerate() {
            let at = at + word as u64 * 4;
            self.memory.write(at, &value.to_le_bytes()).expect("the ring is mapped");
        }
        self.tx_next[queue as usize] = (index + 1) % RING;
    }

    pub(crate) fn doorbell(&mut self, queue: u32) {
        self.set(regs::TDT.at(queue), self.tx_next[queue as usize]);
    }

    /// Copies `bytes` to the buffer of the next descriptor and says where it is.
    pub(crate) fn stage(&mut self, queue: u32, bytes: &[u8]) -> [u32; 2] {
        let at = self.buffer(queue, 1, self.tx_next[queue as usize]);
        self.memory.write(at, bytes).expect("the buffer is mapped");
        [at as u32, (at >> 32) as u32]
    }

    /// Sends one plain frame with RS.
    pub(crate) fn send(&mut self, queue: u32, frame: &[u8]) {
        self.send_with(queue, &[frame], tx_command::RS, 0, 0);
    }

    /// Sends one frame in `parts`; `command` and `options` come on top of what every frame has, and
    /// `payload` is PAYLEN.
    pub(crate) fn send_with(
        &mut self,
        queue: u32,
        parts: &[&[u8]],
        command: u32,
        options: u32,
        payload: usize,
    ) {
        for (index, part) in parts.iter().enumerate() {
            let [low, high] = self.stage(queue, part);
            let end = if index + 1 == parts.len() { tx_command::EOP | command } else { 0 };
            let always = tx_command::DEXT
                | tx_command::IFCS
                | tx_command::DTYP_DATA << tx_command::DTYP_SHIFT
                | command & (tx_command::TSE | tx_command::VLE);
            let words = [
                low,
                high,
                always | end | part.len() as u32,
                options | (payload as u32) << tx_options::PAYLEN_SHIFT,
            ];
            self.push(queue, words);
        }
        self.doorbell(queue);
    }

    /// Descriptors that wait for their DD, oldest first; each call forgets those that have it.
    pub(crate) fn clean(&mut self, queue: u32) -> u32 {
        let queue_at = queue as usize;
        while self.tx_clean[queue_at] != self.tx_next[queue_at]
            && self.descriptor(queue, 1, self.tx_clean[queue_at])[3] & tx_options::DD != 0
        {
            self.tx_clean[queue_at] = (self.tx_clean[queue_at] + 1) % RING;
        }
        (self.tx_next[queue_at] + RING - self.tx_clean[queue_at]) % RING
    }

    pub(crate) fn step(&mut self, wire: &mut impl Wire) -> Progress {
        self.card.step(self.now_us, &mut self.memory, wire)
    }

    /// Steps until the link is up.
    pub(crate) fn train(&mut self, wire: &mut impl Wire) {
        while !self.card.link_up() {
            self.step(wire);
            self.now_us += 100;
            assert!(self.now_us < 1_000_000, "the link never comes up");
        }
    }

    /// Writes a run of words from `array[0]` on.
    pub(crate) fn fill(&mut self, array: RegArray, words: &[u32]) {
        for (index, &word) in words.iter().enumerate() {
            self.set(array.at(index as u32), word);
        }
    }
}
