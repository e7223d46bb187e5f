//! SipHash-2-4 taken apart: the state after a message's first words can be kept, so that who hashes
//! many messages with one beginning pays for it once.
//!
//! ```text
//!   key ─▶ begin ─▶ absorb(word) ─▶ absorb(word) ─▶ … ─▶ finish(tail, bytes) ─▶ 64 bits
//!                                └─ kept, copied, gone on with
//! ```
//! The crate `siphasher` keeps a state too, behind a buffer for bytes that make up no word yet; asked
//! for that buffer each time, a SYN would cost sixty instructions more. Tests hold every output
//! against it. Read: Aumasson, Bernstein, SipHash (2012), section 2.

/// The state between two words of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sip {
    v: [u64; 4],
}

impl Sip {
    /// The state before the first word, under a key.
    pub(crate) const fn begin(key: (u64, u64)) -> Sip {
        let (k0, k1) = key;
        Sip {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    /// The state behind eight more bytes, the first in the lowest place.
    #[inline(always)]
    pub(crate) const fn absorb(self, word: u64) -> Sip {
        let mut sip = self;
        sip.v[3] ^= word;
        sip = sip.round().round();
        sip.v[0] ^= word;
        sip
    }

    /// The hash of a message of `bytes` in all, of which `tail` holds those behind the last whole
    /// word: seven at most.
    #[inline(always)]
    pub(crate) const fn finish(self, tail: u64, bytes: u8) -> u64 {
        let mut sip = self.absorb((bytes as u64) << 56 | tail);
        sip.v[2] ^= 0xff;
        let [a, b, c, d] = sip.round().round().round().round().v;
        a ^ b ^ c ^ d
    }

    #[inline(always)]
    const fn round(self) -> Sip {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        d = d.rotate_left(21) ^ a;
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        Sip { v: [a, b, c, d] }
    }
}

#[cfg(test)]
mod tests {
    use super::Sip;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher24;

    proptest! {
        /// The same as the crate says, for messages of every length.
        #[test]
        fn the_crate_agrees(
            key in any::<(u64, u64)>(), message in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let (words, tail) = message.as_chunks::<8>();
            let mut sip = Sip::begin(key);
            for word in words {
                sip = sip.absorb(u64::from_le_bytes(*word));
            }
            let mut last: Vec<u8> = tail.to_vec();
            last.resize(8, 0);
            let last = u64::from_le_bytes(last.try_into().expect("eight bytes"));
            let theirs = SipHasher24::new_with_keys(key.0, key.1).hash(&message);
            prop_assert_eq!(sip.finish(last, message.len() as u8), theirs);
        }
    }
}
