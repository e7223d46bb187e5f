//! Writes the head of an answer, and a short body behind it.

use crate::Status;

/// A status line and fields, put together in place. What does not fit is left out, which the sizes
/// of what we write rule out.
#[derive(Debug)]
pub struct Head {
    bytes: [u8; HEAD_BYTES],
    len: usize,
}

/// Room for a status line and a handful of fields.
const HEAD_BYTES: usize = 256;

impl Head {
    /// Begins with a status line.
    //= rfc9110#6.2
    //# A server SHOULD send a response version equal to the highest version to which the server is
    //# conformant that has a major version less than or equal to the one received in the request.
    pub fn new(status: Status) -> Head {
        let mut head = Head { bytes: [0; HEAD_BYTES], len: 0 };
        head.push(b"HTTP/1.1 ");
        head.number(status.0 as u64);
        head.push(b" ");
        head.push(status.reason().as_bytes());
        head.push(b"\r\n");
        head
    }

    /// Adds a field.
    pub fn field(&mut self, name: &str, value: &str) -> &mut Head {
        self.push(name.as_bytes());
        self.push(b": ");
        self.push(value.as_bytes());
        self.push(b"\r\n");
        self
    }

    /// Adds a field that is a number.
    pub fn count(&mut self, name: &str, value: u64) -> &mut Head {
        self.push(name.as_bytes());
        self.push(b": ");
        self.number(value);
        self.push(b"\r\n");
        self
    }

    /// Ends it; what is written behind is the body.
    pub fn end(&mut self) -> &mut Head {
        self.push(b"\r\n");
        self
    }

    /// Adds a short body, or a piece of one.
    pub fn text(&mut self, text: &str) -> &mut Head {
        self.push(text.as_bytes());
        self
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0; DIGITS_MAX];
        let (mut at, mut rest) = (DIGITS_MAX, number);
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    fn push(&mut self, bytes: &[u8]) {
        debug_assert!(self.len + bytes.len() <= HEAD_BYTES, "a head of ours is too long");
        let free = &mut self.bytes[self.len..];
        let count = bytes.len().min(free.len());
        free[..count].copy_from_slice(&bytes[..count]);
        self.len += count;
    }
}

/// Digits of the largest number.
const DIGITS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_written_as_the_rfc_has_it() {
        let mut head = Head::new(Status(404));
        head.field("Connection", "close").count("Content-Length", u64::MAX).end();
        let expected = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\
                        Content-Length: 18446744073709551615\r\n\r\n";
        assert_eq!(core::str::from_utf8(head.bytes()), Ok(expected));
    }
}
