//! The way in for fuzzers: any bytes as a story told to a worker.
//!
//! Bytes taken as frames would nearly all die at a checksum or at an unknown port. So a story is a
//! row of small commands: most of them are segments whose addresses, checksums and numbers are made
//! to fit what the worker said last, off by a little; some are frames as they are, ICMP errors that
//! quote what was sent, calls of the application, and time. After each of them the worker's tables
//! must agree with each other. Everything is small, so that everything runs out.

mod puppet;

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use penstock_queue::{Chunks, MemoryQueue};
use penstock_wire::checksum::Sum;
use penstock_wire::icmp::{self, Message, Outgoing};
use penstock_wire::tcp::{Flags, HEADER_BYTES};
use penstock_wire::{Addr, Mac, SeqNum, arp, ethernet, ip, tcp};

use self::puppet::Puppet;
use crate::{
    Capacity, Config, Cx, Duration, Endpoint, Instant, Interface, SocketOptions, Steering,
    SynCookies, Tcp, Worker, mail, rfd,
};

/// Tells a worker the story in `bytes`.
///
/// # Panics
/// When the worker does, when its tables disagree, or when it does not come to rest: defects of
/// this crate.
pub fn receive(bytes: &[u8]) {
    let mut input = Input { bytes };
    let mut world = World::new(&mut input);
    while !input.bytes.is_empty() {
        world.step(&mut input);
    }
    // Whatever happened, time must be able to pass.
    for _ in 0..8 {
        world.pass(Duration::from_secs(40));
    }
}

/// What is left of the story.
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    fn half(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number that is mostly 0, or near it on either side.
    fn near(&mut self) -> u32 {
        match self.byte() {
            0..=199 => 0,
            200..=223 => (self.byte() as i8) as u32,
            224..=247 => (self.half() as i16) as u32,
            _ => (self.half() as u32) << 16 | self.half() as u32,
        }
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }
}

/// A worker, and what its peers have heard.
struct World {
    worker: Worker<MemoryQueue, Puppet>,
    now: Instant,
    peers: [Peer; PEERS],
    /// The last packet sent, from the IP header on.
    last: Vec<u8>,
}

/// One remote port of one family.
#[derive(Clone, Copy, Default)]
struct Peer {
    local_port: u16,
    /// What would be the next number in each direction.
    seq: SeqNum,
    ack: SeqNum,
    stamp: u32,
}

impl World {
    fn new(input: &mut Input<'_>) -> World {
        let knobs = input.byte();
        let on = |bit: u8| knobs >> bit & 1 == 0;
        let options = SocketOptions {
            nodelay: !on(5),
            quickack: !on(6),
            patient: on(6),
            user_timeout: if on(7) { None } else { Some(Duration::from_secs(30)) },
            keepalive: None,
            mss: NonZeroU16::new(if on(7) { 0 } else { 700 }),
        };
        let tcp = Tcp {
            timestamps: on(0),
            sack: on(1),
            window_scaling: on(2),
            syncookies: if on(3) { SynCookies::WhenFull } else { SynCookies::Always },
            options,
            ..Tcp::default()
        };
        let capacity = Capacity {
            connections: 6,
            flights: 4,
            half_open: 3,
            time_wait: 3,
            chunks: 24,
            neighbours: 8,
            listeners: 4,
            udp: 1,
            send_buffer_bytes: 16_384,
            receive_window_bytes: if on(4) { 262_144 } else { 8_192 },
        };
        let config = Config {
            interfaces: vec![Interface {
                mac: OWN_MAC,
                mtu: 1500,
                addresses: vec![(OWN[0], 24), (OWN[1], 64)],
                steering: Steering::Unknown,
            }],
            routes: Vec::new(),
            cores: 1,
            ephemeral_ports: (50_000, 50_001),
            capacity,
            tcp,
            seed: [7; 32],
        };
        let cores = rfd::Cores::new(1).expect("one core");
        let post = mail::network(cores, 1).pop().expect("one core's mail");
        let chunks = Chunks::new(capacity.chunks);
        let queue = MemoryQueue::new(1500);
        let worker = Worker::new(config, 0, vec![queue], chunks, post, Puppet::default());
        let mut world = World {
            worker: worker.expect("the configuration is valid"),
            now: Instant(((1 << 32) - 20_000) * 1000),
            peers: [Peer { local_port: PORTS[0], ..Peer::default() }; PEERS],
            last: Vec::new(),
        };
        world.worker.start(world.now);
        for port in PORTS {
            let listening = |_: &mut Puppet, cx: &mut Cx<'_>| cx.listen(None, port, options);
            world.worker.with(world.now, listening).expect("the port is free");
        }
        world.settle();
        world
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() {
            0..=29 => self.meet(input),
            30..=39 => self.part(input),
            40..=159 => self.segment(input),
            160..=199 => self.application(input),
            200..=223 => {
                let shift = input.byte() % 12;
                self.pass(Duration::from_millis((input.byte() as u64) << shift));
            }
            224..=239 => self.complain(input),
            240..=255 => self.frame(input),
        }
        self.settle();
    }

