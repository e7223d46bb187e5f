//! The way in for fuzzers: any bytes through every parser, and what parses written again.
//!
//! A parser that panics is found by itself. One that misreads is found by the round trip: the numbers
//! it gave, written and parsed again, must be the same numbers.

use crate::address::Addr;
use crate::checksum::{Sum, pseudo_header};
use crate::icmp::{self, Message, Outgoing};
use crate::{arp, ethernet, ip, plain, tcp, udp};

/// Feeds `bytes` to every parser: as a frame whose headers lead from one to the next, and to each
/// transport as if they were its payload.
///
/// # Panics
/// When a round trip differs: a defect of this crate.
pub fn wire(bytes: &[u8]) {
    if let Ok(header) = ethernet::parse(bytes) {
        let mut again = [0; ethernet::HEADER_BYTES];
        ethernet::emit(&mut again, header.dst, header.src, header.ether_type);
        assert_eq!(bytes[..ethernet::HEADER_BYTES], again);
        internet(&bytes[ethernet::HEADER_BYTES..]);
    }
    plain_frame(bytes);
    internet(bytes);
    let (v4, v6) = (Addr::v4(0x0a00_0001), Addr { hi: 0xfe80 << 48, lo: 1 });
    transport(bytes, v4, v4);
    transport(bytes, v6, v6);
    transport(bytes, Addr::UNSPECIFIED, Addr::ALL_NODES);
}

/// What the short way accepts, the long way accepts, with the same numbers.
fn plain_frame(frame: &[u8]) {
    let Ok(header) = ethernet::parse(frame) else { return };
    for verify in [false, true] {
        let mut short = tcp::Segment::default();
        let Some(plain) = plain::find(frame, header.dst, verify, verify) else { continue };
        plain.read(&mut short);
        let packet = plain.packet;
        let bytes = &frame[ethernet::HEADER_BYTES..];
        let long = match packet.src.is_v4() {
            true => ip::parse_v4(bytes, verify),
            false => ip::parse_v6(bytes),
        };
        assert_eq!(long, Ok(packet));
        let segment = tcp::parse(packet.payload(bytes), packet.src, packet.dst, verify);
        assert_eq!(segment, Ok(short));
    }
}

fn internet(bytes: &[u8]) {
    if let Ok(packet) = arp::parse(bytes) {
        let mut again = [0; arp::PACKET_BYTES];
        assert_eq!(arp::emit(&mut again, &packet), arp::PACKET_BYTES);
        assert_eq!(bytes[..arp::PACKET_BYTES], again);
    }
    let _ = ip::parse_v4(bytes, true);
    if let Ok(packet) = ip::parse_v4(bytes, false) {
        round_trip_v4(&packet);
        transport(packet.payload(bytes), packet.src, packet.dst);
    }
    let _ = ip::parameter_problem_v6(bytes);
    if let Ok(packet) = ip::parse_v6(bytes) {
        round_trip_v6(&packet);
        transport(packet.payload(bytes), packet.src, packet.dst);
    }
}

fn round_trip_v4(packet: &ip::Packet) {
    let mut again = [0; ROOM];
    let header = ip::HeaderV4 {
        src: packet.src,
        dst: packet.dst,
        protocol: packet.protocol,
        payload_bytes: packet.payload_bytes,
        hop_limit: packet.hop_limit,
        traffic_class: packet.traffic_class,
        identification: 0,
        dont_fragment: true,
        checksum: true,
    };
    assert_eq!(ip::emit_v4(&mut again, &header), ip::V4_HEADER_BYTES);
    if ip::V4_HEADER_BYTES + packet.payload_bytes as usize <= ROOM {
        let plain = ip::Packet { header_bytes: ip::V4_HEADER_BYTES as u16, ..*packet };
        assert_eq!(ip::parse_v4(&again, true), Ok(plain));
    }
}

fn round_trip_v6(packet: &ip::Packet) {
    let mut again = [0; ROOM];
    let header = ip::HeaderV6 {
        src: packet.src,
        dst: packet.dst,
        protocol: packet.protocol,
        payload_bytes: packet.payload_bytes,
        hop_limit: packet.hop_limit,
        traffic_class: packet.traffic_class,
        flow_label: 0,
    };
    assert_eq!(ip::emit_v6(&mut again, &header), ip::V6_HEADER_BYTES);
    let speaks_plainly = matches!(packet.protocol, ip::TCP | ip::UDP | ip::ICMPV6);
    if speaks_plainly && ip::V6_HEADER_BYTES + packet.payload_bytes as usize <= ROOM {
        let plain = ip::Packet { header_bytes: ip::V6_HEADER_BYTES as u16, ..*packet };
        assert_eq!(ip::parse_v6(&again), Ok(plain));
    }
}

