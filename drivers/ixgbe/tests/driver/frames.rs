//! Frames to send.

use penstock_hw::Device;
use penstock_ixgbe::Queue;
use penstock_queue::{Chunks, Lent, Offload, QueuePair};

use crate::machine::MACS;

/// A frame that is no IP, numbered, from machine 0 to machine 1.
pub(crate) fn numbered(number: u32, length: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(length);
    frame.extend(MACS[1]);
    frame.extend(MACS[0]);
    frame.extend([0x88, 0xB5]);
    frame.extend(number.to_be_bytes());
    frame.extend((frame.len()..length).map(|at| (at as u32).wrapping_mul(number) as u8));
    frame
}

/// Sends `frame` whole, from a slot; false if there is none.
pub(crate) fn send<D: Device>(queue: &mut Queue<D>, chunks: &mut Chunks, frame: &[u8]) -> bool {
    send_parts(queue, chunks, frame, &[], Offload::NONE)
}

/// Sends a slot and lent ranges; false if there is no slot.
pub(crate) fn send_parts<D: Device>(
    queue: &mut Queue<D>,
    chunks: &mut Chunks,
    head: &[u8],
    lent: &[Lent],
    offload: Offload,
) -> bool {
    let Some(slot) = queue.slot() else { return false };
    slot[..head.len()].copy_from_slice(head);
    queue.send(head.len(), lent, offload, chunks);
    true
}
