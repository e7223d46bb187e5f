//! Addresses are found on their own interface only, sources suit their destinations, and what no
//! host can have is refused by name.

use super::*;
use crate::config::{Capacity, Steering, Tcp};
use alloc::vec;
use core::net::IpAddr;
use std::string::ToString;

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().expect("an address").into()
}

fn config(addresses: &[&[(&str, u8)]]) -> Config {
    let interfaces = (2u8..)
        .zip(addresses)
        .map(|(last, list)| crate::config::Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses: list.iter().map(|(text, bits)| (addr(text), *bits)).collect(),
            steering: Steering::Unknown,
        })
        .collect();
    Config {
        interfaces,
        routes: vec![],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity::default(),
        tcp: Tcp::default(),
        seed: [0; 32],
    }
}

#[test]
fn the_host_model_is_strong() {
    let config = config(&[&[("10.0.0.1", 24)], &[("10.1.0.1", 24), ("2001:db8::1", 64)]]);
    let interfaces = Interfaces::new(&config).expect("valid");
    let front = interfaces.find(0, addr("10.0.0.1")).expect("ours");
    assert_eq!(interfaces.interface_of(front), 0);
    assert_eq!(interfaces.find(1, addr("10.0.0.1")), None, "not on this interface");
    assert_eq!(interfaces.on_link(addr("10.1.0.77")), Some((1, 24)));
    assert_eq!(interfaces.on_link(addr("10.2.0.1")), None);
}

#[test]
fn ipv6_brings_a_link_local_address() {
    let config = config(&[&[("2001:db8::1", 64)]]);
    let interfaces = Interfaces::new(&config).expect("valid");
    let own = interfaces.find(0, addr("fe80::ff:fe00:2")).expect("from the station address");
    assert_eq!(interfaces.source_for(0, addr("fe80::99")), Some(own));
    assert_ne!(interfaces.source_for(0, addr("2001:db8::99")), Some(own));
    assert!(interfaces.is_group_member(0, addr("ff02::1:ff00:1")));
    assert!(!interfaces.is_group_member(0, addr("ff02::1:ff00:9")));
}

#[test]
fn broadcasts_of_our_networks_are_ours() {
    let interfaces = Interfaces::new(&config(&[&[("10.0.0.1", 24)]])).expect("valid");
    assert!(interfaces.is_group_member(0, addr("10.0.0.255")));
    assert!(interfaces.is_group_member(0, addr("255.255.255.255")));
    assert!(!interfaces.is_group_member(0, addr("10.0.1.255")));
}

#[test]
fn impossible_addresses_are_refused_by_name() {
    for text in ["224.0.0.1", "127.0.0.1", "0.0.0.0", "ff02::1", "::"] {
        let error = Interfaces::new(&config(&[&[(text, 8)]])).err();
        assert_eq!(error, Some(ConfigError::Address(addr(text))), "{text}");
    }
    let twice = Interfaces::new(&config(&[&[("10.0.0.1", 24), ("10.0.0.1", 16)]]));
    assert_eq!(twice.err(), Some(ConfigError::Address(addr("10.0.0.1"))));
    let long = Interfaces::new(&config(&[&[("10.0.0.1", 33)]]));
    assert_eq!(long.err(), Some(ConfigError::Prefix(addr("10.0.0.1"), 33)));
    let mut small = config(&[&[("2001:db8::1", 64)]]);
    small.interfaces[0].mtu = 1000;
    let error = Interfaces::new(&small).expect_err("too small for IPv6");
    assert!(error.to_string().contains("1280"), "{error}");
}
