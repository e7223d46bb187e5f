//! The SFP+ module behind the two wires of I2CCTL: a 24xx-like memory at address 0xA0 (SFF-8472).
//!
//! A driver drives clock and data by hand. The slave samples on rising clock edges and changes its
//! answer on falling ones; data that changes while the clock is high is a START or a STOP.
//!
//! ```text
//!   idle ──START──▶ address ──ack──▶ pointer ──ack──▶ data, data, …          (write)
//!                      └──────ack──▶ byte ──master ack──▶ byte ──nack──▶ idle (read)
//! ```

use penstock_ixgbe_regs::bits::i2cctl;

pub(crate) struct Module {
    page: [u8; 256],
    plugged: bool,
    state: State,
    shift: u8,
    bits: u8,
    pointer: u8,
    /// Levels as the host drives them; open drain, so 1 is released.
    clock: bool,
    host: bool,
    /// Level as the slave drives it.
    slave: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Receive(Field),
    /// The slave acknowledges; after it comes the state.
    Acknowledge(Next),
    Send,
    /// The master acknowledges what the slave sent.
    Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Address,
    Pointer,
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Receive(Field),
    Send,
}

impl Module {
    pub(crate) fn new(plugged: bool) -> Module {
        Module {
            page: passive_cable(),
            plugged,
            state: State::Idle,
            shift: 0,
            bits: 0,
            pointer: 0,
            clock: true,
            host: true,
            slave: true,
        }
    }

    pub(crate) fn plugged(&self) -> bool {
        self.plugged
    }

    pub(crate) fn plug(&mut self, plugged: bool) {
        *self = Module::new(plugged);
    }

    /// I2CCTL as it reads: both outputs as driven, both inputs as the wires stand.
    pub(crate) fn read(&self) -> u32 {
        let level = self.host && self.slave;
        bit(self.clock, i2cctl::CLK_IN | i2cctl::CLK_OUT)
            | bit(level, i2cctl::DATA_IN)
            | bit(self.host, i2cctl::DATA_OUT)
    }

