//! The per-core TCP/IP stack.
#![no_std]

#[cfg(any(test, loom))]
extern crate std;

extern crate alloc;

#[allow(dead_code)]
mod cookie;
#[allow(dead_code)]
mod hash;
pub mod mail;
pub mod rfd;
#[allow(dead_code)]
mod secret;
#[allow(dead_code)]
mod slab;
#[allow(dead_code)]
mod table;
#[allow(dead_code)]
mod timewait;
#[allow(dead_code)]
mod wheel;
