//! What interfaces are called: leases, advertised prefixes, and who else has an address.

use core::fmt;

use penstock_stack::{Cx, Duration, Endpoint, Instant};
use penstock_wire::icmp::{self, Message, Outgoing};
use penstock_wire::{Addr, Mac, arp, ethernet, ip};

use super::{Control, Link};
use crate::dad;
use crate::dhcp::{self, Client, Heard, Lease, Silence};
use crate::frame;
use crate::journal::News;
use crate::limits;
use crate::slaac;

impl Control {
    /// A frame that the stack has picked out for us.
    #[inline(never)]
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

    pub(super) fn step_dhcp(&mut self, cx: &mut Cx<'_>, at: usize) {
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
                dhcp::Act::Expired(addr) => {
                    say!(self, Warning, "ip {addr} on {name}: the lease is over, the address lost");
                    self.lose(cx, interface, addr);
                }
                dhcp::Act::Silent(Silence::NoOffer) => {
                    say!(self, Warning, "ip on {name}: no DHCP server answers; asking on");
                }
                dhcp::Act::Silent(Silence::NotRenewed { addr, server }) => {
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
                say!(self, Info, "ip {addr} on {name}: renewed by {server} for {}", Term(seconds));
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

    pub(super) fn begin_routers(&mut self, interface: u8, now: Instant) {
        let link = self.links.get_mut(interface as usize);
        if let Some(routers) = link.and_then(|link| link.routers.as_mut()) {
            routers.begin(now);
        }
    }

    pub(super) fn step_routers(&mut self, cx: &mut Cx<'_>, at: usize) {
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
    pub(super) fn check(&mut self, cx: &mut Cx<'_>, interface: u8, addr: Addr) {
        if cx.addresses(interface).any(|(own, _)| own == addr) {
            // We have it, by hand or from before.
            return self.on_free(cx, interface, addr);
        }
        self.set_tentative(cx, interface, addr, true);
        self.checks.begin(interface, addr, cx.now());
    }

    pub(super) fn step_checks(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..limits::STEPS_PER_TURN {
            match self.checks.poll(cx.now()) {
                None => return,
                Some(dad::Act::Ask(interface, addr)) => {
                    let frame = dad::question(cx.mac(interface), addr);
                    send(cx, interface, &frame);
                }
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
        let term = Term(seconds);
        say!(self, Info, "ip {addr}/{prefix_bits} on {name}, leased by {server} for {term}");
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
}

fn send(cx: &mut Cx<'_>, interface: u8, (frame, bytes): &frame::Frame) {
    // One that cannot leave is like one that is lost: it is sent again, or missed by nobody.
    let _ = cx.send_frame(interface, &frame[..*bytes]);
}

/// What one advertisement brings at most.
const ACTS_MAX: usize = limits::PREFIXES_MAX + 2;

/// RFC 5227 section 1.1.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// ff02::2.
const ALL_ROUTERS: Addr = Addr { hi: 0xff02_0000_0000_0000, lo: 2 };

/// How long a lease goes, for a person.
struct Term(u32);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // RFC 2131 section 3.3.
            u32::MAX => f.write_str("ever"),
            seconds => write!(f, "{seconds} s"),
        }
    }
}
