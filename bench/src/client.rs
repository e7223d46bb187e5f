//! The closed-loop client: a fixed number of conversations at once, each begun anew when it ends.
//!
//! Every connection comes from a tuple never used before, address by address, so that no server
//! meets a tuple in its TIME-WAIT. The conversation of a reply is found by the port, with one
//! array access: the client must cost little and spoil little cache.

use std::collections::VecDeque;

use crate::card::{Card, RING_SLOTS};
use crate::conversation::{Conversation, End, Script};
use crate::frames::{
    self, CLIENT_FIRST, Family, Kind, Outgoing, Personality, Reply, Templates, Tuple,
};
use crate::neighbour;

/// First port of every client address, and how many it has: a multiple of every concurrency used.
pub const PORT_FIRST: u16 = 1024;
/// How many ports a client address uses.
pub const PORT_COUNT: u32 = 64_512;

/// Where a client's addresses start: populations must not share tuples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Connections that stay idle.
    Idle,
    /// Connections that fill TIME-WAIT, and that warm up.
    Past,
    /// Connections that are measured.
    Measured,
}

/// What to open, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// IP version.
    pub family: Family,
    /// What each connection does.
    pub script: Script,
    /// The server's port.
    pub server_port: u16,
    /// Conversations at once; divides [`PORT_COUNT`].
    pub concurrency: u32,
    /// Which addresses.
    pub origin: Origin,
}

/// A closed-loop client.
#[derive(Debug)]
pub struct Client {
    plan: Plan,
    templates: Templates,
    conversations: Box<[Conversation]>,
    /// Conversations that have begun.
    begun: usize,
    outbox: VecDeque<Outgoing>,
    /// Questions of the server for the gateway's station address.
    asked: VecDeque<Family>,
    opened: u64,
    limit: u64,
    completed: u64,
    frames: u64,
    checking: bool,
    failure: Option<&'static str>,
}

impl Client {
    /// A client that has nothing to do until [`Client::open_until`].
    pub fn new(plan: Plan) -> Client {
        assert!(PORT_COUNT.is_multiple_of(plan.concurrency), "ports must divide evenly");
        let personality = match plan.script {
            Script::Request(personality) => personality,
            Script::Idle => Personality::Min,
        };
        Client {
            templates: Templates::new(plan.family, personality, plan.server_port),
            conversations: vec![Conversation::default(); plan.concurrency as usize].into(),
            begun: 0,
            outbox: VecDeque::with_capacity(RING_SLOTS.max(4 * plan.concurrency as usize)),
            asked: VecDeque::with_capacity(RING_SLOTS),
            opened: 0,
            limit: 0,
            completed: 0,
            frames: 0,
            checking: false,
            failure: None,
            plan,
        }
    }

    /// Opens connections until `count` were opened in all, as conversations become free.
    pub fn open_until(&mut self, count: u64) {
        self.limit = count;
    }

    /// Whether replies are verified byte by byte; needs [`Card::set_checking`].
    pub fn set_checking(&mut self, checking: bool) {
        self.checking = checking;
    }

    /// Connections opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Connections completed.
    pub fn completed(&self) -> u64 {
        self.completed
    }

    /// Whether everything was opened and completed, and said.
    pub fn is_done(&self) -> bool {
        self.completed == self.limit && self.outbox.is_empty()
    }

    /// TCP frames sent and received.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The first thing that went wrong.
    pub fn failure(&self) -> Option<&'static str> {
        self.failure
    }

    /// Puts waiting frames into the card's receive ring, as far as they fit.
    pub fn fill(&mut self, card: &mut Card, now_us: u64) {
        while let Some(family) = self.asked.pop_front() {
            card.deliver(|slot| neighbour::answer(slot, family));
        }
        // Conversations begin over several turns, so that bursts mix segments of every kind.
        for _ in 0..self.conversations.len().div_ceil(RAMP_TURNS) {
            if self.begun < self.conversations.len() {
                self.begun += 1;
                self.open(self.begun - 1);
            }
        }
        let now_ms = (now_us / 1000) as u32;
        let room = RING_SLOTS - card.waiting();
        for outgoing in self.outbox.drain(..room.min(self.outbox.len())) {
            card.deliver(|slot| self.templates.write(slot, &outgoing, now_ms));
            self.frames += 1;
        }
    }

    /// Takes a frame of the server.
    pub fn receive(&mut self, frame: &[u8]) {
        let Some(reply) = frames::parse(frame) else {
            self.asked.extend(neighbour::asks(frame));
            return;
        };
        self.frames += 1;
        if self.checking
            && let Err(what) = frames::verify(frame, &reply)
        {
            self.failure.get_or_insert(what);
        }
        self.receive_reply(&reply);
    }

    fn receive_reply(&mut self, reply: &Reply) {
        let at = reply.tuple.port.wrapping_sub(PORT_FIRST) as u32 % self.plan.concurrency;
        let conversation = &mut self.conversations[at as usize];
        if conversation.tuple() != reply.tuple {
            return;
        }
        let answer = conversation.receive(reply, self.plan.script);
        for kind in answer.frames.into_iter().flatten() {
            self.outbox.push_back(conversation.say(kind));
        }
        match answer.end {
            None => {}
            Some(End::Complete) => {
                self.completed += 1;
                self.open(at as usize);
            }
            Some(End::Reset) => {
                self.failure.get_or_insert("the server reset a connection");
            }
            Some(End::Short) => {
                self.failure.get_or_insert("the server closed before its response was complete");
            }
        }
    }

    /// Begins the next connection of conversation `at`, if the limit allows one.
    fn open(&mut self, at: usize) {
        if self.opened == self.limit {
            return;
        }
        self.opened += 1;
        // A conversation's own tuple lies a whole round of the others ahead of its last one.
        let last = self.conversations[at].tuple();
        let tuple = if last == Tuple::default() {
            let first = match self.plan.origin {
                Origin::Idle => CLIENT_FIRST,
                Origin::Past => CLIENT_FIRST + 0x1_0000,
                Origin::Measured => CLIENT_FIRST + 0x2_0000,
            };
            Tuple { client: first, port: PORT_FIRST + at as u16 }
        } else {
            match last.port.checked_add(self.plan.concurrency as u16) {
                Some(port) => Tuple { port, ..last },
                None => Tuple { client: last.client + 1, port: PORT_FIRST + at as u16 },
            }
        };
        let iss = (tuple.client ^ (tuple.port as u32) << 16).wrapping_mul(0x9e37_79b1);
        let mut conversation = Conversation::open(tuple, iss);
        self.outbox.push_back(conversation.say(Kind::Syn));
        self.conversations[at] = conversation;
    }
}

/// Turns over which the conversations begin; no divisor of the turns that one takes.
const RAMP_TURNS: usize = 7;

const _: () = assert!(PORT_FIRST as u32 + PORT_COUNT == 65_536);
