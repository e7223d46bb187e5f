//! A table with each server as often as its weight asks: `static-rr` walks along it, a map-based hash
//! points into it. HAProxy's own, entry for entry: the same key gives the same server.

use alloc::vec::Vec;

use super::{Question, Share};

#[derive(Debug)]
pub(super) struct Map {
    entries: Vec<u16>,
    scores: Vec<u32>,
    /// All weights are multiples of it.
    divisor: u32,
    next: usize,
}

impl Map {
    pub(super) fn new(shares: &[Share]) -> Map {
        let divisor = shares.iter().map(|share| share.weight).fold(0, greatest_common_divisor);
        let divisor = divisor.max(1);
        let sum = |is_backup: bool| -> u32 {
            let group = shares.iter().filter(|share| share.is_backup == is_backup);
            group.map(|share| share.weight.div_ceil(divisor)).sum()
        };
        let entries = sum(false).max(sum(true)).max(1) as usize;
        Map {
            entries: Vec::with_capacity(entries),
            scores: alloc::vec![0; shares.len()],
            divisor,
            next: 0,
        }
    }

    /// Weights stay as they were configured: only who is used may change.
    pub(super) fn update(&mut self, shares: &[Share], used: &[bool]) {
        let used = || (0..).zip(shares.iter().zip(used)).filter(|(_, (_, used))| **used);
        let weight = |share: &Share| share.weight.div_ceil(self.divisor);
        let total: u32 = used().map(|(_, (share, _))| weight(share)).sum();
        // A weight that was raised beyond what there is room for has to do with that.
        let total = total.min(self.entries.capacity() as u32);
        self.entries.clear();
        self.scores.fill(0);
        for _ in 0..total {
            let mut best = None;
            for (server, (share, _)) in used() {
                let score = &mut self.scores[server as usize];
                *score = score.wrapping_add(weight(share));
                // The first server whose score is greatest in whole turns.
                let turns = score.wrapping_add(total) / total;
                if best.is_none_or(|(_, most)| turns > most) {
                    best = Some((server, turns));
                }
            }
            let Some((server, _)) = best else { return };
            let score = &mut self.scores[server as usize];
            *score = score.wrapping_sub(total);
            self.entries.push(server);
        }
    }

    pub(super) fn stagger(&mut self, places: u16) {
        self.next = places as usize % self.entries.len().max(1);
    }

    pub(super) fn at(&self, key: u32) -> Option<u16> {
        let entries = self.entries.len() as u32;
        self.entries.get(key.checked_rem(entries)? as usize).copied()
    }

    pub(super) fn next<F: Fn(u16) -> bool>(&mut self, question: &Question<'_, F>) -> Option<u16> {
        let mut avoided = None;
        for _ in 0..self.entries.len() {
            self.next = if self.next >= self.entries.len() { 0 } else { self.next };
            let server = self.entries[self.next];
            self.next += 1;
            if (question.has_room)(server) {
                if question.avoid != Some(server) {
                    return Some(server);
                }
                avoided = Some(server);
            }
        }
        avoided
    }
}

fn greatest_common_divisor(this: u32, that: u32) -> u32 {
    if that == 0 { this } else { greatest_common_divisor(that, this % that) }
}
