//! The established table: from a tuple's hash to the record that holds the connection.
//!
//! Open addressing over two arrays: a byte for each position, the mark, which says how far its entry
//! is from home and the top two bits of its tag, and 8 bytes with 32 bits of the hash (the tag, whose
//! low bits are the home position) and a [`Reference`], which says what kind of record and which. One
//! lookup per segment finds connections, half-open ones too, and TIME-WAIT alike.
//!
//! ```text
//!   position    4      5      6      7      8      9
//!   distance    1      1      2      3      3      0        from home, and one; 0: no entry
//!   slot      [ e4 ] [ b5 ] [ f5 ] [ a5 ] [ c6 ] [ .. ]     home positions as digits
//! ```
//! Entries of a run are kept in the order of their homes ("Robin Hood"): a newcomer is put behind
//! those of its own home and pushes later homes one place on. So a lookup may stop at the first
//! entry that is nearer to its home than the lookup has walked, distances hardly vary, and removal
//! pulls the rest of the run back by one: there are no tombstones, and the last lookup after a
//! billion changes costs what the first one did.
//!
//! The marks are a table of their own because they are small: 256 KB for the default bounds stay
//! in a core's second-level cache, where 2 MB of slots do not. A SYN finds there that nobody has its
//! tuple, and the oldest TIME-WAIT record leaves, without a look at a slot: each of those would have
//! been a miss. Rejected: slots of 4 bytes (too few bits for both index and tag at ten million
//! connections), and bytes that hold a part of the hash alone, for which every removal would have to
//! read the slots behind it.
//!
//! At most three quarters full (a power of two of positions: 12 to 24 bytes a connection), where a
//! lookup reads 2.5 positions on average. A newcomer that would put any entry [`DISTANCE`] from its
//! home is refused, which chance does not do; the caller counts it.

use alloc::boxed::Box;
use alloc::vec;

/// The part of a mark that is a distance, and so the most positions a lookup reads. Of 12.6 M entries
/// in 16.8 M slots the farthest was 27 from home.
const DISTANCE: u8 = 63;

/// The most entries one insertion pushes on. In the same table the longest run had 314.
pub(crate) const SHIFT_MAX: usize = 1024;

/// What a slot refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An index of the connections, half-open or not.
    Connection,
    /// An index of the TIME-WAIT ring.
    TimeWait,
}

/// A kind in the top bit, an index below 2^30 in the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference(u32);

impl Reference {
    /// Indices are below this.
    pub(crate) const INDEX_LIMIT: u32 = 1 << 30;

    /// Record `index` (below [`Self::INDEX_LIMIT`]) of `kind`.
    #[inline]
    pub(crate) const fn new(kind: Kind, index: u32) -> Reference {
        debug_assert!(index < Self::INDEX_LIMIT);
        let kind = match kind {
            Kind::Connection => 0,
            Kind::TimeWait => 1,
        };
        Reference(kind << 31 | (index & (Self::INDEX_LIMIT - 1)))
    }

    /// The kind.
    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        if self.0 >> 31 == 0 { Kind::Connection } else { Kind::TimeWait }
    }

    /// The index.
    #[inline]
    pub(crate) const fn index(self) -> u32 {
        self.0 & (Self::INDEX_LIMIT - 1)
    }
}

/// The table refused an entry: it is full, or the entry's neighbourhood is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The table. All memory is taken at construction.
#[derive(Debug)]
pub(crate) struct Table {
    /// By position, how far the entry is from its home, and one, in [`DISTANCE`], and above it the
    /// top of its tag; 0 where there is none.
    marks: Box<[u8]>,
    /// By position, tag in the low half, reference in the high half: one load reads both. What was
    /// there last where there is no entry.
    slots: Box<[u64]>,
    entries: u32,
    entries_max: u32,
}

