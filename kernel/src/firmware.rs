//! What firmware and boot loaders hand over, as pure code.
//!
//! Everything here takes bytes and gives numbers. Firmware is not an attacker, but it is written by
//! many, and a table that lies about its length must end in a sentence and not in a fault before
//! the console is there; so every length is checked, every list is bounded, and the fuzzing target
//! `firmware` runs all of it on any bytes. The machine's side, which finds the bytes in physical
//! memory, is a closure or an implementation of [`Physical`].
#![forbid(unsafe_code)]

pub mod acpi;
pub mod bytes;
pub mod fuzz;
pub mod fw_cfg;
pub mod handover;
pub mod multiboot2;
pub mod options;
pub mod pvh;
pub mod ranges;
pub mod rtc;

/// Physical memory that may be read.
pub trait Physical {
    /// The bytes from this address on, if all of them are memory.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]>;
}
