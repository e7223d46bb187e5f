//! Frames that no honest host sends: each dies under its name, and none is answered but those that an
//! RFC asks to answer.

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::fuzz::packet_of;
use penstock_stack::{
    App, Capacity, Config, ConnId, ConnectError, Cx, Drop, Endpoint, Instant, Interface,
    SocketOptions, Steering, Tcp, Worker, mail, rfd,
};
use penstock_wire::checksum::{Sum, pseudo_header};
use penstock_wire::icmp::{self, Outgoing};
use penstock_wire::tcp::{self, Flags, Header, Options};
use penstock_wire::{Addr, Mac, SeqNum, arp, ethernet, ip, udp};

/// Notes the datagrams that arrive.
#[derive(Default)]
struct Listener {
    datagrams: usize,
}

impl App for Listener {
    fn on_datagram(
        &mut self,
        _cx: &mut Cx<'_>,
        _socket: penstock_stack::UdpId,
        _datagram: penstock_stack::Datagram<'_>,
    ) {
        self.datagrams += 1;
    }

    fn on_accept(&mut self, _: &mut Cx<'_>, _: ConnId, _: penstock_stack::ListenerId) {}
}

struct Victim {
    worker: Worker<MemoryQueue, Listener>,
    now: Instant,
}

const OWN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
const OWN: Addr = Addr::v4(0x0a00_0001);
const OTHER: Addr = Addr::v4(0x0a00_0101);
const PEER: Addr = Addr::v4(0x0a00_0002);
const OWN_V6: Addr = Addr { hi: 0x2001_0db8 << 32, lo: 1 };

impl Victim {
    /// A host with two links, a default route over the first, listening on port 80 and UDP port 53.
    fn new() -> Victim {
        Victim::with(Tcp::default())
    }

    fn with(tcp: Tcp) -> Victim {
        let interface = |last: u8, addresses| Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses,
            steering: Steering::Unknown,
        };
        let route = penstock_stack::Route {
            network: Addr::v4(0),
            prefix_bits: 0,
            gateway: Some(Addr::v4(0x0a00_00fe)),
            interface: 0,
        };
        let config = Config {
            interfaces: vec![
                interface(1, vec![(OWN, 24), (OWN_V6, 64)]),
                interface(9, vec![(OTHER, 24)]),
            ],
            routes: vec![route],
            cores: 1,
            ephemeral_ports: (32_768, 65_535),
            capacity: Capacity { chunks: 64, ..Capacity::default() },
            tcp,
            seed: [1; 32],
        };
        let queues = vec![MemoryQueue::new(1500), MemoryQueue::new(1500)];
        let post = mail::network(rfd::Cores::new(1).expect("one"), 1).remove(0);
        let worker = Worker::new(config, 0, queues, Chunks::new(64), post, Listener::default());
        let mut victim = Victim { worker: worker.expect("valid"), now: Instant(1_000_000) };
        victim.worker.start(victim.now);
        victim.worker.with(victim.now, |_, cx| {
            cx.listen(None, 80, SocketOptions::default()).expect("free");
            cx.udp_bind(None, 53).expect("free");
        });
        victim.worker.turn(victim.now);
        victim.sent();
        victim
    }

    fn sent(&mut self) -> usize {
        (0..2).map(|at| self.worker.queue_mut(at).expect("two").take().len()).sum()
    }

    /// Feeds a frame; it must be dropped for `reason`, and nothing may leave.
    fn refuses(&mut self, what: &str, frame: Vec<u8>, reason: Drop) {
        let before = self.worker.counters().drops(reason);
        self.worker.queue_mut(0).expect("two").feed(frame);
        self.worker.turn(self.now);
        self.worker.check().expect("sound");
        assert_eq!(self.sent(), 0, "{what} was answered");
        assert_eq!(self.worker.counters().drops(reason), before + 1, "{what}: not {reason:?}");
        assert_eq!(self.worker.census().half_open, 0, "{what} was taken for a client");
    }
}

