//! A network card made of memory: two rings of 2 KB slots, and nothing that moves bytes.
//!
//! ```text
//!   client ── deliver(write) ──▶ [ receive ring ] ── burst of 32 ──▶ stack
//!   client ◀── collect(read) ─── [ transmit ring ] ◀── slot, send ── stack
//! ```
//! The client writes a frame where a card's DMA would have put it, and reads a sent frame where the
//! stack left it: neither stack is charged for a copy. Lent payload stays in the stack's chunks
//! until the frame was collected, as a descriptor would keep it. Only while
//! [`Card::set_checking`] is on does the card do what a real one does with bytes (gather them and
//! insert checksums), so that the client can read and verify whole frames; that is never measured.

use penstock_queue::{
    BURST_MAX, Capabilities, Checksums, ChunkId, Chunks, L4, Lent, Offload, QueuePair, RxFrame,
    SLOT_BYTES,
};

use crate::{checksum, frames};

/// Slots of each ring: the depth that a driver gives an 82599 ring.
pub const RING_SLOTS: usize = 512;

/// Lent ranges that one transmit descriptor chain of this card carries.
const LENT_MAX: usize = 4;

/// Which side computes checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumBy {
    /// The stack, over every byte it receives and sends.
    Software,
    /// The card: received frames come with a good verdict, sent ones leave with a request.
    Card,
}

/// The in-memory card.
#[derive(Debug)]
pub struct Card {
    received: Ring,
    /// Frames of the burst that the stack has not recycled.
    burst: usize,
    sent: Ring,
    /// Lent ranges by transmit slot.
    lent: Box<[[Lent; LENT_MAX]; RING_SLOTS]>,
    lent_counts: Box<[u8; RING_SLOTS]>,
    /// Frames with lent ranges that are not reclaimed: with none there is nothing to walk over.
    lending: usize,
    /// Transmit slots up to here were collected by the client: written back, in a card's words.
    collected: usize,
    checksums: ChecksumBy,
    checking: bool,
    refused: u64,
}

impl Card {
    /// A card with empty rings.
    pub fn new(checksums: ChecksumBy) -> Card {
        let nothing = Lent { chunk: ChunkId::NONE, from: 0, len: 0 };
        Card {
            received: Ring::new(),
            burst: 0,
            sent: Ring::new(),
            lent: ring_of([nothing; LENT_MAX]),
            lent_counts: ring_of(0),
            lending: 0,
            collected: 0,
            checksums,
            checking: false,
            refused: 0,
        }
    }

    /// Which side computes checksums.
    pub fn checksums(&self) -> ChecksumBy {
        self.checksums
    }

    /// Whether sent frames are gathered and completed, so that the client can read all of them.
    pub fn set_checking(&mut self, checking: bool) {
        self.checking = checking;
    }

    /// How many frames the stack has taken from the receive ring.
    pub fn taken(&self) -> u64 {
        self.received.head as u64
    }

    /// How many frames found the receive ring full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many frames wait in the receive ring.
    pub fn waiting(&self) -> usize {
        self.received.len()
    }

    /// Receives a frame from the wire: `write` puts it into a slot and returns its length. `false`
    /// when the ring is full, and the frame is lost.
    #[inline]
    pub fn deliver(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.received.len() == RING_SLOTS {
            self.refused += 1;
            return false;
        }
        let length = write(self.received.slot_mut(self.received.tail));
        self.received.push(length);
        true
    }

    /// Hands every sent frame to `read`, in order. Without checking on, lent payload is missing
    /// behind the headers.
    #[inline]
    pub fn collect(&mut self, mut read: impl FnMut(&[u8])) {
        while self.collected != self.sent.tail {
            read(self.sent.frame(self.collected));
            self.collected = self.collected.wrapping_add(1);
        }
    }

    /// Takes the oldest waiting frame, together with the next transmit slot: for a stack that
    /// handles one frame at a time. The frame is overwritten by a later [`Card::deliver`] only.
    #[inline]
    pub fn take(&mut self) -> Option<(&[u8], Departure<'_>)> {
        self.sent.head = self.collected;
        if self.received.len() == 0 || self.sent.len() == RING_SLOTS {
            return None;
        }
        let at = self.received.head;
        self.received.head = at.wrapping_add(1);
        let insert = self.checking && self.checksums == ChecksumBy::Card;
        Some((self.received.frame(at), Departure { ring: &mut self.sent, insert }))
    }

