//! Valid frames of every kind, for the tests that then damage them.

use crate::checksum::Sum;
use crate::icmp::{Advertised, Outgoing, Prefix};
use crate::tcp::{Flags, Options, SackBlocks, Timestamps};
use crate::{Addr, Mac, SeqNum, arp, ethernet, icmp, ip, tcp, udp};
use std::vec::Vec;

pub(crate) const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(crate) const A4: Addr = Addr::v4(0x0a00_0001);
pub(crate) const B4: Addr = Addr::v4(0x0a00_0002);
pub(crate) const A6: Addr = Addr { hi: 0xfe80_0000_0000_0000, lo: 1 };
pub(crate) const B6: Addr = Addr { hi: 0xfe80_0000_0000_0000, lo: 2 };

pub(crate) fn frames() -> Vec<Vec<u8>> {
    let mut frames = std::vec![framed(ethernet::ARP, &request())];
    for (src, dst) in [(A4, B4), (A6, B6)] {
        for (flags, options) in options() {
            frames.push(packet(src, dst, ip::TCP, &segment(src, dst, flags, &options, b"hello")));
        }
        frames.push(packet(src, dst, ip::UDP, &datagram(src, dst, b"datagram")));
        let quoted = packet(src, dst, ip::TCP, &segment(src, dst, Flags::SYN, &syn(), b""));
        for message in messages(&quoted[ethernet::HEADER_BYTES..]) {
            let message = control(src, dst, &message);
            let protocol = if src.is_v4() { ip::ICMP } else { ip::ICMPV6 };
            if !message.is_empty() {
                frames.push(packet(src, dst, protocol, &message));
            }
        }
    }
    frames.push(chained(&segment(A6, B6, Flags::ACK, &Options::default(), b"behind a chain")));
    frames
}

pub(crate) fn syn() -> Options {
    Options {
        mss: 1460,
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 0x0102_0304, echo: 0 }),
        sack: SackBlocks::default(),
    }
}

pub(crate) fn sack(count: u8) -> SackBlocks {
    let mut sack = SackBlocks { count, ..SackBlocks::default() };
    for (index, block) in sack.blocks.iter_mut().take(count as usize).enumerate() {
        let from = SeqNum(index as u32 * 3000);
        *block = (from, from + 1000);
    }
    sack
}

pub(crate) fn options() -> Vec<(Flags, Options)> {
    let timestamps = Some(Timestamps { value: 7, echo: 8 });
    let syn_ack = Flags::SYN.with(Flags::ACK);
    let mut list = std::vec![
        (Flags::ACK, Options::default()),
        (Flags::ACK.with(Flags::PSH), Options { timestamps, ..Options::default() }),
        (Flags::SYN, syn()),
        (syn_ack, Options { timestamps: None, ..syn() }),
        (syn_ack, Options { mss: 536, ..Options::default() }),
        (Flags::SYN, Options { sack_permitted: false, ..syn() }),
    ];
    for count in 1..=4 {
        list.push((Flags::ACK, Options { sack: sack(count), ..Options::default() }));
        if count < 4 {
            list.push((
                Flags::ACK,
                Options { sack: sack(count), timestamps, ..Options::default() },
            ));
        }
    }
    list
}

pub(crate) fn header(flags: Flags) -> tcp::Header {
    tcp::Header {
        src_port: 49152,
        dst_port: 80,
        seq: SeqNum(0x1122_3344),
        ack: SeqNum(0x5566_7788),
        flags,
        window: 0xfedc,
    }
}

pub(crate) fn segment(
    src: Addr,
    dst: Addr,
    flags: Flags,
    options: &Options,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = std::vec![0; tcp::HEADER_BYTES_MAX];
    let length = tcp::emit(&mut bytes, &header(flags), options);
    bytes.truncate(length);
    bytes.extend(data);
    tcp::fill_checksum(&mut bytes, src, dst, Sum::ZERO, 0);
    bytes
}

pub(crate) fn datagram(src: Addr, dst: Addr, data: &[u8]) -> Vec<u8> {
    let header = udp::Datagram { src_port: 5000, dst_port: 53, payload_bytes: data.len() as u16 };
    let mut bytes = std::vec![0; udp::HEADER_BYTES];
    udp::emit(&mut bytes, &header);
    bytes.extend(data);
    udp::fill_checksum(&mut bytes, src, dst, Sum::ZERO, 0);
    bytes
}

