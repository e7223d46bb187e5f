//! UDP datagrams (RFC 768, RFC 8200 section 8.1).

use crate::address::Addr;
use crate::checksum::{Sum, pseudo_header};
use crate::fields::{put, u16_at};
use crate::ip::UDP;
use crate::malformed::Malformed;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 8;
/// Where the checksum stands in the header.
pub const CHECKSUM_OFFSET: usize = 6;

/// A datagram as numbers; the payload stands behind [`HEADER_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Source port; 0 where no answer is wanted.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Bytes of payload.
    pub payload_bytes: u16,
}

/// Reads a datagram: `bytes` are the IP payload, and may exceed the datagram. `verify` asks for the
/// checksum, where no card has checked it; that an IPv6 sender left it out is refused either way.
pub fn parse(bytes: &[u8], src: Addr, dst: Addr, verify: bool) -> Result<Datagram, Malformed> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(Malformed::UdpShort);
    };
    let length = u16_at(header, 4);
    let Some(datagram) = bytes.get(..length as usize) else {
        return Err(Malformed::UdpLength);
    };
    if datagram.len() < HEADER_BYTES {
        return Err(Malformed::UdpLength);
    }
    //= rfc8200#8.1
    //# IPv6 receivers must discard UDP packets containing a zero checksum
    let absent = u16_at(header, CHECKSUM_OFFSET) == 0;
    if absent && !dst.is_v4() {
        return Err(Malformed::UdpChecksum);
    }
    if verify && !absent && !pseudo_header(src, dst, UDP, length).add_bytes(datagram).is_good() {
        return Err(Malformed::UdpChecksum);
    }
    Ok(Datagram {
        src_port: u16_at(header, 0),
        dst_port: u16_at(header, 2),
        payload_bytes: length - HEADER_BYTES as u16,
    })
}

/// Writes a header with the checksum 0 and returns its length; 0, and nothing written, where `bytes`
/// are too few. A payload beyond 65527 bytes exists in no packet; its length wraps.
#[inline]
pub fn emit(bytes: &mut [u8], datagram: &Datagram) -> usize {
    let Some(header) = bytes.first_chunk_mut::<HEADER_BYTES>() else {
        return 0;
    };
    put(header, 0, datagram.src_port.to_be_bytes());
    put(header, 2, datagram.dst_port.to_be_bytes());
    put(header, 4, datagram.payload_bytes.wrapping_add(HEADER_BYTES as u16).to_be_bytes());
    put(header, 6, [0; 2]);
    HEADER_BYTES
}

/// Computes and writes the checksum over `bytes`, which begin with a header as [`emit`] left it, and
/// over what lies beyond them: `beyond_bytes` of lent payload summed to `beyond`. Of fewer bytes than
/// a header nothing becomes.
pub fn fill_checksum(bytes: &mut [u8], src: Addr, dst: Addr, beyond: Sum, beyond_bytes: u16) {
    let length = (bytes.len() as u16).wrapping_add(beyond_bytes);
    let checksum = pseudo_header(src, dst, UDP, length).add_bytes(bytes).join(beyond).checksum();
    if let Some(header) = bytes.first_chunk_mut::<HEADER_BYTES>() {
        //= rfc768#
        //# If the computed checksum is zero, it is transmitted as all ones
        let sent = if checksum == 0 { 0xffff } else { checksum };
        put(header, CHECKSUM_OFFSET, sent.to_be_bytes());
    }
}

/// Writes what a card that inserts checksums wants to find in the field: the pseudo-header's sum.
/// `length` counts header and payload.
#[inline]
pub fn fill_partial_checksum(header: &mut [u8], src: Addr, dst: Addr, length: u16) {
    if let Some(header) = header.first_chunk_mut::<HEADER_BYTES>() {
        let sum = pseudo_header(src, dst, UDP, length).fold();
        put(header, CHECKSUM_OFFSET, sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