    /// The next transmit slot: for a stack that writes payload behind headers. `None` when the
    /// ring is full.
    #[inline]
    pub fn depart(&mut self) -> Option<Departure<'_>> {
        self.sent.head = self.collected;
        let insert = self.checking && self.checksums == ChecksumBy::Card;
        (self.sent.len() < RING_SLOTS).then_some(Departure { ring: &mut self.sent, insert })
    }

    /// What a card's DMA and checksum units do to a frame.
    fn complete(
        &mut self,
        bytes: usize,
        lent: &[Lent],
        offload: Offload,
        chunks: &Chunks,
    ) -> usize {
        let slot = self.sent.slot_mut(self.sent.tail);
        let mut length = bytes;
        for range in lent {
            let payload = chunks.range(*range);
            slot[length..length + payload.len()].copy_from_slice(payload);
            length += payload.len();
        }
        let ip = offload.mac_bytes as usize;
        let l4 = ip + offload.ip_bytes as usize;
        if offload.ip_checksum {
            slot[ip + 10..ip + 12].fill(0);
            let sum = checksum::finish(checksum::sum(&slot[ip..l4]));
            slot[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        }
        let field = match offload.l4_checksum {
            L4::None => return length,
            L4::Tcp => l4 + 16,
            L4::Udp => l4 + 6,
        };
        // The field already holds the pseudo-header's sum, so the sum over everything includes it.
        let sum = checksum::finish(checksum::sum(&slot[l4..length]));
        slot[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        length
    }
}

impl QueuePair for Card {
    #[inline]
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            mtu: 1500,
            tx_checksums: self.checksums == ChecksumBy::Card,
            segmentation: false,
            lent_max: LENT_MAX,
        }
    }

    #[inline]
    fn recv(&mut self, max: usize) -> usize {
        debug_assert!(self.burst == 0, "the previous burst was not recycled");
        self.burst = max.min(BURST_MAX).min(self.received.len());
        self.burst
    }

    #[inline]
    fn crowded(&self) -> bool {
        self.received.len() > RING_SLOTS / 2
    }

    #[inline]
    fn frame(&self, index: usize) -> RxFrame<'_> {
        assert!(index < self.burst, "frame {index} of a burst of {}", self.burst);
        RxFrame {
            bytes: self.received.frame(self.received.head.wrapping_add(index)),
            parts: 0,
            checksums: match self.checksums {
                ChecksumBy::Software => Checksums::Unverified,
                ChecksumBy::Card => Checksums::Good,
            },
            hash: None,
            vlan: None,
        }
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        panic!("frame {index} has no part {part}: this card has no jumbo frames")
    }

    #[inline]
    fn recycle(&mut self) {
        self.received.head = self.received.head.wrapping_add(self.burst);
        self.burst = 0;
    }

    #[inline]
    fn slots(&self) -> usize {
        RING_SLOTS - self.sent.len()
    }

    #[inline]
    fn slot(&mut self) -> Option<&mut [u8]> {
        if self.sent.len() == RING_SLOTS {
            return None;
        }
        Some(self.sent.slot_mut(self.sent.tail))
    }

    #[inline(always)]
    fn send(&mut self, bytes: usize, lent: &[Lent], offload: Offload, chunks: &mut Chunks) {
        let length =
            if self.checking { self.complete(bytes, lent, offload, chunks) } else { bytes };
        let at = self.sent.tail % RING_SLOTS;
        self.lent_counts[at] = lent.len() as u8;
        self.lending += (!lent.is_empty()) as usize;
        for (kept, range) in self.lent[at].iter_mut().zip(lent) {
            chunks.lend(range.chunk);
            *kept = *range;
        }
        self.sent.push(length);
    }

    #[inline]
    fn flush(&mut self) {}

    #[inline]
    fn reclaim(&mut self, chunks: &mut Chunks) {
        if self.lending == 0 {
            self.sent.head = self.collected;
        }
        while self.sent.head != self.collected {
            let at = self.sent.head % RING_SLOTS;
            for range in &self.lent[at][..self.lent_counts[at] as usize] {
                chunks.reclaim(range.chunk);
            }
            self.lending -= (self.lent_counts[at] > 0) as usize;
            self.sent.head = self.sent.head.wrapping_add(1);
        }
    }
}

