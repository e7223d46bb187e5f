//! Records of a fixed number, of which each is in use or free.

use alloc::vec::Vec;

/// Records in use by their number, and the numbers of those that are free.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    records: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// Room for `count` records.
    pub(crate) fn new(count: usize) -> Slab<T> {
        Slab {
            records: (0..count).map(|_| None).collect(),
            free: (0..count as u32).rev().collect(),
        }
    }

    /// Puts a record in; its number, or `None` when all are in use.
    pub(crate) fn put(&mut self, record: T) -> Option<u32> {
        let number = self.free.pop()?;
        self.records[number as usize] = Some(record);
        Some(number)
    }

    /// Takes a record out.
    pub(crate) fn take(&mut self, number: u32) -> Option<T> {
        let record = self.records.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(record)
    }

    /// How many are in use.
    pub(crate) fn in_use(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// The record of this number.
    pub(crate) fn at(&self, number: u32) -> Option<&T> {
        self.records.get(number as usize)?.as_ref()
    }

    /// The record of this number.
    pub(crate) fn at_mut(&mut self, number: u32) -> Option<&mut T> {
        self.records.get_mut(number as usize)?.as_mut()
    }

    /// How many there can be: numbers are below.
    pub(crate) fn capacity(&self) -> usize {
        self.records.len()
    }
}
