//! Servers in the order of a key; among equals, in the order in which they were put.
//!
//! A binary heap that knows where each server is, so that one whose key has changed moves in the
//! logarithm of their number. Keys and stamps are on rings: they are compared by their difference.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

#[derive(Debug)]
pub(super) struct Heap {
    /// By server.
    keys: Box<[u64]>,
    stamps: Box<[u32]>,
    /// Where a server is in `order`, or [`ABSENT`].
    places: Box<[u16]>,
    order: Vec<u16>,
    stamp: u32,
}

const ABSENT: u16 = u16::MAX;

impl Heap {
    pub(super) fn new(servers: usize) -> Heap {
        Heap {
            keys: vec![0; servers].into(),
            stamps: vec![0; servers].into(),
            places: vec![ABSENT; servers].into(),
            order: Vec::with_capacity(servers),
            stamp: 0,
        }
    }

    pub(super) fn first(&self) -> Option<u16> {
        self.order.first().copied()
    }

    pub(super) fn has(&self, server: u16) -> bool {
        self.places[server as usize] != ABSENT
    }

    pub(super) fn key(&self, server: u16) -> u64 {
        self.keys[server as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Puts `server` behind those whose key is no greater.
    pub(super) fn put(&mut self, server: u16, key: u64) {
        self.stamp = self.stamp.wrapping_add(1);
        self.put_again(server, key, self.stamp);
    }

    /// Takes the first out, with its stamp.
    pub(super) fn take_first(&mut self) -> Option<(u16, u32)> {
        let server = self.first()?;
        self.remove(server);
        Some((server, self.stamps[server as usize]))
    }

    /// Puts `server` where it was among its equals.
    pub(super) fn put_again(&mut self, server: u16, key: u64, stamp: u32) {
        let at = server as usize;
        (self.keys[at], self.stamps[at]) = (key, stamp);
        if self.places[at] == ABSENT {
            self.places[at] = self.order.len() as u16;
            self.order.push(server);
        }
        self.settle(self.places[at] as usize);
    }

    pub(super) fn remove(&mut self, server: u16) {
        let place = self.places[server as usize];
        if place == ABSENT {
            return;
        }
        self.places[server as usize] = ABSENT;
        self.order.swap_remove(place as usize);
        if let Some(&moved) = self.order.get(place as usize) {
            self.places[moved as usize] = place;
            self.settle(place as usize);
        }
    }

    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.is_before(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let child = match right < self.order.len() && self.is_before(right, left) {
                true => right,
                false => left,
            };
            if child >= self.order.len() || !self.is_before(child, place) {
                return;
            }
            self.swap(place, child);
            place = child;
        }
    }

    fn swap(&mut self, this: usize, that: usize) {
        self.order.swap(this, that);
        self.places[self.order[this] as usize] = this as u16;
        self.places[self.order[that] as usize] = that as u16;
    }

    fn is_before(&self, this: usize, that: usize) -> bool {
        let (this, that) = (self.order[this] as usize, self.order[that] as usize);
        match self.keys[this].wrapping_sub(self.keys[that]) as i64 {
            0 => (self.stamps[this].wrapping_sub(self.stamps[that]) as i32) < 0,
            difference => difference < 0,
        }
    }
}
