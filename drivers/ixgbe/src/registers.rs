//! The registers of a card: read, written, and waited for, never longer than a bound.

use penstock_hw::Device;
use penstock_ixgbe_regs::{self as regs, Reg, RegArray};

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
