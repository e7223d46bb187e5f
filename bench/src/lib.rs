//! What a connection costs, counted, beside its peers.
//!
//! One scripted client ([`client`], [`conversation`], [`frames`]) talks to each stack ([`subject`])
//! through an in-memory card ([`card`]) in virtual time ([`world`]).

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

pub mod callgrind;
pub mod card;
pub mod checksum;
pub mod churn;
pub mod client;
pub mod conversation;
pub mod figures;
pub mod flood;
pub mod frames;
pub mod locked;
pub mod memory;
pub mod neighbour;
pub mod overload;
pub mod peer;
pub mod penstock;
pub mod profile;
pub mod reflector;
pub mod report;
pub mod scenario;
pub mod subject;
pub mod wall;
pub mod world;

/// Counts every allocation of the process.
#[global_allocator]
pub static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
