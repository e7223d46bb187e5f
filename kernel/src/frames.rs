//! Physical memory that is free.
//!
//! Taken while the machine starts, never given back: pools and tables are sized once. What is taken
//! lies at its physical address in the identity map.
#![allow(unsafe_code)]

use core::ops::Range;
use core::ptr::NonNull;
use penstock_hw::{BusAddr, BusMap, Dma, Forever};
use spin::Mutex;

use crate::firmware::ranges::Ranges;
use crate::layout::PAGE_BYTES;

static FREE: Mutex<Ranges> = Mutex::new(Ranges::new());

/// From now on, this is what is free.
pub(crate) fn open(free: Ranges) {
    *FREE.lock() = free;
}

/// Bytes that are free.
pub fn free_bytes() -> u64 {
    FREE.lock().bytes()
}

/// The largest piece that is free.
pub(crate) fn largest() -> Option<Range<u64>> {
    FREE.lock().iter().max_by_key(|range| range.end - range.start)
}

/// The piece that begins here.
pub(crate) fn piece_from(start: u64) -> Option<Range<u64>> {
    FREE.lock().iter().find(|range| range.start == start)
}

/// Takes exactly this range, if all of it is free. Whatever it held, it still holds.
pub(crate) fn take_at(range: Range<u64>) -> bool {
    let mut free = FREE.lock();
    let is_free = free.contain(&range);
    if is_free {
        free.remove(range);
    }
    is_free
}

/// Takes memory at a multiple of `align`, below `limit`; its physical address. Whatever it held, it
/// still holds.
pub(crate) fn take_dirty(bytes: u64, align: u64, limit: u64) -> Option<u64> {
    FREE.lock().take(bytes, align, limit).map(|range| range.start)
}

/// The same, and zero.
pub(crate) fn take(bytes: u64, align: u64, limit: u64) -> Option<u64> {
    let start = take_dirty(bytes, align, limit)?;
    // SAFETY: what is free is memory, is mapped (up to 4 GB from the first instruction on, and
    // `limit` says so until the final tables are there), and was given to nobody else.
    unsafe { core::ptr::write_bytes(start as *mut u8, 0, bytes as usize) };
    Some(start)
}

/// Takes memory for a device: whole pages in one piece, zero, below 4 GB where there is room; from
/// 2 MB on it begins at a large page. Where the processor sees it, and the bus.
pub fn take_pages(bytes: usize) -> Option<(NonNull<u8>, BusAddr)> {
    let rounded = (bytes as u64).next_multiple_of(PAGE_BYTES);
    let align = if rounded >= LARGE_PAGE { LARGE_PAGE } else { PAGE_BYTES };
    let bus = take(rounded, align, 1 << 32).or_else(|| take(rounded, align, u64::MAX))?;
    Some((NonNull::new(bus as *mut u8)?, BusAddr(bus)))
}

/// The same, as drivers of ours want it.
pub fn take_dma(bytes: usize) -> Option<Dma> {
    let (base, bus) = take_pages(bytes)?;
    // SAFETY: the memory is zero, contiguous, cached, begins and ends at pages, and was given to
    // nobody else. What the device writes is its driver's to say; no IOMMU holds it to that.
    Some(unsafe { Dma::new(base, bytes.next_multiple_of(PAGE_BYTES as usize), bus, Forever) })
}

/// How memory looks from the bus: as it looks from the processor, at the same addresses.
pub fn bus_map() -> BusMap {
    BusMap { from: 0, bytes: crate::stacks::BASE as usize, bus: BusAddr(0) }
}

const LARGE_PAGE: u64 = 2 << 20;
