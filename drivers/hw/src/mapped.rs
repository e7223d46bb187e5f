//! A device on the bus of the machine that this program runs on.

use crate::{BusAddr, Device, Forever, Mmio, Window};

/// A device of this machine: its registers, and how memory looks from it.
#[derive(Clone, Debug)]
pub struct Mapped {
    registers: Window,
    memory: BusMap,
    delay_us: fn(u32),
}

/// Where the program's memory lies on the bus: one run, moved by a constant.
#[derive(Clone, Copy, Debug)]
pub struct BusMap {
    /// The first virtual address.
    pub from: usize,
    /// How many bytes.
    pub bytes: usize,
    /// Where the first of them lies on the bus.
    pub bus: BusAddr,
}

impl Mapped {
    /// The device with these registers. `delay_us` waits at least as many microseconds.
    pub fn new(registers: Window, memory: BusMap, delay_us: fn(u32)) -> Mapped {
        Mapped { registers, memory, delay_us }
    }
}

impl Mmio for Mapped {
    #[inline]
    fn read32(&self, offset: u32) -> u32 {
        self.registers.read32(offset)
    }

    #[inline]
    fn write32(&self, offset: u32, value: u32) {
        self.registers.write32(offset, value);
    }
}

impl Device for Mapped {
    type Keeper = Forever;

    #[inline]
    fn lend(&self, bytes: &[u8]) -> BusAddr {
        // The address leaves the program: stores to the bytes have to happen before the device is
        // told.
        let at = bytes.as_ptr().expose_provenance().wrapping_sub(self.memory.from);
        let inside = at < self.memory.bytes && bytes.len() <= self.memory.bytes - at;
        assert!(inside, "bytes that the bus does not reach");
        self.memory.bus.add(at as u64)
    }

    fn delay_us(&self, us: u32) {
        (self.delay_us)(us);
    }
}
