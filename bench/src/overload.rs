//! More clients than a server can serve: what of its peak remains?
//!
//! The stack has a fixed amount of work per virtual millisecond. A frame that it takes from the
//! receive ring costs a unit; a SYN that it drops at sight costs the part of one that
//! [`crate::flood`] measured in instructions. What finds the ring of 512 full is lost, whatever it
//! was, as on a card, and costs nothing.
//!
//! New clients come at a fixed rate whether or not the last ones were served, and behave as Linux's
//! do: a SYN is sent again after 1, 3, 7 and 15 seconds, anything later after 200 ms, doubling; a
//! client that has no response after [`PATIENCE_MS`] resets the connection and goes away. Goodput
//! counts responses that arrived whole in time.
//!
//! A server that takes every SYN it sees spends its work on connections whose request then dies on
//! the full ring; one that sheds them all spends it on shedding, because every client comes back
//! four times. [`Reflector`](crate::reflector::Reflector), which has no limits and takes every SYN,
//! keeps 87% of its peak at four times the load in this world. If it shed half of them at a tenth
//! of a unit it would keep 91%; at a quarter, 85%.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::client::{PORT_COUNT, PORT_FIRST};
use crate::conversation::{Conversation, End, Script, State};
use crate::frames::{self, CLIENT_FIRST, Family, Kind, Outgoing, Personality, Templates, Tuple};
use crate::neighbour;
use crate::subject::{LISTEN_FIRST, Subject};
use crate::world::{Meter, World};

/// How hard, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// New connections per second.
    pub offered: u32,
    /// Virtual seconds before goodput counts.
    pub settle_s: u32,
    /// Virtual seconds that count.
    pub measure_s: u32,
    /// What shedding a SYN costs, in thousandths of a frame that is served.
    pub shed_cost: i64,
}

/// What became of it, per virtual second of the measured part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Responses that arrived whole in time.
    pub goodput: f64,
    /// Clients that gave up.
    pub abandoned: f64,
    /// Frames that found the receive ring full.
    pub refused: f64,
    /// SYNs that the stack dropped at sight.
    pub shed: f64,
    /// Connections that the server reset.
    pub reset: f64,
}

/// Units of work per virtual millisecond: frames that are not shed.
pub const FRAMES_PER_MS: i64 = 32;
/// Connections per second that this allows: three frames each.
pub const PEAK: u32 = FRAMES_PER_MS as u32 * 1000 / 3;
/// How long a client waits for its response, in milliseconds.
pub const PATIENCE_MS: u64 = 30_000;

impl Overload {
    /// Runs `subject` under this load.
    pub fn run<S: Subject>(&self, subject: S) -> Outcome {
        let mut crowd = Crowd::new(self.shed_cost);
        let mut world = World::new(subject, Family::V4);
        world.step_us = 0;
        let mut before = Outcome::default();
        let settle_ms = self.settle_s as u64 * 1000;
        let end_ms = settle_ms + self.measure_s as u64 * 1000;
        for now_ms in 0..end_ms {
            if now_ms == settle_ms {
                before = crowd.totals(&mut world.subject);
            }
            let due = (now_ms + 1) * self.offered as u64 / 1000;
            crowd.arrive(due, now_ms);
            crowd.expire(now_ms);
            crowd.millisecond(&mut world, now_ms);
        }
        let after = crowd.totals(&mut world.subject);
        let per_second =
            |of: fn(&Outcome) -> f64| (of(&after) - of(&before)) / self.measure_s as f64;
        Outcome {
            goodput: per_second(|outcome| outcome.goodput),
            abandoned: per_second(|outcome| outcome.abandoned),
            refused: per_second(|outcome| outcome.refused),
            shed: per_second(|outcome| outcome.shed),
            reset: per_second(|outcome| outcome.reset),
        }
    }
}

/// All clients that ever came, by number: the number is in the tuple.
struct Crowd {
    templates: Templates,
    clients: Vec<Client>,
    /// (millisecond, client): when to look at a client again.
    alarms: BinaryHeap<Reverse<(u64, u32)>>,
    /// What is sent in the next millisecond.
    outbox: Vec<Outgoing>,
    /// Questions for the gateway that wait for an answer.
    asked: u32,
    totals: Outcome,
    shuffle: u64,
    /// Work that the stack may do now, in thousandths of a frame; negative after a burst.
    work: i64,
    shed_cost: i64,
}

#[derive(Clone, Copy)]
struct Client {
    conversation: Conversation,
    gives_up_ms: u64,
    /// The next retransmission; alarms for other moments are stale.
    again_ms: u64,
    interval_ms: u64,
}

impl Crowd {
    fn new(shed_cost: i64) -> Crowd {
        Crowd {
            shed_cost,
            templates: Templates::new(Family::V4, Personality::Min, LISTEN_FIRST),
            clients: Vec::new(),
            alarms: BinaryHeap::new(),
            outbox: Vec::new(),
            asked: 0,
            totals: Outcome::default(),
            shuffle: 0x9e37_79b9_7f4a_7c15,
            work: 0,
        }
    }

    fn totals<S: Subject>(&self, subject: &mut S) -> Outcome {
        let refused = subject.card().refused() as f64;
        Outcome { refused, shed: subject.shed() as f64, ..self.totals }
    }

    /// New clients, until `count` have come in all.
    fn arrive(&mut self, count: u64, now_ms: u64) {
        while (self.clients.len() as u64) < count {
            let number = self.clients.len() as u32;
            let tuple = Tuple {
                client: CLIENT_FIRST + number / PORT_COUNT,
                port: PORT_FIRST + (number % PORT_COUNT) as u16,
            };
            let mut conversation = Conversation::open(tuple, number.wrapping_mul(0x9e37_79b1));
            self.outbox.push(conversation.say(Kind::Syn));
            let gives_up_ms = now_ms + PATIENCE_MS;
            let (again_ms, interval_ms) = (now_ms + SYN_AGAIN_MS, SYN_AGAIN_MS);
            self.clients.push(Client { conversation, gives_up_ms, again_ms, interval_ms });
            self.alarms.push(Reverse((again_ms, number)));
        }
    }