    /// A client's handshake, in which nothing goes wrong yet.
    fn meet(&mut self, input: &mut Input<'_>) {
        let (number, stamps) = (input.byte(), input.byte() & 16);
        let mut say = |kind: u8| {
            let bytes = [number, kind | stamps, 0, 0, 0];
            self.segment(&mut Input { bytes: &bytes });
            self.settle();
        };
        say(0);
        say(1);
    }

    /// The application closes, and the peer after it.
    fn part(&mut self, input: &mut Input<'_>) {
        let (number, stamps) = (input.byte(), input.byte() & 16);
        let now = self.now;
        self.worker.with(now, |puppet, cx| {
            puppet.conns.iter().for_each(|&conn| cx.shutdown(conn));
        });
        self.settle();
        let bytes = [number, 8 | stamps, 0, 0, 0];
        self.segment(&mut Input { bytes: &bytes });
    }

    /// A segment that fits, nearly.
    fn segment(&mut self, input: &mut Input<'_>) {
        let number = input.byte() as usize % PEERS;
        let family = number % 2;
        let kind = input.byte();
        let flags = match kind & 15 {
            0 => Flags::SYN,
            1..=7 => Flags::ACK,
            8 | 9 => Flags::ACK.with(Flags::FIN),
            10 => Flags::RST,
            11 => Flags::SYN.with(Flags::ACK),
            _ => Flags(input.byte()),
        };
        let peer = &mut self.peers[number];
        if flags == Flags::SYN && kind & 16 != 0 {
            peer.local_port = PORTS[input.byte() as usize % PORTS.len()];
        }
        let header = tcp::Header {
            src_port: PEER_PORT + number as u16,
            dst_port: peer.local_port,
            seq: peer.seq + input.near(),
            ack: peer.ack + input.near(),
            flags,
            window: if kind & 32 != 0 {
                (input.byte() as u16).saturating_sub(64) << 4
            } else {
                0xffff
            },
        };
        let payload_bytes = if kind & 64 != 0 { input.half() as usize % 1400 } else { 0 };
        // Stamps, blocks of what was sent last, or whatever the story says.
        let mut made = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        peer.stamp = peer.stamp.wrapping_add(1);
        made[4..8].copy_from_slice(&peer.stamp.to_be_bytes());
        let options = match kind & (128 | 16) {
            0 => &made[..],
            128 => {
                let from = peer.ack - (input.half() & 0xfff) as u32;
                let to = from + (input.half() & 0x7ff) as u32;
                made[2..4].copy_from_slice(&[5, 10]);
                made[4..8].copy_from_slice(&from.0.to_be_bytes());
                made[8..12].copy_from_slice(&to.0.to_be_bytes());
                &made[..]
            }
            16 => &[],
            _ => {
                let count = input.byte() as usize % 41;
                input.take(count)
            }
        };
        let mut bytes = vec![0; HEADER_BYTES];
        tcp::emit(&mut bytes, &header, &tcp::Options::default());
        bytes.extend_from_slice(options);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes[12] = (bytes.len() << 2) as u8;
        bytes.resize(bytes.len() + payload_bytes, 0x5a);
        tcp::fill_checksum(&mut bytes, PEER[family], OWN[family], Sum::ZERO, 0);
        self.deliver(packet(family, ip::TCP, &bytes));
    }

