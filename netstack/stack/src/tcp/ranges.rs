//! A bounded, sorted set of sequence ranges: what a peer holds out of order (the SACK scoreboard,
//! RFC 6675), and what we hold out of order for it (RFC 2018).
//!
//! ```text
//!   una/rcv_nxt          ranges[0]         ranges[1]
//!   ──┼───────────────[████████)─────────[█████)──────▶ sequence space
//! ```

use penstock_wire::SeqNum;

/// Ranges a set can hold; what lies further is forgotten (a scoreboard) or refused (a receiver).
pub(crate) const RANGES_MAX: usize = 16;

/// `[from, to)` on the sequence ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Range {
    pub(crate) from: SeqNum,
    pub(crate) to: SeqNum,
}

impl Range {
    #[inline]
    pub(crate) fn len(self) -> u32 {
        self.to - self.from
    }
}

/// Disjoint, non-adjacent ranges in ascending order, all within half of the ring.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Ranges {
    count: u8,
    ranges: [Range; RANGES_MAX],
}

/// What [`Ranges::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// All of it was known.
    Nothing,
    /// This many sequence numbers were new.
    New(u32),
    /// The set is full and the range touches none that it holds.
    Full,
}

impl Ranges {
    pub(crate) const EMPTY: Ranges =
        Ranges { count: 0, ranges: [Range { from: SeqNum(0), to: SeqNum(0) }; RANGES_MAX] };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Range] {
        &self.ranges[..(self.count as usize).min(RANGES_MAX)]
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<Range> {
        self.as_slice().first().copied()
    }

    #[inline]
    pub(crate) fn last(&self) -> Option<Range> {
        self.as_slice().last().copied()
    }

    /// The range that holds `seq`.
    pub(crate) fn containing(&self, seq: SeqNum) -> Option<Range> {
        self.as_slice()
            .iter()
            .copied()
            .find(|range| range.from.at_or_before(seq) && seq.before(range.to))
    }

    /// The first contiguous part of `[from, to)` that is in the set.
    pub(crate) fn common(&self, from: SeqNum, to: SeqNum) -> Option<Range> {
        let parts = self
            .as_slice()
            .iter()
            .map(|range| Range { from: range.from.max(from), to: range.to.min(to) });
        parts.into_iter().find(|part| part.from.before(part.to))
    }

    /// Sequence numbers in the set.
    #[cfg(test)]
    pub(crate) fn total(&self) -> u32 {
        self.as_slice().iter().map(|range| range.len()).sum()
    }

    /// Sequence numbers of `[from, to)` that are in the set.
    pub(crate) fn overlap(&self, from: SeqNum, to: SeqNum) -> u32 {
        let mut bytes = 0;
        for range in self.as_slice() {
            let (low, high) = (range.from.max(from), range.to.min(to));
            if low.before(high) {
                bytes += high - low;
            }
        }
        bytes
    }

    /// Adds `[from, to)`, joining what it touches.
    pub(crate) fn insert(&mut self, from: SeqNum, to: SeqNum) -> Inserted {
        if !from.before(to) {
            return Inserted::Nothing;
        }
        let known = self.overlap(from, to);
        let held = self.as_slice();
        // The run of ranges that touch the new one: [first, end).
        let first = held.iter().take_while(|range| range.to.before(from)).count();
        let end = first + held[first..].iter().take_while(|r| r.from.at_or_before(to)).count();
        let count = held.len();
        if first == end {
            if count == RANGES_MAX {
                return Inserted::Full;
            }
            self.ranges.copy_within(first..count, first + 1);
            self.ranges[first] = Range { from, to };
            self.count += 1;
            return Inserted::New(to - from);
        }
        let joined =
            Range { from: self.ranges[first].from.min(from), to: self.ranges[end - 1].to.max(to) };
        self.ranges[first] = joined;
        self.ranges.copy_within(end..count, first + 1);
        self.count -= (end - first - 1) as u8;
        if known == to - from { Inserted::Nothing } else { Inserted::New(to - from - known) }
    }

    /// Forgets everything before `seq`.
    #[inline]
    pub(crate) fn forget_before(&mut self, seq: SeqNum) {
        if !self.is_empty() {
            self.cut(seq);
        }
    }

    fn cut(&mut self, seq: SeqNum) {
        let held = self.as_slice();
        let gone = held.iter().take_while(|range| range.to.at_or_before(seq)).count();
        if gone > 0 {
            let count = held.len();
            self.ranges.copy_within(gone..count, 0);
            self.count -= gone as u8;
        }
        if self.count > 0 && self.ranges[0].from.before(seq) {
            self.ranges[0].from = seq;
        }
    }

    /// Forgets everything from `seq` on, which the highest range holds.
    pub(crate) fn forget_from(&mut self, seq: SeqNum) {
        let Some(last) = self.count.checked_sub(1) else { return };
        let last = &mut self.ranges[last as usize];
        last.to = seq;
        if last.from.at_or_after(seq) {
            self.forget_last();
        }
    }

    /// Forgets the highest range: makes room where lower ones matter more.
    pub(crate) fn forget_last(&mut self) {
        self.count = self.count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    //! The set agrees with a plain list of booleans, whatever is inserted, across the wrap.
    use super::*;
    use proptest::prelude::*;

    const SPACE: u32 = 200;

    fn model_runs(model: &[bool]) -> usize {
        let starts = model.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        starts + model[0] as usize
    }

    proptest! {
        #[test]
        fn agrees_with_a_bitmap(
            base in prop_oneof![Just(u32::MAX - 90), any::<u32>()],
            inserts in prop::collection::vec((0..SPACE, 1..40u32), 1..60),
            cut in 0..SPACE, trim in 0..40u32,
        ) {
            let base = SeqNum(base);
            let mut ranges = Ranges::EMPTY;
            let mut model = [false; SPACE as usize + 40];
            for (from, len) in inserts {
                let slice = &mut model[from as usize..(from + len) as usize];
                let fresh = slice.iter().filter(|held| !**held).count() as u32;
                match ranges.insert(base + from, base + from + len) {
                    Inserted::Full => prop_assert_eq!(ranges.as_slice().len(), RANGES_MAX),
                    Inserted::Nothing => prop_assert_eq!(fresh, 0),
                    Inserted::New(bytes) => {
                        prop_assert_eq!(bytes, fresh);
                        slice.fill(true);
                    }
                }
                prop_assert_eq!(ranges.as_slice().len(), model_runs(&model));
                prop_assert_eq!(ranges.total() as usize, model.iter().filter(|h| **h).count());
            }
            ranges.forget_before(base + cut);
            model[..cut as usize].fill(false);
            if let Some(last) = ranges.last() {
                let from = last.from.max(last.to - trim);
                ranges.forget_from(from);
                model[(from - base) as usize..].fill(false);
            }
            for (offset, held) in model.iter().enumerate() {
                let seq = base + offset as u32;
                prop_assert_eq!(ranges.containing(seq).is_some(), *held);
                prop_assert_eq!(ranges.overlap(seq, seq + 1), *held as u32);
            }
        }
    }
}
