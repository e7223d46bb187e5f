//! Any bytes as a configuration of HAProxy's, and as files that come along with an image.
#![no_main]

use penstock_config::haproxy::Delivery;
use penstock_config::haproxy::grammar::{File, Input};
use penstock_proxy::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut delivery = Delivery::default();
    if let Err(line) = delivery.add("", bytes) {
        assert!(!line.contains(char::is_control), "{line:?} moves a cursor");
    }
    let environment = [("NAME".to_string(), "10.0.0.1 x".to_string())];
    let file = delivery.configuration().unwrap_or(File { name: "x.cfg", bytes });
    let files = [file];
    for lenient in [false, true] {
        let delivered = &delivery;
        let input = Input { environment: &environment, delivered, lenient, ..Input::of(&files) };
        fuzz::configuration(&input);
    }
});
