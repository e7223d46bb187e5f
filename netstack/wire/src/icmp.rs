//! ICMP (RFC 792) and ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) included: both families'
//! messages as one enum, so that what reacts to them is written once.
//!
//! An error quotes the packet it is about. What counts of it is the tuple by which the connection is
//! found, and the sequence number by which a forged quote is told (RFC 5927); that is [`Quote`].
//! Formats are read by hand: smoltcp's parser refuses an IPv4 quote that a router cut short, which is
//! what routers send, and does not give its MTU. It is the second opinion in the tests.

mod ndp;
mod outgoing;

pub use ndp::{Advertised, Prefix};
pub use outgoing::{Outgoing, emit};

use crate::address::{Addr, Mac};
use crate::checksum::{Sum, pseudo_header};
use crate::fields::{array_at, u16_at, u32_at};
use crate::ip::{ICMPV6, TCP, UDP, V4_HEADER_BYTES, V6_HEADER_BYTES};
use crate::malformed::Malformed;
use crate::seq::SeqNum;

/// Bytes of a header; the data of an echo and the quote of an error begin behind it.
pub const HEADER_BYTES: usize = 8;

/// The hop limit without which no neighbour discovery message is believed: it proves that no router
/// has forwarded it (RFC 4861). The caller, who has the IP header, checks it.
pub const NDP_HOP_LIMIT: u8 = 255;

/// A message as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Someone asks whether we are there. The data stands behind [`HEADER_BYTES`].
    EchoRequest {
        /// Whose request.
        identifier: u16,
        /// Which of them.
        sequence: u16,
    },
    /// Someone is there. The data stands behind [`HEADER_BYTES`].
    EchoReply {
        /// Whose request.
        identifier: u16,
        /// Which of them.
        sequence: u16,
    },
    /// A packet of ours did not arrive. `code` is the family's own; see [`is_hard`].
    Unreachable {
        /// Why.
        code: u8,
        /// The packet.
        quote: Quote,
    },
    /// A packet of ours did not fit a link (IPv4: fragmentation needed).
    TooBig {
        /// The link's MTU in bytes; 0 from routers that do not say (RFC 1191 section 5).
        mtu: u32,
        /// The packet.
        quote: Quote,
    },
    /// A packet of ours ran out of hops, or its fragments out of time.
    TimeExceeded {
        /// Which.
        code: u8,
        /// The packet.
        quote: Quote,
    },
    /// A packet of ours was not understood.
    ParameterProblem {
        /// How.
        code: u8,
        /// The packet.
        quote: Quote,
    },
    /// A host looks for routers.
    RouterSolicitation {
        /// The asking station.
        source_mac: Option<Mac>,
    },
    /// A router tells of itself.
    RouterAdvertisement(Advertised),
    /// Who has `target`?
    NeighbourSolicitation {
        /// The address asked for; never a group.
        target: Addr,
        /// The asking station; none in duplicate address detection.
        source_mac: Option<Mac>,
    },
    /// A neighbour tells of itself.
    NeighbourAdvertisement {
        /// The neighbour's address; never a group.
        target: Addr,
        /// Its station, unless it trusts us to know.
        target_mac: Option<Mac>,
        /// It is a router.
        router: bool,
        /// It was asked.
        solicited: bool,
        /// It wants to replace what is cached.
        override_: bool,
    },
    /// Anything else, to be counted and forgotten.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// The packet that an error is about. If we sent it, `src` and `src_port` are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Source.
    pub src: Addr,
    /// Destination.
    pub dst: Addr,
    /// Protocol.
    pub protocol: u8,
    /// Source port, for protocols with ports.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number, for TCP.
    pub seq: SeqNum,
    /// Bytes of the whole packet with its IP header, which an MTU of 0 is guessed from (RFC 1191
    /// section 5).
    pub total_bytes: u32,
}

/// Whether an unreachable `code` about this packet says that trying again is pointless (RFC 1122
/// section 4.2.3.9, RFC 4443 section 3.1). A synchronised connection ignores even that (RFC 5927).
pub const fn is_hard(code: u8, quote: &Quote) -> bool {
    if quote.dst.is_v4() {
        matches!(code, v4::CODE_PROTOCOL | v4::CODE_PORT | 9 | 10 | 13)
    } else {
        matches!(code, 1 | v6::CODE_PORT)
    }
}

