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
//! On a machine, with values that its kernel makes:
//!
//! ```no_run
//! use penstock_hw::{BusMap, Dma, Function, Mapped, Window};
//! use penstock_ixgbe::{Config, Error, Nic};
//! use penstock_queue::Rss;
//!
//! # fn start_core(core: u16, run: impl FnOnce() + Send) {}
//! # fn now_us() -> u64 { 0 }
//! fn run(
//!     function: Function<Window>,
//!     registers: Window,
//!     memory: Dma,
//!     bus: BusMap,
//!     delay_us: fn(u32),
//!     rss: Rss,
//! ) -> Result<(), Error> {
//!     function.enable();
//!     let device = Mapped::new(registers, bus, delay_us);
//!     let (mut nic, seeds) = Nic::bring_up(device, memory, Config::new(4, rss))?;
//!     for seed in seeds {
//!         start_core(seed.number(), move || {
//!             let queue = seed.start();
//!             // A worker of the stack takes the queue from here.
//!             # drop(queue);
//!         });
//!     }
//!     loop {
//!         let report = nic.poll(now_us());
//!         if let Some(link) = report.link {
//!             // Print it.
//!             # let _ = link;
//!         }
//!     }
//! }
//! ```
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
