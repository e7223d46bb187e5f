//! ICMP messages to be written: answers, errors, and neighbour discovery.

use super::ndp::{self, Advertised};
use super::{HEADER_BYTES, v4, v6};
use crate::address::{Addr, Mac};
use crate::checksum::{Sum, pseudo_header};
use crate::ip::{ICMPV6, V4_HEADER_BYTES, V6_HEADER_BYTES};

/// A message to be written. Errors quote as much of `offending`, which begins with its IP header and
/// ends with its payload, as the RFCs allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// Are you there?
    EchoRequest {
        /// Whose request.
        identifier: u16,
        /// Which of them.
        sequence: u16,
        /// What to send back.
        data: &'a [u8],
    },
    /// We are.
    EchoReply {
        /// As requested.
        identifier: u16,
        /// As requested.
        sequence: u16,
        /// As requested.
        data: &'a [u8],
    },
    /// A packet was not delivered.
    Unreachable {
        /// Why, in the family's own code.
        code: u8,
        /// The packet.
        offending: &'a [u8],
    },
    /// A packet does not fit the next link.
    TooBig {
        /// The link's MTU in bytes (IPv4: at most 65535).
        mtu: u32,
        /// The packet.
        offending: &'a [u8],
    },
    /// A packet ran out of hops (code 0).
    TimeExceeded {
        /// Why.
        code: u8,
        /// The packet.
        offending: &'a [u8],
    },
    /// A packet was not understood.
    ParameterProblem {
        /// How.
        code: u8,
        /// Where in the packet (IPv4: at most 255).
        pointer: u32,
        /// The packet.
        offending: &'a [u8],
    },
    /// Which routers are there? IPv6 only, as all below.
    RouterSolicitation {
        /// Our station; none while our address is not sure.
        source_mac: Option<Mac>,
    },
    /// A router is here.
    RouterAdvertisement(Advertised),
    /// Who has `target`?
    NeighbourSolicitation {
        /// The address asked for.
        target: Addr,
        /// Our station; none in duplicate address detection.
        source_mac: Option<Mac>,
    },
    /// We have `target`.
    NeighbourAdvertisement {
        /// Our address.
        target: Addr,
        /// Our station.
        target_mac: Option<Mac>,
        /// We are a router.
        router: bool,
        /// We were asked.
        solicited: bool,
        /// What is cached is to be replaced.
        override_: bool,
    },
}

/// Writes a message, checksum included, in the family of `src`, and returns its length. 0 where it
/// does not fit `bytes`, or where the family has no such message; the bytes are then of no meaning.
pub fn emit(bytes: &mut [u8], message: &Outgoing<'_>, src: Addr, dst: Addr) -> usize {
    let is_v4 = src.is_v4();
    let mut writer = Writer { bytes, length: 0, fits: true };
    if is_v4 {
        write_v4(&mut writer, message);
    } else {
        write_v6(&mut writer, message);
    }
    let Writer { bytes, length, fits } = writer;
    let (true, Ok(length_u16)) = (fits && length != 0, u16::try_from(length)) else {
        return 0;
    };
    let pseudo = if is_v4 { Sum::ZERO } else { pseudo_header(src, dst, ICMPV6, length_u16) };
    let checksum = pseudo.add_bytes(&bytes[..length]).checksum();
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    length
}

fn write_v4(writer: &mut Writer<'_>, message: &Outgoing<'_>) {
    match *message {
        Outgoing::EchoRequest { identifier, sequence, data } => {
            writer.echo(v4::ECHO_REQUEST, identifier, sequence, data);
        }
        Outgoing::EchoReply { identifier, sequence, data } => {
            writer.echo(v4::ECHO_REPLY, identifier, sequence, data);
        }
        Outgoing::Unreachable { code, offending } => {
            writer.error(v4::UNREACHABLE, code, 0, offending, QUOTE_BYTES_MAX_V4);
        }
        Outgoing::TooBig { mtu, offending } => {
            let mtu = mtu.min(u16::MAX as u32);
            writer.error(v4::UNREACHABLE, v4::CODE_TOO_BIG, mtu, offending, QUOTE_BYTES_MAX_V4);
        }
        Outgoing::TimeExceeded { code, offending } => {
            writer.error(v4::TIME_EXCEEDED, code, 0, offending, QUOTE_BYTES_MAX_V4);
        }
        Outgoing::ParameterProblem { code, pointer, offending } => {
            let pointer = pointer.min(u8::MAX as u32) << 24;
            writer.error(v4::PARAMETER_PROBLEM, code, pointer, offending, QUOTE_BYTES_MAX_V4);
        }
        Outgoing::RouterSolicitation { .. }
        | Outgoing::RouterAdvertisement(_)
        | Outgoing::NeighbourSolicitation { .. }
        | Outgoing::NeighbourAdvertisement { .. } => {}
    }
}

