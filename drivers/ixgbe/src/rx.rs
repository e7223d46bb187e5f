//! Receive: descriptors to borrowed frames, and back to the card (7.1).
//!
//! ```text
//!            next            given
//!   ───────────┴────────────────┴──────▶  descriptors, frame i belongs to descriptor i for ever
//!    the burst │   the card's   │  one that is never given
//! ```
//! A frame is read where the card wrote it and returns to the same descriptor in the same turn: no
//! list of free buffers, no copy. Descriptors are taken in order; what lies behind the first that is
//! not done is not looked at, whatever it says.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use penstock_hw::{Device, Dma, FRAME_BYTES, Frames, Words};
use penstock_ixgbe_regs::bits::{rxdctl, srrctl};
use penstock_ixgbe_regs::descriptor::{BYTES, packet_type, rss_type, rx_status};
use penstock_ixgbe_regs::{self as regs, Reg};
use penstock_queue::{BURST_MAX, Checksums, RxFrame};

use crate::error::{Error, Wait};
use crate::limits::{PARTS_MAX, RETURN_LOT};
use crate::registers::Registers;
use crate::shared::{Count, Counts};

/// A receive ring with its frames.
#[derive(Debug)]
pub(crate) struct Receiver<D: Device> {
    registers: ReceiveRegisters,
    ring: Words<D::Keeper>,
    frames: Frames<D::Keeper>,
    /// The first descriptor not taken: all before it are the driver's.
    next: u32,
    burst: [Taken; BURST_MAX],
    burst_count: usize,
    /// What RDT was last told, or would be.
    returned: u32,
    rung: u32,
}

/// The registers of one receive ring: a physical and a virtual function have the same at different
/// places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveRegisters {
    pub(crate) queue: u16,
    pub(crate) base_low: Reg,
    pub(crate) base_high: Reg,
    pub(crate) length: Reg,
    pub(crate) head: Reg,
    pub(crate) tail: Reg,
    pub(crate) control: Reg,
    pub(crate) split: Reg,
    pub(crate) cache: Reg,
}

impl ReceiveRegisters {
    /// Those of queue `queue` of a physical function.
    pub(crate) fn of(queue: u16) -> ReceiveRegisters {
        let at = u32::from(queue);
        ReceiveRegisters {
            queue,
            base_low: regs::RDBAL.at(at),
            base_high: regs::RDBAH.at(at),
            length: regs::RDLEN.at(at),
            head: regs::RDH.at(at),
            tail: regs::RDT.at(at),
            control: regs::RXDCTL.at(at),
            split: regs::SRRCTL.at(at),
            cache: regs::DCA_RXCTRL.at(at),
        }
    }
}

/// A frame of the burst: where it lies, and its descriptor as the card wrote it.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    at: u32,
    /// Types, and the hash in the upper half.
    low: u64,
    /// Status of the last descriptor, length of the first part, VLAN tag of the last descriptor.
    high: u64,
    parts: u32,
    last_bytes: u32,
}

impl<D: Device> Receiver<D> {
    /// A ring in `ring`, its frames in `frames`: as many of one as of the other.
    pub(crate) fn new(
        registers: ReceiveRegisters,
        ring: Dma<D::Keeper>,
        frames: Dma<D::Keeper>,
    ) -> Receiver<D> {
        let (ring, frames) = (ring.into_words(), frames.into_frames());
        debug_assert_eq!(ring.len(), 2 * frames.count() as usize);
        Receiver {
            registers,
            ring,
            frames,
            next: 0,
            burst: [Taken::default(); BURST_MAX],
            burst_count: 0,
            returned: 0,
            rung: 0,
        }
    }

    /// Gives the card an empty ring, after a reset (4.6.7.1).
    pub(crate) fn arm(&mut self, card: &Registers<D>, strip_vlan: bool) -> Result<(), Error> {
        self.frames.restart();
        (self.next, self.burst_count) = (0, 0);
        let count = self.frames.count();
        (0..count).for_each(|index| self.rearm(index));
        let ReceiveRegisters {
            queue,
            base_low,
            base_high,
            length,
            head,
            tail,
            control,
            split,
            cache,
        } = self.registers;
        let base = self.ring.bus().0;
        card.write(base_low, base as u32);
        card.write(base_high, (base >> 32) as u32);
        card.write(length, count * BYTES as u32);
        card.write(head, 0);
        card.write(tail, 0);
        let one_buffer = 1 << srrctl::DESCTYPE_SHIFT;
        let frame_kb = FRAME_BYTES as u32 / 1024;
        // A queue whose core is late loses its own frames and holds up nobody else's.
        card.write(split, srrctl::DROP_EN | one_buffer | frame_kb);
        // Undocumented, cleared by every driver of the card.
        card.change(cache, DCA_RESERVED, 0);
        let strip = if strip_vlan { rxdctl::VME } else { 0 };
        card.write(control, rxdctl::ENABLE | strip);
        let wait = Wait::ReceiveQueueEnable(queue);
        card.wait(wait, control, rxdctl::ENABLE, rxdctl::ENABLE)?;
        // One descriptor is never given: a full ring would look like an empty one.
        self.frames.give(count - 1);
        (self.returned, self.rung) = (count - 1, count - 1);
        card.write(tail, self.rung);
        Ok(())
    }

