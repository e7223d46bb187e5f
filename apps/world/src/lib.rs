//! Clients, a machine of one or more cores under test, and servers, on a wire that loses, delays,
//! repeats and damages frames: all of it from one seed, in virtual time. No turn of the machine may
//! allocate.
//!
//! The worlds of `penstock-sim` try the stack, with traffic and rules of their own; these try an
//! application, and whoever brings it says who talks to it and what it owes them. For tests alone.
//!
//! Clients are at 10.0.0.1, the machine at 10.0.0.2, servers from 10.0.0.3 on. A card spreads flows
//! over the machine's cores by a hash that the stack does not know, so whatever answers a connection
//! of its own has to cross by mail.

mod cable;
mod hosts;
mod wire;
mod world;

pub use cable::Cable;
pub use hosts::{BEGIN, addr, config, later, second_card, watched_turn, workers};
pub use wire::{Weather, Wire, core_of};
pub use world::{Judge, World};

use assert_no_alloc::AllocDisabler;

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;
