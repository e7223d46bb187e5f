//! A queue pair in memory.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use penstock_queue::{
    Capabilities, Checksums, Chunks, Lent, Offload, QueuePair, RxFrame, SLOT_BYTES,
};

/// Frames on their way in, and out.
#[derive(Default)]
pub(super) struct Line {
    pub(super) incoming: VecDeque<Vec<u8>>,
    pub(super) outgoing: Vec<Vec<u8>>,
    burst: Vec<Vec<u8>>,
    slot: Vec<u8>,
}

impl QueuePair for Line {
    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: 1500, tx_checksums: false, segmentation: false, lent_max: 8 }
    }

    fn recv(&mut self, max: usize) -> usize {
        let count = self.incoming.len().min(max);
        self.burst = self.incoming.drain(..count).collect();
        count
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        let bytes = &self.burst[index];
        RxFrame { bytes, parts: 0, checksums: Checksums::Unverified, hash: None, vlan: None }
    }

    fn part(&self, _index: usize, _part: usize) -> &[u8] {
        &[]
    }

    fn recycle(&mut self) {
        self.burst.clear();
    }

    fn slots(&self) -> usize {
        64
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        self.slot.resize(SLOT_BYTES, 0);
        Some(&mut self.slot)
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], _offload: Offload, chunks: &mut Chunks) {
        let mut frame = self.slot[..bytes].to_vec();
        for range in lent {
            frame.extend_from_slice(chunks.range(*range));
        }
        self.outgoing.push(frame);
    }

    fn flush(&mut self) {}

    fn reclaim(&mut self, _chunks: &mut Chunks) {}
}
