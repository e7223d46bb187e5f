//! Messages of both families read back as written and as another implementation reads them; quotes
//! give the tuple however short a router cut them; neighbour discovery is validated.

use super::*;
use crate::samples::{self, A4, A6, B4, B6, MAC};
use crate::tcp::{Flags, Options};
use crate::{ip, udp};
use std::vec::Vec;

/// A message from A to B, read.
fn read(src: Addr, dst: Addr, message: &Outgoing<'_>) -> Result<Message, Malformed> {
    let bytes = samples::control(src, dst, message);
    if src.is_v4() { parse_v4(&bytes) } else { parse_v6(&bytes, src, dst) }
}

/// A packet that we sent from A to B, from its IP header on.
fn sent(src: Addr, dst: Addr, data: &[u8]) -> Vec<u8> {
    let segment = samples::segment(src, dst, Flags::ACK, &Options::default(), data);
    if src.is_v4() {
        let mut bytes = std::vec![0; ip::V4_HEADER_BYTES];
        ip::emit_v4(&mut bytes, &samples::header_v4(ip::TCP, segment.len() as u16));
        bytes.extend(segment);
        bytes
    } else {
        samples::packet_v6(ip::TCP, &segment)
    }
}

fn expected_quote(src: Addr, dst: Addr, total_bytes: u32) -> Quote {
    Quote {
        src,
        dst,
        protocol: ip::TCP,
        src_port: 49152,
        dst_port: 80,
        seq: SeqNum(0x1122_3344),
        total_bytes,
    }
}

#[test]
fn echoes_read_back() {
    for (src, dst) in [(A4, B4), (A6, B6)] {
        let (identifier, sequence) = (0x1234, 0x5678);
        let request = Outgoing::EchoRequest { identifier, sequence, data: b"odd" };
        assert_eq!(read(src, dst, &request), Ok(Message::EchoRequest { identifier, sequence }));
        let reply = Outgoing::EchoReply { identifier, sequence, data: b"odd" };
        assert_eq!(read(src, dst, &reply), Ok(Message::EchoReply { identifier, sequence }));
        assert_eq!(samples::control(src, dst, &reply)[HEADER_BYTES..], *b"odd");
    }
}

#[test]
fn errors_give_the_tuple_of_the_packet_they_quote() {
    for (src, dst) in [(A4, B4), (A6, B6)] {
        let offending = &sent(src, dst, b"payload")[..];
        let quote = expected_quote(src, dst, offending.len() as u32);
        for (message, expected) in [
            (Outgoing::Unreachable { code: 1, offending }, Message::Unreachable { code: 1, quote }),
            (Outgoing::TooBig { mtu: 1400, offending }, Message::TooBig { mtu: 1400, quote }),
            (
                Outgoing::TimeExceeded { code: 0, offending },
                Message::TimeExceeded { code: 0, quote },
            ),
            (
                Outgoing::ParameterProblem { code: 0, pointer: 6, offending },
                Message::ParameterProblem { code: 0, quote },
            ),
        ] {
            // The error comes back to us from someone on the way.
            assert_eq!(read(dst, src, &message), Ok(expected));
        }
    }
}

#[test]
fn eight_bytes_behind_the_quoted_header_suffice() {
    //= rfc792#
    //= type=test
    //# The internet header plus the first 64 bits of the original datagram's data.
    for (src, dst, header_bytes) in [(A4, B4, 20), (A6, B6, 40)] {
        let whole = sent(src, dst, &[0; 1000]);
        let quote = expected_quote(src, dst, whole.len() as u32);
        for length in 0..header_bytes + 40 {
            let message = Outgoing::Unreachable { code: 0, offending: &whole[..length] };
            let expected = match length >= header_bytes + 8 {
                true => Ok(Message::Unreachable { code: 0, quote }),
                false => Err(Malformed::Icmp),
            };
            assert_eq!(read(dst, src, &message), expected, "{length} bytes quoted");
        }
    }
}

