//! Any bytes, as everything that firmware and boot loaders hand over.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_kernel::firmware::fuzz::firmware(bytes));