    /// The host drives the wires.
    pub(crate) fn write(&mut self, value: u32) {
        let clock = value & i2cctl::CLK_OUT != 0;
        let host = value & i2cctl::DATA_OUT != 0;
        let (was_clock, was_host) = (self.clock, self.host);
        (self.clock, self.host) = (clock, host);
        if !self.plugged {
            return;
        }
        match (was_clock, clock) {
            (true, true) if was_host && !host => self.begin(State::Receive(Field::Address)),
            (true, true) if !was_host && host => self.begin(State::Idle),
            (false, true) => self.rise(host),
            (true, false) => self.fall(),
            _ => {}
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        (self.bits, self.shift, self.slave) = (0, 0, true);
    }

    fn rise(&mut self, data: bool) {
        match self.state {
            State::Receive(_) => {
                self.shift = self.shift << 1 | u8::from(data);
                self.bits += 1;
            }
            State::Send => self.bits += 1,
            // A released wire is "no more": the read ends.
            State::Answer if data => self.state = State::Idle,
            _ => {}
        }
    }

    fn fall(&mut self) {
        match self.state {
            State::Receive(field) if self.bits == 8 => self.received(field),
            State::Acknowledge(Next::Receive(field)) => self.begin(State::Receive(field)),
            State::Acknowledge(Next::Send) | State::Answer => {
                self.begin(State::Send);
                self.shift = self.page[usize::from(self.pointer)];
                self.pointer = self.pointer.wrapping_add(1);
                self.drive();
            }
            State::Send if self.bits == 8 => self.begin(State::Answer),
            State::Send => self.drive(),
            _ => {}
        }
    }

    fn received(&mut self, field: Field) {
        let byte = self.shift;
        let next = match (field, byte) {
            (Field::Address, 0xA0) => Next::Receive(Field::Pointer),
            (Field::Address, 0xA1) => Next::Send,
            // Nobody else is on the bus: the address is not acknowledged.
            (Field::Address, _) => return self.begin(State::Idle),
            (Field::Pointer, _) => {
                self.pointer = byte;
                Next::Receive(Field::Data)
            }
            // The page is write protected; the byte is taken and forgotten.
            (Field::Data, _) => Next::Receive(Field::Data),
        };
        self.begin(State::Acknowledge(next));
        self.slave = false;
    }

    fn drive(&mut self) {
        self.slave = self.shift & 0x80 != 0;
        self.shift <<= 1;
    }
}

fn bit(on: bool, mask: u32) -> u32 {
    if on { mask } else { 0 }
}

/// A passive copper cable by Intel: the one module that no driver calls unsupported.
fn passive_cable() -> [u8; 256] {
    let mut page = [0; 256];
    page[0x00] = 0x03; // SFP
    page[0x01] = 0x04; // described by these pages alone
    page[0x02] = 0x21; // copper pigtail
    page[0x08] = 0x04; // passive cable
    page[0x0C] = 0x67; // 10.3 Gb/s
    page[0x14..0x24].copy_from_slice(b"Penstock        ");
    page[0x25..0x28].copy_from_slice(&[0x00, 0x1B, 0x21]);
    page[0x28..0x38].copy_from_slice(b"EMULATED-CABLE  ");
    page[0x3F] = sum(&page[..0x3F]);
    page[0x5F] = sum(&page[0x40..0x5F]);
    page
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    //! Proves that a bit-banging master reads the page byte by byte and in a run, that a wrong
    //! address and an absent module stay silent, and that no sequence of levels upsets the slave.
    use super::*;
    use proptest::prelude::*;

    struct Master(Module);

    impl Master {
        fn wires(&mut self, clock: bool, data: bool) -> bool {
            self.0.write(bit(clock, i2cctl::CLK_OUT) | bit(data, i2cctl::DATA_OUT));
            self.0.read() & i2cctl::DATA_IN != 0
        }

        fn start(&mut self) {
            self.wires(true, true);
            self.wires(true, false);
            self.wires(false, false);
        }

        fn stop(&mut self) {
            self.wires(false, false);
            self.wires(true, false);
            self.wires(true, true);
        }

        fn clocked(&mut self, data: bool) -> bool {
            self.wires(false, data);
            let level = self.wires(true, data);
            self.wires(false, data);
            level
        }

        /// Whether the byte was acknowledged.
        fn send(&mut self, byte: u8) -> bool {
            for at in (0..8).rev() {
                self.clocked(byte >> at & 1 != 0);
            }
            !self.clocked(true)
        }

        fn receive(&mut self, more: bool) -> u8 {
            let byte = (0..8).fold(0, |byte, _| byte << 1 | u8::from(self.clocked(true)));
            self.clocked(!more);
            byte
        }
    }

    #[test]
    fn a_byte_and_a_run_are_read() {
        let mut master = Master(Module::new(true));
        for (at, expected) in passive_cable().into_iter().enumerate().take(128) {
            master.start();
            assert!(master.send(0xA0) && master.send(at as u8));
            master.start();
            assert!(master.send(0xA1));
            assert_eq!(master.receive(false), expected, "byte {at:#x}");
            master.stop();
        }
        master.start();
        assert!(master.send(0xA0) && master.send(0x14));
        master.start();
        assert!(master.send(0xA1));
        let name: Vec<u8> = (0..8).map(|at| master.receive(at < 7)).collect();
        assert_eq!(name, b"Penstock");
    }

    #[test]
    fn other_addresses_and_absent_modules_are_silent() {
        let mut master = Master(Module::new(true));
        master.start();
        assert!(!master.send(0xA2));
        master.stop();
        master.0.plug(false);
        master.start();
        assert!(!master.send(0xA0));
    }

    proptest! {
        #[test]
        fn any_levels_are_survived(levels in proptest::collection::vec(any::<u32>(), 0..500)) {
            let mut module = Module::new(true);
            for level in levels {
                module.write(level);
                module.read();
            }
            let mut master = Master(module);
            master.stop();
            master.start();
            prop_assert!(master.send(0xA0), "a STOP and a START recover the slave");
        }
    }
}
