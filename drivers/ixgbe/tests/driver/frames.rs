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

/// The headers of a TCP segment from machine 0 to port `port` of machine 1, with `payload_bytes` to follow, as the
/// stack leaves them to the card: the pseudo-header's sum, without the length where the card cuts.
pub(crate) fn tcp_headers(v6: bool, port: u16, payload_bytes: usize, is_cut: bool) -> Vec<u8> {
    let mut frame = [MACS[1], MACS[0]].concat();
    let length = 20 + payload_bytes as u16;
    let addresses = if v6 {
        frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([6, 64]);
        let address = |last| [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        [address(1), address(2)].concat()
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + length).to_be_bytes());
        frame.extend([0, 9, 0x40, 0, 64, 6, 0, 0]);
        vec![10, 0, 0, 1, 10, 0, 0, 2]
    };
    frame.extend(&addresses);
    let words = addresses.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum = words.sum::<u32>() + 6 + if is_cut { 0 } else { u32::from(length) };
    let sum = ((sum & 0xFFFF) + (sum >> 16)) as u16;
    frame.extend([0x9C, 0x40]);
    frame.extend(port.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 16, 0]);
    frame.extend(sum.to_be_bytes());
    frame.extend([0, 0]);
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
