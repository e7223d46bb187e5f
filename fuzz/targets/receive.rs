//! Any bytes, as a story told to a worker: its tables must agree after each step.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_stack::fuzz::receive(bytes));