    /// The application does something it was not asked for.
    fn application(&mut self, input: &mut Input<'_>) {
        let (which, what, amount) = (input.byte() as usize, input.byte(), input.half());
        let now = self.now;
        self.worker.with(now, |puppet, cx| {
            if what % 12 == 0 {
                let number = which % PEERS;
                let port = PEER_PORT + number as u16;
                let remote = Endpoint { addr: PEER[number % 2], port };
                if let Ok(conn) = cx.connect(remote, None, SocketOptions::default()) {
                    puppet.conns.push(conn);
                }
                return;
            }
            let Some(&conn) = puppet.conns.get(which % puppet.conns.len().max(1)) else { return };
            puppet.act(cx, conn, what, amount);
        });
    }

    /// An ICMP error about the last packet sent.
    fn complain(&mut self, input: &mut Input<'_>) {
        let mut offending = self.last.clone();
        let family = usize::from(offending.first().is_none_or(|first| first >> 4 != 4));
        let field = [ip::V4_HEADER_BYTES, ip::V6_HEADER_BYTES][family] + 7;
        let delta = input.byte() & 3;
        if let Some(low) = offending.get_mut(field) {
            *low = low.wrapping_add(delta);
        }
        let (code, mtu) = (input.byte(), input.half() as u32);
        let offending = offending.as_slice();
        let message = match input.byte() % 4 {
            0 => Outgoing::Unreachable { code, offending },
            1 => Outgoing::TimeExceeded { code, offending },
            2 => Outgoing::ParameterProblem { code, pointer: mtu, offending },
            _ => Outgoing::TooBig { mtu, offending },
        };
        self.control(family, &message);
    }

    /// A frame as it is, but for its destination.
    fn frame(&mut self, input: &mut Input<'_>) {
        let count = input.byte() as usize;
        let mut frame = input.take(count).to_vec();
        if let Some(dst) = frame.first_chunk_mut::<6>()
            && dst[0] & 2 == 0
        {
            *dst = OWN_MAC.0;
        }
        self.deliver(frame);
    }

    fn control(&mut self, family: usize, message: &Outgoing<'_>) {
        let mut bytes = [0; 1500];
        let protocol = [ip::ICMP, ip::ICMPV6][family];
        let length = icmp::emit(&mut bytes, message, PEER[family], OWN[family]);
        self.deliver(packet(family, protocol, &bytes[..length]));
    }

    fn deliver(&mut self, frame: Vec<u8>) {
        if let Some(queue) = self.worker.queue_mut(0) {
            queue.feed(frame);
        }
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..DEADLINES_MAX {
            match self.worker.next_deadline() {
                Some(at) if at < end => self.now = self.now.max(at),
                _ => break,
            }
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// Runs the worker until it has nothing more to do now.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let turn = self.worker.turn(self.now);
            if let Err(why) = self.worker.check() {
                panic!("{why}");
            }
            if !self.listen_to_worker() && !turn.more {
                return;
            }
        }
        panic!("the worker does not come to rest");
    }

    /// Notes what the worker sent; answers its questions for neighbours. Returns whether it did.
    fn listen_to_worker(&mut self) -> bool {
        let frames = self.worker.queue_mut(0).map_or(Vec::new(), MemoryQueue::take);
        let mut answered = false;
        for frame in frames {
            let header = ethernet::parse(&frame).expect("a whole frame");
            let bytes = &frame[ethernet::HEADER_BYTES..];
            let packet = match header.ether_type {
                ethernet::ARP => {
                    answered |= self.on_arp(bytes);
                    continue;
                }
                ethernet::IPV4 => ip::parse_v4(bytes, true),
                _ => ip::parse_v6(bytes),
            };
            let packet = packet.expect("what we send, we understand");
            let payload = packet.payload(bytes);
            match packet.protocol {
                ip::TCP => {
                    let segment = tcp::parse(payload, packet.src, packet.dst, true);
                    self.on_segment(&segment.expect("what we send, we understand"));
                    self.last = bytes.to_vec();
                }
                ip::ICMPV6 => {
                    let message = icmp::parse_v6(payload, packet.src, packet.dst);
                    answered |= self.on_icmp(message.expect("what we send, we understand"));
                }
                _ => {}
            }
        }
        answered
    }

