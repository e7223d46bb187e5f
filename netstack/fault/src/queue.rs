//! The queue pair around a queue pair.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use penstock_queue::{
    BURST_MAX, Capabilities, Checksums, Chunks, Lent, Offload, QueuePair, RxFrame,
};
use penstock_stack::mail::{Message, Post};
use penstock_wire::{Addr, ethernet, ip, tcp};

use crate::held::Held;
use crate::rng::{Rng, mix};
use crate::{Faults, Steer};

/// A queue pair that does to frames what [`Faults`] and [`Steer`] say, and otherwise is the one
/// inside. When nothing is to be done, every call goes straight through.
#[derive(Debug)]
pub struct FaultyQueue<Q> {
    inner: Q,
    faults: Faults,
    /// Whether any fault may happen: asked once, because every call asks.
    is_faulty: bool,
    /// Whether flows are brought to other cores.
    is_scrambled: bool,
    core: u16,
    cores: u16,
    post: Post,
    incoming: Rng,
    outgoing: Rng,
    /// What the worker sees of this burst.
    burst: Vec<Shown>,
    received: Held,
    sent: Held,
    tally: Tally,
}

/// What was done to frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Frames that vanished.
    pub lost: u64,
    /// Frames damaged.
    pub corrupted: u64,
    /// Frames held back.
    pub reordered: u64,
    /// Frames repeated.
    pub duplicated: u64,
    /// Frames brought to another core.
    pub misdelivered: u64,
    /// Frames for another core that its mail had no room for.
    pub overrun: u64,
}

impl Tally {
    /// Every count with its name.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Tally { lost, corrupted, reordered, duplicated, misdelivered, overrun } = self;
        [
            ("FaultLost", lost),
            ("FaultCorrupted", corrupted),
            ("FaultReordered", reordered),
            ("FaultDuplicated", duplicated),
            ("FaultMisdelivered", misdelivered),
            ("FaultOverrun", overrun),
        ]
        .into_iter()
    }
}

/// Where a frame of the burst lies.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Inner(usize),
    Held(usize),
}

impl<Q: QueuePair> FaultyQueue<Q> {
    /// Around the queue `inner` of core `core` of `cores`. `post` is this core's end of a network of
    /// mail ([`penstock_stack::mail::network`]) that the wrappers of one interface have for
    /// themselves.
    pub fn new(
        inner: Q,
        (faults, steer): (Faults, Steer),
        (core, cores): (u16, u16),
        post: Post,
    ) -> FaultyQueue<Q> {
        let seed = mix(faults.seed).wrapping_add(core as u64);
        let (is_faulty, is_scrambled) = (!faults.is_none(), steer == Steer::Scramble && cores > 1);
        let held = if is_faulty || is_scrambled { HELD_MAX } else { 0 };
        FaultyQueue {
            inner,
            faults,
            is_faulty,
            is_scrambled,
            core,
            cores,
            post,
            incoming: Rng::new(seed, "incoming"),
            outgoing: Rng::new(seed, "outgoing"),
            burst: Vec::with_capacity(BURST_MAX),
            received: Held::new(held),
            sent: Held::new(if is_faulty { HELD_MAX } else { 0 }),
            tally: Tally::default(),
        }
    }

    /// The queue pair inside.
    pub fn inner(&self) -> &Q {
        &self.inner
    }

    /// What was done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether a frame waits here, or in the mail, for another look: a core that sleeps now would
    /// keep it from its worker.
    pub fn has_waiting(&mut self) -> bool {
        self.post.has_mail() || self.received.is_waiting() || self.sent.is_waiting()
    }

    /// The cores to which frames were brought since the last call, a bit for each: they may sleep.
    pub fn take_mailed(&mut self) -> u128 {
        self.post.take_mailed()
    }

    fn is_transparent(&self) -> bool {
        !self.is_faulty && !self.is_scrambled
    }

