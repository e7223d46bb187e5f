//! The keyed hash that places a connection in the tables.
//!
//! Two multiplications of 64 by 64 bits, each product folded to 64 bits by xor of its halves. It is
//! computed for every segment received, so SipHash (some 150 instructions) would be a tenth of what
//! a connection may cost. What is given up by that:
//!
//! - The hash is not a message authentication code: whoever saw its outputs could learn the key. So
//!   **its outputs never leave the machine**: they are a position and a tag in a table, never a
//!   sequence number, a cookie, a port or a flow label ([`crate::secret`] makes those).
//! - Without outputs an attacker is left with timing. For any two tuples he can name, the chance
//!   that they share even the low 32 bits is about 2⁻³² over the choice of key, so he cannot
//!   prepare a set that collides; to *find* one he would have to tell single probes of a few
//!   nanoseconds apart through a network. If he did, the table's probe limit turns the flood into
//!   refused SYNs, not into time.
//! - Every core and every boot may have its own key; nothing depends on the value.
//!
//! ```text
//!    remote.hi ^ k0 ──┐
//!                     × ─ fold ─ ^ ─ × ─ fold ─▶ 64 bits: low 32 are the table's position and tag
//!    remote.lo ^ k1 ──┘          │   │
//!    local, ports ^ k2 ──────────┘   k3
//! ```

use penstock_wire::Addr;

/// A local address: its position in the interface address list, unique over all interfaces, so it
/// names the interface too. Four bytes wide, so that it fills a [`Tuple`]'s last word with the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AddrId(pub(crate) u32);

/// What names a connection on this machine: three words without a gap, so that comparing and hashing
/// take a load for each.
#[derive(Clone, Copy, Debug, Eq)]
#[repr(C)]
pub(crate) struct Tuple {
    /// The peer's address.
    pub(crate) remote: Addr,
    /// The peer's port.
    pub(crate) remote_port: u16,
    /// Our port.
    pub(crate) local_port: u16,
    /// Our address.
    pub(crate) local: AddrId,
}

impl Tuple {
    /// That of no connection.
    pub(crate) const NONE: Tuple =
        Tuple { remote: Addr::UNSPECIFIED, remote_port: 0, local_port: 0, local: AddrId(0) };

    /// The tuple as three words; distinct tuples give distinct words.
    #[inline]
    pub(crate) fn words(&self) -> [u64; 3] {
        let rest =
            (self.local.0 as u64) << 32 | (self.local_port as u64) << 16 | self.remote_port as u64;
        [self.remote.hi, self.remote.lo, rest]
    }
}

impl PartialEq for Tuple {
    #[inline]
    fn eq(&self, other: &Tuple) -> bool {
        let (one, other) = (self.words(), other.words());
        // Word by word: as arrays they would be compared through memory.
        (one[0] ^ other[0]) | (one[1] ^ other[1]) | (one[2] ^ other[2]) == 0
    }
}

const _: () = assert!(size_of::<Tuple>() == 24);

/// The hash with its key.
#[derive(Clone)]
pub(crate) struct TupleHash {
    keys: [u64; 4],
}

impl TupleHash {
    /// The hash under `secret`. Any value serves, all zeros included: keys are whitened first, so
    /// that none is degenerate by accident. Secrecy is the caller's.
    pub(crate) fn new(secret: [u64; 4]) -> TupleHash {
        let mut keys = secret;
        for (key, odd) in keys.iter_mut().zip(WHITENERS) {
            *key = whiten(*key ^ odd);
        }
        // An even factor would lose the top bit of the low product.
        keys[3] |= 1;
        TupleHash { keys }
    }

    /// The hash of a tuple.
    #[inline(always)]
    pub(crate) fn hash(&self, tuple: &Tuple) -> u64 {
        let [hi, lo, rest] = tuple.words();
        let [k0, k1, k2, k3] = self.keys;
        fold(fold(hi ^ k0, lo ^ k1) ^ rest ^ k2, k3)
    }
}

/// The two halves of the 128-bit product, xored.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// The finaliser of SplitMix64: a bijection in which every input bit reaches every output bit.
fn whiten(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Fractional digits of pi, so that equal secrets become unequal keys.
const WHITENERS: [u64; 4] =
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];

