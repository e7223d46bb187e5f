//! A machine as it was described, and the cards it was found to have: the stack's configuration.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::{Config, Interface, Route, Steering};
use penstock_wire::{Addr, Mac};

use crate::error::Error;
use crate::ip::{Autoconf, Ip};
use crate::machine::Machine;

/// A card that was found.
#[derive(Clone, Debug)]
pub struct Card {
    /// What it is called besides `ethN`: a TAP's name.
    pub name: String,
    /// Its station address.
    pub mac: Mac,
    /// The largest IP packet in bytes.
    pub mtu: u16,
    /// How replies to active connections find their core.
    pub steering: Steering,
}

impl Machine {
    /// The stack's configuration on `cards` with `cores` workers; `seed` is random.
    ///
    /// # Errors
    /// All of what does not fit together.
    pub fn assemble(
        &self,
        cards: &[Card],
        cores: u16,
        seed: [u8; 32],
    ) -> Result<Config, Vec<Error>> {
        let mut errors = Vec::new();
        let mut interfaces: Vec<Interface> = cards
            .iter()
            .map(|Card { name: _, mac, mtu, steering }| Interface {
                mac: *mac,
                mtu: *mtu,
                addresses: Vec::new(),
                steering: steering.clone(),
            })
            .collect();
        let mut routes = Vec::new();
        for ip in &self.ips {
            let Some(number) = find(cards, ip.device.as_deref()) else {
                let device = ip.device.as_deref().unwrap_or_default();
                errors.push(Error::value("ip", device, &known(cards)));
                continue;
            };
            if let Some(fixed) = ip.fixed() {
                interfaces[number].addresses.push(fixed);
                routes.extend(ip.gateway.map(|gateway| default_route(gateway, number)));
            }
        }
        for &gateway in &self.gateways {
            if let Some(number) = self.interface_of(gateway, cards) {
                routes.push(default_route(gateway, number));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let (capacity, tcp) = (self.capacity, self.tcp);
        Ok(Config {
            interfaces,
            routes,
            cores,
            ephemeral_ports: self.ephemeral_ports,
            capacity,
            tcp,
            seed,
        })
    }

    /// The interface on whose network the gateway is, among those that were given an address by hand.
    /// A link-local one is on every network: the first that speaks IPv6.
    fn interface_of(&self, gateway: Addr, cards: &[Card]) -> Option<usize> {
        let speaks_v6 = |ip: &&Ip| ip.fixed().is_some_and(|(addr, _)| !addr.is_v4());
        let on_link = self.ips.iter().find(|ip| ip.is_on_link(gateway));
        let any = || self.ips.iter().find(speaks_v6).filter(|_| gateway.is_link_local_v6());
        find(cards, on_link.or_else(any)?.device.as_deref())
    }

    /// What each of `cards` finds out by itself. What [`assemble`](Self::assemble) refuses has no
    /// effect here.
    pub fn automatic(&self, cards: &[Card]) -> Vec<Automatic> {
        let everywhere = Ip { autoconf: Autoconf::Dhcp, ..Ip::default() };
        let said = if self.ips.is_empty() { core::slice::from_ref(&everywhere) } else { &self.ips };
        let speaks_of = |ip: &Ip, number| match (&ip.device, ip.fixed()) {
            (Some(_), _) | (None, Some(_)) => find(cards, ip.device.as_deref()) == Some(number),
            (None, None) => false,
        };
        let automatic = |number| {
            let spoken_of = said.iter().any(|ip| speaks_of(ip, number));
            let mut own = Automatic::default();
            for ip in said {
                let is_everywhere = ip.device.is_none() && ip.fixed().is_none();
                if !(speaks_of(ip, number) || is_everywhere && !spoken_of) {
                    continue;
                }
                own.dhcp |= ip.autoconf == Autoconf::Dhcp;
                own.router_advertisements |= ip.autoconf != Autoconf::Off;
                if ip.autoconf == Autoconf::Dhcp {
                    own.wanted = own.wanted.or(ip.addr.map(|(addr, _)| addr));
                    own.gateway = own.gateway.or(ip.gateway);
                }
            }
            own
        };
        (0..cards.len()).map(automatic).collect()
    }
}

/// What an interface finds out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Automatic {
    /// It asks DHCP servers for an IPv4 address.
    pub dhcp: bool,
    /// It makes IPv6 addresses from what routers advertise.
    pub router_advertisements: bool,
    /// The address that it asks for first.
    pub wanted: Option<Addr>,
    /// The gateway to take instead of what it is told.
    pub gateway: Option<Addr>,
}

fn default_route(gateway: Addr, interface: usize) -> Route {
    let network = if gateway.is_v4() { Addr::v4(0) } else { Addr::UNSPECIFIED };
    Route { network, prefix_bits: 0, gateway: Some(gateway), interface: interface as u8 }
}

impl Card {
    /// The number of the card of this name among `cards`: what it is called, or `ethN`.
    pub fn find(cards: &[Card], name: &str) -> Option<u8> {
        find(cards, Some(name)).map(|at| at as u8)
    }
}

/// The card that a device's name means.
fn find(cards: &[Card], device: Option<&str>) -> Option<usize> {
    let Some(device) = device else { return (!cards.is_empty()).then_some(0) };
    let named = cards.iter().position(|card| card.name == device);
    let numbered = || device.strip_prefix("eth")?.parse().ok().filter(|&at| at < cards.len());
    named.or_else(numbered)
}

fn known(cards: &[Card]) -> String {
    let mut known = "a device that is there:".to_owned();
    for (number, card) in cards.iter().enumerate() {
        known += &format!("{} eth{number}", if number == 0 { "" } else { "," });
        if !card.name.is_empty() {
            known += &format!(" ({})", card.name);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    //! Addresses and gateways land on the card that was meant, and a card that is not there is said
    //! to be missing.

    use super::*;
    use crate::Boot;
    use std::string::ToString;
    use std::vec;

    fn cards() -> Vec<Card> {
        let card = |name: &str, last| Card {
            name: name.to_owned(),
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            steering: Steering::Unknown,
        };
        vec![card("front", 1), card("back", 2)]
    }

    fn assemble(text: &str) -> Result<Config, Vec<Error>> {
        let boot = Boot::parse(text);
        assert_eq!(boot.errors, []);
        boot.machine.assemble(&cards(), 1, [0; 32])
    }

    #[test]
    fn each_address_on_its_card() {
        let config = assemble(
            "ip=10.0.0.2/24 ip=10.1.0.2/24:::::eth1 ip=10.2.0.2/24::10.2.0.1:::back ip=fd00::2/64 \
             gateway=10.0.0.1 gateway=fe80::1",
        )
        .expect("good");
        let counts: Vec<_> = config.interfaces.iter().map(|it| it.addresses.len()).collect();
        assert_eq!(counts, [2, 2]);
        let routes: Vec<_> = config.routes.iter().map(|it| (it.interface, it.gateway)).collect();
        let shown = |addr: Option<Addr>| addr.map(|addr| addr.to_string()).unwrap_or_default();
        let routes: Vec<_> = routes.into_iter().map(|(at, via)| (at, shown(via))).collect();
        let expected = [(1, "10.2.0.1"), (0, "10.0.0.1"), (0, "fe80::1")];
        assert_eq!(routes, expected.map(|(at, via)| (at, via.to_owned())));
    }

    #[test]
    fn what_is_not_there() {
        let errors = assemble("ip=10.0.0.2/24:::::eth2 ip=10.0.1.2/24:::::sideways");
        let lines: Vec<_> =
            errors.expect_err("no such card").iter().map(Error::to_string).collect();
        let expected = "expected a device that is there: eth0 (front), eth1 (back)";
        assert_eq!(lines, [format!("ip=eth2: {expected}"), format!("ip=sideways: {expected}")]);
    }

    #[test]
    fn what_is_automatic() {
        let automatic = |text: &str| {
            let boot = Boot::parse(text);
            assert_eq!(boot.errors, [], "{text}");
            assert!(boot.machine.assemble(&cards(), 1, [0; 32]).is_ok(), "{text}");
            let own = boot.machine.automatic(&cards());
            own.iter().map(|own| (own.dhcp, own.router_advertisements)).collect::<Vec<_>>()
        };
        let (none, all, six) = ((false, false), (true, true), (false, true));
        assert_eq!(automatic(""), [all, all], "as ip=dhcp");
        assert_eq!(automatic("ip=dhcp"), [all, all]);
        assert_eq!(automatic("ip=off"), [none, none]);
        assert_eq!(automatic("ip=10.0.0.2/24"), [none, none]);
        assert_eq!(automatic("ip=10.0.0.2/24 ip=dhcp"), [none, all]);
        assert_eq!(automatic("ip=10.0.0.2/24 ip=:::::eth0:auto6"), [six, none]);
        assert_eq!(automatic("ip=:::::back:dhcp"), [none, all]);
        assert_eq!(automatic("ip=dhcp ip=:::::back:off gateway=10.9.9.9"), [all, none]);
    }
}
