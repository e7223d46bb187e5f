//! Ports for cards that have only receive-side scaling: solved for, not searched for.
//!
//! ```text
//!   queue = RETA[ toeplitz(src, dst, src port, dst port) & 127 ]
//!
//!   toeplitz(tuple) = toeplitz(tuple with dst port 0) ^ c₁₅·p₁₅ ^ … ^ c₀·p₀      p: bits of the port
//!                     └ once per connection                 └ 16 words of 7 bits, from the key
//! ```
//! The hash is linear over GF(2). Seven of the port's bits whose words are independent (the pivots)
//! reach every entry of the table, whatever the other bits are; so each setting of the other bits,
//! and each entry of the table that holds our queue, gives exactly one port. A port costs one table
//! look-up and a few exclusive ors, and all of them can be counted off one by one.

use penstock_queue::{RETA_ENTRIES, RSS_KEY_BYTES, Rss};
use penstock_wire::{Addr, toeplitz};

use super::{Cores, PortRange, Wanted};

/// Finds local ports for which the card brings the answers to one queue.
#[derive(Clone, Debug)]
pub(super) struct Solver {
    rss: Rss,
    /// Entries of the redirection table that hold our queue; the first `targets_count` count.
    targets: [u8; RETA_ENTRIES],
    targets_count: u8,
    v4: Family,
    v6: Family,
}

/// The two ways to look for a port, for one address family.
#[derive(Clone, Debug)]
struct Family {
    /// The low bits name the core.
    agreeing: Plan,
    /// All bits of the block are free.
    any: Plan,
}

/// A system of equations over some bits of the port, solved.
#[derive(Clone, Debug)]
struct Plan {
    /// The bits that are the same in every port: the block's, and perhaps the core's.
    fixed: u16,
    /// The bits that may be anything; the first `free_count` count.
    free: [u16; 16],
    free_count: u32,
    /// What each bit of the port adds to the low bits of the hash.
    words: [u8; 16],
    /// The pivot bits that add a given value to the hash.
    pivots: [u16; RETA_ENTRIES],
    /// Which values there are such bits for: all, unless the key or the range is poor.
    solvable: u128,
}

impl Solver {
    /// The solver for what comes to `core` through the queue of the same number of a card programmed
    /// with `rss`.
    pub(super) fn new(rss: &Rss, cores: Cores, core: u16, range: PortRange) -> Solver {
        let mut targets = [0; RETA_ENTRIES];
        let mut targets_count = 0;
        for (entry, _) in rss.reta.iter().enumerate().filter(|&(_, &to)| to as u16 == core) {
            targets[targets_count as usize] = entry as u8;
            targets_count += 1;
        }
        let family = |none: Addr| {
            let words = core::array::from_fn(|bit| {
                low_bits(toeplitz::tcp_tuple(&rss.key, none, none, 0, 1 << bit))
            });
            let (base, free) = range.block();
            let low = cores.low_bits();
            Family {
                agreeing: Plan::new(words, base & !low | core & low, free & !low),
                any: Plan::new(words, base, free),
            }
        };
        Solver {
            rss: rss.clone(),
            targets,
            targets_count,
            v4: family(Addr::v4(0)),
            v6: family(Addr::UNSPECIFIED),
        }
    }

    /// The queue that the card picks for segments to local port `port`.
    pub(super) fn queue_of(&self, wanted: &Wanted, port: u16) -> u8 {
        let &Wanted { remote, remote_port, own, .. } = wanted;
        let hash = toeplitz::tcp_tuple(&self.rss.key, remote, own, remote_port, port);
        self.rss.reta[low_bits(hash) as usize]
    }

    /// The hash with our port still open: once per connection.
    pub(super) fn base(&self, wanted: &Wanted) -> u8 {
        let &Wanted { remote, remote_port, own, .. } = wanted;
        low_bits(toeplitz::tcp_tuple(&self.rss.key, remote, own, remote_port, 0))
    }

