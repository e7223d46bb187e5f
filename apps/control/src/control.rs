//! The control plane itself, on core 0: its parts, brought together.
//!
//! ```text
//!   frames ──▶ on_frame ─┬─▶ dhcp ─────┐                    ┌─▶ this core's stack
//!                        ├─▶ slaac ────┼─▶ dad ─▶ ours ─────┤
//!                        └─▶ conflicts ┘         │          └─▶ journal ─▶ the other cores
//!   datagrams ──────────────▶ resolver, sntp ◀───┘ servers
//!   time ──▶ step ──▶ every part does what is due
//! ```
//! Everything runs in upcalls of core 0's worker: a few steps in a turn, never a wait.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::{ConnId, Cx, Duration, Endpoint, Instant, UdpId};
use penstock_wire::icmp::{self, Message, Outgoing};
use penstock_wire::{Addr, Mac, arp, ethernet, ip};

use crate::clock::{Clock, Corrected};
use crate::dad::{self, Checks};
use crate::date::Date;
use crate::dhcp::{self, Client, Heard, Lease, Silence};
use crate::frame;
use crate::hosts::Hosts;
use crate::journal::{Journal, News};
use crate::limits;
use crate::lines::{Lines, Severity};
use crate::plan::Plan;
use crate::random::Random;
use crate::resolver::{self, Resolver};
use crate::slaac::{self, Routers};
use crate::sntp::{self, Sntp};

/// Addresses of servers, by rank.
type Servers = [Option<Addr>; limits::SERVERS_MAX];

/// The control plane.
pub(crate) struct Control {
    plan: Plan,
    links: Vec<Link>,
    checks: Checks,
    pub(crate) resolver: Resolver,
    sntp: Sntp,
    clock: Clock,
    random: Random,
    pub(crate) lines: Lines,
    pub(crate) journal: Journal,
    /// Whence the client of DHCP asks for more of its lease.
    dhcp_socket: Option<UdpId>,
    dns: Servers,
}

/// An interface.
struct Link {
    mac: Mac,
    dhcp: Option<Client>,
    routers: Option<Routers>,
    gateways: [Option<Addr>; 2],
    /// When somebody last claimed an address of ours.
    claimed_at: Option<Instant>,
}

macro_rules! say {
    ($control:ident, $severity:ident, $($text:tt)*) => {
        $control.lines.say(Severity::$severity, format_args!($($text)*))
    };
}

impl Control {
    /// The control plane of a machine whose application wants to know `names`.
    pub(crate) fn new(plan: Plan, names: &[String]) -> Control {
        let begin = Instant(0);
        let hosts = Hosts::parse(&plan.hosts);
        // The last name is our own: where lines go.
        let mut names = names.to_vec();
        names.extend(plan.log.iter().map(|log| log.host.clone()));
        Control {
            links: Vec::with_capacity(plan.links.len()),
            checks: Checks::default(),
            resolver: Resolver::new(&names, &hosts, begin),
            sntp: Sntp::new(),
            clock: Clock::new(begin, None),
            random: Random::new(&plan.seed),
            lines: Lines::new(),
            journal: Journal::new(names.len()),
            dhcp_socket: None,
            dns: [None; limits::SERVERS_MAX],
            plan,
        }
    }

