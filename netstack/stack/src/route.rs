//! Where packets go next: on-link networks, static routes, the default gateway.

use alloc::vec::Vec;

use penstock_wire::Addr;

use crate::config::{Config, Route};
use crate::interface::{ConfigError, Interfaces};
use crate::limits;

/// The routes, the longest prefix first.
#[derive(Debug)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// By interface, what [`lookup_on`](Self::lookup_on) looks through for an IPv4 destination.
    ways_v4: Vec<Vec<WayV4>>,
}

/// A way out of an interface, in the order in which they are tried: its links, then its routes.
#[derive(Clone, Copy, Debug)]
struct WayV4 {
    network: u32,
    mask: u32,
    gateway: Option<Addr>,
}

impl WayV4 {
    fn new(network: Addr, prefix_bits: u8, gateway: Option<Addr>) -> WayV4 {
        let mask = u32::MAX.checked_shl(32 - prefix_bits.min(32) as u32).unwrap_or(0);
        WayV4 { network: network.v4_number() & mask, mask, gateway }
    }
}

impl Routes {
    /// Checks and sorts the configured routes. Memory for all that may come is taken here.
    pub(crate) fn new(config: &Config, interfaces: &Interfaces) -> Result<Routes, ConfigError> {
        let room = config.routes.len() + limits::DEFAULT_ROUTES_MAX;
        let mut routes = Vec::with_capacity(room);
        routes.extend_from_slice(&config.routes);
        for route in &routes {
            check(route, interfaces)?;
        }
        let room = room + interfaces.room();
        let ways_v4 = (0..interfaces.count()).map(|_| Vec::with_capacity(room)).collect();
        routes.sort_by_key(|route| core::cmp::Reverse(route.prefix_bits));
        let mut routes = Routes { routes, ways_v4 };
        routes.rebuild(interfaces);
        Ok(routes)
    }

    /// Takes `gateway` as the way from an interface to everywhere else, or none.
    pub(crate) fn set_default(
        &mut self,
        interfaces: &Interfaces,
        interface: u8,
        is_v4: bool,
        gateway: Option<Addr>,
    ) -> Result<(), ConfigError> {
        let network = if is_v4 { Addr::v4(0) } else { Addr::UNSPECIFIED };
        let route = Route { network, prefix_bits: 0, gateway, interface };
        if gateway.is_some() {
            check(&route, interfaces)?;
        }
        let is_same = |other: &Route| {
            (other.network, other.prefix_bits, other.interface) == (network, 0, interface)
        };
        let old = self.routes.iter().position(is_same);
        match (old, gateway) {
            (Some(at), Some(_)) => self.routes[at] = route,
            (Some(at), None) => drop(self.routes.remove(at)),
            (None, Some(_)) if self.routes.len() < self.routes.capacity() => {
                // The shortest prefix of all.
                self.routes.push(route);
            }
            (None, Some(_)) => return Err(ConfigError::Route(network)),
            (None, None) => {}
        }
        self.rebuild(interfaces);
        Ok(())
    }

    /// Writes down the ways anew, after addresses or routes have changed.
    pub(crate) fn rebuild(&mut self, interfaces: &Interfaces) {
        for (interface, ways) in (0..).zip(&mut self.ways_v4) {
            ways.clear();
            // What claims to come from an address of ours is not answered by way of a gateway.
            let elsewhere = (0..interfaces.count()).filter(|&other| other != interface);
            let own = elsewhere.flat_map(|other| interfaces.addresses(other));
            let own = own.filter(|addr| addr.is_v4()).map(|addr| WayV4::new(addr, 32, None));
            ways.extend(own);
            let links = interfaces.links(interface).filter(|(addr, _)| addr.is_v4());
            ways.extend(links.map(|(addr, bits)| WayV4::new(addr, bits, None)));
            let routed = self.routes.iter().filter(|route| route.interface == interface);
            let routed = routed.filter(|route| route.network.is_v4());
            ways.extend(
                routed.map(|route| WayV4::new(route.network, route.prefix_bits, route.gateway)),
            );
        }
    }

    /// The interface and the neighbour that lead to `dst`: the longest prefix, a link before a
    /// gateway.
    pub(crate) fn lookup(&self, interfaces: &Interfaces, dst: Addr) -> Option<(u8, Addr)> {
        let link = interfaces.on_link(dst);
        let route =
            self.routes.iter().find(|route| route.network.shares_prefix(dst, route.prefix_bits));
        match (link, route) {
            (Some((_, link_bits)), Some(route)) if route.prefix_bits > link_bits => {
                Some((route.interface, route.gateway.unwrap_or(dst)))
            }
            (Some((interface, _)), _) => Some((interface, dst)),
            (None, Some(route)) => Some((route.interface, route.gateway.unwrap_or(dst))),
            (None, None) => None,
        }
    }

