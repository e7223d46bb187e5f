//! IPv4 (RFC 791, 1122) and IPv6 (RFC 8200) headers.
//!
//! Both parsers give the same [`Packet`], so that everything above is written once. Options and
//! extension headers are stepped over, never obeyed; fragments are refused, except IPv6's atomic
//! ones, which are whole (RFC 6946). Whether the destination is ours is the caller's question: only
//! what no packet may carry is refused here.

mod extension;

pub use extension::{Problem, parameter_problem_v6};

use crate::address::Addr;
use crate::checksum::Sum;
use crate::fields::{array_at, put, u16_at, u32_at};
use crate::malformed::Malformed;

/// Bytes of an IPv4 header without options.
pub const V4_HEADER_BYTES: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub const V6_HEADER_BYTES: usize = 40;
/// The hop limit (IPv4: time to live) of what we send.
pub const HOP_LIMIT: u8 = 64;

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;

/// A packet as numbers; the payload stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Source.
    pub src: Addr,
    /// Destination.
    pub dst: Addr,
    /// Protocol of the payload (behind any extension headers).
    pub protocol: u8,
    /// Hops left, as received.
    pub hop_limit: u8,
    /// Traffic class: DSCP and, in the two low bits, ECN.
    pub traffic_class: u8,
    /// Bytes from the start of the IP header to the payload, options and extensions included.
    pub header_bytes: u16,
    /// Bytes of payload. Behind it there may be padding.
    pub payload_bytes: u16,
}

impl Packet {
    /// The payload within `bytes`, which are those that were parsed.
    #[inline]
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let from = self.header_bytes as usize;
        bytes.get(from..from + self.payload_bytes as usize).unwrap_or(&[])
    }
}

/// Reads an IPv4 packet: `bytes` begin with its header and may end with padding. `verify` asks for
/// the header checksum, where no card has checked it. A loopback source is for the stack to judge.
#[inline]
pub fn parse_v4(bytes: &[u8], verify: bool) -> Result<Packet, Malformed> {
    let Some(header) = bytes.first_chunk::<V4_HEADER_BYTES>() else {
        return Err(Malformed::IpHeaderLength);
    };
    let mut header_bytes = V4_HEADER_BYTES as u16;
    if header[0] != 0x45 {
        header_bytes = header_bytes_v4(header[0], bytes.len())?;
    }
    let total_bytes = u16_at(header, 2);
    if total_bytes as usize > bytes.len() || total_bytes < header_bytes {
        return Err(Malformed::IpTotalLength);
    }
    // The offset and "more fragments"; "don't fragment" and the reserved bit may be anything.
    if u16_at(header, 6) & 0x3fff != 0 {
        return Err(Malformed::IpFragment);
    }
    let src = Addr::v4(u32_at(header, 12));
    if !may_be_source_v4(src) {
        return Err(Malformed::IpSource);
    }
    if verify {
        let options = &bytes[V4_HEADER_BYTES..header_bytes as usize];
        if !Sum::of(header).add_bytes(options).is_good() {
            return Err(Malformed::IpChecksum);
        }
    }
    Ok(Packet {
        src,
        dst: Addr::v4(u32_at(header, 16)),
        protocol: header[9],
        hop_limit: header[8],
        traffic_class: header[1],
        header_bytes,
        payload_bytes: total_bytes - header_bytes,
    })
}

/// The header length of an IPv4 packet that does not begin with 0x45: one with options, or none.
#[cold]
fn header_bytes_v4(first: u8, bytes: usize) -> Result<u16, Malformed> {
    if first >> 4 != 4 {
        return Err(Malformed::IpVersion);
    }
    let header_bytes = (first & 0x0f) as u16 * 4;
    if (header_bytes as usize) < V4_HEADER_BYTES || header_bytes as usize > bytes {
        return Err(Malformed::IpHeaderLength);
    }
    Ok(header_bytes)
}

/// Whether an IPv4 address can have sent a packet, over a wire or to itself.
//= rfc1122#3.2.1.3
//# A host MUST silently discard an incoming datagram containing an IP source address that is invalid
//# by the rules of this section.
#[inline]
fn may_be_source_v4(addr: Addr) -> bool {
    // "This network" is a source only for a host that asks for its own address, of a server.
    let first = (addr.v4_number() >> 24) as u8;
    first.wrapping_sub(1) < 223 || first != 0 && !addr.is_group()
}

