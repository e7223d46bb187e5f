//! Bytes to numbers and back.
//!
//! Everything the stack knows of a frame it learns here: a format is parsed once, every length is
//! checked once, and what comes out is plain numbers and ranges. Nothing here allocates, keeps
//! state, or panics on any input.
#![no_std]

#[cfg(test)]
extern crate std;

mod address;
mod seq;
pub mod tcp;

pub use address::{Addr, Mac};
pub use seq::SeqNum;
