//! The established table: from a tuple's hash to the record that holds the connection.
//!
//! Open addressing in one array of 8-byte slots. A slot holds 32 bits of the hash (the tag, whose
//! low bits are the slot's home position) and a [`Reference`], which says what kind of record and
//! which. One lookup per segment finds connections, half-open connections and TIME-WAIT alike.
//!
//! ```text
//!   position   4      5      6      7      8      9
//!   slot     [ e4 ] [ b5 ] [ f5 ] [ a5 ] [ c6 ] [    ]      home positions as digits
//!   distance   0      0      1      2      2
//! ```
//! Entries of a run are kept in the order of their homes ("Robin Hood"): a newcomer is put behind
//! those of its own home and pushes later homes one place on. So a lookup may stop at the first
//! entry that is nearer to its home than the lookup has walked, distances hardly vary, and removal
//! pulls the rest of the run back by one: there are no tombstones, and the last lookup after a
//! billion changes costs what the first one did.
//!
//! At most three quarters full (a power of two of slots: 10.7 to 21.4 bytes a connection), where a
//! lookup reads 2.5 slots on average. A newcomer that would put any entry [`PROBES_MAX`] from its
//! home is refused, which chance does not do; the caller counts it.

use alloc::boxed::Box;
use alloc::vec;

/// The most slots a lookup reads. Of 12.6 M entries in 16.8 M slots the farthest was 27 from home.
pub(crate) const PROBES_MAX: usize = 64;

/// The most entries one insertion pushes on. In the same table the longest run had 314.
pub(crate) const SHIFT_MAX: usize = 1024;

/// What a slot refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An index of the connections.
    Connection,
    /// An index of the half-open ring.
    HalfOpen,
    /// An index of the TIME-WAIT ring.
    TimeWait,
}

/// A kind in the top two bits, an index below 2^30 in the rest. Never zero, so that a slot of zeros
/// is an empty one and a fresh table needs no writing.
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
            Kind::Connection => 1,
            Kind::HalfOpen => 2,
            Kind::TimeWait => 3,
        };
        Reference(kind << 30 | (index & (Self::INDEX_LIMIT - 1)))
    }

    /// The kind.
    #[inline]
    pub(crate) const fn kind(self) -> Kind {
        match self.0 >> 30 {
            0 | 1 => Kind::Connection,
            2 => Kind::HalfOpen,
            _ => Kind::TimeWait,
        }
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
    /// Tag in the low half, reference in the high half: one load reads both. 0 is empty.
    slots: Box<[u64]>,
    entries: u32,
    entries_max: u32,
}

impl Table {
    /// Room for `entries` entries (at most 2^30), of whatever kinds.
    pub(crate) fn new(entries: u32) -> Table {
        let entries = entries.min(Reference::INDEX_LIMIT);
        let slots = (entries as usize * 4).div_ceil(3).next_power_of_two().max(SLOTS_MIN);
        Table { slots: vec![0; slots].into_boxed_slice(), entries: 0, entries_max: entries }
    }

    /// The entry of `hash` for which `is_it` holds. `is_it` is asked only where 32 bits of the hash
    /// agree: nearly always the entry sought.
    #[inline(always)]
    pub(crate) fn lookup(
        &self,
        hash: u64,
        mut is_it: impl FnMut(Reference) -> bool,
    ) -> Option<Reference> {
        let tag = tag_of(hash);
        let slot = self.slot(tag as usize);
        if slot as u32 == tag {
            let reference = reference_of(slot);
            if is_it(reference) {
                return Some(reference);
            }
        } else if slot == 0 {
            return None;
        }
        self.lookup_beyond(tag, is_it)
    }

    /// The lookup from the second slot on: apart, so that the common case needs no loop.
    #[inline(never)]
    fn lookup_beyond(
        &self,
        tag: u32,
        mut is_it: impl FnMut(Reference) -> bool,
    ) -> Option<Reference> {
        for distance in 1..PROBES_MAX {
            let slot = self.slot(tag as usize + distance);
            if slot as u32 == tag {
                let reference = reference_of(slot);
                if is_it(reference) {
                    return Some(reference);
                }
            } else if slot == 0 || self.distance(slot, tag as usize + distance) < distance {
                return None;
            }
        }
        None
    }

