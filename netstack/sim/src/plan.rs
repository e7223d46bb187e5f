//! What a world is made of, before it runs: plain data, chosen from a seed or written by a test.

mod chosen;
mod conversations;
mod story;

use penstock_stack::{Capacity, Config, Interface, Route, Steering, Tcp};
use penstock_wire::{Addr, Mac};

use crate::card::CardPlan;
use crate::datagrams::Question;
use crate::ledger::Conversation;
use crate::link::Faults;
use crate::router::RouterPlan;

pub use chosen::Topology;
pub(crate) use chosen::rss;
pub use conversations::Style;

/// A whole world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything random in the world comes from here.
    pub seed: u64,
    /// A few words on what it is about.
    pub name: String,
    /// How many LANs there are.
    pub lans: usize,
    /// LANs deliver every frame to every station.
    pub is_hub: bool,
    /// The hosts.
    pub hosts: Vec<HostPlan>,
    /// The routers, with what their cables do.
    pub routers: Vec<(RouterPlan, Faults)>,
    /// TCP conversations.
    pub conversations: Vec<Conversation>,
    /// UDP questions.
    pub questions: Vec<Question>,
    /// What happens to hosts and cables.
    pub incidents: Vec<Incident>,
    /// Hostile frames are sent on this LAN, one every so many µs on average.
    pub heckler: Option<(usize, u64)>,
    /// When faults stop.
    pub faults_end_us: u64,
    /// By when every connection must have ended.
    pub ends_by_us: u64,
    /// How long a host may take to notice a frame.
    pub poll_delay_us: u64,
    /// Nothing is in the way of anybody: nothing may be dropped, nothing sent twice.
    pub is_clean: bool,
    /// Every orderly conversation must deliver everything.
    pub must_complete: bool,
}

/// One host.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// Whose stack it runs.
    pub kind: HostKind,
    /// What its workers are told.
    pub config: Config,
    /// A card an interface.
    pub cards: Vec<CardPlan>,
    /// The LAN of each interface.
    pub lans: Vec<usize>,
    /// What the cable does to frames it sends, for each interface.
    pub faults: Vec<Faults>,
    /// Ports on which it listens.
    pub ports: Vec<u16>,
    /// How many of its cores do.
    pub listening: u16,
}

/// Whose stack a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// Ours.
    Penstock,
    /// smoltcp's: a foreign peer.
    Smoltcp,
}

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
pub struct Incident {
    /// When.
    pub at_us: u64,
    /// What.
    pub what: What,
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A host loses its memory, and starts again after a while.
    Reboot {
        /// The host.
        host: usize,
        /// For how long it is down.
        down_us: u64,
    },
    /// A host goes down and stays down.
    Die {
        /// The host.
        host: usize,
    },
    /// A cable carries nothing for a while, either way.
    Partition {
        /// The host whose cables are cut.
        host: usize,
        /// For how long.
        for_us: u64,
    },
    /// A core does not run for a while.
    Stall {
        /// The host.
        host: usize,
        /// The core.
        core: u16,
        /// For how long.
        for_us: u64,
    },
    /// A card has no free transmit slot for a while.
    Choke {
        /// The host.
        host: usize,
        /// For how long.
        for_us: u64,
    },
}

impl Plan {
    /// A world of `seed` without hosts: tests and the chooser fill it.
    pub fn empty(seed: u64, name: &str) -> Plan {
        Plan {
            seed,
            name: name.to_owned(),
            lans: 1,
            is_hub: false,
            hosts: Vec::new(),
            routers: Vec::new(),
            conversations: Vec::new(),
            questions: Vec::new(),
            incidents: Vec::new(),
            heckler: None,
            faults_end_us: 0,
            ends_by_us: 0,
            poll_delay_us: 20,
            is_clean: false,
            must_complete: true,
        }
    }

    /// Two hosts of ours with these cores on one LAN, and nothing planned.
    pub fn pair(seed: u64, name: &str, cores: [u16; 2]) -> Plan {
        let mut plan = Plan::empty(seed, name);
        for (number, cores) in cores.into_iter().enumerate() {
            plan.hosts.push(HostPlan::new(number, cores, &[0]));
        }
        plan
    }

