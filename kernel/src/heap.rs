//! The heap, for as long as the machine starts.
//!
//! Tables and pools are sized and built before the loops begin. Then it is sealed, and from
//! then on an allocation is a bug that stops the machine with its size and its caller: memory on the
//! data path has an owner and a bound, or it does not exist. Before that, memory that does not suffice
//! is no bug but a small machine: it is left with a line that says what the memory was for.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use linked_list_allocator::Heap;
use spin::Mutex;

use crate::{frames, leave, log};

/// The allocator of an image.
struct StartHeap {
    heap: Mutex<Heap>,
    sealed: AtomicBool,
    /// What is taken now is for this.
    purpose: Mutex<&'static str>,
}

#[cfg_attr(panic = "abort", global_allocator)]
static HEAP: StartHeap = StartHeap {
    heap: Mutex::new(Heap::empty()),
    sealed: AtomicBool::new(false),
    purpose: Mutex::new("the start"),
};

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
    extend(&mut HEAP.heap.lock(), u64::MAX);
}

/// What memory is taken for from now on: who runs out of it says so.
pub fn take_for(purpose: &'static str) {
    *HEAP.purpose.lock() = purpose;
}

/// Adds so much of the memory behind the heap to it, or as much as there is; whether that is enough.
fn extend(heap: &mut Heap, wanted: u64) -> bool {
    let top = heap.top() as u64;
    let behind = frames::piece_from(top).map_or(0, |piece| piece.end - piece.start);
    let there = behind.saturating_sub(RESERVE) & !(PAGE - 1);
    let bytes = there.min(wanted);
    if bytes > 0 && frames::take_at(top..top + bytes) {
        // SAFETY: the range begins where the heap ends, was just taken, and is the heap's for good.
        unsafe { heap.extend(bytes as usize) };
    }
    bytes == wanted
}

/// There is no more memory: the machine is too small for what it was told to be.
#[cold]
fn refuse(bytes: usize) -> ! {
    let (used, free) = usage();
    let purpose = *HEAP.purpose.lock();
    let (all, used) = ((used + free) >> 10, used >> 10);
    log::line(
        log::Level::Error,
        format_args!(
            "memory: {purpose}: {used} of {all} KiB are in use, and {bytes} bytes more are needed"
        ),
    );
    leave::leave(leave::Outcome::Refused)
}

/// Bytes in use and bytes free.
pub fn usage() -> (usize, usize) {
    let heap = HEAP.heap.lock();
    (heap.used(), heap.free())
}

/// Whether so many bytes can be taken: for who can do without, since who asks for more ends the machine.
pub(crate) fn has_room(bytes: usize) -> bool {
    let heap = HEAP.heap.lock();
    let behind = frames::piece_from(heap.top() as u64).map_or(0, |piece| piece.end - piece.start);
    bytes as u64 <= heap.free() as u64 + behind.saturating_sub(RESERVE)
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
        let mut heap = self.heap.lock();
        let mut taken = heap.allocate_first_fit(layout);
        // Half of the memory is kept for devices, who may have to do with less.
        let more = (layout.size() + layout.align()).max(STEP) as u64;
        if taken.is_err() && extend(&mut heap, more.next_multiple_of(PAGE)) {
            taken = heap.allocate_first_fit(layout);
        }
        drop(heap);
        taken.unwrap_or_else(|()| refuse(layout.size())).as_ptr()
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

/// By so much at least the heap grows when it has to.
const STEP: usize = 64 << 10;

/// Sixteen page tables: room to map registers of devices that come late.
const RESERVE: u64 = 64 << 10;
