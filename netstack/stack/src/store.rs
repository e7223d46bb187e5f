//! Received payload that the application has not taken: refused bytes, and bytes beyond a gap.
//!
//! Sequence space itself is the map: byte `seq` lies in the chunk that slot `(seq / 2048) % 512` of
//! the index names, at offset `seq % 2048`. The index is one chunk too, and taken with the second
//! slot: a request that waits for a server has one. So any byte of the window has its place, whatever
//! order it comes in, and what the store holds is charged in whole chunks: one-byte segments cannot
//! take more than the window's worth.

use penstock_queue::{CHUNK_BYTES, ChunkId, Chunks, Lent};
use penstock_wire::SeqNum;

use crate::limits::STORE_SLOTS;

/// A connection's received and not yet taken payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    /// The index; or, with `only`, the one chunk that there is.
    place: ChunkId,
    /// Bytes below `rcv_nxt` that the application has not taken.
    unread: u32,
    /// Chunks it holds besides the index.
    count: u16,
    /// The slot of the one chunk that there is, or [`INDEXED`].
    only: u16,
}

impl Store {
    pub(crate) const EMPTY: Store =
        Store { place: ChunkId::NONE, unread: 0, count: 0, only: INDEXED };

    /// Bytes in order that wait for the application.
    #[inline]
    pub(crate) fn unread(&self) -> u32 {
        self.unread
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.place.is_none()
    }

