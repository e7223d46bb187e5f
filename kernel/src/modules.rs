//! Boot modules, from where the loader put them to files that an image reads.
//!
//! A loader may put them anywhere, GRUB on UEFI also at address 0. What lies low, where pages have
//! other uses, is moved while the loader's map still holds.
#![allow(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;
use core::arch::asm;
use core::ops::Range;

use crate::firmware::handover::{Handover, MODULES_MAX};
use crate::frames;
use crate::layout::{LOW_END, PAGE_BYTES};
use crate::machine::File;

/// What is kept of the boot modules while there is no heap.
pub(crate) struct Modules {
    list: [Module; MODULES_MAX],
    count: usize,
}

struct Module {
    at: Range<u64>,
    words: [u8; WORDS_MAX],
    words_bytes: usize,
}

/// Longer words of a loader about a file are cut.
const WORDS_MAX: usize = 128;

impl Modules {
    /// Those that lie in memory.
    pub(crate) fn of(handover: &Handover<'_>) -> Modules {
        let none = || Module { at: 0..0, words: [0; WORDS_MAX], words_bytes: 0 };
        let mut modules = Modules { list: core::array::from_fn(|_| none()), count: 0 };
        for found in handover.modules().iter().filter(|found| handover.memory.contain(&found.at)) {
            let module = &mut modules.list[modules.count];
            module.at = found.at.clone();
            module.words_bytes = found.words.len().min(WORDS_MAX);
            module.words[..module.words_bytes].copy_from_slice(&found.words[..module.words_bytes]);
            modules.count += 1;
        }
        modules
    }

    /// Moves what lies low to free memory.
    ///
    /// # Errors
    /// One sentence, when there is none.
    pub(crate) fn lift(&mut self) -> Result<(), &'static str> {
        for module in &mut self.list[..self.count] {
            if module.at.start < LOW_END {
                let bytes = module.at.end - module.at.start;
                let rounded = bytes.next_multiple_of(PAGE_BYTES);
                let to = frames::take_dirty(rounded, PAGE_BYTES, 1 << 32);
                let to = to.ok_or("boot: no memory for a module")?;
                // SAFETY: both ranges are memory, mapped, and the second is nobody else's.
                unsafe { copy(module.at.start, to as *mut u8, bytes as usize) };
                module.at = to..to + bytes;
            }
        }
        Ok(())
    }

    /// The files, once there is a heap.
    pub(crate) fn files(&self) -> Vec<File> {
        let file = |module: &Module| {
            let name = String::from_utf8_lossy(&module.words[..module.words_bytes]).into_owned();
            let bytes = (module.at.end - module.at.start) as usize;
            // SAFETY: the range is memory, mapped, was taken out of what is free, and nobody writes
            // it any more.
            let bytes = unsafe { core::slice::from_raw_parts(module.at.start as *const u8, bytes) };
            File { name: name.leak(), bytes }
        };
        self.list[..self.count].iter().map(file).collect()
    }
}

/// Copies physical memory. In assembly, because the first byte may be at address 0, of which the
/// compiler assumes that nobody reads it.
///
/// # Safety
/// Both ranges are memory and mapped, apart from each other, and the second is the caller's.
pub(crate) unsafe fn copy(from: u64, to: *mut u8, bytes: usize) {
    // SAFETY: as the caller says.
    unsafe {
        asm!(
            "rep movsb",
            inout("rsi") from => _,
            inout("rdi") to => _,
            inout("rcx") bytes => _,
            options(nostack, preserves_flags)
        );
    }
}
