//! Everything that crosses between cores: small messages, and counters that others may read. The only
//! file with atomics.
//!
//! ```text
//!              tail (written by the receiver)      head (written by the sender)
//!                │                                   │
//!   words  [ · · h m m h f f f f f f f f f f h · · · · · · · ]   a power of two of 64-bit words
//!                └ a message: a header word, then what it needs: a neighbour takes 4 words,
//!                  a frame 1 + its length / 8
//! ```
//! One ring for each ordered pair of cores, so each end has one user and needs neither a lock nor a
//! read-modify-write: the sender fills words beyond the head with plain stores, then publishes them
//! by one release store of the head; the receiver sees the head with an acquire load, copies the
//! words out, then gives them back by one release store of the tail. Words are atomics only because
//! that keeps the code safe: a relaxed load or store of one is an ordinary move.
//!
//! A frame is copied twice (in and out) and never leaves its own pool. That is for frames that
//! arrive at the wrong core, which a card that steers does not do; a full ring refuses, and the
//! caller counts the drop.

use alloc::boxed::Box;
use alloc::vec::Vec;

use penstock_queue::Checksums;
use penstock_wire::{Addr, Mac};

use crate::rfd::{CORES_MAX, Cores};
use atomic::{Arc, AtomicU64, Ordering};

#[cfg(not(loom))]
mod atomic {
    pub(super) use alloc::sync::Arc;
    pub(super) use core::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(loom)]
mod atomic {
    pub(super) use loom::sync::Arc;
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

/// The longest frame that a message carries, in bytes, where the ring is long enough
/// ([`Post::frame_bytes_max`]): a jumbo frame of 9,216 bytes and its header, in whole words.
pub const FRAME_BYTES_MAX: usize = 9_232;

/// The longest frame of an ordinary link, in bytes: what rings are counted in.
const ORDINARY_FRAME_BYTES: usize = 2048;

/// The most words that an application tells another core's in one message.
pub const TOLD_WORDS_MAX: usize = 8;

/// The most bytes that the rings of a machine take together.
pub const NETWORK_BYTES_MAX: usize = 1 << 26;

/// What one core tells another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Finish and return.
    Stop,
    /// A neighbour's station address was learned or confirmed.
    Neighbour {
        /// The interface it is on.
        interface: u8,
        /// Its address.
        addr: Addr,
        /// Its station.
        mac: Mac,
    },
    /// The sender began to listen, or no longer does.
    Listening {
        /// The address listened on; `None` for all of ours.
        addr: Option<Addr>,
        /// The port.
        port: u16,
        /// The interface whose clients it hears; `None` for all.
        interface: Option<u8>,
        /// Whether it listens now.
        listens: bool,
    },
    /// The path to a destination carries no more than this.
    PathMtu {
        /// The interface the path begins at.
        interface: u8,
        /// The destination.
        remote: Addr,
        /// The largest IP packet in bytes.
        mtu: u16,
    },
    /// A frame that belongs to the receiving core (or an ICMP error that quotes one).
    Frame {
        /// The interface it came in by.
        interface: u8,
        /// What the card said of its checksums.
        checksums: Checksums,
        /// The frame from the Ethernet header on, at most [`Post::frame_bytes_max`].
        bytes: &'a [u8],
    },
    /// The application of one core to its clone on another.
    Told(Words),
}

/// A few words of an application, which alone knows what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    words: [u64; TOLD_WORDS_MAX],
    count: u16,
}

impl Words {
    /// These words; `None` for more than [`TOLD_WORDS_MAX`].
    pub fn new(words: &[u64]) -> Option<Words> {
        let mut these = Words { words: [0; TOLD_WORDS_MAX], count: words.len() as u16 };
        these.words.get_mut(..words.len())?.copy_from_slice(words);
        Some(these)
    }

    /// The words.
    pub fn as_slice(&self) -> &[u64] {
        &self.words[..self.count as usize]
    }
}

/// Why a message was not sent. It is dropped: a retransmission or the next packet makes up for it,
/// or whoever has to be understood says it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The receiver is behind.
    Full,
    /// A frame longer than [`Post::frame_bytes_max`], or more words than [`TOLD_WORDS_MAX`].
    TooLong,
    /// No such core, or the sender itself.
    NoSuchCore,
}

