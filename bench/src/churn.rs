//! Connections come and go by the million: nothing may be left behind, and nothing may get slower.

use std::hint::black_box;

use stats_alloc::Region;

use crate::ALLOCATOR;
use crate::client::Client;
use crate::scenario::{Prepared, Scenario};
use crate::subject::{Population, Subject};
use crate::world::Meter;

/// TIME-WAIT records that are there from the beginning, so that the first connections find the
/// tables as full as the last ones.
const TIME_WAIT: u32 = 64_000;

/// What was left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Remainder {
    /// Bytes of heap, more than before.
    pub bytes: i64,
    /// Records still in the stack once every timer had run out.
    pub population: Population,
}

/// The row whose connections churn.
pub const ROW: Scenario = Scenario { time_wait: TIME_WAIT, ..Scenario::BASE };

/// Runs `connections`, with the first and the last hundredth under the meter, each followed by a
/// [`checkpoint`]; then waits until every record has expired.
///
/// # Errors
/// What went wrong with a connection.
pub fn run<S: Subject>(subject: S, connections: u64) -> Result<Remainder, String> {
    let mut prepared = Prepared::new(&ROW, subject)?;
    let region = Region::new(ALLOCATOR);
    let hundredth = connections / 100;
    prepared.measure(Meter::Instructions, hundredth)?;
    checkpoint(1);
    prepared.measure(Meter::Off, connections - 2 * hundredth)?;
    prepared.measure(Meter::Instructions, hundredth)?;
    checkpoint(2);
    let heap = region.change();
    let bytes = heap.bytes_allocated as i64 - heap.bytes_deallocated as i64;
    let Prepared { world, client } = &mut prepared;
    client.open_until(client.opened());
    world.run(client, Meter::Off, Client::is_done)?;
    // Twice the longest life of a record, a millisecond at a time.
    world.rest(120_000_000, 1000);
    Ok(Remainder { bytes, population: world.subject.population() })
}

/// Where callgrind writes down what it has counted since the last time.
#[inline(never)]
pub fn checkpoint(number: u32) {
    black_box(number);
}
