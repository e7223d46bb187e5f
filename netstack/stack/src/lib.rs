//! The per-core TCP/IP stack.
//!
//! A [`Worker`] is one core's stack. It owns its queue pairs, its tables, its memory, and the
//! application on top; nothing is shared with other cores but mailboxes. It has no clock, no
//! randomness and no I/O of its own: time is an argument, seeds come with the configuration, frames
//! come and go through [`penstock_queue::QueuePair`]. So the same worker runs in the simulator, on
//! a TAP device, on a card, and any run can be replayed.
//!
//! ```text
//!   frame ─▶ receive.rs ──▶ tcp/input.rs ──▶ deliver.rs ──▶ App upcall
//!             (parse once,    (numbers in,     (bytes, from      │ downcalls (cx.rs) mark, do
//!              one lookup)     verdict out)     the frame)       ▼ not send
//!   frame ◀─ transmit.rs ◀─ tcp/output.rs ◀────────────── conclude()
//! ```
//!
//! Around that line: [`passive`] and [`halfopen`] (handshakes before there is a connection),
//! [`timewait`] (after), [`control`] and [`link`] (ICMP, UDP, ARP, NDP), [`attend`] and [`renumber`] (addresses
//! that come and go), [`mail`] and [`rfd`] (other cores).
#![no_std]
#![allow(rustdoc::private_intra_doc_links)]

#[cfg(any(test, loom))]
extern crate std;

extern crate alloc;

mod app;
mod arp;
mod attend;
mod check;
pub mod config;
mod control;
mod cookie;
mod core;
mod counters;
mod cx;
mod deliver;
mod departure;
mod forward;
pub mod fuzz;
mod halfopen;
mod hash;
mod icmp;
mod interface;
mod limits;
mod link;
mod listen;
pub mod mail;
mod memory;
mod ndp;
mod neighbour;
mod packet;
mod passive;
mod pmtu;
mod predicted;
mod ratelimit;
mod ready;
mod receive;
mod refusal;
mod renumber;
pub mod rfd;
mod route;
mod scarcity;
mod secret;
mod sendqueue;
mod sip;
mod slab;
mod store;
mod sweep;
mod table;
mod tcp;
mod time;
mod timewait;
mod transmit;
mod udp;
mod wheel;
mod worker;

pub use app::{App, Close, ConnId, Datagram, Endpoint, ListenerId, UdpId};
pub use check::Census;
pub use config::{
    Capacity, Config, CongestionControl, Interface, KeepAlive, Route, SocketOptions, Steering,
    SynCookies, Tcp,
};
pub use counters::{Counters, Drop, Event};
pub use cx::{Cx, Info};
pub use departure::Origin;
pub use forward::Forwarded;
pub use interface::ConfigError;
pub use limits::{RECEIVE_WINDOW_BYTES_MAX, RECEIVE_WINDOW_BYTES_MIN};
pub use refusal::{ConnectError, ListenError, UdpError};
pub use tcp::State;
pub use time::{Duration, Instant, Wall};
pub use worker::{Turn, Worker};
