//! The Internet checksum (RFC 1071), whole, in pieces, and updated in place (RFC 1624).
//!
//! The sum is kept in 64 bits of one's complement arithmetic, in the machine's own byte order: a
//! carry out of the top comes back in at the bottom, so eight bytes are one addition, and since
//! 2^16 - 1 divides 2^64 - 1, folding to sixteen bits may wait until the end. Swapping the bytes of
//! a one's complement sum is multiplying it by 256, hence a rotation by 8; that is how pieces of odd
//! length and numbers in host order join the sum.

use crate::address::Addr;
use crate::fields::array_at;

/// A sum under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    total: u64,
    odd: bool,
}

impl Sum {
    /// Nothing yet.
    pub const ZERO: Sum = Sum { total: 0, odd: false };

    /// The sum of `bytes`.
    #[inline]
    pub fn of(bytes: &[u8]) -> Sum {
        Sum { total: sum_words(bytes), odd: bytes.len() % 2 == 1 }
    }

    /// Appends `bytes`, at whatever position the bytes before have left, odd or even.
    #[inline]
    #[must_use]
    pub fn add_bytes(self, bytes: &[u8]) -> Sum {
        self.join(Sum::of(bytes))
    }

    /// Appends a piece that was summed on its own.
    #[inline]
    #[must_use]
    pub fn join(self, piece: Sum) -> Sum {
        let aligned = if self.odd { piece.total.rotate_left(8) } else { piece.total };
        Sum { total: plus(self.total, aligned), odd: self.odd != piece.odd }
    }

    /// Adds a field that stands at an even offset.
    #[inline]
    #[must_use]
    pub fn add_u16(self, value: u16) -> Sum {
        self.add_host_order(value as u64)
    }

    /// Adds a field that stands at an even offset.
    #[inline]
    #[must_use]
    pub fn add_u32(self, value: u32) -> Sum {
        self.add_host_order(value as u64)
    }

    /// Adds an address that stands at an even offset.
    #[inline]
    #[must_use]
    pub fn add_addr(self, addr: Addr) -> Sum {
        // The two bytes ff ff of a mapped IPv4 address are zero in one's complement: no branch.
        self.add_host_order(plus(addr.hi, addr.lo))
    }

    /// The sum in sixteen bits, not inverted: what a card that inserts checksums wants to find in
    /// the field, as a number to be written in network order.
    #[inline]
    pub const fn fold(self) -> u16 {
        let half = (self.total.wrapping_add(self.total.rotate_left(32)) >> 32) as u32;
        let quarter = (half.wrapping_add(half.rotate_left(16)) >> 16) as u16;
        u16::from_be(quarter)
    }

    /// The checksum: the inverted sum, as a number to be written in network order.
    #[inline]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// Whether bytes summed together with their checksum field are intact.
    #[inline]
    pub const fn is_good(self) -> bool {
        self.fold() == 0xffff
    }

    #[inline]
    fn add_host_order(self, value: u64) -> Sum {
        let native = if cfg!(target_endian = "little") { value.rotate_left(8) } else { value };
        Sum { total: plus(self.total, native), odd: self.odd }
    }
}

/// The sum of a pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1): the two families' differ
/// in layout, not in their sum. `length` counts the bytes of the transport header and its payload; 0
/// leaves it to a card that cuts segments.
#[inline]
pub fn pseudo_header(src: Addr, dst: Addr, protocol: u8, length: u16) -> Sum {
    // In host order throughout: protocol and length cannot carry out of the low word's top by
    // themselves, and one rotation brings the whole sum into the machine's order.
    let addresses = plus(plus(src.hi, src.lo), plus(dst.hi, dst.lo));
    Sum::ZERO.add_host_order(plus(addresses, protocol as u64 + length as u64))
}

/// A checksum field after a sixteen-bit field under it changed from `old` to `new`.
//= rfc1624#3
//# HC' = ~(C + (-m) + m')    --  [Eqn. 3]
//#     = ~(~HC + ~m + m')
#[inline]
pub const fn update_u16(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = !checksum as u32 + !old as u32 + new as u32;
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

/// A checksum field after a 32-bit field under it, at an even offset, changed from `old` to `new`.
#[inline]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    let low = update_u16(checksum, old as u16, new as u16);
    update_u16(low, (old >> 16) as u16, (new >> 16) as u16)
}

/// One's complement addition of 64-bit words.
#[inline]
const fn plus(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry as u64)
}

