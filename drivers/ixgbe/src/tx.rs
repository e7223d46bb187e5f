//! Transmit: slots and lent ranges to descriptors, and their completion (7.2).
//!
//! ```text
//!          done            rung          next
//!   ─────────┴───────────────┴─────────────┴────▶  descriptors; slot i belongs to descriptor i
//!     free   │  the card's   │  unannounced │  free
//! ```
//! A frame is one descriptor for the slot and one for each lent range, before them a context if the
//! card has not the right one. Only the last descriptor of a report asks to be written back (RS):
//! after every 32, and at the end of a flush, because what does not report is never reclaimed.

use alloc::boxed::Box;
use alloc::vec;

use penstock_hw::{Device, Dma, Frames, Ring};
use penstock_ixgbe_regs::bits::txdctl;
use penstock_ixgbe_regs::descriptor::{tx_command, tx_lengths, tx_options, tx_segment, tx_types};
use penstock_queue::{ChunkId, Chunks, L4, LENT_MAX, Lent, Offload};

use crate::error::{Error, Wait};
use crate::limits::{DESCRIPTORS_PER_FRAME, REPORT_EVERY};
use crate::registers::{Registers, RingRegisters};
use crate::shared::{Count, Counts};

/// A transmit ring with its slots.
#[derive(Debug)]
pub(crate) struct Transmitter<D: Device> {
    registers: RingRegisters,
    ring: Ring<D::Keeper>,
    slots: Frames<D::Keeper>,
    next: u32,
    rung: u32,
    done: u32,
    /// Descriptors behind the last that reports.
    unreported: u32,
    /// The command of the last descriptor, to which a flush adds RS.
    last: u64,
    reports: Fifo<Report>,
    /// The chunks that descriptors name, in their order.
    lent: Fifo<ChunkId>,
    /// The contexts that the card holds: one for checksums, one for segmentation, so that the two
    /// do not drive each other out.
    contexts: [[u64; 2]; 2],
    /// What the last frame without segmentation asked for, and the options that say it while its
    /// context is the card's: nearly every frame asks for the same.
    usual: u64,
    usual_options: u32,
}

/// A descriptor that will be written back, and what is done with it.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
    /// Descriptors up to here.
    end: u32,
    /// Lent chunks up to here.
    lent: u32,
}

impl<D: Device> Transmitter<D> {
    /// A ring in `ring`, its slots in `slots`: as many of one as of the other.
    pub(crate) fn new(
        registers: RingRegisters,
        ring: Dma<D::Keeper>,
        slots: Dma<D::Keeper>,
    ) -> Transmitter<D> {
        let (ring, slots) = (ring.into_ring(), slots.into_frames());
        debug_assert_eq!(ring.count(), slots.count());
        let count = slots.count();
        Transmitter {
            registers,
            ring,
            slots,
            next: 0,
            rung: 0,
            done: 0,
            unreported: 0,
            last: 0,
            reports: Fifo::new(count, Report::default()),
            lent: Fifo::new(count, ChunkId::NONE),
            contexts: [NO_CONTEXT; 2],
            usual: NOTHING,
            usual_options: 0,
        }
    }

    /// Gives the card an empty ring, after a reset (4.6.8.1). What was in flight is lost; its chunks
    /// come back to `chunks`.
    pub(crate) fn arm(&mut self, card: &Registers<D>, chunks: &mut Chunks) -> Result<(), Error> {
        self.abandon(chunks);
        let RingRegisters { queue, control, cache, options, .. } = self.registers;
        self.registers.place(card, self.ring.bus(), self.slots.count());
        // No write-back of the head: descriptors say it themselves.
        card.write(options, 0);
        // Descriptors are written back in order.
        card.change(cache, DESC_WRO_EN, 0);
        card.write(control, PREFETCH | txdctl::ENABLE);
        card.wait(Wait::TransmitQueueEnable(queue), control, txdctl::ENABLE, txdctl::ENABLE)
    }

    /// Forgets what is in flight. Only for a card that was stopped.
    fn abandon(&mut self, chunks: &mut Chunks) {
        while let Some(chunk) = self.lent.pop() {
            chunks.reclaim(chunk);
        }
        self.reports.clear();
        self.slots.restart();
        (self.next, self.rung, self.done) = (0, 0, 0);
        self.unreported = 0;
        self.contexts = [NO_CONTEXT; 2];
        (self.usual, self.usual_options) = (NOTHING, 0);
    }

    /// Descriptors that can be written now. One stays free: a full ring would look empty.
    #[inline]
    fn free(&self) -> u32 {
        self.slots.count() - 1 - self.next.wrapping_sub(self.done)
    }

    #[inline]
    pub(crate) fn slots(&self) -> usize {
        (self.free() / DESCRIPTORS_PER_FRAME) as usize
    }