/// Room for the frame of a message.
pub type Buffer = [u8; FRAME_BYTES_MAX];

/// What one core holds: a way to every other core, and what the others send to it.
#[derive(Debug)]
pub struct Post {
    outgoing: Vec<Option<Sender>>,
    incoming: Vec<(u16, Receiver)>,
    /// Where the next [`receive`](Self::receive) begins to look.
    next: usize,
    /// Cores that were sent something since [`take_mailed`](Self::take_mailed), a bit for each.
    mailed: u128,
}

const _: () = assert!(CORES_MAX as u32 <= u128::BITS);

/// The mail of `cores` cores, by core. Each ring holds at least `frames` frames of 2048 bytes (and at
/// least one), unless the rings together would exceed [`NETWORK_BYTES_MAX`]: then they are as long as
/// that allows. From five frames on, and with 64 cores at most, the longest frames fit too.
pub fn network(cores: Cores, frames: usize) -> Vec<Post> {
    let cores = cores.count();
    let rings = cores as usize * cores as usize;
    let allowed = NETWORK_BYTES_MAX / size_of::<u64>() / rings;
    let wanted = frames.saturating_mul(MESSAGE_WORDS_MAX).clamp(RING_WORDS_MIN, allowed);
    // Rounding up may exceed what is allowed, which is rounded down.
    let words = wanted.next_power_of_two().min(1 << allowed.ilog2()).max(RING_WORDS_MIN);
    let mut posts: Vec<Post> = (0..cores)
        .map(|_| Post { outgoing: Vec::new(), incoming: Vec::new(), next: 0, mailed: 0 })
        .collect();
    for from in 0..posts.len() {
        for to in 0..posts.len() {
            if from == to {
                posts[from].outgoing.push(None);
                continue;
            }
            let (sender, receiver) = ring(words);
            posts[from].outgoing.push(Some(sender));
            posts[to].incoming.push((from as u16, receiver));
        }
    }
    posts
}

impl Post {
    /// Sends `message` to core `to`.
    ///
    /// # Errors
    /// See [`Refused`]; the message is dropped.
    pub fn send(&mut self, to: u16, message: &Message<'_>) -> Result<(), Refused> {
        match self.outgoing.get_mut(to as usize) {
            Some(Some(sender)) => sender.send(message)?,
            _ => return Err(Refused::NoSuchCore),
        }
        self.mailed |= 1 << to;
        Ok(())
    }

    /// Sends `message` to every other core. Returns how many refused it.
    pub fn broadcast(&mut self, message: &Message<'_>) -> u32 {
        let mut refused = 0;
        for (to, sender) in self.outgoing.iter_mut().enumerate() {
            let Some(sender) = sender else { continue };
            match sender.send(message) {
                Ok(()) => self.mailed |= 1 << to,
                Err(_) => refused += 1,
            }
        }
        refused
    }

    /// Sends a frame that belongs to core `to`: [`Message::Frame`].
    ///
    /// # Errors
    /// See [`Refused`]; the frame is dropped.
    pub fn send_frame(
        &mut self,
        to: u16,
        interface: u8,
        checksums: Checksums,
        bytes: &[u8],
    ) -> Result<(), Refused> {
        self.send(to, &Message::Frame { interface, checksums, bytes })
    }

    /// The cores that were sent something since the last call, a bit for each. Whoever lets cores
    /// sleep wakes these: a fence after the message was sent, then a look at whether they sleep;
    /// and a core that goes to sleep says so, then a fence, then a look at
    /// [`has_mail`](Self::has_mail). One of the two sees the other.
    pub fn take_mailed(&mut self) -> u128 {
        core::mem::take(&mut self.mailed)
    }

    /// Whether a message waits for this core.
    pub fn has_mail(&mut self) -> bool {
        self.incoming.iter_mut().any(|(_, receiver)| receiver.has_mail())
    }

    /// The longest frame that can cross from here, in bytes: a worker lets no link carry longer ones,
    /// because any may have to.
    pub fn frame_bytes_max(&self) -> usize {
        let shortest = self.outgoing.iter().flatten().map(|sender| sender.ring.words.len()).min();
        shortest.map_or(FRAME_BYTES_MAX, |words| ((words - 1) * 8).min(FRAME_BYTES_MAX))
    }

