//! Per-core payload memory: chunks of 2 KB, owned by connections, lent to queue pairs.
//!
//! ```text
//!            alloc()                 free()                    last reclaim()
//!   [free] ─────────▶ [owned] ───────────────▶ [dying, lent > 0] ───────▶ [free]
//!                        │  └──────────────────── lent == 0 ─────────────▶
//!                        └─ lend()/reclaim(): a plain count, one core, no atomics
//! ```
//! A chunk returns to the free list only when its owner has freed it *and* no outstanding
//! descriptor names it: a card that is slow to write back never sends recycled bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Bytes of one chunk.
pub const CHUNK_BYTES: usize = 2048;

/// Names a chunk of one core's [`Chunks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(u32);

impl ChunkId {
    /// No chunk: the end of a list.
    pub const NONE: ChunkId = ChunkId(u32::MAX);

    /// The number that names it, for whoever keeps chunk names in bytes.
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// The chunk that a number names.
    pub const fn from_bits(bits: u32) -> ChunkId {
        ChunkId(bits)
    }

    /// The chunk's position in the pool.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether this names no chunk.
    pub fn is_none(self) -> bool {
        self.0 == u32::MAX
    }
}

/// A range of a chunk that a transmitted frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    /// The chunk.
    pub chunk: ChunkId,
    /// First byte.
    pub from: u16,
    /// Length in bytes.
    pub len: u16,
}

/// The chunks of one core. All memory is taken at construction, and cleared when a chunk is first
/// used: a pool of hundreds of megabytes costs a machine that starts no time.
#[derive(Debug)]
pub struct Chunks {
    /// Room for every chunk; as long as those that were ever used.
    memory: Vec<u8>,
    records: Box<[Record]>,
    /// LIFO, so that the chunk used next is the one most likely still in cache.
    free_head: ChunkId,
    free_count: u32,
    /// Freed by their owner, still named by a descriptor.
    dying_count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// Next in the free list, or in the owner's list.
    next: ChunkId,
    lent: u16,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Owned,
    Dying,
}

impl Chunks {
    /// `count` chunks, all free.
    pub fn new(count: u32) -> Chunks {
        let records = (0..count)
            .map(|i| Record {
                next: if i + 1 == count { ChunkId::NONE } else { ChunkId(i + 1) },
                lent: 0,
                state: State::Free,
            })
            .collect();
        Chunks {
            memory: Vec::with_capacity(count as usize * CHUNK_BYTES),
            records,
            free_head: if count == 0 { ChunkId::NONE } else { ChunkId(0) },
            free_count: count,
            dying_count: 0,
        }
    }

    /// How many chunks there are.
    pub fn count(&self) -> u32 {
        self.records.len() as u32
    }

    /// How many are free.
    pub fn free_count(&self) -> u32 {
        self.free_count
    }

    /// How many were freed by their owner while a descriptor still names them.
    pub fn dying_count(&self) -> u32 {
        self.dying_count
    }

    /// Takes a free chunk; its `next` is [`ChunkId::NONE`].
    #[inline]
    pub fn alloc(&mut self) -> Option<ChunkId> {
        let chunk = self.free_head;
        let record = self.records.get_mut(chunk.index())?;
        self.free_head = record.next;
        *record = Record { next: ChunkId::NONE, lent: 0, state: State::Owned };
        self.free_count -= 1;
        // Never used ones are taken in ascending order.
        if chunk.index() * CHUNK_BYTES == self.memory.len() {
            self.memory.resize(self.memory.len() + CHUNK_BYTES, 0);
        }
        Some(chunk)
    }

    /// The owner is done with `chunk`.
    ///
    /// # Panics
    /// When the chunk is not owned: a defect of the caller.
    #[inline]
    pub fn free(&mut self, chunk: ChunkId) {
        let record = &mut self.records[chunk.index()];
        assert!(record.state == State::Owned, "chunk {} freed twice", chunk.0);
        if record.lent > 0 {
            record.state = State::Dying;
            self.dying_count += 1;
        } else {
            self.release(chunk);
        }
    }

