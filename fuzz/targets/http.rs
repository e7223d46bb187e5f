//! Any bytes, as requests with their bodies: cut anywhere, they must come to the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_http::fuzz::http(bytes));
