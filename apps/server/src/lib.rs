//! The demo server: Fastsocket's, by its options, with enough on top to try a stack from outside.
//!
//! ```text
//!   server -w 1 -c 1 -a 0.0.0.0:80 -k -v services=echo
//! ```
//! answers 200 to any request, and knows a few paths that do something else:
//!
//! ```text
//!   server.rs      the upcalls, handed on by what a connection is
//!   web.rs         requests, one after the other   path.rs      what a target asks for
//!   answer.rs      what is sent, from where it stopped
//!   services.rs    echo, discard, chargen          pattern.rs   bytes that anyone can check
//!   proxy.rs       backends, for the relay
//!   page.rs        the page at `/`                 board.rs      what the cores tell for it
//!   arguments.rs   the command line                statistics.rs
//! ```
//! Back-pressure is the only queue: while an answer does not fit into the send buffer, what the
//! client says next is refused, the window closes, and a client that never reads is a bounded
//! client. Answers are not kept but made again from where they stopped. A connection costs a record
//! of fixed size, time and the pool of half-read heads are bounded, and nothing allocates after
//! start.
#![no_std]

#[cfg(test)]
extern crate std;

extern crate alloc;

mod answer;
mod arguments;
mod board;
mod client;
pub mod limits;
mod page;
mod path;
mod pattern;
mod proxy;
mod server;
mod services;
mod statistics;
mod web;

pub use arguments::{Arguments, Service};
pub use board::Board;
pub use pattern::{PATTERN_BYTES, pattern_byte};
pub use server::Server;
pub use statistics::Statistics;
