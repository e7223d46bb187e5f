//! The proxy: what an HAProxy configuration says, done per core.
//!
//! Pure code on the stack, like every application: no clock, no I/O, no allocation after the start.
//! Client and server of a session live on one core; what cores have to agree on (whose slot it is,
//! which server is up) they tell each other in words, never by shared memory.
//!
//! | file | holds |
//! |---|---|
//! | `source`, `unsupported`, `setup`, `pools`, `origin`, `cards`, `memory`, `summary` | from a configuration to what is frozen, and what it takes |
//! | `proxy` | the upcalls, handed on by what a connection is |
//! | `intake`, `inspection`, `rules`, `dispatch`, `retry`, `response`, `finish` | a session's way, in this order; its record is `session` |
//! | `acl`, `sample`, `view`, `known`, `hello`, `proxy_protocol`, `kept` | what rules look at |
//! | `balance`, `hash`, `waiting`, `queue`, `slots`, `elastic`, `rate`, `gauges` | who is next, and how many there may be |
//! | `table`, `counters`, `variables` | what is remembered of clients |
//! | `watch`, `check`, `observe`, `admin`, `resolve`, `transition`, `standing`, `warmup`, `server`, `backend` | how servers stand |
//! | `cores` | what cores tell each other of all this |
//! | `record`, `log`, `line`, `journal`, `identity`, `statistics`, `farewell` | what is told to people |
//! | `slab`, `limits` | how much there may be |
//! | `sound`, `fuzz` | for tests |
#![no_std]

#[cfg(test)]
extern crate std;

extern crate alloc;

pub mod acl;
mod admin;
mod backend;
mod balance;
mod cards;
pub mod check;
mod cores;
mod counters;
mod dispatch;
mod elastic;
mod farewell;
mod finish;
pub mod fuzz;
mod gauges;
mod hash;
pub mod hello;
mod identity;
mod inspection;
mod intake;
mod journal;
mod kept;
mod known;
mod limits;
pub mod line;
pub mod log;
mod memory;
mod observe;
mod origin;
mod pools;
mod proxy;
pub mod proxy_protocol;
mod queue;
mod rate;
mod record;
mod resolve;
mod response;
mod retry;
mod rules;
pub mod sample;
mod server;
mod session;
mod setup;
mod slab;
mod slots;
mod sound;
mod source;
mod standing;
mod statistics;
mod summary;
mod table;
mod transition;
mod unsupported;
mod variables;
mod view;
mod waiting;
mod warmup;
mod watch;

pub use cards::Cards;
pub use known::Known;
pub use memory::Needs;
pub use proxy::Proxy;
pub use server::Standing;
pub use setup::Setup;
pub use sound::Pool;
pub use source::{Read, inline, read, read_as};
pub use statistics::Statistics;