    #[inline(always)]
    pub(crate) fn slot(&mut self) -> Option<&mut [u8]> {
        if self.free() < DESCRIPTORS_PER_FRAME {
            return None;
        }
        Some(self.slots.bytes_mut(self.next))
    }

    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        bytes: usize,
        lent: &[Lent],
        offload: Offload,
        device: &D,
        chunks: &mut Chunks,
        counts: &mut Counts,
    ) {
        debug_assert!(self.free() >= DESCRIPTORS_PER_FRAME && lent.len() <= LENT_MAX);
        if lent.is_empty() && key(&offload) == self.usual {
            // One descriptor, and the card has its context: nearly every frame.
            let options = self.usual_options | (bytes as u32) << tx_options::PAYLEN_SHIFT;
            let slot = self.slots.bus(self.next).0;
            self.finish(self.next, slot, ALWAYS | bytes as u32, options);
            counts[Count::SentBytes as usize] += bytes as u64;
        } else {
            let sent_bytes = self.send_any(bytes, lent, offload, device, chunks);
            counts[Count::SentBytes as usize] += sent_bytes as u64;
        }
        counts[Count::SentPackets as usize] += 1;
    }

    /// A frame of any kind: a context where the card has another, the slot, what is lent.
    #[inline(never)]
    fn send_any(
        &mut self,
        bytes: usize,
        lent: &[Lent],
        offload: Offload,
        device: &D,
        chunks: &mut Chunks,
    ) -> usize {
        let slot = self.slots.bus(self.next).0;
        let mut next = self.next;
        let lent_bytes: usize = lent.iter().map(|range| range.len as usize).sum();
        let mut command = ALWAYS;
        let mut payload_bytes = bytes + lent_bytes;
        let mut options = 0;
        let key = key(&offload);
        if key != NOTHING {
            let index = (offload.segment_bytes > 0) as usize;
            let context = context(&offload, index);
            if self.contexts[index] != context {
                self.contexts[index] = context;
                self.ring.write(next, context);
                next = next.wrapping_add(1);
            }
            options = options_of(&offload, index);
            if offload.segment_bytes > 0 {
                command |= tx_command::TSE;
                payload_bytes -= headers_bytes(&offload);
            } else {
                (self.usual, self.usual_options) = (key, options);
            }
        }
        options |= (payload_bytes as u32) << tx_options::PAYLEN_SHIFT;
        let mut at = (slot, command | bytes as u32);
        for range in lent {
            debug_assert!(range.len > 0, "a descriptor of no bytes hangs the card");
            self.ring.write(next, [at.0, u64::from(options) << 32 | u64::from(at.1)]);
            next = next.wrapping_add(1);
            chunks.lend(range.chunk);
            self.lent.push(range.chunk);
            at = (device.lend(chunks.range(*range)).0, command | u32::from(range.len));
        }
        self.finish(next, at.0, at.1, options);
        bytes + lent_bytes
    }

    /// Writes the last descriptor of a frame, `at`.
    #[inline(always)]
    fn finish(&mut self, at: u32, buffer: u64, command: u32, options: u32) {
        let next = at.wrapping_add(1);
        self.unreported += next.wrapping_sub(self.next);
        self.next = next;
        let last = u64::from(options) << 32 | u64::from(command | tx_command::EOP);
        self.last = last;
        self.ring.write(at, [buffer, last]);
        if self.unreported >= REPORT_EVERY {
            self.report();
        }
    }

    /// The last descriptor written reports. The card does not know of it yet, so it may change.
    fn report(&mut self) {
        let at = self.next.wrapping_sub(1);
        let slot = self.ring.first(at);
        self.ring.write(at, [slot, self.last | u64::from(tx_command::RS)]);
        self.unreported = 0;
        self.reports.push(Report { end: self.next, lent: self.lent.tail });
    }

    /// Tells the card of what was written since the last flush: one doorbell.
    #[inline]
    pub(crate) fn flush(&mut self, card: &Registers<D>) {
        let written = self.next.wrapping_sub(self.rung);
        if written == 0 {
            return;
        }
        if self.unreported > 0 {
            self.report();
        }
        self.slots.give(written);
        self.rung = self.next;
        card.write(self.registers.tail, self.next & (self.slots.count() - 1));
    }

    /// Takes back what the card reports as done.
    #[inline]
    pub(crate) fn reclaim(&mut self, chunks: &mut Chunks) {
        if self.done == self.rung {
            return;
        }
        let before = self.done;
        while let Some(report) = self.reports.front() {
            let options = (self.ring.second(report.end.wrapping_sub(1)) >> 32) as u32;
            // A report that was not announced cannot have been written back, whatever it says.
            let announced = self.rung.wrapping_sub(self.done) >= report.end.wrapping_sub(self.done);
            if options & tx_options::DD == 0 || !announced {
                break;
            }
            self.done = report.end;
            while self.lent.head != report.lent {
                let Some(chunk) = self.lent.pop() else { break };
                chunks.reclaim(chunk);
            }
            self.reports.pop();
        }
        if self.done != before {
            self.slots.take(self.done.wrapping_sub(before));
        }
    }

    /// Descriptors that the card was told of, and those it has done, since the ring was armed.
    #[inline]
    pub(crate) fn progress(&self) -> (u32, u32) {
        (self.rung, self.done)
    }
}

