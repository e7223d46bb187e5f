//! Receive: descriptors to borrowed frames, and back to the card (7.1).
//!
//! ```text
//!            next             rung       armed
//!   ───────────┴─────────────────┴───────────┴────▶  descriptors; frame i is descriptor i's for ever
//!    the burst │   the card's    │ not yet told │ one that is never given
//! ```
//! A frame is read where the card wrote it and returns to the same descriptor in the same turn: no
//! list of free buffers, no copy. Descriptors are taken in order; what lies behind the first that is
//! not done is not looked at, whatever it says.

use penstock_hw::{Device, Dma, FRAME_BYTES, Frames, Ring};
use penstock_ixgbe_regs::bits::{rxdctl, srrctl};
use penstock_ixgbe_regs::descriptor::{packet_type, rss_type, rx_status};
use penstock_queue::{BURST_MAX, Checksums, RxFrame};

use crate::error::{Error, Wait};
use crate::limits::{PARTS_MAX, RETURN_LOT};
use crate::registers::{Registers, RingRegisters};
use crate::shared::{Count, Counts};

/// A receive ring with its frames.
#[derive(Debug)]
pub(crate) struct Receiver<D: Device> {
    registers: RingRegisters,
    ring: Ring<D::Keeper>,
    frames: Frames<D::Keeper>,
    /// The first descriptor not taken: all before it are the driver's.
    next: u32,
    burst: [Taken; BURST_MAX],
    burst_count: usize,
    /// Descriptors are written for the card up to here.
    armed: u32,
    /// And the card knows of them up to here.
    rung: u32,
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
        registers: RingRegisters,
        ring: Dma<D::Keeper>,
        frames: Dma<D::Keeper>,
    ) -> Receiver<D> {
        let (ring, frames) = (ring.into_ring(), frames.into_frames());
        debug_assert_eq!(ring.count(), frames.count());
        Receiver {
            registers,
            ring,
            frames,
            next: 0,
            burst: [Taken::default(); BURST_MAX],
            burst_count: 0,
            armed: 0,
            rung: 0,
        }
    }

    /// Gives the card an empty ring, after a reset (4.6.7.1).
    pub(crate) fn arm(&mut self, card: &Registers<D>, strip_vlan: bool) -> Result<(), Error> {
        self.frames.restart();
        (self.next, self.burst_count) = (0, 0);
        let count = self.frames.count();
        (0..count).for_each(|index| self.rearm(index));
        let RingRegisters { queue, tail, control, cache, options, .. } = self.registers;
        self.registers.place(card, self.ring.bus(), count);
        let one_buffer = 1 << srrctl::DESCTYPE_SHIFT;
        let frame_kb = FRAME_BYTES as u32 / 1024;
        // A queue whose core is late loses its own frames and holds up nobody else's.
        card.write(options, srrctl::DROP_EN | one_buffer | frame_kb);
        // Frames are in memory before their descriptors say so.
        card.change(cache, DCA_RESERVED | DATA_WRO_EN | HEAD_WRO_EN, 0);
        let strip = if strip_vlan { rxdctl::VME } else { 0 };
        card.write(control, rxdctl::ENABLE | strip);
        let wait = Wait::ReceiveQueueEnable(queue);
        card.wait(wait, control, rxdctl::ENABLE, rxdctl::ENABLE)?;
        // One descriptor is never given: a full ring would look like an empty one.
        self.frames.give(count - 1);
        (self.armed, self.rung) = (count - 1, count - 1);
        card.write(tail, self.rung);
        Ok(())
    }

    /// Takes up to `max` frames and returns how many.
    #[inline]
    pub(crate) fn recv(&mut self, max: usize, counts: &mut Counts) -> usize {
        let max = max.min(BURST_MAX);
        let given = self.frames.given();
        let (mut ahead, mut count, mut received_bytes) = (0, 0, 0);
        while count < max && ahead < given {
            let at = self.next.wrapping_add(ahead);
            let high = self.ring.second(at);
            let status = high as u32;
            if status & rx_status::DD == 0 {
                break;
            }
            let bytes = (high >> 32) as u16 as u32;
            let parts = if status & rx_status::EOP != 0 && is_possible(bytes) {
                self.burst[count] =
                    Taken { at, parts: 0, low: self.ring.first(at), high, last_bytes: 0 };
                received_bytes += bytes;
                1
            } else {
                match self.take_long(at, given - ahead, counts) {
                    Long::Incomplete => break,
                    Long::Impossible { descriptors } => {
                        ahead += descriptors;
                        continue;
                    }
                    Long::Whole { taken, bytes } => {
                        self.burst[count] = taken;
                        received_bytes += bytes;
                        taken.parts + 1
                    }
                }
            };
            counts[Count::ChecksumErrors as usize] += u64::from(is_bad(status));
            ahead += parts;
            count += 1;
        }
        counts[Count::ReceivedPackets as usize] += count as u64;
        counts[Count::ReceivedBytes as usize] += u64::from(received_bytes);
        self.frames.take(ahead);
        self.next = self.next.wrapping_add(ahead);
        self.burst_count = count;
        count
    }

    /// A frame over several descriptors, or something that no card writes, begins at `at`.
    #[cold]
    #[inline(never)]
    fn take_long(&self, at: u32, given: u32, counts: &mut Counts) -> Long {
        let first = self.ring.second(at);
        let mut sum = 0;
        for part in 0..PARTS_MAX.min(given) {
            let index = at.wrapping_add(part);
            let high = self.ring.second(index);
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
                counts[Count::ChecksumErrors as usize] += u64::from(is_bad(high as u32));
                let low = self.ring.first(index);
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
        let middle = self.next.wrapping_add(self.frames.count() / 2);
        self.ring.second(middle) as u32 & rx_status::DD != 0
    }

    /// Whether a frame waits behind the burst.
    pub(crate) fn is_waiting(&self) -> bool {
        self.ring.second(self.next) as u32 & rx_status::DD != 0
    }

    #[inline(always)]
    pub(crate) fn frame(&self, index: usize) -> RxFrame<'_> {
        let taken = self.taken(index);
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
        let taken = self.taken(index);
        let part = part as u32;
        assert!((1..=taken.parts).contains(&part), "part {part} of {}", taken.parts);
        let bytes = if part == taken.parts { taken.last_bytes as usize } else { FRAME_BYTES };
        &self.frames.bytes(taken.at.wrapping_add(part))[..bytes]
    }

    #[inline(always)]
    fn taken(&self, index: usize) -> &Taken {
        assert!(index < self.burst_count, "frame {index} of a burst of {}", self.burst_count);
        &self.burst[index % BURST_MAX]
    }

    /// Puts everything taken back into the ring; [`flush`](Self::flush) tells the card.
    #[inline]
    pub(crate) fn recycle(&mut self) {
        self.burst_count = 0;
        let end = self.next.wrapping_add(self.frames.count() - 1);
        while self.armed != end {
            self.rearm(self.armed);
            self.armed = self.armed.wrapping_add(1);
        }
    }

    /// Writes descriptor `index` as the card wants to read it. Clears DD.
    #[inline]
    fn rearm(&self, index: u32) {
        self.ring.write(index, [self.frames.bus(index).0, 0]);
    }

    /// Tells the card of returned descriptors, in lots.
    #[inline]
    pub(crate) fn flush(&mut self, card: &Registers<D>) {
        let returned = self.armed.wrapping_sub(self.rung);
        if returned >= RETURN_LOT {
            self.frames.give(returned);
            self.rung = self.armed;
            card.write(self.registers.tail, self.rung & (self.frames.count() - 1));
        }
    }

    /// How many descriptors were taken since the ring was armed.
    #[inline]
    pub(crate) fn received(&self) -> u32 {
        self.next
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

/// Whether the card found a wrong checksum; in a long frame, the last descriptor says so.
#[inline]
fn is_bad(status: u32) -> bool {
    status & (rx_status::IPE | rx_status::TCPE) != 0
}

/// What the card says of the checksums (7.1.6.2, 7.1.11).
#[inline(always)]
fn verdict(types: u32, status: u32) -> Checksums {
    let (ip, l4) = (rx_status::IPCS, rx_status::L4I);
    let is_v6 = types & packet_type::IPV6 != 0;
    match status & (ip | l4 | rx_status::IPE | rx_status::TCPE) {
        seen if seen == ip | l4 || is_v6 && seen == l4 => Checksums::Good,
        seen if seen == ip || is_v6 && seen == 0 => Checksums::IpGood,
        seen if seen & (rx_status::IPE | rx_status::TCPE) != 0 => bad_verdict(types, status),
        _ => Checksums::Unverified,
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

/// The RSS hash, where that is what the field carries (7.1.2.8.1).
#[inline(always)]
fn hash(low: u64) -> Option<u32> {
    match low as u32 & 0xF {
        rss_type::NONE | rss_type::FLOW_DIRECTOR => None,
        _ => Some((low >> 32) as u32),
    }
}

/// The length in the upper half of a descriptor.
const LENGTH: u64 = 0xFFFF << 32;

/// DCA_RXCTRL: undocumented, cleared by every driver of the card.
const DCA_RESERVED: u32 = 1 << 12;

/// DCA_RXCTRL: relaxed order of writes of packets and of split headers (8.2.3.11.1).
const DATA_WRO_EN: u32 = 1 << 13;
const HEAD_WRO_EN: u32 = 1 << 15;