#[test]
fn quotes_are_as_long_as_allowed_and_no_longer() {
    for (src, dst, total_max, header_bytes) in [(A4, B4, 576, 20), (A6, B6, 1280, 40)] {
        let offending = sent(src, dst, &[0; 1400]);
        let message = Outgoing::Unreachable { code: 3, offending: &offending };
        assert_eq!(samples::control(dst, src, &message).len() + header_bytes, total_max);
    }
}

#[test]
fn quotes_that_cannot_be_ours_are_refused() {
    let quoting = |at: usize, value: u8| {
        let mut offending = sent(A4, B4, b"");
        offending[at] = value;
        read(B4, A4, &Outgoing::Unreachable { code: 3, offending: &offending })
    };
    for (at, value) in [(0, 0x44), (0, 0x65), (0, 0x4f), (7, 1)] {
        assert_eq!(quoting(at, value), Err(Malformed::Icmp), "byte {at} = {value:#x}");
    }
    // An IPv6 error that quotes mapped addresses would hit IPv4 connections.
    for at in [8, 24] {
        let mut offending = sent(A6, B6, b"");
        offending[at..at + 16].copy_from_slice(&A4.bytes());
        let message = Outgoing::Unreachable { code: 4, offending: &offending };
        assert_eq!(read(B6, A6, &message), Err(Malformed::Icmp));
    }
}

#[test]
fn hard_errors_are_told_from_soft_ones() {
    for (quote, hard) in
        [(expected_quote(A4, B4, 0), &[2, 3, 9, 10, 13][..]), (expected_quote(A6, B6, 0), &[1, 4])]
    {
        let found: Vec<u8> = (0..=u8::MAX).filter(|code| is_hard(*code, &quote)).collect();
        assert_eq!(found, hard);
    }
}

#[test]
fn damage_is_found_at_every_byte() {
    for (src, dst) in [(A4, B4), (A6, B6)] {
        let message = Outgoing::EchoRequest { identifier: 1, sequence: 2, data: b"payload" };
        let whole = samples::control(src, dst, &message);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let read = if src.is_v4() { parse_v4(&bytes) } else { parse_v6(&bytes, src, dst) };
            assert_eq!(read, Err(Malformed::IcmpChecksum));
        }
    }
    assert_eq!(parse_v4(&[0; 7]), Err(Malformed::Icmp));
    assert_eq!(parse_v6(&[0; 7], A6, B6), Err(Malformed::Icmp));
    assert_eq!(parse_v6(&std::vec![0; 65536], A6, B6), Err(Malformed::Icmp));
}

#[test]
fn neighbour_discovery_reads_back() {
    let advertised = samples::advertised();
    for (message, expected) in [
        (
            Outgoing::NeighbourSolicitation { target: B6, source_mac: Some(MAC) },
            Message::NeighbourSolicitation { target: B6, source_mac: Some(MAC) },
        ),
        (
            Outgoing::RouterSolicitation { source_mac: None },
            Message::RouterSolicitation { source_mac: None },
        ),
        (Outgoing::RouterAdvertisement(advertised), Message::RouterAdvertisement(advertised)),
    ] {
        assert_eq!(read(A6, B6, &message), Ok(expected));
    }
    for bits in 0..8 {
        let (router, solicited, override_) = (bits & 4 != 0, bits & 2 != 0, bits & 1 != 0);
        let (target, target_mac) = (A6, Some(MAC));
        assert_eq!(
            read(
                A6,
                B6,
                &Outgoing::NeighbourAdvertisement {
                    target,
                    target_mac,
                    router,
                    solicited,
                    override_
                }
            ),
            Ok(Message::NeighbourAdvertisement {
                target,
                target_mac,
                router,
                solicited,
                override_
            })
        );
    }
}

#[test]
fn ipv4_has_no_neighbour_discovery() {
    let message = Outgoing::NeighbourSolicitation { target: B6, source_mac: None };
    assert!(samples::control(A4, B4, &message).is_empty());
}

