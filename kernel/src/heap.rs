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

/// Opens the heap with half of the largest piece of free memory; the other half is for devices.
/// Says its size.
///
/// # Errors
/// One sentence, when there is no memory to speak of.
pub(crate) fn open() -> Result<usize, &'static str> {
    let largest = frames::largest().map_or(0, |range| range.end - range.start);
    let bytes = (largest / 2) & !(PAGE - 1);
    let start = frames::take_dirty(bytes, PAGE, u64::MAX).filter(|_| bytes >= HEAP_MIN);
    let start = start.ok_or("heap: less than 2 MB of memory is free")?;
    // SAFETY: the range was just taken from the free memory, and is the heap's for good.
    unsafe { HEAP.heap.lock().init(start as *mut u8, bytes as usize) };
    Ok(bytes as usize)
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
