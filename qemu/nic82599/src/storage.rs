//! The values of all registers: what each resets to, which bits a write changes, which forget when
//! read.
//!
//! Everything in the register table that no block of the card gives a behaviour is plain storage
//! that resets to zero; the lists below are the exceptions. An offset that the table does not know
//! is an explicit case: [`Storage::find`] says so and the card counts it.

use penstock_ixgbe_regs::{self as regs, BAR0_BYTES, RESERVED, Reg, RegArray, TABLE, bits};

pub(crate) struct Storage {
    words: Box<[Word]>,
}

#[derive(Clone, Copy)]
struct Word {
    value: u32,
    reset: u32,
    writable: u32,
    kind: Kind,
    /// The word that holds the value: itself, but for a second address of the same register.
    home: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Plain,
    /// Saturates, and forgets when read.
    Counter,
}

impl Storage {
    pub(crate) fn new() -> Storage {
        let blank = Word { value: 0, reset: 0, writable: 0, kind: Kind::Unknown, home: 0 };
        let mut storage =
            Storage { words: vec![blank; BAR0_BYTES as usize / 4].into_boxed_slice() };
        for entry in TABLE {
            let counter = entry.section == STATISTICS || CLEARED_BY_READ.contains(&entry.array);
            let kind = if counter { Kind::Counter } else { Kind::Plain };
            let writable = if counter { 0 } else { !0 };
            for index in 0..entry.array.count() {
                let reg = entry.array.at(index);
                storage.words[slot(reg)] = Word { writable, kind, home: reg.0, ..blank };
            }
        }
        for array in RESERVED {
            for index in 0..array.count() {
                let reg = array.at(index);
                // Reads zero and takes no write.
                storage.words[slot(reg)] = Word { kind: Kind::Plain, home: reg.0, ..blank };
            }
        }
        for &(array, reset, writable) in EXCEPTIONS {
            for index in 0..array.count() {
                let word = &mut storage.words[slot(array.at(index))];
                (word.reset, word.writable) = (reset, writable);
            }
        }
        for &(second, first) in ALIASES {
            for index in 0..second.count() {
                storage.words[slot(second.at(index))].home = first.at(index).0;
            }
        }
        storage.reset(|_| true);
        storage
    }

    /// The register at `offset`, or `None` where there is none.
    pub(crate) fn find(&self, offset: u32) -> Option<Reg> {
        let word = self.words.get(offset as usize / 4)?;
        (word.kind != Kind::Unknown).then_some(Reg(word.home))
    }

    /// The value, as blocks of the card use it.
    pub(crate) fn at(&self, reg: Reg) -> u32 {
        self.words[slot(reg)].value
    }

    /// Stores a value, whatever a driver may write.
    pub(crate) fn set(&mut self, reg: Reg, value: u32) {
        self.words[slot(reg)].value = value;
    }

    /// A read by the driver.
    pub(crate) fn read(&mut self, reg: Reg) -> u32 {
        let word = &mut self.words[slot(reg)];
        let value = word.value;
        if word.kind == Kind::Counter {
            word.value = 0;
        }
        value
    }

    /// What a read would return, if it does not change what it reads.
    pub(crate) fn peek(&self, reg: Reg) -> u32 {
        let word = self.words[slot(reg)];
        if word.kind == Kind::Counter { 0 } else { word.value }
    }

    /// A write by the driver; false if the register only reads.
    pub(crate) fn write(&mut self, reg: Reg, value: u32) -> bool {
        let word = &mut self.words[slot(reg)];
        word.value = word.value & !word.writable | value & word.writable;
        word.writable != 0
    }

    /// Adds to a counter, which saturates.
    pub(crate) fn count(&mut self, reg: Reg, amount: u32) {
        let word = &mut self.words[slot(reg)];
        word.value = word.value.saturating_add(amount);
    }

    /// Adds to a counter of 36 bits in two words.
    pub(crate) fn count_bytes(&mut self, low: Reg, high: Reg, amount: u64) {
        let sum = (u64::from(self.at(high)) << 32 | u64::from(self.at(low))) + amount;
        let sum = sum.min((1 << 36) - 1);
        self.set(low, sum as u32);
        self.set(high, (sum >> 32) as u32);
    }

    /// Puts the registers that `which` names back to their reset values.
    pub(crate) fn reset(&mut self, which: impl Fn(Reg) -> bool) {
        for at in 0..self.words.len() {
            if which(Reg(at as u32 * 4)) {
                self.words[at].value = self.words[at].reset;
            }
        }
    }
}

fn slot(reg: Reg) -> usize {
    reg.0 as usize / 4
}

const fn one(reg: Reg) -> RegArray {
    RegArray::new(reg.0, 4, 1)
}

/// The group of counters that a read clears.
const STATISTICS: &str = "8.2.3.23";

/// Counters outside that group.
const CLEARED_BY_READ: &[RegArray] = &[
    one(regs::FDIRLEN),
    one(regs::FDIRUSTAT),
    one(regs::FDIRFSTAT),
    one(regs::FDIRMATCH),
    one(regs::FDIRMISS),
];

