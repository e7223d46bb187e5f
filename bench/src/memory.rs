//! Bytes of an idle connection, by a counting allocator: what a stack takes for a million more.

use stats_alloc::Region;

use crate::ALLOCATOR;
use crate::peer::Smoltcp;
use crate::penstock::Penstock;
use crate::scenario::Scenario;
use crate::subject::Setup;

/// Bytes per idle connection of ours: table, record and timer, but not the application's own array.
/// All memory is taken at the start, so the difference between two capacities is what counts.
pub fn penstock_idle() -> f64 {
    per_connection(1_000_000, |setup| drop(Penstock::new(setup))) - APPLICATION_BYTES
}

/// The same of smoltcp, whose connection is a socket with its buffers.
pub fn smoltcp_idle() -> f64 {
    per_connection(1000, |setup| drop(Smoltcp::new(setup)))
}

/// What the responder keeps for each connection.
const APPLICATION_BYTES: f64 = size_of::<crate::subject::Head>() as f64;

fn per_connection(idle: u32, build: impl Fn(&Setup)) -> f64 {
    let bytes = |idle| {
        let region = Region::new(ALLOCATOR);
        build(&Setup { idle, ..Scenario::BASE.setup() });
        region.change().bytes_allocated as f64
    };
    (bytes(idle) - bytes(0)) / idle as f64
}