#[cfg(test)]
mod tests {
    use super::{AddrId, Tuple, TupleHash};
    use alloc::vec;
    use alloc::vec::Vec;
    use penstock_wire::Addr;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn tuple(remote: Addr, remote_port: u16, local_port: u16) -> Tuple {
        Tuple { remote, remote_port, local_port, local: AddrId(0) }
    }

    /// The tuples servers and proxies really see, a million each.
    fn populations() -> Vec<(&'static str, Vec<Tuple>)> {
        const COUNT: u32 = 1 << 18;
        let near = |i: u32| tuple(Addr::v4(0x0a00_0000 + (i >> 14)), (i & 0x3fff) as u16, 80);
        let far = |i: u32| tuple(Addr::v4(i.wrapping_mul(0x0100_0001)), 40_000, 80);
        let proxy =
            |i: u32| tuple(Addr::v4(0x0a00_0001), 8000 + (i >> 15) as u16, i as u16 | 0x8000);
        let six = |i: u32| {
            let remote = Addr { hi: 0x2001_0db8_0000_0000 | (i >> 9) as u64, lo: (i & 511) as u64 };
            tuple(remote, 50_000, 443)
        };
        let all = |make: &dyn Fn(u32) -> Tuple| (0..COUNT).map(make).collect::<Vec<_>>();
        vec![("near", all(&near)), ("far", all(&far)), ("proxy", all(&proxy)), ("six", all(&six))]
    }

    /// Realistic and regular populations fill a table as evenly as chance would, whatever the key.
    #[test]
    fn regular_tuples_spread_like_random_ones() {
        for secret in [[0; 4], [1, 2, 3, 4], [u64::MAX; 4]] {
            let hash = TupleHash::new(secret);
            for (name, tuples) in populations() {
                let buckets = tuples.len();
                let mut counts = vec![0_u32; buckets];
                for tuple in &tuples {
                    counts[hash.hash(tuple) as usize & (buckets - 1)] += 1;
                }
                let empty = counts.iter().filter(|&&count| count == 0).count() as f64;
                let fullest = counts.iter().max().copied().unwrap_or(0);
                let share = empty / buckets as f64;
                // Chance leaves 1/e = 0.368 empty, and rarely puts more than nine in one.
                assert!((0.33..0.40).contains(&share), "{name}: {share} of the buckets empty");
                assert!(fullest <= 12, "{name}: {fullest} tuples in one bucket");
            }
        }
    }

    /// Sixty-four bits stand for the tuple in TIME-WAIT: no two of a million share them.
    #[test]
    fn the_whole_hash_tells_tuples_apart() {
        let hash = TupleHash::new([5, 6, 7, 8]);
        let mut seen = HashSet::new();
        let mut count = 0;
        for tuples in populations() {
            for tuple in tuples.1 {
                seen.insert(hash.hash(&tuple));
                count += 1;
            }
        }
        assert_eq!(seen.len(), count);
    }

    proptest! {
        /// Every field, and the key, counts.
        #[test]
        fn a_change_of_one_bit_changes_the_hash(
            words in any::<([u64; 2], u16, u16, u16)>(), secret in any::<[u64; 4]>(), bit in 0..176_u32,
        ) {
            let ([hi, lo], remote_port, local_port, local) = words;
            let one = Tuple { remote: Addr { hi, lo }, remote_port, local_port, local: AddrId(local as u32) };
            let mut other = one;
            match bit {
                0..64 => other.remote.hi ^= 1 << bit,
                64..128 => other.remote.lo ^= 1 << (bit - 64),
                128..144 => other.remote_port ^= 1 << (bit - 128),
                144..160 => other.local_port ^= 1 << (bit - 144),
                _ => other.local.0 ^= 1 << (bit - 160),
            }
            let hash = TupleHash::new(secret);
            prop_assert_ne!(hash.hash(&one), hash.hash(&other));
            prop_assert_ne!(one.words(), other.words());
        }

        /// Two keys give unrelated tables.
        #[test]
        fn the_key_decides(secret in any::<[u64; 4]>(), word in 0..4_usize, bit in 0..63_u32) {
            let mut near = secret;
            near[word] ^= 1 << bit;
            let tuple = tuple(Addr::v4(0x0a00_0001), 1234, 80);
            prop_assert_ne!(TupleHash::new(secret).hash(&tuple), TupleHash::new(near).hash(&tuple));
        }
    }
}
