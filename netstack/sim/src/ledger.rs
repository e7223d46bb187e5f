//! The ledger of conversations: who is to say what to whom, how far each side has come, and what
//! every byte must be.
//!
//! The byte at a position of a conversation's side is a function of the three, so a receiver judges
//! each byte where it stands. The initiator's stream begins with the conversation's number; that is
//! how the accepting side knows which one it holds.

use std::collections::HashMap;
use std::fmt;

use penstock_stack::{Close, ConnectError, Endpoint, SocketOptions};
use penstock_wire::Addr;

use penstock_fault::mix;

/// Bytes with which an initiator's stream begins: the conversation's number, and a seal over it.
pub(crate) const HEADER_BYTES: u64 = 8;

/// Which end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that connects.
    Initiator,
    /// The one that accepts.
    Acceptor,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Initiator => Side::Acceptor,
            Side::Acceptor => Side::Initiator,
        }
    }
}

/// When a side sends its bytes (the initiator's header is always sent at once).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// As soon as the connection stands.
    AtOnce,
    /// After the first bytes of the other side.
    AfterFirst,
    /// After the other side's FIN.
    AfterAll,
}

/// How a side reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Takes everything.
    Eager,
    /// Refuses some of it now and then, and resumes after a pause.
    Refusing {
        /// How often.
        ppm: u32,
        /// For how long.
        pause_us: u64,
    },
    /// Refuses some of it now and then while it has something unacknowledged itself, and resumes
    /// when somebody's is acknowledged: a proxy with a full buffer.
    Owing {
        /// How often.
        ppm: u32,
    },
    /// Pauses by itself after this many bytes, once.
    Pausing {
        /// After how many bytes.
        after: u64,
        /// For how long.
        pause_us: u64,
    },
}

/// How a side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Half-closes behind its last byte and reads on.
    Shutdown,
    /// Closes when it has sent and received everything.
    Close,
    /// Resets after this many bytes sent and received together, or behind its last byte.
    Abort(u64),
    /// Closes at such a moment, whatever is still coming.
    Leave(u64),
}

/// What one side of a conversation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// Bytes to send, the header included.
    pub bytes: u64,
    /// The largest single send.
    pub piece: u32,
    /// When it begins.
    pub opening: Opening,
    /// How it reads.
    pub reading: Reading,
    /// How it ends.
    pub ending: Ending,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Script { bytes, piece, opening, reading, ending } = self;
        write!(f, "{bytes} bytes by {piece}, {opening:?}, {reading:?}, {ending:?}")
    }
}

impl Script {
    /// Whether this side neither resets nor leaves early.
    pub fn is_orderly(&self) -> bool {
        matches!(self.ending, Ending::Shutdown | Ending::Close)
    }
}

/// A conversation as planned.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// When it begins.
    pub at_us: u64,
    /// The host and core that connect.
    pub from: (usize, u16),
    /// The host that accepts.
    pub to: usize,
    /// Its address there.
    pub addr: Addr,
    /// And its port.
    pub port: u16,
    /// Options of the connecting side.
    pub options: SocketOptions,
    /// What the two sides do.
    pub initiator: Script,
    /// The accepting side's script.
    pub acceptor: Script,
}

impl Conversation {
    pub(crate) fn script(&self, side: Side) -> Script {
        match side {
            Side::Initiator => self.initiator,
            Side::Acceptor => self.acceptor,
        }
    }

    /// Whether both sides get to say and hear everything.
    pub fn is_orderly(&self) -> bool {
        self.initiator.is_orderly() && self.acceptor.is_orderly()
    }
}

/// How a side of a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The stack said so.
    Closed(Close),
    /// The application closed it, and hears no more.
    Left,
    /// The application reset it.
    Aborted,
    /// It could not even begin.
    NotConnected(ConnectError),
    /// Its host went down.
    HostDied,
}

/// How far one side has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) is_open: bool,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// It will send no more than `sent`.
    pub(crate) is_shut: bool,
    /// The other side's FIN was reported.
    pub(crate) saw_end: bool,
    pub(crate) end: Option<End>,
}

/// A conversation as it went.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) plan: Conversation,
    pub(crate) is_started: bool,
    pub(crate) initiator: Progress,
    pub(crate) acceptor: Progress,
    /// Connections beyond the first that came out of this conversation's segments.
    pub(crate) ghosts: u32,
}

impl Record {
    pub(crate) fn side(&self, side: Side) -> &Progress {
        match side {
            Side::Initiator => &self.initiator,
            Side::Acceptor => &self.acceptor,
        }
    }

    pub(crate) fn side_mut(&mut self, side: Side) -> &mut Progress {
        match side {
            Side::Initiator => &mut self.initiator,
            Side::Acceptor => &mut self.acceptor,
        }
    }

