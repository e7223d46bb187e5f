//! The control plane: addresses, names and the time of day, below any application.
//!
//! It lives on core 0 beside that core's worker, and what it finds out every core is told by mail. An
//! application that wants to know implements [`Application`].
#![no_std]

extern crate alloc;

mod application;

pub use application::{Application, NameId};
