//! A queue pair in memory, beside a watch over allocations.

use assert_no_alloc::permit_alloc;
use penstock_queue::{Capabilities, Chunks, Lent, MemoryQueue, Offload, QueuePair, RxFrame};

/// A queue pair whose own memory is not what is watched.
pub struct Cable(MemoryQueue);

impl Cable {
    /// A cable on which nothing has been said.
    pub(crate) fn new() -> Cable {
        Cable(MemoryQueue::new(1500))
    }

    /// What has been sent since it was asked last.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        self.0.take()
    }

    /// A frame arrives.
    pub fn feed(&mut self, frame: Vec<u8>) {
        self.0.feed(frame);
    }
}

impl QueuePair for Cable {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn recv(&mut self, max: usize) -> usize {
        permit_alloc(|| self.0.recv(max))
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        self.0.frame(index)
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        self.0.part(index, part)
    }

    fn recycle(&mut self) {
        permit_alloc(|| self.0.recycle());
    }

    fn slots(&self) -> usize {
        self.0.slots()
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        self.0.slot()
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], offload: Offload, chunks: &mut Chunks) {
        permit_alloc(|| self.0.send(bytes, lent, offload, chunks));
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn reclaim(&mut self, chunks: &mut Chunks) {
        self.0.reclaim(chunks);
    }
}
