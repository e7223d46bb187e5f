//! The proxy: what an HAProxy configuration says, done per core.
//!
//! Pure code on the stack, like every application: no clock, no I/O, no allocation after the start.
//! Client and server of a session live on one core; what cores have to agree on (whose slot it is,
//! which server is up) they tell each other in words, never by shared memory.
#![no_std]

#[cfg(test)]
extern crate std;

extern crate alloc;

pub mod acl;
pub mod fuzz;
mod hash;
pub mod hello;
mod known;
pub mod line;
pub mod proxy_protocol;
pub mod sample;

pub use known::Known;
