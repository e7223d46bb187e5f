//! The Toeplitz hash of receive-side scaling (82599 datasheet section 7.1.2.8.1): each bit of the
//! input that is set adds, without carry, the 32 key bits that begin at its own position.

use crate::address::Addr;

/// Bytes of a key.
pub const KEY_BYTES: usize = 40;

/// The most bytes of input that a key has bits for; what exceeds them adds nothing.
pub const INPUT_BYTES_MAX: usize = KEY_BYTES - 4;

/// The hash of `input`, at most [`INPUT_BYTES_MAX`] bytes.
pub fn hash(key: &[u8; KEY_BYTES], input: &[u8]) -> u32 {
    let mut hash = 0;
    for (at, byte) in input.iter().take(INPUT_BYTES_MAX).enumerate() {
        let Some(&window) = key[at..].first_chunk::<5>() else { break };
        let [a, b, c, d, e] = window;
        let window = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        for bit in 0..8 {
            if byte & 0x80 >> bit != 0 {
                hash ^= (window >> (8 - bit)) as u32;
            }
        }
    }
    hash
}

/// The hash of a segment or datagram with ports: addresses and ports in the order in which the
/// frame has them.
pub fn tcp_tuple(key: &[u8; KEY_BYTES], src: Addr, dst: Addr, src_port: u16, dst_port: u16) -> u32 {
    let mut input = [0; INPUT_BYTES_MAX];
    let bytes = put_addresses(&mut input, src, dst);
    input[bytes..bytes + 2].copy_from_slice(&src_port.to_be_bytes());
    input[bytes + 2..bytes + 4].copy_from_slice(&dst_port.to_be_bytes());
    hash(key, &input[..bytes + 4])
}

/// The hash of a packet of any other protocol, and of fragments: the addresses alone.
pub fn ip_pair(key: &[u8; KEY_BYTES], src: Addr, dst: Addr) -> u32 {
    let mut input = [0; INPUT_BYTES_MAX];
    let bytes = put_addresses(&mut input, src, dst);
    hash(key, &input[..bytes])
}

fn put_addresses(input: &mut [u8; INPUT_BYTES_MAX], src: Addr, dst: Addr) -> usize {
    if src.is_v4() {
        input[..4].copy_from_slice(&src.v4_number().to_be_bytes());
        input[4..8].copy_from_slice(&dst.v4_number().to_be_bytes());
        8
    } else {
        input[..16].copy_from_slice(&src.bytes());
        input[16..32].copy_from_slice(&dst.bytes());
        32
    }
}

#[cfg(test)]
mod tests {
    //! The hash is the one that cards compute: Microsoft's verification suite for RSS.

    use super::*;
    use core::net::IpAddr;

    const KEY: [u8; KEY_BYTES] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    /// Source, its port, destination, its port, the hash with ports and without.
    const VECTORS: [(&str, u16, &str, u16, u32, u32); 8] = [
        ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x51ccc178, 0x323e8fc2),
        ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xc626b0ea, 0xd718262a),
        ("24.19.198.95", 12898, "12.22.207.184", 38024, 0x5c2b394a, 0xd2d0a5de),
        ("38.27.205.30", 48228, "209.142.163.6", 2217, 0xafc7327f, 0x82989176),
        ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x10e828a2, 0x5d1809c5),
        ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x40207d3d, 0x2cc18cd5),
        ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0xdde51bbf, 0x0f0c461c),
        (
            "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
            44251,
            "fe80::200:f8ff:fe21:67cf",
            38024,
            0x02d1feef,
            0x4b61e985,
        ),
    ];

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn the_verification_suite_agrees() {
        for (src, src_port, dst, dst_port, with_ports, addresses_alone) in VECTORS {
            let (src, dst) = (addr(src), addr(dst));
            assert_eq!(tcp_tuple(&KEY, src, dst, src_port, dst_port), with_ports, "from {src}");
            assert_eq!(ip_pair(&KEY, src, dst), addresses_alone, "from {src}");
        }
    }

    #[test]
    fn the_hash_is_linear_so_that_ports_can_be_solved_for() {
        let a = [0x5a; INPUT_BYTES_MAX];
        let mut b = [0; INPUT_BYTES_MAX];
        b[7] = 0x81;
        let both = core::array::from_fn::<u8, INPUT_BYTES_MAX, _>(|at| a[at] ^ b[at]);
        assert_eq!(hash(&KEY, &both), hash(&KEY, &a) ^ hash(&KEY, &b));
        assert_eq!(hash(&KEY, &[0xff; 100]), hash(&KEY, &[0xff; INPUT_BYTES_MAX]));
    }
}
