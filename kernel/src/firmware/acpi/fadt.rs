//! Power button, reset and power-off, from the Fixed ACPI Description Table (ACPI 6.5, section
//! 5.2.9), and the one object of the DSDT that power-off needs.
//!
//! We interpret no AML. `\_S5` is a package of constants in every DSDT in the field, and is read
//! from its encoding (section 20.2) where it stands: `NameOp \_S5_ PackageOp length count a b`.

use crate::firmware::bytes::{u8_at, u16_at, u32_at, u64_at};

/// What of the fixed hardware we drive: I/O ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// PM1a status and enable registers (section 4.8.3.1).
    pub event_port: Option<u16>,
    /// Bytes of both of them together.
    pub event_bytes: u8,
    /// PM1a control register (section 4.8.3.2).
    pub control_port: Option<u16>,
    /// Where firmware is told to hand the power hardware over, and with which byte.
    pub enable: Option<(u16, u8)>,
    /// Reset register (section 4.8.3.6) and the byte that resets.
    pub reset: Option<(u16, u8)>,
    /// Whether the power button is the fixed one, not a device described in AML.
    pub fixed_button: bool,
}

/// Reads a checked table.
pub fn read(fadt: &[u8]) -> Power {
    let flags = u32_at(fadt, 112).unwrap_or(0);
    let enable =
        u16_at(fadt, 48).zip(u8_at(fadt, 52)).filter(|&(port, byte)| port != 0 && byte != 0);
    let reset = io_port(fadt, 116).zip(u8_at(fadt, 128));
    Power {
        event_port: io_port(fadt, 148).or_else(|| old_port(fadt, 56)),
        event_bytes: u8_at(fadt, 88).unwrap_or(0),
        control_port: io_port(fadt, 172).or_else(|| old_port(fadt, 64)),
        enable,
        reset: reset.filter(|_| flags & RESET_SUPPORTED != 0),
        fixed_button: flags & BUTTON_IS_DEVICE == 0,
    }
}

/// Where the DSDT is.
pub(super) fn dsdt_address(fadt: &[u8]) -> Option<u64> {
    let new = u64_at(fadt, 140).filter(|&address| address != 0);
    new.or_else(|| u32_at(fadt, 40).map(u64::from)).filter(|&address| address != 0)
}

/// The sleep type that means "off" (section 7.4.2), from the DSDT.
pub fn sleep_type_off(dsdt: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"_S5_";
    let at = dsdt.windows(NAME.len() + 1).position(|window| {
        // Behind the name of a Name object, maybe with the root's backslash, stands a package.
        window.starts_with(NAME) && window[NAME.len()] == PACKAGE
    })?;
    let before = dsdt.get(at.checked_sub(2)?..at)?;
    if before[1] != NAME_OP && before != [NAME_OP, b'\\'] {
        return None;
    }
    let length_at = at + NAME.len() + 1;
    let length_bytes = usize::from(u8_at(dsdt, length_at)? >> 6) + 1;
    // The count of elements, then the first of them: SLP_TYPa.
    let value_at = length_at.checked_add(length_bytes + 1)?;
    let value = match u8_at(dsdt, value_at)? {
        ZERO => 0,
        ONE => 1,
        BYTE => u8_at(dsdt, value_at + 1)?,
        _ => return None,
    };
    (value < 8).then_some(value)
}

/// A generic address (section 5.2.3.2) that is an I/O port.
fn io_port(fadt: &[u8], at: usize) -> Option<u16> {
    let port = u64_at(fadt, at + 4).filter(|&address| address != 0)?;
    (u8_at(fadt, at)? == SYSTEM_IO).then(|| u16::try_from(port).ok()).flatten()
}

/// An address as tables had it before ACPI 2.0.
fn old_port(fadt: &[u8], at: usize) -> Option<u16> {
    u32_at(fadt, at).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0)
}

const RESET_SUPPORTED: u32 = 1 << 10;
const BUTTON_IS_DEVICE: u32 = 1 << 4;
const SYSTEM_IO: u8 = 1;
const NAME_OP: u8 = 0x08;
const PACKAGE: u8 = 0x12;
const ZERO: u8 = 0x00;
const ONE: u8 = 0x01;
const BYTE: u8 = 0x0a;

#[cfg(test)]
mod tests {
    //! QEMU's registers and its `\_S5` are found; tables without them have none.

    use super::*;
    use crate::firmware::acpi::tests::made;
    use std::vec::Vec;

    fn q35() -> Vec<u8> {
        let mut body = std::vec![0u8; 244 - 36];
        let mut put =
            |at: usize, value: &[u8]| body[at - 36..at - 36 + value.len()].copy_from_slice(value);
        put(40, &0x7fe_0000u32.to_le_bytes());
        put(48, &[0xb2, 0, 0, 0, 2]);
        put(56, &0x600u32.to_le_bytes());
        put(64, &0x604u32.to_le_bytes());
        put(88, &[4, 2]);
        put(112, &(1u32 << 10).to_le_bytes());
        put(116, &[1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 0x0f]);
        made(b"FACP", &body)
    }

    #[test]
    fn ports_are_found() {
        let table = q35();
        let expected = Power {
            event_port: Some(0x600),
            event_bytes: 4,
            control_port: Some(0x604),
            enable: Some((0xb2, 2)),
            reset: Some((0xcf9, 0x0f)),
            fixed_button: true,
        };
        assert_eq!(read(&table), expected);
        assert_eq!(dsdt_address(&table), Some(0x7fe_0000));
        assert_eq!(read(&[]), Power { fixed_button: true, ..Power::default() });
    }

    #[test]
    fn off_is_found_where_it_stands() {
        let dsdt = |body: &[u8]| sleep_type_off(&made(b"DSDT", body));
        assert_eq!(dsdt(b"\x10\x08_S5_\x12\x06\x04\x0a\x05\x0a\x00"), Some(5));
        assert_eq!(dsdt(b"\x08\\_S5_\x12\x06\x04\x00\x00\x00"), Some(0));
        assert_eq!(dsdt(b"\x08_S5_\x12\x46\x00\x04\x01"), Some(1));
        assert_eq!(dsdt(b"\x08_S5_\x12\x06\x04\x0a\x09"), None);
        assert_eq!(dsdt(b"\x00_S5_\x12\x06\x04\x0a\x05"), None);
        assert_eq!(dsdt(b"\x08_S5_\x12"), None);
    }
}