impl Table {
    /// Room for `entries` entries (at most 2^30), of whatever kinds.
    pub(crate) fn new(entries: u32) -> Table {
        let entries = entries.min(Reference::INDEX_LIMIT);
        let positions = Table::positions(entries);
        Table {
            marks: vec![0; positions].into_boxed_slice(),
            slots: vec![0; positions].into_boxed_slice(),
            entries: 0,
            entries_max: entries,
        }
    }

    /// What a table with room for `entries` takes.
    pub(crate) fn bytes_for(entries: u32) -> usize {
        Table::positions(entries) * (size_of::<u8>() + size_of::<u64>())
    }

    fn positions(entries: u32) -> usize {
        (entries as usize * 4).div_ceil(3).next_power_of_two().max(POSITIONS_MIN)
    }

    /// The entry of `hash` for which `is_it` holds. `is_it` is asked only where 32 bits of the hash
    /// agree: nearly always the entry sought.
    #[inline(always)]
    pub(crate) fn lookup(
        &self,
        hash: u64,
        mut is_it: impl FnMut(Reference) -> bool,
    ) -> Option<Reference> {
        let tag = hash as u32;
        let mark = self.mark(tag as usize);
        if mark == 0 {
            return None;
        }
        if mark == mark_of(tag, 1) {
            let slot = self.slot(tag as usize);
            if slot as u32 == tag {
                let reference = reference_of(slot);
                if is_it(reference) {
                    return Some(reference);
                }
            }
        }
        self.lookup_beyond(tag, is_it)
    }

    /// Whether the marks say that nobody has this hash: a SYN's usual lookup, without a slot. False
    /// says nothing.
    #[inline(always)]
    pub(crate) fn is_vacant(&self, hash: u64) -> bool {
        self.mark(hash as usize) == 0 || self.is_vacant_beyond(hash as u32)
    }

    #[inline(never)]
    fn is_vacant_beyond(&self, tag: u32) -> bool {
        let (mut wanted, mut position) = (mark_of(tag, 1), tag as usize);
        loop {
            let mark = self.mark(position);
            if mark & DISTANCE < wanted & DISTANCE {
                return true;
            }
            if mark == wanted || wanted & DISTANCE == DISTANCE {
                return false;
            }
            (wanted, position) = (wanted + 1, position + 1);
        }
    }

    /// What a place near home says, if 32 bits of the hash agree: the usual lookup of a connection's
    /// segment, without a mark. It may be a ghost, of an entry that is there no more: whoever takes
    /// it up looks whether the record is live, and its own. Then it is the entry, wherever in the
    /// table that stands now.
    #[inline(always)]
    pub(crate) fn near(&self, hash: u64) -> Option<Reference> {
        let tag = hash as u32;
        let slot = self.slot(tag as usize);
        if slot as u32 == tag { Some(reference_of(slot)) } else { self.near_beyond(tag) }
    }

    #[inline(never)]
    fn near_beyond(&self, tag: u32) -> Option<Reference> {
        let slots = (1..NEAR).map(|walked| self.slot(tag as usize + walked));
        slots.into_iter().find(|&slot| slot as u32 == tag).map(reference_of)
    }

    /// The lookup from the second position on: apart, so that the common case needs no loop.
    #[inline(never)]
    fn lookup_beyond(
        &self,
        tag: u32,
        mut is_it: impl FnMut(Reference) -> bool,
    ) -> Option<Reference> {
        let (mut wanted, mut position) = (mark_of(tag, 2), tag as usize + 1);
        loop {
            let mark = self.mark(position);
            if mark == wanted {
                let slot = self.slot(position);
                if slot as u32 == tag {
                    let reference = reference_of(slot);
                    if is_it(reference) {
                        return Some(reference);
                    }
                }
            }
            if mark & DISTANCE < wanted & DISTANCE || wanted & DISTANCE == DISTANCE {
                return None;
            }
            (wanted, position) = (wanted + 1, position + 1);
        }
    }