    /// Begins: says what is known, and asks for the rest.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        for at in 0..self.plan.links.len().min(limits::INTERFACES_MAX) {
            let (interface, mac) = (at as u8, cx.mac(at as u8));
            let crate::plan::Link { dhcp, router_advertisements, wanted, .. } = self.plan.links[at];
            let random = &mut self.random;
            let dhcp = dhcp.then(|| Client::new(mac, wanted, now, random));
            let routers = router_advertisements.then(|| Routers::new(mac));
            let link_local = routers.as_ref().map(Routers::link_local);
            self.links.push(Link { mac, dhcp, routers, gateways: [None; 2], claimed_at: None });
            let name = &self.plan.links[at].name;
            let mut has_link_local = false;
            for (addr, prefix_bits) in cx.addresses(interface) {
                has_link_local |= Some(addr) == link_local;
                if !addr.is_link_local_v6() {
                    say!(self, Info, "ip {addr}/{prefix_bits} on {name}");
                }
                if !addr.is_v4() {
                    // Given by hand: used at once, and told of if it is another's.
                    self.checks.begin(interface, addr, now);
                }
            }
            match link_local {
                Some(addr) if !has_link_local => self.check(cx, interface, addr),
                _ => self.begin_routers(interface, now),
            }
        }
        self.start_clock(cx);
        if self.links.iter().any(|link| link.dhcp.is_some()) {
            self.dhcp_socket = cx.udp_bind(None, dhcp::CLIENT_PORT).ok();
        }
        self.refresh_servers(now);
        self.step(cx);
    }

    fn start_clock(&mut self, cx: &mut Cx<'_>) {
        let then = self.plan.clock.map(|(then, _)| then);
        self.clock = Clock::new(cx.now(), then);
        self.set_wall(cx);
        match self.plan.clock {
            Some((then, source)) => say!(self, Info, "clock: {source}, {}", Moment(then)),
            None => say!(self, Notice, "clock: nothing tells the time of day yet"),
        }
    }

    /// Does everything that is due, and says when something is next.
    pub(crate) fn step(&mut self, cx: &mut Cx<'_>) {
        for at in 0..self.links.len() {
            self.step_dhcp(cx, at);
            self.step_routers(cx, at);
        }
        self.step_checks(cx);
        let told = self.resolver.step(cx, &mut self.random);
        self.tell_resolved(told);
        let told = self.sntp.step(cx, &mut self.random);
        self.tell_time(cx, told);
    }

    /// When something is next to be done.
    pub(crate) fn next_at(&self, now: Instant) -> Option<Instant> {
        let links = self.links.iter().flat_map(|link| {
            let dhcp = link.dhcp.as_ref().and_then(Client::next_at);
            [dhcp, link.routers.as_ref().and_then(Routers::next_at)]
        });
        let others = [self.checks.next_at(), self.resolver.next_at(), self.sntp.next_at()];
        let untold = (!self.journal.is_empty()).then(|| now + UNTOLD_PAUSE);
        links.chain(others).chain([untold]).flatten().min()
    }

    pub(crate) fn owns(&self, socket: UdpId) -> bool {
        self.dhcp_socket == Some(socket) || self.resolver.owns(socket) || self.sntp.owns(socket)
    }

    #[inline]
    pub(crate) fn owns_conn(&self, conn: ConnId) -> bool {
        self.resolver.owns_conn(conn)
    }

    /// A datagram for one of our sockets.
    pub(crate) fn on_datagram(
        &mut self,
        cx: &mut Cx<'_>,
        socket: UdpId,
        from: Endpoint,
        bytes: &[u8],
    ) {
        if self.sntp.owns(socket) {
            let told = self.sntp.on_datagram(cx, from, bytes);
            self.tell_time(cx, told);
        } else {
            let told = self.resolver.on_datagram(cx, socket, from, bytes, &mut self.random);
            self.tell_resolved(told);
        }
    }

    /// A frame that the stack has picked out for us.
    pub(crate) fn on_frame(&mut self, cx: &mut Cx<'_>, interface: u8, frame: &[u8]) {
        let Ok(header) = ethernet::parse(frame) else { return };
        let Some(body) = frame.get(ethernet::HEADER_BYTES..) else { return };
        match header.ether_type {
            ethernet::ARP => {
                let Ok(packet) = arp::parse(body) else { return };
                let arp::Packet { sender_mac, sender, target, .. } = packet;
                let claimed = if sender.is_unspecified() { target } else { sender };
                self.on_claim(cx, interface, claimed, sender_mac);
            }
            ethernet::IPV4 => {
                if let Some((_, dhcp::SERVER_PORT, dhcp::CLIENT_PORT, bytes)) =
                    frame::datagram(frame)
                {
                    self.on_dhcp(cx, interface, bytes);
                }
            }
            ethernet::IPV6 => self.on_ndp(cx, interface, header.src, body),
            _ => {}
        }
    }

    fn on_ndp(&mut self, cx: &mut Cx<'_>, interface: u8, station: Mac, body: &[u8]) {
        let Ok(packet) = ip::parse_v6(body) else { return };
        let payload = packet.payload(body);
        if packet.hop_limit != icmp::NDP_HOP_LIMIT {
            return;
        }
        match icmp::parse_v6(payload, packet.src, packet.dst) {
            Ok(Message::RouterAdvertisement(said)) => {
                let Some(link) = self.links.get_mut(interface as usize) else { return };
                let Some(routers) = &mut link.routers else { return };
                let mut acts = [None; ACTS_MAX];
                let mut places = acts.iter_mut();
                let options = payload.get(16..).unwrap_or(&[]);
                routers.on_advertisement(cx.now(), packet.src, &said, options, |act| {
                    if let Some(place) = places.next() {
                        *place = Some(act);
                    }
                });
                acts.into_iter().flatten().for_each(|act| self.on_router_act(cx, interface, act));
            }
            Ok(Message::NeighbourAdvertisement { target, target_mac, .. }) => {
                self.on_claim(cx, interface, target, target_mac.unwrap_or(station));
            }
            Ok(Message::NeighbourSolicitation { target, .. }) if packet.src.is_unspecified() => {
                self.on_claim(cx, interface, target, station);
            }
            _ => {}
        }
    }

    /// Somebody says that he has, or wants, an address that we have or want.
    fn on_claim(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr, station: Mac) {
        let now = cx.now();
        let Some(link) = self.links.get_mut(interface as usize) else { return };
        if station == link.mac {
            return;
        }
        let is_ours = cx.addresses(interface).any(|(own, _)| own == addr);
        let was_checked = self.checks.end(interface, addr);
        if !is_ours && !was_checked {
            return;
        }
        let again = link.claimed_at.is_some_and(|at| now < at + DEFEND_INTERVAL);
        let name = &self.plan.links[interface as usize].name;
        let leased =
            link.dhcp.as_ref().and_then(Client::lease).is_some_and(|lease| lease.addr == addr);
        if !is_ours || leased && again {
            self.set_tentative(cx, interface, addr, false);
            self.give_up(cx, interface, addr, station);
            return;
        }
        if again {
            return;
        }
        //= rfc5227#2.4
        //# then it MAY elect to attempt to defend its address by recording the time that the
        //# conflicting ARP packet was received, and then broadcasting one single ARP Announcement
        link.claimed_at = Some(now);
        say!(self, Warning, "ip {addr} on {name}: {station} has it too");
        self.announce(cx, interface, addr);
    }

    /// An address is another's: it is not used.
    fn give_up(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr, station: Mac) {
        let now = cx.now();
        let link = &mut self.links[interface as usize];
        let name = &self.plan.links[interface as usize].name;
        let random = &mut self.random;
        let client = link.dhcp.as_mut().filter(|_| addr.is_v4());
        if let Some(client) = client
            && let Some((lease, dhcp::Act::Broadcast(kind))) = client.decline(now, random)
        {
            say!(self, Warning, "ip {addr} on {name}: {station} has it: declined, another in 10 s");
            let message = client.write(kind, now, &self.plan.hostname, Some(lease));
            let ports = (dhcp::CLIENT_PORT, dhcp::SERVER_PORT);
            send(cx, interface, &frame::broadcast(link.mac, ports, &message));
            self.lose(cx, interface, addr);
        } else {
            say!(self, Error, "ip {addr} on {name}: {station} has it: not used");
        }
    }

    fn step_dhcp(&mut self, cx: &mut Cx<'_>, at: usize) {
        let (interface, now) = (at as u8, cx.now());
        for _ in 0..limits::STEPS_PER_TURN {
            let link = &mut self.links[at];
            let Some(client) = &mut link.dhcp else { return };
            let Some(act) = client.poll(now, &mut self.random) else { return };
            let (mac, name) = (link.mac, &self.plan.links[at].name);
            let hostname = &self.plan.hostname;
            match act {
                dhcp::Act::Broadcast(kind) => {
                    let message = client.write(kind, now, hostname, None);
                    let ports = (dhcp::CLIENT_PORT, dhcp::SERVER_PORT);
                    send(cx, interface, &frame::broadcast(mac, ports, &message));
                }
                dhcp::Act::Unicast(kind, server, from) => {
                    let message = client.write(kind, now, hostname, None);
                    if let Some(socket) = self.dhcp_socket {
                        let to = Endpoint { addr: server, port: dhcp::SERVER_PORT };
                        // One that cannot leave is like one that is not answered.
                        let _ = cx.udp_send(socket, Some(from), to, &message);
                    }
                }
                dhcp::Act::Expired(lease) => {
                    let addr = lease.addr;
                    say!(self, Warning, "ip {addr} on {name}: the lease is over, the address lost");
                    self.lose(cx, interface, addr);
                }
                dhcp::Act::Silent(Silence::NoOffer) => {
                    say!(self, Warning, "ip on {name}: no DHCP server answers; asking on");
                }
                dhcp::Act::Silent(Silence::NotRenewed(Lease { addr, server, .. })) => {
                    say!(self, Notice, "ip {addr} on {name}: {server} is silent: rebinding");
                }
            }
        }
    }

    fn on_dhcp(&mut self, cx: &mut Cx<'_>, interface: u8, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(interface as usize) else { return };
        let Some(client) = &mut link.dhcp else { return };
        let old = client.lease();
        let heard = client.on_message(cx.now(), bytes, &mut self.random);
        let name = &self.plan.links[interface as usize].name;
        match heard {
            Heard::Nothing => {}
            Heard::Granted(lease) => self.check(cx, interface, lease.addr),
            Heard::Renewed(lease) => {
                let Lease { addr, seconds, server, .. } = lease;
                say!(self, Info, "ip {addr} on {name}: renewed by {server} for {seconds} s");
                if old.is_some_and(|old| old.prefix_bits != lease.prefix_bits) {
                    // Another network around the same address: its connections are of the old one.
                    self.lose(cx, interface, addr);
                    self.own(cx, interface, addr, lease.prefix_bits);
                }
                self.adopt(cx, interface, &lease);
            }
            Heard::Refused(Some(Lease { addr, server, .. })) => {
                say!(self, Warning, "ip {addr} on {name}: refused by {server}, the address lost");
                self.lose(cx, interface, addr);
            }
            Heard::Refused(None) => say!(self, Notice, "ip on {name}: a DHCP server refuses"),
        }
    }

    /// Takes over what a lease says beside the address.
    fn adopt(&mut self, cx: &mut Cx<'_>, interface: u8, lease: &Lease) {
        let said = self.plan.links[interface as usize].gateway;
        let on_link = |gateway: &&Addr| {
            gateway.is_v4() && lease.addr.shares_prefix(**gateway, lease.prefix_bits)
        };
        let named = self.plan.gateways.iter().find(on_link).copied();
        self.set_gateway(cx, interface, true, named.or(said).or(lease.router));
        if let Some(mtu) = lease.mtu {
            cx.set_mtu(interface, mtu);
            self.journal.post(cx, News::Mtu { interface, mtu });
        }
        self.refresh_servers(cx.now());
    }

    fn begin_routers(&mut self, interface: u8, now: Instant) {
        let link = self.links.get_mut(interface as usize);
        if let Some(routers) = link.and_then(|link| link.routers.as_mut()) {
            routers.begin(now);
        }
    }

    fn step_routers(&mut self, cx: &mut Cx<'_>, at: usize) {
        for _ in 0..limits::STEPS_PER_TURN {
            let Some(routers) = &mut self.links[at].routers else { return };
            let Some(act) = routers.poll(cx.now()) else { return };
            self.on_router_act(cx, at as u8, act);
        }
    }

    fn on_router_act(&mut self, cx: &mut Cx<'_>, interface: u8, act: slaac::Act) {
        let Some(link) = self.links.get_mut(interface as usize) else { return };
        let Some(routers) = &link.routers else { return };
        match act {
            slaac::Act::Solicit => {
                let message = Outgoing::RouterSolicitation { source_mac: Some(link.mac) };
                let frame = frame::ndp(link.mac, routers.link_local(), ALL_ROUTERS, &message);
                send(cx, interface, &frame);
            }
            slaac::Act::Check(addr) => self.check(cx, interface, addr),
            slaac::Act::Expired(addr) => {
                let name = &self.plan.links[interface as usize].name;
                say!(self, Warning, "ip {addr} on {name}: its prefix is over, the address lost");
                self.lose(cx, interface, addr);
            }
            slaac::Act::Gateway => {
                let named = self.plan.gateways.iter().find(|gateway| !gateway.is_v4()).copied();
                let gateway = named.or(routers.gateway());
                self.set_gateway(cx, interface, false, gateway);
            }
            slaac::Act::Servers => self.refresh_servers(cx.now()),
        }
    }

    /// Begins to look whether an address is another's.
    fn check(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr) {
        if cx.addresses(interface).any(|(own, _)| own == addr) {
            // We have it, by hand or from before.
            return self.on_free(cx, interface, addr);
        }
        self.set_tentative(cx, interface, addr, true);
        self.checks.begin(interface, addr, cx.now());
    }

    fn step_checks(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..limits::STEPS_PER_TURN {
            let links = &self.links;
            let mac = |interface: u8| {
                links.get(interface as usize).map_or(Mac::default(), |link| link.mac)
            };
            match self.checks.poll(cx.now(), mac) {
                None => return,
                Some(dad::Act::Send(interface, frame)) => send(cx, interface, &frame),
                Some(dad::Act::Free(interface, addr)) => {
                    self.set_tentative(cx, interface, addr, false);
                    self.on_free(cx, interface, addr);
                }
            }
        }
    }

    /// Nobody else has an address that we want: it is ours.
    fn on_free(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr) {
        let Some(link) = self.links.get_mut(interface as usize) else { return };
        let name = &self.plan.links[interface as usize].name;
        if let Some(routers) = &mut link.routers
            && !addr.is_v4()
        {
            if addr == routers.link_local() {
                routers.begin(cx.now());
                self.own(cx, interface, addr, 64);
            } else if let Some(prefix) = routers.prefix_of(addr)
                && !prefix.is_ours
            {
                prefix.is_ours = true;
                let prefix_bits = prefix.prefix_bits;
                say!(self, Info, "ip {addr}/{prefix_bits} on {name}, by router advertisement");
                self.own(cx, interface, addr, prefix_bits);
            }
            return;
        }
        let Some(client) = &mut link.dhcp else { return };
        let Some(lease) = client.accept() else { return };
        let Lease { prefix_bits, server, seconds, .. } = lease;
        say!(self, Info, "ip {addr}/{prefix_bits} on {name}, leased by {server} for {seconds} s");
        self.own(cx, interface, addr, prefix_bits);
        self.adopt(cx, interface, &lease);
    }

    fn own(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr, prefix_bits: u8) {
        if cx.addresses(interface).any(|(own, _)| own == addr) {
            return;
        }
        if let Err(error) = cx.add_address(interface, addr, prefix_bits) {
            say!(self, Error, "{error}");
            return;
        }
        self.journal.post(cx, News::Address { interface, addr, prefix_bits: Some(prefix_bits) });
        self.announce(cx, interface, addr);
    }

    fn lose(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr) {
        if cx.remove_address(interface, addr) {
            self.journal.post(cx, News::Address { interface, addr, prefix_bits: None });
        }
        if addr.is_v4() {
            self.set_gateway(cx, interface, true, None);
            self.refresh_servers(cx.now());
        }
    }

    fn announce(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr) {
        let Some(Link { mac, .. }) = self.links.get(interface as usize) else { return };
        let frame = if addr.is_v4() {
            frame::arp_request(*mac, addr, addr)
        } else {
            let message = Outgoing::NeighbourAdvertisement {
                target: addr,
                target_mac: Some(*mac),
                router: false,
                solicited: false,
                override_: true,
            };
            frame::ndp(*mac, addr, Addr::ALL_NODES, &message)
        };
        send(cx, interface, &frame);
    }

    fn set_tentative(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr, tentative: bool) {
        cx.set_tentative(interface, addr, tentative);
        self.journal.post(cx, News::Tentative { interface, addr, tentative });
    }

    fn set_gateway(&mut self, cx: &mut Cx<'_>, interface: u8, is_v4: bool, gateway: Option<Addr>) {
        let Some(link) = self.links.get_mut(interface as usize) else { return };
        let known = &mut link.gateways[usize::from(is_v4)];
        if *known == gateway {
            return;
        }
        *known = gateway;
        let name = &self.plan.links[interface as usize].name;
        match (cx.set_gateway(interface, is_v4, gateway), gateway) {
            (Ok(()), Some(gateway)) => say!(self, Info, "gateway {gateway} on {name}"),
            (Ok(()), None) => {}
            (Err(error), _) => say!(self, Warning, "gateway on {name}: {error}"),
        }
        self.journal.post(cx, News::Gateway { interface, is_v4, gateway });
    }

    /// Gathers name and time servers: those that were named, those of leases, those of routers.
    fn refresh_servers(&mut self, now: Instant) {
        let leases = || self.links.iter().filter_map(|link| link.dhcp.as_ref()?.lease());
        let leased = leases().flat_map(|lease| lease.dns).flatten();
        let advertised = self.links.iter().filter_map(|link| link.routers.as_ref());
        let dns = self.plan.dns.iter().copied().chain(leased);
        let dns = gather(dns.chain(advertised.flat_map(Routers::dns)));
        let ntp =
            self.plan.ntp.iter().copied().chain(leases().flat_map(|lease| lease.ntp).flatten());
        let ntp = gather(ntp);
        if dns != self.dns {
            self.dns = dns;
            say!(self, Info, "dns {}", List(&dns));
        }
        self.resolver.set_servers(dns, now);
        self.sntp.set_servers(ntp, now);
    }

    fn tell_resolved(&mut self, told: resolver::Told) {
        match told {
            resolver::Told::Nothing => {}
            resolver::Told::Silent(name) => {
                let name = self.resolver.text_of(name);
                self.lines.say(Severity::Warning, format_args!("dns: no answer about {name}"));
            }
            resolver::Told::Answering(server) => say!(self, Notice, "dns: {server} answers again"),
        }
    }

    fn tell_time(&mut self, cx: &mut Cx<'_>, told: sntp::Told) {
        let sample = match told {
            sntp::Told::Nothing => return,
            sntp::Told::Silent(server) => {
                say!(self, Warning, "clock: {server} does not answer");
                return;
            }
            sntp::Told::Time(sample) => sample,
        };
        let now = cx.now();
        let then = self.clock.wall.at(now).unwrap_or_default();
        let offset_us = sample.then.0 as i64 - then.0 as i64;
        let is_first = !self.clock.is_synchronised();
        let corrected = self.clock.correct(now, offset_us);
        let sntp::Sample { server, stratum, delay_us, .. } = sample;
        let ms = Millis(offset_us);
        match corrected {
            Corrected::Refused => {
                say!(self, Warning, "clock: {server} says {ms} ms off: not believed");
                return;
            }
            Corrected::Stepped => say!(
                self,
                Info,
                "clock: time server {server}, stratum {stratum}, {} us away: set by {ms} ms, {}",
                delay_us,
                Moment(sample.then)
            ),
            Corrected::Slewed if is_first || offset_us.abs() > TOLD_OFFSET_US => say!(
                self,
                Info,
                "clock: time server {server}, stratum {stratum}, {} us away: slewed by {ms} ms",
                delay_us
            ),
            Corrected::Slewed => {}
        }
        self.set_wall(cx);
    }

    fn set_wall(&mut self, cx: &mut Cx<'_>) {
        cx.set_wall(self.clock.wall);
        self.journal.post(cx, News::Clock(self.clock.wall));
    }

    /// The name and port of where lines go, as a name of the resolver.
    pub(crate) fn log_port(&self) -> Option<u16> {
        self.plan.log.as_ref().map(|log| log.port)
    }
}

