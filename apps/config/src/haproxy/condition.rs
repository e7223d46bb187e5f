//! ACLs and the conditions made of them.
//!
//! ```text
//!   acl local  src 10.0.0.0/8           Acl { tests: [Test src ip .., Test src_port int ..] }: any of them
//!   acl local  src_port lt 1024
//!   .. if local !late || { nbsrv eq 0 }   any_of: [[local, !late], [anonymous]]
//! ```
//! Evaluation has three results, as in HAProxy: yes, no, and not yet, when a sample needs bytes that
//! have not come and more may come.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_wire::Addr;

use super::Sample;

/// A position in [`super::Frontend::acls`] or [`super::Backend::acls`], whichever section the
/// condition stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(pub u16);

/// An ACL: true when any of its tests is.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Acl {
    /// Its name; empty for one that stands in braces in a condition.
    pub name: String,
    /// Each line of this name.
    pub tests: Vec<Test>,
}

/// One line of an ACL: what is looked at, and what it is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is looked at.
    pub sample: Sample,
    /// What it must be.
    pub matching: Matching,
    /// `-i`: letters are alike whatever their case.
    pub ignore_case: bool,
}

/// What a sample is held against: true when any of the patterns fits. A sample of another kind is
/// cast first, as HAProxy does; one that is not there fits nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Matching {
    /// `-m found`: it is there.
    Found,
    /// `bool`: it is not zero.
    Bool,
    /// `int`: it is within one of these.
    Int(Vec<Range>),
    /// `ip`: it is in one of these networks.
    Ip(Vec<Network>),
    /// `bin`: it is one of these.
    Binary(Vec<Vec<u8>>),
    /// `len`: its length in bytes is within one of these.
    Length(Vec<Range>),
    /// `str`: it is one of these.
    Text(Vec<Vec<u8>>),
    /// `beg`: it begins with one of these.
    Begins(Vec<Vec<u8>>),
    /// `end`: it ends with one of these.
    Ends(Vec<Vec<u8>>),
    /// `sub`: one of these is in it.
    Contains(Vec<Vec<u8>>),
    /// `dir`: one of these is in it, between `/` and `?`, or its ends.
    Directory(Vec<Vec<u8>>),
    /// `dom`: one of these is in it, between `/`, `?`, `.` and `:`, or its ends.
    Domain(Vec<Vec<u8>>),
    /// `reg`: one of these regular expressions fits somewhere. Each was compiled once to see that
    /// it can be.
    Regex(Vec<String>),
}

/// Integers from `least` to `most`, both in it; `eq`, `gt`, `ge`, `lt`, `le` and `a:b` of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl Range {
    /// Whether `number` is in it.
    pub const fn contains(self, number: i64) -> bool {
        self.least <= number && number <= self.most
    }
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address of it; only the bits of `mask` count.
    pub addr: Addr,
    /// The bits that count, of the 128 of an [`Addr`]; an IPv4 mask may have holes.
    pub mask: Addr,
}

impl Network {
    /// Whether `addr` is in it. An IPv4 address is in a network of IPv6 that has its mapped form.
    pub const fn contains(self, addr: Addr) -> bool {
        let same_hi = (self.addr.hi ^ addr.hi) & self.mask.hi == 0;
        let same_lo = (self.addr.lo ^ addr.lo) & self.mask.lo == 0;
        same_hi && same_lo
    }
}

/// When a rule applies: `if` or `unless`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Condition {
    /// `unless`: the rule applies when the rest is false.
    pub unless: bool,
    /// True when all terms of any of these are.
    pub any_of: Vec<Vec<Term>>,
}

/// An ACL in a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// `!`.
    pub negated: bool,
    /// The ACL.
    pub acl: AclId,
}

/// Whether the pattern stands in the text between delimiters, or its ends. Delimiters at the
/// pattern's own ends do not count.
pub fn stands_between(
    text: &[u8],
    pattern: &[u8],
    delimiters: &[u8],
    same: fn(&[u8], &[u8]) -> bool,
) -> bool {
    let is_delimiter = |byte: &u8| delimiters.contains(byte);
    let begin = pattern.iter().position(|byte| !is_delimiter(byte)).unwrap_or(pattern.len());
    let end = pattern.iter().rposition(|byte| !is_delimiter(byte)).map_or(begin, |at| at + 1);
    let pattern = &pattern[begin..end];
    if pattern.is_empty() {
        return false;
    }
    text.windows(pattern.len()).enumerate().any(|(at, part)| {
        let opens = at == 0 || is_delimiter(&text[at - 1]);
        let closes = text.get(at + pattern.len()).is_none_or(is_delimiter);
        opens && closes && same(part, pattern)
    })
}
