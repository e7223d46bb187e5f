//! The serial console.
//!
//! One lock, taken for a whole line, and only outside the data path: a worker that serves prints
//! nothing. A core that dies takes the lock away from whoever has it: that core is stopped, or is
//! itself.
#![allow(unsafe_code)]

use core::fmt::{self, Write};
use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};

use crate::firmware::options::Options;

static CONSOLE: Mutex<Console> = Mutex::new(Console { uart: None });

struct Console {
    uart: Option<Uart16550<PioBackend>>,
}

/// Opens the console that the options name; one that does not answer is none.
pub(crate) fn open(options: &Options) {
    let port = PORTS.get(usize::from(options.serial));
    let uart = port.and_then(|&port| {
        // SAFETY: these are the ports of the PC's serial lines; nobody else in the image uses them.
        let mut uart = unsafe { Uart16550::new_port(port) }.ok()?;
        let baud_rate = BaudRate::from_integer(options.baud);
        uart.init(Config { baud_rate, ..Config::DEFAULT }).ok()?;
        Some(uart)
    });
    CONSOLE.lock().uart = uart;
}

/// Writes, without another core's line in between.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    // What the console cannot take is lost: there is nobody to tell.
    let _ = CONSOLE.lock().write_fmt(text);
}

/// For a core that dies: whoever holds the console holds it no more.
pub(crate) fn seize() {
    for _ in 0..SEIZE_TRIES {
        if CONSOLE.try_lock().is_some() {
            return;
        }
        core::hint::spin_loop();
    }
    // SAFETY: the machine is being stopped; the holder is this core, interrupted, or one that will
    // be stopped next. A line may come out torn, and nothing else can happen.
    unsafe { CONSOLE.force_unlock() };
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(uart) = &mut self.uart else { return Ok(()) };
        for byte in text.bytes() {
            if byte == b'\n' {
                send(uart, b'\r');
            }
            send(uart, byte);
        }
        Ok(())
    }
}

/// Sends a byte, or loses it: a line that takes nothing for so long has nobody at its end.
fn send(uart: &mut Uart16550<PioBackend>, byte: u8) {
    for _ in 0..SEND_TRIES {
        if uart.try_send_byte(byte).is_ok() {
            return;
        }
        core::hint::spin_loop();
    }
}

/// COM1 to COM4.
const PORTS: [u16; 4] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/// A byte takes one millisecond at 9600 bit/s; a port is read about once per microsecond.
const SEND_TRIES: u32 = 20_000;

/// Longer than a line takes.
const SEIZE_TRIES: u32 = 10_000_000;