    /// How many candidates there are.
    pub(super) fn candidates(&self, wanted: &Wanted, agree: bool) -> u32 {
        (self.targets_count as u32) << self.plan(wanted, agree).free_count
    }

    /// Candidate `nth`: distinct for each number below [`candidates`](Self::candidates). `None`
    /// where the equations have no solution.
    pub(super) fn candidate(
        &self,
        wanted: &Wanted,
        base: u8,
        agree: bool,
        nth: u32,
    ) -> Option<u16> {
        let plan = self.plan(wanted, agree);
        let target = self.targets[(nth >> plan.free_count) as usize % RETA_ENTRIES];
        plan.port(base ^ target, nth)
    }

    fn plan(&self, wanted: &Wanted, agree: bool) -> &Plan {
        let family = if wanted.remote.is_v4() { &self.v4 } else { &self.v6 };
        if agree { &family.agreeing } else { &family.any }
    }
}

impl Plan {
    /// Solves for the bits of `variable`; those of `fixed` are set and all others clear.
    fn new(words: [u8; 16], fixed: u16, variable: u16) -> Plan {
        let mut plan = Plan {
            fixed,
            free: [0; 16],
            free_count: 0,
            words,
            pivots: [0; RETA_ENTRIES],
            solvable: 0,
        };
        // Gaussian elimination: for each bit of the hash the combination of pivots that leads with
        // it. High port bits become pivots first, so that neighbouring candidates differ low.
        let mut basis = [(0_u8, 0_u16); HASH_BITS];
        for bit in (0..16).rev().filter(|bit| variable >> bit & 1 == 1) {
            let (rest, pivots) = reduce(&basis, words[bit], 1 << bit);
            match leading(rest) {
                Some(lead) => basis[lead] = (rest, pivots),
                None => {
                    plan.free[plan.free_count as usize] = 1 << bit;
                    plan.free_count += 1;
                }
            }
        }
        for sum in 0..RETA_ENTRIES {
            let (rest, pivots) = reduce(&basis, sum as u8, 0);
            if rest == 0 {
                plan.pivots[sum] = pivots;
                plan.solvable |= 1 << sum;
            }
        }
        plan
    }

    /// The port whose bits add `sum` to the hash, with the free bits set as the low bits of `nth`.
    fn port(&self, sum: u8, nth: u32) -> Option<u16> {
        let mut port = self.fixed;
        for (at, bit) in self.free.iter().take(self.free_count as usize).enumerate() {
            if nth >> at & 1 == 1 {
                port |= bit;
            }
        }
        let sum = (sum ^ self.sum(port)) as usize % RETA_ENTRIES;
        (self.solvable >> sum & 1 == 1).then(|| port | self.pivots[sum])
    }

    /// What the bits of `port` add to the hash.
    fn sum(&self, port: u16) -> u8 {
        let words = self.words.iter().enumerate();
        words.fold(0, |sum, (bit, word)| if port >> bit & 1 == 1 { sum ^ word } else { sum })
    }
}

/// Takes from `word` what the basis can make; what is left, and the port bits taken.
fn reduce(basis: &[(u8, u16); HASH_BITS], mut word: u8, mut pivots: u16) -> (u8, u16) {
    for lead in (0..HASH_BITS).rev() {
        let (vector, bits) = basis[lead];
        if vector != 0 && word >> lead & 1 == 1 {
            word ^= vector;
            pivots ^= bits;
        }
    }
    (word, pivots)
}

/// The highest bit that is set.
fn leading(word: u8) -> Option<usize> {
    word.checked_ilog2().map(|lead| lead as usize)
}

fn low_bits(hash: u32) -> u8 {
    hash as u8 & (RETA_ENTRIES as u8 - 1)
}

/// Bits of the hash that index the redirection table.
const HASH_BITS: usize = 7;

const _: () = assert!(1 << HASH_BITS == RETA_ENTRIES && RETA_ENTRIES <= u128::BITS as usize);
const _: () = assert!(RSS_KEY_BYTES == toeplitz::KEY_BYTES);
