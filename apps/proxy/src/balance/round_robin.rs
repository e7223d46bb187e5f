//! `roundrobin`: by weight, in turn.
//!
//! A server is due again one period after it was due, and its period is the inverse of its weight;
//! who is due first is next. So the sequence is as smooth as weights allow, and a weight may change at
//! any time. In any stretch of it each is one session early or late at most by its own clock; who has
//! the part `p` of the weight of `n` servers takes up what the others are, so that it is given its share
//! to within `1 + p (n - 2)` sessions.

use alloc::vec::Vec;

use super::heap::Heap;
use super::{Question, Share};

#[derive(Debug)]
pub(super) struct RoundRobin {
    /// By when each is due.
    due: Heap,
    periods: Vec<u64>,
    /// When the last one was.
    now: u64,
    /// Those that were passed over, while one is looked for.
    passed: Vec<(u16, u32)>,
}

/// The period of a weight of 1.
const LAP: u64 = 1 << 40;

impl RoundRobin {
    pub(super) fn new(servers: usize) -> RoundRobin {
        RoundRobin {
            due: Heap::new(servers),
            periods: alloc::vec![0; servers],
            now: 0,
            passed: Vec::with_capacity(servers),
        }
    }

    pub(super) fn update(&mut self, shares: &[Share], used: &[bool]) {
        for (server, (share, &is_used)) in (0..).zip(shares.iter().zip(used)) {
            if !is_used {
                self.due.remove(server);
                continue;
            }
            let period = LAP / share.effective() as u64;
            let before = core::mem::replace(&mut self.periods[server as usize], period);
            if !self.due.has(server) {
                self.due.put(server, self.now.wrapping_add(period));
            } else if before != period {
                // What is left of its wait shrinks or grows with the period.
                let left = self.due.key(server).wrapping_sub(self.now);
                let left = (left as u128 * period as u128 / before as u128) as u64;
                self.due.put(server, self.now.wrapping_add(left));
            }
        }
    }

    pub(super) fn stagger(&mut self, places: u16) {
        for _ in 0..places {
            let Some(server) = self.due.first() else { return };
            self.take(server);
        }
    }

    pub(super) fn next<F: Fn(u16) -> bool>(&mut self, question: &Question<'_, F>) -> Option<u16> {
        let first = self.due.first()?;
        if question.avoid != Some(first) && (question.has_room)(first) {
            self.take(first);
            return Some(first);
        }
        self.look_further(question)
    }

    /// Some cannot be taken: they keep their place, and lose what they could not use.
    fn look_further<F: Fn(u16) -> bool>(&mut self, question: &Question<'_, F>) -> Option<u16> {
        let mut avoided = None;
        let mut found = None;
        while let Some((server, stamp)) = self.due.take_first() {
            self.passed.push((server, stamp));
            if (question.has_room)(server) {
                if question.avoid != Some(server) {
                    found = Some(server);
                    break;
                }
                avoided = Some(server);
            }
        }
        let found = found.or(avoided);
        if let Some(found) = found {
            self.now = self.due.key(found);
        }
        while let Some((server, stamp)) = self.passed.pop() {
            let key = self.due.key(server);
            let is_late = (key.wrapping_sub(self.now) as i64) < 0;
            self.due.put_again(server, if is_late { self.now } else { key }, stamp);
        }
        self.take(found?);
        found
    }

    fn take(&mut self, server: u16) {
        self.now = self.due.key(server);
        self.due.put(server, self.now.wrapping_add(self.periods[server as usize]));
    }
}
