//! The kernel: a bare machine, made into values.
//!
//! There is no system call and no process here. `boot` takes a machine from its loader to the
//! image's `main`, which finds a [`Machine`](machine::Machine) with cores, memory and PCI functions,
//! and gives each core a function to run for good. What the kernel then still does is little: it ends
//! a core's halt, tells the time, watches, and says why everything stopped.
//!
//! This is the one crate that may talk to a processor, so each file with `unsafe` in it is about one
//! thing. Whatever can be decided from bytes alone is decided in [`firmware`], which has none.
//!
//! | file | is about |
//! |---|---|
//! | `boot`, `modules`, `fw_cfg` | the order of things, from the loader to `main`; files that it brought |
//! | `firmware/` | pure: loaders' structures, ACPI, the command line, the real-time clock |
//! | `layout`, `paging`, `frames`, `heap`, `stacks` | memory |
//! | `cores`, `smp`, `segments`, `interrupts`, `apic`, `cpuid` | processors |
//! | `machine`, `idle`, `handshake` | what an image sees of them; how a core sleeps and is woken |
//! | `clock`, `calibrate`, `wall`, `entropy` | time, and what cannot be guessed |
//! | `console`, `log` | lines for people |
//! | `stop`, `watch`, `backtrace`, `symbols`, `last_panic`, `leave`, `power` | the end |
//! | `pci` | devices: found, mapped, and given interrupts |
//! | `memory`, `asm/` | `memcpy` and its kin; entry code |
//!
//! All of it compiles on a host, where its pure parts are tested; entry points, the panic handler and
//! the allocator exist only in a build that aborts on panic, which is how an image is built.
#![no_std]

#[cfg(test)]
extern crate std;

extern crate alloc;

mod apic;
mod backtrace;
mod boot;
mod calibrate;
pub mod clock;
mod console;
pub mod cores;
mod cpuid;
pub mod entropy;
pub mod firmware;
pub mod frames;
mod fw_cfg;
mod handshake;
pub mod heap;
pub mod idle;
mod interrupts;
mod last_panic;
mod layout;
pub mod leave;
pub mod log;
pub mod machine;
mod memory;
mod modules;
pub mod paging;
pub mod pci;
mod power;
#[cfg(test)]
mod second_opinion;
mod segments;
mod smp;
mod stacks;
mod stop;
mod symbols;
mod wall;
mod watch;
