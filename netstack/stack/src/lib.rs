//! The per-core TCP/IP stack.
#![no_std]

#[cfg(any(test, loom))]
extern crate std;

extern crate alloc;

#[allow(dead_code)]
mod hash;
#[allow(dead_code)]
mod slab;
#[allow(dead_code)]
mod table;
#[allow(dead_code)]
mod timewait;
#[allow(dead_code)]
mod wheel;
