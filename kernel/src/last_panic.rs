//! The last panic, kept in a page of memory over a reset.
//!
//! A reset leaves memory as it is, and neither firmware nor loader uses this page below the image.
//! Whether what stands there is a text of ours, a checksum says: memory that was off for a moment has
//! decayed.
//!
//! ```text
//!  0 "PNSTLAST"   8 bytes of text   12 checksum   16 text
//! ```
#![allow(unsafe_code)]

use core::fmt;

use crate::firmware::bytes::u32_at;
use crate::firmware::ranges::Ranges;
use crate::layout::{LAST_PANIC, PAGE_BYTES};

/// A text that is gathered, and cut where the page ends.
pub(crate) struct Text {
    bytes: [u8; TEXT_MAX],
    count: usize,
}

impl Text {
    pub(crate) const fn new() -> Text {
        Text { bytes: [0; TEXT_MAX], count: 0 }
    }

    #[cfg(test)]
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.count]).unwrap_or("")
    }

    /// Keeps it for the next start.
    pub(crate) fn keep(&self, memory_is_ours: bool) {
        if !memory_is_ours {
            return;
        }
        let head = head(&self.bytes[..self.count]);
        let page = LAST_PANIC as *mut u8;
        // SAFETY: the page is memory, mapped writable, and nobody else's: it is never in the list
        // of free memory.
        unsafe {
            core::ptr::copy_nonoverlapping(head.as_ptr(), page, HEAD_BYTES);
            core::ptr::copy_nonoverlapping(self.bytes.as_ptr(), page.add(HEAD_BYTES), self.count);
        }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let mut bytes = [0; 4];
            let encoded = character.encode_utf8(&mut bytes).as_bytes();
            let Some(room) = self.bytes.get_mut(self.count..self.count + encoded.len()) else {
                return Ok(());
            };
            room.copy_from_slice(encoded);
            self.count += encoded.len();
        }
        Ok(())
    }
}

/// Whether the page is memory on this machine.
pub(crate) fn is_memory(memory: &Ranges) -> bool {
    memory.contain(&(LAST_PANIC..LAST_PANIC + PAGE_BYTES))
}

/// What the page keeps from before the reset, once.
pub(crate) fn take(memory: &Ranges) -> Option<&'static str> {
    if !is_memory(memory) {
        return None;
    }
    // SAFETY: the page is memory, and after this function it is written by a core that dies only.
    let page = unsafe { core::slice::from_raw_parts(LAST_PANIC as *const u8, PAGE_BYTES as usize) };
    let text = read(page)?;
    // SAFETY: as above; the magic is outside of the text that was just borrowed.
    unsafe { (LAST_PANIC as *mut u64).write_volatile(0) };
    Some(text)
}

fn read(page: &[u8]) -> Option<&str> {
    let text = page.get(HEAD_BYTES..)?.get(..u32_at(page, 8)? as usize)?;
    let true_head = !text.is_empty() && page[..HEAD_BYTES] == head(text);
    core::str::from_utf8(text).ok().filter(|_| true_head)
}

fn head(text: &[u8]) -> [u8; HEAD_BYTES] {
    // FNV-1a: it need not resist anybody, only notice decay.
    let sum = text
        .iter()
        .fold(0x811c_9dc5u32, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(b"PNSTLAST");
    head[8..12].copy_from_slice(&(text.len() as u32).to_le_bytes());
    head[12..].copy_from_slice(&sum.to_le_bytes());
    head
}

const HEAD_BYTES: usize = 16;
const TEXT_MAX: usize = PAGE_BYTES as usize - HEAD_BYTES;

#[cfg(test)]
mod tests {
    //! What was kept is read; what has decayed is not.

    use super::*;
    use std::fmt::Write;
    use std::vec::Vec;

    fn page(text: &str) -> Vec<u8> {
        let mut kept = Text::new();
        kept.write_str(text).expect("room or not");
        let text = kept.as_str().as_bytes();
        let mut page = Vec::from(head(text));
        page.extend(text);
        page.resize(PAGE_BYTES as usize, 0xee);
        page
    }

    #[test]
    fn what_was_kept_is_read() {
        assert_eq!(read(&page("core 1: über")), Some("core 1: über"));
        let long = "é".repeat(PAGE_BYTES as usize);
        assert_eq!(read(&page(&long)).map(str::len), Some(TEXT_MAX));
    }

    #[test]
    fn what_has_decayed_is_not() {
        let good = page("core 1");
        for at in [0, 8, 10, 12, 16, 21] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            assert_eq!(read(&bad), None, "byte {at}");
        }
        assert_eq!(read(&page("")), None);
        assert_eq!(read(&[]), None);
    }
}
