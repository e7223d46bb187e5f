//! Queue registers that a guest reaches without us: the pages that `--mmap-doorbells` shows it.
//!
//! The guest reads and writes them as memory, so nothing tells us when. What we do instead, before
//! and after everything else: take over the words that differ from what was seen last, as writes,
//! and show what the card has changed since.
//!
//! **What this costs.** A write takes effect when somebody looks, microseconds later. The counters
//! of these pages (QPRC, QBRC, QPRDC, QPTC) read zero: a read could not clear them, and drivers add
//! up what they read. QEMU no longer posts its writes to the other registers. Fit to measure speed,
//! not to judge a driver.

use penstock_nic82599::Card;
use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use vfio_bindings::bindings::vfio::vfio_region_sparse_mmap_area;
use vfio_user::SparseArea;
use vm_memory::mmap::MmapRegion;
use vm_memory::{FileOffset, VolatileMemory};

/// The shared pages.
pub(crate) struct Doorbells {
    file: File,
    map: MmapRegion,
    /// What each word of each page held when it was looked at last.
    seen: Vec<u32>,
}

impl Doorbells {
    /// Pages as large as BAR 0, of which only [`AREAS`] are shown.
    pub(crate) fn new() -> io::Result<Doorbells> {
        let file = File::from(rustix::fs::memfd_create("nic82599", MemfdFlags::CLOEXEC)?);
        let bytes = penstock_ixgbe_regs::BAR0_BYTES as usize;
        file.set_len(bytes as u64)?;
        let map = MmapRegion::from_file(FileOffset::new(file.try_clone()?, 0), bytes)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let words = AREAS.iter().map(|area| area.1 as usize / 4).sum();
        Ok(Doorbells { file, map, seen: vec![0; words] })
    }

    /// What the client maps, and from where.
    pub(crate) fn areas(&self) -> (Vec<SparseArea>, RawFd) {
        let area = |&(offset, size): &(u32, u32)| SparseArea {
            area: vfio_region_sparse_mmap_area { offset: offset.into(), size: size.into() },
        };
        (AREAS.iter().map(area).collect(), self.file.as_raw_fd())
    }

    /// Gives the card what the guest has written; true if it has written anything.
    pub(crate) fn collect(&mut self, card: &mut Card) -> bool {
        let mut any = false;
        for (offset, seen) in offsets().zip(&mut self.seen) {
            let Some(word) = word(&self.map, offset) else { continue };
            let value = word.load(Ordering::Acquire);
            if value != *seen {
                *seen = value;
                any = true;
                card.write32(offset, value);
            }
        }
        any
    }

    /// Shows the guest what the card has changed. A word that the guest writes meanwhile stays the
    /// guest's, and is collected next.
    pub(crate) fn show(&mut self, card: &Card) {
        for (offset, seen) in offsets().zip(&mut self.seen) {
            let value = card.peek32(offset);
            if value != *seen
                && let Some(word) = word(&self.map, offset)
                && word.compare_exchange(*seen, value, Ordering::Release, Ordering::Relaxed).is_ok()
            {
                *seen = value;
            }
        }
    }
}

fn word(map: &MmapRegion, offset: u32) -> Option<&AtomicU32> {
    map.get_atomic_ref(offset as usize).ok()
}

fn offsets() -> impl Iterator<Item = u32> {
    AREAS.iter().flat_map(|&(offset, size)| (offset..offset + size).step_by(4))
}

/// Pages of queue registers: offset and size.
const AREAS: &[(u32, u32)] = &[
    (0x1000, 0x1000), // receive queues 0-63 (8.2.3.8)
    (0x6000, 0x2000), // transmit queues (8.2.3.9)
    (0xD000, 0x1000), // receive queues 64-127 (8.2.3.8)
];

#[cfg(test)]
mod tests {
    //! Proves that words cross both ways, each once, and that a guest's write wins.
    use super::*;
    use penstock_ixgbe_regs as regs;
    use penstock_nic82599::CardConfig;

    #[test]
    fn words_cross_both_ways() {
        let mut doorbells = Doorbells::new().expect("memory");
        let mut card = Card::new(CardConfig::default());
        doorbells.show(&card);
        let srrctl = regs::SRRCTL.at(3).0;
        let guest = |doorbells: &Doorbells, offset: u32| {
            word(&doorbells.map, offset).expect("within").load(Ordering::Relaxed)
        };
        assert_eq!(guest(&doorbells, srrctl), card.read32(srrctl), "the value after reset");
        assert!(!doorbells.collect(&mut card), "nobody has written");
        let tail = regs::RDT.at(100).0;
        word(&doorbells.map, tail).expect("within").store(77, Ordering::Relaxed);
        // The card has something to show at the same time.
        card.write32(tail, 5);
        doorbells.show(&card);
        assert_eq!(guest(&doorbells, tail), 77, "the guest's write stays");
        assert!(doorbells.collect(&mut card));
        assert_eq!(card.read32(tail), 77);
        assert!(!doorbells.collect(&mut card));
        let flush = regs::TXDCTL.at(0).0;
        word(&doorbells.map, flush).expect("within").store(1 << 26, Ordering::Relaxed);
        doorbells.collect(&mut card);
        doorbells.show(&card);
        assert_eq!(guest(&doorbells, flush), 0, "what reads zero is shown as zero");
    }
}
