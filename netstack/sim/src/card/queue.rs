//! One queue pair of a [`Card`](super::Card), as the worker sees it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use penstock_queue::{
    BURST_MAX, Capabilities, Chunks, Lent, Offload, QueuePair, RxFrame, SLOT_BYTES,
};

use super::Card;
use super::receive::Received;
use super::transmit::execute;
use crate::memory::permit;
use crate::scene::{Check, Scene};
use penstock_fault::{Rng, mix};

/// One receive ring and one transmit ring of a simulated card.
pub(crate) struct SimQueue {
    card: Rc<RefCell<Card>>,
    scene: Rc<Scene>,
    /// For messages.
    name: String,
    index: usize,
    burst: Vec<Received>,
    /// Descriptors recycled but not yet given back by a flush.
    returned: usize,
    slot: Box<[u8; SLOT_BYTES]>,
    slot_is_given: bool,
    /// Frames sent since the last flush.
    unrung: Vec<(Vec<u8>, Offload)>,
    /// Sent descriptors in ring order, not yet reclaimed.
    outstanding: VecDeque<Descriptor>,
    descriptors_used: usize,
    last_done_us: u64,
    rng: Rng,
}

/// A sent frame's hold on chunks.
struct Descriptor {
    /// Each range, and a digest of its bytes when it was lent.
    lent: Vec<(Lent, u64)>,
    descriptors: usize,
    /// When it is written back; `None` before the doorbell.
    done_us: Option<u64>,
}

impl SimQueue {
    pub(crate) fn new(
        card: &Rc<RefCell<Card>>,
        scene: &Rc<Scene>,
        name: String,
        index: usize,
        rng: Rng,
    ) -> SimQueue {
        SimQueue {
            card: Rc::clone(card),
            scene: Rc::clone(scene),
            name,
            index,
            burst: Vec::with_capacity(BURST_MAX),
            returned: 0,
            slot: Box::new([0; SLOT_BYTES]),
            slot_is_given: false,
            unrung: Vec::new(),
            outstanding: VecDeque::new(),
            descriptors_used: 0,
            last_done_us: 0,
            rng,
        }
    }

    /// What must hold whenever a turn is over.
    pub(crate) fn check_after_turn(&self) {
        if !self.burst.is_empty() {
            self.violate(Check::Ring, "a burst was not recycled in its turn");
        }
        if self.returned > 0 {
            self.violate(Check::Ring, "recycled descriptors were not flushed to the card");
        }
        if !self.unrung.is_empty() {
            self.violate(Check::Ring, "frames were sent without a doorbell");
        }
    }

    /// Sent frames whose descriptors were not reclaimed.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    fn violate(&self, check: Check, text: &str) {
        permit(|| self.scene.violate(check, format!("{}: {text}", self.name)));
    }

    fn ring(&mut self) {
        let now_us = self.scene.now_us();
        let (first_us, last_us) = self.card.borrow().plan.write_back_us;
        for descriptor in self.outstanding.iter_mut().filter(|d| d.done_us.is_none()) {
            let done_us = now_us + self.rng.range(first_us, last_us);
            // Descriptors are written back in ring order.
            self.last_done_us = self.last_done_us.max(done_us);
            descriptor.done_us = Some(self.last_done_us);
        }
        for (frame, offload) in std::mem::take(&mut self.unrung) {
            match execute(frame, offload) {
                Ok(frames) => {
                    let mut card = self.card.borrow_mut();
                    card.counters.sent += frames.len() as u64;
                    card.outbox.extend(frames);
                }
                Err(text) => self.violate(Check::Frame, &text),
            }
        }
        self.publish_write_back();
    }

    fn publish_write_back(&self) {
        let next = self.outstanding.front().and_then(|descriptor| descriptor.done_us);
        self.card.borrow_mut().write_back_us[self.index] = next;
    }

    fn check_offload(&self, offload: &Offload) {
        let plan = &self.card.borrow().plan;
        let wants_checksums =
            offload.ip_checksum || offload.l4_checksum != penstock_queue::L4::None;
        if wants_checksums && !plan.transmit_checksums {
            self.violate(Check::Frame, "checksums asked of a card that inserts none");
        }
        if offload.segment_bytes > 0 && !plan.segmentation {
            self.violate(Check::Frame, "segmentation asked of a card that does none");
        }
    }
}

