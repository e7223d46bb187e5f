//! The native driver of the Intel 82599, for one queue pair per core and nothing shared.
//!
//! ```text
//!   Nic::bring_up(device, memory, config) ─┬─▶ Nic          stays on one core: poll() looks after
//!                                          │                link, hangs, resets, statistics
//!                                          └─▶ Seed, Seed…  each goes to its core and becomes a
//!                                                           Queue, which is a QueuePair
//!   card ──▶ rx.rs ──▶ the stack ──▶ tx.rs ──▶ card          per core, by turns
//! ```
//!
//! | file | one thing |
//! |---|---|
//! | `config.rs`, `limits.rs`, `error.rs` | what is asked for, what is bounded, what can go wrong |
//! | `bring_up.rs`, `eeprom.rs`, `link.rs`, `filters.rs`, `steer.rs`, `interrupts.rs` | the port, in the datasheet's order |
//! | `queue.rs`, `rx.rs`, `tx.rs` | a queue pair: two rings, their frames, their doorbells |
//! | `nic.rs`, `recover.rs`, `statistics.rs` | what looks after the card while it runs |
//! | `shared.rs` | the only words that two cores see |
//! | `registers.rs` | access, waits that end, and where the registers of a ring are |
//!
//! A frame has one owner at a time: the card, from the descriptor's doorbell to its DD bit, or the
//! queue. It is never copied here. `rx.rs` and `tx.rs` know a ring by its registers' places and
//! nothing of the port, so that a virtual function can have the same rings.
//!
//! To have read: *Intel 82599 10 GbE Controller Datasheet* chapters 4.6, 7.1 and 7.2.
#![no_std]

extern crate alloc;

mod bring_up;
mod config;
mod eeprom;
mod error;
mod filters;
mod interrupts;
mod limits;
mod link;
mod nic;
mod queue;
mod recover;
mod registers;
mod rx;
mod shared;
mod statistics;
mod steer;
mod tx;

pub use config::{Config, Interrupts, Steer};
pub use error::{Error, Wait};
pub use filters::{Filters, Multicast};
pub use link::Link;
pub use nic::{Nic, Report};
pub use queue::{Queue, Seed};
pub use recover::Reason;
