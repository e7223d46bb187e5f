//! The way in for fuzzers: any bytes as what servers, routers and neighbours say to a control plane.
//!
//! Bytes taken as frames would die at a checksum, and answers at the question that they do not repeat.
//! So a story is a row of small commands: most of them are answers to what was asked last, with the
//! right ports, numbers and checksums, and with the rest as the story has it; some are frames as they
//! are, and time. After each of them the worker must hang together, and what was promised holds: no
//! address beyond its lease, a bounded number of them, time that never runs back, and quiet once all
//! servers are silent.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::{
    App, Capacity, Config, Cx, Duration, Endpoint, Instant, Interface, Steering, Tcp, Worker, mail,
    rfd,
};
use penstock_wire::checksum::Sum;
use penstock_wire::icmp::{self, Outgoing};
use penstock_wire::{Addr, Mac, arp, ethernet, ip, udp};

use crate::frame;
use crate::{Application, Link, NameId, Plan, WithControl, limits};

/// Tells a control plane the story in `bytes`.
///
/// # Panics
/// When it does, or when it breaks a promise: defects of this crate.
pub fn control(bytes: &[u8]) {
    let mut story = Story { bytes };
    let mut world = World::new(story.byte());
    while !story.bytes.is_empty() {
        world.step(&mut story);
        world.judge();
    }
    // Everybody is silent: in the end nothing is left but questions.
    for _ in 0..2 {
        world.pass(Duration::from_secs(300));
        world.judge();
    }
}

struct Story<'a> {
    bytes: &'a [u8],
}

impl<'a> Story<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    fn half(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// So many bytes, or up to the end.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }
}

/// An application with names.
struct Asker {
    names: Vec<alloc::string::String>,
    heard: usize,
}

impl App for Asker {}

impl Application for Asker {
    fn names(&self) -> &[alloc::string::String] {
        &self.names
    }

    fn on_name(&mut self, _: &mut Cx<'_>, name: NameId, addresses: &[Addr]) {
        assert!((name.0 as usize) < self.names.len());
        assert!(addresses.len() <= limits::ADDRESSES_PER_NAME);
        self.heard += 1;
    }
}

/// What a question said that an answer has to repeat.
#[derive(Clone, Debug, Default)]
struct Asked {
    transaction: [u8; 4],
    /// The last datagrams to the name server's port and 123: our port, and what they said.
    dns: Option<(Addr, u16, Vec<u8>)>,
    ntp: Option<(Addr, u16, Vec<u8>)>,
    /// The address that was probed for last.
    probed: Option<Addr>,
}

struct World {
    worker: Worker<MemoryQueue, WithControl<Asker>>,
    now: Instant,
    asked: Asked,
    wall: Option<Duration>,
}

impl World {
    fn new(kind: u8) -> World {
        let config = Config {
            interfaces: vec![Interface {
                mac: OWN,
                mtu: 1500,
                addresses: vec![],
                steering: Steering::Unknown,
            }],
            routes: vec![],
            cores: 1,
            ephemeral_ports: (32_768, 65_535),
            capacity: Capacity { connections: 16, flights: 16, chunks: 64, ..Capacity::default() },
            tcp: Tcp::default(),
            seed: [kind; 32],
        };
        let link = Link { dhcp: true, router_advertisements: true, ..Link::default() };
        let plan = Plan {
            links: vec![link],
            dns: vec![Endpoint { addr: SERVER, port: NAME_PORT }],
            clock: (kind & 1 != 0).then_some((Duration::from_secs(1_795_670_400), "the story")),
            hosts: "10.0.0.9 known\n".into(),
            seed: [kind; 32],
            ..Plan::default()
        };
        let names = ["a.example", "known", "b.example", "10.0.0.1"].map(|name| name.to_string());
        let app = WithControl::new(Asker { names: names.to_vec(), heard: 0 }, 0, &plan);
        let one = rfd::Cores::new(1).expect("one");
        let post = mail::network(one, 1).remove(0);
        let queues = vec![MemoryQueue::new(1500)];
        let worker = Worker::new(config, 0, queues, Chunks::new(64), post, app).expect("good");
        let now = Instant(1_000_000);
        let mut world = World { worker, now, asked: Asked::default(), wall: None };
        world.worker.start(now);
        world.worker.with(now, |app, cx| app.begin(cx));
        world.pass(Duration::from_millis(1));
        world
    }

