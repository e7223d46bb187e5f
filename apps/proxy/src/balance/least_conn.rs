//! `leastconn`: the fewest sessions by weight; in turn among equals.
//!
//! Sessions are counted over all cores: our own as they come and go, those of others as they were
//! last told of.

use alloc::vec::Vec;

use super::heap::Heap;
use super::{Question, Share};

#[derive(Debug)]
pub(super) struct LeastConn {
    order: Heap,
    /// Sessions and those that wait, by server.
    inflight: Vec<u32>,
    weights: Vec<u32>,
    passed: Vec<(u16, u32)>,
}

/// The greatest effective weight.
const WEIGHT_MAX: u64 = 4096;

impl LeastConn {
    pub(super) fn new(servers: usize) -> LeastConn {
        LeastConn {
            order: Heap::new(servers),
            inflight: alloc::vec![0; servers],
            weights: alloc::vec![0; servers],
            passed: Vec::with_capacity(servers),
        }
    }

    pub(super) fn update(&mut self, shares: &[Share], used: &[bool]) {
        for (server, (share, &is_used)) in (0..).zip(shares.iter().zip(used)) {
            if is_used {
                self.weights[server as usize] = share.effective();
                self.place(server);
            } else {
                self.order.remove(server);
            }
        }
    }

    pub(super) fn stagger(&mut self, places: u16) {
        for _ in 0..places {
            let Some((server, _)) = self.order.take_first() else { return };
            self.order.put(server, self.order.key(server));
        }
    }

    pub(super) fn set_load(&mut self, server: u16, inflight: u32) {
        self.inflight[server as usize] = inflight;
        if self.order.has(server) {
            self.place(server);
        }
    }

    pub(super) fn next<F: Fn(u16) -> bool>(&mut self, question: &Question<'_, F>) -> Option<u16> {
        let first = self.order.first()?;
        if question.avoid != Some(first) && (question.has_room)(first) {
            return Some(first);
        }
        let mut avoided = None;
        let mut found = None;
        for _ in 0..self.order.len() {
            let Some((server, stamp)) = self.order.take_first() else { break };
            self.passed.push((server, stamp));
            if (question.has_room)(server) {
                if question.avoid != Some(server) {
                    found = Some(server);
                    break;
                }
                avoided = avoided.or(Some(server));
            }
        }
        while let Some((server, stamp)) = self.passed.pop() {
            self.order.put_again(server, self.order.key(server), stamp);
        }
        found.or(avoided)
    }

    /// HAProxy's key: an idle server goes first whatever its weight.
    fn place(&mut self, server: u16) {
        let inflight = self.inflight[server as usize] as u64;
        let weight = self.weights[server as usize].max(1) as u64;
        let key = if inflight == 0 { 0 } else { (inflight + 1) * WEIGHT_MAX / weight };
        if !self.order.has(server) || self.order.key(server) != key {
            self.order.put(server, key);
        }
    }
}