    /// Writes `bytes` at `seq`; returns how many found room.
    pub(crate) fn write(&mut self, chunks: &mut Chunks, seq: SeqNum, bytes: &[u8]) -> u32 {
        let (mut seq, mut rest, mut written) = (seq, bytes, 0);
        while !rest.is_empty() {
            let Some(chunk) = self.chunk_for(chunks, seq) else { break };
            let free = &mut chunks.bytes_mut(chunk)[offset_of(seq)..];
            let count = rest.len().min(free.len());
            free[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            seq += count as u32;
            written += count as u32;
        }
        written
    }

    /// Keeps `bytes` from `seq` on, in order, as all that there is, if they fit in one chunk and there is
    /// one. It is empty.
    #[inline]
    pub(crate) fn begin(&mut self, chunks: &mut Chunks, seq: SeqNum, bytes: &[u8]) -> bool {
        let at = offset_of(seq);
        if at + bytes.len() > CHUNK_BYTES {
            return false;
        }
        let Some(chunk) = chunks.alloc() else { return false };
        chunks.bytes_mut(chunk)[at..at + bytes.len()].copy_from_slice(bytes);
        let (unread, only) = (bytes.len() as u32, slot_of(seq) as u16);
        *self = Store { place: chunk, unread, count: 1, only };
        true
    }

    /// How many chunks [`write`](Self::write) would take for `[from, to)`.
    pub(crate) fn missing(&self, chunks: &Chunks, from: SeqNum, to: SeqNum) -> u32 {
        let places = (to - from + offset_of(from) as u32).div_ceil(CHUNK_BYTES as u32);
        let is_there =
            |place: &u32| !self.chunk_at(chunks, from + place * CHUNK_BYTES as u32).is_none();
        let there = (0..places).filter(is_there).count() as u32;
        let with_index = self.only != INDEXED && there < places || self.is_empty() && places > 1;
        places - there + u32::from(with_index)
    }

    /// `bytes` more bytes are in order.
    #[inline]
    pub(crate) fn extend(&mut self, bytes: u32) {
        self.unread += bytes;
    }

    /// `bytes` unread bytes do not count while the application looks at them;
    /// [`extend`](Self::extend) brings them back.
    #[inline]
    pub(crate) fn set_aside(&mut self, bytes: u32) {
        self.unread -= bytes;
    }

    /// The unread bytes from `rcv_nxt - unread` on, up to the end of their chunk.
    pub(crate) fn peek<'a>(&self, chunks: &'a Chunks, rcv_nxt: SeqNum) -> &'a [u8] {
        self.locate(chunks, rcv_nxt).map_or(&[], |piece| chunks.range(piece))
    }

    /// Where [`peek`](Self::peek) finds them.
    pub(crate) fn locate(&self, chunks: &Chunks, rcv_nxt: SeqNum) -> Option<Lent> {
        if self.unread == 0 {
            return None;
        }
        let from = rcv_nxt - self.unread;
        let chunk = self.chunk_at(chunks, from);
        let offset = offset_of(from);
        let len = (self.unread as usize).min(CHUNK_BYTES - offset);
        (!chunk.is_none()).then_some(Lent { chunk, from: offset as u16, len: len as u16 })
    }

    /// The application took `bytes` of what [`peek`](Self::peek) showed. `beyond` is where what lies
    /// beyond a gap begins.
    pub(crate) fn take(
        &mut self,
        chunks: &mut Chunks,
        rcv_nxt: SeqNum,
        bytes: u32,
        beyond: Option<SeqNum>,
    ) {
        let from = rcv_nxt - self.unread;
        let bytes = bytes.min(self.unread);
        self.unread -= bytes;
        let beyond = if self.unread > 0 { Some(from + bytes) } else { beyond };
        self.discard(chunks, from, from + bytes, beyond);
        if self.unread == 0 && beyond.is_none() {
            self.clear(chunks);
        }
    }

    /// Frees what was kept of `[from, to)`. `beyond` is the first byte after it that is still
    /// needed.
    pub(crate) fn discard(
        &mut self,
        chunks: &mut Chunks,
        from: SeqNum,
        to: SeqNum,
        beyond: Option<SeqNum>,
    ) {
        let mut start = from - offset_of(from) as u32;
        while start.before(to) && !self.is_empty() {
            let end = start + CHUNK_BYTES as u32;
            if beyond.is_none_or(|seq| seq.at_or_after(end)) {
                self.free_slot(chunks, start);
            }
            start = end;
        }
        if self.count == 0 {
            self.release_index(chunks);
        }
    }

    /// Gives away the one chunk that there is, if all that is kept is unread and lies in it: the
    /// chunk, and where in it the bytes are. `beyond`: as for [`take`](Self::take).
    pub(crate) fn give_away(&mut self, rcv_nxt: SeqNum, beyond: Option<SeqNum>) -> Option<Lent> {
        let from = offset_of(rcv_nxt - self.unread);
        let whole = self.only != INDEXED && from + self.unread as usize <= CHUNK_BYTES;
        if !whole || self.unread == 0 || beyond.is_some() {
            return None;
        }
        let Store { place: chunk, unread, .. } = core::mem::replace(self, Store::EMPTY);
        Some(Lent { chunk, from: from as u16, len: unread as u16 })
    }

    /// Frees everything.
    #[inline]
    pub(crate) fn clear(&mut self, chunks: &mut Chunks) {
        if self.only != INDEXED {
            chunks.free(self.place);
        } else if !self.is_empty() {
            self.free_all(chunks);
        }
        *self = Store::EMPTY;
    }

    #[cold]
    fn free_all(&self, chunks: &mut Chunks) {
        for position in 0..STORE_SLOTS {
            let chunk = read_slot(chunks, self.place, position);
            if !chunk.is_none() {
                chunks.free(chunk);
            }
        }
        chunks.free(self.place);
    }

    /// How many chunks it holds, the index among them.
    pub(crate) fn chunk_count(&self) -> u32 {
        let has_index = self.only == INDEXED && !self.is_empty();
        self.count as u32 + u32::from(has_index)
    }

    /// The chunk in which the byte at `seq` lies, or has its place.
    #[inline]
    fn chunk_at(&self, chunks: &Chunks, seq: SeqNum) -> ChunkId {
        if self.only != INDEXED {
            return if slot_of(seq) == self.only as usize { self.place } else { ChunkId::NONE };
        }
        if self.is_empty() {
            return ChunkId::NONE;
        }
        read_slot(chunks, self.place, slot_of(seq))
    }

    /// The same, which is taken if there is none.
    fn chunk_for(&mut self, chunks: &mut Chunks, seq: SeqNum) -> Option<ChunkId> {
        let chunk = self.chunk_at(chunks, seq);
        if !chunk.is_none() {
            return Some(chunk);
        }
        if self.is_empty() {
            let chunk = chunks.alloc()?;
            *self = Store { place: chunk, count: 1, only: slot_of(seq) as u16, ..*self };
            return Some(chunk);
        }
        if self.only != INDEXED {
            let index = chunks.alloc()?;
            chunks.bytes_mut(index).fill(0xff);
            write_slot(chunks, index, self.only as usize, self.place);
            *self = Store { place: index, only: INDEXED, ..*self };
        }
        let chunk = chunks.alloc()?;
        write_slot(chunks, self.place, slot_of(seq), chunk);
        self.count += 1;
        Some(chunk)
    }

    fn free_slot(&mut self, chunks: &mut Chunks, seq: SeqNum) {
        let chunk = self.chunk_at(chunks, seq);
        if chunk.is_none() {
            return;
        }
        chunks.free(chunk);
        self.count -= 1;
        if self.only == INDEXED {
            write_slot(chunks, self.place, slot_of(seq), ChunkId::NONE);
        } else {
            *self = Store { unread: self.unread, ..Store::EMPTY };
        }
    }

    fn release_index(&mut self, chunks: &mut Chunks) {
        if !self.is_empty() {
            chunks.free(self.place);
            self.place = ChunkId::NONE;
        }
    }
}

