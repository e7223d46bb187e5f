//! Any text, as a boot string, and what it says of a machine and of the demo server.
#![no_main]

use penstock_config::{Boot, Card};
use penstock_server::Arguments;
use penstock_stack::Steering;
use penstock_wire::Mac;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let boot = Boot::parse(text);
    let mut errors = boot.errors;
    let machine_is_good = errors.is_empty();
    if let Err(more) = Arguments::parse(&boot.application.words) {
        errors.extend(more);
    }
    for error in &errors {
        let line = error.to_string();
        assert!(!line.contains(char::is_control), "{line:?} moves a cursor");
    }
    if machine_is_good {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let card = Card { name: "tap".into(), mac, mtu: 1500, steering: Steering::Unknown };
        let _ = boot.machine.assemble(&[card], 1, [0; 32]);
    }
});
