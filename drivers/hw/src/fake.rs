//! A machine's memory for tests: the same [`Dma`] values as on a machine, and the device's view of
//! them, which refuses what a device must not do.
//!
//! The view reads and writes by bus address. A frame that the driver owns cannot be reached through
//! it, so a driver that gives too late or takes too early, and a device that writes where it should
//! not, end in a [`Fault`] instead of in bytes that change under a reader.
//!
//! Bytes that are lent ([`Memory::lend`]) belong to somebody else, who may hold them mutably the
//! next moment; the device sees what they were when they were lent.
#![allow(unsafe_code)]

use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

use crate::BusAddr;
use crate::dma::{Dma, Keeper};
use crate::frames::{Custody, FRAME_BYTES};

/// An access of a device to an address where it has no business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// The memory of a machine on one thread. Clones are the same memory.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// As it was allocated.
    start: NonNull<u8>,
    /// The first whole page.
    base: NonNull<u8>,
    bytes: usize,
    taken: Cell<usize>,
    frames: RefCell<Vec<(BusAddr, Rc<Custody>)>>,
    /// What was lent, by page of its virtual address.
    lent: RefCell<BTreeMap<u64, Box<[u8; PAGE_BYTES]>>>,
}

impl Memory {
    /// `bytes` bytes of zeroes, at a bus address that is no virtual one.
    pub fn new(bytes: usize) -> Memory {
        let layout = layout(bytes);
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: the layout has a page more than the memory, for this.
        let base = unsafe { start.byte_add(start.align_offset(PAGE_BYTES)) };
        Memory {
            shared: Rc::new(Shared {
                start,
                base,
                bytes,
                taken: Cell::new(0),
                frames: RefCell::new(Vec::new()),
                lent: RefCell::new(BTreeMap::new()),
            }),
        }
    }