/// Registers that do not reset to zero, or that a driver may not write whole.
const EXCEPTIONS: &[(RegArray, u32, u32)] = &[
    (one(regs::STATUS), 0, 0),
    (one(regs::FRTIMER), 0, 0),
    (one(regs::FWSM), bits::fwsm::VALID, 0),
    (one(regs::FACTPS), 0, 0),
    (one(regs::MMNGC), 0, 0),
    (one(regs::HICR), 0, 0),
    (one(regs::LINKS), 0, 0),
    // Some state of the negotiation; never the one that says it did not start (bits 19:16).
    (one(regs::ANLP1), 0x0004_0000, 0),
    (one(regs::AUTOC), 0xC09C_6004, !0),
    (one(regs::AUTOC2), 0x000A_0000, !0),
    (one(regs::SECRXSTAT), bits::sec::RDY, 0),
    (one(regs::SECTXSTAT), bits::sec::RDY, 0),
    (one(regs::TFCS), bits::tfcs::TC_XON, 0),
    (regs::FCRTL, 0, 0x8007_FFF0),
    (regs::FCRTH, 0, 0x8007_FFF0),
    (regs::RDBAL, 0, 0xFFFF_FF80),
    (regs::TDBAL, 0, 0xFFFF_FF80),
    (regs::RDLEN, 0, 0x000F_FF80),
    (regs::TDLEN, 0, 0x000F_FF80),
    (regs::RDH, 0, 0xFFFF),
    (regs::RDT, 0, 0xFFFF),
    (regs::TDH, 0, 0xFFFF),
    (regs::TDT, 0, 0xFFFF),
    (regs::RAH, 0, 0x8000_FFFF),
    (regs::SRRCTL, 0x0402, !0),
    (regs::DCA_RXCTRL, 1 << 12, !0),
    (regs::DCA_TXCTRL, 1 << 11, !0),
    (regs::RXDCTL, 0, !bits::rxdctl::SWFLSH),
    (regs::TXDCTL, 0, !bits::txdctl::SWFLSH),
    (one(regs::RXCTRL), 0, bits::rxctrl::RXEN | bits::rxctrl::DMBYPS),
    (one(regs::RDRXCTL), 8 << 17, !bits::rdrxctl::DMAIDONE),
    (one(regs::DMATXCTL), 0x8100_0000, !0),
    (one(regs::DTXTCPFLGL), 0x0FF6_0FF6, 0x0FFF_0FFF),
    (one(regs::DTXTCPFLGH), 0x0000_0F7F, 0x0000_0FFF),
    (one(regs::VLNCTRL), 0x8100, !0),
    (
        one(regs::HLREG0),
        bits::hlreg0::TXCRCEN | bits::hlreg0::RXCRCSTRP | bits::hlreg0::TXPADEN,
        !0,
    ),
    (one(regs::MAXFRS), 0x05EE_0000, !0),
    (regs::RXPBSIZE, 0, !0),
    (one(regs::FDIRFREE), 0, 0),
    (regs::LSECTXCNT, 0, 0),
    (regs::LSECRXCNT, 0, 0),
    (one(regs::LSECTXCAP), 0, 0),
    (one(regs::LSECRXCAP), 0, 0),
    (one(regs::RXSTMPL), 0, 0),
    (one(regs::RXSTMPH), 0, 0),
    (one(regs::TXSTMPL), 0, 0),
    (one(regs::TXSTMPH), 0, 0),
];

/// Second addresses of registers.
const ALIASES: &[(RegArray, RegArray)] = &[
    (one(regs::CTRL_ALIAS), one(regs::CTRL)),
    (regs::RAL_LOW, regs::RAL),
    (regs::RAH_LOW, regs::RAH),
    (regs::PSRTYPE_LOW, regs::PSRTYPE),
    (regs::SRRCTL_LOW, regs::SRRCTL),
    (regs::DCA_RXCTRL_LOW, regs::DCA_RXCTRL),
    (one(regs::MRQC_ALIAS), one(regs::MRQC)),
    (regs::RSSRK_HIGH, regs::RSSRK),
    (regs::RETA_HIGH, regs::RETA),
    (regs::QPTC_ALIAS, regs::QPTC),
];

#[cfg(test)]
mod tests {
    //! Proves the classes: plain values keep what may be written, counters saturate and forget,
    //! second addresses meet, and what is no register is found to be none.
    use super::*;

    #[test]
    fn classes_of_registers() {
        let mut storage = Storage::new();
        assert!(storage.write(regs::RDLEN.at(3), !0));
        assert_eq!(storage.read(regs::RDLEN.at(3)), 0x000F_FF80);
        assert!(!storage.write(regs::FWSM, 0), "read only");
        assert_eq!(storage.read(regs::FWSM), 0x8000);
        assert_eq!(storage.find(0x5408), Some(regs::RAL.at(1)));
        assert_eq!(storage.find(0x2104), Some(regs::SRRCTL.at(1)));
        assert_eq!(storage.find(0x1FFFC), None);
        assert_eq!(storage.find(0x20000), None);
        assert_eq!(storage.find(u32::MAX), None);
    }

    #[test]
    fn counters_saturate_and_forget() {
        let mut storage = Storage::new();
        storage.count(regs::GPRC, u32::MAX);
        storage.count(regs::GPRC, 5);
        assert_eq!(storage.read(regs::GPRC), u32::MAX);
        assert_eq!(storage.read(regs::GPRC), 0);
        storage.count_bytes(regs::GORCL, regs::GORCH, (1 << 32) + 7);
        assert_eq!((storage.read(regs::GORCL), storage.read(regs::GORCH)), (7, 1));
        storage.count_bytes(regs::GORCL, regs::GORCH, u64::MAX / 2);
        assert_eq!(storage.read(regs::GORCH), 15, "36 bits");
    }
}
