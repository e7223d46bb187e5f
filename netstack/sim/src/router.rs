//! A router: forwards by longest prefix, answers ARP and neighbour solicitations for itself, knows
//! the stations of its neighbours from the world's plan, and says when a packet is too big.

use penstock_wire::icmp::{self, Message, Outgoing};
use penstock_wire::{Addr, Mac, arp, checksum, ethernet, ip};

use crate::frame::{Frame, Inside, View, dissect};

/// One of its interfaces.
#[derive(Clone, Debug)]
pub struct RouterPort {
    /// The LAN it is attached to.
    pub lan: usize,
    /// Its station.
    pub mac: Mac,
    /// Its addresses, one a family.
    pub addresses: Vec<Addr>,
    /// The largest packet it sends.
    pub mtu: u16,
}

/// Where a destination lies.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    /// The network.
    pub network: Addr,
    /// Bits that count.
    pub bits: u8,
    /// The port towards it.
    pub port: usize,
    /// The next router, or `None` on the link.
    pub next_hop: Option<Addr>,
}

/// A router as planned.
#[derive(Clone, Debug, Default)]
pub struct RouterPlan {
    /// Its ports.
    pub ports: Vec<RouterPort>,
    /// Its table.
    pub prefixes: Vec<Prefix>,
    /// Whether it says "too big"; otherwise it is a black hole for large packets.
    pub tells_too_big: bool,
}

/// What became of packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RouterCounters {
    pub(crate) forwarded: u64,
    pub(crate) answered: u64,
    pub(crate) too_big: u64,
    pub(crate) expired: u64,
    pub(crate) no_route: u64,
    pub(crate) damaged: u64,
    pub(crate) ignored: u64,
}

/// A router at work.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) plan: RouterPlan,
    pub(crate) counters: RouterCounters,
    /// Every station of the world, by address.
    stations: Vec<(Addr, Mac)>,
}

impl Router {
    pub(crate) fn new(plan: RouterPlan, stations: Vec<(Addr, Mac)>) -> Router {
        Router { plan, counters: RouterCounters::default(), stations }
    }

    /// A frame arrives at `port`; what it causes leaves by `send(port, frame)`.
    pub(crate) fn receive(
        &mut self,
        port: usize,
        frame: Frame,
        mut send: impl FnMut(usize, Frame),
    ) {
        let Ok(view) = dissect(&frame, true) else {
            self.counters.damaged += 1;
            return;
        };
        let here = &self.plan.ports[port];
        let is_ours = view.ethernet.dst == here.mac || view.ethernet.dst.is_group();
        if !is_ours {
            self.counters.ignored += 1;
            return;
        }
        if let Some(answer) = resolve(here, &view) {
            self.counters.answered += 1;
            send(port, answer);
            return;
        }
        if let Inside::Malformed(_) = view.inside {
            // Routers do not look; but a frame damaged twice, on two cables, could defeat a checksum.
            self.counters.damaged += 1;
            return;
        }
        let Some(packet) = view.ip.filter(|_| !view.ethernet.dst.is_group()) else {
            self.counters.ignored += 1;
            return;
        };
        if self.plan.ports.iter().any(|port| port.addresses.contains(&packet.dst)) {
            self.counters.ignored += 1;
            return;
        }
        self.forward(port, frame, &packet, &mut send);
    }

    fn forward(
        &mut self,
        from: usize,
        mut frame: Frame,
        packet: &ip::Packet,
        send: &mut impl FnMut(usize, Frame),
    ) {
        let bytes = packet.header_bytes as usize + packet.payload_bytes as usize;
        frame.truncate(ethernet::HEADER_BYTES + bytes);
        let offending = &frame[ethernet::HEADER_BYTES..];
        if packet.hop_limit <= 1 {
            self.counters.expired += 1;
            let message = Outgoing::TimeExceeded { code: 0, offending };
            self.complain(from, packet, &message, send);
            return;
        }
        let Some(prefix) = self.route(packet.dst) else {
            self.counters.no_route += 1;
            let message = Outgoing::Unreachable { code: 0, offending };
            self.complain(from, packet, &message, send);
            return;
        };
        let out = &self.plan.ports[prefix.port];
        if bytes > out.mtu as usize {
            self.counters.too_big += 1;
            if self.plan.tells_too_big {
                let message = Outgoing::TooBig { mtu: out.mtu as u32, offending };
                self.complain(from, packet, &message, send);
            }
            return;
        }
        let Some(mac) = self.station(prefix.next_hop.unwrap_or(packet.dst)) else {
            self.counters.no_route += 1;
            return;
        };
        hop(&mut frame);
        ethernet::emit(
            &mut frame,
            mac,
            out.mac,
            if packet.dst.is_v4() { ethernet::IPV4 } else { ethernet::IPV6 },
        );
        self.counters.forwarded += 1;
        send(prefix.port, frame);
    }

