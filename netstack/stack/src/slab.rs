//! Records of one kind, named by a 32-bit index, taken and returned in LIFO order.
//!
//! ```text
//!   records   [ live | free | live | free | live | free ] ············· room up to the capacity
//!                        │      ┌──────┘             ▲  ▲
//!             free_head ─│──────│────────────────────┘  └ high water: nothing beyond was ever written
//!                        ▼      │
//!                      NONE ◀───┘  the link lies in the free record itself: no byte beside the records
//! ```
//! LIFO, because the record returned last is the one most likely still in cache. Address space for
//! the whole capacity is taken at construction, but a record is first written when it is first
//! needed, so ten million records that never come cost no memory on a machine that pages lazily.
//!
//! The slab knows nothing of generations: whoever keeps an index across an upcall checks that the
//! record is still the one it meant.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// No record: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// A record that lends four of its bytes to the free list while it is free.
pub(crate) trait Linked: Copy {
    /// What a record is before it is first taken.
    const BLANK: Self;

    /// The four bytes: any field that means nothing while the record is free.
    fn link(&mut self) -> &mut u32;
}

/// Records of one kind. All memory is taken at construction.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    records: Vec<T>,
    capacity: u32,
    free_head: u32,
    live: u32,
}

impl<T: Linked> Slab<T> {
    /// Room for `capacity` records, none of them live.
    pub(crate) fn new(capacity: u32) -> Slab<T> {
        Slab { records: Vec::with_capacity(capacity as usize), capacity, free_head: NONE, live: 0 }
    }

    /// Makes `record` live and returns its index; `None` when all are.
    #[inline]
    pub(crate) fn alloc(&mut self, record: T) -> Option<u32> {
        let (index, place) = self.take()?;
        *place = record;
        Some(index)
    }

    /// The same for a record that is made in its place: made elsewhere it would have to be copied
    /// there. What lies in the place is of no meaning.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<(u32, &mut T)> {
        if self.free_head == NONE {
            self.grow();
        }
        let index = self.free_head;
        let place = self.records.get_mut(index as usize)?;
        self.free_head = *place.link();
        self.live += 1;
        Some((index, place))
    }

    /// Record `index`, if there ever was one.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.records.get(index as usize)
    }

    /// Record `index`, to be changed, if there ever was one.
    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.records.get_mut(index as usize)
    }

    /// Returns a record. It must be live: the slab cannot tell.
    #[inline]
    pub(crate) fn free(&mut self, index: u32) {
        if let Some(record) = self.records.get_mut(index as usize) {
            debug_assert!(self.live > 0, "more records freed than taken");
            debug_assert_ne!(self.free_head, index, "record {index} freed twice");
            *record.link() = self.free_head;
            self.free_head = index;
            self.live -= 1;
        }
    }

    /// How many records are live.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// How many records can be live.
    #[inline]
    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many records were ever live at once.
    pub(crate) fn high_water(&self) -> u32 {
        self.records.len() as u32
    }

    /// Frees a record that was never used, if there is one. `push` stays within what `new` reserved.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let index = self.records.len() as u32;
        if index < self.capacity {
            self.records.push(T::BLANK);
            *self.records[index as usize].link() = NONE;
            self.free_head = index;
        }
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.records[index as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.records[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::{Linked, Slab};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Record {
        value: u64,
        link: u32,
    }

    impl Linked for Record {
        const BLANK: Record = Record { value: 0, link: 0 };

        fn link(&mut self) -> &mut u32 {
            &mut self.link
        }
    }

    fn record(value: u64) -> Record {
        Record { value, link: 7 }
    }

    #[test]
    fn the_record_returned_last_is_taken_first() {
        let mut slab = Slab::new(3);
        let indices: Vec<u32> = (0..3).filter_map(|value| slab.alloc(record(value))).collect();
        assert_eq!(indices, [0, 1, 2]);
        slab.free(0);
        slab.free(2);
        assert_eq!(slab.alloc(record(8)), Some(2));
        assert_eq!(slab.alloc(record(9)), Some(0));
    }

    #[test]
    fn a_full_slab_refuses_and_recovers() {
        let mut slab = Slab::new(1);
        assert_eq!(slab.alloc(record(1)), Some(0));
        assert_eq!(slab.alloc(record(2)), None);
        slab.free(0);
        assert_eq!(slab.alloc(record(3)), Some(0));
        assert_eq!((slab.live(), slab.high_water(), slab.capacity()), (1, 1, 1));
        assert_eq!(Slab::<Record>::new(0).alloc(record(1)), None);
    }

    proptest! {
        /// Whatever is taken and returned, live records keep their value, no index is handed out
        /// twice, and memory is never taken again after construction.
        #[test]
        fn live_records_are_never_shared(steps in prop::collection::vec(any::<(bool, u8)>(), 1..300)) {
            const CAPACITY: u32 = 20;
            let mut slab = Slab::new(CAPACITY);
            let memory = slab.records.as_ptr();
            let mut live: Vec<(u32, u64)> = Vec::new();
            for (step, (take, pick)) in steps.into_iter().enumerate() {
                if take {
                    match slab.alloc(record(step as u64)) {
                        Some(index) => {
                            prop_assert!(live.iter().all(|&(other, _)| other != index));
                            live.push((index, step as u64));
                        }
                        None => prop_assert_eq!(live.len() as u32, CAPACITY),
                    }
                } else if !live.is_empty() {
                    let (index, _) = live.swap_remove(pick as usize % live.len());
                    slab.free(index);
                }
                prop_assert_eq!(slab.live() as usize, live.len());
                for &(index, value) in &live {
                    prop_assert_eq!(slab[index].value, value);
                }
            }
            prop_assert_eq!(slab.records.as_ptr(), memory);
        }
    }
}
