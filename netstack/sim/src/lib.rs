//! A deterministic world in which anything can go wrong.
//!
//! Hosts with several cores run real workers over simulated cards; links lose, delay, reorder,
//! duplicate and damage frames; routers have smaller MTUs; hosts die and come back. Time is virtual
//! and everything random comes from one seed, so a seed is a whole story, told the same way each
//! time. While it runs, rules are checked ([`Check`]): bytes received are a prefix of bytes sent,
//! no chunk changes while a descriptor names it, no turn allocates, every connection ends, every
//! frame is accounted for.
//!
//! ```text
//!   plan.rs      what a world is made of; plan/chosen.rs picks it from a seed
//!   world.rs     the event queue; world/ending.rs judges what is left
//!   host.rs      workers on cores       foreign.rs   smoltcp as the other side
//!   card.rs      rings, RSS, Flow Director, offloads, late write-back
//!   link.rs      faults                 router.rs    prefixes, smaller MTUs
//!   traffic.rs   the application        ledger.rs    who says what to whom
//!   ladder.rs    scripts: one behaviour of TCP each, segment by segment
//!   observer.rs  what a host says in TCP must agree with what it was told
//! ```

mod card;
pub mod cli;
mod datagrams;
mod foreign;
mod frame;
pub mod fuzz;
mod heckler;
mod host;
mod ladder;
mod ledger;
mod link;
mod memory;
mod observer;
mod plan;
mod router;
mod scene;
mod smoke;
mod trace;
mod traffic;
mod world;

pub use card::CardPlan;
pub use datagrams::Question;
pub use ladder::{Failure as LadderFailure, Script as Ladder, SyntaxError};
pub use ledger::{Conversation, Ending, Opening, Reading, Script, Side};
pub use link::{Burst, Faults};
pub use penstock_fault::Rng;
pub use plan::{
    HostKind, HostPlan, Incident, Plan, Style, Topology, What, able_card, host_addr, host_mac,
    numbered_addr, roomy,
};
pub use router::{Prefix, RouterPlan, RouterPort};
pub use scene::{Check, Violation};
pub use smoke::{Failure, run_seed};
pub use trace::Trace;
pub use world::{Outcome, World};
