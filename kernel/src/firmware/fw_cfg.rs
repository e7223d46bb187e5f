//! The directory of files that QEMU offers to firmware, and to us (`docs/specs/fw_cfg` of QEMU).
//!
//! ```text
//!  0 count    4 count times: 0 size  4 selector  6 reserved  8 name, 56 bytes       big endian
//! ```

use super::bytes::until_zero;

/// A file in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'d> {
    /// What follows one of [`OURS`] in its name.
    pub name: &'d str,
    /// Its bytes.
    pub size: u32,
    /// What selects it.
    pub selector: u16,
}

/// Files of users are below `opt/`, ours below our name, which QEMU would have begin as a domain does.
pub const OURS: [&str; 2] = ["opt/org.penstock/", "opt/penstock/"];

/// An entry's bytes.
pub const ENTRY_BYTES: usize = 64;

/// A file in the directory that is ours; `entry` is as it was read.
pub fn read(entry: &[u8; ENTRY_BYTES]) -> Option<Entry<'_>> {
    let [s0, s1, s2, s3, k0, k1, _, _, name @ ..] = entry;
    let name = core::str::from_utf8(until_zero(name)).ok()?;
    let name = OURS.iter().find_map(|ours| name.strip_prefix(ours))?;
    let (size, selector) =
        (u32::from_be_bytes([*s0, *s1, *s2, *s3]), u16::from_be_bytes([*k0, *k1]));
    (!name.is_empty()).then_some(Entry { name, size, selector })
}

/// A configuration is kilobytes; more than this is none, and refused.
pub const SIZE_MAX: u32 = 16 << 20;

#[cfg(test)]
mod tests {
    //! Our files are found, others' are passed over.

    use super::*;

    fn entry(name: &str, size: u32) -> [u8; ENTRY_BYTES] {
        let mut entry = [0; ENTRY_BYTES];
        entry[..4].copy_from_slice(&size.to_be_bytes());
        entry[4..6].copy_from_slice(&0x2a_u16.to_be_bytes());
        entry[8..8 + name.len()].copy_from_slice(name.as_bytes());
        entry
    }

    #[test]
    fn ours_are_found() {
        let found = entry("opt/penstock/haproxy.cfg", 700);
        assert_eq!(read(&found), Some(Entry { name: "haproxy.cfg", size: 700, selector: 0x2a }));
        let long = entry("opt/org.penstock/haproxy.cfg", 700);
        assert_eq!(read(&long), read(&found));
        assert_eq!(read(&entry("etc/e820", 20)), None);
        assert_eq!(read(&entry("opt/penstock/", 20)), None);
        assert_eq!(read(&[0xff; ENTRY_BYTES]), None);
    }
}
