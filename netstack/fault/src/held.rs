//! Frames that are held back, in memory taken at the start.

use alloc::boxed::Box;
use alloc::vec::Vec;

use penstock_queue::Checksums;
use penstock_stack::mail::{self, FRAME_BYTES_MAX};

/// A fixed number of frames that wait, or are being shown to the worker.
#[derive(Debug)]
pub(crate) struct Held {
    slots: Vec<Slot>,
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Slot {
    bytes: Box<mail::Buffer>,
    len: usize,
    /// What the card said of it.
    pub(crate) checksums: Checksums,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Until this many frames have passed; each look without a frame counts as little as a frame's
    /// [`LOOKS_PER_FRAME`]th part.
    Waiting(u32),
    Shown,
}

impl Slot {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Held {
    pub(crate) fn new(count: usize) -> Held {
        let slot = || Slot {
            bytes: Box::new([0; FRAME_BYTES_MAX]),
            len: 0,
            checksums: Checksums::Unverified,
            state: State::Free,
        };
        Held { slots: (0..count).map(|_| slot()).collect() }
    }

    /// Keeps a copy of `bytes` until `frames` others have passed. `false`: no room, or too long.
    pub(crate) fn keep(&mut self, bytes: &[u8], checksums: Checksums, frames: u32) -> bool {
        let Some(slot) = self.free().filter(|_| bytes.len() <= FRAME_BYTES_MAX) else {
            return false;
        };
        slot.bytes[..bytes.len()].copy_from_slice(bytes);
        slot.len = bytes.len();
        slot.checksums = checksums;
        slot.state = State::Waiting(frames * LOOKS_PER_FRAME);
        true
    }

    /// Lets `fill` write a frame into a free slot; it says how long it is. Its index, already shown.
    pub(crate) fn fill(
        &mut self,
        fill: impl FnOnce(&mut mail::Buffer) -> Option<(usize, Checksums)>,
    ) -> Option<usize> {
        let at = self.slots.iter().position(|slot| slot.state == State::Free)?;
        let slot = &mut self.slots[at];
        (slot.len, slot.checksums) = fill(&mut slot.bytes)?;
        slot.state = State::Shown;
        Some(at)
    }

    /// A frame went by.
    pub(crate) fn pass(&mut self) {
        self.count_down(LOOKS_PER_FRAME);
    }

    /// Somebody looked.
    pub(crate) fn look(&mut self) {
        self.count_down(1);
    }

    /// The next frame that has waited long enough; it is shown from now on.
    pub(crate) fn next_due(&mut self) -> Option<usize> {
        let at = self.slots.iter().position(|slot| slot.state == State::Waiting(0))?;
        self.slots[at].state = State::Shown;
        Some(at)
    }

    /// The frame at `at`.
    pub(crate) fn at(&self, at: usize) -> &Slot {
        &self.slots[at]
    }

    /// The frame's bytes, to be damaged: what a card said of its checksums counts no more.
    pub(crate) fn bytes_mut(&mut self, at: usize) -> &mut [u8] {
        let Slot { bytes, len, checksums, .. } = &mut self.slots[at];
        *checksums = Checksums::Unverified;
        &mut bytes[..*len]
    }

    /// All that were shown have been seen.
    pub(crate) fn release_shown(&mut self) {
        let shown = self.slots.iter_mut().filter(|slot| slot.state == State::Shown);
        shown.for_each(|slot| slot.state = State::Free);
    }

    /// Whether any frame waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.state, State::Waiting(_)))
    }

    /// Whether another frame can be kept.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.iter().any(|slot| slot.state == State::Free)
    }

    fn free(&mut self) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.state == State::Free)
    }

    fn count_down(&mut self, by: u32) {
        for slot in &mut self.slots {
            if let State::Waiting(left) = &mut slot.state {
                *left = left.saturating_sub(by);
            }
        }
    }
}

/// A quiet line delivers what it holds after this many looks for each frame it would have waited
/// for.
const LOOKS_PER_FRAME: u32 = 16;
