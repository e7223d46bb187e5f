//! The worker of a script, with a queue pair in memory and a clock that the script moves.
//!
//! The clock begins five seconds before the worker's millisecond ring wraps, and a peer's sequence
//! numbers wrap 512 bytes after their start: every script crosses both.

use std::collections::VecDeque;

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::{
    Census, Config, ConnId, Cx, Info, Instant, Interface, Steering, Worker, mail, rfd,
};
use penstock_wire::icmp::{self, Message, Outgoing};
use penstock_wire::{Addr, Mac, arp, ethernet, ip};

use super::player::Player;
use super::script::Setting;
use crate::frame::{Frame, Inside, dissect};

/// Our station and the peers'.
pub(crate) const STATIONS: [Mac; 2] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])];
/// The moment a script calls 0, in microseconds.
const START_US: u64 = ((1 << 32) - 5_000) * 1_000;
/// Turns at one moment after which something is going round in circles.
const ROUNDS_MAX: u32 = 20_000;

/// The address of our side (0) or the peers' (1) in a family (0: IPv4, 1: IPv6).
pub(crate) fn address(family: usize, side: usize) -> Addr {
    match family {
        0 => Addr::v4(0xc000_0201 + side as u32),
        _ => Addr { hi: 0x2001_0db8 << 32, lo: 1 + side as u64 },
    }
}

/// A worker on its own.
pub(crate) struct Stage {
    worker: Worker<MemoryQueue, Player>,
    /// Microseconds since the start.
    pub(crate) now: u64,
    /// What the worker sent, with the moment, and has not been looked at.
    pub(crate) sent: VecDeque<(u64, Frame)>,
}

impl Stage {
    pub(crate) fn new(setting: &Setting, family: usize) -> Result<Stage, String> {
        let config = Config {
            interfaces: vec![Interface {
                mac: STATIONS[0],
                mtu: setting.mtu,
                addresses: vec![(address(0, 0), 24), (address(1, 0), 64)],
                steering: Steering::Unknown,
            }],
            routes: Vec::new(),
            cores: 1,
            ephemeral_ports: setting.ephemeral_ports,
            capacity: setting.capacity,
            tcp: setting.tcp,
            seed: [7; 32],
        };
        let queue = MemoryQueue::new(setting.mtu);
        let cores = rfd::Cores::new(1).ok_or("no cores")?;
        let post = mail::network(cores, 1).pop().ok_or("no mail")?;
        let chunks = Chunks::new(setting.capacity.chunks);
        let player = Player::new(address(family, 1), setting.tcp.options);
        let worker = Worker::new(config, 0, vec![queue], chunks, post, player)
            .map_err(|error| format!("the configuration was refused: {error:?}"))?;
        let mut stage = Stage { worker, now: 0, sent: VecDeque::new() };
        stage.worker.start(Instant(START_US));
        for &port in &setting.listens {
            stage.with(|player, cx| player.listen(cx, port))?;
        }
        stage.advance(0, false)?;
        Ok(stage)
    }

    /// Runs the worker until `until`, or until it has sent something.
    pub(crate) fn advance(&mut self, until: u64, stops_at_frame: bool) -> Result<(), String> {
        let mut rounds = 0;
        loop {
            let now = self.instant();
            let turn = self.worker.turn(now);
            self.worker.check().map_err(|why| format!("the worker's tables disagree: {why}"))?;
            let answered = self.collect()?;
            if let Some(fault) = self.worker.app_mut().fault.take() {
                return Err(fault);
            }
            if turn.more || answered {
                rounds += 1;
                if rounds > ROUNDS_MAX {
                    return Err("the worker does not come to rest".into());
                }
                continue;
            }
            if self.now >= until || stops_at_frame && !self.sent.is_empty() {
                return Ok(());
            }
            let deadline = self.worker.next_deadline().map_or(u64::MAX, |at| at.0 - START_US);
            self.now = deadline.clamp(self.now, until);
            rounds = 0;
        }
    }

    /// Takes what the worker sent; questions for neighbours are answered at once. Returns whether
    /// one was.
    fn collect(&mut self) -> Result<bool, String> {
        let Some(queue) = self.worker.queue_mut(0) else { return Ok(false) };
        let mut answered = false;
        for frame in queue.take() {
            let view = dissect(&frame, true).map_err(|why| format!("it sent rubbish: {why:?}"))?;
            let answer = match view.inside {
                Inside::Arp(packet) => answer_arp(&packet),
                Inside::Icmp(Message::NeighbourSolicitation { target, .. }) => {
                    answer_solicitation(view.ip.map(|ip| ip.src), target)
                }
                Inside::Icmp(Message::NeighbourAdvertisement { .. }) => None,
                Inside::Malformed(why) => return Err(format!("it sent rubbish: {why:?}")),
                Inside::Tcp(_) | Inside::Udp(_) | Inside::Icmp(_) | Inside::Other => {
                    self.sent.push_back((self.now, frame));
                    None
                }
            };
            if let Some(answer) = answer {
                queue.feed(answer);
                answered = true;
            }
        }
        Ok(answered)
    }