    /// Shows what waited long enough, and what other cores brought.
    fn show_own(&mut self, max: usize) {
        self.received.look();
        while self.burst.len() < max
            && let Some(at) = self.received.next_due()
        {
            self.burst.push(Shown::Held(at));
        }
        while self.burst.len() < max && self.received.has_room() {
            let post = &mut self.post;
            let brought = self.received.fill(|buffer| match post.receive(buffer) {
                Some((_, Message::Frame { checksums, bytes, .. })) => {
                    Some((bytes.len(), checksums))
                }
                _ => None,
            });
            let Some(at) = brought else { break };
            self.judge_held(at);
        }
    }

    /// Frame `index` of the inner burst: shown, or not, or not yet.
    fn judge(&mut self, index: usize) {
        let frame = self.inner.frame(index);
        let to = self.destination(frame.bytes);
        if to != self.core && frame.parts == 0 {
            match self.post.send_frame(to, 0, frame.checksums, frame.bytes) {
                Ok(()) => self.tally.misdelivered += 1,
                Err(_) => self.tally.overrun += 1,
            }
            return;
        }
        self.received.pass();
        if self.incoming.chance(self.faults.loss_ppm) {
            self.tally.lost += 1;
            return;
        }
        if self.incoming.chance(self.faults.corrupt_ppm) {
            // Copied, because a received frame is not ours to change. No card looks again.
            let bytes = frame.bytes;
            let copy = self.received.fill(|buffer| {
                buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
                Some((bytes.len(), Checksums::Unverified))
            });
            if let Some(at) = copy {
                let is_damaged = crate::damage(self.received.bytes_mut(at), &mut self.incoming);
                self.tally.corrupted += is_damaged as u64;
                self.burst.push(Shown::Held(at));
                return;
            }
        }
        let (bytes, checksums) = (frame.bytes, frame.checksums);
        if self.incoming.chance(self.faults.reorder_ppm)
            && self.received.keep(bytes, checksums, self.incoming.range(1, OVERTAKEN_MAX) as u32)
        {
            self.tally.reordered += 1;
            return;
        }
        if self.incoming.chance(self.faults.duplicate_ppm)
            && self.received.keep(bytes, checksums, self.incoming.range(0, OVERTAKEN_MAX) as u32)
        {
            self.tally.duplicated += 1;
        }
        self.burst.push(Shown::Inner(index));
    }

    /// A frame that another core brought; it is ours already, so it can be lost or damaged as it is.
    fn judge_held(&mut self, at: usize) {
        self.received.pass();
        if self.incoming.chance(self.faults.loss_ppm) {
            // Its slot is free again when the burst is recycled.
            self.tally.lost += 1;
            return;
        }
        if self.incoming.chance(self.faults.corrupt_ppm) {
            let is_damaged = crate::damage(self.received.bytes_mut(at), &mut self.incoming);
            self.tally.corrupted += is_damaged as u64;
        }
        self.burst.push(Shown::Held(at));
    }

    /// At which core the frame arrives.
    fn destination(&self, frame: &[u8]) -> u16 {
        match flow(frame) {
            Some((src, dst, ports)) if self.is_scrambled => {
                let words = [src.hi, src.lo, dst.hi, dst.lo, ports as u64];
                let hash = words.iter().fold(self.faults.seed, |hash, word| mix(hash ^ word));
                (hash % self.cores as u64) as u16
            }
            _ => self.core,
        }
    }

    /// Sends a frame that was held back, when there is a slot for it.
    fn send_due(&mut self, chunks: &mut Chunks) {
        while self.inner.slots() > 0
            && let Some(at) = self.sent.next_due()
            && let Some(slot) = self.inner.slot()
        {
            let bytes = self.sent.at(at).bytes();
            slot[..bytes.len()].copy_from_slice(bytes);
            self.inner.send(bytes.len(), &[], Offload::NONE, chunks);
            self.sent.release_shown();
        }
    }

