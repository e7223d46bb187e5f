//! The appliance: one file that boots, and that is a server on its own driver and its own stack.
//!
//! The only place where everything meets. `boot.rs` reads the command line, finds the cards and gives
//! each core its worker; `card.rs` is an 82599 brought up on this machine; `serve.rs` is the loop of a
//! core, `departure.rs` the order in which cores leave it, `report.rs` what they say then; `control.rs` is
//! what prints for the control plane, `about.rs` what the demo server's page says of the machine; `tenant.rs`
//! is the one of the applications that the boot string names, and `proxy.rs` where the proxy's configuration
//! comes from. What they say to each other is in the crates below.
//!
//! ```text
//!   kernel ── Machine ──▶ boot.rs ── Card::bring_up ──▶ card.rs      core 0, before the others work
//!                            │
//!                            ├─ core 0: Worker, Nics ──▶ serve.rs     turn, rest, turn, ..
//!                            └─ core n: Worker ────────▶ serve.rs
//! ```
#![no_std]

#[cfg(test)]
extern crate std;

extern crate alloc;

mod about;
mod boot;
mod capacity;
mod card;
mod control;
mod departure;
mod proxy;
mod report;
mod serve;
mod tenant;

pub use boot::run;