/// Reads an IPv6 packet: `bytes` begin with its header and may end with padding.
#[inline]
pub fn parse_v6(bytes: &[u8]) -> Result<Packet, Malformed> {
    let Some(header) = bytes.first_chunk::<V6_HEADER_BYTES>() else {
        return Err(Malformed::IpHeaderLength);
    };
    let first = u32_at(header, 0);
    if first >> 28 != 6 {
        return Err(Malformed::IpVersion);
    }
    let payload_bytes = u16_at(header, 4);
    if payload_bytes as usize > bytes.len() - V6_HEADER_BYTES {
        return Err(Malformed::IpTotalLength);
    }
    let src = Addr::v6(array_at(header, 8));
    let dst = Addr::v6(array_at(header, 24));
    let packet = Packet {
        src,
        dst,
        protocol: header[6],
        hop_limit: header[7],
        traffic_class: (first >> 20) as u8,
        header_bytes: V6_HEADER_BYTES as u16,
        payload_bytes,
    };
    // A mapped address would pass for the IPv4 host that it maps.
    if src.hi == 0 && !may_be_source_v6(src, packet.protocol) || src.is_group() {
        return Err(Malformed::IpSource);
    }
    if dst.is_v4() {
        return Err(Malformed::IpDestination);
    }
    match packet.protocol {
        TCP | UDP | ICMPV6 => Ok(packet),
        _ => extension::skip(bytes, packet).map_err(|problem| problem.why),
    }
}

/// Whether an address in ::/64 can have sent a packet over a wire: not ::1, not a mapped one, and ::
/// only to learn of its neighbours (RFC 4862 section 5.4.2), which is ICMPv6.
#[cold]
fn may_be_source_v6(addr: Addr, protocol: u8) -> bool {
    // An extension header in front of ICMPv6 is looked at again behind the chain.
    let speaks_for_nobody = matches!(protocol, TCP | UDP);
    !(addr.is_loopback() || addr.is_v4() || addr.is_unspecified() && speaks_for_nobody)
}

/// What an IPv4 header says, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderV4 {
    /// Source.
    pub src: Addr,
    /// Destination.
    pub dst: Addr,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Bytes of payload, at most 65515; what exceeds it wraps, as no such packet exists.
    pub payload_bytes: u16,
    /// Time to live.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Identification; of no consequence while `dont_fragment` is set (RFC 6864).
    pub identification: u16,
    /// Whether routers must not fragment the packet.
    pub dont_fragment: bool,
    /// Whether to compute the header checksum; otherwise the field is 0, for a card to fill.
    pub checksum: bool,
}

/// Writes an IPv4 header without options and returns its length; 0, and nothing written, where
/// `bytes` are too few.
#[inline]
pub fn emit_v4(bytes: &mut [u8], header: &HeaderV4) -> usize {
    let Some(field) = bytes.first_chunk_mut::<V4_HEADER_BYTES>() else {
        return 0;
    };
    let flags: u16 = if header.dont_fragment { 0x4000 } else { 0 };
    put(field, 0, [0x45, header.traffic_class]);
    put(field, 2, header.payload_bytes.wrapping_add(V4_HEADER_BYTES as u16).to_be_bytes());
    put(field, 4, header.identification.to_be_bytes());
    put(field, 6, flags.to_be_bytes());
    put(field, 8, [header.hop_limit, header.protocol, 0, 0]);
    put(field, 12, header.src.v4_number().to_be_bytes());
    put(field, 16, header.dst.v4_number().to_be_bytes());
    if header.checksum {
        let checksum = Sum::of(field).checksum();
        put(field, 10, checksum.to_be_bytes());
    }
    V4_HEADER_BYTES
}

/// What an IPv6 header says, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderV6 {
    /// Source.
    pub src: Addr,
    /// Destination.
    pub dst: Addr,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Bytes of payload.
    pub payload_bytes: u16,
    /// Hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Flow label (RFC 6437): the low 20 bits count.
    pub flow_label: u32,
}

/// Writes an IPv6 header without extensions and returns its length; 0, and nothing written, where
/// `bytes` are too few.
#[inline]
pub fn emit_v6(bytes: &mut [u8], header: &HeaderV6) -> usize {
    let Some(field) = bytes.first_chunk_mut::<V6_HEADER_BYTES>() else {
        return 0;
    };
    let first =
        0x6000_0000 | (header.traffic_class as u32) << 20 | (header.flow_label & 0x000f_ffff);
    put(field, 0, first.to_be_bytes());
    put(field, 4, header.payload_bytes.to_be_bytes());
    put(field, 6, [header.protocol, header.hop_limit]);
    put(field, 8, header.src.bytes());
    put(field, 24, header.dst.bytes());
    V6_HEADER_BYTES
}

#[cfg(test)]
mod tests;