    /// Whether there is no other core to hear from.
    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        self.incoming.is_empty()
    }

    /// The next message for this core and who sent it, each sender in its turn; `None` when there
    /// is none. A frame is copied into `buffer`.
    pub fn receive<'a>(&mut self, buffer: &'a mut Buffer) -> Option<(u16, Message<'a>)> {
        for _ in 0..self.incoming.len() {
            let at = self.next;
            self.next = if at + 1 == self.incoming.len() { 0 } else { at + 1 };
            if let Some((from, receiver)) = self.incoming.get_mut(at)
                && receiver.has_mail()
            {
                let message = receiver.receive(buffer)?;
                return Some((*from, message));
            }
        }
        None
    }
}

/// The words of one ring, and how far each side has come. The counts only grow, and are kept in
/// lines of their own, so that neither side's stores disturb the other's line.
#[derive(Debug)]
struct Ring {
    head: Line,
    tail: Line,
    words: Box<[AtomicU64]>,
}

/// A pair of cache lines: cards and cores fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

#[derive(Debug)]
struct Sender {
    ring: Arc<Ring>,
    /// Our own count: the ring's head.
    head: u64,
    /// The receiver's count when we last looked.
    tail_seen: u64,
}

#[derive(Debug)]
struct Receiver {
    ring: Arc<Ring>,
    /// Our own count: the ring's tail.
    tail: u64,
    /// The sender's count when we last looked.
    head_seen: u64,
}

/// A ring of `words` words (a power of two).
fn ring(words: usize) -> (Sender, Receiver) {
    let ring = Arc::new(Ring {
        head: Line(AtomicU64::new(0)),
        tail: Line(AtomicU64::new(0)),
        words: (0..words).map(|_| AtomicU64::new(0)).collect(),
    });
    let sender = Sender { ring: Arc::clone(&ring), head: 0, tail_seen: 0 };
    (sender, Receiver { ring, tail: 0, head_seen: 0 })
}

impl Ring {
    #[inline]
    fn store(&self, position: u64, word: u64) {
        let mask = self.words.len() - 1;
        self.words[position as usize & mask].store(word, Ordering::Relaxed);
    }

    #[inline]
    fn load(&self, position: u64) -> u64 {
        let mask = self.words.len() - 1;
        self.words[position as usize & mask].load(Ordering::Relaxed)
    }
}

impl Sender {
    fn send(&mut self, message: &Message<'_>) -> Result<(), Refused> {
        match *message {
            Message::Stop => self.push(Header { kind: STOP, ..Header::default() }, &[]),
            Message::Neighbour { interface, addr, mac } => {
                let [a, b, c, d, e, f] = mac.0;
                let station = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
                let header = Header { kind: NEIGHBOUR, interface, ..Header::default() };
                self.push(header, &[addr.hi, addr.lo, station])
            }
            Message::Listening { addr, port, interface, listens } => {
                let flags = (addr.is_some() as u8 * ONE_ADDRESS)
                    | (listens as u8 * LISTENS)
                    | (interface.is_some() as u8 * ONE_INTERFACE);
                let addr = addr.unwrap_or(Addr::UNSPECIFIED);
                let interface = interface.unwrap_or(0);
                let header = Header { kind: LISTENING, size: port, flags, interface };
                self.push(header, &[addr.hi, addr.lo])
            }
            Message::PathMtu { interface, remote, mtu } => {
                let header = Header { kind: PATH_MTU, interface, size: mtu, flags: 0 };
                self.push(header, &[remote.hi, remote.lo])
            }
            Message::Frame { interface, checksums, bytes } => {
                let words = 1 + bytes.len().div_ceil(8);
                if bytes.len() > FRAME_BYTES_MAX || words > self.ring.words.len() {
                    return Err(Refused::TooLong);
                }
                let size = bytes.len() as u16;
                let flags = checksums_number(checksums);
                self.push_frame(Header { kind: FRAME, interface, size, flags }, bytes)
            }
            Message::Told(ref words) => {
                let header = Header { kind: TOLD, size: words.count, ..Header::default() };
                self.push(header, words.as_slice())
            }
        }
    }