impl QueuePair for SimQueue {
    fn capabilities(&self) -> Capabilities {
        let plan = &self.card.borrow().plan;
        Capabilities {
            mtu: plan.mtu,
            tx_checksums: plan.transmit_checksums,
            segmentation: plan.segmentation,
            lent_max: plan.lent_max,
        }
    }

    fn recv(&mut self, max: usize) -> usize {
        if !self.burst.is_empty() {
            self.violate(Check::Ring, "a burst was taken before the last was recycled");
        }
        if max > BURST_MAX {
            self.violate(Check::Ring, "more than a burst was asked for");
        }
        let filled = &mut self.card.borrow_mut().rings[self.index].filled;
        permit(|| self.burst.extend(filled.drain(..max.min(filled.len()))));
        self.burst.len()
    }

    fn crowded(&self) -> bool {
        let ring = &self.card.borrow().rings[self.index];
        ring.filled.len() > ring.credits
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        let received = &self.burst[index];
        RxFrame {
            bytes: &received.parts[0],
            parts: received.parts.len() - 1,
            checksums: received.checksums,
            hash: received.hash,
            vlan: None,
        }
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        &self.burst[index].parts[part]
    }

    fn recycle(&mut self) {
        self.returned += self.burst.iter().map(|received| received.parts.len()).sum::<usize>();
        permit(|| self.burst.clear());
    }

    fn slots(&self) -> usize {
        let card = self.card.borrow();
        if self.scene.now_us() < card.choked_until_us {
            return 0;
        }
        card.plan.transmit_ring.saturating_sub(self.descriptors_used) / (1 + card.plan.lent_max)
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        if self.slots() == 0 {
            return None;
        }
        if !self.slot_is_given {
            // Whatever the last frame left in it.
            self.slot.fill(0xa5 ^ self.descriptors_used as u8);
            self.slot_is_given = true;
        }
        Some(&mut self.slot[..])
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], offload: Offload, chunks: &mut Chunks) {
        if !self.slot_is_given {
            self.violate(Check::Ring, "a frame was sent without a slot");
        }
        self.slot_is_given = false;
        self.check_offload(&offload);
        let lent_max = self.card.borrow().plan.lent_max;
        permit(|| {
            let mut frame = self.slot[..bytes].to_vec();
            for range in lent {
                frame.extend_from_slice(chunks.range(*range));
            }
            if lent_max == 0 && frame.len() > SLOT_BYTES {
                self.violate(Check::Frame, "a frame to be copied exceeds its slot");
            }
            if lent_max > 0 && lent.len() > lent_max {
                self.violate(Check::Frame, "more lent ranges than the card gathers");
            }
            // Without gather the bytes are copied here, and nothing stays lent.
            let mut held = Vec::new();
            if lent_max > 0 {
                for &range in lent {
                    chunks.lend(range.chunk);
                    held.push((range, digest(chunks.range(range))));
                }
            }
            let descriptors = 1 + held.len();
            self.descriptors_used += descriptors;
            self.outstanding.push_back(Descriptor { lent: held, descriptors, done_us: None });
            self.unrung.push((frame, offload));
        });
    }

    fn flush(&mut self) {
        let returned = std::mem::take(&mut self.returned);
        self.card.borrow_mut().rings[self.index].credits += returned;
        permit(|| self.ring());
    }

    fn reclaim(&mut self, chunks: &mut Chunks) {
        let now_us = self.scene.now_us();
        if now_us < self.card.borrow().choked_until_us {
            return;
        }
        while self.outstanding.front().is_some_and(|d| d.done_us.is_some_and(|at| at <= now_us)) {
            let Some(descriptor) = self.outstanding.pop_front() else { break };
            self.descriptors_used -= descriptor.descriptors;
            for &(range, before) in &descriptor.lent {
                if digest(chunks.range(range)) != before {
                    self.violate(Check::Chunk, "bytes changed while a descriptor named them");
                }
                if chunks.lent(range.chunk) == 0 {
                    self.violate(Check::Chunk, "a chunk was freed while lent");
                } else {
                    chunks.reclaim(range.chunk);
                }
            }
            permit(|| drop(descriptor));
        }
        self.publish_write_back();
    }
}

/// Tells changed bytes from unchanged ones.
fn digest(bytes: &[u8]) -> u64 {
    let mut digest = bytes.len() as u64;
    for piece in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        digest = mix(digest ^ u64::from_le_bytes(word));
    }
    digest
}