    /// Takes up to `max` frames and returns how many.
    #[inline]
    pub(crate) fn recv(&mut self, max: usize, counts: &mut Counts) -> usize {
        let max = max.min(BURST_MAX);
        let mask = self.mask();
        let mut ahead = 0;
        let mut count = 0;
        let given = self.frames.given();
        while count < max && ahead < given {
            let at = self.next.wrapping_add(ahead) & mask;
            let high = self.ring[at as usize * 2 + 1].load(Acquire);
            if high as u32 & rx_status::DD == 0 {
                break;
            }
            let bytes = (high >> 32) as u16 as u32;
            if high as u32 & rx_status::EOP != 0 && is_possible(bytes) {
                let low = self.ring[at as usize * 2].load(Relaxed);
                self.burst[count] = Taken { at, low, high, parts: 0, last_bytes: bytes };
                ahead += 1;
                counts[Count::ReceivedBytes as usize] += u64::from(bytes);
            } else {
                match self.take_long(at, given - ahead, counts) {
                    Long::Incomplete => break,
                    Long::Impossible { descriptors } => {
                        ahead += descriptors;
                        continue;
                    }
                    Long::Whole { taken, bytes } => {
                        self.burst[count] = taken;
                        ahead += taken.parts + 1;
                        counts[Count::ReceivedBytes as usize] += u64::from(bytes);
                    }
                }
            }
            count += 1;
        }
        counts[Count::ReceivedPackets as usize] += count as u64;
        self.frames.take(ahead);
        self.next = self.next.wrapping_add(ahead);
        self.burst_count = count;
        count
    }

    /// A frame over several descriptors, or something that no card writes, begins at `at`.
    #[cold]
    fn take_long(&self, at: u32, given: u32, counts: &mut Counts) -> Long {
        let mask = self.mask();
        let first = self.ring[at as usize * 2 + 1].load(Relaxed);
        let mut sum = 0;
        for part in 0..PARTS_MAX.min(given) {
            let index = (at + part) & mask;
            let high = self.ring[index as usize * 2 + 1].load(Acquire);
            if high as u32 & rx_status::DD == 0 {
                return Long::Incomplete;
            }
            let bytes = (high >> 32) as u16 as u32;
            let is_last = high as u32 & rx_status::EOP != 0;
            // Every part but the last fills its buffer.
            if !is_possible(bytes) || !is_last && bytes != FRAME_BYTES as u32 {
                counts[Count::Impossible as usize] += 1;
                return Long::Impossible { descriptors: part + 1 };
            }
            sum += bytes;
            if is_last {
                counts[Count::LongFrames as usize] += u64::from(part);
                let low = self.ring[index as usize * 2].load(Relaxed);
                // Verdict and tag come with the end, the length of the first part with the start.
                let high = high & !LENGTH | first & LENGTH;
                let taken = Taken { at, low, high, parts: part, last_bytes: bytes };
                return Long::Whole { taken, bytes: sum };
            }
        }
        if given <= PARTS_MAX {
            // The ring ends here: the rest may still come, once descriptors have been returned.
            return Long::Incomplete;
        }
        counts[Count::Impossible as usize] += 1;
        Long::Impossible { descriptors: PARTS_MAX }
    }

    /// Whether more than half of the ring waits: the descriptor in the middle is done.
    #[inline]
    pub(crate) fn crowded(&self) -> bool {
        let middle = self.next.wrapping_add(self.frames.count() / 2) & self.mask();
        self.ring[middle as usize * 2 + 1].load(Relaxed) as u32 & rx_status::DD != 0
    }

    /// Whether a frame waits behind the burst.
    pub(crate) fn is_waiting(&self) -> bool {
        let at = self.next & self.mask();
        self.ring[at as usize * 2 + 1].load(Relaxed) as u32 & rx_status::DD != 0
    }

