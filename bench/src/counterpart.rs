//! Whoever the applications talk to: clients that ask once, or again and again, or without end, and
//! the backends behind a proxy. Scripted like [`client`](crate::client), but for conversations of any
//! length; all of them are beyond the gateway.
//!
//! It is not a TCP: it takes segments in order, which is all that a lossless ring delivers, and keeps
//! to the window it is shown. None of its work is measured.

use std::collections::VecDeque;

use penstock_wire::tcp::Flags;

use crate::card::{Card, RING_SLOTS};
use crate::frames::{
    self, CLIENT_FIRST, Family, GATEWAY_MAC, REQUEST, RESPONSE, SERVER_MAC, SERVER_V4,
};
use crate::neighbour;

/// What clients do, and what is counted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Connect, ask, hear the answer, close: connections.
    Once,
    /// Ask again on the same connection when the answer has come: requests.
    Again,
    /// Ask for an answer without an end: kilobytes heard.
    Hear,
    /// Say something without an end: kilobytes acknowledged.
    Speak,
}

/// Clients and backends.
#[derive(Debug)]
pub struct Counterpart {
    errand: Errand,
    /// What a client says first.
    request: &'static [u8],
    clients: Box<[Talk]>,
    /// By which backend it is, and the proxy's port.
    backends: Box<[Talk]>,
    outbox: VecDeque<Segment>,
    /// Questions for the gateway's station address.
    asked: VecDeque<Family>,
    /// Bytes heard or acknowledged, for the errands that count them.
    bytes: u64,
    completed: u64,
    frames: u64,
    failure: Option<String>,
}

/// One end of ours of one connection.
#[derive(Clone, Copy, Debug, Default)]
struct Talk {
    address: u32,
    port: u16,
    peer_port: u16,
    is_open: bool,
    nxt: u32,
    una: u32,
    rcv: u32,
    window: u32,
    /// Bytes heard since the last question.
    heard: u32,
    /// Full segments not acknowledged.
    owed: u32,
    has_shut: bool,
    peer_has_shut: bool,
    /// Anything at all.
    has_heard: bool,
}

/// A segment to be sent.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: (u32, u16),
    to_port: u16,
    seq: u32,
    ack: u32,
    flags: Flags,
    payload: &'static [u8],
}

/// A segment that came.
#[derive(Clone, Copy)]
struct Heard {
    seq: u32,
    ack: u32,
    window: u32,
    flags: Flags,
    payload: u32,
}

impl Counterpart {
    /// `clients` clients at once that begin with `request`.
    pub fn new(errand: Errand, clients: u16, request: &'static [u8]) -> Counterpart {
        let mut counterpart = Counterpart {
            errand,
            request,
            clients: vec![Talk::default(); clients as usize].into(),
            backends: vec![Talk::default(); BACKENDS << 16].into(),
            outbox: VecDeque::with_capacity(4 * RING_SLOTS),
            asked: VecDeque::new(),
            bytes: 0,
            completed: 0,
            frames: 0,
            failure: None,
        };
        (0..clients as usize).for_each(|at| counterpart.connect(at));
        counterpart
    }

    /// What the errand counts.
    pub fn units(&self) -> u64 {
        match self.errand {
            Errand::Once | Errand::Again => self.completed,
            Errand::Hear | Errand::Speak => self.bytes / 1024,
        }
    }

    /// TCP frames, both ways.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The first thing that went wrong.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Puts waiting frames into the card's receive ring, as far as they fit.
    pub fn fill(&mut self, card: &mut Card) {
        while let Some(family) = self.asked.pop_front() {
            card.deliver(|slot| neighbour::answer(slot, family));
        }
        let room = RING_SLOTS - card.waiting();
        for segment in self.outbox.drain(..room.min(self.outbox.len())) {
            card.deliver(|slot| segment.write(slot));
            self.frames += 1;
        }
    }

