//! Numbers that nobody can guess, from a seed that nobody knows: SipHash over a count.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: [u8; 16],
    next: u64,
}

impl Random {
    pub(crate) fn new(seed: &[u8; 32]) -> Random {
        // Both halves count; the stack derives its own keys from the same seed in another way.
        let mut key = [0; 16];
        for (at, byte) in seed.iter().enumerate() {
            key[at % 16] ^= byte.rotate_left(at as u32 / 16 * 3) ^ 0x5c;
        }
        Random { key, next: 0 }
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.next += 1;
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(self.next);
        hasher.finish()
    }

    /// Below `bound`, near enough to evenly.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }
}