/// An Ethernet and IP packet for the victim.
fn packet(src: Addr, dst: Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    packet_of((PEER_MAC, OWN_MAC), (src, dst), (protocol, 64), payload)
}

fn segment(src: Addr, dst: Addr, flags: Flags) -> Vec<u8> {
    let header =
        Header { src_port: 80, dst_port: 80, seq: SeqNum(7), ack: SeqNum(0), flags, window: 1000 };
    let mut bytes = vec![0; tcp::HEADER_BYTES];
    tcp::emit(&mut bytes, &header, &Options::default());
    tcp::fill_checksum(&mut bytes, src, dst, Sum::ZERO, 0);
    packet(src, dst, ip::TCP, &bytes)
}

fn datagram(src: Addr, dst: Addr, dst_port: u16) -> Vec<u8> {
    let mut bytes = vec![0; udp::HEADER_BYTES];
    udp::emit(&mut bytes, &udp::Datagram { src_port: 1, dst_port, payload_bytes: 3 });
    bytes.extend_from_slice(b"abc");
    udp::fill_checksum(&mut bytes, src, dst, Sum::ZERO, 0);
    packet(src, dst, ip::UDP, &bytes)
}

//= rfc1122#3.2.1.3 type=test
//# A host MUST silently discard an incoming datagram containing an IP source address that is invalid
//# by the rules of this section.
#[test]
fn sources_that_nobody_can_have() {
    let mut victim = Victim::new();
    let sources = [
        ("our own address", OWN),
        ("the address of our other link", OTHER),
        ("the broadcast address of the link", Addr::v4(0x0a00_00ff)),
        ("the old broadcast address of the link", Addr::v4(0x0a00_0000)),
        ("the limited broadcast address", Addr::v4(u32::MAX)),
        ("a multicast group", Addr::v4(0xe000_0001)),
        ("a loopback address", Addr::v4(0x7f00_0001)),
    ];
    for (what, src) in sources {
        victim.refuses(what, segment(src, OWN, Flags::SYN), Drop::IpSource);
        victim.refuses(what, datagram(src, OWN, 53), Drop::IpSource);
        victim.refuses(what, datagram(src, OWN, 54), Drop::IpSource);
    }
    victim.refuses("ourselves", segment(OWN_V6, OWN_V6, Flags::SYN), Drop::IpSource);
    assert_eq!(victim.worker.app().datagrams, 0);
}

/// With `route_localnet` a loopback address is a host behind the gateway: it is let in, and called.
#[test]
fn loopback_is_a_host_where_it_may_be() {
    let loopback = Addr::v4(0x7f00_0001);
    let remote = penstock_stack::Endpoint { addr: loopback, port: 80 };
    for route_localnet in [false, true] {
        let mut victim = Victim::with(Tcp { route_localnet, ..Tcp::default() });
        for frame in [segment(loopback, OWN, Flags::SYN), datagram(loopback, OWN, 53)] {
            victim.worker.queue_mut(0).expect("two").feed(frame);
            victim.worker.turn(victim.now);
        }
        assert_eq!(victim.worker.census().half_open == 1, route_localnet);
        assert_eq!(victim.worker.app().datagrams == 1, route_localnet);
        let called = |cx: &mut Cx<'_>| cx.connect(remote, None, SocketOptions::default()).is_ok();
        let called = victim.worker.with(victim.now, |_, cx| called(cx));
        assert_eq!(called, route_localnet);
    }
}

/// A stray from such a source is refused, but nobody gets to see a RST.
#[test]
fn strays_from_sources_that_nobody_can_have() {
    let mut victim = Victim::new();
    for src in [OWN, OTHER, Addr::v4(0x0a00_00ff)] {
        victim.worker.queue_mut(0).expect("two").feed(segment(src, OWN, Flags::ACK));
        victim.worker.turn(victim.now);
        assert_eq!(victim.sent(), 0, "{src}");
    }
}