    /// The next `bytes` bytes.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn take(&self, bytes: usize) -> Dma<Memory> {
        let from = self.shared.taken.get();
        let bytes = bytes.next_multiple_of(PAGE_BYTES);
        let end = self.shared.bytes.next_multiple_of(PAGE_BYTES);
        assert!(bytes <= end - from, "the fake machine has no more memory");
        self.shared.taken.set(from + bytes);
        let bus = BusAddr(BASE + from as u64);
        // SAFETY: `from` lies inside; the bytes were zeroed, are handed out once, and live as long
        // as this keeper, which stays on this thread. The device is whoever uses `read` and
        // `write`, which refuse frames that are the driver's.
        unsafe { Dma::new(self.shared.base.byte_add(from), bytes, bus, self.clone()) }
    }

    /// Where the device finds a copy of `bytes`.
    pub fn lend(&self, bytes: &[u8]) -> BusAddr {
        let at = bytes.as_ptr().addr() as u64;
        let mut lent = self.shared.lent.borrow_mut();
        for (index, &byte) in bytes.iter().enumerate() {
            let at = at + index as u64;
            let page = lent.entry(at / PAGE_BYTES as u64);
            let page = page.or_insert_with(|| Box::new([0; PAGE_BYTES]));
            page[(at % PAGE_BYTES as u64) as usize] = byte;
        }
        BusAddr(LENT + at)
    }

    /// The device reads.
    ///
    /// # Errors
    /// [`Fault`] where there is no memory, and for frames of the driver's.
    pub fn read(&self, bus: BusAddr, into: &mut [u8]) -> Result<(), Fault> {
        if bus.0 >= LENT {
            return self.read_lent(bus.0 - LENT, into);
        }
        let from = self.reachable(bus, into.len())?;
        // SAFETY: as in `write`; reading excludes nobody's shared reference.
        unsafe { from.as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// The device writes.
    ///
    /// # Errors
    /// [`Fault`] where there is no memory, and for frames of the driver's.
    pub fn write(&self, bus: BusAddr, bytes: &[u8]) -> Result<(), Fault> {
        let to = self.reachable(bus, bytes.len())?;
        // SAFETY: `reachable` gives memory of ours that is descriptors (atomics, which may change,
        // and on this thread do not race), frames of the device (no reference exists, by custody), or not
        // handed out as either. `bytes` is no part of it, or it would be a driver's frame.
        unsafe { to.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn read_lent(&self, at: u64, into: &mut [u8]) -> Result<(), Fault> {
        let lent = self.shared.lent.borrow();
        for (index, byte) in into.iter_mut().enumerate() {
            let at = at.checked_add(index as u64).ok_or(Fault)?;
            let page = lent.get(&(at / PAGE_BYTES as u64)).ok_or(Fault)?;
            *byte = page[(at % PAGE_BYTES as u64) as usize];
        }
        Ok(())
    }

    /// Memory that the device may touch.
    fn reachable(&self, bus: BusAddr, bytes: usize) -> Result<NonNull<u8>, Fault> {
        let from = usize::try_from(bus.0.checked_sub(BASE).ok_or(Fault)?).map_err(|_| Fault)?;
        let to = from.checked_add(bytes).ok_or(Fault)?;
        if to > self.shared.taken.get() {
            return Err(Fault);
        }
        let last = to.saturating_sub(1).max(from);
        for (base, custody) in &*self.shared.frames.borrow() {
            let base = (base.0 - BASE) as usize;
            let end = base + custody.frames() as usize * FRAME_BYTES;
            if from >= end || last < base {
                continue;
            }
            let first = from.max(base).abs_diff(base) / FRAME_BYTES;
            let last = (last.min(end - 1) - base) / FRAME_BYTES;
            if (first..=last).any(|frame| !custody.is_devices(frame as u32)) {
                return Err(Fault);
            }
        }
        // SAFETY: `from` lies inside of the allocation.
        Ok(unsafe { self.shared.base.byte_add(from) })
    }
}

impl Keeper for Memory {
    fn watch(&self, bus: BusAddr, custody: &Rc<Custody>) {
        self.shared.frames.borrow_mut().push((bus, Rc::clone(custody)));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; whoever uses it holds a keeper, so nobody does.
        unsafe { dealloc(self.start.as_ptr(), layout(self.bytes)) };
    }
}

/// Of a run of pages, and room to begin at one. Asked for by the byte, because an allocator that is
/// asked for pages touches all of them to zero them.
fn layout(bytes: usize) -> Layout {
    let bytes = bytes.next_multiple_of(PAGE_BYTES) + PAGE_BYTES;
    Layout::from_size_align(bytes, 1).expect("a machine's memory is no half address space")
}

const PAGE_BYTES: usize = 4096;

/// Where the memory begins on the bus.
const BASE: u64 = 0x1_0000_0000;

/// Where lent bytes are found: behind everything else.
const LENT: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    //! Proves that the device reaches descriptors and its own frames, and nothing else.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn descriptors_are_shared() {
        let memory = Memory::new(8192);
        let ring = memory.take(4096).into_ring();
        assert_eq!(ring.count(), 256);
        ring.write(256, [0, 0x0807_0605_0403_0201]);
        let mut bytes = [0; 2];
        assert_eq!(memory.read(ring.bus().add(9), &mut bytes), Ok(()));
        assert_eq!(bytes, [2, 3]);
        assert_eq!(memory.write(ring.bus().add(4), &[9; 8]), Ok(()));
        assert_eq!(ring.first(0), 0x0909_0909_0000_0000);
        assert_eq!(ring.second(512), 0x0807_0605_0909_0909);
        assert_eq!(memory.write(ring.bus().add(4090), &[0; 7]), Err(Fault), "not handed out");
        assert_eq!(memory.read(BusAddr(0), &mut bytes), Err(Fault));
        assert_eq!(memory.read(BusAddr(u64::MAX), &mut bytes), Err(Fault));
    }

    #[test]
    fn frames_of_the_driver_are_out_of_reach() {
        let memory = Memory::new(4 * FRAME_BYTES);
        let mut frames = memory.take(4 * FRAME_BYTES).into_frames();
        let second = frames.bus(1);
        assert_eq!(memory.write(second, &[1]), Err(Fault));
        frames.give(2);
        assert_eq!(memory.write(second, &[1; FRAME_BYTES]), Ok(()));
        assert_eq!(memory.write(second, &[1; FRAME_BYTES + 1]), Err(Fault), "into the third");
        frames.take(2);
        assert_eq!(frames.bytes(1)[FRAME_BYTES - 1], 1);
        assert_eq!(memory.read(second, &mut [0]), Err(Fault));
    }

    #[test]
    fn lent_bytes_are_read_as_they_were() {
        let memory = Memory::new(1);
        let mut bytes = [7u8; 5000];
        let bus = memory.lend(&bytes);
        bytes.fill(8);
        let mut seen = [0; 5000];
        assert_eq!(memory.read(bus, &mut seen), Ok(()));
        assert_eq!((seen, bytes), ([7; 5000], [8; 5000]));
        assert_eq!(memory.write(bus, &[1]), Err(Fault));
    }

    proptest! {
        #[test]
        fn any_address_is_survived(bus in any::<u64>(), near in 0u64..40_000, length in 0usize..9000) {
            let memory = Memory::new(16 * FRAME_BYTES);
            let mut frames = memory.take(8 * FRAME_BYTES).into_frames();
            frames.give(5);
            let mut bytes = alloc::vec![0; length];
            for bus in [bus, BASE - 4000 + near, LENT + near] {
                let read = memory.read(BusAddr(bus), &mut bytes);
                prop_assert_eq!(bus < LENT && read.is_ok(), memory.write(BusAddr(bus), &bytes).is_ok());
            }
        }
    }
}
