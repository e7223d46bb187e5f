//! Packet buffers with one owner each: the driver, or the device.
//!
//! ```text
//!      taken              given
//!   ─────┴──────────────────┴─────────▶  counts, modulo the number of frames
//!  driver's │  the device's  │  driver's
//! ```
//! Rings give and take in order, so two counts say who owns each of a thousand frames.
#![allow(unsafe_code)]

use alloc::rc::Rc;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::BusAddr;
use crate::dma::{Forever, Keeper};

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 2048;

/// Which frames are with the device.
#[derive(Debug)]
pub struct Custody {
    frames: u32,
    taken: Cell<u32>,
    given: Cell<u32>,
}

impl Custody {
    /// Whether frame `index` is with the device.
    #[inline]
    pub fn is_devices(&self, index: u32) -> bool {
        let taken = self.taken.get();
        let ahead = index.wrapping_sub(taken) & (self.frames - 1);
        ahead < self.given.get().wrapping_sub(taken)
    }

    /// How many frames there are.
    pub fn frames(&self) -> u32 {
        self.frames
    }
}

/// A pool of frames, given to the device and taken back in order. One core's.
#[derive(Debug)]
pub struct Frames<K = Forever> {
    base: NonNull<u8>,
    bus: BusAddr,
    mask: u32,
    custody: Rc<Custody>,
    _keeper: K,
}

impl<K: Keeper> Frames<K> {
    /// Of memory that [`Dma`](crate::Dma) owned.
    pub(crate) fn new(base: NonNull<u8>, bytes: usize, bus: BusAddr, keeper: K) -> Frames<K> {
        let fitting = bytes / FRAME_BYTES;
        assert!(fitting > 0, "memory for no frame");
        let frames = 1 << fitting.ilog2();
        let custody = Rc::new(Custody { frames, taken: Cell::new(0), given: Cell::new(0) });
        keeper.watch(bus, &custody);
        Frames { base, bus, mask: frames - 1, custody, _keeper: keeper }
    }
}

impl<K> Frames<K> {
    /// How many frames there are: a power of two.
    #[inline]
    pub fn count(&self) -> u32 {
        self.mask + 1
    }

    /// Where the device finds frame `index`, which wraps.
    #[inline]
    pub fn bus(&self, index: u32) -> BusAddr {
        self.bus.add(u64::from(index & self.mask) * FRAME_BYTES as u64)
    }

    /// How many are with the device.
    #[inline]
    pub fn given(&self) -> u32 {
        self.custody.given.get().wrapping_sub(self.custody.taken.get())
    }

    /// Gives the next `count` frames to the device.
    ///
    /// # Panics
    /// When there are not as many: a defect of the driver.
    #[inline]
    pub fn give(&mut self, count: u32) {
        assert!(count <= self.count() - self.given(), "frames given twice");
        self.custody.given.set(self.custody.given.get().wrapping_add(count));
    }

    /// Takes back the `count` frames that were given first, because the device has said that it is
    /// done with them, or has been stopped.
    ///
    /// # Panics
    /// When the device has not as many: a defect of the driver.
    #[inline]
    pub fn take(&mut self, count: u32) {
        assert!(count <= self.given(), "frames taken twice");
        self.custody.taken.set(self.custody.taken.get().wrapping_add(count));
    }

    /// Takes all back from a device that was stopped, and begins again with frame 0.
    pub fn restart(&mut self) {
        self.custody.taken.set(0);
        self.custody.given.set(0);
    }

    /// The bytes of frame `index`, which wraps.
    ///
    /// # Panics
    /// When the frame is with the device: a defect of the driver.
    #[inline]
    pub fn bytes(&self, index: u32) -> &[u8] {
        let base = self.checked(index);
        // SAFETY: `checked` gives a whole frame of ours that the device does not have. `give` and
        // `restart` need `&mut self`, so it stays so for as long as the slice lives.
        unsafe { core::slice::from_raw_parts(base, FRAME_BYTES) }
    }

    /// The bytes of frame `index`, which wraps, to be written.
    ///
    /// # Panics
    /// As [`bytes`](Self::bytes).
    #[inline]
    pub fn bytes_mut(&mut self, index: u32) -> &mut [u8] {
        let base = self.checked(index);
        // SAFETY: as in `bytes`, and `&mut self` excludes every other slice of this pool.
        unsafe { core::slice::from_raw_parts_mut(base, FRAME_BYTES) }
    }

    #[inline]
    fn checked(&self, index: u32) -> *mut u8 {
        assert!(!self.custody.is_devices(index), "frame {index} is with the device");
        let frame = (index & self.mask) as usize;
        // SAFETY: `new` counted the frames that fit into the memory.
        unsafe { self.base.as_ptr().add(frame * FRAME_BYTES) }
    }
}

#[cfg(test)]
mod tests {
    //! Proves that a frame has one owner: what is given cannot be read, nothing is given or taken
    //! twice, and counts may wrap.
    use super::*;
    use crate::fake::Memory;

    fn frames(count: usize) -> Frames<Memory> {
        let memory = Memory::new(count * FRAME_BYTES);
        memory.take(count * FRAME_BYTES).into_frames()
    }

    #[test]
    fn ownership_goes_round() {
        let mut frames = frames(4);
        frames.custody.taken.set(u32::MAX - 1);
        frames.custody.given.set(u32::MAX - 1);
        for round in 0..9u32 {
            let at = (u32::MAX - 1).wrapping_add(round);
            frames.bytes_mut(at)[0] = round as u8;
            frames.give(3);
            assert_eq!(frames.given(), 3);
            assert!(frames.custody.is_devices(at.wrapping_add(2)));
            assert!(!frames.custody.is_devices(at.wrapping_add(3)));
            frames.take(1);
            assert_eq!(frames.bytes(at)[0], round as u8);
            frames.take(2);
            let custody = &frames.custody;
            custody.taken.set(at.wrapping_add(1));
            custody.given.set(at.wrapping_add(1));
        }
    }

    #[test]
    #[should_panic(expected = "with the device")]
    fn a_given_frame_has_no_bytes() {
        let mut frames = frames(4);
        frames.give(1);
        frames.bytes(4);
    }

    #[test]
    #[should_panic(expected = "given twice")]
    fn a_frame_is_given_once() {
        frames(4).give(5);
    }

    #[test]
    #[should_panic(expected = "taken twice")]
    fn a_frame_is_taken_once() {
        let mut frames = frames(4);
        frames.give(1);
        frames.take(2);
    }

    #[test]
    fn frames_are_apart() {
        let frames = frames(5);
        assert_eq!(frames.count(), 4, "a power of two");
        assert_eq!(frames.bus(5).0 - frames.bus(0).0, FRAME_BYTES as u64);
        frames.bytes(3);
    }
}
