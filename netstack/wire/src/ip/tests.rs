//! Packets of both families give the same numbers; what no packet may carry is refused by name;
//! options and extension headers are stepped over within bounds.

use super::*;
use crate::samples::{self, A4, A6, B4, B6};
use std::vec::Vec;

fn v4(payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; V4_HEADER_BYTES];
    emit_v4(&mut bytes, &samples::header_v4(TCP, payload.len() as u16));
    bytes.extend(payload);
    bytes
}

/// Makes the header checksum good again.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let header_bytes = (bytes[0] & 0x0f) as usize * 4;
    bytes[10..12].fill(0);
    let checksum = Sum::of(&bytes[..header_bytes]).checksum();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn with(mut bytes: Vec<u8>, at: usize, field: &[u8]) -> Vec<u8> {
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

#[test]
fn a_written_v4_header_reads_back() {
    let header = HeaderV4 {
        hop_limit: 3,
        traffic_class: 0xb9,
        identification: 7,
        ..samples::header_v4(UDP, 100)
    };
    let mut bytes = std::vec![0; 200];
    assert_eq!(emit_v4(&mut bytes, &header), 20);
    let packet = parse_v4(&bytes, true).expect("a packet");
    assert_eq!((packet.src, packet.dst, packet.protocol), (A4, B4, UDP));
    assert_eq!((packet.hop_limit, packet.traffic_class), (3, 0xb9));
    assert_eq!((packet.header_bytes, packet.payload_bytes), (20, 100));
    assert_eq!(packet.payload(&bytes).len(), 100);
    assert_eq!(bytes[4..8], [0, 7, 0x40, 0]);
    emit_v4(&mut bytes, &HeaderV4 { checksum: false, dont_fragment: false, ..header });
    assert_eq!((&bytes[6..8], &bytes[10..12]), (&[0, 0][..], &[0, 0][..]));
}

#[test]
fn a_written_v6_header_reads_back() {
    let header = HeaderV6 { hop_limit: 3, traffic_class: 0xb9, ..samples::header_v6(UDP, 100) };
    let mut bytes = std::vec![0; 200];
    assert_eq!(emit_v6(&mut bytes, &header), 40);
    let packet = parse_v6(&bytes).expect("a packet");
    assert_eq!((packet.src, packet.dst, packet.protocol), (A6, B6, UDP));
    assert_eq!((packet.hop_limit, packet.traffic_class), (3, 0xb9));
    assert_eq!((packet.header_bytes, packet.payload_bytes), (40, 100));
    assert_eq!(bytes[..4], [0x6b, 0x91, 0x23, 0x45]);
}

#[test]
fn padding_behind_a_packet_is_not_payload() {
    let mut bytes = v4(b"abc");
    bytes.extend([0; 23]);
    assert_eq!(parse_v4(&bytes, true).expect("a packet").payload(&bytes), b"abc");
    let mut bytes = samples::packet_v6(TCP, b"abc");
    bytes.extend([0; 23]);
    assert_eq!(parse_v6(&bytes).expect("a packet").payload(&bytes), b"abc");
}

#[test]
fn v4_options_are_stepped_over() {
    let mut bytes = v4(b"");
    bytes.extend([7, 7, 4, 0, 0, 0, 0, 0]);
    bytes.extend(b"payload");
    bytes[0] = 0x47;
    bytes[3] = 28 + 7;
    let bytes = sealed(bytes);
    let packet = parse_v4(&bytes, true).expect("a packet");
    assert_eq!(packet.header_bytes, 28);
    assert_eq!(packet.payload(&bytes), b"payload");
    assert_eq!(parse_v4(&with(bytes, 22, &[9]), true), Err(Malformed::IpChecksum));
}

#[test]
fn v4_lengths_that_cannot_be_have_names() {
    let whole = v4(b"payload");
    for length in 0..20 {
        assert_eq!(parse_v4(&whole[..length], false), Err(Malformed::IpHeaderLength));
    }
    for length in 20..whole.len() {
        assert_eq!(parse_v4(&whole[..length], false), Err(Malformed::IpTotalLength));
    }
    for (first, name) in [
        (0x44, Malformed::IpHeaderLength),
        (0x40, Malformed::IpHeaderLength),
        (0x4f, Malformed::IpHeaderLength),
        (0x46, Malformed::IpTotalLength),
        (0x55, Malformed::IpVersion),
        (0x65, Malformed::IpVersion),
    ] {
        let total = if first == 0x46 { 23 } else { 27 };
        let bytes = with(with(whole.clone(), 0, &[first]), 3, &[total]);
        assert_eq!(parse_v4(&bytes, false), Err(name), "{first:#x}");
    }
    for total in [0, 19, 28, 0xffff_u16] {
        let bytes = with(whole.clone(), 2, &total.to_be_bytes());
        assert_eq!(parse_v4(&bytes, false), Err(Malformed::IpTotalLength));
    }
}

#[test]
fn v4_fragments_are_refused_and_flags_are_not() {
    for field in [0x2000u16, 0x0001, 0x1fff, 0x6000] {
        let bytes = sealed(with(v4(b"x"), 6, &field.to_be_bytes()));
        assert_eq!(parse_v4(&bytes, true), Err(Malformed::IpFragment));
    }
    for field in [0x0000u16, 0x4000, 0x8000] {
        assert!(parse_v4(&sealed(with(v4(b"x"), 6, &field.to_be_bytes())), true).is_ok());
    }
}

#[test]
fn v4_checksums_are_verified_when_asked() {
    let bytes = with(v4(b"x"), 8, &[9]);
    assert_eq!(parse_v4(&bytes, true), Err(Malformed::IpChecksum));
    assert!(parse_v4(&bytes, false).is_ok());
}

#[test]
fn v4_sources_that_cannot_be_are_refused() {
    //= rfc1122#3.2.1.3
    //= type=test
    //# A host MUST silently discard an incoming datagram containing an IP source address that is
    //# invalid by the rules of this section.
    for src in [[0, 0, 0, 0], [0, 1, 2, 3], [224, 0, 0, 1], [239, 1, 1, 1], [255; 4]] {
        assert_eq!(parse_v4(&with(v4(b""), 12, &src), false), Err(Malformed::IpSource), "{src:?}");
    }
    for src in [[1, 0, 0, 0], [127, 0, 0, 1], [128, 0, 0, 1], [223, 1, 1, 1], [240, 0, 0, 1]] {
        assert!(parse_v4(&with(v4(b""), 12, &src), false).is_ok(), "{src:?}");
    }
}

#[test]
fn v6_lengths_that_cannot_be_have_names() {
    let whole = samples::packet_v6(TCP, b"payload");
    for length in 0..40 {
        assert_eq!(parse_v6(&whole[..length]), Err(Malformed::IpHeaderLength));
    }
    for length in 40..whole.len() {
        assert_eq!(parse_v6(&whole[..length]), Err(Malformed::IpTotalLength));
    }
    assert_eq!(parse_v6(&with(whole, 0, &[0x45])), Err(Malformed::IpVersion));
}

#[test]
fn v6_addresses_that_cannot_be_are_refused() {
    let from = |protocol, src: Addr| {
        parse_v6(&with(samples::packet_v6(protocol, &[0; 8]), 8, &src.bytes()))
    };
    let loopback = Addr { hi: 0, lo: 1 };
    for src in [loopback, Addr::ALL_NODES, A4] {
        assert_eq!(from(ICMPV6, src), Err(Malformed::IpSource), "{src}");
    }
    assert_eq!(from(TCP, Addr::UNSPECIFIED), Err(Malformed::IpSource));
    assert!(from(ICMPV6, Addr::UNSPECIFIED).is_ok());
    assert!(from(TCP, Addr { hi: 0, lo: 0x1_0000_0000_0000 }).is_ok());
    let bytes = with(samples::packet_v6(TCP, b""), 24, &B4.bytes());
    assert_eq!(parse_v6(&bytes), Err(Malformed::IpDestination));
    // Nor may a chain of headers hide the protocol that needs a source.
    let hidden = samples::packet_v6(60, &[TCP, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(parse_v6(&with(hidden, 8, &[0; 16])), Err(Malformed::IpSource));
}

/// An IPv6 packet of these chained headers, each 8 bytes, before a payload of TCP.
fn chain(headers: &[(u8, [u8; 7])]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (index, (_, rest)) in headers.iter().enumerate() {
        payload.push(headers.get(index + 1).map_or(TCP, |(kind, _)| *kind));
        payload.extend(rest);
    }
    payload.extend(b"payload");
    samples::packet_v6(headers.first().map_or(TCP, |(kind, _)| *kind), &payload)
}

const PADDED: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];

#[test]
fn v6_extension_headers_are_stepped_over() {
    let bytes = chain(&[
        (0, PADDED),
        (60, [0, 0, 0, 0, 0, 0, 0]),
        (43, [0, 0, 0, 0, 0, 0, 0]),
        (44, [0; 7]),
        (60, [0, 0x1e, 4, 1, 2, 3, 4]),
    ]);
    let packet = parse_v6(&bytes).expect("a packet");
    assert_eq!((packet.protocol, packet.header_bytes), (TCP, 80));
    assert_eq!(packet.payload(&bytes), b"payload");
}

#[test]
fn v6_fragments_are_refused_and_atomic_ones_are_whole() {
    //= rfc6946#4
    //= type=test
    //# A host that receives an IPv6 packet that includes a Fragment Header with the "Fragment Offset"
    //# equal to 0 and the "M" flag equal to 0 MUST process that packet in isolation from any other
    //# packets/fragments
    assert!(parse_v6(&chain(&[(44, [0, 0, 0, 1, 2, 3, 4])])).is_ok());
    assert!(parse_v6(&chain(&[(44, [0, 0, 6, 1, 2, 3, 4])])).is_ok());
    for field in [[0, 1], [0, 8], [0xff, 0xf8]] {
        let bytes = chain(&[(44, [0, field[0], field[1], 0, 0, 0, 0])]);
        assert_eq!(parse_v6(&bytes), Err(Malformed::IpFragment));
    }
}

#[test]
fn neighbour_discovery_in_a_fragment_is_ignored() {
    //= rfc6980#5
    //= type=test
    //# Nodes MUST silently ignore the following Neighbor Discovery and SEcure Neighbor Discovery
    //# messages if the packets carrying them include an IPv6 Fragmentation Header:
    for (kind, expected) in [(128, true), (133, false), (137, false), (138, true)] {
        let bytes =
            samples::packet_v6(44, &[ICMPV6, 0, 0, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse_v6(&bytes).is_ok(), expected, "type {kind}");
    }
}

#[test]
fn v6_chains_are_bounded() {
    assert!(parse_v6(&chain(&[(60, PADDED); 8])).is_ok());
    assert_eq!(parse_v6(&chain(&[(60, PADDED); 9])), Err(Malformed::IpExtension));
    let mut long = std::vec![TCP, 255];
    long.resize(2048 + 7, 0);
    assert_eq!(parse_v6(&samples::packet_v6(60, &long)), Err(Malformed::IpExtension));
    let misplaced = chain(&[(60, PADDED), (0, PADDED)]);
    assert_eq!(parse_v6(&misplaced), Err(Malformed::IpExtension));
    assert_eq!(parameter_problem_v6(&misplaced), Some((1, 40)));
}

#[test]
fn v6_chains_cut_at_every_length_are_refused() {
    let whole = chain(&[(0, PADDED), (60, PADDED), (43, [0; 7]), (44, [0; 7])]);
    for payload_bytes in 0..32 {
        let bytes = with(whole.clone(), 4, &(payload_bytes as u16).to_be_bytes());
        assert_eq!(parse_v6(&bytes), Err(Malformed::IpExtension), "{payload_bytes}");
    }
    for length in [1, 255] {
        let bytes = chain(&[(60, [length, 1, 4, 0, 0, 0, 0])]);
        assert_eq!(parse_v6(&bytes), Err(Malformed::IpExtension));
    }
    for option in [[0, 1, 5, 0, 0, 0, 0], [0, 1, 255, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1]] {
        assert_eq!(parse_v6(&chain(&[(60, option)])), Err(Malformed::IpExtension), "{option:?}");
    }
}

#[test]
fn unknown_v6_options_are_answered_as_they_ask() {
    //= rfc8200#4.2
    //= type=test
    //# The Option Type identifiers are internally encoded such that their highest-order 2 bits
    //# specify the action that must be taken if the processing IPv6 node does not recognize the
    //# Option Type:
    let unicast = |kind| chain(&[(0, PADDED), (60, [0, 0, kind, 2, 0, 0, 0])]);
    let multicast = |kind| with(unicast(kind), 24, &Addr::ALL_NODES.bytes());
    assert!(parse_v6(&unicast(0x1e)).is_ok());
    for (kind, to_us, to_all) in
        [(0x5e, None, None), (0x9e, Some((2, 51)), Some((2, 51))), (0xde, Some((2, 51)), None)]
    {
        assert_eq!(parse_v6(&unicast(kind)), Err(Malformed::IpOption));
        assert_eq!(parameter_problem_v6(&unicast(kind)), to_us);
        assert_eq!(parameter_problem_v6(&multicast(kind)), to_all);
    }
}

#[test]
fn a_routing_header_with_work_left_is_refused() {
    let bytes = chain(&[(43, [0, 0, 1, 0, 0, 0, 0])]);
    assert_eq!(parse_v6(&bytes), Err(Malformed::IpOption));
    assert_eq!(parameter_problem_v6(&bytes), Some((0, 42)));
}

#[test]
fn an_unknown_protocol_is_pointed_at() {
    let bytes = samples::packet_v6(0, &[200, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(parse_v6(&bytes).expect("a packet").protocol, 200);
    assert_eq!(parameter_problem_v6(&bytes), Some((1, 40)));
    assert_eq!(parameter_problem_v6(&samples::packet_v6(200, b"")), Some((1, 6)));
    for length in 0..bytes.len() {
        assert_eq!(parameter_problem_v6(&bytes[..length]), None);
    }
}
