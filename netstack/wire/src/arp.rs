//! ARP for IPv4 over Ethernet (RFC 826).

use crate::address::{Addr, Mac};
use crate::fields::{array_at, put, u16_at, u32_at};
use crate::malformed::Malformed;

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 28;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has its address.
    Reply,
}

/// A packet as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's station; never a group.
    pub sender_mac: Mac,
    /// The sender's address; 0.0.0.0 in a probe (RFC 5227).
    pub sender: Addr,
    /// The target's station; of no meaning in a request.
    pub target_mac: Mac,
    /// The target's address.
    pub target: Addr,
}

/// Reads a packet; what stands behind it is padding.
pub fn parse(bytes: &[u8]) -> Result<Packet, Malformed> {
    let Some(packet) = bytes.first_chunk::<PACKET_BYTES>() else {
        return Err(Malformed::Arp);
    };
    if packet[..6] != ETHERNET_IPV4 {
        return Err(Malformed::Arp);
    }
    let operation = match u16_at(packet, 6) {
        1 => Operation::Request,
        2 => Operation::Reply,
        _ => return Err(Malformed::Arp),
    };
    let sender_mac = Mac(array_at(packet, 8));
    let sender = Addr::v4(u32_at(packet, 14));
    // To believe a group would send our frames to everyone.
    if sender_mac.is_group() || sender.is_group() {
        return Err(Malformed::Arp);
    }
    Ok(Packet {
        operation,
        sender_mac,
        sender,
        target_mac: Mac(array_at(packet, 18)),
        target: Addr::v4(u32_at(packet, 24)),
    })
}

/// Writes a packet and returns its length; 0, and nothing written, where `bytes` are too few.
pub fn emit(bytes: &mut [u8], packet: &Packet) -> usize {
    let Some(field) = bytes.first_chunk_mut::<PACKET_BYTES>() else {
        return 0;
    };
    let operation: u16 = match packet.operation {
        Operation::Request => 1,
        Operation::Reply => 2,
    };
    put(field, 0, ETHERNET_IPV4);
    put(field, 6, operation.to_be_bytes());
    put(field, 8, packet.sender_mac.0);
    put(field, 14, packet.sender.v4_number().to_be_bytes());
    put(field, 18, packet.target_mac.0);
    put(field, 24, packet.target.v4_number().to_be_bytes());
    PACKET_BYTES
}

/// Hardware Ethernet, protocol IPv4, their address lengths 6 and 4.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

#[cfg(test)]
mod tests;
