//! Received payload that the application has not taken: refused bytes, and bytes beyond a gap.
//!
//! Sequence space itself is the map: byte `seq` lies in the chunk that slot `(seq / 2048) % 512` of
//! the index names, at offset `seq % 2048`. The index is one chunk too. So any byte of the window
//! has its place, whatever order it comes in, and what the store holds is charged in whole chunks:
//! one-byte segments cannot take more than the window's worth.

use penstock_queue::{CHUNK_BYTES, ChunkId, Chunks, Lent};
use penstock_wire::SeqNum;

use crate::limits::STORE_SLOTS;

/// A connection's received and not yet taken payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    index: ChunkId,
    /// Bytes below `rcv_nxt` that the application has not taken.
    unread: u32,
    /// Chunks it holds besides the index.
    count: u16,
}

impl Store {
    pub(crate) const EMPTY: Store = Store { index: ChunkId::NONE, unread: 0, count: 0 };

    /// Bytes in order that wait for the application.
    #[inline]
    pub(crate) fn unread(&self) -> u32 {
        self.unread
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_none()
    }

    /// Writes `bytes` at `seq`; returns how many found room.
    pub(crate) fn write(&mut self, chunks: &mut Chunks, seq: SeqNum, bytes: &[u8]) -> u32 {
        if self.index.is_none() {
            let Some(index) = chunks.alloc() else { return 0 };
            chunks.bytes_mut(index).fill(0xff);
            self.index = index;
        }
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
        if self.count == 0 {
            self.release_index(chunks);
        }
        written
    }

    /// How many chunks [`write`](Self::write) would take for `[from, to)`.
    pub(crate) fn missing(&self, chunks: &Chunks, from: SeqNum, to: SeqNum) -> u32 {
        let places = (to - from + offset_of(from) as u32).div_ceil(CHUNK_BYTES as u32);
        if self.index.is_none() {
            return places + 1;
        }
        let is_there =
            |place: &u32| !slot(chunks, self.index, from + place * CHUNK_BYTES as u32).is_none();
        places - (0..places).filter(is_there).count() as u32
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
        if self.unread == 0 || self.index.is_none() {
            return None;
        }
        let from = rcv_nxt - self.unread;
        let chunk = slot(chunks, self.index, from);
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
        while start.before(to) && !self.index.is_none() {
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

    /// Frees everything.
    #[inline]
    pub(crate) fn clear(&mut self, chunks: &mut Chunks) {
        if !self.index.is_none() {
            self.free_all(chunks);
        }
        *self = Store::EMPTY;
    }

    #[cold]
    fn free_all(&self, chunks: &mut Chunks) {
        for position in 0..STORE_SLOTS {
            let chunk = read_slot(chunks, self.index, position);
            if !chunk.is_none() {
                chunks.free(chunk);
            }
        }
        chunks.free(self.index);
    }

    /// How many chunks it holds, the index among them.
    pub(crate) fn chunk_count(&self) -> u32 {
        if self.index.is_none() { 0 } else { self.count as u32 + 1 }
    }

    fn chunk_for(&mut self, chunks: &mut Chunks, seq: SeqNum) -> Option<ChunkId> {
        let chunk = slot(chunks, self.index, seq);
        if !chunk.is_none() {
            return Some(chunk);
        }
        let chunk = chunks.alloc()?;
        write_slot(chunks, self.index, slot_of(seq), chunk);
        self.count += 1;
        Some(chunk)
    }

    fn free_slot(&mut self, chunks: &mut Chunks, seq: SeqNum) {
        let chunk = slot(chunks, self.index, seq);
        if !chunk.is_none() {
            chunks.free(chunk);
            write_slot(chunks, self.index, slot_of(seq), ChunkId::NONE);
            self.count -= 1;
        }
    }

    fn release_index(&mut self, chunks: &mut Chunks) {
        if !self.index.is_none() {
            chunks.free(self.index);
            self.index = ChunkId::NONE;
        }
    }
}

fn slot_of(seq: SeqNum) -> usize {
    seq.0 as usize / CHUNK_BYTES % STORE_SLOTS
}

fn offset_of(seq: SeqNum) -> usize {
    seq.0 as usize % CHUNK_BYTES
}

fn slot(chunks: &Chunks, index: ChunkId, seq: SeqNum) -> ChunkId {
    read_slot(chunks, index, slot_of(seq))
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
                    let written = store.write(&mut chunks, base + from, &bytes);
                    prop_assert_eq!(written, to - from);
                    prop_assert_eq!(free - chunks.free_count(), missing);
                    held.insert(base + from, base + to);
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
            store.clear(&mut chunks);
            prop_assert_eq!(chunks.free_count(), 40);
        }
    }
}
