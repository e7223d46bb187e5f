//! IPv6 extension headers (RFC 8200 section 4): a chain between the header and the payload, stepped
//! over within a bound.

use super::{ICMPV6, Packet, TCP, UDP, V6_HEADER_BYTES};
use crate::malformed::Malformed;

/// A chain that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The name of the refusal.
    pub why: Malformed,
    /// What to tell the sender in a Parameter Problem: code and pointer (bytes from the start of the
    /// IP header). `None` where the RFC asks for silence.
    pub answer: Option<(u8, u32)>,
}

/// What a Parameter Problem about this packet would say: code and pointer. For a packet that parses
/// it is its protocol that nobody here speaks. `None` where there is nothing to be said. Whether a
/// packet that came to a group is answered is the caller's question.
#[cold]
pub fn parameter_problem_v6(bytes: &[u8]) -> Option<(u8, u32)> {
    let header = bytes.first_chunk::<V6_HEADER_BYTES>()?;
    let payload_bytes = u16::from_be_bytes([header[4], header[5]]);
    let end = V6_HEADER_BYTES + payload_bytes as usize;
    match walk(bytes.get(..end)?, header[6], header[24] == 0xff) {
        Ok(chain) => Some((UNRECOGNIZED_HEADER, chain.named_at)),
        Err(problem) => problem.answer,
    }
}

/// Steps over the chain behind the header of `packet`, whose lengths fit `bytes`, and gives the
/// packet its true protocol and payload.
#[cold]
pub(super) fn skip(bytes: &[u8], packet: Packet) -> Result<Packet, Problem> {
    let end = V6_HEADER_BYTES + packet.payload_bytes as usize;
    let Some(whole) = bytes.get(..end) else {
        return Err(silent(Malformed::IpTotalLength));
    };
    let chain = walk(whole, packet.protocol, packet.dst.is_group())?;
    if packet.src.is_unspecified() && matches!(chain.protocol, TCP | UDP) {
        return Err(silent(Malformed::IpSource));
    }
    //= rfc6980#5
    //# Nodes MUST silently ignore the following Neighbor Discovery and SEcure Neighbor Discovery
    //# messages if the packets carrying them include an IPv6 Fragmentation Header:
    let neighbour_discovery = 133..=137;
    let kind = whole.get(chain.end).copied().unwrap_or(0);
    if chain.fragment && chain.protocol == ICMPV6 && neighbour_discovery.contains(&kind) {
        return Err(silent(Malformed::IpFragment));
    }
    // Both fit: the chain ends within 40 + 65535 bytes, and `CHAIN_BYTES_MAX` is far below that.
    Ok(Packet {
        protocol: chain.protocol,
        header_bytes: chain.end as u16,
        payload_bytes: (end - chain.end) as u16,
        ..packet
    })
}

/// Where a chain led.
struct Chain {
    protocol: u8,
    /// The payload's offset.
    end: usize,
    /// The offset of the byte that names the protocol.
    named_at: u32,
    /// Whether an (atomic) fragment header was among them.
    fragment: bool,
}

fn walk(packet: &[u8], first: u8, to_group: bool) -> Result<Chain, Problem> {
    let mut chain = Chain { protocol: first, end: V6_HEADER_BYTES, named_at: 6, fragment: false };
    for index in 0..=HEADERS_MAX {
        let from = chain.end;
        let header_bytes = match chain.protocol {
            HOP_BY_HOP if index > 0 => return Err(unrecognized(Malformed::IpExtension, &chain)),
            HOP_BY_HOP | DESTINATION_OPTIONS => {
                let header = sized(packet, from)?;
                options(header, from, to_group)?;
                header.len()
            }
            ROUTING => {
                let header = sized(packet, from)?;
                //= rfc8200#4.4
                //# If Segments Left is non-zero, the node must discard the packet and send an ICMP
                //# Parameter Problem, Code 0, message to the packet's Source Address, pointing to
                //# the unrecognized Routing Type.
                if header[3] != 0 {
                    let answer = Some((ERRONEOUS_FIELD, from as u32 + 2));
                    return Err(Problem { why: Malformed::IpOption, answer });
                }
                header.len()
            }
            FRAGMENT => {
                let Some(header) = packet.get(from..).and_then(|rest| rest.first_chunk::<8>())
                else {
                    return Err(silent(Malformed::IpExtension));
                };
                //= rfc6946#4
                //# A host that receives an IPv6 packet that includes a Fragment Header with the
                //# "Fragment Offset" equal to 0 and the "M" flag equal to 0 MUST process that packet
                //# in isolation from any other packets/fragments
                if u16::from_be_bytes([header[2], header[3]]) & 0xfff9 != 0 {
                    return Err(silent(Malformed::IpFragment));
                }
                chain.fragment = true;
                header.len()
            }
            _ => return Ok(chain),
        };
        chain.protocol = packet[from];
        chain.named_at = from as u32;
        chain.end = from + header_bytes;
        if chain.end > CHAIN_BYTES_MAX {
            break;
        }
    }
    Err(silent(Malformed::IpExtension))
}

/// The extension header at `from`, whose second byte counts eights beyond the first.
fn sized(packet: &[u8], from: usize) -> Result<&[u8], Problem> {
    let rest = packet.get(from..).unwrap_or(&[]);
    let eights = rest.get(1).copied().unwrap_or(0) as usize;
    rest.get(..(eights + 1) * 8).ok_or(silent(Malformed::IpExtension))
}

/// Whether every option of a hop-by-hop or destination options header may be stepped over.
//= rfc8200#4.2
//# The Option Type identifiers are internally encoded such that their highest-order 2 bits specify
//# the action that must be taken if the processing IPv6 node does not recognize the Option Type:
fn options(header: &[u8], at: usize, to_group: bool) -> Result<(), Problem> {
    let mut from = 2;
    // Bounded by the header's 2048 bytes: each turn moves on by at least one.
    while let Some(&kind) = header.get(from) {
        if kind == PAD_ONE {
            from += 1;
            continue;
        }
        let Some(&length) = header.get(from + 1) else {
            return Err(silent(Malformed::IpExtension));
        };
        if kind >> 6 != 0 {
            let tell = kind >> 6 == 2 || kind >> 6 == 3 && !to_group;
            let answer = tell.then_some((UNRECOGNIZED_OPTION, (at + from) as u32));
            return Err(Problem { why: Malformed::IpOption, answer });
        }
        from += 2 + length as usize;
        if from > header.len() {
            return Err(silent(Malformed::IpExtension));
        }
    }
    Ok(())
}

fn silent(why: Malformed) -> Problem {
    Problem { why, answer: None }
}

fn unrecognized(why: Malformed, chain: &Chain) -> Problem {
    Problem { why, answer: Some((UNRECOGNIZED_HEADER, chain.named_at)) }
}

/// Extension headers a packet may have. Each kind but destination options should occur once (RFC
/// 8200 section 4.1), so this is twice what is sensible.
const HEADERS_MAX: usize = 8;

/// Bytes from the IP header to the payload that are put up with: what is longer is an attack on
/// whoever looks for the payload.
const CHAIN_BYTES_MAX: usize = 512;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

const PAD_ONE: u8 = 0;

// Codes of an ICMPv6 Parameter Problem (RFC 4443 section 3.4).
const ERRONEOUS_FIELD: u8 = 0;
const UNRECOGNIZED_HEADER: u8 = 1;
const UNRECOGNIZED_OPTION: u8 = 2;
