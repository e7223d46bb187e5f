//! Guest memory as the client maps it: ranges of bus addresses behind file descriptors.
//!
//! Every address that reaches this file was chosen by a guest. An access outside of what is mapped,
//! or across a gap, fails and touches nothing past it. Firmware remaps ranges often and in pieces,
//! so a range may be cut by a later one.

use penstock_nic82599::{Memory, Unmapped};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use vm_memory::mmap::MmapRegion;
use vm_memory::{Bytes, FileOffset, VolatileMemory};

/// The memory that a client has shown us.
#[derive(Default)]
pub(crate) struct GuestMemory {
    /// By first address.
    ranges: BTreeMap<u64, Range>,
}

#[derive(Clone)]
struct Range {
    length: u64,
    map: Arc<MmapRegion>,
    /// Where the range begins in the map.
    from: usize,
    writable: bool,
}

impl GuestMemory {
    /// Maps `length` bytes of `file` from `offset` on at `address`, over whatever was there.
    pub(crate) fn map(
        &mut self,
        address: u64,
        length: u64,
        file: File,
        offset: u64,
        writable: bool,
    ) -> io::Result<()> {
        let wrong = || io::Error::from(io::ErrorKind::InvalidInput);
        address.checked_add(length).filter(|_| length > 0).ok_or_else(wrong)?;
        let bytes = usize::try_from(length).map_err(|_| wrong())?;
        // A map past the end of a file would be a signal at the first access.
        let end = offset.checked_add(length).ok_or_else(wrong)?;
        if file.metadata()?.len() < end {
            return Err(wrong());
        }
        let map = MmapRegion::from_file(FileOffset::new(file, offset), bytes)
            .map_err(|error| io::Error::other(error.to_string()))?;
        self.unmap(address, length);
        self.ranges.insert(address, Range { length, map: Arc::new(map), from: 0, writable });
        Ok(())
    }