/// A free transmit slot.
#[derive(Debug)]
pub struct Departure<'a> {
    ring: &'a mut Ring,
    /// Whether the card inserts the checksums that the stack was told to leave out.
    insert: bool,
}

impl Departure<'_> {
    /// Sends what `write` puts into the first `length` bytes of the slot.
    ///
    /// # Panics
    /// When `length` is more than a slot: a defect of the caller.
    #[inline]
    pub fn send<R>(self, length: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let frame = &mut self.ring.slot_mut(self.ring.tail)[..length];
        let result = write(frame);
        if self.insert {
            frames::insert_checksums(frame);
        }
        self.ring.push(length);
        result
    }
}

/// Slots from `head` (oldest) to `tail` (next to write); both run freely. How many there are is known
/// when the bench is compiled, as a driver knows its rings, so that no place in one is checked twice.
#[derive(Debug)]
struct Ring {
    memory: Box<[[u8; SLOT_BYTES]; RING_SLOTS]>,
    lengths: Box<[u16; RING_SLOTS]>,
    head: usize,
    tail: usize,
}

/// An array of the rings' length, on the heap.
fn ring_of<T: Copy>(element: T) -> Box<[T; RING_SLOTS]> {
    let elements = vec![element; RING_SLOTS].into_boxed_slice();
    elements.try_into().unwrap_or_else(|_| unreachable!("as many as there are slots"))
}

impl Ring {
    fn new() -> Ring {
        Ring { memory: ring_of([0; SLOT_BYTES]), lengths: ring_of(0), head: 0, tail: 0 }
    }

    #[inline]
    fn len(&self) -> usize {
        self.tail.wrapping_sub(self.head)
    }

    #[inline]
    fn slot_mut(&mut self, position: usize) -> &mut [u8] {
        &mut self.memory[position % RING_SLOTS]
    }

    #[inline]
    fn frame(&self, position: usize) -> &[u8] {
        let at = position % RING_SLOTS;
        &self.memory[at][..self.lengths[at] as usize]
    }

    #[inline]
    fn push(&mut self, length: usize) {
        self.lengths[self.tail % RING_SLOTS] = length as u16;
        self.tail = self.tail.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame that finds the receive ring full is lost and counted, as on a card.
    #[test]
    fn a_full_ring_refuses() {
        let mut card = Card::new(ChecksumBy::Card);
        for _ in 0..RING_SLOTS {
            assert!(card.deliver(|_| 60));
        }
        assert!(!card.deliver(|_| 60));
        assert_eq!(card.refused(), 1);
        assert_eq!(card.recv(100), BURST_MAX);
        card.recycle();
        assert!(card.deliver(|_| 60));
    }

    /// Lent chunks come back only after the client has collected the frame.
    #[test]
    fn lent_ranges_wait_for_the_client() {
        let mut card = Card::new(ChecksumBy::Card);
        let mut chunks = Chunks::new(1);
        let chunk = chunks.alloc().expect("one is free");
        card.send(54, &[Lent { chunk, from: 0, len: 10 }], Offload::NONE, &mut chunks);
        card.reclaim(&mut chunks);
        assert_eq!(chunks.lent(chunk), 1);
        card.collect(|frame| assert_eq!(frame.len(), 54));
        card.reclaim(&mut chunks);
        assert_eq!(chunks.lent(chunk), 0);
        assert_eq!(card.slots(), RING_SLOTS);
    }

    /// With checking on, a frame is whole and its checksums are what the card would insert.
    #[test]
    fn checking_completes_a_frame() {
        let mut card = Card::new(ChecksumBy::Card);
        let mut chunks = Chunks::new(1);
        let chunk = chunks.alloc().expect("one is free");
        chunks.bytes_mut(chunk)[..4].copy_from_slice(b"abcd");
        card.set_checking(true);
        card.slot().expect("room")[..54].fill(0);
        let offload = Offload {
            mac_bytes: 14,
            ip_bytes: 20,
            l4_bytes: 20,
            ip_checksum: true,
            l4_checksum: L4::Tcp,
            segment_bytes: 0,
        };
        card.send(54, &[Lent { chunk, from: 0, len: 4 }], offload, &mut chunks);
        let mut frames = 0;
        card.collect(|frame| {
            frames += 1;
            assert_eq!(&frame[54..], b"abcd");
            assert_eq!(checksum::finish(checksum::sum(&frame[34..])), 0);
        });
        assert_eq!(frames, 1);
    }
}
