//! The world that a seed stands for.

use penstock_queue::{RETA_ENTRIES, RSS_KEY_BYTES, Rss};
use penstock_stack::{CongestionControl, Duration, Interface, KeepAlive, Steering, SynCookies};
use penstock_wire::{Addr, Mac};

use super::conversations::Style;
use super::{HostKind, HostPlan, Incident, Plan, What, numbered_addr};
use crate::datagrams::Question;
use crate::link::{Burst, Faults};
use crate::router::{Prefix, RouterPlan, RouterPort};
use penstock_fault::Rng;

/// How the hosts are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Two hosts on a LAN.
    Pair,
    /// Three hosts on a LAN.
    Trio,
    /// Two hosts with a router between them.
    Routed,
    /// Two hosts, two routers, and a narrow LAN between these.
    Chain,
    /// A host with two cards between two others: a front and a back network.
    Middle,
}

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Clean,
    OneFault,
    Mixed,
    Heavy,
}

impl Plan {
    /// The world of this seed.
    pub fn of(seed: u64) -> Plan {
        let mut rng = Rng::new(seed, "plan");
        let level = match rng.below(100) {
            0..35 => Level::Clean,
            35..65 => Level::OneFault,
            65..90 => Level::Mixed,
            _ => Level::Heavy,
        };
        let topology = rng.pick(&[
            Topology::Pair,
            Topology::Pair,
            Topology::Trio,
            Topology::Routed,
            Topology::Chain,
            Topology::Middle,
        ]);
        let style = match level {
            Level::Clean => rng.pick(&[Style::Short, Style::Bulk, Style::Orderly]),
            _ => rng.pick(&[Style::Short, Style::Bulk, Style::Orderly, Style::Any]),
        };
        let mut plan = Plan::connected(seed, topology, &mut rng);
        plan.name = format!("{topology:?}, {style:?}, {level:?}");
        plan.equip(&mut rng);
        plan.tune(&mut rng);
        let is_ours = plan.hosts.iter().all(|host| host.kind == HostKind::Penstock);
        if !is_ours {
            // smoltcp does not find out about path MTUs.
            for (router, _) in &mut plan.routers {
                router.ports.iter_mut().for_each(|port| port.mtu = 1500);
            }
        }
        let mut cables = Rng::new(seed, "cables");
        plan = plan.with_faults(faults(level, &mut cables));
        if matches!(level, Level::Mixed | Level::Heavy) && cables.percent(20) {
            // One way: see the world in which windows say too much.
            plan.hosts[0].faults[0].raise_ppm = cables.range(50_000, 500_000) as u32;
        }
        let is_narrow =
            plan.routers.iter().any(|(router, _)| router.ports.iter().any(|port| port.mtu < 1500));
        if is_narrow {
            plan.name.push_str(", narrow");
        }
        plan.is_hub = rng.percent(15);
        plan.poll_delay_us = rng.pick(&[0, 5, 50, 500]);
        let count = match style {
            Style::Short => rng.range(10, 120),
            Style::Bulk => rng.range(1, 3),
            Style::Orderly | Style::Any => rng.range(3, 25),
        };
        let within_us = rng.pick(&[1_000, 100_000, 3_000_000]);
        // A packet that is too big is dropped by the router and sent again.
        // smoltcp keeps alive with segments out of the window.
        plan.is_clean = level == Level::Clean && !is_narrow && is_ours;
        if level != Level::Clean {
            plan.spoil(level, within_us, &mut rng);
        }
        // Where every SYN is answered with a cookie, data that comes before the handshake's last
        // segment finds nobody and is reset.
        let forgets = |host: &HostPlan| host.config.tcp.syncookies == SynCookies::Always;
        let is_lossy = level != Level::Clean || is_narrow || plan.crosses();
        if is_lossy && plan.hosts.iter().any(forgets) {
            plan.must_complete = false;
        }
        if !is_ours {
            // smoltcp may answer a repeated SYN with another sequence number.
            plan.must_complete = false;
        }
        plan = plan.talking(style, count as usize, within_us);
        plan.ask(&mut rng);
        plan.schedule(level, within_us);
        plan
    }

