//! Random bytes: the keys of everything that must not be guessed.
//!
//! Two sources are mixed, so that the result is as good as the better one: the processor's generator
//! (RDSEED, else RDRAND), and the jitter of the time stamp counter around work whose duration depends
//! on caches, buses and whoever else uses the machine. SipHash-2-4 compresses the samples under a key
//! made of the first of them, and numbers the outputs.
#![allow(unsafe_code)]

use core::arch::asm;
use core::hash::Hasher;
use siphasher::sip128::{Hasher128, SipHasher24};
use spin::Mutex;

use crate::{clock, cpuid};

static POOL: Mutex<Pool> = Mutex::new(Pool { key: [0; 16], next: 0 });

struct Pool {
    key: [u8; 16],
    next: u64,
}

/// Gathers; says where from.
pub(crate) fn open() -> &'static str {
    let mut hasher = SipHasher24::new_with_key(&first_key());
    let source = match (cpuid::has_rdseed(), cpuid::has_rdrand()) {
        (true, _) => "RDSEED and jitter",
        (false, true) => "RDRAND and jitter",
        (false, false) => "jitter alone",
    };
    for _ in 0..WORDS {
        hasher.write_u64(processor_word().unwrap_or(0));
    }
    for _ in 0..JITTER_SAMPLES {
        hasher.write_u64(jitter());
    }
    hasher.write_u64(clock::unix_seconds().unwrap_or(0));
    let mut pool = POOL.lock();
    pool.key = hasher.finish128().as_bytes();
    source
}

/// Fills the bytes.
pub fn fill(bytes: &mut [u8]) {
    let mut pool = POOL.lock();
    for part in bytes.chunks_mut(16) {
        let mut hasher = SipHasher24::new_with_key(&pool.key);
        hasher.write_u64(pool.next);
        hasher.write_u64(cpuid::tsc());
        hasher.write_u64(processor_word().unwrap_or(0));
        pool.next += 1;
        part.copy_from_slice(&hasher.finish128().as_bytes()[..part.len()]);
    }
}

fn first_key() -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&processor_word().unwrap_or_else(cpuid::tsc).to_le_bytes());
    key[8..].copy_from_slice(&processor_word().unwrap_or_else(jitter).to_le_bytes());
    key
}

/// A word of the processor's generator; nothing when there is none, or it stays empty.
fn processor_word() -> Option<u64> {
    let (seed, random) = (cpuid::has_rdseed(), cpuid::has_rdrand());
    for _ in 0..RETRIES {
        let word: u64;
        let good: u8;
        if seed {
            // SAFETY: the processor has the instruction.
            unsafe { asm!("rdseed {}", "setc {}", out(reg) word, out(reg_byte) good) };
        } else if random {
            // SAFETY: as above.
            unsafe { asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) good) };
        } else {
            return None;
        }
        // All zeros and all ones are how generators fail.
        if good != 0 && word != 0 && word != u64::MAX {
            return Some(word);
        }
        core::hint::spin_loop();
    }
    None
}

/// The counter around something that takes a little longer or shorter each time.
fn jitter() -> u64 {
    let begin = cpuid::tsc();
    // Serialises, and leaves a virtual machine, whose host then does what it does.
    let leaf = cpuid::leaf(0);
    let mut sum = u64::from(leaf.ebx);
    for at in (0..4096usize).step_by(64) {
        sum = sum.rotate_left(5) ^ core::hint::black_box(at as u64).wrapping_mul(begin | 1);
    }
    cpuid::tsc().wrapping_sub(begin).rotate_left(32) ^ cpuid::tsc() ^ core::hint::black_box(sum)
}

const WORDS: usize = 16;
const JITTER_SAMPLES: usize = 1024;
const RETRIES: usize = 64;
