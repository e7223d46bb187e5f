//! Ethernet II headers (RFC 894).

use crate::address::Mac;
use crate::fields::{array_at, put, u16_at};
use crate::malformed::Malformed;

/// Bytes of a header without a VLAN tag.
pub const HEADER_BYTES: usize = 14;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of a VLAN tag (IEEE 802.1Q).
pub const VLAN: u16 = 0x8100;

/// A header as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Destination station.
    pub dst: Mac,
    /// Source station.
    pub src: Mac,
    /// What follows; below 0x600 it is an IEEE 802.3 length, which nobody here speaks.
    pub ether_type: u16,
}

/// Reads the first [`HEADER_BYTES`] of a frame.
#[inline]
pub fn parse(frame: &[u8]) -> Result<Header, Malformed> {
    let Some(header) = frame.first_chunk::<HEADER_BYTES>() else {
        return Err(Malformed::EthernetShort);
    };
    Ok(Header {
        dst: Mac(array_at(header, 0)),
        src: Mac(array_at(header, 6)),
        ether_type: u16_at(header, 12),
    })
}

/// Writes a header and returns its length; 0, and nothing written, where `frame` is too short.
#[inline]
pub fn emit(frame: &mut [u8], dst: Mac, src: Mac, ether_type: u16) -> usize {
    let Some(header) = frame.first_chunk_mut::<HEADER_BYTES>() else {
        return 0;
    };
    put(header, 0, dst.0);
    put(header, 6, src.0);
    put(header, 12, ether_type.to_be_bytes());
    HEADER_BYTES
}
