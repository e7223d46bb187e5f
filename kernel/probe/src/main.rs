//! The test image: boots on our kernel and does what its command line asks behind `--`.
//!
//! `kernel/test` boots it and judges what it prints. Each word is one thing that a kernel must do, or
//! must notice.
#![cfg_attr(panic = "abort", no_std, no_main)]

extern crate alloc;

mod faults;
mod sleep;

use penstock_hw::Mmio;
use penstock_kernel::info;
use penstock_kernel::machine::{Core, Machine};
use penstock_kernel::{entropy, heap};

penstock_kernel::image!(run);

fn run(mut machine: Machine) {
    info!("probe: {} cores", machine.cores());
    for file in machine.files() {
        let sum = file.bytes.iter().fold(0u32, |sum, &byte| sum.wrapping_add(u32::from(byte)));
        info!("probe: file \"{}\" of {} bytes, sum {sum}", file.name, file.bytes.len());
    }
    for function in machine.functions() {
        info!("probe: pci {} is {:08x}", function.address, function.config.read32(0));
    }
    let words = machine.command_line().split_ascii_whitespace();
    let word = words.skip_while(|&word| word != "--").nth(1).unwrap_or("boot");
    let last = machine.cores() - 1;
    match word {
        "boot" => boot(),
        "hello" => everywhere(&mut machine, |core| info!("probe: core {} runs", core.id())),
        "timers" => everywhere(&mut machine, sleep::timers),
        "wake" => everywhere(&mut machine, sleep::wake),
        "serve" => everywhere(&mut machine, serve),
        // The faults happen on the last core, so that with two it is not the one that watches.
        "panic" => machine.start(last, |_| panic!("as the command line asked")),
        "null" => machine.start(last, |_| faults::null()),
        "overflow" => machine.start(last, |_| faults::overflow()),
        "execute" => machine.start(last, |_| faults::execute()),
        "write" => machine.start(last, |_| faults::write_code()),
        "divide" => machine.start(last, |_| faults::divide()),
        "allocate" => everywhere(&mut machine, faults::allocate),
        "wedge" => everywhere(&mut machine, move |core| faults::wedge(core, last)),
        "waits" => everywhere(&mut machine, sleep::waits),
        "wedge-0" => everywhere(&mut machine, |core| faults::wedge(core, 0)),
        other => panic!("probe: {other:?} is nothing that it can do"),
    }
}

fn everywhere(machine: &mut Machine, run: impl Fn(Core) + Copy + Send + 'static) {
    for id in 0..machine.cores() {
        machine.start(id, run);
    }
}

/// Entropy differs, and the heap gives back what it is given.
fn boot() {
    let mut bytes = [[0u8; 32]; 2];
    bytes.iter_mut().for_each(|bytes| entropy::fill(bytes));
    assert_ne!(bytes[0], bytes[1], "the same random bytes twice");
    let before = heap::usage().0;
    drop(alloc::vec![0u8; 100_000]);
    assert_eq!(heap::usage().0, before, "memory that was given back is still in use");
    info!("probe: random {:02x?}", bytes[0]);
}

/// What an appliance does at rest: turns, and halts until something happens.
fn serve(mut core: Core) {
    core.seal();
    info!("probe: core {} is at rest", core.id());
    while !core.stop_requested() {
        let now = core.turn();
        core.rest(now + 60_000_000_000, &mut || false);
    }
    info!("probe: core {} stops", core.id());
}
