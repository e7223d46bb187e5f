//! Transmit: from a ring in memory to the wire (7.2).
//!
//! A doorbell marks a queue; the next step gathers its descriptors up to EOP, applies the offloads
//! and sends. A frame whose EOP is not there yet stays in the ring. Descriptors are written back
//! when the frame has left, and only those with RS.

use crate::card::Card;
use crate::loss::Loss;
use crate::memory::Memory;
use crate::offload::{self, Context, FlagMasks, Offloads};
use crate::ring::{self, Ring};
use crate::wire::{FRAME_MAX, FRAME_MIN, Wire};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{dmatxctl, hlreg0, tdwbal, txdctl};
use penstock_ixgbe_regs::descriptor::{self, tx_command, tx_legacy, tx_options};
use std::collections::VecDeque;

pub(crate) struct Transmitter {
    /// Queues whose ring may hold something, bit n for queue n.
    doorbells: u128,
    /// Where the round of queues goes on.
    next: u32,
    contexts: Box<[[Context; 2]]>,
    /// Write-backs that a planted fault holds up.
    late: VecDeque<Late>,
    gathered: Vec<u8>,
    /// Frames that this step has put on the wire or refused.
    spent: usize,
}

struct Late {
    due_us: u64,
    queue: u32,
    stores: Vec<(u64, u32)>,
}

/// A frame as its descriptors describe it.
#[derive(Default)]
struct Frame {
    /// Head after this frame.
    end: u32,
    /// Words to store when it is done, in ring order: address and value.
    stores: Vec<(u64, u32)>,
    context: Context,
    offloads: Offloads,
    legacy_sum: Option<(usize, usize)>,
    tag: Option<u16>,
    /// The card appends the frame check sequence; else the bytes already end with it.
    append_crc: bool,
    /// Why it cannot be sent, found while gathering.
    refused: Option<Loss>,
}

impl Transmitter {
    pub(crate) fn new() -> Transmitter {
        Transmitter {
            doorbells: 0,
            next: 0,
            contexts: vec![[Context::default(); 2]; regs::TX_QUEUES as usize].into_boxed_slice(),
            late: VecDeque::new(),
            gathered: Vec::new(),
            spent: 0,
        }
    }

    /// Whether a ring may hold something.
    pub(crate) fn rung(&self) -> bool {
        self.doorbells != 0
    }

    pub(crate) fn deadline_us(&self) -> Option<u64> {
        self.late.front().map(|late| late.due_us)
    }
}

impl Card {
    pub(crate) fn ring_doorbell(&mut self, queue: u32) {
        self.transmitter.doorbells |= 1 << (queue & 127);
    }

    pub(crate) fn ring_all_doorbells(&mut self) {
        self.transmitter.doorbells = !0;
    }

    pub(crate) fn transmit_enabled(&self) -> bool {
        self.storage.at(regs::DMATXCTL) & dmatxctl::TE != 0
    }

    /// Sends what the rings hold, one frame per queue in turn, up to a bound.
    pub(crate) fn transmit<M: Memory, W: Wire>(&mut self, memory: &mut M, wire: &mut W) -> bool {
        let stopped = self.faults.transmit_hang || self.pause.stops(self.now_us);
        if stopped || !self.transmit_enabled() {
            return false;
        }
        self.transmitter.spent = 0;
        while self.transmitter.spent < FRAMES_PER_STEP {
            let doorbells = self.transmitter.doorbells.rotate_right(self.transmitter.next);
            if doorbells == 0 {
                return false;
            }
            let queue = (self.transmitter.next + doorbells.trailing_zeros()) & 127;
            self.transmitter.next = (queue + 1) & 127;
            self.transmitter.spent += 1;
            if !self.transmit_one(queue, memory, wire) {
                self.transmitter.doorbells &= !(1 << queue);
            }
        }
        self.transmitter.doorbells != 0
    }

