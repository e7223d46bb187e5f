//! A ring of hashes on which each server has places, sixteen for each of its weight: a consistent hash
//! takes the nearest, `random` any. The places are HAProxy's: the same key gives the same server.

use alloc::vec::Vec;

use super::{Question, Share};
use crate::hash::mix;

#[derive(Debug)]
pub(super) struct Ring {
    /// Where, and whose, in order.
    places: Vec<(u32, u16)>,
    weights: Vec<u32>,
    total: u32,
    /// The place behind the one that [`next`](Ring::next) gave last.
    next: usize,
}

/// Places of one server: more than any weight gives.
const RANGE: u32 = 256 * 16;

impl Ring {
    pub(super) fn new(shares: &[Share]) -> Ring {
        let all = |share: &Share| share.weight.max(1) * 16;
        Ring {
            places: Vec::with_capacity(shares.iter().map(all).sum::<u32>() as usize),
            weights: alloc::vec![0; shares.len()],
            total: 0,
            next: 0,
        }
    }

    pub(super) fn update(&mut self, shares: &[Share], used: &[bool]) {
        self.places.clear();
        self.total = 0;
        for (server, (share, &is_used)) in (0..).zip(shares.iter().zip(used)) {
            let weight = if is_used { share.effective() } else { 0 };
            self.weights[server as usize] = weight;
            self.total += weight;
            for place in 0..weight {
                // A weight that was raised beyond what there is room for has to do with that.
                if self.places.len() < self.places.capacity() {
                    let key = share.id.wrapping_mul(RANGE).wrapping_add(place);
                    self.places.push((mix(key), server));
                }
            }
        }
        self.places.sort_unstable();
    }

    /// The server nearest to `key`; further on if it is to be avoided, or has more than
    /// `balance_percent` of its fair share of the sessions (0: no matter how many).
    pub(super) fn nearest(
        &self,
        key: u32,
        avoid: Option<u16>,
        loads: &[u32],
        balance_percent: u32,
    ) -> Option<u16> {
        let count = self.places.len();
        let behind = self.places.partition_point(|&(place, _)| place < key);
        let after = if behind == count { 0 } else { behind };
        let before = if after == 0 { count.checked_sub(1)? } else { after - 1 };
        let to_before = key.wrapping_sub(self.places[before].0);
        let to_after = self.places[after].0.wrapping_sub(key);
        let mut at = if to_before <= to_after { before } else { after };
        let slots = self.slots(loads, balance_percent);
        for _ in 0..count {
            let server = self.places[at].1;
            if avoid != Some(server)
                && slots.is_none_or(|slots| self.has_slot(server, loads, slots))
            {
                return Some(server);
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        Some(self.places[at].1)
    }

    pub(super) fn stagger(&mut self, places: u16) {
        self.next = places as usize % self.places.len().max(1);
    }

    /// The server of the next place that has room.
    pub(super) fn next<F: Fn(u16) -> bool>(&mut self, question: &Question<'_, F>) -> Option<u16> {
        let mut avoided = None;
        for _ in 0..self.places.len() {
            self.next = if self.next >= self.places.len() { 0 } else { self.next };
            let server = self.places[self.next].1;
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

    /// The least loaded of `draws` drawn by weight; none if that one is full.
    pub(super) fn draw<F: Fn(u16) -> bool>(
        &self,
        draws: u32,
        question: &Question<'_, F>,
    ) -> Option<u16> {
        let mut best: Option<u16> = None;
        let mut random = question.random;
        for _ in 0..draws.max(1) {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let drawn = self.nearest((random >> 32) as u32, question.avoid, question.loads, 0)?;
            let load = |server: u16| question.loads[server as usize] as u64;
            let weight = |server: u16| self.weights[server as usize] as u64;
            let is_worse = |best| load(drawn) * weight(best) > load(best) * weight(drawn);
            if !best.is_some_and(is_worse) {
                best = Some(drawn);
            }
        }
        best.filter(|&server| (question.has_room)(server))
    }

    /// Slots over all servers when none may have more than so much of its share.
    fn slots(&self, loads: &[u32], balance_percent: u32) -> Option<u64> {
        let served: u64 = loads.iter().map(|&load| load as u64).sum();
        (balance_percent > 0).then(|| ((served + 1) * balance_percent as u64).div_ceil(100))
    }

    fn has_slot(&self, server: u16, loads: &[u32], slots: u64) -> bool {
        let share = slots * self.weights[server as usize] as u64;
        let share = share.div_ceil(self.total.max(1) as u64).max(1);
        (loads[server as usize] as u64) < share
    }
}

#[cfg(test)]
mod tests {
    //! A key goes to the place nearest to it on the ring, on whichever side that is.

    use super::*;

    #[test]
    fn a_key_goes_to_the_nearest_place() {
        let share = Share { id: 0, weight: 2, warmth: 16, is_up: true, is_backup: false };
        let shares = [1, 2, 3].map(|id| Share { id, ..share });
        let mut ring = Ring::new(&shares);
        ring.update(&shares, &[true; 3]);
        let distance = |a: u32, b: u32| a.wrapping_sub(b).min(b.wrapping_sub(a));
        for key in (0..500).map(mix).chain([0, u32::MAX]) {
            let nearest = ring.places.iter().min_by_key(|(place, _)| distance(*place, key));
            let found = ring.nearest(key, None, &[0; 3], 0);
            assert_eq!(found, nearest.map(|(_, server)| *server), "{key}");
        }
    }
}
