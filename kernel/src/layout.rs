//! Where the linker script put the parts of the image, and the fixed pages below it.
//!
//! ```text
//!  0x0000 null, never mapped    0x8000 start-up code of cores    0x1ff000 the last panic
//!  0x200000 constants | code | data, boot stack | symbols
//! ```
#![allow(unsafe_code)]

use core::ops::Range;

/// The page that other cores start in: below one megabyte, as their start-up message demands.
pub(crate) const TRAMPOLINE: u64 = 0x8000;

/// The page that keeps a panic over a reset: outside what loaders clear and firmware uses.
pub(crate) const LAST_PANIC: u64 = 0x1f_f000;

/// What lies below is firmware's, the start-up page's and the last panic's: never free.
pub(crate) const LOW_END: u64 = 0x20_0000;

/// A page of the smallest size.
pub(crate) const PAGE_BYTES: u64 = 4096;

macro_rules! address {
    ($name:ident) => {{
        #[cfg(panic = "abort")]
        {
            unsafe extern "C" {
                static $name: u8;
            }
            (&raw const $name) as u64
        }
        // Outside an image there is no linker script, and nothing asks.
        #[cfg(not(panic = "abort"))]
        0u64
    }};
}

/// Read-only data, from the beginning of the image.
pub(crate) fn constants() -> Range<u64> {
    address!(__image_start)..address!(__code_start)
}

/// Machine code.
pub(crate) fn code() -> Range<u64> {
    address!(__code_start)..address!(__data_start)
}

/// Data and zeroed data, up to the guard page of the boot stack.
pub(crate) fn data() -> Range<u64> {
    address!(__data_start)..address!(__boot_stack_guard)
}

/// The stack of core 0, without its guard page.
pub(crate) fn boot_stack() -> Range<u64> {
    let guard = address!(__boot_stack_guard);
    guard + PAGE_BYTES..address!(__boot_stack_top).max(guard)
}

/// Where the names of functions begin.
pub(crate) fn symbols_start() -> u64 {
    address!(__symbols_start)
}

/// Names of functions, at the end of the image.
pub(crate) fn symbols() -> Range<u64> {
    let start = symbols_start();
    start..start + crate::symbols::embedded().len() as u64
}

/// The whole image, rounded up to pages.
pub(crate) fn image() -> Range<u64> {
    constants().start..symbols().end.next_multiple_of(PAGE_BYTES)
}

/// The code that other cores start with, to be copied, and the offset of its three words.
pub(crate) fn trampoline() -> (Range<u64>, u64) {
    let range = address!(__trampoline)..address!(__trampoline_end);
    let words = address!(__trampoline_words) - range.start;
    (range, words)
}

/// Entry of vector 0; the others follow every 16 bytes.
pub(crate) fn vectors() -> u64 {
    address!(__vectors)
}
