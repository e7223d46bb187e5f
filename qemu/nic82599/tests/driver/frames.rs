//! Frames with right checksums, and two ports on one cable.

use crate::mock::Port;
use penstock_nic82599::{Cable, CardConfig};

pub(crate) const FIRST: [u8; 6] = [0x52, 0, 0, 0, 0, 1];
pub(crate) const SECOND: [u8; 6] = [0x52, 0, 0, 0, 0, 2];

/// Two ports with `queues` queue pairs each, joined, their links up.
pub(crate) fn pair(queues: u32) -> (Port, Port, Cable) {
    let mut cable = Cable::default();
    let mut first = Port::new(CardConfig { mac: FIRST, ..CardConfig::default() }, queues);
    let mut second = Port::new(CardConfig { mac: SECOND, ..CardConfig::default() }, queues);
    first.train(&mut cable.end(0));
    second.train(&mut cable.end(1));
    (first, second, cable)
}

/// A frame that is no IP, numbered, from the first port to the second.
pub(crate) fn numbered(number: u32, length: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(length);
    frame.extend(SECOND);
    frame.extend(FIRST);
    frame.extend([0x88, 0xB5]);
    frame.extend(number.to_be_bytes());
    frame.extend((frame.len()..length).map(|at| (at as u32).wrapping_mul(number) as u8));
    frame
}

/// A TCP segment over IPv4 from the first port to the second. With `complete` its checksums are
/// right; else the TCP field holds the pseudo-header's sum, as offloads want it.
pub(crate) fn tcp(ports: (u16, u16), payload: &[u8], complete: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(SECOND);
    frame.extend(FIRST);
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend(((40 + payload.len()) as u16).to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 192, 168, 0, 1, 192, 168, 0, 2]);
    frame.extend(ports.0.to_be_bytes());
    frame.extend(ports.1.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    let pseudo = sum(&frame[26..34]) + 6 + 20 + payload.len() as u32;
    if complete {
        let whole = !fold(pseudo + sum(&frame[34..]));
        frame[50..52].copy_from_slice(&whole.to_be_bytes());
        let header = !fold(sum(&frame[14..34]));
        frame[24..26].copy_from_slice(&header.to_be_bytes());
    } else {
        frame[50..52].copy_from_slice(&fold(pseudo).to_be_bytes());
    }
    frame
}

pub(crate) fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum()
}

pub(crate) fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xFFFF) + (sum >> 16);
    ((sum & 0xFFFF) + (sum >> 16)) as u16
}