/// All that a frame without segmentation asks for, in one word; the length of the transport header
/// does not matter there.
#[inline(always)]
fn key(offload: &Offload) -> u64 {
    u64::from(offload.segment_bytes)
        | u64::from(offload.ip_bytes) << 16
        | u64::from(offload.mac_bytes) << 32
        | (offload.l4_checksum as u64) << 40
        | (offload.ip_checksum as u64) << 48
}

/// The context descriptor for `offload` (7.2.3.2.3). Without segmentation the card looks neither at
/// the MSS nor at the length of the transport header: leaving them out lets frames share a context.
#[inline]
fn context(offload: &Offload, index: usize) -> [u64; 2] {
    let lengths = u32::from(offload.ip_bytes) & tx_lengths::IPLEN_MASK
        | u32::from(offload.mac_bytes) << tx_lengths::MACLEN_SHIFT;
    let mut types = tx_command::DEXT | tx_command::DTYP_CONTEXT << tx_command::DTYP_SHIFT;
    // IPv4 is what has a header checksum to insert.
    if offload.ip_checksum {
        types |= tx_types::IPV4;
    }
    if offload.l4_checksum == L4::Tcp {
        types |= tx_types::L4T_TCP << tx_types::L4T_SHIFT;
    }
    let mut segment = (index as u32) << tx_segment::INDEX_SHIFT;
    if offload.segment_bytes > 0 {
        segment |= u32::from(offload.l4_bytes) << tx_segment::L4LEN_SHIFT
            | u32::from(offload.segment_bytes) << tx_segment::MSS_SHIFT;
    }
    [u64::from(lengths), u64::from(types) | u64::from(segment) << 32]
}

/// What a data descriptor asks of the context (7.2.3.2.4).
#[inline]
fn options_of(offload: &Offload, index: usize) -> u32 {
    let mut options = tx_options::CC | (index as u32) << tx_options::INDEX_SHIFT;
    if offload.ip_checksum {
        options |= tx_options::IXSM;
    }
    if offload.l4_checksum != L4::None {
        options |= tx_options::TXSM;
    }
    options
}

#[inline]
fn headers_bytes(offload: &Offload) -> usize {
    offload.mac_bytes as usize + offload.ip_bytes as usize + offload.l4_bytes as usize
}

/// A ring of plain values between two free-running counts.
#[derive(Debug)]
struct Fifo<T> {
    items: Box<[T]>,
    head: u32,
    tail: u32,
}

impl<T: Copy> Fifo<T> {
    /// Room for `count` items, a power of two. It cannot run over: each item stands for at least
    /// one descriptor of a ring of that size.
    fn new(count: u32, blank: T) -> Fifo<T> {
        Fifo { items: vec![blank; count as usize].into_boxed_slice(), head: 0, tail: 0 }
    }

    #[inline]
    fn push(&mut self, item: T) {
        let mask = self.items.len() - 1;
        self.items[self.tail as usize & mask] = item;
        self.tail = self.tail.wrapping_add(1);
    }

    #[inline]
    fn front(&self) -> Option<T> {
        let mask = self.items.len() - 1;
        (self.head != self.tail).then(|| self.items[self.head as usize & mask])
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let item = self.front()?;
        self.head = self.head.wrapping_add(1);
        Some(item)
    }

    fn clear(&mut self) {
        self.head = self.tail;
    }
}

/// What every data descriptor says.
const ALWAYS: u32 =
    tx_command::DEXT | tx_command::IFCS | tx_command::DTYP_DATA << tx_command::DTYP_SHIFT;

/// The key of [`Offload::NONE`].
const NOTHING: u64 = 0;

/// No context equals this: each has DEXT.
const NO_CONTEXT: [u64; 2] = [0; 2];

/// Prefetch when fewer than 36 descriptors are cached and 8 are in memory; write back one by one, as
/// RS asks (7.2.3.4).
const PREFETCH: u32 = 36 | 8 << 8;

/// DCA_TXCTRL bit 11: relaxed order of write-backs.
const DESC_WRO_EN: u32 = 1 << 11;
