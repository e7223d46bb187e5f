//! A seeded stand-in for the fuzzers: random bytes, and valid frames with a few bytes changed, break
//! no parser and no round trip.

use super::wire;
use crate::samples;
use std::vec::Vec;

/// SplitMix64: any seed, no state to set up.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[test]
fn random_bytes_break_nothing() {
    let mut random = Random(1);
    for _ in 0..20_000 {
        let length = random.below(160);
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        wire(&bytes);
    }
}

#[test]
fn damaged_frames_break_nothing() {
    let mut random = Random(2);
    let frames = samples::frames();
    for _ in 0..2_000 {
        for frame in &frames {
            let mut frame = frame.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(frame.len());
                frame[at] = match random.below(4) {
                    0 => 0,
                    1 => 0xff,
                    2 => frame[at] ^ 1 << random.below(8),
                    _ => random.next() as u8,
                };
            }
            frame.truncate(frame.len() - random.below(4).min(frame.len()));
            wire(&frame);
        }
    }
}

#[test]
fn valid_frames_cut_at_every_length_break_nothing() {
    for frame in samples::frames() {
        for length in 0..=frame.len() {
            wire(&frame[..length]);
        }
    }
}

#[test]
fn more_bytes_than_any_packet_holds_break_nothing() {
    for fill in [0x00, 0x45, 0x50, 0x60, 0xff] {
        wire(&std::vec![fill; 70_000]);
    }
}