    /// Sends one frame of `queue`; false if there is none.
    fn transmit_one<M: Memory, W: Wire>(
        &mut self,
        queue: u32,
        memory: &mut M,
        wire: &mut W,
    ) -> bool {
        if self.storage.at(regs::TXDCTL.at(queue)) & txdctl::ENABLE == 0 {
            return false;
        }
        let Some(ring) = Ring::new(&self.storage, &ring::TRANSMIT, queue) else {
            self.losses.count(Loss::BadRing);
            return false;
        };
        let mut gathered = core::mem::take(&mut self.transmitter.gathered);
        gathered.clear();
        let frame = self.gather(queue, ring, &mut gathered, memory);
        if let Some(frame) = &frame {
            // Contexts alone carry no bytes: they only move the head.
            if !gathered.is_empty()
                && let Err(loss) = self.send(queue, frame, &mut gathered, wire)
            {
                self.losses.count(loss);
            }
        }
        self.transmitter.gathered = gathered;
        let Some(frame) = frame else { return false };
        self.storage.set(regs::TDH.at(queue), frame.end);
        self.finish(queue, frame, memory);
        true
    }

    /// Reads descriptors up to the end of a packet. `None` if the ring ends before the packet does,
    /// or if it cannot be read.
    fn gather<M: Memory>(
        &mut self,
        queue: u32,
        ring: Ring,
        gathered: &mut Vec<u8>,
        memory: &mut M,
    ) -> Option<Frame> {
        let mut frame = Frame::default();
        let mut first = true;
        let mut index = ring.head;
        while index != ring.tail {
            let at = ring.address(index);
            let mut bytes = [0; descriptor::BYTES];
            if memory.read(at, &mut bytes).is_err() {
                self.dma_fault();
                return None;
            }
            let words: [u32; 4] = core::array::from_fn(|word| {
                u32::from_le_bytes(core::array::from_fn(|byte| bytes[word * 4 + byte]))
            });
            index = (index + 1) % ring.count;
            frame.end = index;
            if words[2] & tx_command::RS != 0 {
                frame.stores.push((at.wrapping_add(12), words[3] | tx_options::DD));
            }
            if is_context(words) {
                let slot = words[3] >> tx_options::INDEX_SHIFT & 1;
                self.transmitter.contexts[queue as usize][slot as usize] = Context::new(words);
                continue;
            }
            if core::mem::take(&mut first) {
                self.describe(queue, words, &mut frame);
            }
            self.append(words, gathered, &mut frame, memory);
            if words[2] & tx_command::EOP != 0 {
                return Some(frame);
            }
        }
        // Contexts with nothing behind them are done; a packet without its end is not.
        (first && frame.end != ring.head && index != ring.head).then_some(frame)
    }

    /// What the first data descriptor asks for the whole frame.
    fn describe(&self, queue: u32, words: [u32; 4], frame: &mut Frame) {
        let [_, _, command, options] = words;
        frame.append_crc = command & tx_command::IFCS != 0;
        let tagged = command & tx_command::VLE != 0;
        if command & tx_command::DEXT == 0 {
            let flags = command >> 24;
            if flags & tx_legacy::IC != 0 {
                let (at, from) = (command >> 16 & 0xFF, options >> 8 & 0xFF);
                frame.legacy_sum = Some((from as usize, at as usize));
            }
            frame.tag = tagged.then_some((options >> 16) as u16);
            return;
        }
        let slot = options >> tx_options::INDEX_SHIFT & 1;
        frame.context = self.transmitter.contexts[queue as usize][slot as usize];
        let payload = (options >> tx_options::PAYLEN_SHIFT) as usize;
        frame.offloads = Offloads {
            ip: options & tx_options::IXSM != 0,
            l4: options & tx_options::TXSM != 0,
            segment: (command & tx_command::TSE != 0).then_some(payload),
        };
        frame.tag = tagged.then_some(frame.context.vlan);
    }

    fn append<M: Memory>(
        &mut self,
        words: [u32; 4],
        gathered: &mut Vec<u8>,
        frame: &mut Frame,
        memory: &mut M,
    ) {
        let length = (words[2] & tx_command::LENGTH) as usize;
        let from = gathered.len();
        if from + length > GATHER_MAX {
            frame.refused = Some(Loss::TransmitTooLong);
            return;
        }
        gathered.resize(from + length, 0);
        let address = u64::from(words[1]) << 32 | u64::from(words[0]);
        if memory.read(address, &mut gathered[from..]).is_err() {
            // The bytes are lost; a frame with a hole must not reach the wire.
            frame.refused = Some(Loss::TransmitHole);
            self.dma_fault();
        }
    }

