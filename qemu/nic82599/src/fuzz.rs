//! The way in for fuzzers: any bytes as a guest that means no good.
//!
//! A story is a row of small commands: writes and reads of registers, descriptors and whole rings
//! in memory, frames from the wire, time, resets, planted faults. The card starts as a driver would
//! leave it, so that most commands reach something that runs. After each command the card's books
//! must agree, what leaves it must be a frame, and it must come to rest.

use crate::card::{Card, CardConfig, Reset};
use crate::faults::FaultSet;
use crate::memory::{FlatMemory, Memory};
use crate::wire::{FRAME_MAX, FRAME_MIN, Wire};
use penstock_ixgbe_regs::descriptor::{self, tx_command};
use penstock_ixgbe_regs::{self as regs, BAR0_BYTES, Reg, TABLE};
use std::collections::VecDeque;

/// Lets the guest in `bytes` do its worst.
///
/// # Panics
/// When the card does, when its books disagree, or when it does not come to rest: defects of this
/// crate.
pub fn guest(bytes: &[u8]) {
    play(bytes);
}

fn play(bytes: &[u8]) -> World {
    let mut story = Story { bytes };
    let mut world = World::new(&mut story);
    while !story.bytes.is_empty() {
        world.command(&mut story);
        world.check();
    }
    world.now_us += 10_000_000;
    world.rest();
    world
}

/// What is left of the story.
struct Story<'a> {
    bytes: &'a [u8],
}

