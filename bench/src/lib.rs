//! What a connection costs, counted, beside its peers.
//!
//! One scripted client talks to each stack through an in-memory card, in virtual time. Meters see
//! the stack's turns and nothing else.
//!
//! ```text
//!   client, conversation, frames, neighbour     the scripted client, its gateway, their bytes
//!   card, checksum                              two rings of 2 KB slots between client and stack
//!   subject: penstock, peer (smoltcp), reflector
//!   rings                                       the 82599 driver's rings, alone and below penstock
//!   world, scenario                             virtual time around them; the rows of the table
//!   callgrind, profile, locked, memory, wall    meters
//!   hosted                                      the hosted server and nginx, as processes of Linux
//!   overload, flood, churn                      what happens beyond and in the long run
//!   apps, counterpart                           the demo server, and whoever it talks to
//!   figures, report                             bounds, verdicts, the table
//! ```
//! To add a stack, implement [`subject::Subject`]. To add a row, add it to
//! [`scenario::Scenario::all`].

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

pub mod apps;
pub mod callgrind;
pub mod card;
pub mod checksum;
pub mod churn;
pub mod client;
pub mod conversation;
pub mod counterpart;
pub mod figures;
pub mod flood;
pub mod frames;
pub mod hosted;
pub mod image;
pub mod locked;
pub mod memory;
pub mod neighbour;
pub mod overload;
pub mod peer;
pub mod penstock;
pub mod profile;
pub mod reflector;
pub mod report;
pub mod rings;
pub mod scenario;
pub mod subject;
pub mod wall;
pub mod world;

/// Counts every allocation of the process.
#[global_allocator]
pub static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