    /// The neighbour that leads to `dst` from an interface: replies leave where the question came
    /// in, by the routes of that interface.
    #[inline]
    pub(crate) fn lookup_on(
        &self,
        interfaces: &Interfaces,
        interface: u8,
        dst: Addr,
    ) -> Option<(u8, Addr)> {
        if dst.is_v4() {
            let ways = self.ways_v4.get(interface as usize)?;
            let covers = |way: &&WayV4| dst.v4_number() & way.mask == way.network;
            return ways.iter().find(covers).map(|way| (interface, way.gateway.unwrap_or(dst)));
        }
        self.lookup_v6_on(interfaces, interface, dst)
    }

    fn lookup_v6_on(
        &self,
        interfaces: &Interfaces,
        interface: u8,
        dst: Addr,
    ) -> Option<(u8, Addr)> {
        if interfaces.is_on_link(interface, dst) || interfaces.is_ours(dst) {
            return Some((interface, dst));
        }
        let route = self.routes.iter().find(|route| {
            route.interface == interface && route.network.shares_prefix(dst, route.prefix_bits)
        })?;
        Some((interface, route.gateway.unwrap_or(dst)))
    }
}

fn check(route: &Route, interfaces: &Interfaces) -> Result<(), ConfigError> {
    let exists = route.interface < interfaces.count();
    let bits = if route.network.is_v4() { 32 } else { 128 };
    let reachable = route.gateway.is_none_or(|gateway| {
        gateway.is_v4() == route.network.is_v4() && interfaces.is_on_link(route.interface, gateway)
    });
    match exists && reachable && route.prefix_bits <= bits {
        true => Ok(()),
        false => Err(ConfigError::Route(route.network)),
    }
}

#[cfg(test)]
mod tests {
    //! The longest prefix wins, and replies stay on their interface.
    use super::*;
    use crate::config::{Capacity, Interface, Steering, Tcp};
    use alloc::vec;
    use core::net::IpAddr;
    use penstock_wire::Mac;

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().expect("an address").into()
    }

    fn routes() -> (Config, Interfaces) {
        let interface = |last, own| Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses: vec![(addr(own), 24)],
            steering: Steering::Unknown,
        };
        let route = |network, prefix_bits, gateway: Option<&str>, interface| Route {
            network: addr(network),
            prefix_bits,
            gateway: gateway.map(addr),
            interface,
        };
        let config = Config {
            interfaces: vec![interface(1, "10.0.0.1"), interface(2, "10.1.0.1")],
            routes: vec![
                route("0.0.0.0", 0, Some("10.0.0.254"), 0),
                route("192.168.0.0", 16, Some("10.1.0.254"), 1),
                route("10.0.0.128", 25, Some("10.1.0.253"), 1),
            ],
            cores: 1,
            ephemeral_ports: (32_768, 65_535),
            capacity: Capacity::default(),
            tcp: Tcp::default(),
            seed: [0; 32],
        };
        let interfaces = Interfaces::new(&config).expect("valid");
        (config, interfaces)
    }

    #[test]
    fn the_longest_prefix_wins() {
        let (config, interfaces) = routes();
        let routes = Routes::new(&config, &interfaces).expect("valid");
        assert_eq!(routes.lookup(&interfaces, addr("10.0.0.9")), Some((0, addr("10.0.0.9"))));
        assert_eq!(routes.lookup(&interfaces, addr("8.8.8.8")), Some((0, addr("10.0.0.254"))));
        assert_eq!(routes.lookup(&interfaces, addr("192.168.3.4")), Some((1, addr("10.1.0.254"))));
        assert_eq!(routes.lookup(&interfaces, addr("10.0.0.200")), Some((1, addr("10.1.0.253"))));
        assert_eq!(routes.lookup(&interfaces, addr("2001:db8::1")), None);
        assert_eq!(
            routes.lookup_on(&interfaces, 1, addr("8.8.8.8")),
            None,
            "no default route there"
        );
        assert_eq!(routes.lookup_on(&interfaces, 1, addr("10.1.0.7")), Some((1, addr("10.1.0.7"))));
    }

    #[test]
    fn of_two_cards_in_one_network_the_first_leads_there() {
        let (mut config, _) = routes();
        config.interfaces[1].addresses = vec![(addr("10.0.0.2"), 24)];
        config.routes.clear();
        let interfaces = Interfaces::new(&config).expect("valid");
        let routes = Routes::new(&config, &interfaces).expect("valid");
        let dst = addr("10.0.0.9");
        assert_eq!(routes.lookup(&interfaces, dst), Some((0, dst)));
        assert_eq!(routes.lookup_on(&interfaces, 1, dst), Some((1, dst)));
    }

    #[test]
    fn a_gateway_must_be_a_neighbour() {
        let (mut config, interfaces) = routes();
        config.routes[0].gateway = Some(addr("172.16.0.1"));
        let error = Routes::new(&config, &interfaces).err();
        assert_eq!(error, Some(ConfigError::Route(addr("0.0.0.0"))));
    }
}
