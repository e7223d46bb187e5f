//! The boot string: one line of text that says what a machine is and what it runs.
//!
//! ```text
//!   ip=10.0.0.2/24 gateway=10.0.0.1 maxcpus=2 LOG=debug -- server -a 0.0.0.0:80 -k
//!   └────────── the machine ──────────────┘ └ environment┘  └ name ┘└─ its words ─┘
//! ```
//! The image takes it from its boot loader, `penstock-host` from its command line: the same string,
//! read by the same code. Machine keys are spelled as Linux spells them where Linux has them
//! (`Documentation/admin-guide/kernel-parameters`), words are quoted as in a POSIX shell, and what
//! stands behind `--` belongs to the application, which reports with the same [`Error`].
//!
//! Nothing stops at the first mistake: [`Boot::parse`] collects, the application adds its own, and
//! whoever boots prints them all and stops.
//!
//! | file | holds |
//! |---|---|
//! | `boot.rs` | the string as a whole: words, `--`, environment, words of boot loaders |
//! | `machine.rs` | the machine keys, and what they set |
//! | `log.rs` | `log=`: a syslog server |
//! | `sysctl.rs` | `sysctl.net.*`: the stack's knobs |
//! | `ip.rs` | `ip=` in Linux's full form and in CIDR notation |
//! | `fault.rs` | `fault=` and `steer=`: a worse network than the one that is there |
//! | `assemble.rs` | a machine and the cards it was found to have, as the stack's configuration |
//! | `haproxy.rs` | an HAProxy configuration: as text, as data, and how it comes along |
//! | `cpio.rs` | files in an archive |
//! | `error.rs` | what was wrong, for a person |
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod assemble;
mod boot;
pub mod cpio;
mod error;
mod fault;
pub mod haproxy;
mod ip;
mod limits;
mod log;
mod machine;
mod sysctl;

pub use assemble::{Automatic, Card};
pub use boot::{Application, Boot, Notice};
pub use error::{Error, nearest};
pub use ip::{Autoconf, Ip};
pub use limits::{BOOT_BYTES_MAX, ERRORS_MAX};
pub use log::Log;
pub use machine::{Console, Driver, Exit, Idle, Machine, PciAddress};
pub use penstock_fault::{Faults, Steer};
