//! The payload a connection has to send: a list of chunks from the first unacknowledged byte on.
//!
//! ```text
//!          una               cursor                          end
//!   head ──▶ [··from████████] ──▶ [████████████████] ──▶ [█████fill······] ◀── tail
//!             acknowledged bytes                          room for more
//! ```
//! Bytes never move: they are written once, lent to the card as often as they must be sent, and
//! their chunk goes back when they are acknowledged (and no descriptor names it).

use penstock_queue::{CHUNK_BYTES, ChunkId, Chunks, Lent};

/// A connection's unacknowledged and unsent payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendQueue {
    head: ChunkId,
    tail: ChunkId,
    /// The chunk of the last range taken, and the offset from the queue's first byte at which that
    /// chunk's data begins: where the next range is looked for first.
    cursor: ChunkId,
    cursor_at: u32,
    bytes: u32,
    /// First byte that counts in `head`.
    from: u16,
    /// Bytes written in `tail`.
    fill: u16,
}

impl SendQueue {
    pub(crate) const EMPTY: SendQueue = SendQueue {
        head: ChunkId::NONE,
        tail: ChunkId::NONE,
        cursor: ChunkId::NONE,
        cursor_at: 0,
        bytes: 0,
        from: 0,
        fill: 0,
    };

    /// Bytes from `una` to the end.
    #[inline]
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends as much of `bytes` as chunks and `room` allow; returns how much.
    #[inline]
    pub(crate) fn push(&mut self, chunks: &mut Chunks, bytes: &[u8], room: u32) -> usize {
        if self.tail.is_none()
            && bytes.len() <= CHUNK_BYTES.min(room as usize)
            && let Some(chunk) = chunks.alloc()
        {
            // Nearly every response: all of it in one chunk.
            chunks.bytes_mut(chunk)[..bytes.len()].copy_from_slice(bytes);
            let (bytes, fill) = (bytes.len() as u32, bytes.len() as u16);
            let (head, tail, cursor) = (chunk, chunk, chunk);
            *self = SendQueue { head, tail, cursor, cursor_at: 0, bytes, from: 0, fill };
            return fill as usize;
        }
        self.push_more(chunks, bytes, room)
    }

    /// The same, whatever it takes.
    fn push_more(&mut self, chunks: &mut Chunks, bytes: &[u8], room: u32) -> usize {
        let mut rest = &bytes[..bytes.len().min(room as usize)];
        let mut taken = 0;
        while !rest.is_empty() {
            if self.tail_room(chunks).is_none() {
                break;
            }
            let free = &mut chunks.bytes_mut(self.tail)[self.fill as usize..];
            let count = rest.len().min(free.len());
            free[..count].copy_from_slice(&rest[..count]);
            self.fill += count as u16;
            self.bytes += count as u32;
            taken += count;
            rest = &rest[count..];
        }
        taken
    }

    /// Takes over a chunk that nobody else has, with `range` of it to be sent, where nothing is queued.
    pub(crate) fn adopt(&mut self, range: Lent) {
        debug_assert!(self.head.is_none(), "something is queued");
        let Lent { chunk, from, len } = range;
        let (head, tail, cursor) = (chunk, chunk, chunk);
        let bytes = len.into();
        *self = SendQueue { head, tail, cursor, cursor_at: 0, bytes, from, fill: from + len };
    }