/// The one's complement sum of the words of `bytes` in the machine's order, as if a zero followed an
/// odd last byte.
#[inline]
fn sum_words(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut total = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        total = plus_four(total, [0, 1, 2, 3].map(|index| u64::from_ne_bytes(words[index])));
    }
    // What is left is below 32 bytes, so each half is there once or not: no loops.
    let mut tail = rest;
    if let Some((block, after)) = tail.split_first_chunk::<16>() {
        total = plus(total, u64::from_ne_bytes(array_at(block, 0)));
        total = plus(total, u64::from_ne_bytes(array_at(block, 8)));
        tail = after;
    }
    if let Some((word, after)) = tail.split_first_chunk::<8>() {
        total = plus(total, u64::from_ne_bytes(*word));
        tail = after;
    }
    if let Some((word, after)) = tail.split_first_chunk::<4>() {
        total = plus(total, u32::from_ne_bytes(*word) as u64);
        tail = after;
    }
    if let Some((word, after)) = tail.split_first_chunk::<2>() {
        total = plus(total, u16::from_ne_bytes(*word) as u64);
        tail = after;
    }
    if let [last] = tail {
        total = plus(total, u16::from_ne_bytes([*last, 0]) as u64);
    }
    total
}

/// Four words in one chain of carries.
#[inline]
fn plus_four(total: u64, words: [u64; 4]) -> u64 {
    let (total, carry) = total.carrying_add(words[0], false);
    let (total, carry) = total.carrying_add(words[1], carry);
    let (total, carry) = total.carrying_add(words[2], carry);
    let (total, carry) = total.carrying_add(words[3], carry);
    total.wrapping_add(carry as u64)
}

#[cfg(test)]
mod tests {
    //! Whatever the order, the pieces and their parity, the sum is RFC 1071's.

    use super::*;
    use core::net::IpAddr;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The sum as the RFC defines it: sixteen bits at a time.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]) as u32;
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn the_rfc_example_sums_as_printed() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).fold(), 0xddf2);
        assert_eq!(Sum::of(&bytes).checksum(), !0xddf2);
    }

    #[test]
    fn the_rfc_1624_example_updates_as_printed() {
        assert_eq!(update_u16(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn carries_survive_at_every_length() {
        for length in 0..200 {
            let bytes = std::vec![0xff; length];
            assert_eq!(Sum::of(&bytes).fold(), plain(&bytes), "length {length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_sum_as_the_rfc_says(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(Sum::of(&bytes).fold(), plain(&bytes));
        }

        #[test]
        fn pieces_of_any_length_join(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..8),
        ) {
            let whole: Vec<u8> = pieces.concat();
            let sum = pieces.iter().fold(Sum::ZERO, |sum, piece| sum.add_bytes(piece));
            prop_assert_eq!(sum.fold(), plain(&whole));
        }

        #[test]
        fn numbers_sum_like_their_bytes(a in any::<u16>(), b in any::<u32>(), c in any::<u128>()) {
            let mut bytes = a.to_be_bytes().to_vec();
            bytes.extend(b.to_be_bytes());
            bytes.extend(c.to_be_bytes());
            let addr = Addr::v6(c.to_be_bytes());
            let sum = Sum::ZERO.add_u16(a).add_u32(b).add_addr(addr);
            prop_assert_eq!(sum.fold(), plain(&bytes));
        }

        #[test]
        fn both_pseudo_headers_sum_like_their_bytes(
            src in any::<IpAddr>(),
            low in any::<u32>(),
            protocol in 1u8..,
            length in any::<u16>(),
        ) {
            let bytes = match src {
                IpAddr::V4(v4) => {
                    let mut bytes = v4.octets().to_vec();
                    bytes.extend(low.to_be_bytes());
                    bytes.extend([0, protocol]);
                    bytes.extend(length.to_be_bytes());
                    bytes
                }
                IpAddr::V6(v6) => {
                    let mut bytes = v6.octets().to_vec();
                    bytes.extend((low as u128).to_be_bytes());
                    bytes.extend((length as u32).to_be_bytes());
                    bytes.extend([0, 0, 0, protocol]);
                    bytes
                }
            };
            let dst = match src {
                IpAddr::V4(_) => Addr::v4(low),
                IpAddr::V6(_) => Addr::v6((low as u128).to_be_bytes()),
            };
            prop_assert_eq!(pseudo_header(src.into(), dst, protocol, length).fold(), plain(&bytes));
        }

        #[test]
        fn an_updated_checksum_is_the_recomputed_one(
            mut bytes in any::<[u8; 12]>(),
            new in any::<u32>(),
        ) {
            bytes[0] |= 1;
            let old = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            let before = Sum::of(&bytes).checksum();
            bytes[4..8].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update_u32(before, old, new), Sum::of(&bytes).checksum());
        }
    }
}
