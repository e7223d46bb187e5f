//! Whole frames: what the control plane says where the stack has no address to say it from.

use penstock_wire::arp::{self, Operation};
use penstock_wire::checksum::Sum;
use penstock_wire::icmp::{self, NDP_HOP_LIMIT, Outgoing};
use penstock_wire::ip::{self, HeaderV4, HeaderV6, V4_HEADER_BYTES, V6_HEADER_BYTES};
use penstock_wire::{Addr, Mac, ethernet, udp};

/// The longest frame that is written here.
pub(crate) const FRAME_BYTES: usize = 512;

/// A frame and its length; 0 where it would not fit.
pub(crate) type Frame = ([u8; FRAME_BYTES], usize);

/// A datagram of IPv4 to every station.
pub(crate) fn broadcast(mac: Mac, ports: (u16, u16), payload: &[u8]) -> Frame {
    let mut frame = [0; FRAME_BYTES];
    let (src, dst) = (Addr::v4(0), Addr::v4(u32::MAX));
    let udp_bytes = udp::HEADER_BYTES + payload.len();
    let end = UDP_AT + udp_bytes;
    let Some(room) = frame.get_mut(UDP_AT..end) else { return (frame, 0) };
    room[udp::HEADER_BYTES..].copy_from_slice(payload);
    let payload_bytes = payload.len() as u16;
    udp::emit(room, &udp::Datagram { src_port: ports.0, dst_port: ports.1, payload_bytes });
    udp::fill_checksum(room, src, dst, Sum::ZERO, 0);
    let header = HeaderV4 {
        src,
        dst,
        protocol: ip::UDP,
        payload_bytes: udp_bytes as u16,
        hop_limit: ip::HOP_LIMIT,
        traffic_class: 0,
        identification: 0,
        dont_fragment: true,
        checksum: true,
    };
    ip::emit_v4(&mut frame[ethernet::HEADER_BYTES..], &header);
    ethernet::emit(&mut frame, Mac::BROADCAST, mac, ethernet::IPV4);
    (frame, end)
}

/// An ARP request of everybody: a probe where `sender` is 0.0.0.0, else an announcement.
pub(crate) fn arp_request(mac: Mac, sender: Addr, target: Addr) -> Frame {
    let mut frame = [0; FRAME_BYTES];
    ethernet::emit(&mut frame, Mac::BROADCAST, mac, ethernet::ARP);
    let packet = arp::Packet {
        operation: Operation::Request,
        sender_mac: mac,
        sender,
        target_mac: Mac::default(),
        target,
    };
    let bytes = arp::emit(&mut frame[ethernet::HEADER_BYTES..], &packet);
    (frame, ethernet::HEADER_BYTES + bytes)
}

/// A message of neighbour discovery to a group.
pub(crate) fn ndp(mac: Mac, src: Addr, group: Addr, message: &Outgoing<'_>) -> Frame {
    let mut frame = [0; FRAME_BYTES];
    let at = ethernet::HEADER_BYTES + V6_HEADER_BYTES;
    let payload_bytes = icmp::emit(&mut frame[at..], message, src, group);
    let header = HeaderV6 {
        src,
        dst: group,
        protocol: ip::ICMPV6,
        payload_bytes: payload_bytes as u16,
        hop_limit: NDP_HOP_LIMIT,
        traffic_class: 0,
        flow_label: 0,
    };
    ip::emit_v6(&mut frame[ethernet::HEADER_BYTES..], &header);
    ethernet::emit(&mut frame, Mac::from_group(group), mac, ethernet::IPV6);
    (frame, at + payload_bytes)
}

/// The datagram in a frame of IPv4, if it is whole: its ports, source and payload.
pub(crate) fn datagram(frame: &[u8]) -> Option<(Addr, u16, u16, &[u8])> {
    let body = frame.get(ethernet::HEADER_BYTES..)?;
    let packet = ip::parse_v4(body, true).ok()?;
    let payload = packet.payload(body);
    let datagram = udp::parse(payload, packet.src, packet.dst, true).ok()?;
    let bytes = payload.get(udp::HEADER_BYTES..)?.get(..datagram.payload_bytes as usize)?;
    Some((packet.src, datagram.src_port, datagram.dst_port, bytes))
}

const UDP_AT: usize = ethernet::HEADER_BYTES + V4_HEADER_BYTES;
