//! The heap, for as long as the machine starts.
//!
//! Tables and pools are sized and built before the loops begin. Then it is sealed, and from
//! then on an allocation is a bug that stops the machine with its size and its caller: memory on the
//! data path has an owner and a bound, or it does not exist.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use linked_list_allocator::Heap;
use spin::Mutex;

use crate::frames;

/// The allocator of an image.
struct StartHeap {
    heap: Mutex<Heap>,
    sealed: AtomicBool,
}

#[cfg_attr(panic = "abort", global_allocator)]
static HEAP: StartHeap =
    StartHeap { heap: Mutex::new(Heap::empty()), sealed: AtomicBool::new(false) };

/// Opens the heap with the lower half of the largest piece of free memory; the other half is for
/// devices, until [`take_rest`]. Says its size.
///
/// # Errors
/// One sentence, when there is no memory to speak of.
pub(crate) fn open() -> Result<usize, &'static str> {
    let largest = frames::largest().unwrap_or_default();
    let start = largest.start.next_multiple_of(PAGE);
    let bytes = (largest.end.saturating_sub(start) / 2) & !(PAGE - 1);
    if bytes < HEAP_MIN || !frames::take_at(start..start + bytes) {
        return Err("heap: less than 2 MB of memory is free");
    }
    // SAFETY: the range was just taken from the free memory, and is the heap's for good.
    unsafe { HEAP.heap.lock().init(start as *mut u8, bytes as usize) };
    Ok(bytes as usize)
}

/// Devices have what they need: what they have left behind the heap becomes the heap's, but for a
/// little that page tables may still want.
pub fn take_rest() {
    let mut heap = HEAP.heap.lock();
    let top = heap.top() as u64;
    let behind = frames::piece_from(top).map_or(0, |piece| piece.end - piece.start);
    let bytes = behind.saturating_sub(RESERVE) & !(PAGE - 1);
    if bytes > 0 && frames::take_at(top..top + bytes) {
        // SAFETY: the range begins where the heap ends, was just taken, and is the heap's for good.
        unsafe { heap.extend(bytes as usize) };
    }
}

/// Bytes in use and bytes free.
pub fn usage() -> (usize, usize) {
    let heap = HEAP.heap.lock();
    (heap.used(), heap.free())
}

/// From now on nothing may be allocated.
pub(crate) fn seal() {
    HEAP.sealed.store(true, Ordering::Release);
}

// SAFETY: `Heap` hands out each byte once; the lock serialises it. A panic does not unwind here: the
// image is built with panic = "abort".
unsafe impl GlobalAlloc for StartHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.sealed.load(Ordering::Acquire) {
            panic!("heap: {} bytes asked for after the start", layout.size());
        }
        self.heap.lock().allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller gives back what `alloc` gave for this layout.
            unsafe { self.heap.lock().deallocate(pointer, layout) };
        }
    }
}

const PAGE: u64 = 4096;
const HEAP_MIN: u64 = 1 << 20;

/// Sixteen page tables: room to map registers of devices that come late.
const RESERVE: u64 = 64 << 10;