    /// Reads the slot at the home position of `hash`, for the first pass over a burst, so that the
    /// misses of its frames overlap. What it says is nobody's business: it may be another's.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.slot(tag_of(hash) as usize)
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
        let tag = tag_of(hash);
        let entry = (reference.0 as u64) << 32 | tag as u64;
        if self.slot(tag as usize) == 0 {
            self.set(tag as usize, entry);
            self.entries += 1;
            return Ok(());
        }
        self.insert_beyond(tag, entry)
    }

    /// The insertion where the slot at home is taken.
    #[inline(never)]
    fn insert_beyond(&mut self, tag: u32, entry: u64) -> Result<(), Full> {
        for distance in 0..PROBES_MAX {
            let position = tag as usize + distance;
            let slot = self.slot(position);
            if slot == 0 {
                self.set(position, entry);
                self.entries += 1;
                return Ok(());
            }
            if self.distance(slot, position) < distance {
                return self.push_on(position, entry);
            }
        }
        Err(Full)
    }

    /// Removes the entry of `hash` that holds `reference`; whether it was there.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, reference: Reference) -> bool {
        let tag = tag_of(hash);
        let entry = (reference.0 as u64) << 32 | tag as u64;
        let Some(mut position) = self.find(tag, entry) else { return false };
        // Pull back what follows, up to a gap or an entry that is at home. The table is never full,
        // so there is one.
        loop {
            let next = position.wrapping_add(1);
            let slot = self.slot(next);
            if slot == 0 || self.distance(slot, next) == 0 {
                break;
            }
            self.set(position, slot);
            position = next;
        }
        self.set(position, 0);
        self.entries -= 1;
        true
    }

    /// Lets the entry of `hash` that holds `old` hold `new`: a connection that goes from half-open
    /// to established to TIME-WAIT keeps its slot. Whether it was there.
    #[inline(always)]
    pub(crate) fn replace(&mut self, hash: u64, old: Reference, new: Reference) -> bool {
        let tag = tag_of(hash);
        let old = (old.0 as u64) << 32 | tag as u64;
        let new = (new.0 as u64) << 32 | tag as u64;
        let mask = self.slots.len() - 1;
        let home = &mut self.slots[tag as usize & mask];
        if *home == old {
            *home = new;
            return true;
        }
        let Some(position) = self.find(tag, old) else { return false };
        self.set(position, new);
        true
    }

    /// Every entry, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Reference> + '_ {
        self.slots.iter().filter(|&&slot| slot != 0).map(|&slot| reference_of(slot))
    }

    /// How many entries there are.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.entries
    }

    /// Bytes of the slots.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// The position of an entry.
    #[inline(never)]
    fn find(&self, tag: u32, entry: u64) -> Option<usize> {
        for distance in 0..PROBES_MAX {
            let position = tag as usize + distance;
            let slot = self.slot(position);
            if slot == entry {
                return Some(position);
            }
            if slot == 0 || self.distance(slot, position) < distance {
                return None;
            }
        }
        None
    }

    /// Puts `entry` at `position` and moves the rest of the run one place on, up to the next gap.
    #[inline(never)]
    fn push_on(&mut self, position: usize, entry: u64) -> Result<(), Full> {
        let mut shift = 0;
        loop {
            let slot = self.slot(position.wrapping_add(shift));
            if slot == 0 {
                break;
            }
            let moved = self.distance(slot, position.wrapping_add(shift)) + 1;
            shift += 1;
            if moved >= PROBES_MAX || shift > SHIFT_MAX {
                return Err(Full);
            }
        }
        for back in (0..shift).rev() {
            let slot = self.slot(position.wrapping_add(back));
            self.set(position.wrapping_add(back + 1), slot);
        }
        self.set(position, entry);
        self.entries += 1;
        Ok(())
    }

    /// The slot at `position`, around the end. Masking with the length makes the bounds check
    /// vanish.
    #[inline]
    fn slot(&self, position: usize) -> u64 {
        let slots = &*self.slots;
        slots[position & (slots.len() - 1)]
    }

    #[inline]
    fn set(&mut self, position: usize, slot: u64) {
        let slots = &mut *self.slots;
        let mask = slots.len() - 1;
        slots[position & mask] = slot;
    }

    /// How far `slot`, found at `position`, is from its home.
    #[inline]
    fn distance(&self, slot: u64, position: usize) -> usize {
        position.wrapping_sub(slot as u32 as usize) & (self.slots.len() - 1)
    }
}

/// The low half of the hash, never 0 so that no tag looks like an empty slot. The bit is given up
/// at the top: home positions use the low bits.
#[inline]
fn tag_of(hash: u64) -> u32 {
    hash as u32 | 1 << 31
}

#[inline]
fn reference_of(slot: u64) -> Reference {
    Reference((slot >> 32) as u32)
}

/// A table has at least one gap, whatever is put into it.
const SLOTS_MIN: usize = 16;

// Positions come from the tag below its top bit.
const _: () =
    assert!((Reference::INDEX_LIMIT as usize * 4).div_ceil(3).next_power_of_two() <= 1 << 31);

#[cfg(test)]
mod tests;
