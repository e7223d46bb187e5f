//! Bytes between two connections: the one engine for whoever stands between a client and a server.
//!
//! ```text
//!   client ──on_data──▶ send(server) ─▶ server      what does not fit is refused: it waits in the
//!                            ▲                      client's store, the window closes
//!          ──forward────────┘ on_acknowledged, on_connected: and goes on from there
//! ```
//! and the same in the other direction. A byte is copied once, from the frame into the send buffer
//! (frames go back to their ring in the turn they came), and once more only if it had to wait. So a
//! session holds at most a window and a send buffer for each direction, and nothing of its own.
//!
//! Before the server has answered, the client's bytes wait where they are: none is lost if another
//! server must be asked, and they leave with the acknowledgement that completes the handshake.
//!
//! Each direction ends by itself: a FIN is passed on behind the last byte before it, and an end that
//! is silent for too long is taken to have ended. A connection that breaks takes the other with it,
//! by RST. A relay is part of an application: the application
//! calls it from its own upcalls, and learns from [`Ended`] what became of a session.
#![no_std]

extern crate alloc;

mod end;
mod relay;
mod timeouts;

pub use relay::{Ended, Manners, Opening, Reason, Relay, Said};
pub use timeouts::Timeouts;
