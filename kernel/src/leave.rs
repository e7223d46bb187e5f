//! How a machine is left.
#![allow(unsafe_code)]

use spin::Once;
use x86_64::instructions::port::Port;

use crate::clock;
use crate::firmware::options::{Exit, Options};
use crate::power;

/// Why it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All work was done.
    Done,
    /// A core found a bug.
    Panic,
    /// What we were told cannot be done.
    Refused,
}

static OPTIONS: Once<Options> = Once::new();

/// These options hold from now on.
pub(crate) fn open(options: Options) {
    OPTIONS.call_once(|| options);
}

/// What the command line said.
pub(crate) fn options() -> Options {
    OPTIONS.get().copied().unwrap_or_default()
}

/// Leaves the machine as `exit=` says, after a panic not before `panic=` says. With
/// `exit=debug` QEMU ends with status 33 (done), 35 (panic) or 37 (refused).
pub fn leave(outcome: Outcome) -> ! {
    x86_64::instructions::interrupts::disable();
    let options = options();
    if outcome != Outcome::Done {
        match options.panic_seconds {
            0 => halt(),
            seconds => clock::spin_ns(seconds.max(0) as u64 * 1_000_000_000),
        }
    }
    match (options.exit, outcome) {
        (Exit::Debug, _) => debug_exit(outcome),
        (Exit::Acpi, _) | (Exit::Default, Outcome::Done) => power::off(),
        (Exit::Reboot, _) | (Exit::Default, _) => power::reset(),
    }
    halt()
}

/// Nothing, for ever.
pub(crate) fn halt() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}

fn debug_exit(outcome: Outcome) {
    let code: u32 = match outcome {
        Outcome::Done => 0x10,
        Outcome::Panic => 0x11,
        Outcome::Refused => 0x12,
    };
    // SAFETY: QEMU's isa-debug-exit, where the tests put it; elsewhere nobody listens there.
    unsafe { Port::new(0xf4).write(code) };
}
