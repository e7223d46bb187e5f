//! The EEPROM's checksum: whether what the card loaded from it can be trusted (6.2.5).

use penstock_hw::Device;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::eerd;

use crate::error::{Error, Wait};
use crate::registers::Registers;

/// Adds up the words that the checksum covers: the first 63, and the blocks that some of them point
/// at.
pub(crate) fn check<D: Device>(card: &Registers<D>) -> Result<(), Error> {
    let mut sum = 0u16;
    for at in 0..=CHECKSUM_WORD {
        sum = sum.wrapping_add(read(card, at)?);
    }
    for pointer in POINTERS {
        let block = read(card, pointer)?;
        if is_blank(block) {
            continue;
        }
        let length = read(card, block)?;
        if is_blank(length) {
            continue;
        }
        let end = u32::from(block) + u32::from(length);
        if end > eerd::ADDR_MASK {
            return Err(Error::EepromChecksum);
        }
        for at in u32::from(block) + 1..=end {
            sum = sum.wrapping_add(read(card, at as u16)?);
        }
    }
    if sum == EXPECTED { Ok(()) } else { Err(Error::EepromChecksum) }
}

fn read<D: Device>(card: &Registers<D>, word: u16) -> Result<u16, Error> {
    let address = u32::from(word) & eerd::ADDR_MASK;
    card.write(regs::EERD, address << eerd::ADDR_SHIFT | eerd::START);
    card.wait(Wait::EepromRead, regs::EERD, eerd::DONE, eerd::DONE)?;
    Ok((card.read(regs::EERD) >> eerd::DATA_SHIFT) as u16)
}

/// Whether a pointer or a length was never written.
fn is_blank(word: u16) -> bool {
    word == 0 || word == 0xFFFF
}

const CHECKSUM_WORD: u16 = 0x3F;

/// Words that point at blocks; the firmware's, 0x0F, is not covered.
const POINTERS: core::ops::RangeInclusive<u16> = 0x03..=0x0E;

const EXPECTED: u16 = 0xBABA;