    fn on_segment(&mut self, segment: &tcp::Segment) {
        let number = segment.dst_port.wrapping_sub(PEER_PORT) as usize;
        let Some(peer) = self.peers.get_mut(number) else { return };
        if segment.flags.has(Flags::RST) {
            return;
        }
        peer.local_port = segment.src_port;
        peer.ack = segment.seq + segment.len();
        if segment.flags.has(Flags::ACK) {
            peer.seq = segment.ack;
        }
    }

    fn on_arp(&mut self, bytes: &[u8]) -> bool {
        let packet = arp::parse(bytes).expect("what we send, we understand");
        let asks = packet.operation == arp::Operation::Request && packet.target == PEER[0];
        if asks {
            let answer = arp::Packet {
                operation: arp::Operation::Reply,
                sender_mac: PEER_MAC,
                sender: PEER[0],
                target_mac: OWN_MAC,
                target: OWN[0],
            };
            let mut frame = vec![0; ethernet::HEADER_BYTES + arp::PACKET_BYTES];
            ethernet::emit(&mut frame, OWN_MAC, PEER_MAC, ethernet::ARP);
            arp::emit(&mut frame[ethernet::HEADER_BYTES..], &answer);
            self.deliver(frame);
        }
        asks
    }

    fn on_icmp(&mut self, message: Message) -> bool {
        let asks =
            matches!(message, Message::NeighbourSolicitation { target, .. } if target == PEER[1]);
        if asks {
            let message = Outgoing::NeighbourAdvertisement {
                target: PEER[1],
                target_mac: Some(PEER_MAC),
                router: false,
                solicited: true,
                override_: true,
            };
            self.control(1, &message);
        }
        asks
    }
}

/// An Ethernet and IP packet from the peers.
fn packet(family: usize, protocol: u8, payload: &[u8]) -> Vec<u8> {
    packet_of((PEER_MAC, OWN_MAC), (PEER[family], OWN[family]), (protocol, 255), payload)
}

/// An Ethernet and IP packet from one station and address to another, of a protocol and with a hop
/// limit: for whoever feeds a worker with frames of his own.
pub fn packet_of(
    (from, to): (Mac, Mac),
    (src, dst): (Addr, Addr),
    (protocol, hop_limit): (u8, u8),
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER_BYTES + ip::V6_HEADER_BYTES];
    let payload_bytes = payload.len() as u16;
    let traffic_class = 0;
    let header = &mut frame[ethernet::HEADER_BYTES..];
    let (ether_type, header_bytes) = if dst.is_v4() {
        let numbers = ip::HeaderV4 {
            src,
            dst,
            protocol,
            payload_bytes,
            hop_limit,
            traffic_class,
            identification: 0,
            dont_fragment: true,
            checksum: true,
        };
        (ethernet::IPV4, ip::emit_v4(header, &numbers))
    } else {
        let numbers = ip::HeaderV6 {
            src,
            dst,
            protocol,
            payload_bytes,
            hop_limit,
            traffic_class,
            flow_label: 0,
        };
        (ethernet::IPV6, ip::emit_v6(header, &numbers))
    };
    ethernet::emit(&mut frame, to, from, ether_type);
    frame.truncate(ethernet::HEADER_BYTES + header_bytes);
    frame.extend_from_slice(payload);
    frame
}

const OWN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
const OWN: [Addr; 2] = [Addr::v4(0x0a00_0001), Addr { hi: 0x2001_0db8 << 32, lo: 1 }];
const PEER: [Addr; 2] = [Addr::v4(0x0a00_0002), Addr { hi: 0x2001_0db8 << 32, lo: 2 }];
/// The ports listened on.
const PORTS: [u16; 2] = [80, 443];
/// The first remote port.
const PEER_PORT: u16 = 1000;
/// How many remote ports there are; even ones are IPv4.
const PEERS: usize = 8;
/// Turns at one moment after which the worker is going round in circles.
const TURNS_MAX: u32 = 2_000;
/// Deadlines that are met one by one within a span; the rest of it passes at once.
const DEADLINES_MAX: u32 = 60;

#[cfg(test)]
mod tests;