    /// Whether nothing more will happen to it.
    pub(crate) fn is_over(&self) -> bool {
        let is_over = |side: &Progress| !side.is_open || side.end.is_some();
        self.is_started && self.initiator.end.is_some() && is_over(&self.acceptor)
    }

    /// Whether both sides got everything.
    pub(crate) fn is_complete(&self) -> bool {
        self.initiator.received == self.plan.acceptor.bytes
            && self.acceptor.received == self.plan.initiator.bytes
    }
}

/// All conversations of a world.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) records: Vec<Record>,
    /// The latest conversation of a pair of ends (initiator's first): a first guess for the
    /// accepting side, which the header confirms.
    ends: HashMap<(Endpoint, Endpoint), u32>,
}

impl Ledger {
    pub(crate) fn new(conversations: &[Conversation]) -> Ledger {
        let record = |plan: &Conversation| Record {
            plan: plan.clone(),
            is_started: false,
            initiator: Progress::default(),
            acceptor: Progress::default(),
            ghosts: 0,
        };
        Ledger { records: conversations.iter().map(record).collect(), ends: HashMap::new() }
    }

    pub(crate) fn record(&mut self, conversation: u32) -> &mut Record {
        &mut self.records[conversation as usize]
    }

    /// Remembers the ends of a conversation that connects.
    pub(crate) fn connects(&mut self, conversation: u32, from: Endpoint, to: Endpoint) {
        self.ends.insert((from, to), conversation);
    }

    /// Which conversation a connection between these ends is, probably.
    pub(crate) fn guess(&self, from: Endpoint, to: Endpoint) -> Option<u32> {
        self.ends.get(&(from, to)).copied()
    }
}

/// Writes what `side` of `conversation` says from `position` on.
pub(crate) fn say(conversation: u32, side: Side, position: u64, bytes: &mut [u8]) {
    let mut at = position;
    let mut rest = bytes;
    while !rest.is_empty() {
        let word = word(conversation, side, at / 8).to_le_bytes();
        let skip = (at % 8) as usize;
        let count = rest.len().min(8 - skip);
        let (piece, behind) = rest.split_at_mut(count);
        piece.copy_from_slice(&word[skip..skip + count]);
        rest = behind;
        at += count as u64;
    }
}

/// The first position at which `bytes` are not what `side` says from `position` on.
pub(crate) fn differs(conversation: u32, side: Side, position: u64, bytes: &[u8]) -> Option<u64> {
    let mut at = position;
    let mut rest = bytes;
    while !rest.is_empty() {
        let word = word(conversation, side, at / 8).to_le_bytes();
        let skip = (at % 8) as usize;
        let count = rest.len().min(8 - skip);
        let (piece, behind) = rest.split_at(count);
        if piece != &word[skip..skip + count] {
            let off = piece.iter().zip(&word[skip..]).position(|(a, b)| a != b).unwrap_or(0);
            return Some(at + off as u64);
        }
        rest = behind;
        at += count as u64;
    }
    None
}

/// The conversation that a header names.
pub(crate) fn named_by(header: [u8; HEADER_BYTES as usize]) -> Option<u32> {
    let word = u64::from_le_bytes(header);
    let conversation = word as u32;
    (word == seal(conversation)).then_some(conversation)
}

fn word(conversation: u32, side: Side, index: u64) -> u64 {
    match (side, index) {
        (Side::Initiator, 0) => seal(conversation),
        _ => mix((conversation as u64) << 33 ^ (side as u64) << 32 ^ index.wrapping_mul(SPREAD)),
    }
}

fn seal(conversation: u32) -> u64 {
    conversation as u64 | mix(conversation as u64 ^ SPREAD) << 32
}

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_recognised_from_any_position_and_a_wrong_byte_is_found() {
        let mut bytes = vec![0; 100];
        say(5, Side::Acceptor, 3, &mut bytes);
        assert_eq!(differs(5, Side::Acceptor, 3, &bytes), None);
        let mut later = vec![0; 50];
        say(5, Side::Acceptor, 53, &mut later);
        assert_eq!(later, bytes[50..]);
        bytes[42] ^= 1;
        assert_eq!(differs(5, Side::Acceptor, 3, &bytes), Some(45));
        assert!(differs(6, Side::Acceptor, 53, &later).is_some());
    }

    #[test]
    fn a_header_names_its_conversation() {
        let mut header = [0; 8];
        say(77, Side::Initiator, 0, &mut header);
        assert_eq!(named_by(header), Some(77));
        header[6] ^= 1;
        assert_eq!(named_by(header), None);
    }
}
