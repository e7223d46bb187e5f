//! One queue pair, as its core owns it.

use penstock_hw::{Device, Dma, FRAME_BYTES};
use penstock_ixgbe_regs as regs;
use penstock_queue::{Capabilities, Chunks, LENT_MAX, Lent, Offload, QueuePair, RxFrame};

use crate::config::Config;
use crate::error::Error;
use crate::interrupts::vector_of;
use crate::registers::{Registers, RingRegisters};
use crate::rx::Receiver;
use crate::shared::{Count, Counts, Published, Shared};
use crate::tx::Transmitter;

/// A queue pair on its way to its core: memory and numbers, nothing that runs.
///
/// ```
/// fn crosses<T: Send>() {}
/// crosses::<penstock_ixgbe::Seed<penstock_hw::Mapped>>();
/// ```
#[derive(Debug)]
pub struct Seed<D: Device> {
    number: u16,
    device: D,
    shared: Shared,
    memory: [Dma<D::Keeper>; 4],
    mtu: u16,
    strip_vlan: bool,
}

/// A receive ring and a transmit ring of one core, with their frames and their doorbells. It cannot
/// leave its core:
///
/// ```compile_fail
/// fn crosses<T: Send>() {}
/// crosses::<penstock_ixgbe::Queue<penstock_hw::Mapped>>();
/// ```
#[derive(Debug)]
pub struct Queue<D: Device> {
    number: u16,
    card: Registers<D>,
    shared: Shared,
    /// The epoch that the rings are armed for.
    epoch: u32,
    receiver: Receiver<D>,
    transmitter: Transmitter<D>,
    counts: Counts,
    turns: u32,
    mtu: u16,
    strip_vlan: bool,
}

impl<D: Device> Seed<D> {
    /// The queue pair `number`, with its share of `memory`.
    pub(crate) fn new(
        number: u16,
        device: D,
        shared: Shared,
        memory: &mut Dma<D::Keeper>,
        config: &Config,
    ) -> Result<Seed<D>, Error> {
        let mut cut = |bytes: u32| memory.split(bytes as usize).ok_or(Error::Memory);
        let Config { receive_ring, transmit_ring, .. } = *config;
        let frames = FRAME_BYTES as u32;
        let descriptor = regs::descriptor::BYTES as u32;
        let memory = [
            cut(receive_ring * descriptor)?,
            cut(receive_ring * frames)?,
            cut(transmit_ring * descriptor)?,
            cut(transmit_ring * frames)?,
        ];
        let strip_vlan = config.strip_vlan;
        Ok(Seed { number, device, shared, memory, mtu: config.mtu, strip_vlan })
    }

    /// Which queue pair this is.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The queue pair, on the core that will own it. Its rings are armed in its first turn.
    pub fn start(self) -> Queue<D> {
        let [receive_ring, frames, transmit_ring, slots] = self.memory;
        let number = self.number;
        Queue {
            number,
            card: Registers::new(self.device),
            shared: self.shared,
            epoch: 0,
            receiver: Receiver::new(RingRegisters::receive(number), receive_ring, frames),
            transmitter: Transmitter::new(RingRegisters::transmit(number), transmit_ring, slots),
            counts: [0; Count::ALL.len()],
            turns: 0,
            mtu: self.mtu,
            strip_vlan: self.strip_vlan,
        }
    }
}

impl<D: Device> Queue<D> {
    /// Which queue pair this is.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Before the core sleeps: the card sends this queue's message at the next frame, once, or now
    /// if one has come since the message before. Look at [`has_work`](Self::has_work) again between
    /// this and the sleep.
    pub fn arm_interrupt(&self) {
        let vector = vector_of(self.number);
        self.card.write(regs::EIMS_EX.at(vector / 32), 1 << (vector % 32));
    }

    /// Whether a turn would find something: a frame, or a card that was reset.
    pub fn has_work(&self) -> bool {
        self.receiver.is_waiting() || self.shared.epoch() != self.epoch
    }

    /// The card was reset: what was in flight is lost, the rings begin anew.
    #[cold]
    fn arm(&mut self, epoch: u32, chunks: &mut Chunks) {
        self.epoch = epoch;
        let armed = self.transmitter.arm(&self.card, chunks);
        let armed = armed.and_then(|()| self.receiver.arm(&self.card, self.strip_vlan));
        // Counted anew from here, and known before anybody compares.
        self.publish();
        self.shared.publish_armed(self.number, epoch, armed.is_ok());
    }

    fn publish(&mut self) {
        self.turns = self.turns.wrapping_add(1);
        let (sent, done) = self.transmitter.progress();
        let published = Published {
            turns: self.turns,
            received: self.receiver.received(),
            sent,
            done,
            impossible: self.counts[Count::Impossible as usize] as u32,
        };
        self.shared.publish(self.number, published, &self.counts);
    }
}

impl<D: Device> QueuePair for Queue<D> {
    #[inline]
    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: self.mtu, tx_checksums: true, segmentation: true, lent_max: LENT_MAX }
    }

    #[inline]
    fn recv(&mut self, max: usize) -> usize {
        self.receiver.recv(max, &mut self.counts)
    }

    #[inline]
    fn crowded(&self) -> bool {
        self.receiver.crowded()
    }

    // Always: who asks for a frame looks at half of what is known of it, and the rest is not computed.
    #[inline(always)]
    fn frame(&self, index: usize) -> RxFrame<'_> {
        self.receiver.frame(index)
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        self.receiver.part(index, part)
    }

    #[inline]
    fn recycle(&mut self) {
        self.receiver.recycle();
    }

    #[inline]
    fn slots(&self) -> usize {
        self.transmitter.slots()
    }

    #[inline(always)]
    fn slot(&mut self) -> Option<&mut [u8]> {
        self.transmitter.slot()
    }

    #[inline]
    fn send(&mut self, bytes: usize, lent: &[Lent], offload: Offload, chunks: &mut Chunks) {
        let device = self.card.device();
        self.transmitter.send(bytes, lent, offload, device, chunks, &mut self.counts);
    }

    #[inline]
    fn flush(&mut self) {
        self.transmitter.flush(&self.card);
        self.receiver.flush(&self.card);
        self.publish();
    }

    #[inline]
    fn reclaim(&mut self, chunks: &mut Chunks) {
        let epoch = self.shared.epoch();
        if epoch != self.epoch {
            self.arm(epoch, chunks);
        }
        self.transmitter.reclaim(chunks);
    }
}