impl Story<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    fn half(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A word: small, a single bit, all ones, or any.
    fn word(&mut self) -> u32 {
        let choice = self.byte();
        match choice >> 6 {
            0 => u32::from(choice & 0x3F),
            1 => 1 << (choice & 31),
            2 if choice & 1 == 0 => !0,
            2 => u32::from(self.half()),
            _ => u32::from(self.half()) << 16 | u32::from(self.half()),
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }
}

/// A card, its memory and its wire.
struct World {
    card: Card,
    memory: FlatMemory,
    port: Port,
    now_us: u64,
}

/// The far end: what it will send, and a judge of what it gets.
#[derive(Default)]
struct Port {
    coming: VecDeque<Vec<u8>>,
    taken: usize,
}

impl Wire for Port {
    fn send(&mut self, _now_us: u64, queue: u32, frame: &[u8]) {
        assert!((FRAME_MIN..=FRAME_MAX).contains(&frame.len()), "{} bytes", frame.len());
        assert!(queue < regs::TX_QUEUES);
        self.taken += 1;
    }

    fn recv(&mut self, _now_us: u64, into: &mut [u8]) -> Option<usize> {
        let frame = self.coming.pop_front()?;
        into[..frame.len()].copy_from_slice(&frame);
        Some(frame.len())
    }
}

impl World {
    fn new(story: &mut Story<'_>) -> World {
        let mut world = World {
            card: Card::new(CardConfig { link_delay_us: 0, ..CardConfig::default() }),
            memory: FlatMemory::new(0, MEMORY_BYTES),
            port: Port::default(),
            now_us: 0,
        };
        for (reg, value) in [
            (regs::DMATXCTL, 0x8100_0001),
            (regs::RXCTRL, 1),
            (regs::FCTRL, 0x702),
            (regs::MRQC, 0x0033_0001),
            (regs::FDIRCTRL, 0x4A06_7F11),
            (regs::FDIRM, 0x37),
            (regs::GPIE, 0xC000_0070),
            (regs::EIMS, !0),
            (regs::MFLCN, 0xA),
            (regs::FCCFG, 8),
            (regs::FCTTV.at(0), 0x1000),
            (regs::FCRTL.at(0), 1 << 31),
            (regs::FCRTH.at(0), 1 << 31 | 0x100),
        ] {
            world.card.write32(reg.0, value);
        }
        for queue in 0..QUEUES {
            let base = u32::from(story.byte() & 15) * 0x1000;
            for (reg, value) in [
                (regs::TDBAL.at(queue), base),
                (regs::TDLEN.at(queue), 0x200),
                (regs::TXDCTL.at(queue), 1 << 25),
                (regs::RDBAL.at(queue), base + 0x800),
                (regs::RDLEN.at(queue), 0x200),
                (regs::SRRCTL.at(queue), 1 << 25 | 1),
                (regs::RXDCTL.at(queue), 1 << 25),
            ] {
                world.card.write32(reg.0, value);
            }
        }
        world.step();
        world
    }

    fn command(&mut self, story: &mut Story<'_>) {
        match story.byte() & 15 {
            0 | 1 => {
                let entry = &TABLE[usize::from(story.half()) % TABLE.len()];
                let reg = entry.array.at(u32::from(story.byte()));
                self.card.write32(reg.0, story.word());
            }
            2 => self.card.write32(story.word() % (BAR0_BYTES + 64), story.word()),
            3 => drop(self.card.read32(story.word() % (BAR0_BYTES + 64))),
            4 => {
                let Reg(offset) = DIRECTOR[usize::from(story.byte()) % DIRECTOR.len()];
                self.card.write32(offset, story.word());
            }
            5..=7 => self.descriptor(story),
            8 => {
                let at = usize::from(story.half());
                let bytes = story.take(16);
                let _ = self.memory.write(at as u64, &bytes);
            }
            9 => {
                let queue = u32::from(story.byte()) % QUEUES;
                let tail = if story.byte() & 1 == 0 { regs::TDT } else { regs::RDT };
                self.card.write32(tail.at(queue).0, story.word());
            }
            10 | 11 => self.frame(story),
            12 => {
                self.now_us += u64::from(story.half());
                self.step();
            }
            13 => {
                let mut faults = FaultSet::default();
                let words =
                    ["tx-hang", "late-write-back=3ms", "dma-fault=3", "no-light", "flap=1ms"];
                let _ = faults.change(words[usize::from(story.byte()) % words.len()]);
                self.card.set_faults(faults.card);
            }
            14 => match story.byte() & 7 {
                0 => self.card.reset(Reset::Function),
                1 => self.card.reset(Reset::Software),
                2 => self.card.set_bus_master(false),
                _ => self.card.set_bus_master(true),
            },
            _ => drop(self.card.take_messages()),
        }
    }

    /// A descriptor in a ring, and a doorbell behind it.
    fn descriptor(&mut self, story: &mut Story<'_>) {
        let queue = u32::from(story.byte()) % QUEUES;
        let index = self.card.read32(regs::TDT.at(queue).0) % 32;
        let base = self.card.read32(regs::TDBAL.at(queue).0);
        let kinds = [0, 2 << 20, 3 << 20, 3 << 20];
        let choice = story.byte();
        let mut command = kinds[usize::from(choice & 3)] | u32::from(choice >> 2) << 24;
        command |= if choice & 3 == 0 { 0 } else { tx_command::DEXT };
        let length = story.word();
        let words = [story.word(), u32::from(story.byte() & 1), command ^ length, story.word()];
        for (at, word) in words.into_iter().enumerate() {
            let at = u64::from(base) + u64::from(index) * descriptor::BYTES as u64 + at as u64 * 4;
            let _ = self.memory.write(at, &word.to_le_bytes());
        }
        self.card.write32(regs::TDT.at(queue).0, (index + 1) % 32);
    }

    /// A frame that comes: IPv4 or IPv6 as it should be, off by a few bytes, or a pause.
    fn frame(&mut self, story: &mut Story<'_>) {
        let choice = story.byte();
        let mut frame = vec![0xFF; 12];
        if choice & 1 != 0 {
            frame.extend([0x81, 0, 0x20, 5]);
        }
        if choice & 2 == 0 {
            frame.extend([
                8,
                0,
                0x45 + (choice >> 6),
                0,
                0,
                60,
                0,
                1,
                0,
                0,
                64,
                6 + 11 * (choice >> 3 & 1),
                0,
                0,
            ]);
        } else {
            frame.extend([
                0x86,
                0xDD,
                0x60,
                0,
                0,
                0,
                0,
                60,
                [6, 17, 0, 44, 132, 60, 43, 59][usize::from(choice >> 2 & 7)],
                64,
            ]);
        }
        frame.resize(frame.len() + 60 + usize::from(story.byte()), choice);
        if choice & 0xF == 0xF {
            frame[..6].copy_from_slice(&[0x01, 0x80, 0xC2, 0, 0, 1]);
            frame[12..18].copy_from_slice(&[0x88, 8, 0, 1, story.byte(), story.byte()]);
        }
        for _ in 0..choice >> 4 & 3 {
            let at = usize::from(story.byte()) % frame.len();
            frame[at] = story.byte();
        }
        if choice >> 2 & 7 == 7 {
            frame.resize(usize::from(story.half()) % FRAME_MAX, choice);
        }
        if self.port.coming.len() < 64 {
            self.port.coming.push_back(frame);
        }
    }

    fn step(&mut self) -> bool {
        self.card.step(self.now_us, &mut self.memory, &mut self.port).more
    }

    /// Steps until there is nothing more to do now.
    fn rest(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("the card does not come to rest");
    }

    fn check(&mut self) {
        self.step();
        self.card.buffer.check();
        self.card.director.check();
        let progress = self.card.step(self.now_us, &mut self.memory, &mut self.port);
        if let Some(deadline_us) = progress.deadline_us {
            assert!(deadline_us > self.now_us || progress.more, "due at once, and not done");
        }
    }
}

const QUEUES: u32 = 4;
const MEMORY_BYTES: usize = 0x1_8000;

/// Rings of 32 descriptors and segments of one byte: more steps than this are no progress.
const STEPS_MAX: usize = 100_000;

/// The registers of Flow Director, which need each other.
const DIRECTOR: &[Reg] = &[
    regs::FDIRCTRL,
    regs::FDIRIPSA,
    regs::FDIRIPDA,
    regs::FDIRPORT,
    regs::FDIRVLAN,
    regs::FDIRHASH,
    regs::FDIRCMD,
    regs::FDIRM,
    regs::FDIRTCPM,
];

#[cfg(test)]
mod tests {
    //! Proves that stories reach what they are for: frames out and in, refused descriptors, memory
    //! that is not there, pauses both ways.
    use super::*;
    use crate::loss::Loss;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    #[test]
    fn any_guest_is_survived_and_some_are_busy() {
        let mut runner = TestRunner::new(Config::with_cases(500));
        let seen = core::cell::Cell::new((0, 0, 0, 0));
        let paused = core::cell::Cell::new((0, 0));
        let story = proptest::collection::vec(any::<u8>(), 0..800);
        let played = runner.run(&story, |bytes| {
            let mut world = play(&bytes);
            let (sent, received, refused, faults) = seen.get();
            let losses = world.card.losses();
            let (context, dma) = (losses.of(Loss::BadContext), losses.of(Loss::DmaFault));
            let delivered = u64::from(world.card.read32(regs::RXDGPC.0));
            let (stopped, stopping) = paused.get();
            paused.set((
                stopped + world.card.read32(regs::LXOFFRXCNT.0),
                stopping + world.card.read32(regs::LXOFFTXC.0),
            ));
            seen.set((
                sent + world.port.taken,
                received + delivered,
                refused + context,
                faults + dma,
            ));
            Ok(())
        });
        assert_eq!(played, Ok(()));
        let (sent, received, refused, faults) = seen.get();
        assert!(sent > 0 && received > 0 && refused > 0 && faults > 0, "{:?}", seen.get());
        assert!(paused.get().0 > 0 && paused.get().1 > 0, "{:?}", paused.get());
    }
}
