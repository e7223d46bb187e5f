//! Several files in one: cpio archives of the format newc, as `cpio -o -H newc` writes them.
//!
//! ```text
//!   "070701"  13 numbers of 8 hexadecimal digits   name, NUL, to a multiple of 4   bytes, likewise
//! ```
//! The format is in Linux's Documentation/driver-api/early-userspace/buffer-format.rst. Directories
//! and what else has no bytes is passed over; an archive that lies about a length ends there.

/// Whether these bytes are such an archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The files of an archive: their names and bytes.
pub fn files(bytes: &[u8]) -> Files<'_> {
    Files { rest: bytes }
}

/// See [`files`].
#[derive(Clone, Debug)]
pub struct Files<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Files<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<(&'a str, &'a [u8])> {
        loop {
            let entry = Entry::first(self.rest)?;
            self.rest = entry.rest;
            if entry.name == TRAILER {
                return None;
            }
            if !entry.bytes.is_empty() {
                return Some((entry.name.trim_start_matches("./"), entry.bytes));
            }
        }
    }
}

struct Entry<'a> {
    name: &'a str,
    bytes: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Entry<'a> {
    fn first(archive: &'a [u8]) -> Option<Entry<'a>> {
        let header = archive.get(..HEADER_BYTES).filter(|header| header.starts_with(MAGIC))?;
        let number = |nth: usize| {
            let at = MAGIC.len() + nth * 8;
            let digits = core::str::from_utf8(&header[at..at + 8]).ok()?;
            usize::from_str_radix(digits, 16).ok()
        };
        let (bytes, name_bytes) = (number(FILE_SIZE)?, number(NAME_SIZE)?);
        let name = archive.get(HEADER_BYTES..HEADER_BYTES.checked_add(name_bytes)?)?;
        let name = core::str::from_utf8(name.strip_suffix(b"\0")?).ok()?;
        let begin = (HEADER_BYTES + name_bytes).next_multiple_of(4);
        let end = begin.checked_add(bytes)?;
        let bytes = archive.get(begin..end)?;
        Some(Entry {
            name,
            bytes,
            rest: archive.get(end.next_multiple_of(4)..).unwrap_or_default(),
        })
    }
}

const MAGIC: &[u8] = b"070701";
const HEADER_BYTES: usize = 6 + 13 * 8;
/// Which of the numbers it is.
const FILE_SIZE: usize = 6;
const NAME_SIZE: usize = 11;
const TRAILER: &str = "TRAILER!!!";

#[cfg(test)]
mod tests {
    //! What cpio wrote comes out, and any bytes are survived.

    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::vec::Vec;

    fn entry(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut numbers = [0; 13];
        (numbers[FILE_SIZE], numbers[NAME_SIZE]) = (bytes.len(), name.len() + 1);
        let numbers = numbers.map(|number| format!("{number:08X}")).concat();
        let mut entry = [MAGIC, numbers.as_bytes(), name.as_bytes(), b"\0"].concat();
        entry.resize(entry.len().next_multiple_of(4), 0);
        entry.extend_from_slice(bytes);
        entry.resize(entry.len().next_multiple_of(4), 0);
        entry
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let parts = [
            entry(".", b""),
            entry("./haproxy.cfg", b"global"),
            entry("errors/503.http", b"x"),
            entry(TRAILER, b""),
            entry("behind", b"the end"),
        ];
        let archive = parts.concat();
        assert!(is_archive(&archive));
        let found: Vec<_> = files(&archive).collect();
        assert_eq!(found, [("haproxy.cfg", &b"global"[..]), ("errors/503.http", &b"x"[..])]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(name in "[a-z]{0,9}", cut: usize, at: usize, byte: u8) {
            let mut archive = [entry(&name, b"bytes"), entry(TRAILER, b"")].concat();
            let len = archive.len();
            archive[at % len] = byte;
            archive.truncate(cut % len);
            prop_assert!(files(&archive).count() <= 2);
        }
    }
}
