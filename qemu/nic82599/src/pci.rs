//! PCI configuration space of the physical function (section 9.3).
//!
//! Capabilities lie where drivers look for them without walking the list: MSI-X control at 0x72,
//! device status at 0xAA, link status at 0xB2, device control 2 at 0xC8.
//!
//! ```text
//!   0x40 power   0x50 MSI   0x70 MSI-X (64 vectors, table and PBA in BAR 4)   0xA0 PCIe
//!   0x100 errors   0x140 serial number
//! ```

use penstock_ixgbe_regs::{DEVICE_PF, VECTORS, VENDOR};

/// The configuration space of one card.
#[derive(Clone)]
pub struct ConfigSpace {
    bytes: Box<[u8; CONFIG_BYTES]>,
    fresh: Box<[u8; CONFIG_BYTES]>,
    /// Which bits the host may write.
    writable: Box<[u8; CONFIG_BYTES]>,
}

impl ConfigSpace {
    /// Bytes of the space.
    pub const BYTES: usize = CONFIG_BYTES;

    /// The space of a card with this factory address.
    pub fn new(mac: [u8; 6]) -> ConfigSpace {
        let mut space = ConfigSpace {
            bytes: Box::new([0; CONFIG_BYTES]),
            fresh: Box::new([0; CONFIG_BYTES]),
            writable: Box::new([0; CONFIG_BYTES]),
        };
        for &(at, value, writable) in WORDS {
            space.put(at, value, writable);
        }
        let [a, b, c, d, e, f] = mac;
        space.put(0x144, u32::from_be_bytes([0xFF, d, e, f]), 0);
        space.put(0x148, u32::from_be_bytes([a, b, c, 0xFF]), 0);
        space.bytes = space.fresh.clone();
        space
    }

    fn put(&mut self, at: usize, value: u32, writable: u32) {
        self.fresh[at..at + 4].copy_from_slice(&value.to_le_bytes());
        self.writable[at..at + 4].copy_from_slice(&writable.to_le_bytes());
    }

    /// Reads from `at` on; what lies outside reads zero.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        for (index, byte) in into.iter_mut().enumerate() {
            let at = at.saturating_add(index);
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// Writes from `at` on. True if the write asks for a function level reset.
    pub fn write(&mut self, at: usize, from: &[u8]) -> bool {
        let mut reset = false;
        for (index, &byte) in from.iter().enumerate() {
            let at = at.saturating_add(index);
            let (Some(old), Some(&writable)) = (self.bytes.get_mut(at), self.writable.get(at))
            else {
                break;
            };
            *old = *old & !writable | byte & writable;
            reset |= at == DEVICE_CONTROL + 1 && byte & 0x80 != 0;
        }
        reset
    }

    /// Back to the values after power on.
    pub fn reset(&mut self) {
        self.bytes = self.fresh.clone();
    }

    /// Whether the host lets the card reach memory.
    pub fn bus_master(&self) -> bool {
        self.bytes[COMMAND] & 4 != 0
    }

    /// Whether the INTx line is allowed.
    pub fn line_allowed(&self) -> bool {
        self.bytes[COMMAND + 1] & 4 == 0
    }

    /// Shows in the status register whether an interrupt is pending, as drivers that share the line
    /// ask (9.3.3.4).
    pub fn show_line(&mut self, high: bool) {
        let status = &mut self.bytes[COMMAND + 2];
        *status = *status & !8 | u8::from(high) << 3;
    }

    /// Whether the function is in D0.
    pub fn powered(&self) -> bool {
        self.bytes[0x44] & 3 == 0
    }
}

const CONFIG_BYTES: usize = 4096;
const COMMAND: usize = 0x04;
const DEVICE_CONTROL: usize = 0xA8;