    fn push(&mut self, header: Header, words: &[u64]) -> Result<(), Refused> {
        self.reserve(1 + words.len())?;
        self.ring.store(self.head, header.word());
        for (position, &word) in (self.head + 1..).zip(words) {
            self.ring.store(position, word);
        }
        self.publish(1 + words.len());
        Ok(())
    }

    fn push_frame(&mut self, header: Header, bytes: &[u8]) -> Result<(), Refused> {
        let words = 1 + bytes.len().div_ceil(8);
        self.reserve(words)?;
        self.ring.store(self.head, header.word());
        for (position, chunk) in (self.head + 1..).zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.ring.store(position, u64::from_le_bytes(word));
        }
        self.publish(words);
        Ok(())
    }

    /// Makes sure of room for `words` words. The receiver's line is read only when our last view of
    /// it does not do; what it gave back it has finished reading.
    fn reserve(&mut self, words: usize) -> Result<(), Refused> {
        let needed = (self.head + words as u64).saturating_sub(self.ring.words.len() as u64);
        if self.tail_seen < needed {
            self.tail_seen = self.ring.tail.0.load(Ordering::Acquire);
        }
        if self.tail_seen < needed { Err(Refused::Full) } else { Ok(()) }
    }

    fn publish(&mut self, words: usize) {
        self.head += words as u64;
        self.ring.head.0.store(self.head, Ordering::Release);
    }
}

impl Receiver {
    #[inline]
    fn has_mail(&mut self) -> bool {
        if self.head_seen == self.tail {
            self.head_seen = self.ring.head.0.load(Ordering::Acquire);
        }
        self.head_seen != self.tail
    }

    fn receive<'a>(&mut self, buffer: &'a mut Buffer) -> Option<Message<'a>> {
        if !self.has_mail() {
            return None;
        }
        let header = Header::of(self.ring.load(self.tail));
        let Header { kind, interface, size, flags } = header;
        let word = |nth: u64| self.ring.load(self.tail + nth);
        let (words, message) = match kind {
            NEIGHBOUR => {
                let addr = Addr { hi: word(1), lo: word(2) };
                let [_, _, station @ ..] = word(3).to_be_bytes();
                (4, Message::Neighbour { interface, addr, mac: Mac(station) })
            }
            LISTENING => {
                let addr = Addr { hi: word(1), lo: word(2) };
                let addr = (flags & ONE_ADDRESS != 0).then_some(addr);
                let interface = (flags & ONE_INTERFACE != 0).then_some(interface);
                let listens = flags & LISTENS != 0;
                (3, Message::Listening { addr, port: size, interface, listens })
            }
            PATH_MTU => {
                let remote = Addr { hi: word(1), lo: word(2) };
                (3, Message::PathMtu { interface, remote, mtu: size })
            }
            FRAME => {
                let bytes = &mut buffer[..(size as usize).min(FRAME_BYTES_MAX)];
                for (nth, chunk) in (1..).zip(bytes.chunks_mut(8)) {
                    chunk.copy_from_slice(&word(nth).to_le_bytes()[..chunk.len()]);
                }
                let words = 1 + bytes.len().div_ceil(8) as u64;
                let checksums = checksums_of(flags);
                (words, Message::Frame { interface, checksums, bytes })
            }
            TOLD => {
                let count = (size as usize).min(TOLD_WORDS_MAX);
                let mut told = Words { words: [0; TOLD_WORDS_MAX], count: count as u16 };
                for (nth, slot) in (1..).zip(&mut told.words[..count]) {
                    *slot = word(nth);
                }
                (1 + count as u64, Message::Told(told))
            }
            _ => (1, Message::Stop),
        };
        self.tail += words;
        self.ring.tail.0.store(self.tail, Ordering::Release);
        Some(message)
    }
}

/// The first word of a message.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    kind: u8,
    interface: u8,
    /// Bytes of the frame, the path's MTU, the port, or how many words follow.
    size: u16,
    /// The frame's checksums, or what else is a bit.
    flags: u8,
}

impl Header {
    fn word(self) -> u64 {
        let [low, high] = self.size.to_le_bytes();
        u64::from_le_bytes([self.kind, self.interface, low, high, self.flags, 0, 0, 0])
    }