    /// Makes every cable do this.
    pub fn with_faults(mut self, faults: Faults) -> Plan {
        for host in &mut self.hosts {
            host.faults.fill(faults);
        }
        for (_, on_cable) in &mut self.routers {
            *on_cable = faults;
        }
        self
    }

    /// Applies `change` to every host's configuration.
    pub fn configured(mut self, change: impl Fn(&mut Config)) -> Plan {
        self.hosts.iter_mut().for_each(|host| change(&mut host.config));
        self
    }

    /// Applies `change` to every card.
    pub fn carded(mut self, change: impl Fn(&mut CardPlan)) -> Plan {
        self.hosts.iter_mut().flat_map(|host| &mut host.cards).for_each(change);
        self
    }

    /// Adds an incident.
    pub fn incident(mut self, at_us: u64, what: What) -> Plan {
        self.incidents.push(Incident { at_us, what });
        self
    }

    /// Sets the times at which faults stop and everything must have ended.
    pub fn timed(mut self, faults_end_us: u64, ends_by_us: u64) -> Plan {
        self.faults_end_us = faults_end_us;
        self.ends_by_us = ends_by_us;
        self
    }
}

impl HostPlan {
    /// Host `number` with these cores, a card on each of `lans`, and room for a small world.
    pub fn new(number: usize, cores: u16, lans: &[usize]) -> HostPlan {
        let interface = |&lan: &usize| Interface {
            mac: host_mac(number, lan),
            mtu: 1500,
            addresses: vec![
                (host_addr(lan, number, true), 24),
                (host_addr(lan, number, false), 64),
            ],
            steering: Steering::Unknown,
        };
        let mut seed = [0; 32];
        seed[0] = number as u8;
        HostPlan {
            kind: HostKind::Penstock,
            config: Config {
                interfaces: lans.iter().map(interface).collect(),
                routes: Vec::new(),
                cores,
                ephemeral_ports: (32768, 65535),
                capacity: roomy(),
                tcp: Tcp::default(),
                seed,
            },
            cards: lans.iter().map(|_| able_card()).collect(),
            lans: lans.to_vec(),
            faults: lans.iter().map(|_| Faults::NONE).collect(),
            ports: vec![80, 443, 7001],
            listening: cores,
        }
    }

    /// Adds default routes by the router whose addresses these are.
    pub fn via(mut self, interface: u8, gateways: &[Addr]) -> HostPlan {
        for &gateway in gateways {
            let network = if gateway.is_v4() { Addr::v4(0) } else { Addr::UNSPECIFIED };
            let gateway = Some(gateway);
            self.config.routes.push(Route { network, prefix_bits: 0, gateway, interface });
        }
        self
    }
}

/// The station of a host on a LAN.
pub fn host_mac(host: usize, lan: usize) -> Mac {
    Mac([0x02, 0, 0, 0, lan as u8, host as u8 + 10])
}

/// The address of a host on a LAN.
pub fn host_addr(lan: usize, host: usize, v4: bool) -> Addr {
    numbered_addr(lan, host as u8 + 10, v4)
}

/// 10.0.lan.number or fd00:0:0:lan::number.
pub fn numbered_addr(lan: usize, number: u8, v4: bool) -> Addr {
    if v4 {
        return Addr::v4(0x0a00_0000 | (lan as u32) << 8 | number as u32);
    }
    Addr { hi: 0xfd00_0000_0000_0000 | lan as u64, lo: number as u64 }
}

/// Room for a small world, so that building one is quick.
pub fn roomy() -> Capacity {
    Capacity {
        connections: 512,
        flights: 512,
        half_open: 256,
        time_wait: 512,
        chunks: 1024,
        neighbours: 128,
        listeners: 16,
        udp: 4,
        send_buffer_bytes: 64 * 1024,
        receive_window_bytes: 64 * 1024,
    }
}

/// A card that can do everything, quickly.
pub fn able_card() -> CardPlan {
    CardPlan {
        receive_ring: 512,
        transmit_ring: 512,
        receive_checksums: true,
        transmit_checksums: true,
        segmentation: true,
        lent_max: 16,
        part_bytes: 2048,
        write_back_us: (1, 20),
        is_promiscuous: false,
        mtu: 1500,
    }
}