    /// Retransmissions that are due, and clients whose patience is over.
    fn expire(&mut self, now_ms: u64) {
        while let Some(Reverse((at_ms, number))) = self.alarms.peek().copied()
            && at_ms <= now_ms
        {
            self.alarms.pop();
            let client = &mut self.clients[number as usize];
            let state = client.conversation.state();
            let Some(kind) = client.conversation.again() else {
                continue;
            };
            if client.again_ms != at_ms {
                continue;
            }
            if now_ms >= client.gives_up_ms {
                if state == State::Asking {
                    self.outbox.push(client.conversation.say(Kind::Reset));
                }
                // A client that has its response and waits for its last ACK lost nothing.
                self.totals.abandoned += (state != State::Closing) as u32 as f64;
                client.conversation = Conversation::default();
                continue;
            }
            self.outbox.push(client.conversation.say(kind));
            client.interval_ms *= 2;
            let again_ms = now_ms + client.interval_ms;
            client.again_ms = again_ms.min(client.gives_up_ms).max(now_ms + 1);
            self.alarms.push(Reverse((client.again_ms, number)));
        }
    }

    /// One millisecond of the server, with its frames arriving evenly over it.
    fn millisecond<S: Subject>(&mut self, world: &mut World<S>, now_ms: u64) {
        let mut frames = std::mem::take(&mut self.outbox);
        self.mix(&mut frames);
        let mut slices = frames.chunks(frames.len().div_ceil(SLICES_PER_MS).max(1));
        for _ in 0..SLICES_PER_MS {
            for outgoing in slices.next().unwrap_or(&[]) {
                let templates = &self.templates;
                world.subject.input(|slot| templates.write(slot, outgoing, now_ms as u32));
            }
            for _ in 0..std::mem::take(&mut self.asked) {
                world.subject.input(|slot| neighbour::answer(slot, Family::V4));
            }
            // Time that was idle cannot be used later; work that was begun must be paid for.
            self.work = self.work.min(0) + FRAMES_PER_MS * 1000 / SLICES_PER_MS as i64;
            while self.work > 0 {
                let (taken, shed) = (world.subject.card().taken(), world.subject.shed());
                world.turn(Meter::Off);
                world.subject.drain(|frame| self.receive(frame, now_ms));
                let shed = (world.subject.shed() - shed) as i64;
                let taken = (world.subject.card().taken() - taken) as i64;
                self.work -= (taken - shed) * 1000 + shed * self.shed_cost;
                if taken == 0 {
                    break;
                }
            }
            world.now_us += 1000 / SLICES_PER_MS as u64;
        }
    }

    fn receive(&mut self, frame: &[u8], now_ms: u64) {
        let Some(reply) = frames::parse(frame) else {
            self.asked += neighbour::asks(frame).is_some() as u32;
            return;
        };
        let offset = reply.tuple.port.wrapping_sub(PORT_FIRST) as u32;
        let number = reply.tuple.client.wrapping_sub(CLIENT_FIRST) * PORT_COUNT + offset;
        let Some(client) = self.clients.get_mut(number as usize) else {
            return;
        };
        let before = client.conversation.state();
        let answer = client.conversation.receive(&reply, Script::Request(Personality::Min));
        for kind in answer.frames.into_iter().flatten() {
            self.outbox.push(client.conversation.say(kind));
        }
        let after = client.conversation.state();
        self.totals.goodput += (before == State::Asking && after == State::Closing) as u32 as f64;
        self.totals.reset += (answer.end == Some(End::Reset)) as u32 as f64;
        if after != before && after != State::Closed {
            client.interval_ms = AGAIN_MS;
            client.again_ms = now_ms + AGAIN_MS;
            self.alarms.push(Reverse((client.again_ms, number)));
        }
    }

    /// Clients are independent: their frames of one millisecond arrive in any order.
    fn mix(&mut self, frames: &mut [Outgoing]) {
        for at in (1..frames.len()).rev() {
            // xorshift64*: any fixed sequence will do, as long as every run has the same.
            self.shuffle ^= self.shuffle >> 12;
            self.shuffle ^= self.shuffle << 25;
            self.shuffle ^= self.shuffle >> 27;
            let number = self.shuffle.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
            frames.swap(at, number as usize % (at + 1));
        }
    }
}

/// Linux's initial retransmission timeout (RFC 6298 section 2), and its least one.
const SYN_AGAIN_MS: u64 = 1000;
const AGAIN_MS: u64 = 200;
/// In how many parts the frames of a millisecond arrive.
const SLICES_PER_MS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reflector::Reflector;

    /// The world itself loses nothing up to the peak, and a server without limits keeps most of it
    /// beyond: less would be the harness's own doing.
    #[test]
    fn a_server_without_limits_degrades_gracefully() {
        let outcome = |percent| {
            let load = Overload {
                offered: PEAK / 100 * percent,
                settle_s: 32,
                measure_s: 4,
                shed_cost: 0,
            };
            load.run(Reflector::new())
        };
        assert_eq!(outcome(50).abandoned, 0.0);
        assert!(outcome(95).goodput > 0.94 * PEAK as f64);
        let four = outcome(400);
        assert!(four.goodput > 0.8 * PEAK as f64, "{four:?}");
        assert!(four.abandoned > 2.0 * PEAK as f64, "{four:?}");
    }
}