    /// Hands the worker a frame, and lets it serve it.
    pub(crate) fn inject(&mut self, frame: Frame) -> Result<(), String> {
        if let Some(queue) = self.worker.queue_mut(0) {
            queue.feed(frame);
        }
        self.advance(self.now, false)
    }

    /// Runs `f` with the application from outside an upcall; [`advance`](Self::advance) follows.
    pub(crate) fn with<R>(&mut self, f: impl FnOnce(&mut Player, &mut Cx<'_>) -> R) -> R {
        let now = self.instant();
        self.worker.with(now, f)
    }

    pub(crate) fn info(&mut self, conn: ConnId) -> Option<Info> {
        self.with(|_, cx| cx.info(conn))
    }

    pub(crate) fn census(&self) -> Census {
        self.worker.census()
    }

    /// The counter of a variant's name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        use penstock_stack::{Drop, Event};
        let counters = self.worker.counters();
        let drops = Drop::ALL.iter().find(|reason| format!("{reason:?}") == name);
        let events = Event::ALL.iter().find(|event| format!("{event:?}") == name);
        match (drops, events) {
            (Some(&reason), _) => counters.drops(reason),
            (None, Some(&event)) => counters.count(event),
            (None, None) => 0,
        }
    }

    pub(crate) fn player(&mut self) -> &mut Player {
        self.worker.app_mut()
    }

    fn instant(&self) -> Instant {
        Instant(START_US + self.now)
    }
}

/// An Ethernet and IP packet from the peers.
pub(crate) fn packet(family: usize, protocol: u8, payload: &[u8]) -> Frame {
    let [src, dst] = [address(family, 1), address(family, 0)];
    let mut frame = vec![0; ethernet::HEADER_BYTES + ip::V6_HEADER_BYTES];
    let payload_bytes = payload.len() as u16;
    let header = &mut frame[ethernet::HEADER_BYTES..];
    let (ether_type, ip_bytes) = if family == 0 {
        let header_v4 = ip::HeaderV4 {
            src,
            dst,
            protocol,
            payload_bytes,
            hop_limit: 64,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            checksum: true,
        };
        (ethernet::IPV4, ip::emit_v4(header, &header_v4))
    } else {
        let hop_limit = if protocol == ip::ICMPV6 { 255 } else { 64 };
        let header_v6 = ip::HeaderV6 {
            src,
            dst,
            protocol,
            payload_bytes,
            hop_limit,
            traffic_class: 0,
            flow_label: 0,
        };
        (ethernet::IPV6, ip::emit_v6(header, &header_v6))
    };
    ethernet::emit(&mut frame, STATIONS[0], STATIONS[1], ether_type);
    frame.truncate(ethernet::HEADER_BYTES + ip_bytes);
    frame.extend_from_slice(payload);
    frame
}

/// An ICMP message from the peers' side.
pub(crate) fn control(family: usize, message: &Outgoing<'_>) -> Frame {
    let mut bytes = [0; 2048];
    let protocol = if family == 0 { ip::ICMP } else { ip::ICMPV6 };
    let length = icmp::emit(&mut bytes, message, address(family, 1), address(family, 0));
    packet(family, protocol, &bytes[..length])
}

/// What the peers answer a question for the station of an IPv4 address, if it is theirs.
fn answer_arp(packet: &arp::Packet) -> Option<Frame> {
    if packet.operation != arp::Operation::Request || packet.target != address(0, 1) {
        return None;
    }
    let answer = arp::Packet {
        operation: arp::Operation::Reply,
        sender_mac: STATIONS[1],
        sender: packet.target,
        target_mac: STATIONS[0],
        target: packet.sender,
    };
    let mut frame = vec![0; ethernet::HEADER_BYTES + arp::PACKET_BYTES];
    ethernet::emit(&mut frame, STATIONS[0], STATIONS[1], ethernet::ARP);
    arp::emit(&mut frame[ethernet::HEADER_BYTES..], &answer);
    Some(frame)
}

/// The same for an IPv6 address.
fn answer_solicitation(asker: Option<Addr>, target: Addr) -> Option<Frame> {
    if asker != Some(address(1, 0)) || target != address(1, 1) {
        return None;
    }
    let message = Outgoing::NeighbourAdvertisement {
        target,
        target_mac: Some(STATIONS[1]),
        router: false,
        solicited: true,
        override_: true,
    };
    Some(control(1, &message))
}
