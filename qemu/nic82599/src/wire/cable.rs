//! A cable in memory between two cards of one process.

use super::Wire;
use std::collections::VecDeque;

/// Two lanes of frames; each side holds one end at a time.
#[derive(Clone, Debug, Default)]
pub struct Cable {
    lanes: [VecDeque<Vec<u8>>; 2],
}

/// One end of a [`Cable`], for as long as its card is stepped.
#[derive(Debug)]
pub struct CableEnd<'a> {
    out: &'a mut VecDeque<Vec<u8>>,
    back: &'a mut VecDeque<Vec<u8>>,
}

impl Cable {
    /// The end of side `side`, 0 or 1.
    pub fn end(&mut self, side: usize) -> CableEnd<'_> {
        let [first, second] = &mut self.lanes;
        if side == 0 {
            CableEnd { out: first, back: second }
        } else {
            CableEnd { out: second, back: first }
        }
    }

    /// Takes the oldest frame that side `side` has sent.
    pub fn take(&mut self, side: usize) -> Option<Vec<u8>> {
        self.lanes[side & 1].pop_front()
    }

    /// Sends `frame` from side `side` by hand.
    pub fn put(&mut self, side: usize, frame: &[u8]) {
        self.end(side).send(0, 0, frame);
    }
}

impl CableEnd<'_> {
    /// What this end has sent and the other has not taken yet.
    #[cfg(test)]
    pub(crate) fn sent(&mut self) -> &mut VecDeque<Vec<u8>> {
        self.out
    }
}

impl Wire for CableEnd<'_> {
    fn send(&mut self, _now_us: u64, _queue: u32, frame: &[u8]) {
        if self.out.len() < FRAMES_MAX {
            self.out.push_back(frame.to_vec());
        }
    }

    fn recv(&mut self, _now_us: u64, into: &mut [u8]) -> Option<usize> {
        let frame = self.back.pop_front()?;
        let length = frame.len().min(into.len());
        into[..length].copy_from_slice(&frame[..length]);
        Some(length)
    }
}

/// Frames that a lane holds; a lane nobody empties loses what comes after.
const FRAMES_MAX: usize = 65_536;