    #[inline]
    pub(crate) fn frame(&self, index: usize) -> RxFrame<'_> {
        let taken = &self.taken()[index];
        let bytes = (taken.high >> 32) as u16 as usize;
        let status = taken.high as u32;
        let is_tagged = status & rx_status::VP != 0;
        RxFrame {
            bytes: &self.frames.bytes(taken.at)[..bytes],
            parts: taken.parts as usize,
            checksums: verdict(taken.low as u32, status),
            hash: hash(taken.low),
            vlan: if is_tagged { Some((taken.high >> 48) as u16) } else { None },
        }
    }

    pub(crate) fn part(&self, index: usize, part: usize) -> &[u8] {
        let taken = &self.taken()[index];
        let part = part as u32;
        assert!((1..=taken.parts).contains(&part), "part {part} of {}", taken.parts);
        let bytes = if part == taken.parts { taken.last_bytes as usize } else { FRAME_BYTES };
        &self.frames.bytes(taken.at.wrapping_add(part))[..bytes]
    }

    #[inline]
    fn taken(&self) -> &[Taken] {
        &self.burst[..self.burst_count]
    }

    /// Puts everything taken back into the ring; [`flush`](Self::flush) tells the card.
    #[inline]
    pub(crate) fn recycle(&mut self, counts: &mut Counts) {
        for taken in self.taken() {
            if verdict_is_bad(taken.high as u32) {
                counts[Count::ChecksumErrors as usize] += 1;
            }
        }
        self.burst_count = 0;
        let free = self.frames.count() - 1 - self.frames.given();
        for index in 0..free {
            self.rearm(self.returned.wrapping_add(index));
        }
        self.frames.give(free);
        self.returned = self.returned.wrapping_add(free);
    }

    /// Writes descriptor `index` as the card wants to read it. Clears DD.
    #[inline]
    fn rearm(&self, index: u32) {
        let at = (index & self.mask()) as usize * 2;
        self.ring[at].store(self.frames.bus(index).0, Relaxed);
        self.ring[at + 1].store(0, Release);
    }

    /// Tells the card of returned descriptors, in lots.
    #[inline]
    pub(crate) fn flush(&mut self, card: &Registers<D>) {
        if self.returned.wrapping_sub(self.rung) >= RETURN_LOT {
            self.rung = self.returned;
            card.write(self.registers.tail, self.rung & self.mask());
        }
    }

    /// How many descriptors were taken since the ring was armed.
    #[inline]
    pub(crate) fn received(&self) -> u32 {
        self.next
    }

    #[inline]
    fn mask(&self) -> u32 {
        self.frames.count() - 1
    }
}

/// What begins at a descriptor that is no whole frame by itself.
enum Long {
    Incomplete,
    Impossible { descriptors: u32 },
    Whole { taken: Taken, bytes: u32 },
}

/// Whether the card can have written so many bytes into a buffer.
#[inline]
fn is_possible(bytes: u32) -> bool {
    bytes.wrapping_sub(1) < FRAME_BYTES as u32
}

/// What the card says of the checksums (7.1.6.2, 7.1.11).
#[inline]
fn verdict(types: u32, status: u32) -> Checksums {
    let is_v6 = types & packet_type::IPV6 != 0;
    if status & (rx_status::IPE | rx_status::TCPE) != 0 {
        return bad_verdict(types, status);
    }
    let ip = status & rx_status::IPCS != 0 || is_v6;
    match (ip, status & rx_status::L4I != 0) {
        (true, true) => Checksums::Good,
        (true, false) => Checksums::IpGood,
        (false, _) => Checksums::Unverified,
    }
}

#[cold]
fn bad_verdict(types: u32, status: u32) -> Checksums {
    let is_udp_v4 = types & packet_type::UDP != 0 && types & packet_type::IPV6 == 0;
    if status & rx_status::IPE != 0 {
        Checksums::IpBad
    } else if is_udp_v4 {
        // The card says so of every datagram without a checksum, which RFC 768 allows (82599
        // specification update): the stack looks for itself.
        Checksums::IpGood
    } else {
        Checksums::L4Bad
    }
}

#[inline]
fn verdict_is_bad(status: u32) -> bool {
    status & (rx_status::IPE | rx_status::TCPE) != 0
}

/// The RSS hash, where that is what the field carries (7.1.2.8.1).
#[inline]
fn hash(low: u64) -> Option<u32> {
    match low as u32 & 0xF {
        rss_type::NONE | rss_type::FLOW_DIRECTOR => None,
        _ => Some((low >> 32) as u32),
    }
}

/// The length in the upper half of a descriptor.
const LENGTH: u64 = 0xFFFF << 32;

/// DCA_RXCTRL bit 12.
const DCA_RESERVED: u32 = 1 << 12;