fn write_v6(writer: &mut Writer<'_>, message: &Outgoing<'_>) {
    match *message {
        Outgoing::EchoRequest { identifier, sequence, data } => {
            writer.echo(v6::ECHO_REQUEST, identifier, sequence, data);
        }
        Outgoing::EchoReply { identifier, sequence, data } => {
            writer.echo(v6::ECHO_REPLY, identifier, sequence, data);
        }
        Outgoing::Unreachable { code, offending } => {
            writer.error(v6::UNREACHABLE, code, 0, offending, QUOTE_BYTES_MAX_V6);
        }
        Outgoing::TooBig { mtu, offending } => {
            writer.error(v6::TOO_BIG, 0, mtu, offending, QUOTE_BYTES_MAX_V6);
        }
        Outgoing::TimeExceeded { code, offending } => {
            writer.error(v6::TIME_EXCEEDED, code, 0, offending, QUOTE_BYTES_MAX_V6);
        }
        Outgoing::ParameterProblem { code, pointer, offending } => {
            writer.error(v6::PARAMETER_PROBLEM, code, pointer, offending, QUOTE_BYTES_MAX_V6);
        }
        Outgoing::RouterSolicitation { source_mac } => {
            writer.header(v6::ROUTER_SOLICITATION, 0, 0);
            writer.station(ndp::SOURCE_MAC, source_mac);
        }
        Outgoing::RouterAdvertisement(advertised) => router_advertisement(writer, &advertised),
        Outgoing::NeighbourSolicitation { target, source_mac } => {
            writer.header(v6::NEIGHBOUR_SOLICITATION, 0, 0);
            writer.push(&target.bytes());
            writer.station(ndp::SOURCE_MAC, source_mac);
        }
        Outgoing::NeighbourAdvertisement { target, target_mac, router, solicited, override_ } => {
            let flags = (router as u32) << 31 | (solicited as u32) << 30 | (override_ as u32) << 29;
            writer.header(v6::NEIGHBOUR_ADVERTISEMENT, 0, flags);
            writer.push(&target.bytes());
            writer.station(ndp::TARGET_MAC, target_mac);
        }
    }
}

fn router_advertisement(writer: &mut Writer<'_>, advertised: &Advertised) {
    let flags = (advertised.managed as u8) << 7 | (advertised.other as u8) << 6;
    let [high, low] = advertised.lifetime_seconds.to_be_bytes();
    let word = u32::from_be_bytes([advertised.hop_limit, flags, high, low]);
    writer.header(v6::ROUTER_ADVERTISEMENT, 0, word);
    writer.push(&advertised.reachable_ms.to_be_bytes());
    writer.push(&advertised.retransmit_ms.to_be_bytes());
    writer.station(ndp::SOURCE_MAC, advertised.source_mac);
    if let Some(mtu) = advertised.mtu {
        writer.push(&[ndp::MTU, 1, 0, 0]);
        writer.push(&mtu.to_be_bytes());
    }
    if let Some(prefix) = advertised.prefix {
        let flags = (prefix.on_link as u8) << 7 | (prefix.autonomous as u8) << 6;
        writer.push(&[ndp::PREFIX, 4, prefix.bits, flags]);
        writer.push(&prefix.valid_seconds.to_be_bytes());
        writer.push(&prefix.preferred_seconds.to_be_bytes());
        writer.push(&[0; 4]);
        writer.push(&prefix.addr.bytes());
    }
}

/// Appends fields while they fit.
struct Writer<'a> {
    bytes: &'a mut [u8],
    length: usize,
    fits: bool,
}

impl Writer<'_> {
    fn push(&mut self, field: &[u8]) {
        match self.bytes.get_mut(self.length..self.length + field.len()) {
            Some(room) => {
                room.copy_from_slice(field);
                self.length += field.len();
            }
            None => self.fits = false,
        }
    }

    fn header(&mut self, kind: u8, code: u8, word: u32) {
        self.push(&[kind, code, 0, 0]);
        self.push(&word.to_be_bytes());
    }

    fn echo(&mut self, kind: u8, identifier: u16, sequence: u16, data: &[u8]) {
        self.header(kind, 0, (identifier as u32) << 16 | sequence as u32);
        self.push(data);
    }

    fn error(&mut self, kind: u8, code: u8, word: u32, offending: &[u8], quote_bytes_max: usize) {
        self.header(kind, code, word);
        self.push(&offending[..offending.len().min(quote_bytes_max)]);
    }

    fn station(&mut self, kind: u8, mac: Option<Mac>) {
        if let Some(mac) = mac {
            self.push(&[kind, 1]);
            self.push(&mac.0);
        }
    }
}

//= rfc1812#4.3.2.3
//# the ICMP datagram SHOULD contain as much of the original datagram as possible without the length
//# of the ICMP datagram exceeding 576 bytes.
const QUOTE_BYTES_MAX_V4: usize = 576 - V4_HEADER_BYTES - HEADER_BYTES;

//= rfc4443#2.4
//# Every ICMPv6 error message (type < 128) MUST include as much of the IPv6 offending (invoking)
//# packet (the packet that caused the error) as possible without making the error message packet
//# exceed the minimum IPv6 MTU
const QUOTE_BYTES_MAX_V6: usize = 1280 - V6_HEADER_BYTES - HEADER_BYTES;