/// Whether an unreachable of this code says that nobody listens on the port.
pub const fn is_port(code: u8, quote: &Quote) -> bool {
    code == if quote.dst.is_v4() { v4::CODE_PORT } else { v6::CODE_PORT }
}

/// Reads an ICMPv4 message: `bytes` are exactly the IP payload.
pub fn parse_v4(bytes: &[u8]) -> Result<Message, Malformed> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Malformed::Icmp);
    };
    if !Sum::of(bytes).is_good() {
        return Err(Malformed::IcmpChecksum);
    }
    let (kind, code) = (header[0], header[1]);
    let (identifier, sequence) = (u16_at(header, 4), u16_at(header, 6));
    Ok(match (kind, code) {
        (v4::ECHO_REQUEST, 0) => Message::EchoRequest { identifier, sequence },
        (v4::ECHO_REPLY, 0) => Message::EchoReply { identifier, sequence },
        (v4::UNREACHABLE, v4::CODE_TOO_BIG) => {
            Message::TooBig { mtu: u16_at(header, 6) as u32, quote: quote_v4(rest)? }
        }
        (v4::UNREACHABLE, code) => Message::Unreachable { code, quote: quote_v4(rest)? },
        (v4::TIME_EXCEEDED, code) => Message::TimeExceeded { code, quote: quote_v4(rest)? },
        (v4::PARAMETER_PROBLEM, code) => Message::ParameterProblem { code, quote: quote_v4(rest)? },
        _ => Message::Other { kind, code },
    })
}

/// Reads an ICMPv6 message: `bytes` are exactly the IP payload. For neighbour discovery the caller
/// has compared the hop limit with [`NDP_HOP_LIMIT`], or does so next.
pub fn parse_v6(bytes: &[u8], src: Addr, dst: Addr) -> Result<Message, Malformed> {
    let (Some((header, rest)), Ok(length)) =
        (bytes.split_first_chunk::<HEADER_BYTES>(), u16::try_from(bytes.len()))
    else {
        return Err(Malformed::Icmp);
    };
    if !pseudo_header(src, dst, ICMPV6, length).add_bytes(bytes).is_good() {
        return Err(Malformed::IcmpChecksum);
    }
    let (kind, code) = (header[0], header[1]);
    let (identifier, sequence) = (u16_at(header, 4), u16_at(header, 6));
    Ok(match (kind, code) {
        (v6::ECHO_REQUEST, 0) => Message::EchoRequest { identifier, sequence },
        (v6::ECHO_REPLY, 0) => Message::EchoReply { identifier, sequence },
        (v6::UNREACHABLE, code) => Message::Unreachable { code, quote: quote_v6(rest)? },
        //= rfc4443#3.2
        //# Code Set to 0 (zero) by the originator and ignored by the receiver.
        (v6::TOO_BIG, _) => Message::TooBig { mtu: u32_at(header, 4), quote: quote_v6(rest)? },
        (v6::TIME_EXCEEDED, code) => Message::TimeExceeded { code, quote: quote_v6(rest)? },
        (v6::PARAMETER_PROBLEM, code) => Message::ParameterProblem { code, quote: quote_v6(rest)? },
        (v6::ROUTER_SOLICITATION..=v6::NEIGHBOUR_ADVERTISEMENT, _) => ndp::parse(bytes, src, dst)?,
        _ => Message::Other { kind, code },
    })
}

/// Whether a message of this type is neighbour discovery, which needs [`NDP_HOP_LIMIT`].
#[inline]
pub fn is_neighbour_discovery(kind: u8) -> bool {
    (v6::ROUTER_SOLICITATION..=v6::REDIRECT).contains(&kind)
}

