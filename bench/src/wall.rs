//! Wall time, as ratios only: two subjects take turns in one process, and the least of many
//! repetitions counts for each, because whatever else the machine does only ever adds. One takes a
//! few milliseconds, so that some lie between two interruptions even where other programs run; they
//! alternate, so that both meet the same moods of the machine. What reading the clock adds to each
//! turn is taken off for both ([`world::clock_ns`]): of a turn with a single frame it is a third.

use crate::scenario::{Prepared, Scenario};
use crate::subject::Subject;
use crate::world::{self, Meter};

/// Repetitions of each subject. Beside two busy programs on two cores, the ratio of the least of 25
/// was off by a quarter at times; that of 150 by a twentieth.
const REPETITIONS: usize = 150;

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
    clock_ns: f64,
) -> Result<f64, String> {
    let counts = prepared.measure(Meter::Wall, connections)?;
    let ns = counts.wall_ns as f64 - counts.polls as f64 * clock_ns;
    Ok(ns / counts.connections as f64)
}
