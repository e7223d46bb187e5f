//! Any bytes as a configuration of HAProxy's, and as files that come along with an image.
#![no_main]

use penstock_config::haproxy::Delivery;
use penstock_config::haproxy::grammar::{File, Input, read};

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
        let reading =
            read(&Input { environment: &environment, delivered, lenient, ..Input::of(&files) });
        for message in &reading.messages {
            let line = message.line(1).to_string();
            let moves =
                |character: char| character.is_control() && !matches!(character, '\n' | '\t');
            assert!(!line.contains(moves), "{line:?} moves a cursor");
        }
    }
});
