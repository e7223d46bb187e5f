//! Any bytes, through every parser of the wire crate and back.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_wire::fuzz::wire(bytes));
