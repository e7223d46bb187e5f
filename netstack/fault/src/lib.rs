//! A worse network than the one that is there, on every ground, from a seed.
//!
//! Test machines rarely have a network that loses, reorders or damages frames, and never one that
//! brings them to the wrong core on purpose. [`FaultyQueue`] is a queue pair around another one, a
//! card's or a TAP's, that does all of it in both directions:
//!
//! ```text
//!   inner.recv() ─▶ elsewhere? ─▶ lost? ─▶ damaged? ─▶ held back? ─▶ repeated? ─▶ the worker
//!                       │                                  └──▶ [ held ] ──▶ later
//!                       └──▶ mail to the wrapper of another core
//!   the worker ─▶ lost? ─▶ damaged? ─▶ held back? ─▶ repeated? ─▶ inner.send()
//! ```
//! The same seed and the same frames give the same faults. Frames that are held back wait for
//! others to overtake them, or for a bounded number of turns; there is no clock here.
//!
//! [`Steer::Scramble`] stands for a card that spreads flows over its queues by a hash the stack does
//! not know: each TCP flow has one core, but which one only the seed says. Whatever must reach the
//! core that opened a connection then has to cross by mail.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod damage;
mod held;
mod queue;
mod rng;

pub use damage::damage;
pub use queue::{FaultyQueue, Tally};
pub use rng::{Rng, mix};

/// Shares of the frames that something happens to, in each direction, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Faults {
    /// Frames that vanish.
    pub loss_ppm: u32,
    /// Frames that later ones overtake.
    pub reorder_ppm: u32,
    /// Frames in which one burst of at most 15 bits is flipped.
    pub corrupt_ppm: u32,
    /// Frames that arrive twice.
    pub duplicate_ppm: u32,
    /// Where the randomness comes from.
    pub seed: u64,
}

impl Faults {
    /// Every frame arrives once, intact and in order.
    pub const NONE: Faults =
        Faults { loss_ppm: 0, reorder_ppm: 0, corrupt_ppm: 0, duplicate_ppm: 0, seed: 0 };

    /// Whether nothing ever happens.
    pub fn is_none(&self) -> bool {
        *self == Faults { seed: self.seed, ..Faults::NONE }
    }
}

/// Who decides at which core a frame arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Steer {
    /// The card.
    #[default]
    Card,
    /// A hash of the flow under the seed, for TCP.
    Scramble,
}
