//! Any bytes, as what the proxy reads before it knows whom it talks to; the first byte says what.
#![no_main]

use penstock_proxy::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::proxy(bytes));
