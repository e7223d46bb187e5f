//! Receive side scaling: the Toeplitz hash and the redirection table (7.1.2.8).

use crate::packet::{Packet, Protocol};
use crate::storage::Storage;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::mrqc;
use penstock_ixgbe_regs::descriptor::rss_type;

/// The hash of a frame and what was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash {
    pub(crate) value: u32,
    pub(crate) kind: u32,
}

impl Hash {
    const NONE: Hash = Hash { value: 0, kind: rss_type::NONE };

    /// The queue that the redirection table names: four bits, so at most 16 queues.
    pub(crate) fn queue(self, storage: &Storage) -> u32 {
        let entry = self.value & 0x7F;
        storage.at(regs::RETA.at(entry / 4)) >> (entry % 4 * 8) & 0xF
    }
}

/// The hash of `frame` as MRQC asks for it; `None` where RSS is off.
pub(crate) fn hash(storage: &Storage, frame: &[u8], packet: &Packet) -> Option<Hash> {
    let control = storage.at(regs::MRQC);
    if control & mrqc::MODE != 1 {
        return None;
    }
    let Some(ip) = &packet.ip else { return Some(Hash::NONE) };
    let (tcp, udp, any) = if ip.v6 {
        (
            (mrqc::TCP_IPV6, rss_type::TCP_IPV6),
            (mrqc::UDP_IPV6, rss_type::UDP_IPV6),
            (mrqc::IPV6, rss_type::IPV6),
        )
    } else {
        (
            (mrqc::TCP_IPV4, rss_type::TCP_IPV4),
            (mrqc::UDP_IPV4, rss_type::UDP_IPV4),
            (mrqc::IPV4, rss_type::IPV4),
        )
    };
    let transport = packet.transport.and_then(|transport| match transport.protocol {
        Protocol::Tcp => Some((tcp, transport)),
        Protocol::Udp => Some((udp, transport)),
        Protocol::Sctp => None,
    });
    let mut input = [0u8; 36];
    let addresses = [&ip.source, &ip.destination];
    let mut length = 0;
    for range in addresses {
        let Some(bytes) = frame.get(range.clone()) else { return Some(Hash::NONE) };
        input[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    }
    let kind = match transport {
        Some(((wanted, kind), transport)) if control & wanted != 0 => {
            input[length..length + 2].copy_from_slice(&transport.source.to_be_bytes());
            input[length + 2..length + 4].copy_from_slice(&transport.destination.to_be_bytes());
            length += 4;
            kind
        }
        _ if control & any.0 != 0 => any.1,
        _ => return Some(Hash::NONE),
    };
    Some(Hash { value: toeplitz(&key(storage), &input[..length]), kind })
}

/// The key: byte 0 is the low byte of RSSRK 0.
fn key(storage: &Storage) -> [u8; 40] {
    let mut key = [0; 40];
    for (index, bytes) in key.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *bytes = storage.at(regs::RSSRK.at(index as u32)).to_le_bytes();
    }
    key
}

/// For each set bit of the input, the 32 bits of the key that stand under it.
fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let mut window = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    let mut hash = 0;
    for (at, byte) in input.iter().enumerate() {
        let next = key.get(at + 4).copied().unwrap_or(0);
        for bit in (0..8).rev() {
            if byte >> bit & 1 != 0 {
                hash ^= window;
            }
            window = window << 1 | u32::from(next >> bit & 1);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    //! Proves the hash against the verification suite that Microsoft publishes for RSS.
    use super::*;

    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    #[test]
    fn published_vectors() {
        let input = [66, 9, 149, 187, 161, 142, 100, 80, 0x0A, 0xEA, 0x06, 0xE6];
        assert_eq!(toeplitz(&KEY, &input), 0x51CC_C178);
        assert_eq!(toeplitz(&KEY, &input[..8]), 0x323E_8FC2);
    }

    #[test]
    fn the_key_and_the_table_are_read_from_registers() {
        let mut storage = Storage::new();
        for (index, bytes) in KEY.as_chunks::<4>().0.iter().enumerate() {
            storage.set(regs::RSSRK.at(index as u32), u32::from_le_bytes(*bytes));
        }
        assert_eq!(key(&storage), KEY);
        storage.set(regs::RETA.at(31), 0x0F03_0201);
        let queue = |value| Hash { value, kind: 1 }.queue(&storage);
        assert_eq!([queue(0x7C), queue(0x7D), queue(0x7E), queue(0xFF)], [1, 2, 3, 15]);
    }
}
