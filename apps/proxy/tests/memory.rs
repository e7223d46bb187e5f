//! The proxy of a core takes no more memory than was said beforehand, and not much less.

use std::alloc::System;
use std::fmt::Write;

use penstock_config::haproxy::grammar::{File, Input};
use penstock_proxy::{Needs, Proxy, Setup};
use penstock_stack::Capacity;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

// One test: whatever else is allocated at the same time would be counted too.
#[test]
fn a_proxy_takes_what_it_said() {
    let table = "stick-table type ip size 10m expire 1h store conn_rate(10s),conn_cur,gpc0";
    let ring = "balance source\n hash-type consistent";
    let looks = "tcp-request inspect-delay 1s\n tcp-request content accept if { req.len gt 0 }";
    for (what, text) in [
        ("next to nothing", proxies(1, 1, "", "")),
        ("servers", proxies(1, 5_000, "", "")),
        ("checked servers", proxies(1, 5_000, "", "check")),
        ("limited servers", proxies(1, 5_000, "", "check maxconn 100")),
        ("sections", proxies(800, 4, "maxconn 10", "check")),
        ("least connections", proxies(1, 5_000, "balance leastconn", "")),
        ("a map", proxies(1, 300, "balance static-rr", "weight 200")),
        ("a ring", proxies(1, 300, ring, "weight 200")),
        ("random", proxies(1, 300, "balance random", "weight 256")),
        ("a table", proxies(1, 2, table, "")),
        ("tables", proxies(7, 2, table, "")),
        ("checks that listen", proxies(1, 500, "option httpchk", "check")),
        ("rules that look", proxies(1, 2, looks, "")),
    ] {
        let setup = setup(&text);
        for cores in [1, 4] {
            let needs = Needs::of(setup, cores);
            for connections in [64, 65_536] {
                let said = needs.bytes(0, connections);
                let taken = bytes_taken(setup, cores, connections);
                let case = format!("{what}, {connections} connections on {cores} cores");
                assert!(taken <= said, "{taken} bytes instead of {said}: {case}");
                assert!(said <= taken + taken / 4 + (256 << 10), "{said}, but {taken}: {case}");
            }
        }
    }
}

/// So many sections of so many servers, which say this.
fn proxies(sections: usize, servers: usize, keywords: &str, attributes: &str) -> String {
    let mut text =
        String::from("defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n");
    for section in 0..sections {
        let port = 1_000 + section;
        let _ = write!(text, "listen proxy{section}\n bind :{port}\n {keywords}\n");
        for server in 0..servers {
            let (high, low) = (server / 250, server % 250 + 1);
            let _ = writeln!(text, " server s{server} 10.0.{high}.{low}:80 {attributes}");
        }
    }
    text
}

fn setup(text: &str) -> &'static Setup {
    let file = File { name: "haproxy.cfg", bytes: text.as_bytes() };
    let read = penstock_proxy::read(&Input::of(&[file]));
    read.setup.unwrap_or_else(|| panic!("{:?}", read.messages))
}

fn bytes_taken(setup: &'static Setup, cores: u16, connections: u32) -> usize {
    let cards = setup.cards(|_| None).expect("it names none");
    let capacity = Capacity { connections, ..Capacity::default() };
    let region = Region::new(ALLOCATOR);
    let proxy = Box::new(Proxy::new(setup, cards, 0, cores, &capacity));
    let change = region.change();
    drop(proxy);
    change.bytes_allocated - change.bytes_deallocated
}