    /// Takes a frame. Where the card has put it together, the beginning of an answer is looked at.
    pub fn receive(&mut self, frame: &[u8]) {
        let Some(reply) = frames::parse(frame) else {
            self.asked.extend(neighbour::asks(frame));
            return;
        };
        self.frames += 1;
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let heard = Heard {
            seq: reply.seq,
            ack: reply.ack,
            window: word(48) as u32,
            flags: reply.flags,
            payload: reply.payload,
        };
        let backend = (reply.tuple.client & BACKEND_MASK == BACKEND & BACKEND_MASK)
            .then(|| (reply.tuple.client as usize % BACKENDS) << 16 | word(34) as usize);
        if reply.flags.has(Flags::RST) {
            // A check ends so, once it has been answered.
            let is_check = backend.is_some_and(|at| !self.backends[at].has_heard);
            if !is_check {
                self.failure.get_or_insert_with(|| format!("a reset: {reply:?}"));
            }
            return;
        }
        if let Some(at) = backend {
            self.serve(at, reply.tuple.client, &heard);
            return;
        }
        let text = frame.get(34 + (frame[46] >> 4) as usize * 4..).unwrap_or_default();
        let is_answer = self.errand == Errand::Once || self.errand == Errand::Again;
        if is_answer && reply.payload > 0 && !text.starts_with(b"HTTP/1.1 200 OK\r\n") {
            let text = String::from_utf8_lossy(text).into_owned();
            self.failure.get_or_insert(text);
        }
        let at = reply.tuple.port as usize % self.clients.len();
        if self.clients[at].port == reply.tuple.port && self.clients[at].is_open {
            self.talk(at, &heard);
        }
    }

    /// A client begins anew, from a tuple never used before.
    fn connect(&mut self, at: usize) {
        let count = self.clients.len() as u16;
        let last = self.clients[at];
        let (address, port) = match last.port.checked_add(count) {
            Some(port) if last.port > 0 => (last.address, port),
            _ => (last.address.max(CLIENT_FIRST) + 1, count + at as u16),
        };
        let nxt = (address ^ (port as u32) << 16).wrapping_mul(0x9e37_79b1);
        let talk = Talk {
            address,
            port,
            peer_port: PORT,
            is_open: true,
            nxt,
            una: nxt,
            ..Talk::default()
        };
        self.clients[at] = talk;
        self.say(Side::Client(at), Flags::SYN, &[]);
    }

    fn talk(&mut self, at: usize, heard: &Heard) {
        let side = Side::Client(at);
        let errand = self.errand;
        let before = self.clients[at].una;
        let talk = &mut self.clients[at];
        let is_new = heard.flags.has(Flags::SYN);
        talk.take(heard);
        if is_new {
            self.say(side, Flags::ACK.with(Flags::PSH), self.request);
            return;
        }
        match errand {
            Errand::Once => {
                if talk.peer_has_shut && !talk.has_shut {
                    self.say(side, Flags::ACK.with(Flags::FIN), &[]);
                } else if talk.has_shut && talk.una == talk.nxt {
                    self.completed += 1;
                    self.connect(at);
                }
            }
            Errand::Again if talk.heard > 0 => {
                talk.heard = 0;
                self.completed += 1;
                self.say(side, Flags::ACK.with(Flags::PSH), self.request);
            }
            Errand::Again => {}
            Errand::Hear => {
                self.bytes += heard.payload as u64;
                if talk.owed >= 2 {
                    self.say(side, Flags::ACK, &[]);
                }
            }
            Errand::Speak => {
                self.bytes += talk.una.wrapping_sub(before) as u64;
                self.stream(side);
            }
        }
    }

    /// What a backend does.
    fn serve(&mut self, at: usize, address: u32, heard: &Heard) {
        let side = Side::Backend(at);
        if heard.flags.has(Flags::SYN) {
            let nxt = heard.seq.wrapping_mul(0x9e37_79b1);
            let talk = Talk { address, port: PORT, peer_port: at as u16, nxt, ..Talk::default() };
            self.backends[at] = Talk { una: nxt, is_open: true, ..talk };
            self.backends[at].rcv = heard.seq.wrapping_add(1);
            self.say(side, Flags::SYN.with(Flags::ACK), &[]);
            return;
        }
        let errand = self.errand;
        let talk = &mut self.backends[at];
        talk.take(heard);
        talk.has_heard |= heard.payload > 0;
        if errand == Errand::Hear {
            self.stream(side);
        } else if heard.payload > 0 {
            self.say(side, Flags::ACK.with(Flags::PSH).with(Flags::FIN), RESPONSE);
        } else if heard.flags.has(Flags::FIN) {
            self.say(side, Flags::ACK, &[]);
        }
    }

