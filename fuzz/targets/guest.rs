//! Any bytes, as a guest that drives the emulated 82599: its books must agree after each command.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_nic82599::fuzz::guest(bytes));
