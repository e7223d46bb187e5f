//! What the control plane is told before it starts.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_config::{Card, Log, Machine};
use penstock_stack::{Duration, Endpoint};
use penstock_wire::Addr;

use crate::resolver;

/// What was said of a machine, as far as it is the control plane's to do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One for each interface.
    pub links: Vec<Link>,
    /// The machine's name.
    pub hostname: String,
    /// The name of what runs, in lines to a syslog server.
    pub tag: String,
    /// Name servers that were named; those that networks tell of are asked after them.
    pub dns: Vec<Endpoint>,
    /// Time servers that were named.
    pub ntp: Vec<Addr>,
    /// Gateways to take instead of those that networks tell of.
    pub gateways: Vec<Addr>,
    /// Where lines go beside the console.
    pub log: Option<Log>,
    /// The text of `etc/hosts`.
    pub hosts: String,
    /// The time of day when the control plane starts, since 1970-01-01 00:00 UTC, and where it is
    /// from: the clock until a time server has answered.
    pub clock: Option<(Duration, &'static str)>,
    /// Random bytes.
    pub seed: [u8; 32],
}

/// An interface.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// What it is called in lines.
    pub name: String,
    /// It asks DHCP servers.
    pub dhcp: bool,
    /// It listens to routers.
    pub router_advertisements: bool,
    /// The address to ask for first.
    pub wanted: Option<Addr>,
    /// The gateway to take instead of what it is told.
    pub gateway: Option<Addr>,
}

impl Plan {
    /// What `machine` says, on these cards.
    pub fn of(machine: &Machine, cards: &[Card], seed: [u8; 32]) -> Plan {
        let links = cards.iter().zip(machine.automatic(cards)).map(|(card, own)| Link {
            name: card.name.clone(),
            dhcp: own.dhcp,
            router_advertisements: own.router_advertisements,
            wanted: own.wanted,
            gateway: own.gateway,
        });
        let dns = machine.ips.iter().flat_map(|ip| &ip.dns);
        let hostname = machine.ips.iter().find_map(|ip| ip.hostname.clone());
        Plan {
            links: links.collect(),
            hostname: hostname.unwrap_or_else(|| "penstock".into()),
            tag: "penstock".into(),
            dns: dns.map(|&addr| Endpoint { addr, port: resolver::PORT }).collect(),
            ntp: machine.ips.iter().filter_map(|ip| ip.ntp).collect(),
            gateways: machine.gateways.clone(),
            log: machine.log.clone(),
            seed,
            ..Plan::default()
        }
    }
}
