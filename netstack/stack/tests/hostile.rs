//! Frames that no honest host sends: each dies under its name, and none is answered.

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::fuzz::packet_of;
use penstock_stack::{
    App, Capacity, Config, ConnId, ConnectError, Cx, Drop, Endpoint, Instant, Interface,
    SocketOptions, Steering, Tcp, Worker, mail, rfd,
};
use penstock_wire::checksum::Sum;
use penstock_wire::tcp::{self, Flags, Header, Options};
use penstock_wire::{Addr, Mac, SeqNum, ethernet, ip, udp};

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
            tcp: Tcp::default(),
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