    /// A descriptor names `chunk`. Called by [`QueuePair::send`](crate::QueuePair::send).
    #[inline]
    pub fn lend(&mut self, chunk: ChunkId) {
        let record = &mut self.records[chunk.index()];
        debug_assert!(record.state == State::Owned, "chunk {} lent while free", chunk.0);
        record.lent += 1;
    }

    /// A descriptor that named `chunk` was written back. Called by
    /// [`QueuePair::reclaim`](crate::QueuePair::reclaim).
    #[inline]
    pub fn reclaim(&mut self, chunk: ChunkId) {
        let record = &mut self.records[chunk.index()];
        assert!(record.lent > 0, "chunk {} reclaimed more often than lent", chunk.0);
        record.lent -= 1;
        if record.lent == 0 && record.state == State::Dying {
            self.dying_count -= 1;
            self.release(chunk);
        }
    }

    /// How many outstanding descriptors name `chunk`.
    #[inline]
    pub fn lent(&self, chunk: ChunkId) -> u16 {
        self.records[chunk.index()].lent
    }

    /// The chunk after `chunk` in its owner's list.
    #[inline]
    pub fn next(&self, chunk: ChunkId) -> ChunkId {
        self.records[chunk.index()].next
    }

    /// Puts `next` after `chunk` in its owner's list.
    #[inline]
    pub fn set_next(&mut self, chunk: ChunkId, next: ChunkId) {
        self.records[chunk.index()].next = next;
    }

    /// The bytes of a whole chunk.
    #[inline]
    pub fn bytes(&self, chunk: ChunkId) -> &[u8] {
        let from = chunk.index() * CHUNK_BYTES;
        &self.memory[from..from + CHUNK_BYTES]
    }

    /// The bytes of a whole chunk, to be written by its owner. Bytes that a descriptor names must
    /// not change; bytes behind them may.
    #[inline]
    pub fn bytes_mut(&mut self, chunk: ChunkId) -> &mut [u8] {
        let from = chunk.index() * CHUNK_BYTES;
        &mut self.memory[from..from + CHUNK_BYTES]
    }

    /// The bytes of a lent range.
    #[inline(always)]
    pub fn range(&self, lent: Lent) -> &[u8] {
        let from = lent.from as usize;
        &self.bytes(lent.chunk)[from..from + lent.len as usize]
    }

    /// Copies a range of one chunk into another, to be written by its owner, from `at` on.
    #[inline]
    pub fn copy(&mut self, from: Lent, to: ChunkId, at: u16) {
        debug_assert!(at as usize + from.len as usize <= CHUNK_BYTES, "beyond the chunk");
        let begin = from.chunk.index() * CHUNK_BYTES + from.from as usize;
        let target = to.index() * CHUNK_BYTES + at as usize;
        self.memory.copy_within(begin..begin + from.len as usize, target);
    }

    #[inline]
    fn release(&mut self, chunk: ChunkId) {
        self.records[chunk.index()] = Record { next: self.free_head, lent: 0, state: State::Free };
        self.free_head = chunk;
        self.free_count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lent_chunk_outlives_its_owner() {
        let mut chunks = Chunks::new(1);
        let chunk = chunks.alloc().expect("one is free");
        chunks.lend(chunk);
        chunks.free(chunk);
        assert_eq!(chunks.alloc(), None, "still named by a descriptor");
        chunks.reclaim(chunk);
        assert_eq!(chunks.alloc(), Some(chunk));
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn freeing_twice_is_a_defect() {
        let mut chunks = Chunks::new(2);
        let chunk = chunks.alloc().expect("free");
        chunks.free(chunk);
        chunks.free(chunk);
    }

    #[test]
    fn the_pool_is_last_in_first_out() {
        let mut chunks = Chunks::new(3);
        let first = chunks.alloc().expect("free");
        let second = chunks.alloc().expect("free");
        chunks.free(first);
        chunks.free(second);
        assert_eq!(chunks.alloc(), Some(second));
        assert_eq!(chunks.free_count(), 2);
    }
}