    fn route(&self, dst: Addr) -> Option<Prefix> {
        let fits = |prefix: &&Prefix| prefix.network.shares_prefix(dst, prefix.bits);
        self.plan.prefixes.iter().filter(fits).max_by_key(|prefix| prefix.bits).copied()
    }

    fn station(&self, addr: Addr) -> Option<Mac> {
        self.stations.iter().find(|(known, _)| *known == addr).map(|(_, mac)| *mac)
    }

    /// Sends an ICMP error to the source of `packet`, by the way it would be reached.
    fn complain(
        &self,
        from: usize,
        packet: &ip::Packet,
        message: &Outgoing<'_>,
        send: &mut impl FnMut(usize, Frame),
    ) {
        let port = self.route(packet.src).map_or(from, |prefix| prefix.port);
        let here = &self.plan.ports[port];
        let ours = here.addresses.iter().find(|addr| addr.is_v4() == packet.src.is_v4());
        let next_hop = self.route(packet.src).and_then(|prefix| prefix.next_hop);
        let Some(mac) = self.station(next_hop.unwrap_or(packet.src)) else { return };
        if let Some(&src) = ours
            && let Some(frame) = icmp_frame(here.mac, mac, src, packet.src, message)
        {
            send(port, frame);
        }
    }
}

/// An ICMP message in its frame.
pub(crate) fn icmp_frame(
    src_mac: Mac,
    dst_mac: Mac,
    src: Addr,
    dst: Addr,
    message: &Outgoing<'_>,
) -> Option<Frame> {
    let mut frame = vec![0; 1600];
    let from = ethernet::HEADER_BYTES
        + if src.is_v4() { ip::V4_HEADER_BYTES } else { ip::V6_HEADER_BYTES };
    let bytes = icmp::emit(&mut frame[from..], message, src, dst);
    if bytes == 0 {
        return None;
    }
    let protocol = if src.is_v4() { ip::ICMP } else { ip::ICMPV6 };
    head(&mut frame, src_mac, dst_mac, src, dst, protocol, bytes as u16);
    frame.truncate(from + bytes);
    Some(frame)
}

/// Writes Ethernet and IP headers in front of `payload_bytes` bytes, and returns their length.
pub(crate) fn head(
    frame: &mut [u8],
    src_mac: Mac,
    dst_mac: Mac,
    src: Addr,
    dst: Addr,
    protocol: u8,
    payload_bytes: u16,
) -> usize {
    let ether_type = if src.is_v4() { ethernet::IPV4 } else { ethernet::IPV6 };
    let at = ethernet::emit(frame, dst_mac, src_mac, ether_type);
    let header = if src.is_v4() {
        let header = ip::HeaderV4 {
            src,
            dst,
            protocol,
            payload_bytes,
            hop_limit: 255,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            checksum: true,
        };
        ip::emit_v4(&mut frame[at..], &header)
    } else {
        let header = ip::HeaderV6 {
            src,
            dst,
            protocol,
            payload_bytes,
            hop_limit: 255,
            traffic_class: 0,
            flow_label: 0,
        };
        ip::emit_v6(&mut frame[at..], &header)
    };
    at + header
}

/// The answer to an ARP request or a neighbour solicitation for one of our addresses.
fn resolve(here: &RouterPort, view: &View) -> Option<Frame> {
    match (&view.inside, view.ip) {
        (Inside::Arp(request), _)
            if request.operation == arp::Operation::Request
                && here.addresses.contains(&request.target) =>
        {
            let mut frame = vec![0; ethernet::HEADER_BYTES + arp::PACKET_BYTES];
            let at = ethernet::emit(&mut frame, request.sender_mac, here.mac, ethernet::ARP);
            let reply = arp::Packet {
                operation: arp::Operation::Reply,
                sender_mac: here.mac,
                sender: request.target,
                target_mac: request.sender_mac,
                target: request.sender,
            };
            arp::emit(&mut frame[at..], &reply);
            Some(frame)
        }
        (&Inside::Icmp(Message::NeighbourSolicitation { target, source_mac }), Some(packet))
            if here.addresses.contains(&target) =>
        {
            let advertisement = Outgoing::NeighbourAdvertisement {
                target,
                target_mac: Some(here.mac),
                router: true,
                solicited: true,
                override_: true,
            };
            let mac = source_mac.unwrap_or(view.ethernet.src);
            icmp_frame(here.mac, mac, target, packet.src, &advertisement)
        }
        _ => None,
    }
}

/// Takes one hop off, with the IPv4 checksum updated.
fn hop(frame: &mut [u8]) {
    let at = ethernet::HEADER_BYTES;
    if frame[12..14] == ethernet::IPV6.to_be_bytes() {
        frame[at + 7] -= 1;
        return;
    }
    let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let before = word(frame, at + 8);
    frame[at + 8] -= 1;
    let after = word(frame, at + 8);
    let updated = checksum::update_u16(word(frame, at + 10), before, after);
    frame[at + 10..at + 12].copy_from_slice(&updated.to_be_bytes());
}
