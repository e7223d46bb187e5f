//! Bytes to numbers and back.
//!
//! Everything the stack knows of a frame it learns here: a format is parsed once, every length is
//! checked once, and what comes out is plain numbers and offsets. Nothing here allocates, keeps
//! state, or panics on any input. Parsers refuse with one of [`Malformed`]; writers return how many
//! bytes they wrote, and 0 where the room given was too small.
//!
//! ```text
//!   ethernet ─┬─ arp
//!             └─ ip ─┬─ tcp      checksum and toeplitz are arithmetic over
//!                    ├─ udp      the same bytes
//!                    └─ icmp
//! ```
//!
//! TCP, UDP and ICMP share one address type for both families ([`Addr`]), and so one checksum.
#![no_std]

#[cfg(test)]
extern crate std;

mod address;
pub mod arp;
pub mod checksum;
pub mod ethernet;
mod fields;
pub mod fuzz;
pub mod icmp;
pub mod ip;
mod malformed;
pub mod plain;
#[cfg(test)]
mod samples;
mod seq;
pub mod tcp;
pub mod toeplitz;
pub mod udp;

pub use address::{Addr, Mac};
pub use malformed::Malformed;
pub use seq::SeqNum;
