//! What the card's parser sees in a frame: tag, addresses, protocol, ports, checksums (7.1.6.2).
//!
//! The parser gives up where the card's does: at a second tag, at fragments, at extension headers
//! that it does not know. A frame it does not understand is still a frame.

use crate::{checksum, crc};
use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Tag control information of the outer tag.
    pub(crate) tag: Option<u16>,
    pub(crate) ip: Option<Ip>,
    pub(crate) transport: Option<Transport>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ip {
    pub(crate) v6: bool,
    /// IPv4 options or IPv6 extension headers.
    pub(crate) extended: bool,
    pub(crate) fragment: bool,
    /// Identification of an IPv4 header.
    pub(crate) id: u16,
    pub(crate) source: Range<usize>,
    pub(crate) destination: Range<usize>,
    /// Whether the IPv4 header checksum is right; IPv6 has none.
    pub(crate) sum_good: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transport {
    pub(crate) protocol: Protocol,
    pub(crate) source: u16,
    pub(crate) destination: u16,
    /// Whether the checksum is right; `None` where there is none to check.
    pub(crate) sum_good: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
    Sctp,
}

impl Packet {
    /// Parses `frame`; `tag_type` is the EtherType that marks a tag (VLNCTRL.VET).
    pub(crate) fn parse(frame: &[u8], tag_type: u16) -> Packet {
        let mut packet = Packet { tag: None, ip: None, transport: None };
        let mut at = 12;
        if word(frame, at) == Some(tag_type) {
            packet.tag = word(frame, at + 2);
            at += 4;
        }
        match word(frame, at) {
            Some(0x0800) => packet.parse_v4(frame, at + 2),
            Some(0x86DD) => packet.parse_v6(frame, at + 2),
            _ => {}
        }
        packet
    }

    fn parse_v4(&mut self, frame: &[u8], at: usize) {
        let Some(header) = frame.get(at..at + 20).filter(|header| header[0] >> 4 == 4) else {
            return;
        };
        let header_bytes = usize::from(header[0] & 0xF) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let whole = frame.get(at..at + header_bytes).filter(|_| header_bytes >= 20);
        let Some(whole) = whole.filter(|_| total >= header_bytes) else {
            return;
        };
        let flags = u16::from_be_bytes([header[6], header[7]]);
        let fragment = flags & 0x3FFF != 0;
        let ip = Ip {
            v6: false,
            extended: header_bytes > 20,
            fragment,
            id: u16::from_be_bytes([header[4], header[5]]),
            source: at + 12..at + 16,
            destination: at + 16..at + 20,
            sum_good: Some(checksum::fold(checksum::add(0, whole)) == 0xFFFF),
        };
        let protocol = header[9];
        if !fragment && let Some(segment) = frame.get(at + header_bytes..at + total) {
            self.transport = transport(frame, &ip, protocol, segment);
        }
        self.ip = Some(ip);
    }

    fn parse_v6(&mut self, frame: &[u8], at: usize) {
        let Some(header) = frame.get(at..at + 40).filter(|header| header[0] >> 4 == 6) else {
            return;
        };
        let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let mut ip = Ip {
            v6: true,
            extended: false,
            fragment: false,
            id: 0,
            source: at + 8..at + 24,
            destination: at + 24..at + 40,
            sum_good: None,
        };
        let mut next = header[6];
        let mut rest = frame.get(at + 40..at + 40 + payload);
        for _ in 0..EXTENSIONS_MAX {
            let Some(bytes) = rest else { break };
            let length = match next {
                44 => {
                    ip.fragment = true;
                    8
                }
                // Hop-by-hop, routing, destination options: length in units of eight bytes.
                0 | 43 | 60 => bytes.get(1).map_or(8, |&units| usize::from(units) * 8 + 8),
                _ => break,
            };
            ip.extended = true;
            next = bytes.first().copied().unwrap_or(59);
            rest = bytes.get(length..);
        }
        if !ip.fragment
            && let Some(segment) = rest
        {
            self.transport = transport(frame, &ip, next, segment);
        }
        self.ip = Some(ip);
    }
}

fn transport(frame: &[u8], ip: &Ip, protocol: u8, segment: &[u8]) -> Option<Transport> {
    let (protocol, header_bytes) = match protocol {
        17 => (Protocol::Udp, 8),
        6 => (Protocol::Tcp, 20),
        132 => (Protocol::Sctp, 12),
        _ => return None,
    };
    if segment.len() < header_bytes {
        return None;
    }
    Some(Transport {
        protocol,
        source: word(segment, 0)?,
        destination: word(segment, 2)?,
        sum_good: sum_good(frame, ip, protocol, segment),
    })
}

fn sum_good(frame: &[u8], ip: &Ip, protocol: Protocol, segment: &[u8]) -> Option<bool> {
    let number = match protocol {
        Protocol::Udp => 17,
        Protocol::Tcp => 6,
        Protocol::Sctp => {
            let sent = u32::from_le_bytes(*segment.get(8..)?.first_chunk()?);
            return Some(crc::sctp(segment)? == sent);
        }
    };
    // The length that the datagram itself states, when it is shorter than the packet.
    let length = match protocol {
        Protocol::Udp => usize::from(word(segment, 4)?),
        Protocol::Tcp | Protocol::Sctp => segment.len(),
    };
    // UDP over IPv4 may carry no checksum: nothing was checked then.
    if protocol == Protocol::Udp && !ip.v6 && word(segment, 6)? == 0 {
        return None;
    }
    let Some(covered) = segment.get(..length) else { return Some(false) };
    let addresses = (frame.get(ip.source.clone())?, frame.get(ip.destination.clone())?);
    let pseudo = checksum::pseudo(addresses.0, addresses.1, number, length);
    Some(checksum::fold(checksum::add(pseudo, covered)) == 0xFFFF)
}

/// The big-endian word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

const EXTENSIONS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    //! Proves that tags, options, fragments and checksums are seen, and that no bytes upset the
    //! parser.
    use super::*;
    use proptest::prelude::*;

    /// A TCP segment over IPv4 with right checksums.
    pub(crate) fn tcp_v4() -> Vec<u8> {
        let mut frame = vec![0u8; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 44, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        frame
            .extend([0x30, 0x39, 0x80, 0x01, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
        frame.extend(*b"data");
        let sum = !checksum::fold(checksum::add(0, &frame[14..34]));
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let pseudo = checksum::pseudo(&frame[26..30], &frame[30..34], 6, 24);
        let sum = !checksum::fold(checksum::add(pseudo, &frame[34..]));
        frame[50..52].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn a_segment_is_understood() {
        let mut frame = tcp_v4();
        frame.extend([0; 2]); // Ethernet padding is no payload.
        let packet = Packet::parse(&frame, 0x8100);
        let ip = packet.ip.clone().expect("IPv4");
        assert_eq!(
            (ip.id, ip.sum_good, ip.fragment, ip.extended),
            (0x1234, Some(true), false, false)
        );
        let tcp = packet.transport.expect("TCP");
        assert_eq!(
            (tcp.protocol, tcp.source, tcp.destination, tcp.sum_good),
            (Protocol::Tcp, 12345, 0x8001, Some(true))
        );
        frame[55] ^= 1;
        let packet = Packet::parse(&frame, 0x8100);
        assert_eq!(packet.transport.expect("TCP").sum_good, Some(false));
        frame[23] = 17;
        assert_eq!(Packet::parse(&frame, 0x8100).ip.expect("IPv4").sum_good, Some(false));
    }

    #[test]
    fn a_tag_moves_everything() {
        let mut frame = tcp_v4();
        frame.splice(12..12, [0x81, 0x00, 0xE0, 0x64]);
        let packet = Packet::parse(&frame, 0x8100);
        assert_eq!(packet.tag, Some(0xE064));
        assert_eq!(packet.transport.expect("TCP").sum_good, Some(true));
        assert_eq!(Packet::parse(&frame, 0x88A8).ip, None, "another tag type");
    }

    #[test]
    fn fragments_have_no_transport() {
        let mut frame = tcp_v4();
        frame[20] = 0x20;
        let packet = Packet::parse(&frame, 0x8100);
        assert!(packet.ip.expect("IPv4").fragment);
        assert_eq!(packet.transport, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            mut frame in proptest::collection::vec(any::<u8>(), 0..200),
            kind in prop::sample::select(vec![[0x08u8, 0], [0x86, 0xDD], [0x81, 0]]),
            first in any::<u8>(),
        ) {
            if frame.len() > 15 {
                frame[12..14].copy_from_slice(&kind);
                frame[14] = first;
            }
            Packet::parse(&frame, 0x8100);
        }

        #[test]
        fn any_damage_is_survived(at in 12usize..58, value in any::<u8>(), cut in 0usize..58) {
            let mut frame = tcp_v4();
            frame[at] = value;
            Packet::parse(&frame, 0x8100);
            Packet::parse(&frame[..cut], 0x8100);
        }
    }
}
