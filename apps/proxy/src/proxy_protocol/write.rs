//! Headers for the next server: `send-proxy`, `send-proxy-v2` and `proxy-v2-options`.

use core::fmt::Write;
use core::net::{IpAddr, Ipv6Addr};

use penstock_wire::Addr;

use super::{
    AUTHORITY_BYTES_MAX, CRC32C, Endpoints, FIXED_BYTES, SIGNATURE, TCP4, TCP6, TYPE_AUTHORITY,
    TYPE_CRC32C, TYPE_UNIQUE_ID, UNIQUE_ID_BYTES_MAX, V6_BYTES,
};
use crate::line::Line;

/// The longest line of version 1 (section 2.1).
pub const V1_BYTES_MAX: usize = 107;

/// The longest header of version 2 that we write.
pub const V2_BYTES_MAX: usize = FIXED_BYTES
    + V6_BYTES
    + (TLV_BYTES + 4)
    + (TLV_BYTES + AUTHORITY_BYTES_MAX)
    + (TLV_BYTES + UNIQUE_ID_BYTES_MAX);

/// Type and length.
const TLV_BYTES: usize = 3;

/// What version 2 says beside addresses: the words of `proxy-v2-options` that concern TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    /// `crc32c`.
    pub has_crc32c: bool,
    /// `authority`: the name that the client's own PROXY header, or its TLS hello, gave.
    pub authority: Option<&'a [u8]>,
    /// `unique-id`: what `unique-id-format` makes, perhaps nothing.
    pub unique_id: Option<&'a [u8]>,
}

/// Writes version 1. Without endpoints (a health check, a client that is not on TCP) it says
/// `UNKNOWN`.
pub fn write_v1<'a>(endpoints: Option<&Endpoints>, out: &'a mut [u8; V1_BYTES_MAX]) -> &'a [u8] {
    let mut line = Line::new(out);
    let Some(Endpoints { source, destination }) = endpoints else {
        line.push(b"PROXY UNKNOWN\r\n");
        return line.into_bytes();
    };
    let is_v4 = source.addr.is_v4() && destination.addr.is_v4();
    // A Line takes everything, or its beginning: writing never fails.
    let _ = if is_v4 {
        write!(line, "PROXY TCP4 {} {}", source.addr, destination.addr)
    } else {
        write!(line, "PROXY TCP6 {} {}", v6(source.addr), v6(destination.addr))
    };
    let _ = write!(line, " {} {}\r\n", source.port, destination.port);
    line.into_bytes()
}

/// Writes version 2. Without endpoints (a health check) it is a LOCAL command. A name that is
/// longer than a receiver takes is left out.
pub fn write_v2<'a>(
    endpoints: Option<&Endpoints>,
    tlvs: Tlvs<'_>,
    out: &'a mut [u8; V2_BYTES_MAX],
) -> &'a [u8] {
    let mut header = Line::new(out);
    header.push(SIGNATURE);
    match endpoints {
        // The length follows when it is known.
        None => header.push(&[0x20, 0, 0, 0]),
        Some(Endpoints { source, destination }) => {
            if source.addr.is_v4() && destination.addr.is_v4() {
                header.push(&[0x21, TCP4, 0, 0]);
                header.push(&source.addr.v4_number().to_be_bytes());
                header.push(&destination.addr.v4_number().to_be_bytes());
            } else {
                header.push(&[0x21, TCP6, 0, 0]);
                header.push(&source.addr.bytes());
                header.push(&destination.addr.bytes());
            }
            header.push(&source.port.to_be_bytes());
            header.push(&destination.port.to_be_bytes());
        }
    }
    let crc_at = header.len() + TLV_BYTES;
    if tlvs.has_crc32c {
        push_tlv(&mut header, TYPE_CRC32C, &[0; 4]);
    }
    if let Some(name) = tlvs.authority.filter(|name| name.len() <= AUTHORITY_BYTES_MAX) {
        push_tlv(&mut header, TYPE_AUTHORITY, name);
    }
    if let Some(id) = tlvs.unique_id.filter(|id| id.len() <= UNIQUE_ID_BYTES_MAX) {
        push_tlv(&mut header, TYPE_UNIQUE_ID, id);
    }
    let len = header.len();
    out[14..FIXED_BYTES].copy_from_slice(&((len - FIXED_BYTES) as u16).to_be_bytes());
    if tlvs.has_crc32c {
        let crc = CRC32C.checksum(&out[..len]);
        out[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
    }
    &out[..len]
}

fn push_tlv(header: &mut Line<'_>, kind: u8, value: &[u8]) {
    header.byte(kind);
    header.push(&(value.len() as u16).to_be_bytes());
    header.push(value);
}

/// The address as IPv6, mapped where it is IPv4: one family for both ends.
fn v6(address: Addr) -> Ipv6Addr {
    match IpAddr::from(address) {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

// The length field is 16 bits.
const _: () = assert!(V2_BYTES_MAX <= u16::MAX as usize);