#[test]
fn destinations_that_are_no_host() {
    let mut victim = Victim::new();
    let broadcast = Addr::v4(0x0a00_00ff);
    victim.refuses("a broadcast SYN", segment(PEER, broadcast, Flags::SYN), Drop::InAddrErrors);
    let mut frame = segment(PEER, OWN, Flags::SYN);
    frame[..6].copy_from_slice(&Mac::BROADCAST.0);
    victim.refuses("a SYN to all stations", frame, Drop::TcpGroup);
    victim.refuses("a SYN to our other link", segment(PEER, OTHER, Flags::SYN), Drop::InAddrErrors);
    let connect = |to: Addr| {
        let remote = Endpoint { addr: to, port: 80 };
        move |_: &mut Listener, cx: &mut Cx<'_>| {
            cx.connect(remote, None, SocketOptions::default()).err()
        }
    };
    for to in [OWN, OTHER, broadcast, Addr::v4(0), OWN_V6] {
        let refused = victim.worker.with(victim.now, connect(to));
        assert_eq!(refused, Some(ConnectError::BadDestination), "{to}");
    }
}

#[test]
fn datagrams_that_lie_about_themselves() {
    let mut victim = Victim::new();
    let l4 = ethernet::HEADER_BYTES + ip::V4_HEADER_BYTES;
    let mut long = datagram(PEER, OWN, 53);
    long[l4 + 5] += 1;
    victim.refuses("a length beyond the packet", long, Drop::UdpHeader);
    let mut short = datagram(PEER, OWN, 53);
    short[l4 + 5] = 7;
    victim.refuses("a length below the header", short, Drop::UdpHeader);
    let mut damaged = datagram(PEER, OWN, 53);
    damaged[l4 + 8] ^= 1;
    victim.refuses("a byte that changed", damaged, Drop::UdpChecksum);
    let peer_v6 = Addr { lo: 2, ..OWN_V6 };
    let mut unchecked = datagram(peer_v6, OWN_V6, 53);
    let l4 = ethernet::HEADER_BYTES + ip::V6_HEADER_BYTES;
    unchecked[l4 + 6..l4 + 8].fill(0);
    victim.refuses("IPv6 without a checksum", unchecked, Drop::UdpChecksum);
    assert_eq!(victim.worker.app().datagrams, 0);
    let l4 = ethernet::HEADER_BYTES + ip::V4_HEADER_BYTES;
    let mut unchecked = datagram(PEER, OWN, 53);
    unchecked[l4 + 6..l4 + 8].fill(0);
    victim.worker.queue_mut(0).expect("two").feed(unchecked);
    victim.worker.turn(victim.now);
    assert_eq!(victim.worker.app().datagrams, 1, "IPv4 without a checksum is allowed (RFC 768)");
}

const PEER_V6: Addr = Addr { lo: 2, ..OWN_V6 };

fn neighbourly(src: Addr, dst: Addr, hop_limit: u8, message: &Outgoing<'_>) -> Vec<u8> {
    let mut bytes = [0; 128];
    let length = icmp::emit(&mut bytes, message, src, dst);
    packet_of((PEER_MAC, OWN_MAC), (src, dst), (ip::ICMPV6, hop_limit), &bytes[..length])
}

/// The same with a byte of the message changed, and its checksum right again.
fn changed(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    let message = ethernet::HEADER_BYTES + ip::V6_HEADER_BYTES;
    frame[message + at] = byte;
    let addr = |at: usize| Addr::v6(*frame[at..].first_chunk().expect("a header"));
    let (src, dst) = (addr(22), addr(38));
    let body = &mut frame[message..];
    body[2..4].fill(0);
    let sum = pseudo_header(src, dst, ip::ICMPV6, body.len() as u16).add_bytes(body).checksum();
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    frame
}

