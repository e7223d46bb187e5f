//! The registers of a card: read, written, and waited for, never longer than a bound; and those of one
//! ring.

use penstock_hw::{BusAddr, Device};
use penstock_ixgbe_regs::{self as regs, Reg, RegArray, descriptor};

use crate::error::{Error, Wait};

/// The registers, reached through the device.
#[derive(Clone, Debug)]
pub(crate) struct Registers<D> {
    device: D,
}

impl<D: Device> Registers<D> {
    pub(crate) fn new(device: D) -> Registers<D> {
        Registers { device }
    }

    pub(crate) fn device(&self) -> &D {
        &self.device
    }

    #[inline]
    pub(crate) fn read(&self, reg: Reg) -> u32 {
        self.device.read32(reg.0)
    }

    #[inline]
    pub(crate) fn write(&self, reg: Reg, value: u32) {
        self.device.write32(reg.0, value);
    }

    /// Writes `value` to all of an array.
    pub(crate) fn fill(&self, array: RegArray, value: u32) {
        (0..array.count()).for_each(|index| self.write(array.at(index), value));
    }

    /// Reads, clears some bits, sets others, writes.
    pub(crate) fn change(&self, reg: Reg, clear: u32, set: u32) {
        let value = self.read(reg);
        self.write(reg, value & !clear | set);
    }

    /// A read that makes the card take all writes before it.
    pub(crate) fn flush(&self) {
        self.read(regs::STATUS);
    }

    /// Whether nothing answers: a card that has left the bus reads all ones, and STATUS has bits
    /// that are never set.
    pub(crate) fn is_absent(&self) -> bool {
        self.read(regs::STATUS) == !0
    }

    /// Waits until the bits `mask` of `reg` read `value`.
    ///
    /// # Errors
    /// [`Error::Timeout`] after the bound of `wait`; [`Error::Absent`] when the card is gone.
    pub(crate) fn wait(&self, wait: Wait, reg: Reg, mask: u32, value: u32) -> Result<(), Error> {
        let (times, every_us) = wait.bound();
        for _ in 0..times {
            if self.read(reg) & mask == value && !self.is_absent() {
                return Ok(());
            }
            self.device.delay_us(every_us);
        }
        Err(if self.is_absent() { Error::Absent } else { Error::Timeout(wait) })
    }
}

/// The registers of one ring: a physical and a virtual function have the same at different places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingRegisters {
    /// For messages.
    pub(crate) queue: u16,
    base_low: Reg,
    base_high: Reg,
    length: Reg,
    head: Reg,
    pub(crate) tail: Reg,
    /// RXDCTL, TXDCTL.
    pub(crate) control: Reg,
    /// SRRCTL, TDWBAL.
    pub(crate) options: Reg,
    /// DCA_RXCTRL, DCA_TXCTRL.
    pub(crate) cache: Reg,
}

impl RingRegisters {
    /// The receive ring of queue `queue` of a physical function.
    pub(crate) fn receive(queue: u16) -> RingRegisters {
        let at = u32::from(queue);
        RingRegisters {
            queue,
            base_low: regs::RDBAL.at(at),
            base_high: regs::RDBAH.at(at),
            length: regs::RDLEN.at(at),
            head: regs::RDH.at(at),
            tail: regs::RDT.at(at),
            control: regs::RXDCTL.at(at),
            options: regs::SRRCTL.at(at),
            cache: regs::DCA_RXCTRL.at(at),
        }
    }

    /// The transmit ring of queue `queue` of a physical function.
    pub(crate) fn transmit(queue: u16) -> RingRegisters {
        let at = u32::from(queue);
        RingRegisters {
            queue,
            base_low: regs::TDBAL.at(at),
            base_high: regs::TDBAH.at(at),
            length: regs::TDLEN.at(at),
            head: regs::TDH.at(at),
            tail: regs::TDT.at(at),
            control: regs::TXDCTL.at(at),
            options: regs::TDWBAL.at(at),
            cache: regs::DCA_TXCTRL.at(at),
        }
    }

    /// Tells the card of an empty ring of `count` descriptors.
    pub(crate) fn place<D: Device>(&self, card: &Registers<D>, base: BusAddr, count: u32) {
        card.write(self.base_low, base.0 as u32);
        card.write(self.base_high, (base.0 >> 32) as u32);
        card.write(self.length, count * descriptor::BYTES as u32);
        card.write(self.head, 0);
        card.write(self.tail, 0);
    }
}