    /// Hosts, LANs and routers, with addresses and routes.
    pub fn connected(seed: u64, topology: Topology, rng: &mut Rng) -> Plan {
        let mut plan = Plan::empty(seed, "connected");
        let mut cores = || rng.pick(&[1, 1, 2, 2, 3, 4, 5, 6, 8]);
        let lans: &[&[usize]] = match topology {
            Topology::Pair => &[&[0], &[0]],
            Topology::Trio => &[&[0], &[0], &[0]],
            Topology::Routed | Topology::Chain => &[&[0], &[1]],
            Topology::Middle => &[&[0], &[0, 1], &[1]],
        };
        for (number, lans) in lans.iter().enumerate() {
            plan.hosts.push(HostPlan::new(number, cores(), lans));
        }
        plan.lans = match topology {
            Topology::Pair | Topology::Trio => 1,
            Topology::Routed | Topology::Middle => 2,
            Topology::Chain => 3,
        };
        let mtu = rng.pick(&[1500, 1500, 1400, 1280, 1492]);
        match topology {
            Topology::Routed => {
                plan.routers.push((router(0, [0, 1], [1500, mtu], None), Faults::NONE))
            }
            Topology::Chain => {
                let near = router(0, [0, 2], [1500, mtu], Some((1, 2)));
                let far = router(1, [2, 1], [mtu, 1500], Some((0, 1)));
                plan.routers = vec![(near, Faults::NONE), (far, Faults::NONE)];
            }
            _ => {}
        }
        if !plan.routers.is_empty() {
            let gateway = |lan: usize, number: u8| {
                [numbered_addr(lan, number, true), numbered_addr(lan, number, false)]
            };
            let far = if topology == Topology::Chain { 2 } else { 1 };
            plan.hosts[0] = plan.hosts[0].clone().via(0, &gateway(0, 1));
            plan.hosts[1] = plan.hosts[1].clone().via(0, &gateway(1, far));
        }
        plan
    }

    /// Cards, steering and families.
    fn equip(&mut self, rng: &mut Rng) {
        let family = rng.below(4);
        let mtu = rng.pick(&[1500, 1500, 1500, 1500, 9000, 1280]);
        for (number, host) in self.hosts.iter_mut().enumerate() {
            rng.fill(&mut host.config.seed);
            let host_v6_only = family == 0;
            for (position, interface) in host.config.interfaces.iter_mut().enumerate() {
                match family {
                    0 => interface.addresses.retain(|(addr, _)| !addr.is_v4()),
                    1 => interface.addresses.retain(|(addr, _)| addr.is_v4()),
                    _ => {}
                }
                if rng.percent(20) {
                    let lan = host.lans[position];
                    let v4 = !host_v6_only;
                    let bits = if v4 { 24 } else { 64 };
                    let more = numbered_addr(lan, number as u8 + 100, v4);
                    interface.addresses.push((more, bits));
                }
                let rss = rss(host.config.cores, rng);
                interface.steering = match rng.below(3) {
                    0 => Steering::FlowDirector(rss),
                    1 => Steering::Rss(rss),
                    _ => Steering::Unknown,
                };
                let card = &mut host.cards[position];
                if self.routers.is_empty() {
                    interface.mtu = mtu;
                    card.mtu = mtu;
                }
                card.receive_checksums = rng.percent(60);
                card.transmit_checksums = rng.percent(60);
                card.segmentation = card.transmit_checksums && rng.percent(50);
                card.lent_max = rng.pick(&[0, 1, 3, 16, 40]);
                if card.lent_max == 0 {
                    card.segmentation = false;
                }
                if interface.mtu > 2000 && card.lent_max < 8 {
                    card.lent_max = 8;
                }
                card.transmit_ring = 1024 * (1 + card.lent_max);
                card.part_bytes = rng.pick(&[2048, 2048, 1024, 512]);
                card.is_promiscuous = rng.percent(10);
                card.write_back_us = rng.pick(&[(0, 0), (1, 20), (10, 2_000), (1_000, 30_000)]);
            }
            if host.config.cores > 1 && rng.percent(15) {
                host.listening = rng.range(1, host.config.cores as u64 - 1) as u16;
            }
            if family < 2 {
                let v4 = family == 1;
                host.config.routes.retain(|route| route.gateway.is_none_or(|g| g.is_v4() == v4));
            }
        }
    }

