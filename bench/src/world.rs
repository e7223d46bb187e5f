//! A client and a stack around one card, in virtual time.
//!
//! ```text
//!   loop:  client fills the receive ring ▶ stack polls once ▶ client takes what was sent ▶ time moves
//!                                          ^^^^^^^^^^^^^^^^^ the only part that a meter sees
//! ```

use std::time::Instant;

use crate::client::Client;
use crate::frames::Family;
use crate::neighbour;
use crate::subject::Subject;

/// Who watches the stack's turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meter {
    /// Nobody: population and warm-up.
    Off,
    /// Callgrind, which knows the turns by the name of [`stack_side`].
    Instructions,
    /// The machine's clock.
    Wall,
}

/// A stack, its card, and the time.
pub struct World<S> {
    /// The stack.
    pub subject: S,
    /// Virtual time in microseconds.
    pub now_us: u64,
    /// Turns of the stack that a meter saw.
    pub polls: u64,
    /// Wall time of those turns that [`Meter::Wall`] saw, in nanoseconds.
    pub wall_ns: u64,
    /// Virtual time between turns, in microseconds.
    pub step_us: u64,
}

impl<S: Subject> World<S> {
    /// A world in which the stack knows its gateway.
    pub fn new(subject: S, family: Family) -> World<S> {
        // Not zero: a stack may take its first moment for "never".
        let now_us = 1_000_000;
        let mut world = World { subject, now_us, polls: 0, wall_ns: 0, step_us: 10 };
        world.subject.input(|slot| neighbour::introduce(slot, family));
        for _ in 0..3 {
            world.turn(Meter::Off);
            world.subject.drain(|_| {});
        }
        world
    }

    /// Runs until `done`.
    ///
    /// # Errors
    /// When the stack says nothing for ten virtual seconds, or the client met something wrong.
    pub fn run(
        &mut self,
        client: &mut Client,
        meter: Meter,
        done: impl Fn(&Client) -> bool,
    ) -> Result<(), String> {
        let mut silent_us = 0;
        while !done(client) {
            let frames = client.frames();
            client.fill(self.subject.card(), self.now_us);
            self.turn(meter);
            self.subject.drain(|frame| client.receive(frame));
            if let Some(failure) = client.failure() {
                return Err(format!("{failure} ({})", self.subject.explain()));
            }
            silent_us = if client.frames() == frames { silent_us + self.step_us } else { 0 };
            if silent_us > SILENCE_US_MAX {
                let explanation = self.subject.explain();
                return Err(format!("the stack fell silent with connections open ({explanation})"));
            }
        }
        Ok(())
    }

    /// Lets `span_us` pass with nothing arriving, in steps of `step_us`.
    pub fn rest(&mut self, span_us: u64, step_us: u64) {
        let end = self.now_us + span_us;
        while self.now_us < end {
            self.turn(Meter::Off);
            self.subject.drain(|_| {});
            self.now_us += step_us - self.step_us;
        }
    }

    /// One turn of the stack, then time moves.
    pub fn turn(&mut self, meter: Meter) {
        self.subject.arrive();
        match meter {
            Meter::Off => self.subject.poll(self.now_us),
            Meter::Instructions => stack_side(&mut self.subject, self.now_us, &mut self.polls),
            Meter::Wall => {
                let start = Instant::now();
                self.subject.poll(self.now_us);
                self.wall_ns += start.elapsed().as_nanos() as u64;
                self.polls += 1;
            }
        }
        self.now_us += self.step_us;
    }
}

/// What is measured: callgrind collects between entry and return, so the name must stay and must
/// occur in no other function's name. Counting keeps it unlike any function it could be merged with.
#[inline(never)]
pub fn stack_side<S: Subject>(subject: &mut S, now_us: u64, polls: &mut u64) {
    subject.poll(now_us);
    *polls += 1;
}

/// What reading the clock around nothing adds to each turn of [`Meter::Wall`], in nanoseconds. A mean
/// of many, since a clock may tick in steps of ten; of several means the least.
pub fn clock_ns() -> f64 {
    let read = || {
        let start = Instant::now();
        start.elapsed().as_nanos() as u64
    };
    let mean = || (0..1000).map(|_| read()).sum::<u64>() as f64 / 1000.0;
    (0..100).map(|_| mean()).fold(f64::INFINITY, f64::min)
}

/// Longer than any retransmission that a lossless ring should ever need.
const SILENCE_US_MAX: u64 = 10_000_000;
