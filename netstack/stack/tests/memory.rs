//! A worker takes no more memory than its capacity says beforehand, and not much less.

use std::alloc::System;

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::rfd::Cores;
use penstock_stack::{App, Capacity, Config, Interface, Steering, Tcp, Worker, mail};
use penstock_wire::{Addr, Mac};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Nothing;

impl App for Nothing {}

#[test]
fn a_worker_takes_what_its_capacity_says() {
    let usual = Capacity::default();
    let least = Capacity {
        connections: 64,
        flights: 64,
        half_open: 64,
        time_wait: 64,
        chunks: 64,
        neighbours: 1,
        listeners: 1,
        ..usual
    };
    for capacity in [
        usual,
        least,
        Capacity { connections: 1_000_000, ..usual },
        Capacity { connections: 1_000_000, ..least },
        Capacity { flights: 100_000, ..least },
        Capacity { half_open: 60_000, ..least },
        Capacity { time_wait: 1_000_000, ..least },
        Capacity { chunks: 100_000, ..least },
        Capacity { neighbours: 5_000, ..least },
        Capacity { listeners: 30_000, ..least },
    ] {
        let (said, taken) = (capacity.bytes(), bytes_taken(capacity));
        assert!(taken <= said, "{taken} bytes instead of {said}: {capacity:?}");
        assert!(said <= taken + taken / 4 + (256 << 10), "{said}, but {taken}: {capacity:?}");
    }
}

fn bytes_taken(capacity: Capacity) -> usize {
    let config = Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            addresses: vec![(Addr::v4(0x0a00_0001), 24)],
            steering: Steering::Unknown,
        }],
        routes: Vec::new(),
        cores: 1,
        ephemeral_ports: (1_024, 65_535),
        capacity,
        tcp: Tcp::default(),
        seed: [7; 32],
    };
    let post = mail::network(Cores::new(1).expect("one"), 1).remove(0);
    let queues = vec![MemoryQueue::new(1500)];
    let region = Region::new(ALLOCATOR);
    let chunks = Chunks::new(capacity.chunks);
    let worker = Worker::new(config, 0, queues, chunks, post, Nothing).expect("valid");
    // A worker lies somewhere too.
    let worker = Box::new(worker);
    let taken = region.change().bytes_allocated;
    drop(worker);
    taken
}
