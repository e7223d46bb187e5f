//! Power button, power-off and reset, through ACPI's fixed hardware.
//!
//! The button's status bit is read twice a second by core 0, which is awake then anyway. That costs
//! half a second of delay and spares an I/O APIC driver with its level-triggered interrupt.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};
use spin::Once;
use x86_64::instructions::port::Port;

use crate::firmware::acpi::fadt::Power;
use crate::{clock, cores, idle, leave};

/// What the machine has, and the sleep type that means "off".
static HARDWARE: Once<(Power, Option<u8>)> = Once::new();

/// Somebody wants the machine to end its work.
static STOP: AtomicBool = AtomicBool::new(false);

const SCI_ENABLE: u16 = 1;
const SLEEP_ENABLE: u16 = 1 << 13;
const BUTTON: u16 = 1 << 8;

/// Takes the power hardware over from firmware.
pub(crate) fn open(power: Power, off: Option<u8>) {
    HARDWARE.call_once(|| (power, off));
    if let (Some(control), Some((command, byte))) = (power.control_port, power.enable) {
        let mut control = Port::<u16>::new(control);
        // SAFETY: ports and value are those of the FADT, whose checksum was right; section 4.8.2.5
        // of the ACPI specification describes exactly this.
        unsafe {
            if control.read() & SCI_ENABLE == 0 {
                Port::<u8>::new(command).write(byte);
                let begin = clock::now_ns();
                while control.read() & SCI_ENABLE == 0 && clock::now_ns() - begin < ENABLE_NS {}
            }
        }
    }
    if let (Some(event), true) = (power.event_port, has_button()) {
        // The enable register is behind the status register. A button that is not enabled does not
        // even set its status; the interrupt that comes with it ends at an I/O APIC that is masked.
        let enable = event + u16::from(power.event_bytes / 2);
        // SAFETY: as above, section 4.8.3.1.
        unsafe { Port::<u16>::new(enable).write(BUTTON) };
    }
    // What was pressed before we looked was not meant for us.
    let _ = button();
}

/// Whether there is a button that we can read.
pub(crate) fn has_button() -> bool {
    HARDWARE.get().is_some_and(|(power, _)| power.fixed_button && power.event_port.is_some())
}

/// Whether the button was pressed since the last call.
fn button() -> bool {
    let Some(port) =
        HARDWARE.get().filter(|_| has_button()).and_then(|(power, _)| power.event_port)
    else {
        return false;
    };
    let mut status = Port::<u16>::new(port);
    // SAFETY: the status register of the FADT; a one written clears that bit and no other.
    unsafe {
        let pressed = status.read() & BUTTON != 0;
        if pressed {
            status.write(BUTTON);
        }
        pressed
    }
}

/// Looks at the button; a second press leaves at once.
pub(crate) fn look() {
    if !button() {
        return;
    }
    if STOP.swap(true, Ordering::Release) {
        crate::notice!("power: button pressed again: leaving at once");
        leave::leave(leave::Outcome::Done);
    }
    crate::notice!("power: button pressed: stopping");
    // Some may have meant to sleep for long.
    (0..cores::count()).for_each(idle::wake);
}

/// Whether somebody wants the machine to end its work.
pub(crate) fn stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Switches the machine off; comes back only if that cannot be done.
pub(crate) fn off() {
    let hardware = HARDWARE.get().and_then(|(power, off)| power.control_port.zip(*off));
    if let Some((control, sleep_type)) = hardware {
        // SAFETY: the control register of the FADT; this is how section 7.4.2 says "off".
        unsafe { Port::new(control).write(u16::from(sleep_type) << 10 | SLEEP_ENABLE) };
        clock::spin_ns(WAIT_NS);
    }
    crate::notice!("power: this machine cannot be switched off");
}

/// Resets the machine: by the FADT's register, by the chipset's, by the keyboard controller.
pub(crate) fn reset() {
    let register = HARDWARE.get().and_then(|(power, _)| power.reset);
    for (port, byte) in register.into_iter().chain([(0xcf9, 0x02), (0xcf9, 0x06), (0x64, 0xfe)]) {
        // SAFETY: each of these resets the machine or does nothing.
        unsafe { Port::<u8>::new(port).write(byte) };
        clock::spin_ns(WAIT_NS / 10);
    }
    crate::notice!("power: this machine cannot be reset");
}

const ENABLE_NS: u64 = 300_000_000;
const WAIT_NS: u64 = 200_000_000;
