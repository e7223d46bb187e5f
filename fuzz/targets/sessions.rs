//! Any bytes, as a story of a whole proxy, its clients and its servers.
#![no_main]

// As the tests of the proxy have them, which play stories too.
#[path = "../../apps/proxy/tests/story/mod.rs"]
mod story;
#[path = "../../apps/proxy/tests/world/mod.rs"]
mod world;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    story::play(bytes);
});