pub(crate) fn request() -> Vec<u8> {
    let packet = arp::Packet {
        operation: arp::Operation::Request,
        sender_mac: MAC,
        sender: A4,
        target_mac: Mac::default(),
        target: B4,
    };
    let mut bytes = std::vec![0; arp::PACKET_BYTES];
    arp::emit(&mut bytes, &packet);
    bytes
}

pub(crate) fn advertised() -> Advertised {
    Advertised {
        hop_limit: 64,
        managed: true,
        other: false,
        lifetime_seconds: 1800,
        reachable_ms: 30_000,
        retransmit_ms: 1000,
        source_mac: Some(MAC),
        mtu: Some(1492),
        prefix: Some(Prefix {
            addr: Addr { hi: 0x2001_0db8 << 32, lo: 0 },
            bits: 64,
            on_link: true,
            autonomous: true,
            valid_seconds: 86400,
            preferred_seconds: 14400,
        }),
    }
}

pub(crate) fn messages(offending: &[u8]) -> Vec<Outgoing<'_>> {
    std::vec![
        Outgoing::EchoRequest { identifier: 1, sequence: 2, data: b"abcdefghi" },
        Outgoing::EchoReply { identifier: 1, sequence: 2, data: b"" },
        Outgoing::Unreachable { code: 3, offending },
        Outgoing::TooBig { mtu: 1400, offending },
        Outgoing::TimeExceeded { code: 0, offending },
        Outgoing::ParameterProblem { code: 0, pointer: 6, offending },
        Outgoing::RouterSolicitation { source_mac: Some(MAC) },
        Outgoing::RouterAdvertisement(advertised()),
        Outgoing::NeighbourSolicitation { target: B6, source_mac: Some(MAC) },
        Outgoing::NeighbourAdvertisement {
            target: A6,
            target_mac: Some(MAC),
            router: false,
            solicited: true,
            override_: true,
        },
    ]
}

/// A message as bytes; none where the family has no such message.
pub(crate) fn control(src: Addr, dst: Addr, message: &Outgoing<'_>) -> Vec<u8> {
    let mut bytes = std::vec![0; 2048];
    let length = icmp::emit(&mut bytes, message, src, dst);
    bytes.truncate(length);
    bytes
}

pub(crate) fn header_v4(protocol: u8, payload_bytes: u16) -> ip::HeaderV4 {
    ip::HeaderV4 {
        src: A4,
        dst: B4,
        protocol,
        payload_bytes,
        hop_limit: ip::HOP_LIMIT,
        traffic_class: 0,
        identification: 0,
        dont_fragment: true,
        checksum: true,
    }
}

pub(crate) fn header_v6(protocol: u8, payload_bytes: u16) -> ip::HeaderV6 {
    ip::HeaderV6 {
        src: A6,
        dst: B6,
        protocol,
        payload_bytes,
        hop_limit: icmp::NDP_HOP_LIMIT,
        traffic_class: 0,
        flow_label: 0x12345,
    }
}

/// An IPv6 packet: header, then `payload`, which may begin with extension headers.
pub(crate) fn packet_v6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; ip::V6_HEADER_BYTES];
    ip::emit_v6(&mut bytes, &header_v6(protocol, payload.len() as u16));
    bytes.extend(payload);
    bytes
}

/// A segment behind one of each extension header that is stepped over.
fn chained(segment: &[u8]) -> Vec<u8> {
    let mut payload = std::vec![60, 0, 1, 4, 0, 0, 0, 0];
    payload.extend([43, 0, 1, 2, 0, 0, 0, 0]);
    payload.extend([44, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend([ip::TCP, 0, 0, 0, 0, 0, 0, 9]);
    payload.extend(segment);
    framed(ethernet::IPV6, &packet_v6(0, &payload))
}

fn packet(src: Addr, dst: Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    if src.is_v4() {
        let mut bytes = std::vec![0; ip::V4_HEADER_BYTES];
        let header = header_v4(protocol, payload.len() as u16);
        ip::emit_v4(&mut bytes, &ip::HeaderV4 { src, dst, ..header });
        bytes.extend(payload);
        framed(ethernet::IPV4, &bytes)
    } else {
        framed(ethernet::IPV6, &packet_v6(protocol, payload))
    }
}

fn framed(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; ethernet::HEADER_BYTES];
    ethernet::emit(&mut bytes, MAC, MAC, ether_type);
    bytes.extend(payload);
    bytes
}