/// Offset, value and writable bits of each word that is not zero.
const WORDS: &[(usize, u32, u32)] = &[
    (0x00, (DEVICE_PF as u32) << 16 | VENDOR as u32, 0), // 9.3.3.1 vendor and device
    (0x04, 0x0010_0000, 0x0000_0547),                    // 9.3.3.3 command; status: capabilities
    (0x08, 0x0200_0001, 0),                              // 9.3.3.5 Ethernet controller, revision 1
    (0x0C, 0, 0x0000_FFFF),                              // cache line, latency
    (0x10, 0x0000_0004, 0xFFFE_0000),                    // BAR 0: 128 KB of registers, 64-bit
    (0x14, 0, 0xFFFF_FFFF),
    (0x18, 0x0000_0001, 0xFFFF_FFE0), // BAR 2: 32 bytes of I/O
    (0x20, 0x0000_0004, 0xFFFF_C000), // BAR 4: 16 KB of MSI-X, 64-bit
    (0x24, 0, 0xFFFF_FFFF),
    (0x2C, 0x0003_8086, 0),           // subsystem: X520-DA2
    (0x34, 0x40, 0),                  // first capability
    (0x3C, 0x0000_0100, 0x0000_00FF), // pin A
    (0x40, 0x0003_5001, 0),           // 9.3.7 power management 3
    (0x44, 0x0000_0008, 0x0000_0103), // its state must stick; no soft reset
    (0x50, 0x0180_7005, 0x0071_0000), // 9.3.8 MSI, 64-bit, maskable
    (0x54, 0, 0xFFFF_FFFC),
    (0x58, 0, 0xFFFF_FFFF),
    (0x5C, 0, 0x0000_FFFF),
    (0x60, 0, 0x0000_0001),
    (0x70, (VECTORS - 1) << 16 | 0xA011, 0xC000_0000), // 9.3.9 MSI-X
    (0x74, 0x0000_0004, 0),                            // table at BAR 4 + 0
    (0x78, 0x0000_2004, 0),                            // PBA at BAR 4 + 0x2000
    (0xA0, 0x0002_0010, 0),                            // 9.3.10 PCIe 2, endpoint, last
    (0xA4, 0x1000_8CC2, 0),                            // FLR, 512-byte payload
    (0xA8, 0x0000_2810, 0x0000_7FFF),                  // device control (FLR reads 0), status
    (0xAC, 0x0000_0482, 0),                            // x8 at 5 GT/s
    (0xB0, 0x1082_0000, 0x0000_01C3),                  // link control and status
    (0xC4, 0x0000_001F, 0),                            // completion timeouts
    (0xC8, 0, 0x0000_001F),
    (0xD0, 0x0000_0002, 0x0000_000F), // link control 2
    (0x100, 0x1401_0001, 0),          // 9.4.1 advanced errors, next at 0x140
    (0x108, 0, 0xFFFF_FFFF),
    (0x10C, 0x0006_2030, 0xFFFF_FFFF),
    (0x114, 0x0000_2000, 0xFFFF_FFFF),
    (0x140, 0x0001_0003, 0), // 9.4.2 serial number, last
];

#[cfg(test)]
mod tests {
    //! Proves what drivers find at fixed places and what of it they can change.
    use super::*;

    fn half(space: &ConfigSpace, at: usize) -> u16 {
        let mut bytes = [0; 2];
        space.read(at, &mut bytes);
        u16::from_le_bytes(bytes)
    }

    #[test]
    fn fixed_places() {
        let space = ConfigSpace::new([0x52, 0, 0, 1, 2, 3]);
        assert_eq!((half(&space, 0), half(&space, 2)), (0x8086, 0x10FB));
        assert_eq!(half(&space, 0x72) & 0x7FF, 63, "64 vectors");
        assert_eq!(half(&space, 0xAA) & 0x20, 0, "no transaction pending");
        assert_eq!(half(&space, 0xB2) & 0x3FF, 0x82, "x8 at 5 GT/s");
        let mut at = half(&space, 0x34) as usize;
        let mut found = Vec::new();
        while at != 0 && found.len() < 10 {
            found.push((at, half(&space, at) & 0xFF));
            at = usize::from(half(&space, at) >> 8);
        }
        assert_eq!(found, [(0x40, 1), (0x50, 5), (0x70, 0x11), (0xA0, 0x10)]);
    }

    #[test]
    fn writes_change_what_they_may() {
        let mut space = ConfigSpace::new([0; 6]);
        assert!(!space.bus_master());
        assert!(!space.write(0x04, &[0xFF, 0xFF]));
        assert!(space.bus_master() && !space.line_allowed());
        assert_eq!(half(&space, 0x04), 0x0547);
        space.show_line(true);
        assert_eq!(half(&space, 0x06), 0x0018, "pending, whether or not the line is allowed");
        space.show_line(false);
        assert_eq!(half(&space, 0x06), 0x0010);
        space.write(0x10, &[0xFF; 4]);
        assert_eq!((half(&space, 0x10), half(&space, 0x12)), (0x0004, 0xFFFE));
        space.write(0x44, &[3]);
        assert!(!space.powered(), "the power state sticks");
        space.write(0x00, &[0; 4]);
        assert_eq!(half(&space, 0), 0x8086);
        assert!(space.write(0xA8, &[0x10, 0xA8]), "function level reset");
        assert_eq!(half(&space, 0xA8), 0x2810, "and it reads zero");
        space.reset();
        assert!(!space.bus_master());
        assert!(!space.write(CONFIG_BYTES - 1, &[1; 8]) && !space.write(usize::MAX, &[1; 8]));
        space.read(usize::MAX, &mut [0; 4]);
    }
}
