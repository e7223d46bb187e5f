//! What may be odd about the headers around a peer's segment.

use penstock_wire::checksum::Sum;
use penstock_wire::{Mac, ethernet, ip};

use crate::frame::Frame;

/// One thing that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// The TCP checksum is wrong.
    TcpChecksum,
    /// The IPv4 header's is.
    IpChecksum,
    /// IP options that ask for nothing; for IPv6, in a destination options header.
    Options,
    /// IPv6: the same in a hop-by-hop header.
    HopByHop,
    /// It is the first of several fragments.
    Fragment,
    /// IPv6: it is the only fragment (RFC 6946).
    Atomic,
    /// It goes to all stations of the link.
    Broadcast,
    /// It goes to another station, and a switch has sent it everywhere.
    Station,
}

impl Oddity {
    /// Makes a plain frame of a family odd.
    pub(crate) fn apply(self, frame: &mut Frame, family: usize) {
        let is_v4 = family == 0;
        let padding = [1, 4, 0, 0, 0, 0];
        match self {
            Oddity::TcpChecksum => flip(frame, CHECKSUM_AT[family]),
            Oddity::IpChecksum => flip(frame, IP_AT + 10),
            Oddity::Options if is_v4 => {
                let behind = IP_AT + ip::V4_HEADER_BYTES;
                frame.splice(behind..behind, [1, 1, 1, 1, 1, 1, 1, 0]);
                frame[IP_AT] = 0x47;
                add(frame, IP_AT + 2, 8);
                seal(frame);
            }
            Oddity::Options => extend(frame, 60, padding),
            Oddity::HopByHop => extend(frame, 0, padding),
            Oddity::Fragment if is_v4 => {
                frame[IP_AT + 6] |= 0x20;
                seal(frame);
            }
            Oddity::Fragment => extend(frame, 44, [0, 1, 0, 0, 0, 7]),
            Oddity::Atomic => extend(frame, 44, [0, 0, 0, 0, 0, 7]),
            Oddity::Broadcast => frame[..6].copy_from_slice(&Mac::BROADCAST.0),
            Oddity::Station => frame[5] ^= 0x40,
        }
    }
}

fn flip(frame: &mut Frame, at: usize) {
    frame[at] ^= 1;
}

/// Adds to a length field.
fn add(frame: &mut Frame, at: usize, bytes: u16) {
    let length = u16::from_be_bytes([frame[at], frame[at + 1]]) + bytes;
    frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// Computes the IPv4 header's checksum anew.
fn seal(frame: &mut Frame) {
    let header = &mut frame[IP_AT..];
    let bytes = (header[0] & 15) as usize * 4;
    header[10..12].fill(0);
    let checksum = Sum::of(&header[..bytes]).checksum();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// Puts an extension header of eight bytes in front of the segment.
fn extend(frame: &mut Frame, kind: u8, body: [u8; 6]) {
    let behind = IP_AT + ip::V6_HEADER_BYTES;
    let next = std::mem::replace(&mut frame[IP_AT + 6], kind);
    frame.splice(behind..behind, [next, 0].into_iter().chain(body));
    add(frame, IP_AT + 4, 8);
}

const IP_AT: usize = ethernet::HEADER_BYTES;
const CHECKSUM_AT: [usize; 2] =
    [IP_AT + ip::V4_HEADER_BYTES + 16, IP_AT + ip::V6_HEADER_BYTES + 16];