    /// TCP's knobs.
    fn tune(&mut self, rng: &mut Rng) {
        for host in &mut self.hosts {
            let tcp = &mut host.config.tcp;
            tcp.timestamps = rng.percent(70);
            tcp.sack = rng.percent(75);
            tcp.window_scaling = rng.percent(75);
            tcp.congestion_control =
                rng.pick(&[CongestionControl::Cubic, CongestionControl::NewReno]);
            tcp.syncookies = rng.pick(&[
                SynCookies::WhenFull,
                SynCookies::WhenFull,
                SynCookies::Always,
                SynCookies::Never,
            ]);
            tcp.slow_start_after_idle = rng.percent(50);
            tcp.time_wait = rng.pick(&[Duration::from_secs(60), Duration::from_secs(2)]);
            tcp.retries2 = rng.pick(&[15, 10]);
            let capacity = &mut host.config.capacity;
            capacity.receive_window_bytes = rng.pick(&[4096, 16384, 65536, 65536, 262_144]);
            capacity.send_buffer_bytes = rng.pick(&[4096, 16384, 65536, 131_072]);
        }
        let last = self.hosts.len() - 1;
        if rng.percent(15) && self.hosts[last].lans.len() == 1 {
            self.hosts[last].kind = HostKind::Smoltcp;
            self.hosts[last].config.cores = 1;
            self.hosts[last].listening = 1;
            let interface = &mut self.hosts[last].config.interfaces[0];
            interface.addresses.truncate(2);
        }
    }

    /// Scarcity and incidents.
    fn spoil(&mut self, level: Level, within_us: u64, rng: &mut Rng) {
        self.must_complete = level != Level::Heavy;
        self.keep_alive();
        if rng.percent(20) {
            let host = rng.below(self.hosts.len() as u64) as usize;
            let capacity = &mut self.hosts[host].config.capacity;
            match rng.below(6) {
                0 => capacity.connections = rng.range(1, 8) as u32,
                1 => capacity.flights = rng.range(1, 6) as u32,
                2 => capacity.half_open = rng.range(1, 4) as u32,
                3 => capacity.chunks = rng.range(8, 40) as u32,
                4 => capacity.time_wait = rng.range(1, 6) as u32,
                _ => self.hosts[host].config.ephemeral_ports = (40960, 40960 + 63),
            }
            self.must_complete = false;
            self.name.push_str(", scarce");
        }
        if rng.percent(15) {
            let host = rng.below(self.hosts.len() as u64) as usize;
            for card in &mut self.hosts[host].cards {
                // Room for two frames of the longest kind at least.
                let parts = (card.mtu as usize + 14).div_ceil(card.part_bytes);
                card.receive_ring = rng.pick(&[16, 40]).max(2 * parts);
                card.transmit_ring = 2 * (1 + card.lent_max) + 1;
            }
            self.name.push_str(", small rings");
        }
        if rng.percent(15) {
            self.heckler = Some((0, rng.range(2_000, 50_000)));
            // A flood of SYNs without cookies shuts everybody out.
            let lacks_cookies = |host: &HostPlan| host.config.tcp.syncookies == SynCookies::Never;
            self.must_complete &= !self.hosts.iter().any(lacks_cookies);
            self.name.push_str(", heckled");
        }
        for _ in 0..rng.pick(&[0, 0, 0, 1, 1, 2]) {
            let host = rng.below(self.hosts.len() as u64) as usize;
            // While conversations begin, or later, when most of them are over or at rest.
            let at_us = rng.pick(&[within_us + 100_000, 3_000_000]);
            let at_us = rng.below(at_us);
            let what = match rng.below(5) {
                0 if rng.percent(60) => What::Die { host },
                0 => What::Reboot { host, down_us: rng.range(1_000, 3_000_000) },
                1 => What::Partition { host, for_us: rng.range(1_000, 8_000_000) },
                2 | 3 => {
                    let core = rng.below(self.hosts[host].config.cores as u64) as u16;
                    What::Stall { host, core, for_us: rng.range(100, 2_000_000) }
                }
                _ => What::Choke { host, for_us: rng.range(100, 2_000_000) },
            };
            if matches!(what, What::Reboot { .. } | What::Die { .. }) {
                self.must_complete = false;
            }
            self.incidents.push(Incident { at_us, what });
        }
    }

    /// Whoever may wait for a host that lost its memory, or whose RST was lost, has to ask.
    fn keep_alive(&mut self) {
        for host in &mut self.hosts {
            host.config.tcp.options.keepalive = Some(KeepAlive {
                idle: Duration::from_secs(10),
                interval: Duration::from_secs(2),
                probes: 4,
            });
        }
    }

    /// Whether frames cross between the cores of a host, by mailboxes that may be full.
    fn crosses(&self) -> bool {
        self.hosts.iter().any(|host| {
            let cores = host.config.cores;
            let unknown = |interface: &Interface| interface.steering == Steering::Unknown;
            let is_steered = !host.config.interfaces.iter().any(unknown);
            cores > 1 && (host.listening < cores || !is_steered)
        })
    }

