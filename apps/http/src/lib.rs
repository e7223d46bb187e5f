//! HTTP/1 messages as bytes bring them: RFC 9112, with RFC 9110 for what they mean.
//!
//! ```text
//!   bytes ─▶ Parser::advance ──▶ Request        a view of the head where it lies
//!              │ not all there                  (in the frame, where one segment holds it)
//!              ▼
//!            Gatherer                           one of a core's few buffers, until it is
//!
//!   bytes ─▶ Body::skip, ready, took            lengths and chunks, nothing kept
//!   bytes ◀─ Head                               status line and fields of an answer
//! ```
//! Nothing here allocates after start. The parser is its own because it must go on where it stopped
//! (a client may send a head byte by byte, and reading it from the beginning each time would let
//! 16 KB of attack cost a hundred megabytes of work), and because it must be strict where others
//! are kind: whatever two readers of a message may cut at different places is refused. What it
//! accepts, `httparse` accepts with the same meaning; a test holds it to that.
//!
//! However a message is cut into segments, the result is the same: that is what the target `http`
//! of `make fuzz` looks for.
#![no_std]

#[cfg(test)]
extern crate std;

extern crate alloc;

mod body;
mod bytes;
mod fields;
pub mod fuzz;
mod gather;
mod head;
pub mod limits;
mod parser;
mod refusal;
mod request;
mod status;

pub use body::Body;
pub use fields::{Field, Fields};
pub use gather::{Gather, Gatherer};
pub use head::Head;
pub use parser::Parser;
pub use refusal::Refusal;
pub use request::{Facts, Framing, Method, Request, Version};
pub use status::Status;
