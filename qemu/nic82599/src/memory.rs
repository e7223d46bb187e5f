//! Guest memory as the card's DMA engine sees it.
//!
//! Every address comes from the guest, so each access can fail; the card counts the failure, raises
//! its PCI cause and goes on, as a card does whose writes vanish on the bus.

use core::cell::Cell;

/// An access that no guest memory answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped;

/// Memory that the card may read and write by bus address.
pub trait Memory {
    /// Fills `into` from `address` on. Nothing may be assumed of `into` after an error.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unmapped>;

    /// Stores `bytes` at `address`.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unmapped>;

    /// Stores a word that a driver polls, after everything written before it is visible.
    fn publish(&mut self, address: u64, word: u32) -> Result<(), Unmapped>;
}

/// Memory in which a planted fault hides every so many accesses.
pub(crate) struct Failing<'a, M> {
    pub(crate) inner: &'a mut M,
    /// 0 for none.
    pub(crate) every: u64,
    pub(crate) count: Cell<u64>,
}

impl<M> Failing<'_, M> {
    fn access(&self) -> Result<(), Unmapped> {
        if self.every == 0 {
            return Ok(());
        }
        self.count.set(self.count.get().wrapping_add(1));
        if self.count.get().is_multiple_of(self.every) { Err(Unmapped) } else { Ok(()) }
    }
}

impl<M: Memory> Memory for Failing<'_, M> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unmapped> {
        self.access().and_then(|()| self.inner.read(address, into))
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        self.access().and_then(|()| self.inner.write(address, bytes))
    }

    fn publish(&mut self, address: u64, word: u32) -> Result<(), Unmapped> {
        self.access().and_then(|()| self.inner.publish(address, word))
    }
}

/// One run of memory from a base address on: what tests and the in-process front end use.
#[derive(Clone, Debug)]
pub struct FlatMemory {
    base: u64,
    bytes: Vec<u8>,
}

impl FlatMemory {
    /// `length` zero bytes at `base`.
    pub fn new(base: u64, length: usize) -> FlatMemory {
        FlatMemory { base, bytes: vec![0; length] }
    }

    fn range(&self, address: u64, length: usize) -> Result<core::ops::Range<usize>, Unmapped> {
        let from = usize::try_from(address.checked_sub(self.base).ok_or(Unmapped)?)
            .map_err(|_| Unmapped)?;
        let to = from.checked_add(length).ok_or(Unmapped)?;
        if to > self.bytes.len() { Err(Unmapped) } else { Ok(from..to) }
    }
}

impl Memory for FlatMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unmapped> {
        let range = self.range(address, into.len())?;
        into.copy_from_slice(&self.bytes[range]);
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        let range = self.range(address, bytes.len())?;
        self.bytes[range].copy_from_slice(bytes);
        Ok(())
    }

    fn publish(&mut self, address: u64, word: u32) -> Result<(), Unmapped> {
        self.write(address, &word.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    //! Proves that no address outside the run is touched, at either end of the address space.
    use super::*;

    #[test]
    fn addresses_outside_are_refused() {
        let mut memory = FlatMemory::new(0x1000, 0x100);
        assert_eq!(memory.write(0x10FC, &[1, 2, 3, 4]), Ok(()));
        assert_eq!(memory.write(0x10FD, &[1, 2, 3, 4]), Err(Unmapped));
        assert_eq!(memory.read(0xFFF, &mut [0]), Err(Unmapped));
        assert_eq!(memory.read(u64::MAX, &mut [0; 16]), Err(Unmapped));
        assert_eq!(memory.publish(0x1000, 0x0403_0201), Ok(()));
        let mut word = [0; 4];
        assert_eq!(memory.read(0x1000, &mut word), Ok(()));
        assert_eq!(word, [1, 2, 3, 4], "little endian");
    }
}
