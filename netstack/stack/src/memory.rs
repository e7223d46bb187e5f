//! What a worker takes of a machine's memory, known before it is made: a machine plans with it.

use penstock_queue::CHUNK_BYTES;

use crate::config::Capacity;
use crate::table::Table;
use crate::tcp::{Flight, Tcb};

impl Capacity {
    /// What a worker of this capacity takes, with its chunks, in bytes: a little more than it is. The
    /// rings of its cards, its mailboxes and its application are beside it.
    pub fn bytes(&self) -> usize {
        let &Capacity { connections, flights, time_wait, chunks, neighbours, listeners, .. } = self;
        // Half-open connections have the records of those that they become; in a table of its own
        // each neighbour may have up to twice its place.
        let each = [
            (connections, size_of::<Tcb>() + 1),
            (flights, size_of::<Flight>()),
            (time_wait, TIME_WAIT_BYTES),
            (chunks, CHUNK_BYTES + CHUNK_RECORD_BYTES),
            (u32::from(neighbours) * 2, NEIGHBOUR_BYTES),
            (listeners.into(), LISTENER_BYTES),
        ];
        let records = each.iter().map(|&(count, bytes)| count as usize * bytes).sum::<usize>();
        FIXED_BYTES + records + Table::bytes_for(connections.saturating_add(time_wait))
    }
}

// What `tests/memory.rs` finds; it fails when one of these is less, or much more.
const TIME_WAIT_BYTES: usize = 32;
const CHUNK_RECORD_BYTES: usize = 8;
const NEIGHBOUR_BYTES: usize = 96;
const LISTENER_BYTES: usize = 64 + 8;

/// Whatever the bounds are: scratch space, the wheel, path MTUs.
const FIXED_BYTES: usize = 128 << 10;
