//! The demo server of a core takes no more memory than it says beforehand, and not much less.

use std::alloc::System;

use penstock_server::{Arguments, Server};
use penstock_stack::Capacity;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_server_takes_what_it_said() {
    for words in ["-k", "-x 10.0.0.2:80"] {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let arguments = Arguments::parse(&words).expect("good words");
        for connections in [64, 100_000] {
            let said = Server::bytes(connections);
            let capacity = Capacity { connections, ..Capacity::default() };
            let region = Region::new(ALLOCATOR);
            let server = Box::new(Server::new(arguments.clone(), &capacity));
            let taken = region.change().bytes_allocated;
            drop(server);
            assert!(taken <= said, "{taken} bytes instead of {said}: {words:?}, {connections}");
            assert!(said <= taken * 2, "{said} bytes, but {taken}: {words:?}, {connections}");
        }
    }
}