    fn send<W: Wire>(
        &mut self,
        queue: u32,
        frame: &Frame,
        gathered: &mut Vec<u8>,
        wire: &mut W,
    ) -> Result<(), Loss> {
        if let Some(loss) = frame.refused {
            return Err(loss);
        }
        if !frame.append_crc {
            gathered.truncate(gathered.len().saturating_sub(4));
        }
        if let Some((from, at)) = frame.legacy_sum {
            offload::insert_legacy_sum(gathered, from, at).ok_or(Loss::BadContext)?;
        }
        let low = self.storage.at(regs::DTXTCPFLGL);
        let masks = FlagMasks {
            first: low as u16,
            middle: (low >> 16) as u16,
            last: self.storage.at(regs::DTXTCPFLGH) as u16,
        };
        let padded = frame.append_crc && self.storage.at(regs::HLREG0) & hlreg0::TXPADEN != 0;
        offload::apply(gathered, frame.offloads, &frame.context, masks, |bytes| {
            if let Err(loss) = self.emit(queue, bytes, frame.tag, padded, wire) {
                self.losses.count(loss);
            }
        })
    }

    /// One frame leaves: tag, padding, counters, and the wire or the loop.
    fn emit<W: Wire>(
        &mut self,
        queue: u32,
        bytes: &[u8],
        tag: Option<u16>,
        padded: bool,
        wire: &mut W,
    ) -> Result<(), Loss> {
        self.transmitter.spent += 1;
        let mut frame = bytes.to_vec();
        if let Some(tag) = tag {
            let kind = (self.storage.at(regs::DMATXCTL) >> 16) as u16;
            let [a, b] = kind.to_be_bytes();
            let [c, d] = tag.to_be_bytes();
            let at = frame.len().min(12);
            frame.splice(at..at, [a, b, c, d]);
        }
        if padded {
            frame.resize(frame.len().max(FRAME_MIN), 0);
        }
        if frame.len() < FRAME_MIN {
            return Err(Loss::TransmitRunt);
        }
        if frame.len() > FRAME_MAX {
            return Err(Loss::TransmitTooLong);
        }
        if self.loops_back() {
            self.count_sent(queue, &frame);
            self.admit(&frame);
            return Ok(());
        }
        if !self.link.up() {
            return Err(Loss::TransmitLinkDown);
        }
        self.count_sent(queue, &frame);
        wire.send(self.now_us, queue, &frame);
        Ok(())
    }

    /// Says that a frame is done: to its descriptors, or to the head's place in memory.
    fn finish<M: Memory>(&mut self, queue: u32, frame: Frame, memory: &mut M) {
        if frame.stores.is_empty() {
            return;
        }
        let low = self.storage.at(regs::TDWBAL.at(queue));
        let stores = if low & tdwbal::ENABLE != 0 {
            let high = self.storage.at(regs::TDWBAH.at(queue));
            vec![(u64::from(high) << 32 | u64::from(low & !3), frame.end)]
        } else {
            frame.stores
        };
        if self.faults.late_write_back_us == 0 || self.transmitter.late.len() >= LATE_MAX {
            return self.store(queue, &stores, memory);
        }
        let due_us = self.now_us.saturating_add(self.faults.late_write_back_us);
        self.transmitter.late.push_back(Late { due_us, queue, stores });
    }

    fn store<M: Memory>(&mut self, queue: u32, stores: &[(u64, u32)], memory: &mut M) {
        for &(address, word) in stores {
            if memory.publish(address, word).is_err() {
                self.dma_fault();
            }
        }
        self.interrupts.raise_queue(&self.storage, queue, 1);
    }

    /// Write-backs whose time has come.
    pub(crate) fn write_back_late<M: Memory>(&mut self, memory: &mut M) {
        while self.transmitter.deadline_us().is_some_and(|due_us| due_us <= self.now_us) {
            let Some(late) = self.transmitter.late.pop_front() else { return };
            self.store(late.queue, &late.stores, memory);
        }
    }
}

fn is_context(words: [u32; 4]) -> bool {
    let kind = words[2] >> tx_command::DTYP_SHIFT & tx_command::DTYP_MASK;
    words[2] & tx_command::DEXT != 0 && kind == tx_command::DTYP_CONTEXT
}

/// Frames and segments after which a step ends; the frame that reaches it is cut to its end.
const FRAMES_PER_STEP: usize = 512;

/// Write-backs that a planted fault may hold up; a driver that does not wait for them gets them at
/// once from there on.
const LATE_MAX: usize = 65_536;

/// Bytes that one packet may gather: PAYLEN has 18 bits, headers come on top.
const GATHER_MAX: usize = (1 << 18) + 512;