    /// Forgets everything in `length` bytes from `address` on; ranges that reach in are cut.
    pub(crate) fn unmap(&mut self, address: u64, length: u64) {
        let end = address.saturating_add(length);
        let touched: Vec<u64> = self
            .ranges
            .range(..end)
            .filter(|&(&start, range)| start + range.length > address)
            .map(|(&start, _)| start)
            .collect();
        for start in touched {
            let Some(range) = self.ranges.remove(&start) else { continue };
            let range_end = start + range.length;
            if start < address {
                let left = Range { length: address - start, ..range.clone() };
                self.ranges.insert(start, left);
            }
            if end < range_end {
                let from = range.from + (end - start) as usize;
                self.ranges.insert(end, Range { length: range_end - end, from, ..range });
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
    }

    /// The range that holds `address`, where in its map the address lies, and how far it reaches.
    fn find(&self, address: u64) -> Result<(&Range, usize, usize), Unmapped> {
        let (&start, range) = self.ranges.range(..=address).next_back().ok_or(Unmapped)?;
        let into = address - start;
        if into >= range.length {
            return Err(Unmapped);
        }
        let rest = usize::try_from(range.length - into).unwrap_or(usize::MAX);
        Ok((range, range.from + into as usize, rest))
    }
}

impl Memory for GuestMemory {
    fn read(&self, mut address: u64, mut into: &mut [u8]) -> Result<(), Unmapped> {
        while !into.is_empty() {
            let (range, at, rest) = self.find(address)?;
            let (now, later) = into.split_at_mut(rest.min(into.len()));
            let slice = range.map.get_slice(at, now.len()).map_err(|_| Unmapped)?;
            slice.read_slice(now, 0).map_err(|_| Unmapped)?;
            address = address.checked_add(now.len() as u64).ok_or(Unmapped)?;
            into = later;
        }
        Ok(())
    }

    fn write(&mut self, mut address: u64, mut bytes: &[u8]) -> Result<(), Unmapped> {
        while !bytes.is_empty() {
            let (range, at, rest) = self.find(address)?;
            if !range.writable {
                return Err(Unmapped);
            }
            let (now, later) = bytes.split_at(rest.min(bytes.len()));
            let slice = range.map.get_slice(at, now.len()).map_err(|_| Unmapped)?;
            slice.write_slice(now, 0).map_err(|_| Unmapped)?;
            address = address.checked_add(now.len() as u64).ok_or(Unmapped)?;
            bytes = later;
        }
        Ok(())
    }

    fn publish(&mut self, address: u64, word: u32) -> Result<(), Unmapped> {
        // A guest that sees the word must see everything written before it. An aligned word is
        // stored whole; what a hostile guest aligned wrongly may tear.
        let (range, at, rest) = self.find(address)?;
        if range.writable && rest >= 4 && address.is_multiple_of(4) {
            let slice = range.map.get_slice(at, 4).map_err(|_| Unmapped)?;
            return slice.store(word, 0, Ordering::Release).map_err(|_| Unmapped);
        }
        fence(Ordering::Release);
        self.write(address, &word.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    //! Proves bounds, cuts and accesses across ranges on a file that stands for a guest's memory.
    use super::*;
    use std::io::Write;

    /// A file of `pages` pages, each filled with its number.
    fn file(pages: u8) -> File {
        let path = std::env::temp_dir().join(format!(
            "penstock-memory-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .expect("a file");
        std::fs::remove_file(&path).expect("ours");
        for page in 0..pages {
            file.write_all(&[page; 4096]).expect("space");
        }
        file
    }

    fn byte(memory: &GuestMemory, address: u64) -> Option<u8> {
        let mut byte = [0];
        memory.read(address, &mut byte).ok().map(|()| byte[0])
    }

    #[test]
    fn nothing_outside_a_range_is_reached() {
        let mut memory = GuestMemory::default();
        memory.map(0x10_0000, 0x2000, file(4), 0x1000, true).expect("mapped");
        assert_eq!(byte(&memory, 0x0F_FFFF), None);
        assert_eq!(byte(&memory, 0x10_0000), Some(1));
        assert_eq!(byte(&memory, 0x10_1FFF), Some(2));
        assert_eq!(byte(&memory, 0x10_2000), None);
        assert_eq!(memory.write(0x10_1FFE, &[9; 4]), Err(Unmapped));
        assert_eq!(memory.read(u64::MAX, &mut [0; 8]), Err(Unmapped));
        assert_eq!(memory.publish(0x10_1FFE, 1), Err(Unmapped));
        assert_eq!(memory.publish(0x10_1FFC, 0x0403_0201), Ok(()));
        assert_eq!(byte(&memory, 0x10_1FFF), Some(4));
        assert!(memory.map(u64::MAX - 5, 0x1000, file(1), 0, true).is_err());
        assert!(memory.map(0, 0x4000, file(1), 0, true).is_err(), "past the end of the file");
    }

    #[test]
    fn ranges_are_cut_and_replaced() {
        let mut memory = GuestMemory::default();
        memory.map(0, 0x5000, file(5), 0, true).expect("mapped");
        memory.unmap(0x1000, 0x1000);
        memory.map(0x3000, 0x1000, file(9), 0x8000, false).expect("mapped over");
        let seen: Vec<_> = (0..6).map(|page| byte(&memory, page * 0x1000)).collect();
        assert_eq!(seen, [Some(0), None, Some(2), Some(8), Some(4), None]);
        assert_eq!(memory.write(0x3000, &[1]), Err(Unmapped), "read only");
        assert_eq!(memory.publish(0x3000, 1), Err(Unmapped));
        let mut across = [0; 0x2000];
        assert_eq!(memory.read(0x2800, &mut across), Ok(()));
        assert_eq!((across[0], across[0x800], across[0x1800]), (2, 8, 4));
        memory.unmap(0, u64::MAX);
        assert!(memory.ranges.is_empty());
    }
}