//= rfc4861#7.1.1 type=test
//# A node MUST silently discard any received Neighbor Solicitation messages that do not satisfy all
//# of the following validity checks:
//= rfc4861#7.1.2 type=test
//# A node MUST silently discard any received Neighbor Advertisement messages that do not satisfy all
//# of the following validity checks:
#[test]
fn neighbours_that_nobody_may_believe() {
    let mut victim = Victim::new();
    let group = OWN_V6.solicited_node();
    let asks = Outgoing::NeighbourSolicitation { target: OWN_V6, source_mac: Some(PEER_MAC) };
    let tells = |target, solicited| Outgoing::NeighbourAdvertisement {
        target,
        target_mac: Some(PEER_MAC),
        router: false,
        solicited,
        override_: true,
    };
    let question = neighbourly(PEER_V6, OWN_V6, 255, &asks);
    let nobody = Addr { hi: 0, lo: 0 };
    let malformed = [
        ("a question from behind a router", neighbourly(PEER_V6, OWN_V6, 254, &asks)),
        ("a question with a code", changed(question.clone(), 1, 1)),
        ("a question for a group", changed(question.clone(), 8, 0xff)),
        ("an option of length 0", changed(question.clone(), 25, 0)),
        ("an option beyond the message", changed(question.clone(), 25, 2)),
        ("a nobody who says where it is", neighbourly(nobody, group, 255, &asks)),
        ("an answer from behind a router", neighbourly(PEER_V6, OWN_V6, 64, &tells(PEER_V6, true))),
        (
            "an answer to all that was asked for",
            neighbourly(PEER_V6, Addr::ALL_NODES, 255, &tells(PEER_V6, true)),
        ),
    ];
    for (what, frame) in malformed {
        victim.refuses(what, frame, Drop::NdpMalformed);
    }
    let thief = neighbourly(PEER_V6, OWN_V6, 255, &tells(OWN_V6, true));
    victim.refuses("a thief of our address", thief, Drop::NdpIgnored);
    let other = Outgoing::NeighbourSolicitation { target: PEER_V6, source_mac: Some(PEER_MAC) };
    let other = neighbourly(PEER_V6, OWN_V6, 255, &other);
    victim.refuses("a question for somebody else", other, Drop::NdpIgnored);
    assert_eq!(victim.worker.census().neighbours, 0, "none of them was believed");
    // The plain question is answered, and its asker known.
    victim.worker.queue_mut(0).expect("two").feed(question);
    victim.worker.turn(victim.now);
    assert_eq!((victim.sent(), victim.worker.census().neighbours), (1, 1));
}

#[test]
fn stations_that_nobody_may_believe() {
    let mut victim = Victim::new();
    let packet = |operation, sender, target| {
        let packet = arp::Packet {
            operation,
            sender_mac: PEER_MAC,
            sender,
            target_mac: Mac::default(),
            target,
        };
        let mut frame = vec![0; ethernet::HEADER_BYTES + arp::PACKET_BYTES];
        ethernet::emit(&mut frame, Mac::BROADCAST, PEER_MAC, ethernet::ARP);
        arp::emit(&mut frame[ethernet::HEADER_BYTES..], &packet);
        frame
    };
    let question = packet(arp::Operation::Request, PEER, OWN);
    let with = |at: usize, byte: u8| {
        let mut frame = question.clone();
        frame[ethernet::HEADER_BYTES + at] = byte;
        frame
    };
    let malformed = [
        ("hardware that is not Ethernet", with(1, 6)),
        ("a protocol that is not IPv4", with(3, 6)),
        ("stations of 0 bytes", with(4, 0)),
        ("addresses of 255 bytes", with(5, 255)),
        ("an unknown operation", with(7, 9)),
        ("a group for a station", with(8, 1)),
        ("a group for an address", with(14, 0xe0)),
        ("a packet cut short", question[..question.len() - 1].to_vec()),
    ];
    for (what, frame) in malformed {
        victim.refuses(what, frame, Drop::ArpMalformed);
    }
    for operation in [arp::Operation::Request, arp::Operation::Reply] {
        victim.refuses("a thief of our address", packet(operation, OWN, OWN), Drop::ArpIgnored);
        victim.refuses("a thief of our address", packet(operation, OWN, PEER), Drop::ArpIgnored);
    }
    let loopback = packet(arp::Operation::Request, Addr::v4(0x7f00_0001), OWN);
    victim.refuses("a loopback address", loopback, Drop::ArpIgnored);
    assert_eq!(victim.worker.census().neighbours, 0, "none of them was believed");
    victim.worker.queue_mut(0).expect("two").feed(question);
    victim.worker.turn(victim.now);
    assert_eq!((victim.sent(), victim.worker.census().neighbours), (1, 1));
}

