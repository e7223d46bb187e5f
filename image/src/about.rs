//! What the page of the demo server says of this machine.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use penstock_kernel::heap;
use penstock_kernel::machine::Machine;
use penstock_stack::Capacity;

use crate::card::Card;

/// Facts that do not change any more, by name.
pub(crate) fn facts(
    machine: &Machine,
    cards: &[Card],
    cores: u16,
    capacity: &Capacity,
) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut say = |name: &str, value: String| facts.push((name.to_string(), value));
    say(
        "this is",
        concat!("Penstock ", env!("CARGO_PKG_VERSION"), ", on a bare machine").to_string(),
    );
    say("processor", machine.processor().to_string());
    say("cores", format!("{cores} of {}, each with a queue of each card", machine.cores()));
    for (number, Card { nic, description, address, .. }) in cards.iter().enumerate() {
        let (mac, link) = (description.mac, nic.link());
        say(
            &format!("card eth{number}"),
            format!("82599 at {address}, {mac}, {cores} queues, link {link}"),
        );
    }
    let (used, free) = heap::usage();
    let Capacity { connections, chunks, .. } = capacity;
    say("memory", format!("{} MiB for connections", (used + free) >> 20));
    say("room", format!("{connections} connections and {} KiB in flight on each core", chunks * 2));
    say("command line", machine.command_line().to_string());
    facts
}
