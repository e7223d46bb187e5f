//! The field lines of a head that was found good.

use crate::bytes::{token_end, value_end};

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, as it was sent.
    pub name: &'a [u8],
    /// Its value, without the white space around it.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether it is called `name`.
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Cuts field lines, which the parser has accepted, once more: that costs less than a table of them
/// for every head, whose fields most applications never look at.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `lines` are whole and good.
    pub(crate) fn new(lines: &'a [u8]) -> Fields<'a> {
        Fields { rest: lines }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let colon = token_end(self.rest, 0);
        if self.rest.get(colon) != Some(&b':') {
            return None;
        }
        let mut end = value_end(self.rest, colon + 1);
        while self.rest.get(end) == Some(&b'\t') {
            end = value_end(self.rest, end + 1);
        }
        let field = Field { name: &self.rest[..colon], value: trimmed(&self.rest[colon + 1..end]) };
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        Some(field)
    }
}

/// Without optional white space (RFC 9110 section 5.6.3) around it.
#[inline]
pub(crate) fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a list (RFC 9110 section 5.6.1), empty ones left out.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trimmed).filter(|element| !element.is_empty())
}