//= rfc4443#3.4 type=test
//# If an IPv6 node processing a packet finds a problem with a field in the IPv6 header or extension
//# headers such that it cannot complete processing the packet, it MUST discard the packet and SHOULD
//# originate an ICMPv6 Parameter Problem message to the packet's source
#[test]
fn senders_are_told_what_is_not_understood() {
    let mut victim = Victim::new();
    let answer = |victim: &mut Victim, frame: Vec<u8>| {
        victim.worker.queue_mut(0).expect("two").feed(frame);
        victim.worker.turn(victim.now);
        let frames = victim.worker.queue_mut(0).expect("two").take();
        frames.first().map(|frame| frame[ethernet::HEADER_BYTES..].to_vec())
    };
    // Whoever asks us is known, and needs not be looked for.
    let asks = Outgoing::NeighbourSolicitation { target: OWN_V6, source_mac: Some(PEER_MAC) };
    answer(&mut victim, neighbourly(PEER_V6, OWN_V6, 255, &asks)).expect("an advertisement");
    let problem = |bytes: Vec<u8>| {
        let packet = ip::parse_v6(&bytes).expect("a packet");
        assert_eq!((packet.src, packet.dst, packet.protocol), (OWN_V6, PEER_V6, ip::ICMPV6));
        let message = packet.payload(&bytes);
        (
            message[0],
            message[1],
            u32::from_be_bytes([message[4], message[5], message[6], message[7]]),
        )
    };
    let told = answer(&mut victim, packet(PEER_V6, OWN_V6, 200, b"what?"));
    assert_eq!(told.map(problem), Some((4, 1, 6)), "an unknown header");
    let options = |kind: u8| [ip::TCP, 0, kind, 4, 0, 0, 0, 0];
    let told = answer(&mut victim, packet(PEER_V6, OWN_V6, 60, &options(0x85)));
    assert_eq!(told.map(problem), Some((4, 2, 42)), "an option that is to be answered");
    for (what, src, kind) in [
        ("an option that is to be dropped in silence", PEER_V6, 0x45),
        ("a group", Addr::ALL_NODES, 0x85),
        ("nobody", Addr { hi: 0, lo: 0 }, 0x85),
        ("ourselves", OWN_V6, 0x85),
    ] {
        assert_eq!(answer(&mut victim, packet(src, OWN_V6, 60, &options(kind))), None, "{what}");
    }

    let request = arp::Packet {
        operation: arp::Operation::Request,
        sender_mac: PEER_MAC,
        sender: PEER,
        target_mac: Mac::default(),
        target: OWN,
    };
    let mut frame = vec![0; ethernet::HEADER_BYTES + arp::PACKET_BYTES];
    ethernet::emit(&mut frame, Mac::BROADCAST, PEER_MAC, ethernet::ARP);
    arp::emit(&mut frame[ethernet::HEADER_BYTES..], &request);
    answer(&mut victim, frame).expect("a reply");
    //= rfc1122#3.2.2.1 type=test
    //# 2    (Protocol Unreachable), when the designated transport protocol is not supported;
    let told = answer(&mut victim, packet(PEER, OWN, 99, b"what?")).expect("an answer");
    assert_eq!(told[ip::V4_HEADER_BYTES..][..2], [3, 2]);
    let group = Addr::v4(0xe000_0001);
    assert_eq!(answer(&mut victim, packet(PEER, group, 99, b"what?")), None, "it came to a group");
}
