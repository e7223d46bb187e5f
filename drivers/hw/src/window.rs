//! A window of device registers in the address space.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

use crate::Mmio;

/// A run of registers of one device. Clones show the same registers; nothing here keeps two owners
/// from writing one of them, as nothing in the device does.
#[derive(Clone, Debug)]
pub struct Window {
    base: NonNull<u32>,
    bytes: u32,
}

impl Window {
    /// The `bytes` bytes of registers at virtual address `base`.
    ///
    /// # Safety
    /// For as long as the program runs, `base` to `base + bytes` is mapped, uncached, onto registers
    /// of a device (or onto configuration space), and is used for nothing else. `base` and `bytes`
    /// are multiples of four.
    pub const unsafe fn new(base: NonNull<u32>, bytes: u32) -> Window {
        Window { base, bytes }
    }

    /// The part of `bytes` bytes from `from` on, if it lies inside.
    pub fn part(&self, from: u32, bytes: u32) -> Option<Window> {
        let inside = from.checked_add(bytes)? <= self.bytes;
        if !inside || !from.is_multiple_of(4) || !bytes.is_multiple_of(4) {
            return None;
        }
        // SAFETY: `from` lies within the window, which is one mapping.
        let base = unsafe { self.base.byte_add(from as usize) };
        Some(Window { base, bytes })
    }

    /// How many bytes of registers there are.
    pub const fn bytes(&self) -> u32 {
        self.bytes
    }

    #[inline]
    fn at(&self, offset: u32) -> *mut u32 {
        assert!(offset < self.bytes, "register {offset:#x} outside of its window");
        // SAFETY: the offset lies within the window; the low bits are cut, so the word does too.
        unsafe { self.base.as_ptr().byte_add((offset & !3) as usize) }
    }
}

impl Mmio for Window {
    #[inline]
    fn read32(&self, offset: u32) -> u32 {
        // SAFETY: `at` gives an aligned, mapped register; `new` promised that it is one.
        let value = unsafe { self.at(offset).read_volatile() };
        // What the device wrote to memory before it answered is seen by what follows.
        fence(Ordering::Acquire);
        value
    }

    #[inline]
    fn write32(&self, offset: u32, value: u32) {
        // Descriptors and frames are in memory before the device hears of them. On x86 this is an
        // order to the compiler: stores are not reordered with stores to uncached memory.
        fence(Ordering::Release);
        // SAFETY: as in `read32`.
        unsafe { self.at(offset).write_volatile(value) };
    }
}

// SAFETY: a register is no memory of the program: volatile accesses from two cores race on the bus,
// where each is one transaction, and never in the sense of the language.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

#[cfg(test)]
mod tests {
    //! Proves the arithmetic of windows over plain memory that plays registers.
    use super::*;
    use alloc::boxed::Box;

    fn window(words: usize) -> Window {
        let memory = Box::leak(alloc::vec![0u32; words].into_boxed_slice());
        // SAFETY: leaked memory, used through this window alone.
        unsafe { Window::new(NonNull::from(memory).cast(), words as u32 * 4) }
    }

    #[test]
    fn parts_see_the_same_registers() {
        let whole = window(8);
        let part = whole.part(8, 16).expect("inside");
        part.write32(4, 7);
        assert_eq!((whole.read32(12), part.bytes()), (7, 16));
        assert!(whole.part(8, 28).is_none() && whole.part(2, 4).is_none());
        assert!(whole.part(u32::MAX - 3, 8).is_none());
    }

    #[test]
    #[should_panic(expected = "outside of its window")]
    fn nothing_outside_is_touched() {
        window(2).read32(8);
    }
}