    /// Sends full segments, as many as the window allows.
    fn stream(&mut self, side: Side) {
        loop {
            let talk = self.end(side);
            let out = talk.nxt.wrapping_sub(talk.una);
            if out + MSS > talk.window.min(OUT_MAX) {
                return;
            }
            self.say(side, Flags::ACK, &FILLER);
        }
    }

    fn say(&mut self, side: Side, flags: Flags, payload: &'static [u8]) {
        let talk = self.end(side);
        let shuts = flags.has(Flags::FIN);
        let segment = Segment {
            from: (talk.address, talk.port),
            to_port: talk.peer_port,
            seq: talk.nxt,
            ack: talk.rcv,
            flags,
            payload,
        };
        let length = payload.len() as u32 + (shuts || flags.has(Flags::SYN)) as u32;
        talk.nxt = talk.nxt.wrapping_add(length);
        talk.has_shut |= shuts;
        talk.owed = 0;
        self.outbox.push_back(segment);
    }

    fn end(&mut self, side: Side) -> &mut Talk {
        match side {
            Side::Client(at) => &mut self.clients[at],
            Side::Backend(at) => &mut self.backends[at],
        }
    }
}

/// Whose turn it is to speak.
#[derive(Clone, Copy)]
enum Side {
    Client(usize),
    Backend(usize),
}

impl Talk {
    fn take(&mut self, heard: &Heard) {
        self.una = heard.ack;
        self.window = heard.window;
        let (syn, fin) = (heard.flags.has(Flags::SYN), heard.flags.has(Flags::FIN));
        if syn {
            self.rcv = heard.seq;
        }
        self.rcv = self.rcv.wrapping_add(heard.payload + (syn || fin) as u32);
        self.heard += heard.payload;
        self.owed += (heard.payload > 0) as u32;
        self.peer_has_shut |= fin;
    }
}

impl Segment {
    /// Writes the frame; its checksums are the card's business.
    fn write(&self, slot: &mut [u8]) -> usize {
        let is_syn = self.flags.has(Flags::SYN);
        let options: &[u8] = if is_syn { &[2, 4, 5, 180] } else { &[] };
        let tcp_bytes = 20 + options.len() + self.payload.len();
        let ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0];
        let parts: [&[u8]; 5] =
            [&SERVER_MAC, &GATEWAY_MAC, &[8, 0], &ip, &self.from.0.to_be_bytes()];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            slot[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        parts.into_iter().for_each(&mut put);
        put(&SERVER_V4);
        put(&self.from.1.to_be_bytes());
        put(&self.to_port.to_be_bytes());
        put(&self.seq.to_be_bytes());
        put(&self.ack.to_be_bytes());
        put(&[((20 + options.len()) << 2) as u8, self.flags.0, 0xff, 0xff, 0, 0, 0, 0]);
        put(options);
        put(self.payload);
        slot[16..18].copy_from_slice(&(20 + tcp_bytes as u16).to_be_bytes());
        // An Ethernet frame is never shorter.
        at.max(60)
    }
}

/// Where backends are, beyond the gateway too: the first, and all of them.
const BACKEND: u32 = 0x0a40_0001;
const BACKEND_MASK: u32 = 0xffff_ff00;
/// So many at most, by the ends of their addresses.
const BACKENDS: usize = 16;
/// The port of the server, and of the backends.
pub const PORT: u16 = 80;
/// What a client asks once.
pub const ONCE: &[u8] = REQUEST;
/// What a client asks again and again.
pub const AGAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nAccept: */*\r\n\r\n";
/// What a client asks that wants to hear for ever.
pub const HEAR: &[u8] = b"GET /bytes/1000000000000000 HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n";
/// What a client says before it speaks for ever.
pub const SPEAK: &[u8] =
    b"POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 1000000000000000\r\n\r\n";

const MSS: u32 = 1460;
const FILLER: [u8; MSS as usize] = [b'x'; MSS as usize];
/// Bytes of one connection on their way.
const OUT_MAX: u32 = 32 * 1024;