    /// Reads what a lookup of `hash` will read first, for the first pass over a burst, so that the
    /// misses of its frames overlap: the slot where an entry is `expected`, else the mark. What it
    /// says is nobody's business: it may be another's.
    #[inline(always)]
    pub(crate) fn touch(&self, hash: u64, expected: bool) -> u64 {
        let tag = hash as u32;
        if expected { self.slot(tag as usize) } else { self.mark(tag as usize) as u64 }
    }

    /// Adds an entry. The caller has looked: the same reference is not in the table.
    ///
    /// # Errors
    /// [`Full`] when the table is, or when an entry would end up too far from its home; nothing
    /// has changed then.
    #[inline(always)]
    pub(crate) fn insert(&mut self, hash: u64, reference: Reference) -> Result<(), Full> {
        if self.entries == self.entries_max {
            return Err(Full);
        }
        let tag = hash as u32;
        if self.mark(tag as usize) == 0 {
            self.set(tag as usize, mark_of(tag, 1), entry_of(tag, reference));
            self.entries += 1;
            return Ok(());
        }
        self.insert_beyond(tag, entry_of(tag, reference))
    }

    /// The insertion where the place at home is taken.
    #[inline(never)]
    fn insert_beyond(&mut self, tag: u32, entry: u64) -> Result<(), Full> {
        for walked in 1..=DISTANCE {
            let position = tag as usize + walked as usize - 1;
            let mark = self.mark(position);
            if mark == 0 {
                self.set(position, mark_of(tag, walked), entry);
                self.entries += 1;
                return Ok(());
            }
            if mark & DISTANCE < walked {
                return self.push_on(position, mark_of(tag, walked), entry);
            }
        }
        Err(Full)
    }

    /// Removes the entry of `hash` that holds `reference`; whether it was there.
    pub(crate) fn remove(&mut self, hash: u64, reference: Reference) -> bool {
        let tag = hash as u32;
        let Some(position) = self.find(tag, entry_of(tag, reference)) else { return false };
        self.take_out(position);
        true
    }

    /// The same for an entry that is known to be there: where no other looks like it, its slot is not
    /// read.
    #[inline(always)]
    pub(crate) fn forget(&mut self, hash: u64, reference: Reference) {
        let home = hash as u32 as usize;
        // Another entry of the same home would stand behind it, and so would one to be pulled back.
        if self.mark(home) & DISTANCE == 1 && self.mark(home.wrapping_add(1)) & DISTANCE <= 1 {
            debug_assert_eq!(self.slot(home), entry_of(hash as u32, reference), "not there");
            let mask = self.marks.len() - 1;
            self.marks[home & mask] = 0;
            self.entries -= 1;
            return;
        }
        self.forget_beyond(hash, reference);
    }

    /// The same where more than one position counts.
    #[inline(never)]
    fn forget_beyond(&mut self, hash: u64, reference: Reference) {
        let tag = hash as u32;
        let mut alike = None;
        for walked in 1..=DISTANCE {
            let position = tag as usize + walked as usize - 1;
            let mark = self.mark(position);
            if mark & DISTANCE < walked {
                break;
            }
            if mark == mark_of(tag, walked) && alike.replace(position).is_some() {
                self.remove(hash, reference);
                return;
            }
        }
        let Some(position) = alike else { return };
        debug_assert_eq!(self.slot(position), entry_of(tag, reference), "not there");
        self.take_out(position);
    }

    /// Empties a position: pulls back what follows, up to a gap or an entry that is at home. The table
    /// is never full, so there is one.
    fn take_out(&mut self, position: usize) {
        let mut position = position;
        loop {
            let next = position.wrapping_add(1);
            let mark = self.mark(next);
            if mark & DISTANCE <= 1 {
                break;
            }
            self.set(position, mark - 1, self.slot(next));
            position = next;
        }
        let mask = self.marks.len() - 1;
        self.marks[position & mask] = 0;
        self.entries -= 1;
    }