    fn ask(&mut self, rng: &mut Rng) {
        let ours: Vec<usize> = (0..self.hosts.len())
            .filter(|&host| self.hosts[host].kind == HostKind::Penstock)
            .collect();
        if ours.len() < 2 || !rng.percent(40) {
            return;
        }
        for number in 0..rng.range(1, 10) {
            let (from, to) = (ours[0], ours[1]);
            let cores = self.hosts[from].config.cores as u64;
            let to_addr = self.address_of(to, from, rng);
            self.questions.push(Question {
                at_us: 10_000 + number * 50_000,
                from: (from, rng.below(cores) as u16),
                to: to_addr,
                bytes: rng.range(5, 1_200) as usize,
            });
        }
    }

    fn schedule(&mut self, level: Level, within_us: u64) {
        let pauses_us = self.conversations.len() as u64 * 100_000;
        self.faults_end_us = match level {
            Level::Clean => 0,
            _ => 10_000_000,
        };
        self.ends_by_us = match level {
            Level::Clean if !self.crosses() => within_us + pauses_us + 60_000_000,
            // A connection whose peer fell silent is given up after its retransmissions.
            _ => self.faults_end_us + 2_500_000_000,
        };
    }
}

/// What the cables do at a level.
fn faults(level: Level, rng: &mut Rng) -> Faults {
    let delay_us = rng.pick(&[5, 50, 500, 5_000, 40_000]);
    let calm = Faults::NONE.delay(delay_us);
    let burst = Burst { enter_ppm: 10_000, leave_ppm: 200_000, loss_ppm: 700_000 };
    match level {
        Level::Clean => calm.jitter(rng.pick(&[0, 0, 100])),
        Level::OneFault => match rng.below(7) {
            0 => calm.loss(rng.range(1_000, 100_000) as u32),
            1 => calm.bursts(burst),
            2 => calm.reorder(rng.range(10_000, 300_000) as u32, rng.range(10, 20_000)),
            3 => calm.duplicate(rng.range(10_000, 300_000) as u32),
            4 => calm.corrupt(rng.range(1_000, 100_000) as u32),
            5 => calm.rate(rng.range(50, 2_000), rng.range(5_000, 100_000)),
            _ => calm.jitter(rng.range(1_000, 50_000)),
        },
        Level::Mixed | Level::Heavy => {
            let heavy = if level == Level::Heavy { 4 } else { 1 };
            let mut mixed = calm
                .loss(heavy * rng.range(0, 40_000) as u32)
                .reorder(heavy * rng.range(0, 60_000) as u32, rng.range(10, 50_000))
                .duplicate(heavy * rng.range(0, 30_000) as u32)
                .corrupt(heavy * rng.range(0, 20_000) as u32)
                .jitter(rng.range(0, 5_000));
            if rng.percent(30) {
                mixed = mixed.bursts(burst);
            }
            if rng.percent(30) {
                mixed = mixed.rate(rng.range(100, 2_000), rng.range(5_000, 100_000));
            }
            mixed
        }
    }
}

/// A random key, and a table that reaches every core.
pub(crate) fn rss(cores: u16, rng: &mut Rng) -> Rss {
    let mut key = [0; RSS_KEY_BYTES];
    rng.fill(&mut key);
    let mut reta = [0; RETA_ENTRIES];
    for (at, queue) in reta.iter_mut().enumerate() {
        *queue = (at % cores as usize) as u8;
    }
    if rng.percent(50) {
        rng.shuffle(&mut reta);
    }
    Rss { key, reta }
}

/// Router `number` between two LANs; `beyond` is the LAN behind the next router, and its number.
fn router(number: u8, lans: [usize; 2], mtus: [u16; 2], beyond: Option<(usize, u8)>) -> RouterPlan {
    let own = number + 1;
    let ports = lans
        .iter()
        .zip(mtus)
        .map(|(&lan, mtu)| RouterPort {
            lan,
            mac: Mac([0x02, 0, 0, 1, lan as u8, own]),
            addresses: vec![numbered_addr(lan, own, true), numbered_addr(lan, own, false)],
            mtu,
        })
        .collect();
    let mut prefixes = Vec::new();
    for v4 in [true, false] {
        let bits = if v4 { 24 } else { 64 };
        for (port, &lan) in lans.iter().enumerate() {
            prefixes.push(Prefix {
                network: numbered_addr(lan, 0, v4),
                bits,
                port,
                next_hop: None,
            });
        }
        if let Some((lan, next)) = beyond {
            // The narrow LAN is the second of the near router and the first of the far one.
            let port = if number == 0 { 1 } else { 0 };
            let next_hop: Option<Addr> = Some(numbered_addr(2, next, v4));
            prefixes.push(Prefix { network: numbered_addr(lan, 0, v4), bits, port, next_hop });
        }
    }
    RouterPlan { ports, prefixes, tells_too_big: true }
}
