//! Files that came along with an image: which of them is the configuration, and what it may name.
//!
//! ```text
//!   boot modules, initrd ─┐                       ┌▶ haproxy.cfg ── what is read
//!   fw_cfg ───────────────┼▶ bare file or archive ┼▶ errors/*, lists of patterns
//!   a boot string's words ┘  (the later counts)   └▶ etc/hosts
//! ```
//! A single file without a name of its own is the configuration: `-initrd my.cfg` is enough.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::grammar::{File, Files};
use crate::cpio::Archive;
use crate::limits::{DELIVERED_BYTES_MAX, DELIVERED_FILES_MAX};

/// All files that were delivered, by name.
#[derive(Clone, Debug, Default)]
pub struct Delivery<'a> {
    files: Vec<(String, &'a [u8])>,
    lines: Vec<String>,
}

/// The name of the configuration.
pub const CONFIGURATION: &str = "haproxy.cfg";

impl<'a> Delivery<'a> {
    /// Takes in what a loader brought: an archive with all its files, or a bare file. One of the same
    /// name from before is forgotten.
    ///
    /// # Errors
    /// A line for a person: an archive that is none, or more than is ever meant.
    pub fn add(&mut self, words: &str, bytes: &'a [u8]) -> Result<(), String> {
        let name = name(words);
        if bytes.len() > DELIVERED_BYTES_MAX {
            let most = DELIVERED_BYTES_MAX >> 20;
            return Err(format!("{name}: {} bytes: expected at most {most} MiB", bytes.len()));
        }
        if let Some(kind) = packed(bytes) {
            return Err(format!("{name}: expected a text or a newc archive, this is {kind}"));
        }
        let Some(archive) = Archive::of(bytes) else {
            self.lines.push(format!("files: {name}, {} bytes", bytes.len()));
            return self.put(name, bytes);
        };
        let before = self.files.len();
        for entry in archive {
            let entry = entry.map_err(|error| format!("{name}: {error}"))?;
            self.put(&String::from_utf8_lossy(entry.name), entry.bytes)?;
        }
        let known = self.files[before..].iter().map(|(name, _)| name.as_str());
        let names = known.take(NAMES_SAID).collect::<Vec<_>>().join(", ");
        let more = match (self.files.len() - before).saturating_sub(NAMES_SAID) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.lines.push(format!("files: an archive with {names}{more}"));
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &'a [u8]) -> Result<(), String> {
        self.files.retain(|(known, _)| known != name);
        if self.files.len() == DELIVERED_FILES_MAX {
            return Err(format!("{name}: expected at most {DELIVERED_FILES_MAX} files"));
        }
        self.files.push((name.to_string(), bytes));
        Ok(())
    }

    /// The configuration, if one was delivered.
    pub fn configuration(&self) -> Option<File<'_>> {
        let found = self.files.iter().find(|(name, _)| name == CONFIGURATION);
        found.map(|(name, bytes)| File { name, bytes })
    }

    /// The text of `etc/hosts`, if it was delivered.
    pub fn hosts(&self) -> Option<Cow<'_, str>> {
        let found = self.files.iter().find(|(name, _)| name == "etc/hosts" || name == "hosts");
        found.map(|(_, bytes)| String::from_utf8_lossy(bytes))
    }

    /// What came, a line for each source.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl Files for Delivery<'_> {
    fn bytes(&self, path: &str) -> Option<Cow<'_, [u8]>> {
        let files: Vec<_> = self.files.iter().map(|(name, bytes)| File { name, bytes }).collect();
        let bytes = (&*files).bytes(path)?.into_owned();
        Some(Cow::Owned(bytes))
    }
}

/// The name of a file, of the words that a loader gave it. Without words it is the configuration, and
/// so is a `.cfg`, whatever it is called.
fn name(words: &str) -> &str {
    let first = words.split_whitespace().next().unwrap_or_default();
    let first = first.trim_start_matches("./").trim_start_matches('/');
    let folders = ["etc/haproxy/", "haproxy/"];
    let first = folders.iter().find_map(|folder| first.strip_prefix(folder)).unwrap_or(first);
    match first.is_empty() || first.ends_with(".cfg") {
        true => CONFIGURATION,
        false => first,
    }
}

/// What somebody compressed, who meant to be kind.
fn packed(bytes: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"070707", "a cpio archive of the old form (say: cpio -o -H newc)"),
        (b"\x7fELF", "a program"),
    ];
    kinds.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

/// A line names so many files of an archive.
const NAMES_SAID: usize = 6;

#[cfg(test)]
mod tests {
    //! What is delivered is found under the name that a configuration has for it.

    use super::*;

    #[test]
    fn a_bare_file_is_the_configuration() {
        for words in ["", "haproxy.cfg", "/srv/lb1.cfg", "etc/haproxy/haproxy.cfg more"] {
            let mut delivery = Delivery::default();
            delivery.add(words, b"listen x\n").expect("taken");
            assert_eq!(
                delivery.configuration().expect("a configuration").bytes,
                b"listen x\n",
                "{words}"
            );
        }
        let mut delivery = Delivery::default();
        delivery.add("etc/hosts", b"10.0.0.1 db").expect("taken");
        assert!(delivery.configuration().is_none());
        assert_eq!(delivery.hosts().expect("hosts"), "10.0.0.1 db");
    }

    #[test]
    fn the_later_counts() {
        let mut delivery = Delivery::default();
        delivery.add("", b"a").expect("taken");
        delivery.add("errors/503.http", b"HTTP/1.0 503").expect("taken");
        delivery.add("haproxy.cfg", b"b").expect("taken");
        assert_eq!(delivery.configuration().expect("a configuration").bytes, b"b");
        let path = "/etc/haproxy/errors/503.http";
        assert_eq!(delivery.bytes(path).expect("a file").as_ref(), b"HTTP/1.0 503");
        assert!(delivery.bytes("/etc/haproxy/errors/400.http").is_none());
        assert_eq!(delivery.lines().len(), 3);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let mut delivery = Delivery::default();
        assert_eq!(
            delivery.add("", b"\x1f\x8b\x08").expect_err("refused"),
            "haproxy.cfg: expected a text or a newc archive, this is gzip"
        );
        assert_eq!(
            delivery.add("", b"070701").expect_err("refused"),
            "haproxy.cfg: archive: expected a whole header at byte 0"
        );
        assert!(delivery.add("", &[b'x'; DELIVERED_BYTES_MAX + 1]).is_err());
    }
}