    /// Lets the entry of `hash` that holds `old` hold `new`: a connection that goes to TIME-WAIT keeps
    /// its slot. Whether it was there.
    #[inline(always)]
    pub(crate) fn replace(&mut self, hash: u64, old: Reference, new: Reference) -> bool {
        let tag = hash as u32;
        let (old, new) = (entry_of(tag, old), entry_of(tag, new));
        // If the entry is there, no ghost of it is at home: what stands at home then is another entry,
        // or itself.
        let position = if self.slot(tag as usize) == old {
            debug_assert_eq!(self.mark(tag as usize), mark_of(tag, 1), "a ghost was replaced");
            tag as usize
        } else {
            let Some(position) = self.find(tag, old) else { return false };
            position
        };
        let mask = self.slots.len() - 1;
        self.slots[position & mask] = new;
        true
    }

    /// Every entry, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Reference> + '_ {
        let all = self.marks.iter().zip(&self.slots);
        all.filter(|&(&mark, _)| mark != 0).map(|(_, &slot)| reference_of(slot))
    }

    /// How many entries there are.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.entries
    }

    /// Bytes of the arrays.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.slots) + size_of_val(&*self.marks)
    }

    /// The position of an entry.
    #[inline(never)]
    fn find(&self, tag: u32, entry: u64) -> Option<usize> {
        let (mut wanted, mut position) = (mark_of(tag, 1), tag as usize);
        loop {
            let mark = self.mark(position);
            if mark == wanted && self.slot(position) == entry {
                return Some(position);
            }
            if mark & DISTANCE < wanted & DISTANCE || wanted & DISTANCE == DISTANCE {
                return None;
            }
            (wanted, position) = (wanted + 1, position + 1);
        }
    }

    /// Puts `entry` at `position` and moves the rest of the run one place on, up to the next gap.
    #[inline(never)]
    fn push_on(&mut self, position: usize, mark: u8, entry: u64) -> Result<(), Full> {
        let mut shift = 0;
        loop {
            match self.mark(position.wrapping_add(shift)) & DISTANCE {
                0 => break,
                DISTANCE => return Err(Full),
                _ => {}
            }
            shift += 1;
            if shift > SHIFT_MAX {
                return Err(Full);
            }
        }
        for back in (0..shift).rev() {
            let from = position.wrapping_add(back);
            self.set(from.wrapping_add(1), self.mark(from) + 1, self.slot(from));
        }
        self.set(position, mark, entry);
        self.entries += 1;
        Ok(())
    }

    /// The mark at `position`, around the end. Masking with the length makes the bounds check vanish.
    #[inline(always)]
    fn mark(&self, position: usize) -> u8 {
        let marks = &*self.marks;
        marks[position & (marks.len() - 1)]
    }

    /// The slot at `position`, likewise.
    #[inline(always)]
    fn slot(&self, position: usize) -> u64 {
        let slots = &*self.slots;
        slots[position & (slots.len() - 1)]
    }

    #[inline(always)]
    fn set(&mut self, position: usize, mark: u8, slot: u64) {
        let mask = self.slots.len() - 1;
        self.slots[position & mask] = slot;
        let mask = self.marks.len() - 1;
        self.marks[position & mask] = mark;
    }
}

/// Positions that are near an entry's home: a line of slots, and where nearly all entries stand.
const NEAR: usize = 8;

/// The mark of an entry at the `walked`-th position from its home on, the home counted.
#[inline(always)]
const fn mark_of(tag: u32, walked: u8) -> u8 {
    (tag >> 24) as u8 & !DISTANCE | walked
}

#[inline]
fn entry_of(tag: u32, reference: Reference) -> u64 {
    (reference.0 as u64) << 32 | tag as u64
}

#[inline]
fn reference_of(slot: u64) -> Reference {
    Reference((slot >> 32) as u32)
}

/// A table has at least one gap, whatever is put into it.
const POSITIONS_MIN: usize = 16;

// Positions come from the tag.
const _: () =
    assert!((Reference::INDEX_LIMIT as usize * 4).div_ceil(3).next_power_of_two() <= 1 << 32);

#[cfg(test)]
mod tests;
