//! A queue pair in memory, for whoever drives a worker without a card: tests, fuzzers, scripts.
//!
//! ```text
//!   feed(frame) ──▶ [ incoming ] ──▶ recv()          send() ──▶ [ outgoing ] ──flush()──▶ take()
//! ```
//! It checks nothing, computes nothing and remembers nothing; payload is copied when it is sent, so
//! that nothing stays lent.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use crate::{Capabilities, Checksums, Chunks, Lent, Offload, QueuePair, RxFrame, SLOT_BYTES};

/// A queue pair whose other end is in the hands of its maker.
///
/// Two workers are a network when each is fed what was taken from the other:
///
/// ```
/// # use penstock_queue::{MemoryQueue, QueuePair};
/// # let (mut client, mut server) = (MemoryQueue::new(1500), MemoryQueue::new(1500));
/// for frame in client.take() {
///     server.feed(frame);
/// }
/// ```
#[derive(Debug)]
pub struct MemoryQueue {
    mtu: u16,
    incoming: VecDeque<Vec<u8>>,
    burst: Vec<Vec<u8>>,
    slot: Box<[u8]>,
    outgoing: Vec<Vec<u8>>,
    /// How many of `outgoing` the doorbell has told of.
    flushed: usize,
    slots_max: usize,
}

impl MemoryQueue {
    /// An empty one for IP packets of at most `mtu` bytes, with as many transmit slots as are asked
    /// for.
    pub fn new(mtu: u16) -> MemoryQueue {
        MemoryQueue {
            mtu,
            incoming: VecDeque::new(),
            burst: Vec::new(),
            slot: vec![0; SLOT_BYTES].into_boxed_slice(),
            outgoing: Vec::new(),
            flushed: 0,
            slots_max: usize::MAX,
        }
    }

    /// Lets `frame` arrive, from its Ethernet header on, behind those fed before.
    pub fn feed(&mut self, frame: Vec<u8>) {
        self.incoming.push_back(frame);
    }

    /// Takes what was sent and flushed, the oldest first; their slots are free again.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        self.outgoing.drain(..core::mem::take(&mut self.flushed)).collect()
    }

    /// From now on at most `slots` frames lie here untaken, and with 0 nothing can be sent: a card
    /// that is slow, or stands still.
    pub fn limit_slots(&mut self, slots: usize) {
        self.slots_max = slots;
    }
}

impl QueuePair for MemoryQueue {
    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: self.mtu, tx_checksums: false, segmentation: false, lent_max: 8 }
    }

    fn recv(&mut self, max: usize) -> usize {
        let count = self.incoming.len().min(max);
        self.burst.extend(self.incoming.drain(..count));
        count
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        let bytes = &self.burst[index];
        RxFrame { bytes, parts: 0, checksums: Checksums::Unverified, hash: None, vlan: None }
    }

    fn part(&self, index: usize, part: usize) -> &[u8] {
        panic!("frame {index} has no part {part}: all frames are in one piece")
    }

    fn recycle(&mut self) {
        self.burst.clear();
    }

    fn slots(&self) -> usize {
        self.slots_max.saturating_sub(self.outgoing.len())
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        (self.slots() > 0).then_some(&mut self.slot)
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], _offload: Offload, chunks: &mut Chunks) {
        let mut frame = self.slot[..bytes].to_vec();
        lent.iter().for_each(|&range| frame.extend_from_slice(chunks.range(range)));
        self.outgoing.push(frame);
    }

    fn flush(&mut self) {
        self.flushed = self.outgoing.len();
    }

    fn reclaim(&mut self, _chunks: &mut Chunks) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(queue: &mut MemoryQueue, chunks: &mut Chunks, bytes: &[u8], lent: &[Lent]) {
        queue.slot().expect("a slot is free")[..bytes.len()].copy_from_slice(bytes);
        queue.send(bytes.len(), lent, Offload::NONE, chunks);
    }

    #[test]
    fn what_is_fed_arrives_in_order() {
        let mut queue = MemoryQueue::new(1500);
        (0..3).for_each(|byte| queue.feed(vec![byte]));
        assert_eq!(queue.recv(2), 2);
        assert_eq!([queue.frame(0).bytes, queue.frame(1).bytes], [[0], [1]]);
        queue.recycle();
        assert_eq!(queue.recv(2), 1);
        assert_eq!(queue.frame(0).bytes, [2]);
    }

    #[test]
    fn what_is_sent_can_be_taken_after_the_doorbell() {
        let (mut queue, mut chunks) = (MemoryQueue::new(1500), Chunks::new(1));
        let chunk = chunks.alloc().expect("one is free");
        chunks.bytes_mut(chunk)[..4].copy_from_slice(&[6, 7, 8, 9]);
        send(&mut queue, &mut chunks, &[5], &[Lent { chunk, from: 1, len: 2 }]);
        assert!(queue.take().is_empty());
        queue.flush();
        send(&mut queue, &mut chunks, &[1], &[]);
        assert_eq!(queue.take(), [[5, 7, 8]]);
        queue.flush();
        assert_eq!(queue.take(), [[1]]);
    }

    #[test]
    fn slots_run_out_until_frames_are_taken() {
        let (mut queue, mut chunks) = (MemoryQueue::new(1500), Chunks::new(0));
        queue.limit_slots(1);
        send(&mut queue, &mut chunks, &[1], &[]);
        queue.flush();
        assert_eq!((queue.slots(), queue.slot()), (0, None));
        queue.take();
        assert_eq!(queue.slots(), 1);
    }
}
