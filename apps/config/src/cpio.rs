//! Files in a newc archive: what `cpio -o -H newc` writes, and Linux takes as an initrd
//! (`Documentation/driver-api/early-userspace/buffer-format`).
//!
//! ```text
//!  0 magic "070701" or "070702"    6 thirteen fields, each 8 hexadecimal digits
//!    inode mode links .. mtime  54 bytes of the file  ..  94 bytes of the name  102 sum of the bytes
//!  110 name, 0, up to a multiple of 4    the file, up to a multiple of 4    next header
//! ```
//! Ends at `TRAILER!!!`, behind which further archives may stand, with zeros between. Pure, without a
//! copy, and each step reads on: an archive costs no more than its bytes.

use core::fmt;

/// The files of an archive, in its order. Folders, links and devices are passed over.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    rest: &'a [u8],
    all: &'a [u8],
}

/// A file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, without a leading `/` or `./`.
    pub name: &'a [u8],
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What is wrong with an archive, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveError {
    /// Bytes from its beginning.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "archive: expected {} at byte {}", self.expected, self.at)
    }
}

impl<'a> Archive<'a> {
    /// The archive in `bytes`, if they begin as one.
    pub fn of(bytes: &'a [u8]) -> Option<Archive<'a>> {
        is_magic(bytes).then_some(Archive { rest: bytes, all: bytes })
    }

    fn step(&mut self) -> Result<Option<Step<'a>>, ArchiveError> {
        let at = self.all.len() - self.rest.len();
        let wrong = |expected| ArchiveError { at, expected };
        if self.rest.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if !is_magic(self.rest) {
            return Err(wrong("a header"));
        }
        let header = self.rest.get(..HEADER_BYTES).ok_or(wrong("a whole header"))?;
        let field = |at: usize| hex(&header[at..at + 8]).ok_or(wrong("hexadecimal digits"));
        let (mode, bytes, name_bytes) = (field(14)?, field(54)?, field(94)?);
        let name_end = HEADER_BYTES + name_bytes as usize;
        let begin = name_end.next_multiple_of(ALIGN);
        let name = self.rest.get(HEADER_BYTES..name_end).ok_or(wrong("a name"))?;
        let Some((0, name)) = name.split_last() else { return Err(wrong("a name with its 0")) };
        let end = begin + bytes as usize;
        let bytes = self.rest.get(begin..end).ok_or(wrong("as many bytes as its header says"))?;
        let sum = field(102)?;
        if header.starts_with(WITH_SUM) && sum != total(bytes) {
            return Err(wrong("bytes of the sum that its header says"));
        }
        // Of the last file, what would align a next one may be missing.
        self.rest = self.rest.get(end.next_multiple_of(ALIGN)..).unwrap_or_default();
        if name == TRAILER {
            let zeros = self.rest.iter().take_while(|&&byte| byte == 0).count();
            self.rest = &self.rest[zeros..];
            return Ok(Some(Step::Other));
        }
        match mode & KIND {
            REGULAR => Ok(Some(Step::File(Entry { name: plain(name), bytes }))),
            _ => Ok(Some(Step::Other)),
        }
    }
}

enum Step<'a> {
    File(Entry<'a>),
    Other,
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Entry<'a>, ArchiveError>;

    /// The next file; nothing comes behind an error.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some(Step::File(entry))) => return Some(Ok(entry)),
                Ok(Some(Step::Other)) => {}
                Ok(None) => return None,
                Err(error) => {
                    self.rest = &[];
                    return Some(Err(error));
                }
            }
        }
    }
}

fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || bytes.starts_with(WITH_SUM)
}

/// `./etc//hosts` as `etc//hosts`, `/etc/hosts` as `etc/hosts`.
fn plain(mut name: &[u8]) -> &[u8] {
    while let Some(rest) = name.strip_prefix(b"/").or_else(|| name.strip_prefix(b"./")) {
        name = rest;
    }
    name
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0_u32, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

fn total(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, &byte| sum.wrapping_add(byte.into()))
}

const MAGIC: &[u8] = b"070701";
const WITH_SUM: &[u8] = b"070702";
const HEADER_BYTES: usize = 110;
const ALIGN: usize = 4;
const TRAILER: &[u8] = b"TRAILER!!!";
/// What a mode says of a file's kind, and the kind that has bytes.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

#[cfg(test)]
mod tests {
    //! What `cpio` writes is read, and nothing else is believed.

    use super::*;
    use alloc::format;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn file(magic: &str, mode: u32, name: &str, bytes: &[u8]) -> Vec<u8> {
        let (sum, size, name_bytes) = (total(bytes), bytes.len(), name.len() + 1);
        let mut out = format!(
            "{magic}{:08x}{mode:08x}{:032x}{size:08x}{:032x}{name_bytes:08x}{sum:08x}{name}\0",
            7, 1, 0
        )
        .into_bytes();
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn files(bytes: &[u8]) -> Vec<Result<Entry<'_>, ArchiveError>> {
        Archive::of(bytes).into_iter().flatten().collect()
    }

    fn wrong(bytes: &[u8]) -> ArchiveError {
        files(bytes).pop().expect("something").expect_err("an error at the end")
    }

    #[test]
    fn files_of_two_archives_are_found() {
        let mut bytes = file("070701", 0o40755, "errors", b"");
        bytes.extend(file("070701", 0o100644, "./errors/503.http", b"HTTP/1.0 503"));
        bytes.extend(file("070701", 0, "TRAILER!!!", b""));
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(file("070702", 0o100644, "/haproxy.cfg", b"listen x\n"));
        let found: Vec<Entry<'_>> = files(&bytes).into_iter().flatten().collect();
        let error = Entry { name: b"errors/503.http", bytes: b"HTTP/1.0 503" };
        assert_eq!(found, [error, Entry { name: b"haproxy.cfg", bytes: b"listen x\n" }]);
        assert!(files(b"listen x").is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let expected = |bytes: &[u8]| wrong(bytes).expected;
        let good = file("070702", 0o100644, "a", b"bcd");
        assert_eq!(expected(&good[..50]), "a whole header");
        assert_eq!(expected(&good[..111]), "a name");
        assert_eq!(expected(&good[..114]), "as many bytes as its header says");
        let mut other = good.clone();
        other[112] = b'B';
        assert_eq!(expected(&other), "bytes of the sum that its header says");
        other[20] = b'g';
        assert_eq!(expected(&other), "hexadecimal digits");
        let mut tail = good.clone();
        tail.extend(b"x");
        assert_eq!(wrong(&tail), ArchiveError { at: good.len(), expected: "a header" });
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(tail: Vec<u8>, cut in 0_usize..300, flip in 0_usize..300, by: u8) {
            let mut bytes = file("070701", 0o100644, "haproxy.cfg", b"listen x");
            bytes.extend(file("070702", 0o100644, "etc/hosts", b"127.0.0.1 localhost"));
            if let Some(byte) = bytes.get_mut(flip) {
                *byte ^= by;
            }
            bytes.truncate(cut);
            bytes.extend(tail);
            let found = files(&bytes);
            let of_files: usize = found.iter().flatten().map(|entry| entry.bytes.len()).sum();
            prop_assert!(of_files <= bytes.len());
        }
    }
}
