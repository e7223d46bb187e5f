//! Wall time, as ratios only: two subjects take turns in one process, and the least of several
//! repetitions counts for each, because whatever else the machine does only ever adds.

use crate::scenario::{Prepared, Scenario};
use crate::subject::Subject;
use crate::world::{self, Meter};

/// Repetitions of each subject.
const REPETITIONS: usize = 25;

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

/// Measures two rows in turns, `connections` at a time.
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
    clock_ns: u64,
) -> Result<f64, String> {
    let counts = prepared.measure(Meter::Wall, connections)?;
    let ns = counts.wall_ns.saturating_sub(counts.polls * clock_ns);
    Ok(ns as f64 / counts.connections as f64)
}
