//! Bytes of clients that rules have looked at and not decided about: a fixed number of buffers.
//!
//! What rules decide about at once never comes here. A client that finds every buffer taken is judged
//! by what it has said so far, as one whose buffer is full.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The buffers of one core.
#[derive(Debug)]
pub(crate) struct Kept {
    bytes: Box<[u8]>,
    used: Vec<usize>,
    free: Vec<u16>,
    size: usize,
}

/// One of them, taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer(u16);

impl Kept {
    /// `count` buffers of `size` bytes.
    pub(crate) fn new(count: u16, size: usize) -> Kept {
        Kept {
            bytes: alloc::vec![0; usize::from(count) * size].into(),
            used: alloc::vec![0; count.into()],
            free: (0..count).rev().collect(),
            size,
        }
    }

    /// Bytes of one buffer.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// An empty buffer, if there is one.
    pub(crate) fn take(&mut self) -> Option<Buffer> {
        let buffer = self.free.pop()?;
        self.used[buffer as usize] = 0;
        Some(Buffer(buffer))
    }

    /// Gives a buffer back.
    pub(crate) fn give(&mut self, buffer: Buffer) {
        self.free.push(buffer.0);
    }

    /// What is in a buffer.
    pub(crate) fn bytes(&self, buffer: Buffer) -> &[u8] {
        let from = usize::from(buffer.0) * self.size;
        &self.bytes[from..from + self.used[buffer.0 as usize]]
    }

    /// Adds bytes; how many there was room for.
    pub(crate) fn push(&mut self, buffer: Buffer, bytes: &[u8]) -> usize {
        let used = &mut self.used[buffer.0 as usize];
        let from = usize::from(buffer.0) * self.size + *used;
        let count = bytes.len().min(self.size - *used);
        self.bytes[from..from + count].copy_from_slice(&bytes[..count]);
        *used += count;
        count
    }

    /// Buffers that are taken.
    pub(crate) fn in_use(&self) -> usize {
        self.used.len() - self.free.len()
    }
}
