//! What a sample is, and what else it can be taken for.

use core::fmt::Write;
use core::net::IpAddr;

use penstock_wire::Addr;

use crate::line::Line;

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// A number.
    Int(i64),
    /// An address.
    Addr(Addr),
    /// Text, which need not be UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> Value<'a> {
    /// As a number: text by the digits that it begins with, an IPv4 address by its 32 bits.
    pub fn int(self) -> Option<i64> {
        match self {
            Value::Bool(value) => Some(i64::from(value)),
            Value::Int(value) => Some(value),
            Value::Addr(addr) => addr.is_v4().then(|| i64::from(addr.v4_number())),
            Value::Text(text) => (!text.is_empty()).then(|| leading_number(text)),
            Value::Binary(_) => None,
        }
    }

    /// As an address.
    pub fn addr(self) -> Option<Addr> {
        match self {
            Value::Addr(addr) => Some(addr),
            Value::Int(number) => Some(Addr::v4(number as u32)),
            Value::Text(text) => {
                let address: IpAddr = str::from_utf8(text).ok()?.parse().ok()?;
                Some(address.into())
            }
            Value::Bool(_) | Value::Binary(_) => None,
        }
    }

    /// As text; bytes up to the first that is 0.
    pub fn text(self, room: &mut Room<'a>) -> &'a [u8] {
        match self {
            Value::Bool(value) => room.write(|line| line.number(u64::from(value))),
            Value::Int(value) => room.write(|line| line.signed(value)),
            // A Line takes everything, or its beginning: writing never fails.
            Value::Addr(addr) => room.write(|line| write!(line, "{addr}").unwrap_or_default()),
            Value::Text(text) => text,
            Value::Binary(bytes) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                &bytes[..end]
            }
        }
    }

    /// As bytes: numbers in network order, 8 bytes wide.
    pub fn bytes(self, room: &mut Room<'a>) -> &'a [u8] {
        match self {
            Value::Bool(value) => Value::Int(i64::from(value)).bytes(room),
            Value::Int(value) => room.write(|line| line.push(&value.to_be_bytes())),
            Value::Addr(addr) if addr.is_v4() => {
                room.write(|line| line.push(&addr.v4_number().to_be_bytes()))
            }
            Value::Addr(addr) => room.write(|line| line.push(&addr.bytes())),
            Value::Text(bytes) | Value::Binary(bytes) => bytes,
        }
    }
}

/// The number that a text begins with; 0 where it begins with none, saturated where it is larger
/// than 64 bits.
fn leading_number(text: &[u8]) -> i64 {
    let (is_negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let sign = if is_negative { -1 } else { 1 };
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0i64, |number, digit| {
        number.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0'))
    })
}

/// Room that is taken piece by piece and comes back all at once.
#[derive(Debug)]
pub struct Room<'a>(&'a mut [u8]);

impl<'a> Room<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Room<'a> {
        Room(bytes)
    }

    /// What `write` writes; less when there is no more room.
    pub fn write(&mut self, write: impl FnOnce(&mut Line<'_>)) -> &'a [u8] {
        let bytes = core::mem::take(&mut self.0);
        let mut line = Line::new(bytes);
        write(&mut line);
        let len = line.len();
        let (taken, rest) = bytes.split_at_mut(len);
        self.0 = rest;
        taken
    }

    /// Bytes that are left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
