//! The short way for the frame that nearly all frames are: Ethernet, IP without options or extension
//! headers, TCP.
//!
//! Three parsers in a row check three lengths and branch on what the next word could have said
//! instead. Here one length is checked, then whole words are compared with what they must be, and
//! what differs in anything takes the long way, which knows the reasons. So nothing is refused here,
//! and nothing is accepted that the long way would refuse.

use crate::address::Addr;
use crate::checksum::Sum;
use crate::ethernet;
use crate::fields::{array_at, u16_at, u32_at};
use crate::ip::{Packet, TCP, V4_HEADER_BYTES, V6_HEADER_BYTES};
use crate::tcp::{self, Segment};

/// Reads a frame that is plain, its segment into `segment`. `verify_ip` and `verify_tcp` ask for the
/// checksums that no card has checked. `None`: take the long way, which will find the same segment
/// under its options, or a name for what is wrong; what `segment` holds then is of no meaning.
#[inline]
pub fn parse(
    segment: &mut Segment,
    frame: &[u8],
    verify_ip: bool,
    verify_tcp: bool,
) -> Option<Packet> {
    let header = frame.first_chunk::<V4_BYTES>()?;
    if u32_at(header, 12) & 0xffff_ff00 == 0x0800_4500 {
        parse_v4(segment, frame, header, verify_ip, verify_tcp)
    } else {
        parse_v6(segment, frame, verify_tcp)
    }
}

#[inline]
fn parse_v4(
    segment: &mut Segment,
    frame: &[u8],
    header: &[u8; V4_BYTES],
    verify_ip: bool,
    verify_tcp: bool,
) -> Option<Packet> {
    // No fragment, and TCP.
    let word = u32_at(header, IP + 6);
    if word & 0x3fff_00ff != TCP as u32 {
        return None;
    }
    let src = u32_at(header, IP + 12);
    // From 1.0.0.0 up to where groups begin, without loopback.
    if src.wrapping_sub(1 << 24) >= 223 << 24 || src >> 24 == 127 {
        return None;
    }
    if verify_ip && !Sum::of(&array_at::<V4_HEADER_BYTES, V4_BYTES>(header, IP)).is_good() {
        return None;
    }
    let packet = Packet {
        src: Addr::v4(src),
        dst: Addr::v4(u32_at(header, IP + 16)),
        protocol: TCP,
        hop_limit: header[IP + 8],
        traffic_class: header[IP + 1],
        header_bytes: V4_HEADER_BYTES as u16,
        payload_bytes: u16_at(header, IP + 2).wrapping_sub(V4_HEADER_BYTES as u16),
    };
    let bytes = &frame[IP + V4_HEADER_BYTES..];
    parse_tcp(segment, bytes, &packet, verify_tcp).then_some(packet)
}

#[inline]
fn parse_v6(segment: &mut Segment, frame: &[u8], verify_tcp: bool) -> Option<Packet> {
    let header = frame.first_chunk::<V6_BYTES>()?;
    if u32_at(header, 12) & 0xffff_f000 != 0x86dd_6000 || header[IP + 6] != TCP {
        return None;
    }
    let src = Addr::v6(array_at(header, IP + 8));
    let dst = Addr::v6(array_at(header, IP + 24));
    // All that no packet may carry begins with 64 zeros, or is a group.
    if src.hi == 0 || dst.hi == 0 || src.hi >> 56 == 0xff {
        return None;
    }
    let packet = Packet {
        src,
        dst,
        protocol: TCP,
        hop_limit: header[IP + 7],
        traffic_class: (u16_at(header, IP) >> 4) as u8,
        header_bytes: V6_HEADER_BYTES as u16,
        payload_bytes: u16_at(header, IP + 4),
    };
    let bytes = &frame[IP + V6_HEADER_BYTES..];
    parse_tcp(segment, bytes, &packet, verify_tcp).then_some(packet)
}

/// The segment at the start of `bytes`, which may end with padding; `false` where it is not one.
/// Inlined into both families, or the packet would have to go through memory.
#[inline(always)]
fn parse_tcp(segment: &mut Segment, bytes: &[u8], packet: &Packet, verify: bool) -> bool {
    let Some(bytes) = bytes.get(..packet.payload_bytes as usize) else { return false };
    let Some((header, rest)) = bytes.split_first_chunk::<{ tcp::HEADER_BYTES }>() else {
        return false;
    };
    let room = ((header[12] >> 4) as usize * 4).checked_sub(tcp::HEADER_BYTES);
    let Some(option_bytes) = room.and_then(|length| rest.get(..length)) else { return false };
    if verify && !tcp::is_intact(bytes, packet.src, packet.dst) {
        return false;
    }
    tcp::read(segment, header, option_bytes, packet.payload_bytes);
    true
}

/// Where the IP header begins.
const IP: usize = ethernet::HEADER_BYTES;
/// Bytes that every plain IPv4 frame has.
const V4_BYTES: usize = IP + V4_HEADER_BYTES + tcp::HEADER_BYTES;
/// Bytes that every plain IPv6 frame has.
const V6_BYTES: usize = IP + V6_HEADER_BYTES + tcp::HEADER_BYTES;

#[cfg(test)]
mod tests {
    //! The short way takes the frames it is for; that it agrees with the long way is part of every
    //! round trip of the fuzz entry.

    use super::*;
    use crate::samples;
    use std::vec::Vec;

    #[test]
    fn segments_without_ip_options_go_the_short_way() {
        let mut segment = Segment::default();
        let taken: Vec<_> = samples::frames()
            .iter()
            .filter_map(|frame| parse(&mut segment, frame, true, true))
            .map(|packet| packet.src)
            .collect();
        let segments = samples::options().len();
        assert_eq!(taken.iter().filter(|src| **src == samples::A4).count(), segments);
        assert_eq!(taken.iter().filter(|src| **src == samples::A6).count(), segments);
    }

    #[test]
    fn a_bad_checksum_does_not_go_the_short_way() {
        let mut segment = Segment::default();
        for frame in samples::frames() {
            if parse(&mut segment, &frame, true, true).is_none() {
                continue;
            }
            let mut frame = frame;
            let last = frame.len() - 1;
            frame[last] ^= 1;
            assert!(parse(&mut segment, &frame, true, true).is_none());
            assert!(parse(&mut segment, &frame, true, false).is_some());
            frame[last] ^= 1;
            if frame[12] == 0x08 {
                frame[IP + 8] ^= 1;
                assert!(parse(&mut segment, &frame, true, true).is_none());
                assert!(parse(&mut segment, &frame, false, true).is_some());
            }
        }
    }
}