/// The tuple of a quoted IPv4 packet, of which at least eight bytes behind the header are there.
//= rfc792#
//# The internet header plus the first 64 bits of the original datagram's data.
fn quote_v4(bytes: &[u8]) -> Result<Quote, Malformed> {
    let Some(header) = bytes.first_chunk::<V4_HEADER_BYTES>() else {
        return Err(Malformed::Icmp);
    };
    let header_bytes = (header[0] & 0x0f) as usize * 4;
    // Behind an offset there is no tuple, and we send no fragments.
    let later_fragment = u16_at(header, 6) & 0x1fff != 0;
    if header[0] >> 4 != 4 || header_bytes < V4_HEADER_BYTES || later_fragment {
        return Err(Malformed::Icmp);
    }
    let quote = Quote {
        src: Addr::v4(u32_at(header, 12)),
        dst: Addr::v4(u32_at(header, 16)),
        protocol: header[9],
        src_port: 0,
        dst_port: 0,
        seq: SeqNum(0),
        total_bytes: u16_at(header, 2) as u32,
    };
    with_tuple(quote, bytes.get(header_bytes..))
}

/// The tuple of a quoted IPv6 packet. We send no extension headers; should a quote have some, its
/// protocol names the first and its tuple finds nothing.
fn quote_v6(bytes: &[u8]) -> Result<Quote, Malformed> {
    let Some((header, rest)) = bytes.split_first_chunk::<V6_HEADER_BYTES>() else {
        return Err(Malformed::Icmp);
    };
    let src = Addr::v6(array_at(header, 8));
    let dst = Addr::v6(array_at(header, 24));
    // A mapped address would let an IPv6 error hit an IPv4 connection.
    if header[0] >> 4 != 6 || src.is_v4() || dst.is_v4() {
        return Err(Malformed::Icmp);
    }
    let quote = Quote {
        src,
        dst,
        protocol: header[6],
        src_port: 0,
        dst_port: 0,
        seq: SeqNum(0),
        total_bytes: u16_at(header, 4) as u32 + V6_HEADER_BYTES as u32,
    };
    with_tuple(quote, Some(rest))
}

fn with_tuple(quote: Quote, transport: Option<&[u8]>) -> Result<Quote, Malformed> {
    let transport = transport.ok_or(Malformed::Icmp)?;
    let Some(tuple) = transport.first_chunk::<8>() else {
        // A packet without ports may have been as short as that.
        let has_ports = matches!(quote.protocol, TCP | UDP);
        return if has_ports { Err(Malformed::Icmp) } else { Ok(quote) };
    };
    Ok(Quote {
        src_port: u16_at(tuple, 0),
        dst_port: u16_at(tuple, 2),
        seq: SeqNum(u32_at(tuple, 4)),
        ..quote
    })
}

/// Types and codes of ICMPv4 (RFC 792, RFC 1812 section 5.2.7.1).
pub mod v4 {
    /// Type.
    pub const ECHO_REPLY: u8 = 0;
    /// Type.
    pub const UNREACHABLE: u8 = 3;
    /// Type.
    pub const ECHO_REQUEST: u8 = 8;
    /// Type.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Type.
    pub const PARAMETER_PROBLEM: u8 = 12;

    /// Unreachable: nothing routes there.
    pub const CODE_NET: u8 = 0;
    /// Unreachable: the last router cannot reach the host.
    pub const CODE_HOST: u8 = 1;
    /// Unreachable: the host does not speak the protocol.
    pub const CODE_PROTOCOL: u8 = 2;
    /// Unreachable: nobody listens.
    pub const CODE_PORT: u8 = 3;
    /// Unreachable: fragmentation needed, and forbidden.
    pub const CODE_TOO_BIG: u8 = 4;
}

/// Types and codes of ICMPv6 (RFC 4443, RFC 4861).
pub mod v6 {
    /// Type.
    pub const UNREACHABLE: u8 = 1;
    /// Type.
    pub const TOO_BIG: u8 = 2;
    /// Type.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Type.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Type.
    pub const ECHO_REQUEST: u8 = 128;
    /// Type.
    pub const ECHO_REPLY: u8 = 129;
    /// Type.
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Type.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Type.
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Type.
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    /// Type.
    pub const REDIRECT: u8 = 137;

    /// Unreachable: nothing routes there.
    pub const CODE_NO_ROUTE: u8 = 0;
    /// Unreachable: the last router cannot reach the address.
    pub const CODE_ADDRESS: u8 = 3;
    /// Unreachable: nobody listens.
    pub const CODE_PORT: u8 = 4;
    /// Parameter problem: an unknown next header.
    pub const CODE_NEXT_HEADER: u8 = 1;
}

#[cfg(test)]
mod tests;
