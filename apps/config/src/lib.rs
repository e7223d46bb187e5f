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
//! Mistakes are collected, the application's with the machine's, and told all in one go.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod error;
mod limits;

pub use error::{Error, nearest};
pub use limits::{BOOT_BYTES_MAX, ERRORS_MAX};