#[test]
fn solicitations_without_a_source_are_validated() {
    //= rfc4861#7.1.1
    //= type=test
    //# If the IP source address is the unspecified address, the IP destination address is a
    //# solicited-node multicast address.
    let nobody = Addr::UNSPECIFIED;
    let group = B6.solicited_node();
    let ask = |dst, source_mac| {
        read(nobody, dst, &Outgoing::NeighbourSolicitation { target: B6, source_mac })
    };
    assert!(ask(group, None).is_ok());
    assert_eq!(ask(group, Some(MAC)), Err(Malformed::Ndp));
    assert_eq!(ask(B6, None), Err(Malformed::Ndp));
    //= rfc4861#6.1.1
    //= type=test
    //# If the IP source address is the unspecified address, there is no source link-layer address
    //# option in the message.
    let ask =
        |source_mac| read(nobody, Addr::ALL_NODES, &Outgoing::RouterSolicitation { source_mac });
    assert!(ask(None).is_ok());
    assert_eq!(ask(Some(MAC)), Err(Malformed::Ndp));
}

#[test]
fn advertisements_to_a_group_are_not_solicited() {
    //= rfc4861#7.1.2
    //= type=test
    //# If the IP Destination Address is a multicast address the Solicited flag is zero.
    let tell = |solicited| {
        let message = Outgoing::NeighbourAdvertisement {
            target: A6,
            target_mac: Some(MAC),
            router: false,
            solicited,
            override_: true,
        };
        read(A6, Addr::ALL_NODES, &message)
    };
    assert!(tell(false).is_ok());
    assert_eq!(tell(true), Err(Malformed::Ndp));
}

#[test]
fn routers_speak_from_link_local_addresses() {
    //= rfc4861#6.1.2
    //= type=test
    //# IP Source Address is a link-local address.
    let global = Addr { hi: 0x2001_0db8 << 32, lo: 1 };
    let message = Outgoing::RouterAdvertisement(samples::advertised());
    assert!(read(A6, Addr::ALL_NODES, &message).is_ok());
    assert_eq!(read(global, Addr::ALL_NODES, &message), Err(Malformed::Ndp));
}