fn transport(bytes: &[u8], src: Addr, dst: Addr) {
    let _ = tcp::parse(bytes, src, dst, true);
    if let Ok(segment) = tcp::parse(bytes, src, dst, false) {
        assert!(segment.header_bytes as usize + segment.payload_bytes as usize == bytes.len());
        round_trip_tcp(&segment, src, dst);
    }
    let _ = udp::parse(bytes, src, dst, true);
    if let Ok(datagram) = udp::parse(bytes, src, dst, false) {
        round_trip_udp(&datagram, src, dst);
    }
    let _ = icmp::parse_v4(bytes);
    let _ = icmp::parse_v6(bytes, src, dst);
    control(bytes, src, dst);
}

fn round_trip_tcp(segment: &tcp::Segment, src: Addr, dst: Addr) {
    let mut again = [0; tcp::HEADER_BYTES_MAX];
    let header = tcp::Header {
        src_port: segment.src_port,
        dst_port: segment.dst_port,
        seq: segment.seq,
        ack: segment.ack,
        flags: segment.flags,
        window: segment.window,
    };
    let length = tcp::emit(&mut again, &header, &segment.options);
    assert_eq!(length, tcp::header_bytes(segment.flags, &segment.options));
    tcp::fill_checksum(&mut again[..length], src, dst, Sum::ZERO, 0);
    let expected = tcp::Segment { header_bytes: length as u8, payload_bytes: 0, ..*segment };
    assert_eq!(tcp::parse(&again[..length], src, dst, true), Ok(expected));
}

fn round_trip_udp(datagram: &udp::Datagram, src: Addr, dst: Addr) {
    let mut again = [0; ROOM];
    let length = udp::HEADER_BYTES + datagram.payload_bytes as usize;
    if length <= ROOM {
        udp::emit(&mut again, datagram);
        udp::fill_checksum(&mut again[..length], src, dst, Sum::ZERO, 0);
        assert_eq!(udp::parse(&again[..length], src, dst, true), Ok(*datagram));
    }
}

/// ICMP behind a checksum that is made good, since no fuzzer guesses one.
fn control(bytes: &[u8], src: Addr, dst: Addr) {
    let mut good = [0; ROOM];
    let length = bytes.len().min(ROOM);
    let good = &mut good[..length];
    good.copy_from_slice(&bytes[..length]);
    let Some(field) = good.get_mut(2..4) else { return };
    field.fill(0);
    let is_v4 = src.is_v4();
    let pseudo = match is_v4 {
        true => Sum::ZERO,
        false => pseudo_header(src, dst, ip::ICMPV6, length as u16),
    };
    let checksum = pseudo.add_bytes(good).checksum();
    good[2..4].copy_from_slice(&checksum.to_be_bytes());
    let parse = |bytes: &[u8]| match is_v4 {
        true => icmp::parse_v4(bytes),
        false => icmp::parse_v6(bytes, src, dst),
    };
    let Ok(message) = parse(good) else { return };
    let data = &good[icmp::HEADER_BYTES..];
    let outgoing = match message {
        Message::EchoRequest { identifier, sequence } => {
            Outgoing::EchoRequest { identifier, sequence, data }
        }
        Message::EchoReply { identifier, sequence } => {
            Outgoing::EchoReply { identifier, sequence, data }
        }
        Message::Unreachable { code, .. } => Outgoing::Unreachable { code, offending: data },
        Message::TooBig { mtu, .. } => Outgoing::TooBig { mtu, offending: data },
        Message::TimeExceeded { code, .. } => Outgoing::TimeExceeded { code, offending: data },
        Message::ParameterProblem { code, .. } => {
            Outgoing::ParameterProblem { code, pointer: 0, offending: data }
        }
        Message::RouterSolicitation { source_mac } => Outgoing::RouterSolicitation { source_mac },
        Message::RouterAdvertisement(advertised) => Outgoing::RouterAdvertisement(advertised),
        Message::NeighbourSolicitation { target, source_mac } => {
            Outgoing::NeighbourSolicitation { target, source_mac }
        }
        Message::NeighbourAdvertisement { target, target_mac, router, solicited, override_ } => {
            Outgoing::NeighbourAdvertisement { target, target_mac, router, solicited, override_ }
        }
        Message::Other { .. } => return,
    };
    let mut again = [0; ROOM];
    let length = icmp::emit(&mut again, &outgoing, src, dst);
    assert_eq!(parse(&again[..length]), Ok(message));
}

/// Bytes in which messages are written again.
const ROOM: usize = 2048;

#[cfg(test)]
mod tests;