    /// The frame of `bytes` bytes in the inner slot, with all that was lent copied into it.
    fn send_faulty(&mut self, bytes: usize, chunks: &mut Chunks) {
        self.sent.pass();
        let Some(slot) = self.inner.slot() else { return };
        let frame = &mut slot[..bytes];
        let rng = &mut self.outgoing;
        if rng.chance(self.faults.loss_ppm) {
            self.tally.lost += 1;
            return;
        }
        if rng.chance(self.faults.corrupt_ppm) {
            self.tally.corrupted += crate::damage(frame, rng) as u64;
        }
        let unverified = Checksums::Unverified;
        if rng.chance(self.faults.reorder_ppm)
            && self.sent.keep(frame, unverified, rng.range(1, OVERTAKEN_MAX) as u32)
        {
            self.tally.reordered += 1;
            return;
        }
        if rng.chance(self.faults.duplicate_ppm)
            && self.sent.keep(frame, unverified, rng.range(0, OVERTAKEN_MAX) as u32)
        {
            self.tally.duplicated += 1;
        }
        self.inner.send(bytes, &[], Offload::NONE, chunks);
    }
}

impl<Q: QueuePair> QueuePair for FaultyQueue<Q> {
    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        if !self.is_faulty {
            return inner;
        }
        // What is damaged must be whole and carry its checksum.
        Capabilities { tx_checksums: false, segmentation: false, lent_max: 0, ..inner }
    }

    fn recv(&mut self, max: usize) -> usize {
        if self.is_transparent() {
            return self.inner.recv(max);
        }
        self.show_own(max);
        let count = self.inner.recv(max - self.burst.len());
        (0..count).for_each(|index| self.judge(index));
        self.burst.len()
    }

    fn crowded(&self) -> bool {
        self.inner.crowded()
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        if self.is_transparent() {
            return self.inner.frame(index);
        }
        match self.burst[index] {
            Shown::Inner(index) => self.inner.frame(index),
            Shown::Held(at) => {
                let slot = self.received.at(at);
                let checksums = slot.checksums;
                RxFrame { bytes: slot.bytes(), parts: 0, checksums, hash: None, vlan: None }
            }
        }
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        match self.burst.get(index) {
            Some(&Shown::Inner(index)) => self.inner.part(index, part),
            Some(Shown::Held(_)) => &[],
            None => self.inner.part(index, part),
        }
    }

    fn recycle(&mut self) {
        self.burst.clear();
        self.received.release_shown();
        self.inner.recycle();
    }

    fn slots(&self) -> usize {
        self.inner.slots()
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        self.inner.slot()
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], offload: Offload, chunks: &mut Chunks) {
        if !self.is_faulty {
            return self.inner.send(bytes, lent, offload, chunks);
        }
        let Some(slot) = self.inner.slot() else { return };
        let mut end = bytes;
        for &range in lent {
            let payload = chunks.range(range);
            slot[end..end + payload.len()].copy_from_slice(payload);
            end += payload.len();
        }
        self.send_faulty(end, chunks);
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn reclaim(&mut self, chunks: &mut Chunks) {
        if self.is_faulty {
            self.sent.look();
            self.send_due(chunks);
        }
        self.inner.reclaim(chunks);
    }
}

/// The ends of a TCP segment, source and destination port in one number.
fn flow(frame: &[u8]) -> Option<(Addr, Addr, u32)> {
    let header = ethernet::parse(frame).ok()?;
    let rest = &frame[ethernet::HEADER_BYTES..];
    let packet = match header.ether_type {
        ethernet::IPV4 => ip::parse_v4(rest, false).ok()?,
        ethernet::IPV6 => ip::parse_v6(rest).ok()?,
        _ => return None,
    };
    let ports = packet.payload(rest).first_chunk()?;
    let header_bytes = packet.payload_bytes as usize >= tcp::HEADER_BYTES;
    (packet.protocol == ip::TCP && header_bytes)
        .then(|| (packet.src, packet.dst, u32::from_be_bytes(*ports)))
}

/// Frames held back at once in one direction: a whole burst may come from other cores, and as many
/// may wait.
const HELD_MAX: usize = 2 * BURST_MAX;

/// How many frames overtake one that is held back, at most.
const OVERTAKEN_MAX: u64 = 8;
