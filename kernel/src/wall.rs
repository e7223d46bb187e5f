//! The battery-backed clock, read once.
#![allow(unsafe_code)]

use x86_64::instructions::port::Port;

use crate::firmware::rtc::{self, Registers};

/// Seconds since 1970, if the clock is there and set.
pub(crate) fn unix_seconds() -> Option<u64> {
    // Two readings that agree were not torn by an update, which takes two milliseconds a second.
    let mut last = registers();
    for _ in 0..READINGS_MAX {
        let now = registers();
        if now == last {
            return rtc::unix_seconds(&now);
        }
        last = now;
    }
    None
}

fn registers() -> Registers {
    Registers {
        second: read(0),
        minute: read(2),
        hour: read(4),
        day: read(7),
        month: read(8),
        year: read(9),
        status_b: read(11),
    }
}

fn read(register: u8) -> u8 {
    // SAFETY: reading the clock's registers changes nothing but the index; NMIs stay enabled.
    unsafe {
        Port::<u8>::new(0x70).write(register);
        Port::<u8>::new(0x71).read()
    }
}

const READINGS_MAX: u32 = 1_000;
