//! Damage to a frame that its checksums must find.

use core::ops::Range;

use penstock_wire::{arp, ethernet, ip, udp};

use crate::rng::Rng;

/// Flips one burst of at most 15 bits within a part that a 16-bit one's complement checksum covers:
/// that is what the checksum finds with certainty, while free corruption would defeat it. ARP has
/// none, so a damaged ARP packet is believed and has to heal. Returns whether anything was flipped:
/// what nothing covers is left alone.
pub fn damage(frame: &mut [u8], rng: &mut Rng) -> bool {
    let Some(part) = covered(frame, rng).filter(|part| !part.is_empty()) else { return false };
    let bits = rng.range(1, 15).min(part.len() as u64 * 8);
    let first = part.start as u64 * 8 + rng.below(part.len() as u64 * 8 - bits + 1);
    for bit in first..first + bits {
        // The ends always flip, what lies between them may.
        if bit == first || bit == first + bits - 1 || rng.percent(50) {
            frame[bit as usize / 8] ^= 0x80 >> (bit % 8);
        }
    }
    true
}

/// The bytes of one checksum's cover, or of an ARP packet.
fn covered(frame: &[u8], rng: &mut Rng) -> Option<Range<usize>> {
    let header = ethernet::parse(frame).ok()?;
    let rest = &frame[ethernet::HEADER_BYTES..];
    let packet = match header.ether_type {
        ethernet::IPV4 => ip::parse_v4(rest, false).ok()?,
        ethernet::IPV6 => ip::parse_v6(rest).ok()?,
        ethernet::ARP => {
            arp::parse(rest).ok()?;
            return Some(ethernet::HEADER_BYTES + 8..ethernet::HEADER_BYTES + 28);
        }
        _ => return None,
    };
    let payload = ethernet::HEADER_BYTES + packet.header_bytes as usize;
    let end = payload + packet.payload_bytes as usize;
    let has_checksum = has_checksum(&packet, packet.payload(rest));
    if header.ether_type == ethernet::IPV4 && (rng.percent(20) || !has_checksum) {
        Some(ethernet::HEADER_BYTES..payload)
    } else {
        has_checksum.then_some(payload..end)
    }
}

/// Whether a checksum covers the payload.
fn has_checksum(packet: &ip::Packet, payload: &[u8]) -> bool {
    match packet.protocol {
        ip::TCP | ip::ICMP | ip::ICMPV6 => true,
        ip::UDP => {
            let checksum = udp::CHECKSUM_OFFSET..udp::CHECKSUM_OFFSET + 2;
            let is_whole = udp::parse(payload, packet.src, packet.dst, false).is_ok();
            is_whole && payload.get(checksum) != Some(&[0, 0])
        }
        _ => false,
    }
}