fn send(cx: &mut Cx<'_>, interface: u8, (frame, bytes): &frame::Frame) {
    // One that cannot leave is like one that is lost: it is sent again, or missed by nobody.
    let _ = cx.send_frame(interface, &frame[..*bytes]);
}

fn gather(all: impl Iterator<Item = Addr>) -> Servers {
    let (mut servers, mut count) = ([None; limits::SERVERS_MAX], 0);
    for addr in all {
        if count < servers.len() && !servers.contains(&Some(addr)) {
            servers[count] = Some(addr);
            count += 1;
        }
    }
    servers
}

/// Addresses behind each other, or `none`.
struct List<'a>(&'a Servers);

impl core::fmt::Display for List<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut separator = "";
        for addr in self.0.iter().flatten() {
            write!(f, "{separator}{addr}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// A time of day.
struct Moment(Duration);

impl core::fmt::Display for Moment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Date { year, month, day, hour, minute, second, .. } = Date::of(self.0);
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// Microseconds as milliseconds, with a sign.
struct Millis(i64);

impl core::fmt::Display for Millis {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{}.{:03}", self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000)
    }
}

/// What one advertisement brings at most.
const ACTS_MAX: usize = limits::PREFIXES_MAX + 2;

/// Between two tries to tell the other cores.
const UNTOLD_PAUSE: Duration = Duration::from_millis(1);

/// RFC 5227 section 1.1.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Smaller corrections are nothing to tell of.
const TOLD_OFFSET_US: i64 = 20_000;

/// ff02::2.
const ALL_ROUTERS: Addr = Addr { hi: 0xff02_0000_0000_0000, lo: 2 };
