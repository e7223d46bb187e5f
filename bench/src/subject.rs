//! What a stack must offer to be measured, and what every adapter is built from.

use crate::card::{Card, ChecksumBy};
use crate::frames::Family;

/// A server stack with an HTTP responder on it, behind an in-memory card.
pub trait Subject {
    /// The card: frames are put in and taken out there, in place.
    fn card(&mut self) -> &mut Card;

    /// Moves what has arrived to where the stack finds it. No meter sees it.
    fn arrive(&mut self) {}

    /// One turn of the stack at virtual time `now_us`: at most a burst of 32 frames, timers, and
    /// whatever follows. This is what is measured.
    fn poll(&mut self, now_us: u64);

    /// What the stack holds now.
    fn population(&self) -> Population;

    /// How many SYNs the stack has dropped at sight because it was behind.
    fn shed(&self) -> u64 {
        0
    }

    /// What the stack knows about a failure.
    fn explain(&self) -> String {
        format!("{:?}", self.population())
    }

    /// Receives a frame from the wire; `false` when the receive ring is full.
    fn input(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> bool {
        self.card().deliver(write)
    }

    /// Hands every frame sent since the last call to `sink`.
    fn drain(&mut self, sink: impl FnMut(&[u8])) {
        self.card().collect(sink);
    }
}

/// How many records a stack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Population {
    /// Connections, idle or not.
    pub connections: u64,
    /// Half-open connections.
    pub half_open: u64,
    /// TIME-WAIT records.
    pub time_wait: u64,
    /// Payload buffers in use.
    pub buffers: u64,
}

/// What a subject is to be ready for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Who computes checksums.
    pub checksums: ChecksumBy,
    /// IP version.
    pub family: Family,
    /// How many ports are listened on, the first of them [`LISTEN_FIRST`].
    pub listeners: u16,
    /// Connections at once.
    pub connections: u32,
    /// Idle connections beside them.
    pub idle: u32,
}

/// The first port listened on.
pub const LISTEN_FIRST: u16 = 8000;

/// Follows the end of a request's head through a connection's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    /// How much of [`HEAD_END`] the bytes so far end with.
    matched: u8,
}

/// What ends a head (RFC 9112 section 2.1).
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

impl Head {
    /// Takes more bytes; whether the head is complete with them.
    #[inline]
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        // Nearly every request arrives whole and without a body.
        if self.matched == 0 && bytes.ends_with(HEAD_END) {
            return true;
        }
        for byte in bytes {
            let matched = self.matched as usize;
            self.matched = match *byte {
                byte if byte == HEAD_END[matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched as usize == HEAD_END.len() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::REQUEST;

    /// The end of a head is found however the bytes are cut.
    #[test]
    fn a_head_ends_wherever_it_is_cut() {
        for cut in 0..REQUEST.len() {
            let mut head = Head::default();
            assert!(!head.take(&REQUEST[..cut]), "cut at {cut}");
            assert!(head.take(&REQUEST[cut..]), "cut at {cut}");
        }
        assert!(!Head::default().take(b"GET / HTTP/1.1\r\nHost: x\r\n"));
        assert!(Head::default().take(b"\r\r\n\r\nbody"));
    }
}
