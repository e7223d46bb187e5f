//! What sessions are called, in whole worlds: each otherwise, whichever core it is on, and by its server
//! as in the log.

mod world;

use std::collections::BTreeSet;

use penstock_proxy::proxy_protocol::Reader;

use world::client::Client;
use world::server::Ways;
use world::{Plan, Scene, proxies};

const HEAD: &str = "\
defaults
    mode tcp
    log stdout format raw local0
    timeout client 10s
    timeout server 10s
    timeout connect 3s
listen fe
    bind :80
    unique-id-format %{+X}o\\ %ci:%cp_%rt:%pid
    log-format \"%ID %rt\"
";

#[test]
fn a_server_hears_what_the_log_says_and_no_two_are_called_the_same() {
    for (cores, told) in [(1, true), (4, true), (4, false)] {
        let options = if told { "send-proxy-v2 proxy-v2-options unique-id,crc32c" } else { "" };
        let text = format!("{HEAD}    server s1 10.0.0.3:80 {options}\n");
        let mut world = Plan::fair(proxies(&text), cores, &[Ways::default()]).world();
        world.warm();
        for _ in 0..24 {
            world.visit(80, Client::saying(b"x"));
            world.pass_ms(2);
        }
        world.pass(10);
        let mut logged = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for line in world.take_log() {
            let (name, number) = line.trim_end().rsplit_once(' ').expect("two words");
            let number: u32 = number.parse().expect("a number");
            // 0A000001:....  as HAProxy writes an address, a port, a counter and the process.
            assert!(name.starts_with("0A000001:"), "{line}");
            assert!(name.ends_with(&format!("_{number:04X}:0001")), "{line}");
            logged.insert(name.to_owned());
            numbers.insert(number);
        }
        assert_eq!((logged.len(), numbers.len()), (24, 24));
        if cores == 1 {
            assert_eq!(numbers.into_iter().collect::<Vec<_>>(), (1..=24).collect::<Vec<_>>());
        }
        let server = world.servers[0].as_ref().expect("alive").app();
        let heard: BTreeSet<String> = server
            .heard
            .values()
            .filter_map(|bytes| {
                let mut reader = Reader::new();
                let (_, header) = reader.advance(bytes).ok()?;
                let id = header?.unique_id?;
                Some(String::from_utf8_lossy(id).into_owned())
            })
            .collect();
        assert_eq!(heard.is_superset(&logged), told, "{heard:?} {logged:?}");
    }
}
