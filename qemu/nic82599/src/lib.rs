//! An emulated Intel 82599: what a driver sees of the card, without the card.
//!
//! The model has no thread, no clock and no I/O. Whoever holds a [`Card`] gives it register
//! accesses, the time, memory and a wire, and gets frames and interrupts back; the same calls in the
//! same order always give the same result.
//!
//! ```text
//!   driver ── read32/write32 ──▶ registers.rs ──▶ one block per file, plain values in storage.rs
//!
//!   step(now, memory, wire)
//!     link.rs        timers of the link                      interrupt.rs   causes ──▶ messages
//!     transmit.rs    ring ──▶ gather ──▶ offload.rs ──▶ wire (or back to receive: loopback)
//!     pause.rs       packet buffer ──▶ XOFF, XON ──▶ wire, and the other way
//!     receive.rs     wire ──▶ filter.rs ──▶ packet buffer ──▶ steer (flow_director.rs, rss.rs) ──▶ ring
//! ```
//!
//! **Two rules that drivers rely on.** A descriptor is written back only where its RS bit asks, in
//! ring order, the word with DD last. A cause that is pending when its mask opens sends its message
//! then.
//!
//! **A guest is hostile until proven otherwise.** Rings of absurd length, heads out of range,
//! addresses that nothing answers and lengths past any buffer end in a counted [`Loss`], never in a
//! panic, and no call does more than a bounded amount of work.
//!
//! What is not modelled, so that nobody looks for it: virtual functions and their mailbox, 5-tuple,
//! SYN and EtherType filters, header split, receive side coalescing, time stamps, IPsec, LinkSec,
//! Fibre Channel, traffic classes and their pauses. Their registers are stored and have no effect. Flow Director's
//! signature mode accepts its writes and steers nothing; IPv6 perfect filters never match.
//!
//! Datasheet: *Intel 82599 10 GbE Controller*; `penstock-ixgbe-regs` names the section of each
//! register.

mod card;
mod checksum;
mod crc;
mod eeprom;
mod faults;
mod filter;
mod flow_director;
pub mod fuzz;
mod interrupt;
mod link;
mod loss;
mod memory;
mod module;
mod offload;
mod packet;
mod pause;
mod pci;
mod receive;
mod registers;
mod ring;
mod rss;
mod serial;
mod statistics;
mod storage;
mod transmit;
mod wire;

pub use card::{Card, CardConfig, Progress, Reset};
pub use faults::{FaultScript, FaultSet, Faults};
pub use interrupt::Messages;
pub use loss::{Loss, Losses};
pub use memory::{FlatMemory, Memory, Unmapped};
pub use pci::ConfigSpace;
pub use wire::{Cable, CableEnd, FRAME_MAX, Faulty, Unplugged, Wire, WireFaults};
