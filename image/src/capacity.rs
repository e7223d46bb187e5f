//! How much a core may hold, where memory is less than the stack's defaults want.

use penstock_stack::Capacity;

/// The same capacity, or one that is halved, all alike, until it fits.
pub(crate) fn fitted(wanted: Capacity, bytes: usize) -> Capacity {
    let mut capacity = wanted;
    while needed(&capacity) > bytes && capacity.connections > LEAST {
        let Capacity { connections, flights, half_open, time_wait, chunks, .. } = &mut capacity;
        for bound in [connections, flights, half_open, time_wait, chunks] {
            *bound = (*bound / 2).max(LEAST);
        }
    }
    capacity
}

/// What a worker and its application take for it, rounded up: the record, its place in the table,
/// its timer, and the application's own of each connection.
fn needed(capacity: &Capacity) -> usize {
    let &Capacity { connections, flights, half_open, time_wait, chunks, .. } = capacity;
    let each =
        [(connections, 320), (flights, 1024), (half_open, 96), (time_wait, 64), (chunks, 2112)];
    FIXED + each.iter().map(|&(count, bytes)| count as usize * bytes).sum::<usize>()
}

/// Neighbours, listeners, the wheel, mail, and patterns of the demo server.
const FIXED: usize = 2 << 20;
const LEAST: u32 = 64;