/// A message with its bytes changed and its checksum made good again.
fn resealed(message: &Outgoing<'_>, change: impl Fn(&mut Vec<u8>)) -> Result<Message, Malformed> {
    let mut bytes = samples::control(A6, B6, message);
    change(&mut bytes);
    bytes[2..4].fill(0);
    let sum = pseudo_header(A6, B6, ICMPV6, bytes.len() as u16).add_bytes(&bytes);
    bytes[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
    parse_v6(&bytes, A6, B6)
}

#[test]
fn malformed_neighbour_discovery_is_refused() {
    //= rfc4861#6.1.1
    //= type=test
    //# All included options have a length that is greater than zero.
    let message = Outgoing::NeighbourSolicitation { target: B6, source_mac: Some(MAC) };
    let whole = samples::control(A6, B6, &message).len();
    for length in [0, 2, 255] {
        assert_eq!(resealed(&message, |bytes| bytes[25] = length), Err(Malformed::Ndp));
    }
    assert_eq!(resealed(&message, |bytes| bytes[1] = 1), Err(Malformed::Ndp), "code");
    assert_eq!(resealed(&message, |bytes| bytes[8] = 0xff), Err(Malformed::Ndp), "group");
    for length in HEADER_BYTES..whole {
        let cut = resealed(&message, |bytes| bytes.truncate(length));
        // Without its option the message is whole again.
        assert_eq!(cut.is_ok(), length == 24, "{length} bytes");
    }
    let group = resealed(&message, |bytes| bytes[26] |= 1);
    assert_eq!(group, Ok(Message::NeighbourSolicitation { target: B6, source_mac: None }));
}

#[test]
fn smoltcp_reads_what_we_write() {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, NdiscRepr};
    let checksums = ChecksumCapabilities::default();
    let echo = Outgoing::EchoRequest { identifier: 5, sequence: 6, data: b"payload" };
    let offending = &sent(A4, B4, b"payload")[..];

    let bytes = samples::control(A4, B4, &echo);
    let packet = Icmpv4Packet::new_checked(&bytes[..]).expect("a packet");
    let expected = Icmpv4Repr::EchoRequest { ident: 5, seq_no: 6, data: b"payload" };
    assert_eq!(Icmpv4Repr::parse(&packet, &checksums), Ok(expected));
    let bytes = samples::control(B4, A4, &Outgoing::Unreachable { code: 3, offending });
    let packet = Icmpv4Packet::new_checked(&bytes[..]).expect("a packet");
    let repr = Icmpv4Repr::parse(&packet, &checksums);
    assert!(matches!(repr, Ok(Icmpv4Repr::DstUnreachable { .. })));

    let (src, dst) = (A6.bytes().into(), B6.bytes().into());
    for message in samples::messages(&sent(A6, B6, b"payload")) {
        let bytes = samples::control(A6, B6, &message);
        let packet = Icmpv6Packet::new_checked(&bytes[..]).expect("a packet");
        let repr = Icmpv6Repr::parse(&src, &dst, &packet, &checksums).expect("a message");
        let same_kind = match (message, repr) {
            (Outgoing::EchoRequest { .. }, Icmpv6Repr::EchoRequest { .. })
            | (Outgoing::EchoReply { .. }, Icmpv6Repr::EchoReply { .. })
            | (Outgoing::Unreachable { .. }, Icmpv6Repr::DstUnreachable { .. })
            | (Outgoing::TooBig { .. }, Icmpv6Repr::PktTooBig { mtu: 1400, .. })
            | (Outgoing::TimeExceeded { .. }, Icmpv6Repr::TimeExceeded { .. })
            | (Outgoing::ParameterProblem { .. }, Icmpv6Repr::ParamProblem { pointer: 6, .. })
            | (
                Outgoing::RouterSolicitation { .. },
                Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr: Some(_) }),
            ) => true,
            (
                Outgoing::RouterAdvertisement(_),
                Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert { mtu, prefix_info, .. }),
            ) => mtu == Some(1492) && prefix_info.is_some(),
            (
                Outgoing::NeighbourSolicitation { target, .. },
                Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, lladdr }),
            ) => target_addr.octets() == target.bytes() && lladdr.is_some(),
            (
                Outgoing::NeighbourAdvertisement { target, .. },
                Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { target_addr, lladdr, .. }),
            ) => target_addr.octets() == target.bytes() && lladdr.is_some(),
            _ => false,
        };
        assert!(same_kind, "{message:?}");
    }
}

#[test]
fn a_quoted_datagram_has_its_ports() {
    let datagram = samples::datagram(A6, B6, b"");
    assert_eq!(datagram.len(), udp::HEADER_BYTES);
    let offending = samples::packet_v6(ip::UDP, &datagram);
    let read = read(B6, A6, &Outgoing::Unreachable { code: 4, offending: &offending });
    let Ok(Message::Unreachable { quote, .. }) = read else { panic!("{read:?}") };
    assert_eq!((quote.protocol, quote.src_port, quote.dst_port), (ip::UDP, 5000, 53));
}

/// A packet of a protocol without ports may be shorter than a tuple, and whole.
#[test]
fn a_short_packet_without_ports_can_be_quoted() {
    let mut offending = sent(A4, B4, b"");
    offending.truncate(V4_HEADER_BYTES);
    let quoting = |protocol: u8| {
        let mut offending = offending.clone();
        offending[9] = protocol;
        read(B4, A4, &Outgoing::Unreachable { code: 2, offending: &offending })
    };
    let Ok(Message::Unreachable { quote, .. }) = quoting(99) else { panic!("it is refused") };
    assert_eq!((quote.protocol, quote.src_port, quote.dst_port), (99, 0, 0));
    assert_eq!(quoting(TCP), Err(Malformed::Icmp));
}
