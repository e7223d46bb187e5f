//! Ranges of addresses: sorted, apart from each other, bounded in number.
//!
//! ```text
//!   firmware says      |####usable####|   |##usable##|##reserved##|      in any order, overlapping
//!   minus              the image, the modules, the first megabyte
//!   Ranges             [start..end)  [start..end)  ...                    disjoint, ascending
//! ```
//! The same list holds what the memory map says and what of it is still free, so that "free" is
//! what was added minus what was removed, in whichever order firmware mentions it.

use core::ops::Range;

/// At most this many pieces; QEMU has about ten, large servers a few dozen.
pub const RANGES_MAX: usize = 256;

/// Disjoint ranges in ascending order.
#[derive(Clone, Debug)]
pub struct Ranges {
    list: [(u64, u64); RANGES_MAX],
    count: usize,
}

impl Ranges {
    /// Nothing.
    pub const fn new() -> Ranges {
        Ranges { list: [(0, 0); RANGES_MAX], count: 0 }
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.list[..self.count].iter().map(|&(start, end)| start..end)
    }

    /// The bytes in all of them.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether all of this range is in one of them.
    pub fn contain(&self, range: &Range<u64>) -> bool {
        self.iter().any(|own| own.start <= range.start && range.end <= own.end)
    }

    /// Takes a range in; what touches or overlaps becomes one. A range too many is left out: memory
    /// that nobody knows of is lost, never used twice.
    pub fn add(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        let before = self.list[..self.count].partition_point(|&(_, own)| own < start);
        let mut after = before;
        while after < self.count && self.list[after].0 <= end {
            start = start.min(self.list[after].0);
            end = end.max(self.list[after].1);
            after += 1;
        }
        if before == after {
            if self.count == RANGES_MAX {
                return;
            }
            self.list.copy_within(before..self.count, before + 1);
            self.count += 1;
        } else {
            self.list.copy_within(after..self.count, before + 1);
            self.count -= after - before - 1;
        }
        self.list[before] = (start, end);
    }

    /// Takes a range out, wherever it is a part of others. Where that would make one piece too many,
    /// the upper piece is lost, as in [`Ranges::add`].
    pub fn remove(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let mut at = 0;
        while at < self.count {
            let (start, end) = self.list[at];
            if end <= range.start || range.end <= start {
                at += 1;
                continue;
            }
            let below = (start < range.start).then_some((start, range.start));
            let above = (range.end < end).then_some((range.end, end));
            match (below, above) {
                (Some(below), Some(above)) => {
                    self.list[at] = below;
                    if self.count < RANGES_MAX {
                        self.list.copy_within(at + 1..self.count, at + 2);
                        self.list[at + 1] = above;
                        self.count += 1;
                    }
                    return;
                }
                (Some(one), None) | (None, Some(one)) => {
                    self.list[at] = one;
                    at += 1;
                }
                (None, None) => {
                    self.list.copy_within(at + 1..self.count, at);
                    self.count -= 1;
                }
            }
        }
    }

    /// Removes and gives `bytes` at a multiple of `align` (a power of two), all of them below
    /// `limit`, from as high as possible: low addresses are what other things cannot do without.
    pub fn take(&mut self, bytes: u64, align: u64, limit: u64) -> Option<Range<u64>> {
        if bytes == 0 || !align.is_power_of_two() {
            return None;
        }
        let found = self.iter().rev().find_map(|range| {
            let start = range.end.min(limit).checked_sub(bytes)? & !(align - 1);
            (start >= range.start).then_some(start..start + bytes)
        })?;
        self.remove(found.clone());
        Some(found)
    }
}

impl Default for Ranges {
    fn default() -> Ranges {
        Ranges::new()
    }
}

#[cfg(test)]
mod tests {
    //! The list says of each address what a plain set would say, whatever was added and removed.

    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn of(list: &[Range<u64>]) -> Ranges {
        let mut ranges = Ranges::new();
        list.iter().for_each(|range| ranges.add(range.clone()));
        ranges
    }

    fn plain(ranges: &Ranges) -> std::vec::Vec<Range<u64>> {
        ranges.iter().collect()
    }

    #[test]
    fn what_touches_becomes_one() {
        assert!(of(&[10..20, 30..40, 20..30]).iter().eq(core::iter::once(10..40)));
        assert!(of(&[0..u64::MAX, 5..6]).iter().eq(core::iter::once(0..u64::MAX)));
    }

    #[test]
    fn memory_is_taken_from_the_top() {
        let mut ranges = of(&[0..0x1000, 0x2000..0x5800]);
        assert_eq!(ranges.take(0x1000, 0x1000, u64::MAX), Some(0x4000..0x5000));
        assert_eq!(ranges.take(0x1000, 0x1000, 0x3000), Some(0x2000..0x3000));
        assert_eq!(ranges.take(0x2000, 0x1000, u64::MAX), None);
        assert_eq!(plain(&ranges), [0..0x1000, 0x3000..0x4000, 0x5000..0x5800]);
        assert_eq!(ranges.take(0, 0x1000, u64::MAX), None);
        assert_eq!(ranges.take(u64::MAX, 1, u64::MAX), None);
    }

    #[test]
    fn a_piece_too_many_is_lost_and_not_doubled() {
        let mut ranges = Ranges::new();
        for n in 0..RANGES_MAX as u64 + 1 {
            ranges.add(n * 10..n * 10 + 5);
        }
        assert_eq!(ranges.iter().count(), RANGES_MAX);
        ranges.remove(1..2);
        assert_eq!(ranges.iter().next(), Some(0..1));
        assert!(!ranges.contain(&(2..5)));
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0u64..64, 0u64..64), 0..60)) {
            let mut ranges = Ranges::new();
            let mut set = [false; 64];
            for (add, start, end) in steps {
                if add { ranges.add(start..end) } else { ranges.remove(start..end) }
                (start..end).for_each(|at| set[at as usize] = add);
            }
            for at in 0..64 {
                prop_assert_eq!(ranges.contain(&(at..at + 1)), set[at as usize]);
            }
            let list = plain(&ranges);
            prop_assert!(list.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
