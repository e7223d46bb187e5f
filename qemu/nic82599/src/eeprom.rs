//! The EEPROM: 1024 words that a driver reads through EERD before it trusts the card (section 6).
//! Most drivers write it by moving its pins (`serial.rs`), a few through EEWR.
//!
//! The words that foreign drivers look at: the checksum (0x3F), the firmware version behind word
//! 0x0F, the part number (0x15), the analog settings per module type behind word 0x2B, the
//! capabilities (0x2C) and the image's version (0x2D). The MAC address is not among them: drivers
//! read it from RAL0 and RAH0, which the card loads at reset.

use crate::serial::Serial;
use penstock_ixgbe_regs::bits::eerd;

pub(crate) struct Eeprom {
    words: Box<[u16; WORDS]>,
    serial: Serial,
}

impl Eeprom {
    /// A valid image.
    pub(crate) fn new() -> Eeprom {
        let mut words = Box::new([0xFFFFu16; WORDS]);
        words[..0x40].fill(0);
        // Sections that a checksum would walk, and pointers to nothing.
        words[0x03..0x0F].fill(0xFFFF);
        for (at, value) in [
            (0x0F, FIRMWARE),
            (0x15, 0xFAFA),
            (0x16, PART_NUMBER),
            (0x17, 0xFFFF),
            (0x27, 0xFFFF),
            (0x28, 0xFFFF),
            (0x2B, MODULES),
            (0x2C, CAPABILITIES),
            (0x2D, 0x1234),
            (0x2E, 0x8000),
        ] {
            words[at] = value;
        }
        // Firmware section: its pass-through block carries the version, which must exceed 5.
        words[usize::from(FIRMWARE) + 4] = PASS_THROUGH;
        words[usize::from(PASS_THROUGH) + 7] = 6;
        let part = usize::from(PART_NUMBER);
        words[part..part + 6].copy_from_slice(&[6, 0x5045, 0x4E53, 0x542D, 0x3030, 0x3100]);
        // One list of (module type, settings), then the settings: values for CORECTL, ended by
        // 0xFFFF. All eight module types share one block.
        let list = usize::from(MODULES);
        words[list] = 16;
        for module in 0..8u16 {
            let at = list + 1 + 2 * usize::from(module);
            words[at..at + 2].copy_from_slice(&[module, SETTINGS]);
        }
        words[list + 17] = 0xFFFF;
        let settings = usize::from(SETTINGS);
        words[settings..settings + 3].copy_from_slice(&[2, 0x0000, 0xFFFF]);
        let sum = words[..0x3F].iter().fold(0u16, |sum, &word| sum.wrapping_add(word));
        words[0x3F] = 0xBABAu16.wrapping_sub(sum);
        Eeprom { words, serial: Serial::default() }
    }

    /// Makes the checksum wrong, or right again.
    pub(crate) fn spoil(&mut self, wrong: bool) {
        let step = if wrong { 1 } else { u16::MAX };
        self.words[0x3F] = self.words[0x3F].wrapping_add(step);
    }

    /// The host drives the pins of EEC.
    pub(crate) fn drive(&mut self, pins: u32) {
        self.serial.drive(pins, &mut self.words[..]);
    }

    /// The level of the part's own pin, as EEC shows it.
    pub(crate) fn output(&self) -> u32 {
        self.serial.output()
    }

    /// The value of EERD after `command` was written to it.
    pub(crate) fn read(&self, command: u32) -> u32 {
        if command & eerd::START == 0 {
            return command;
        }
        let word = self.words[index(command)];
        command & !eerd::START & 0xFFFF | eerd::DONE | u32::from(word) << eerd::DATA_SHIFT
    }

    /// The value of EEWR after `command` was written to it.
    pub(crate) fn write(&mut self, command: u32) -> u32 {
        if command & eerd::START == 0 {
            return command;
        }
        self.words[index(command)] = (command >> eerd::DATA_SHIFT) as u16;
        command & !eerd::START | eerd::DONE
    }
}

fn index(command: u32) -> usize {
    (command >> eerd::ADDR_SHIFT & eerd::ADDR_MASK) as usize % WORDS
}

const WORDS: usize = 1024;
/// EEC.SIZE for [`WORDS`].
pub(crate) const SIZE: u32 = 4;
const FIRMWARE: u16 = 0x60;
const PASS_THROUGH: u16 = 0x70;
const PART_NUMBER: u16 = 0x80;
const MODULES: u16 = 0x90;
const SETTINGS: u16 = 0xB0;
/// Any module allowed, no Fibre Channel, no cross-talk workaround.
const CAPABILITIES: u16 = 0x83;

#[cfg(test)]
mod tests {
    //! Proves that the checksum is what drivers compute, that the fault breaks it, and that no
    //! address leaves the part.
    use super::*;

    fn sum(eeprom: &Eeprom) -> u16 {
        (0..0x40).fold(0u16, |sum, at| {
            sum.wrapping_add((eeprom.read(at << 2 | eerd::START) >> 16) as u16)
        })
    }

    #[test]
    fn the_words_sum_to_baba() {
        let mut eeprom = Eeprom::new();
        assert_eq!(sum(&eeprom), 0xBABA);
        eeprom.spoil(true);
        assert_ne!(sum(&eeprom), 0xBABA);
        eeprom.spoil(false);
        assert_eq!(sum(&eeprom), 0xBABA);
    }

    #[test]
    fn reads_and_writes_stay_inside() {
        let mut eeprom = Eeprom::new();
        assert_eq!(eeprom.read(0x2C << 2 | 1), 0x0083_00B2);
        for address in [0, 1023, 1024, 0x3FFF] {
            assert_ne!(
                eeprom.write(address << 2 | 0xBEEF_0001) & eerd::DONE,
                0,
                "word {address:#x}"
            );
            assert_eq!(eeprom.read(address << 2 | 1) >> 16, 0xBEEF);
        }
        assert_eq!(eeprom.read(0xBEEF_0004), 0xBEEF_0004, "without START nothing happens");
    }
}