    /// Whether it holds no chunk.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.head.is_none()
    }

    /// Appends a range of another chunk, as much of it as chunks and `room` allow; returns how much.
    pub(crate) fn push_range(&mut self, chunks: &mut Chunks, range: Lent, room: u32) -> u32 {
        let mut rest = Lent { len: (range.len as u32).min(room) as u16, ..range };
        let mut taken = 0;
        while rest.len > 0 {
            let Some(free) = self.tail_room(chunks) else { break };
            let count = rest.len.min(free);
            chunks.copy(Lent { len: count, ..rest }, self.tail, self.fill);
            self.fill += count;
            self.bytes += count as u32;
            taken += count as u32;
            rest = Lent { from: rest.from + count, len: rest.len - count, ..rest };
        }
        taken
    }

    /// Bytes free in the last chunk; when it is full, in another.
    fn tail_room(&mut self, chunks: &mut Chunks) -> Option<u16> {
        if self.tail.is_none() || self.fill as usize == CHUNK_BYTES {
            let chunk = chunks.alloc()?;
            if self.tail.is_none() {
                self.head = chunk;
                self.cursor = chunk;
                self.cursor_at = 0;
                self.from = 0;
            } else {
                chunks.set_next(self.tail, chunk);
            }
            self.tail = chunk;
            self.fill = 0;
        }
        Some(CHUNK_BYTES as u16 - self.fill)
    }

    /// The ranges that make up `len` bytes from `offset` on; returns how many were written to
    /// `ranges`. They cover fewer bytes only when `ranges` is too short.
    pub(crate) fn ranges(
        &mut self,
        chunks: &Chunks,
        offset: u32,
        len: u32,
        ranges: &mut [Lent],
    ) -> usize {
        debug_assert!(offset + len <= self.bytes, "ranges beyond the queue");
        if offset < self.cursor_at || self.cursor.is_none() {
            self.cursor = self.head;
            self.cursor_at = 0;
        }
        let (mut offset, mut len, mut count) = (offset, len, 0);
        while len > 0 && count < ranges.len() && !self.cursor.is_none() {
            let first = if self.cursor == self.head { self.from as u32 } else { 0 };
            let end = if self.cursor == self.tail { self.fill as u32 } else { CHUNK_BYTES as u32 };
            let within = offset - self.cursor_at;
            if within >= end - first {
                self.cursor_at += end - first;
                self.cursor = chunks.next(self.cursor);
                continue;
            }
            let from = first + within;
            let here = len.min(end - from);
            ranges[count] = Lent { chunk: self.cursor, from: from as u16, len: here as u16 };
            count += 1;
            offset += here;
            len -= here;
        }
        count
    }

    /// All of it, where it lies in one chunk.
    #[inline(always)]
    pub(crate) fn whole(&self) -> Option<Lent> {
        let only = self.head == self.tail && !self.head.is_none();
        only.then_some(Lent { chunk: self.head, from: self.from, len: self.bytes as u16 })
    }

    /// The one range that holds `len` bytes from `offset` on, where the chunk of the last range
    /// taken holds them all: for payload that fits behind its headers it nearly always does.
    #[inline]
    pub(crate) fn range(&self, offset: u32, len: u32) -> Option<Lent> {
        let first = if self.cursor == self.head { self.from as u32 } else { 0 };
        let end = if self.cursor == self.tail { self.fill as u32 } else { CHUNK_BYTES as u32 };
        let from = first + offset.checked_sub(self.cursor_at)?;
        let here = from + len <= end && !self.cursor.is_none();
        here.then_some(Lent { chunk: self.cursor, from: from as u16, len: len as u16 })
    }

    /// The first `bytes` bytes were acknowledged.
    pub(crate) fn pop(&mut self, chunks: &mut Chunks, bytes: u32) {
        let mut left = bytes.min(self.bytes);
        self.bytes -= left;
        if self.bytes == 0 {
            self.clear(chunks);
            return;
        }
        self.cursor_at = self.cursor_at.saturating_sub(left);
        while left > 0 {
            let end = if self.head == self.tail { self.fill } else { CHUNK_BYTES as u16 };
            let here = (end - self.from) as u32;
            if left < here {
                self.from += left as u16;
                break;
            }
            left -= here;
            let next = chunks.next(self.head);
            if self.cursor == self.head {
                self.cursor = next;
                self.cursor_at = 0;
            }
            chunks.free(self.head);
            self.head = next;
            self.from = 0;
        }
    }

    /// Frees everything.
    #[inline(always)]
    pub(crate) fn clear(&mut self, chunks: &mut Chunks) {
        // Nearly every response: one chunk.
        let only = self.head;
        if only == self.tail && !only.is_none() {
            chunks.free(only);
        } else {
            self.free_all(chunks);
        }
        *self = SendQueue::EMPTY;
    }

    #[inline(never)]
    fn free_all(&self, chunks: &mut Chunks) {
        let mut chunk = self.head;
        while !chunk.is_none() {
            let next = chunks.next(chunk);
            chunks.free(chunk);
            chunk = next;
        }
    }

    /// How many chunks it holds (a walk: for checks only).
    pub(crate) fn chunk_count(&self, chunks: &Chunks) -> u32 {
        let (mut chunk, mut count) = (self.head, 0);
        while !chunk.is_none() {
            count += 1;
            chunk = chunks.next(chunk);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    //! Whatever is pushed, read at any offset and acknowledged in any portions comes out as it
    //! went in, and no chunk is left over.
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn read(queue: &mut SendQueue, chunks: &Chunks, offset: u32, len: u32) -> Vec<u8> {
        let mut ranges = [Lent { chunk: ChunkId::NONE, from: 0, len: 0 }; 16];
        let count = queue.ranges(chunks, offset, len, &mut ranges);
        ranges[..count].iter().flat_map(|range| chunks.range(*range).to_vec()).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        PushRange(u16, u16),
        Adopt(u16, u16),
        Read(u32, u32),
        Pop(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1..5000usize).prop_map(Step::Push),
            (0..1000u16, 1..1000u16).prop_map(|(from, len)| Step::PushRange(from, len)),
            (0..1000u16, 1..1000u16).prop_map(|(from, len)| Step::Adopt(from, len)),
            (0..8000u32, 1..3000u32).prop_map(|(offset, len)| Step::Read(offset, len)),
            (1..4000u32).prop_map(Step::Pop),
        ];
        prop::collection::vec(step, 1..60)
    }

    proptest! {
        #[test]
        fn agrees_with_a_byte_queue(steps in steps()) {
            let mut chunks = Chunks::new(8);
            let mut queue = SendQueue::EMPTY;
            let mut model: Vec<u8> = Vec::new();
            let mut byte = 0u8;
            for step in steps {
                match step {
                    Step::Push(len) => {
                        let bytes: Vec<u8> = (0..len).map(|_| { byte = byte.wrapping_add(7); byte }).collect();
                        let taken = queue.push(&mut chunks, &bytes, 12_000u32.saturating_sub(queue.bytes()));
                        model.extend_from_slice(&bytes[..taken]);
                    }
                    Step::PushRange(from, len) => {
                        let Some(other) = chunks.alloc() else { continue };
                        byte = byte.wrapping_add(13);
                        chunks.bytes_mut(other)[from as usize..][..len as usize].fill(byte);
                        let room = 12_000u32.saturating_sub(queue.bytes());
                        let range = Lent { chunk: other, from, len };
                        let taken = queue.push_range(&mut chunks, range, room);
                        model.extend((0..taken).map(|_| byte));
                        chunks.free(other);
                    }
                    Step::Adopt(from, len) => {
                        if !queue.is_bare() {
                            continue;
                        }
                        let chunk = chunks.alloc().expect("nobody has any");
                        byte = byte.wrapping_add(17);
                        chunks.bytes_mut(chunk)[from as usize..][..len as usize].fill(byte);
                        queue.adopt(Lent { chunk, from, len });
                        model.extend((0..len).map(|_| byte));
                    }
                    Step::Read(offset, len) => {
                        let offset = offset.min(model.len() as u32);
                        let len = len.min(model.len() as u32 - offset);
                        let expected = &model[offset as usize..(offset + len) as usize];
                        prop_assert_eq!(read(&mut queue, &chunks, offset, len), expected);
                    }
                    Step::Pop(len) => {
                        queue.pop(&mut chunks, len);
                        model.drain(..(len as usize).min(model.len()));
                    }
                }
                prop_assert_eq!(queue.bytes() as usize, model.len());
                prop_assert_eq!(queue.chunk_count(&chunks) + chunks.free_count(), 8);
            }
            queue.clear(&mut chunks);
            prop_assert_eq!(chunks.free_count(), 8);
        }
    }
}
