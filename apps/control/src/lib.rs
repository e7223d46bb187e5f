//! The control plane: addresses, names and the time of day, below any application.
//!
//! It lives on core 0 beside that core's worker, and what it finds out every core is told by mail.
//! [`WithControl`] wraps an application: the worker calls it, it calls the application. Pure code like
//! the stack: time comes with a turn, random bytes once, frames and datagrams through the stack; lines
//! for people wait until somebody prints them. Nothing here waits, and nothing is allocated after the
//! start.
//!
//! | file | holds |
//! |---|---|
//! | `plane.rs` | an application with the control plane beneath it: the upcalls, and what other cores do |
//! | `control.rs` | the control plane on core 0: its parts, brought together; within it `numbering.rs`: addresses |
//! | `plan.rs` | what it is told before it starts |
//! | `application.rs` | what an application may ask and hears |
//! | `journal.rs` | what the other cores are to be told, until they have heard it |
//! | `dhcp.rs` | the client of DHCP |
//! | `slaac.rs` | IPv6 addresses, routers and name servers from router advertisements |
//! | `dad.rs` | whether an address is another's |
//! | `resolver.rs`, `name.rs`, `dns.rs`, `hosts.rs` | names: questions; what is known, and for how long; the format; `etc/hosts` |
//! | `sntp.rs`, `clock.rs`, `date.rs` | time servers; the time of day; the calendar |
//! | `syslog.rs`, `lines.rs` | lines to a syslog server, and to whoever prints |
//! | `frame.rs` | whole frames, where there is no address to send from |
//! | `fuzz.rs` | any bytes as what servers, routers and neighbours say |
//! | `limits.rs` | every bound |
#![no_std]

#[cfg(test)]
extern crate std;

extern crate alloc;

mod application;
mod clock;
mod control;
mod dad;
mod date;
mod dhcp;
mod dns;
mod frame;
pub mod fuzz;
mod hosts;
mod journal;
mod limits;
mod lines;
mod name;
mod plan;
mod plane;
mod random;
mod resolver;
mod slaac;
mod sntp;
mod syslog;

pub use application::{Absence, Application, NameId};
pub use date::Date;
pub use limits::NAMES_MAX;
pub use lines::{Line, Severity};
pub use plan::{Link, Plan};
pub use plane::WithControl;
pub use syslog::Logger;
