//! Any bytes, as what servers, routers and neighbours say to a control plane: it keeps its promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_control::fuzz::control(bytes));
