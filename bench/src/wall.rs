//! Wall time, as ratios only: two subjects take turns in one process, and the least of many slices
//! counts for each, because whatever else the machine does only ever adds.
//!
//! ```text
//!   first   [slice|slice| … |slice]                          [slice|slice| …
//!   second                         [slice|slice| … |slice]
//!             └ warms the caches again   └ some fit between two interruptions
//! ```
//! A slice takes a fraction of a millisecond, so that some are undisturbed even where other programs
//! run; the subjects alternate every few milliseconds, so that both meet the same moods of the
//! machine, and those with much memory have their caches back. What reading the clock adds to each turn
//! is taken off for both ([`world::clock_ns`]): of a turn with a single frame it is a third.

use crate::scenario::{Prepared, Scenario};
use crate::subject::Subject;
use crate::world::{self, Meter};

/// Times that each subject has its turn.
const REPETITIONS: usize = 150;
/// Slices of a turn.
const SLICES: u64 = 10;

/// Nanoseconds per connection of two subjects, in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Of the first.
    pub first_ns: f64,
    /// Of the second.
    pub second_ns: f64,
}

impl Pair {
    /// The first against the second.
    pub fn ratio(&self) -> f64 {
        self.first_ns / self.second_ns
    }
}

/// Measures two rows in turns of `connections`.
///
/// # Errors
/// What went wrong with a connection.
pub fn compare<A: Subject, B: Subject>(
    first: (&Scenario, A),
    second: (&Scenario, B),
    connections: u64,
) -> Result<Pair, String> {
    let mut first = Prepared::new(first.0, first.1)?;
    let mut second = Prepared::new(second.0, second.1)?;
    let clock_ns = world::clock_ns();
    let mut pair = Pair { first_ns: f64::INFINITY, second_ns: f64::INFINITY };
    for _ in 0..REPETITIONS {
        pair.first_ns = pair.first_ns.min(one(&mut first, connections, clock_ns)?);
        pair.second_ns = pair.second_ns.min(one(&mut second, connections, clock_ns)?);
    }
    Ok(pair)
}

fn one<S: Subject>(
    prepared: &mut Prepared<S>,
    connections: u64,
    clock_ns: f64,
) -> Result<f64, String> {
    let mut least = f64::INFINITY;
    for _ in 0..SLICES {
        let counts = prepared.measure(Meter::Wall, connections / SLICES)?;
        let ns = counts.wall_ns as f64 - counts.polls as f64 * clock_ns;
        least = least.min(ns / counts.connections as f64);
    }
    Ok(least)
}