    fn step(&mut self, story: &mut Story<'_>) {
        match story.byte() % 8 {
            0 => self.pass(Duration::from_millis(story.half().into())),
            1 => self.pass(Duration::from_secs(story.half().into())),
            2 => self.dhcp(story),
            3 => self.router(story),
            4 => self.dns(story),
            5 => self.ntp(story),
            6 => self.claim(story),
            _ => {
                let count = story.byte() as usize;
                self.feed(story.take(count).to_vec());
            }
        }
        self.pass(Duration::from_millis(1));
    }

    /// Lets time pass, in turns as the worker asks for them.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..10_000 {
            let more = self.worker.turn(self.now).more;
            self.listen();
            while self.worker.with(self.now, |app, cx| app.take_line(cx)).is_some() {}
            if !more {
                match self.worker.next_deadline() {
                    Some(at) if at < end => self.now = at.max(self.now + Duration::from_micros(1)),
                    _ => {
                        self.now = end;
                        return;
                    }
                }
            }
        }
        // So much at once is possible only because somebody asks without pause.
        assert!(span.0 > 1_000_000, "10,000 turns in {} us", span.0);
        self.now = end;
    }

    fn judge(&mut self) {
        self.worker.check().expect("sound");
        let now = self.now;
        self.worker.with(now, |app, cx| {
            app.assert_sound(cx);
            assert!(cx.addresses(0).count() <= 2 + limits::PREFIXES_MAX);
        });
        let wall = self.worker.with(now, |_, cx| cx.wall());
        // The first correction may be a step; the control plane knows which was the first.
        if self.worker.app().has_stepped() && self.wall.is_some() {
            assert!(wall >= self.wall, "time ran back");
        }
        self.wall = wall.filter(|_| self.worker.app().has_stepped());
    }

    /// Notes what is asked.
    fn listen(&mut self) {
        let Some(queue) = self.worker.queue_mut(0) else { return };
        for frame in queue.take() {
            let Ok(header) = ethernet::parse(&frame) else { continue };
            let body = &frame[ethernet::HEADER_BYTES..];
            if header.ether_type == ethernet::ARP
                && let Ok(packet) = arp::parse(body)
            {
                self.asked.probed = Some(packet.target);
                // Whoever asks for a server finds it.
                if packet.target == SERVER && !packet.sender.is_unspecified() {
                    self.reply_arp(packet.sender);
                }
            }
            // By hand: a parser refuses the source of a client without an address.
            let is_udp = header.ether_type == ethernet::IPV4 && body.get(9) == Some(&ip::UDP);
            let (Some(ports), Some(bytes), true) = (body.get(20..24), body.get(28..), is_udp)
            else {
                continue;
            };
            let src = Addr::v4(u32::from_be_bytes([body[12], body[13], body[14], body[15]]));
            let [from, to] = [0, 2].map(|at| u16::from_be_bytes([ports[at], ports[at + 1]]));
            match to {
                67 => self.asked.transaction = bytes[4..8].try_into().unwrap_or_default(),
                NAME_PORT => self.asked.dns = Some((src, from, bytes.to_vec())),
                123 => self.asked.ntp = Some((src, from, bytes.to_vec())),
                _ => {}
            }
        }
    }

    fn feed(&mut self, frame: Vec<u8>) {
        if let Some(queue) = self.worker.queue_mut(0) {
            queue.feed(frame);
        }
    }

    fn reply_arp(&mut self, to: Addr) {
        let packet = arp::Packet {
            operation: arp::Operation::Reply,
            sender_mac: OTHER,
            sender: SERVER,
            target_mac: OWN,
            target: to,
        };
        let mut frame = vec![0; ethernet::HEADER_BYTES + arp::PACKET_BYTES];
        ethernet::emit(&mut frame, OWN, OTHER, ethernet::ARP);
        arp::emit(&mut frame[ethernet::HEADER_BYTES..], &packet);
        self.feed(frame);
    }

    /// A datagram of the server's, or of somebody near it.
    fn datagram(&mut self, from: Addr, ports: (u16, u16), to: Addr, payload: &[u8]) {
        let bytes = udp::HEADER_BYTES + payload.len();
        let mut frame = vec![0; UDP_AT + bytes];
        ethernet::emit(&mut frame, OWN, OTHER, ethernet::IPV4);
        let header = ip::HeaderV4 {
            src: from,
            dst: to,
            protocol: ip::UDP,
            payload_bytes: bytes as u16,
            hop_limit: 64,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            checksum: true,
        };
        ip::emit_v4(&mut frame[ethernet::HEADER_BYTES..], &header);
        let room = &mut frame[UDP_AT..];
        room[udp::HEADER_BYTES..].copy_from_slice(payload);
        let payload_bytes = payload.len() as u16;
        udp::emit(room, &udp::Datagram { src_port: ports.0, dst_port: ports.1, payload_bytes });
        udp::fill_checksum(room, from, to, Sum::ZERO, 0);
        self.feed(frame);
    }

    /// A server's message: the fixed part right, the address and the options the story's.
    fn dhcp(&mut self, story: &mut Story<'_>) {
        let mut message = vec![0; 240];
        message[..4].copy_from_slice(&[2, 1, 6, 0]);
        message[4..8].copy_from_slice(&self.asked.transaction);
        message[16..20].copy_from_slice(&[10, 0, 0, story.byte()]);
        message[28..34].copy_from_slice(&OWN.0);
        message[236..240].copy_from_slice(&0x6382_5363_u32.to_be_bytes());
        let kind = story.byte();
        message.extend([53, 1, [2, 5, 5, 6][kind as usize % 4], 54, 4, 10, 0, 0, 1]);
        if kind & 4 == 0 {
            let [high, low] = story.half().to_be_bytes();
            message.extend([1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 1, 51, 4, 0, 0, high, low]);
        }
        let count = story.byte() as usize;
        message.extend(story.take(count));
        if kind & 8 != 0 {
            let at = story.half() as usize % message.len();
            message[at] ^= story.byte();
        }
        self.datagram(SERVER, (67, 68), Addr::v4(u32::MAX), &message);
    }

    /// A router's advertisement with the story's options.
    fn router(&mut self, story: &mut Story<'_>) {
        let router = Addr { hi: 0xfe80 << 48, lo: u64::from(story.byte()) + 1 };
        let said = icmp::Advertised { lifetime_seconds: story.half(), ..Default::default() };
        let (mut frame, bytes) =
            frame::ndp(OTHER, router, Addr::ALL_NODES, &Outgoing::RouterAdvertisement(said));
        let kind = story.byte();
        let mut options = vec![];
        if kind & 1 == 0 {
            let [high, low] = story.half().to_be_bytes();
            options.extend([3, 4, 64, 0xc0, 0, 0, high, low, 0, 0, 0, 1, 0, 0, 0, 0]);
            options.extend([0xfd, 0, 0, 0, 0, 0, 0, story.byte(), 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        if kind & 2 == 0 {
            options.extend([25, 3, 0, 0, 0, 0, story.byte(), story.byte(), 0xfd]);
            options.extend([0; 14]);
            options.push(story.byte());
        }
        let count = kind as usize % 64;
        options.extend(story.take(count));
        let end = (bytes + options.len()).min(frame.len());
        let added = end - bytes;
        frame[bytes..end].copy_from_slice(&options[..added]);
        // The length and the checksum of the longer message.
        let payload = ethernet::HEADER_BYTES + ip::V6_HEADER_BYTES;
        let length = (end - payload) as u16;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        frame[payload + 2..payload + 4].fill(0);
        let sum =
            penstock_wire::checksum::pseudo_header(router, Addr::ALL_NODES, ip::ICMPV6, length);
        let sum = sum.add_bytes(&frame[payload..end]).checksum();
        frame[payload + 2..payload + 4].copy_from_slice(&sum.to_be_bytes());
        self.feed(frame[..end].to_vec());
    }

    /// An answer that repeats the last question, with the story's records.
    fn dns(&mut self, story: &mut Story<'_>) {
        let Some((own, port, question)) = self.asked.dns.clone() else { return };
        let mut answer = question;
        let kind = story.byte();
        answer[2..4].copy_from_slice(&[0x81 | (kind & 0x0e), story.byte() & 0x8f]);
        answer[7] = story.byte() & 15;
        for _ in 0..kind % 3 {
            // A record of a name that points at the question, or somewhere.
            answer.extend([0xc0, if kind & 16 == 0 { 12 } else { story.byte() }]);
            let [high, low] = story.half().to_be_bytes();
            match story.byte() % 3 {
                0 => answer.extend([0, 1, 0, 1, 0, 0, high, low, 0, 4, 10, 0, 0, low]),
                1 => answer.extend([0, 5, 0, 1, 0, 0, high, low, 0, 2, 0xc0, low]),
                _ => answer.extend(story.take(16)),
            }
        }
        let count = story.byte() as usize;
        answer.extend(story.take(count));
        let from = if kind & 64 == 0 { SERVER } else { Addr::v4(0x0a00_0002) };
        let port_from = if kind & 128 == 0 { NAME_PORT } else { 54 };
        self.datagram(from, (port_from, port), own, &answer);
    }

    /// An answer that repeats the last question, with the story's time.
    fn ntp(&mut self, story: &mut Story<'_>) {
        let Some((own, port, question)) = self.asked.ntp.clone() else { return };
        let mut answer = [0; 48];
        (answer[0], answer[1]) = (4 << 3 | 4 | (story.byte() & 0xc0), story.byte() % 17);
        answer[24..32].copy_from_slice(&question[40..48]);
        let seconds = 1_795_670_400 + 2_208_988_800_u64 + u64::from(story.half());
        answer[32..40].copy_from_slice(&(seconds << 32).to_be_bytes());
        answer[40..48]
            .copy_from_slice(&(seconds << 32 | u64::from(story.half()) << 8).to_be_bytes());
        if story.byte() & 7 == 0 {
            let at = story.byte() as usize % 48;
            answer[at] ^= story.byte();
        }
        self.datagram(SERVER, (123, port), own, &answer);
    }

    /// Somebody says that an address is his.
    fn claim(&mut self, story: &mut Story<'_>) {
        let now = self.now;
        let kind = story.byte();
        let own = self.worker.with(now, |_, cx| cx.addresses(0).nth(kind as usize >> 4));
        let Some(addr) = own.map(|(addr, _)| addr).or(self.asked.probed) else { return };
        let frame = if addr.is_v4() {
            let sender = if kind & 1 == 0 { addr } else { Addr::v4(0) };
            frame::arp_request(OTHER, sender, addr)
        } else {
            let message = Outgoing::NeighbourAdvertisement {
                target: addr,
                target_mac: Some(OTHER),
                router: kind & 1 == 0,
                solicited: false,
                override_: kind & 2 == 0,
            };
            frame::ndp(OTHER, addr, Addr::ALL_NODES, &message)
        };
        self.feed(frame.0[..frame.1].to_vec());
    }
}

const OWN: Mac = Mac([2, 0, 0, 0, 0, 2]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 1]);
const NAME_PORT: u16 = 5353;
const SERVER: Addr = Addr::v4(0x0a00_0001);
const UDP_AT: usize = ethernet::HEADER_BYTES + ip::V4_HEADER_BYTES;

#[cfg(test)]
mod tests {
    //! Stories of any kind are survived, and one with good servers comes to an address and a name.

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn any_story_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            control(&bytes);
        }

        /// The same few commands, with long options.
        #[test]
        fn stories_of_answers_are_survived(
            steps in prop::collection::vec((2u8..7, prop::collection::vec(any::<u8>(), 8..40)), 0..40),
        ) {
            let mut bytes = vec![1];
            for (command, more) in steps {
                bytes.push(command);
                bytes.extend(more);
            }
            control(&bytes);
        }
    }

    #[test]
    fn good_servers_are_believed() {
        let mut world = World::new(1);
        let mut tell = |bytes: &[u8]| {
            let mut story = Story { bytes };
            world.step(&mut story);
            world.judge();
        };
        tell(&[2, 77, 0, 1, 0, 0]);
        tell(&[2, 77, 1, 1, 0, 0]);
        tell(&[0, 8, 0]);
        let now = world.now;
        let first = world.worker.with(now, |_, cx| cx.addresses(0).next());
        assert_eq!(first, Some((Addr::v4(0x0a00_004d), 24)));
        assert_eq!(world.worker.app().app().heard, 2, "the name in the file, and the address");
        // The lease of 256 seconds is not renewed.
        world.pass(Duration::from_secs(300));
        let now = world.now;
        let left = world.worker.with(now, |_, cx| cx.addresses(0).count());
        assert_eq!(left, 1, "the link-local one alone");
    }
}
