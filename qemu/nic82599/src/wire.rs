//! Wires: what carries frames away from the card and to it.
//!
//! A frame on a wire begins with the destination address and ends before the frame check sequence.

mod cable;
mod faulty;

pub use cable::{Cable, CableEnd};
pub use faulty::{Faulty, WireFaults};

/// The longest frame a card can send or take, in bytes.
pub const FRAME_MAX: usize = 16 * 1024;

/// The shortest frame on a wire.
pub(crate) const FRAME_MIN: usize = 60;

/// One end of a wire.
pub trait Wire {
    /// Takes a frame that queue `queue` sends. A wire that cannot take it loses it.
    fn send(&mut self, now_us: u64, queue: u32, frame: &[u8]);

    /// Fills `into` with the next frame and says its length; `None` if there is none now. `into`
    /// holds [`FRAME_MAX`] bytes.
    fn recv(&mut self, now_us: u64, into: &mut [u8]) -> Option<usize>;

    /// When the wire by itself next has a frame to move.
    fn deadline_us(&self) -> Option<u64> {
        None
    }
}

impl<W: Wire + ?Sized> Wire for Box<W> {
    fn send(&mut self, now_us: u64, queue: u32, frame: &[u8]) {
        (**self).send(now_us, queue, frame);
    }

    fn recv(&mut self, now_us: u64, into: &mut [u8]) -> Option<usize> {
        (**self).recv(now_us, into)
    }

    fn deadline_us(&self) -> Option<u64> {
        (**self).deadline_us()
    }
}

/// No wire: what is sent is gone, and nothing comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unplugged;

impl Wire for Unplugged {
    fn send(&mut self, _now_us: u64, _queue: u32, _frame: &[u8]) {}

    fn recv(&mut self, _now_us: u64, _into: &mut [u8]) -> Option<usize> {
        None
    }
}
