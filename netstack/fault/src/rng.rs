//! Seeded randomness: one stream per purpose, so that a draw added in one place shifts no other.

/// A stream of random numbers (xoshiro256**, seeded through splitmix64).
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream that belongs to `purpose` in the world of `seed`.
    pub fn new(seed: u64, purpose: &str) -> Rng {
        let mut mixed = seed;
        for byte in purpose.bytes() {
            mixed = mix(mixed ^ byte as u64);
        }
        let mut state = [0; 4];
        for word in &mut state {
            mixed = mixed.wrapping_add(GOLDEN);
            *word = mix(mixed);
        }
        Rng { state }
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let drawn = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        drawn
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((self.draw() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `first` to `last`, both included.
    pub fn range(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True `ppm` times in a million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < ppm as u64
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.chance(percent * 10_000)
    }

    /// One of `choices`, which are not empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let word = self.draw().to_le_bytes();
            piece.copy_from_slice(&word[..piece.len()]);
        }
    }
}

/// The finaliser of splitmix64: every input bit reaches every output bit.
#[inline]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::Rng;
    use std::vec::Vec;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let mut links = Rng::new(7, "links");
        let mut again = Rng::new(7, "links");
        let mut hosts = Rng::new(7, "hosts");
        let drawn: Vec<u64> = (0..8).map(|_| links.draw()).collect();
        assert!(drawn.iter().all(|&number| number == again.draw()));
        assert!(drawn.iter().any(|&number| number != hosts.draw()));
    }

    #[test]
    fn bounds_hold() {
        let mut rng = Rng::new(1, "bounds");
        assert!((0..1000).all(|_| rng.below(3) < 3));
        assert!((0..1000).all(|_| (5..=6).contains(&rng.range(5, 6))));
        assert!((0..1000).all(|_| !rng.chance(0)) && rng.percent(100));
    }
}
