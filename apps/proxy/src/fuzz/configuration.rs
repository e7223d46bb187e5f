//! A whole configuration, up to where a core would begin to run it.

use alloc::string::ToString;

use penstock_config::haproxy::grammar::{Input, Message, Severity, read};
use penstock_stack::Capacity;

use crate::memory::Needs;
use crate::setup::Setup;
use crate::unsupported;

/// Reads a configuration, and whatever can be run is numbered, compiled and measured.
///
/// # Panics
/// When that does, or when a message would move a terminal's cursor: defects of this crate or of
/// `penstock-config`.
pub fn configuration(input: &Input<'_>) {
    let reading = read(input);
    reading.messages.iter().for_each(is_plain);
    let Some(proxies) = reading.proxies else { return };
    let missing = unsupported::messages(&proxies);
    missing.iter().for_each(is_plain);
    if missing.iter().any(|message| message.severity == Severity::Alert) {
        return;
    }
    let Ok(setup) = Setup::number(proxies) else { return };
    for line in setup.summary() {
        assert!(!line.contains(char::is_control), "{line:?} moves a cursor");
    }
    for cores in [1, 64] {
        let _ = setup.check(cores);
        let capacity = setup.suited(Capacity::default(), cores);
        let needs = Needs::of(&setup, cores);
        assert!(needs.bytes(0, capacity.connections) >= needs.bytes(1, capacity.connections));
    }
}

fn is_plain(message: &Message) {
    let line = message.line(1).to_string();
    let moves = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    assert!(!line.contains(moves), "{line:?} moves a cursor");
}
