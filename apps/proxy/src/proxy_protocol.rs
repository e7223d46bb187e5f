//! The PROXY protocol, versions 1 and 2: who the client is, told by a proxy to the next.
//!
//! The specification is HAProxy's `proxy-protocol.txt`; section numbers below are its. A header
//! comes before the first byte of a connection and may come in any pieces:
//!
//! ```text
//!  v1   "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n"             at most 107 bytes
//!
//!  v2   signature  ver/cmd family length   addresses and ports   TLV (type, length, value)...
//!       12 bytes     1       1      2       12 or 36              CRC-32C, authority, unique id
//! ```
//!
//! A [`Reader`] keeps what it needs and no more, however long a header says that it is, so a slow
//! or a lying peer costs half a kilobyte until the handshake times out. HAProxy 2.6 refuses a header
//! that does not come whole in the first segment, which a path with a small MSS makes happen; we
//! wait. It also refuses UNIX and unspecified families in a PROXY command of version 2, against
//! section 2.2; we take the connection's own addresses then, as that section asks.

mod read;
mod refusal;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Header, Reader};
pub use refusal::Refusal;
pub use write::{Tlvs, V1_BYTES_MAX, V2_BYTES_MAX, write_v1, write_v2};

use penstock_stack::Endpoint;

/// Both ends of the connection that a client made to the first proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: Endpoint,
    /// The address and port that it connected to.
    pub destination: Endpoint,
}

/// The first twelve bytes of version 2, which no other protocol begins with (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, command, family and length.
const FIXED_BYTES: usize = 16;

/// An IPv4 source and destination, with their ports.
const V4_BYTES: usize = 12;

/// An IPv6 source and destination, with their ports.
const V6_BYTES: usize = 36;

/// TCP over IPv4, TCP over IPv6: the families that carry addresses for us.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Type-length-value blocks that we read or write (section 2.2.1 to 2.2.8).
const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_CRC32C: u8 = 0x03;
const TYPE_UNIQUE_ID: u8 = 0x05;

/// A longer name is refused, as by HAProxy.
const AUTHORITY_BYTES_MAX: usize = 255;

/// Likewise.
const UNIQUE_ID_BYTES_MAX: usize = 128;

/// The checksum of section 2.2.3.
const CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
