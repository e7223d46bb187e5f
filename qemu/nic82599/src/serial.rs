//! The EEPROM's four pins, for drivers that move them by hand to write it (EEC, 8.2.3.2.1).
//!
//! A 25xx-like part: it samples DI when SK rises and changes DO when SK falls, most significant bit
//! first. A command lasts as long as CS is low.
//!
//! ```text
//!   command ──▶ 0x03 read,  two bytes of address ──▶ data out, data out, …
//!           ──▶ 0x02 write, two bytes of address ──▶ data in, data in, …   (once after 0x06)
//!           ──▶ 0x05 status ──▶ status out
//!           ──▶ 0x06, 0x04: writes allowed, forbidden
//! ```

use penstock_ixgbe_regs::bits::eec;

/// Where a command stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Command,
    /// Bytes of the address that are still to come.
    Address {
        write: bool,
        missing: u8,
    },
    Read,
    Write,
    /// Nothing until CS rises.
    Deaf,
}

#[derive(Debug, Default)]
pub(crate) struct Serial {
    state: State,
    clock: bool,
    shift: u8,
    bits: u8,
    out: u8,
    address: usize,
    writes_allowed: bool,
    /// A byte went in: writes are forbidden again when the command ends.
    written: bool,
}

impl Serial {
    /// The level of DO, as EEC shows it.
    pub(crate) fn output(&self) -> u32 {
        if self.out & 0x80 != 0 { eec::DO } else { 0 }
    }

    /// The host drives the pins; `words` is what the part holds, low byte first.
    pub(crate) fn drive(&mut self, pins: u32, words: &mut [u16]) {
        let clock = pins & eec::SK != 0;
        let edge = (self.clock, clock);
        self.clock = clock;
        if pins & eec::CS != 0 {
            let writes_allowed = self.writes_allowed && !self.written;
            *self = Serial { clock, writes_allowed, ..Serial::default() };
            return;
        }
        match edge {
            (false, true) => {
                self.shift = self.shift << 1 | u8::from(pins & eec::DI != 0);
                self.bits += 1;
            }
            (true, false) => {
                self.out <<= 1;
                if self.bits == 8 {
                    self.bits = 0;
                    self.take(self.shift, words);
                }
            }
            _ => {}
        }
    }

    /// A byte has come in, or the next one is due to go out.
    fn take(&mut self, byte: u8, words: &mut [u16]) {
        self.state = match self.state {
            State::Command => self.begin(byte),
            State::Address { write, missing } => {
                self.address = self.address << 8 | usize::from(byte);
                match (missing, write) {
                    (2.., _) => State::Address { write, missing: missing - 1 },
                    (_, true) => State::Write,
                    (_, false) => {
                        self.load(words);
                        State::Read
                    }
                }
            }
            State::Read => {
                self.load(words);
                State::Read
            }
            State::Write => {
                let word = &mut words[self.address / 2 % words.len()];
                let mut bytes = word.to_le_bytes();
                bytes[self.address % 2] = byte;
                *word = u16::from_le_bytes(bytes);
                self.address += 1;
                self.written = true;
                State::Write
            }
            State::Deaf => State::Deaf,
        };
    }

    fn begin(&mut self, command: u8) -> State {
        self.address = 0;
        match command {
            0x03 => State::Address { write: false, missing: 2 },
            0x02 if self.writes_allowed => State::Address { write: true, missing: 2 },
            0x04 | 0x06 => {
                self.writes_allowed = command == 0x06;
                State::Deaf
            }
            0x05 => {
                // Never busy.
                self.out = u8::from(self.writes_allowed) << 1;
                State::Deaf
            }
            _ => State::Deaf,
        }
    }

    fn load(&mut self, words: &[u16]) {
        self.out = words[self.address / 2 % words.len()].to_le_bytes()[self.address % 2];
        self.address += 1;
    }
}

#[cfg(test)]
mod tests {
    //! Proves that a host that moves the pins reads and writes words, that a write must be allowed
    //! first, and that no sequence of levels upsets the part.
    use super::*;
    use proptest::prelude::*;

    struct Host {
        part: Serial,
        words: Vec<u16>,
    }

    impl Host {
        fn new() -> Host {
            Host { part: Serial::default(), words: (0..64).map(|word| word * 0x101).collect() }
        }

        fn select(&mut self) {
            self.part.drive(eec::CS, &mut self.words);
            self.part.drive(0, &mut self.words);
        }

        fn send(&mut self, bytes: &[u8]) {
            for byte in bytes {
                for bit in (0..8).rev() {
                    let data = if byte >> bit & 1 != 0 { eec::DI } else { 0 };
                    self.part.drive(data, &mut self.words);
                    self.part.drive(data | eec::SK, &mut self.words);
                    self.part.drive(data, &mut self.words);
                }
            }
        }

        fn receive(&mut self) -> u8 {
            (0..8).fold(0, |byte, _| {
                self.part.drive(eec::SK, &mut self.words);
                let level = self.part.output() != 0;
                self.part.drive(0, &mut self.words);
                byte << 1 | u8::from(level)
            })
        }
    }

    #[test]
    fn words_are_read_and_written() {
        let mut host = Host::new();
        host.select();
        host.send(&[0x05]);
        assert_eq!(host.receive(), 0, "ready");
        host.select();
        host.send(&[0x02, 0, 20, 0x34, 0x12]);
        assert_eq!(host.words[10], 0x0A0A, "writes were not allowed");
        host.select();
        host.send(&[0x06]);
        host.select();
        host.send(&[0x02, 0, 20, 0x34, 0x12, 0x78, 0x56]);
        assert_eq!(host.words[10..12], [0x1234, 0x5678]);
        host.select();
        host.send(&[0x03, 0, 18]);
        assert_eq!([host.receive(), host.receive(), host.receive()], [0x09, 0x09, 0x34]);
        host.select();
        host.send(&[0x02, 0, 20, 0, 0]);
        assert_eq!(host.words[10], 0x1234, "allowed once");
    }

    proptest! {
        #[test]
        fn any_levels_are_survived(levels in proptest::collection::vec(any::<u32>(), 0..500)) {
            let mut host = Host::new();
            for level in levels {
                host.part.drive(level, &mut host.words);
                host.part.output();
            }
            host.select();
            host.send(&[0x03, 0, 4]);
            host.receive();
        }
    }
}
