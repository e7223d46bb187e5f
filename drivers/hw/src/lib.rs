//! The seam between a driver and a machine.
//!
//! A driver needs four things of the machine it runs on, and gets them here as values that safe
//! code can use: registers, memory that the device reaches too, the device's configuration, and a
//! way to let time pass. Whoever boots the machine makes these values, with `unsafe` constructors
//! that say what must be true; a test makes them from [`fake`].
//!
//! ```text
//!   driver ──▶ Device ─┬─ Mmio     registers            Window: one volatile access each
//!                      ├─ lend     where the device finds bytes that it shall read
//!                      └─ delay    for waits that a datasheet asks for
//!          ──▶ Dma<K> ─┬─ Ring     descriptors: shared with the device at all times, so atomic
//!                      └─ Frames   packet buffers: one owner each, the driver or the device
//!          ──▶ Function, Msix      PCI configuration and interrupt messages
//! ```
//!
//! **Why a buffer's bytes are plain bytes.** [`Frames`] keeps count of which buffers are with the
//! device, and hands out the bytes of the others only. What remains to be trusted is the device: it
//! must write nowhere but into buffers it was given, until it has said that it is done; and the few
//! lines of a driver that hear it say so ([`Frames::take`], [`Frames::restart`]). Every machine
//! without an IOMMU trusts its devices with the first; the fake checks the second.
//!
//! `unsafe` stands in four files, for one reason each: `window.rs` (an address is a register),
//! `dma.rs` (an address is memory shared with a device), `frames.rs` (custody makes bytes), and
//! `fake.rs` (a device in software reads and writes that memory).
#![no_std]

extern crate alloc;

mod dma;
pub mod fake;
mod frames;
mod mapped;
mod msix;
mod pci;
mod window;

pub use dma::{Dma, Forever, Keeper, Ring};
pub use frames::{Custody, FRAME_BYTES, Frames};
pub use mapped::{BusMap, Mapped};
pub use msix::{Message, Msix};
pub use pci::{Bar, BarKind, Function, MsixTables, PciError};
pub use window::Window;

/// An address as a device uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusAddr(pub u64);

impl BusAddr {
    /// The address `bytes` further on.
    #[inline]
    pub const fn add(self, bytes: u64) -> BusAddr {
        BusAddr(self.0.wrapping_add(bytes))
    }
}

/// Registers of 32 bits at multiples of four bytes.
pub trait Mmio {
    /// Reads the register at `offset`. A device that has left the bus reads as all ones.
    fn read32(&self, offset: u32) -> u32;

    /// Writes the register at `offset`. Everything the program stored before is visible to the
    /// device when the write reaches it.
    fn write32(&self, offset: u32, value: u32);
}

/// One device, as its driver reaches it. Clones reach the same device.
pub trait Device: Mmio + Clone + core::fmt::Debug {
    /// What keeps this machine's DMA memory alive.
    type Keeper: Keeper;

    /// Where the device finds `bytes`. They must stay as they are until it has read them.
    fn lend(&self, bytes: &[u8]) -> BusAddr;

    /// Lets at least `us` microseconds pass.
    fn delay_us(&self, us: u32);
}
