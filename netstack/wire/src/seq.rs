//! TCP sequence numbers: a ring, so "before" and "after" instead of an order.

use core::ops::{Add, AddAssign, Sub};

/// A sequence number (RFC 9293 section 3.4). Deliberately not `Ord`: order on a ring holds only
/// within half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Strictly before `other`, given that they are less than 2^31 apart.
    #[inline]
    pub const fn before(self, other: SeqNum) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Strictly after `other`.
    #[inline]
    pub const fn after(self, other: SeqNum) -> bool {
        other.before(self)
    }

    /// `other` or before it.
    #[inline]
    pub const fn at_or_before(self, other: SeqNum) -> bool {
        !other.before(self)
    }

    /// `other` or after it.
    #[inline]
    pub const fn at_or_after(self, other: SeqNum) -> bool {
        !self.before(other)
    }

    /// The later of two.
    #[inline]
    pub const fn max(self, other: SeqNum) -> SeqNum {
        if self.before(other) { other } else { self }
    }

    /// The earlier of two.
    #[inline]
    pub const fn min(self, other: SeqNum) -> SeqNum {
        if other.before(self) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = SeqNum;

    #[inline]
    fn add(self, bytes: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(bytes))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, bytes: u32) {
        *self = *self + bytes;
    }
}

impl Sub<u32> for SeqNum {
    type Output = SeqNum;

    #[inline]
    fn sub(self, bytes: u32) -> SeqNum {
        SeqNum(self.0.wrapping_sub(bytes))
    }
}

/// The distance from `earlier` to `self`, on the ring.
impl Sub<SeqNum> for SeqNum {
    type Output = u32;

    #[inline]
    fn sub(self, earlier: SeqNum) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::SeqNum;

    #[test]
    fn order_survives_the_wrap() {
        let late = SeqNum(u32::MAX - 1);
        let wrapped = late + 4;
        assert_eq!(wrapped, SeqNum(2));
        assert!(late.before(wrapped) && wrapped.after(late));
        assert!(late.at_or_before(late) && late.at_or_after(late));
        assert_eq!(wrapped - late, 4);
        assert_eq!(late.max(wrapped), wrapped);
        assert_eq!(late.min(wrapped), late);
    }
}