    fn of(word: u64) -> Header {
        let [kind, interface, low, high, flags, ..] = word.to_le_bytes();
        Header { kind, interface, size: u16::from_le_bytes([low, high]), flags }
    }
}

fn checksums_number(checksums: Checksums) -> u8 {
    match checksums {
        Checksums::Unverified => 0,
        Checksums::IpGood => 1,
        Checksums::Good => 2,
        Checksums::IpBad => 3,
        Checksums::L4Bad => 4,
    }
}

fn checksums_of(number: u8) -> Checksums {
    match number {
        1 => Checksums::IpGood,
        2 => Checksums::Good,
        3 => Checksums::IpBad,
        4 => Checksums::L4Bad,
        _ => Checksums::Unverified,
    }
}

/// Counters that one core writes and all may read: its own totals, stored now and then.
#[derive(Debug)]
pub struct Publisher {
    row: Arc<Row>,
}

/// The published counters of all cores.
#[derive(Clone, Debug)]
pub struct Published {
    rows: Vec<Arc<Row>>,
}

/// One core's counters, in lines that no other core writes.
#[derive(Debug)]
struct Row {
    lines: Box<[CounterLine]>,
}

#[derive(Debug)]
#[repr(align(128))]
struct CounterLine([AtomicU64; COUNTERS_PER_LINE]);

/// `counters` counters for each of `cores` cores, all 0: the writers by core, and the readers' side.
pub fn published(cores: Cores, counters: usize) -> (Vec<Publisher>, Published) {
    let line = || CounterLine(core::array::from_fn(|_| AtomicU64::new(0)));
    let lines = counters.div_ceil(COUNTERS_PER_LINE);
    let rows: Vec<_> = (0..cores.count())
        .map(|_| Arc::new(Row { lines: (0..lines).map(|_| line()).collect() }))
        .collect();
    let publishers = rows.iter().map(|row| Publisher { row: Arc::clone(row) }).collect();
    (publishers, Published { rows })
}

impl Row {
    fn cell(&self, counter: usize) -> Option<&AtomicU64> {
        self.lines.get(counter / COUNTERS_PER_LINE)?.0.get(counter % COUNTERS_PER_LINE)
    }
}

impl Publisher {
    /// Shows `value` as counter `counter`; one that does not exist is ignored.
    #[inline]
    pub fn store(&mut self, counter: usize, value: u64) {
        if let Some(cell) = self.row.cell(counter) {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

impl Published {
    /// Counter `counter` of `core` as last shown; 0 for one that does not exist.
    pub fn load(&self, core: u16, counter: usize) -> u64 {
        let cell = self.rows.get(core as usize).and_then(|row| row.cell(counter));
        cell.map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Counter `counter` summed over all cores.
    pub fn total(&self, counter: usize) -> u64 {
        (0..self.rows.len()).fold(0, |sum, core| sum.wrapping_add(self.load(core as u16, counter)))
    }
}

const STOP: u8 = 0;
const NEIGHBOUR: u8 = 1;
const PATH_MTU: u8 = 2;
const FRAME: u8 = 3;
const LISTENING: u8 = 4;
const TOLD: u8 = 5;

/// In the flags of [`LISTENING`]: on one address, not on all.
const ONE_ADDRESS: u8 = 1;
/// In the flags of [`LISTENING`]: it began.
const LISTENS: u8 = 2;
/// In the flags of [`LISTENING`]: on one interface.
const ONE_INTERFACE: u8 = 4;

/// Words of the longest message on an ordinary link.
const MESSAGE_WORDS_MAX: usize = 1 + ORDINARY_FRAME_BYTES / 8;

/// Words of the shortest ring: it holds the longest message of an ordinary link.
const RING_WORDS_MIN: usize = MESSAGE_WORDS_MAX.next_power_of_two();

const COUNTERS_PER_LINE: usize = 16;

const _: () = assert!(
    CORES_MAX as usize * CORES_MAX as usize * RING_WORDS_MIN * size_of::<u64>()
        <= NETWORK_BYTES_MAX
);
const _: () = assert!(TOLD_WORDS_MAX * 8 <= FRAME_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(8) && FRAME_BYTES_MAX <= u16::MAX as usize);

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
