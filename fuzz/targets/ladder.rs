//! Any bytes, as a ladder script: read, or refused with a place that exists.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_sim::fuzz::ladder(bytes));
