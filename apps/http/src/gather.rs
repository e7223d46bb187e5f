//! Buffers for heads that come in more than one piece.
//!
//! A core has a few of them, because few heads are under way at one moment, unless somebody holds
//! them back on purpose. So when all are in use, the one that has been held longest is given up,
//! and its client with it: an honest head is complete within a round trip.

use alloc::boxed::Box;
use alloc::vec;

use crate::limits::HEAD_BYTES_MAX;
use crate::{Parser, Refusal, Request};

/// Names a buffer in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather(u16);

/// The buffers of one core. `T` says whose each is.
#[derive(Debug)]
pub struct Gatherer<T> {
    slots: Box<[Slot<T>]>,
    bytes: Box<[u8]>,
    /// Free slots, linked by `next`.
    free: u16,
    /// The one in use for longest, and the newest.
    oldest: u16,
    newest: u16,
}

#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    owner: Option<T>,
    parser: Parser,
    len: u16,
    previous: u16,
    next: u16,
}

const NONE: u16 = u16::MAX;

impl<T: Copy> Gatherer<T> {
    /// `count` buffers of 16 KB; at least one, at most 65,534.
    pub fn new(count: u16) -> Gatherer<T> {
        let count = count.clamp(1, NONE - 1);
        let slot = Slot { owner: None, parser: Parser::new(), len: 0, previous: NONE, next: NONE };
        let mut slots = vec![slot; count as usize].into_boxed_slice();
        for (next, slot) in (1..count).zip(&mut slots) {
            slot.next = next;
        }
        let bytes = vec![0; count as usize * HEAD_BYTES_MAX].into_boxed_slice();
        Gatherer { slots, bytes, free: 0, oldest: NONE, newest: NONE }
    }

    /// A buffer for a head that `parser` has read the first `begin` of; at most a head's worth.
    /// When none is free, the oldest is taken from its owner, who is returned too.
    pub fn begin(&mut self, owner: T, parser: Parser, begin: &[u8]) -> (Gather, Option<T>) {
        let evicted = if self.free == NONE { self.evict() } else { None };
        let at = self.free;
        let begin = &begin[..begin.len().min(HEAD_BYTES_MAX)];
        let from = at as usize * HEAD_BYTES_MAX;
        self.bytes[from..from + begin.len()].copy_from_slice(begin);
        let slot = &mut self.slots[at as usize];
        self.free = slot.next;
        let len = begin.len() as u16;
        *slot = Slot { owner: Some(owner), parser, len, previous: self.newest, next: NONE };
        match self.slots.get_mut(self.newest as usize) {
            Some(newest) => newest.next = at,
            None => self.oldest = at,
        }
        self.newest = at;
        (Gather(at), evicted)
    }

    /// Adds what came and reads on. Returns how many of `bytes` were taken (what lies behind the
    /// head is not), and the request, once it is complete.
    ///
    /// # Errors
    /// See [`Parser::advance`].
    pub fn advance(
        &mut self,
        gather: Gather,
        bytes: &[u8],
    ) -> Result<(usize, Option<Request<'_>>), Refusal> {
        let slot = &mut self.slots[gather.0 as usize];
        let (from, before) = (gather.0 as usize * HEAD_BYTES_MAX, slot.len as usize);
        let taken = bytes.len().min(HEAD_BYTES_MAX - before);
        let end = before + taken;
        self.bytes[from + before..from + end].copy_from_slice(&bytes[..taken]);
        slot.len = end as u16;
        let request = slot.parser.advance(&self.bytes[from..from + end])?;
        let taken = match &request {
            Some(request) => request.bytes().len().saturating_sub(before),
            None => taken,
        };
        if let Some(request) = &request {
            slot.len = request.bytes().len() as u16;
        }
        Ok((taken, request))
    }

    /// What a buffer holds.
    pub fn bytes(&self, gather: Gather) -> &[u8] {
        let from = gather.0 as usize * HEAD_BYTES_MAX;
        &self.bytes[from..from + self.slots[gather.0 as usize].len as usize]
    }

    /// Gives a buffer back.
    pub fn end(&mut self, gather: Gather) {
        let slot = &mut self.slots[gather.0 as usize];
        if slot.owner.take().is_none() {
            return;
        }
        let Slot { previous, next, .. } = *slot;
        slot.next = self.free;
        self.free = gather.0;
        match self.slots.get_mut(previous as usize) {
            Some(slot) => slot.next = next,
            None => self.oldest = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.previous = previous,
            None => self.newest = previous,
        }
    }

    /// How many are in use (a walk: for checks only).
    pub fn in_use(&self) -> usize {
        self.slots.iter().filter(|slot| slot.owner.is_some()).count()
    }

    fn evict(&mut self) -> Option<T> {
        let oldest = self.oldest;
        let owner = self.slots[oldest as usize].owner;
        self.end(Gather(oldest));
        owner
    }
}

#[cfg(test)]
mod tests {
    //! A buffer carries a head over any number of pieces, and the oldest gives way.

    use super::*;

    const HEAD: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn a_head_is_put_together_and_what_follows_is_left() {
        let mut gatherer = Gatherer::new(2);
        let (gather, evicted) = gatherer.begin(7, Parser::new(), &HEAD[..3]);
        assert_eq!(evicted, None);
        for byte in &HEAD[3..HEAD.len() - 1] {
            let (taken, request) = gatherer.advance(gather, &[*byte]).expect("a good head");
            assert_eq!((taken, request.is_some()), (1, false));
        }
        let (taken, request) = gatherer.advance(gather, b"\nGET /b").expect("a good head");
        assert_eq!(taken, 1);
        assert_eq!(request.expect("it is complete").target(), b"/a");
        assert_eq!(gatherer.bytes(gather), HEAD);
        gatherer.end(gather);
        assert_eq!(gatherer.in_use(), 0);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut gatherer = Gatherer::new(3);
        let gathers = [1, 2, 3].map(|owner| gatherer.begin(owner, Parser::new(), b"G").0);
        gatherer.end(gathers[1]);
        assert_eq!(gatherer.begin(4, Parser::new(), b"G").1, None);
        assert_eq!(gatherer.begin(5, Parser::new(), b"G").1, Some(1));
        assert_eq!(gatherer.begin(6, Parser::new(), b"G").1, Some(3));
        assert_eq!(gatherer.begin(7, Parser::new(), b"G").1, Some(4));
        assert_eq!(gatherer.in_use(), 3);
    }

    #[test]
    fn a_buffer_given_back_twice_is_one_buffer() {
        let mut gatherer = Gatherer::new(2);
        let (gather, _) = gatherer.begin(1, Parser::new(), b"G");
        gatherer.end(gather);
        gatherer.end(gather);
        assert_eq!(gatherer.begin(2, Parser::new(), b"G").1, None);
        assert_eq!(gatherer.begin(3, Parser::new(), b"G").1, None);
        assert_eq!(gatherer.begin(4, Parser::new(), b"G").1, Some(2));
    }
}