/// In [`Store::only`]: there is an index, or nothing.
const INDEXED: u16 = u16::MAX;

const _: () = assert!(STORE_SLOTS < INDEXED as usize);

fn slot_of(seq: SeqNum) -> usize {
    seq.0 as usize / CHUNK_BYTES % STORE_SLOTS
}

fn offset_of(seq: SeqNum) -> usize {
    seq.0 as usize % CHUNK_BYTES
}

fn read_slot(chunks: &Chunks, index: ChunkId, position: usize) -> ChunkId {
    let mut word = [0; 4];
    word.copy_from_slice(&chunks.bytes(index)[position * 4..position * 4 + 4]);
    ChunkId::from_bits(u32::from_le_bytes(word))
}

fn write_slot(chunks: &mut Chunks, index: ChunkId, position: usize, chunk: ChunkId) {
    let word = chunk.to_bits().to_le_bytes();
    chunks.bytes_mut(index)[position * 4..position * 4 + 4].copy_from_slice(&word);
}

#[cfg(test)]
mod tests {
    //! Bytes written in any order, in any pieces, come out in order, and no chunk is left over.
    use super::*;
    use crate::tcp::Ranges;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const SPACE: u32 = 20_000;

    fn pattern(offset: u32) -> u8 {
        (offset ^ offset >> 8) as u8
    }

    proptest! {
        #[test]
        fn delivers_what_was_written(
            base in prop_oneof![Just(u32::MAX - 9_000), any::<u32>()],
            writes in prop::collection::vec((0..SPACE, 1..1500u32, 1..4000u32), 1..60),
        ) {
            let base = SeqNum(base);
            let mut chunks = Chunks::new(40);
            let mut store = Store::EMPTY;
            let mut held = Ranges::EMPTY;
            let (mut nxt, mut read) = (0u32, 0u32);
            for (from, len, taken) in writes {
                let (from, to) = (from.max(nxt), (from + len).min(SPACE));
                if from < to {
                    let bytes: Vec<u8> = (from..to).map(pattern).collect();
                    let missing = store.missing(&chunks, base + from, base + to);
                    let free = chunks.free_count();
                    let is_first = store.is_empty() && from == nxt;
                    if is_first && store.begin(&mut chunks, base + from, &bytes) {
                        nxt = to;
                    } else {
                        let written = store.write(&mut chunks, base + from, &bytes);
                        prop_assert_eq!(written, to - from);
                        held.insert(base + from, base + to);
                    }
                    prop_assert_eq!(free - chunks.free_count(), missing);
                    if let Some(first) = held.first() && first.from == base + nxt {
                        store.extend(first.len());
                        nxt += first.len();
                        held.forget_before(base + nxt);
                    }
                }
                let seen = store.peek(&chunks, base + nxt).to_vec();
                let expected: Vec<u8> = (read..read + seen.len() as u32).map(pattern).collect();
                prop_assert_eq!(&seen, &expected);
                let count = taken.min(seen.len() as u32);
                store.take(&mut chunks, base + nxt, count, held.first().map(|range| range.from));
                read += count;
                prop_assert_eq!(store.unread(), nxt - read);
                prop_assert_eq!(store.chunk_count() + chunks.free_count(), 40);
                prop_assert_eq!(store.is_empty(), store.unread() == 0 && held.is_empty());
            }
            let beyond = held.first().map(|range| range.from);
            if let Some(range) = store.give_away(base + nxt, beyond) {
                prop_assert_eq!(range.len as u32, nxt - read);
                let expected: Vec<u8> = (read..nxt).map(pattern).collect();
                prop_assert_eq!(chunks.range(range), &expected[..]);
                prop_assert!(store.is_empty());
                chunks.free(range.chunk);
            }
            store.clear(&mut chunks);
            prop_assert_eq!(chunks.free_count(), 40);
        }
    }
}
