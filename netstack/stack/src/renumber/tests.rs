//! Two hosts on a wire, one of which changes its address: connections of the lost one end with a
//! reason, listeners follow, and what concerns addresses is handed to core 0 wherever it arrives.

use super::*;
use crate::app::{App, Close};
use crate::config::{Capacity, Config, Interface, SocketOptions, Steering, Tcp};
use crate::limits;
use crate::time::{Duration, Instant, Wall};
use crate::{ConnId, ConnectError, Endpoint, Worker, mail, rfd};
use alloc::vec;
use alloc::vec::Vec;
use penstock_queue::{Chunks, MemoryQueue};
use penstock_wire::{ethernet, ip, udp};

#[derive(Default)]
struct Notes {
    closed: Vec<Close>,
    connected: Vec<ConnId>,
    frames: Vec<Vec<u8>>,
    tended: u32,
}

impl App for Notes {
    fn on_connected(&mut self, _: &mut Cx<'_>, conn: ConnId) {
        self.connected.push(conn);
    }

    fn on_closed(&mut self, _: &mut Cx<'_>, _: ConnId, reason: Close) {
        self.closed.push(reason);
    }

    fn on_frame(&mut self, _: &mut Cx<'_>, _: u8, frame: &[u8]) {
        self.frames.push(frame.to_vec());
    }

    fn on_tend(&mut self, _: &mut Cx<'_>) {
        self.tended += 1;
    }
}

type Host = Worker<MemoryQueue, Notes>;

fn addr(last: u32) -> Addr {
    Addr::v4(0x0a00_0000 + last)
}

fn hosts(last: u8, addresses: Vec<(Addr, u8)>, cores: u16) -> Vec<Host> {
    let config = Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses,
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity { connections: 128, chunks: 256, ..Capacity::default() },
        tcp: Tcp::default(),
        seed: [last; 32],
    };
    let posts = mail::network(rfd::Cores::new(cores).expect("few"), 4);
    let workers = (0..).zip(posts).map(|(core, post)| {
        let queues = vec![MemoryQueue::new(1500)];
        let chunks = Chunks::new(256);
        let app = Notes::default();
        let mut worker =
            Worker::new(config.clone(), core, queues, chunks, post, app).expect("good");
        worker.start(Instant(1_000_000));
        worker
    });
    workers.collect()
}

/// Turns both, and carries what they send, for three seconds.
fn pass(now: &mut Instant, one: &mut Host, other: &mut Host) {
    for _ in 0..600 {
        *now = *now + Duration::from_millis(5);
        one.turn(*now);
        other.turn(*now);
        let frames = one.queue_mut(0).expect("one").take();
        frames.into_iter().for_each(|frame| other.queue_mut(0).expect("one").feed(frame));
        let frames = other.queue_mut(0).expect("one").take();
        frames.into_iter().for_each(|frame| one.queue_mut(0).expect("one").feed(frame));
        one.check().expect("sound");
        other.check().expect("sound");
    }
}

fn connect(now: Instant, from: &mut Host, to: Addr) {
    let remote = Endpoint { addr: to, port: 80 };
    let options = SocketOptions::default();
    from.with(now, |_, cx| cx.connect(remote, None, options)).expect("a port");
}

#[test]
fn connections_of_a_lost_address_end_and_listeners_follow() {
    let mut now = Instant(1_000_000);
    let mut client = hosts(1, vec![(addr(1), 24)], 1).remove(0);
    let mut server = hosts(2, vec![], 1).remove(0);
    let listens = server.with(now, |_, cx| cx.listen(None, 80, SocketOptions::default()));
    listens.expect("free");
    for last in [2, 3, 2] {
        server.with(now, |_, cx| cx.add_address(0, addr(last), 24)).expect("free");
        for _ in 0..30 {
            connect(now, &mut client, addr(last));
        }
        pass(&mut now, &mut client, &mut server);
        assert_eq!(client.app().connected.len(), 30, "at {last}");
        client.app_mut().connected.clear();
        assert!(server.with(now, |_, cx| cx.remove_address(0, addr(last))));
        assert!(!server.with(now, |_, cx| cx.remove_address(0, addr(last))));
        server.queue_mut(0).expect("one").take();
        for _ in 0..2 {
            assert!(server.app().closed.len() < 30, "more in a turn than is allowed");
            server.turn(now);
        }
        assert_eq!(server.app().closed, vec![Close::AddressLost; 30]);
        assert_eq!(server.census().connections, 0);
        assert!(server.queue_mut(0).expect("one").take().is_empty(), "it spoke from there");
        server.app_mut().closed.clear();
        assert!(!server.turn(now).more, "nothing is left to do");
    }
}

#[test]
fn a_gateway_comes_and_goes() {
    let now = Instant(1_000_000);
    let mut host = hosts(1, vec![], 1).remove(0);
    let far = Endpoint { addr: Addr::v4(0x0808_0808), port: 53 };
    let send = |host: &mut Host| {
        host.with(now, |_, cx| {
            let socket = cx.udp_bind(None, 5353).unwrap_or(crate::UdpId(0));
            cx.udp_send(socket, None, far, b"?")
        })
    };
    assert_eq!(send(&mut host), Err(crate::UdpError::NoRoute));
    let gateway = Some(addr(254));
    assert!(host.with(now, |_, cx| cx.set_gateway(0, true, gateway)).is_err(), "no neighbour yet");
    host.with(now, |_, cx| cx.add_address(0, addr(1), 24)).expect("free");
    host.with(now, |_, cx| cx.set_gateway(0, true, gateway)).expect("a neighbour");
    assert_eq!(send(&mut host), Ok(()));
    assert_eq!(host.next_deadline(), Some(now), "what was said between turns is due");
    assert_eq!((host.check(), host.census().waiting), (Ok(()), 1));
    host.turn(now);
    assert_eq!((host.check(), host.census().waiting), (Ok(()), 1), "now for the neighbour");
    assert_ne!(host.next_deadline(), Some(now));
    host.with(now, |_, cx| cx.set_gateway(0, true, None)).expect("always");
    assert_eq!(send(&mut host), Err(crate::UdpError::NoRoute));
    let more =
        |cx: &mut Cx<'_>| (2..200).filter(|&n| cx.add_address(0, addr(n), 24).is_ok()).count();
    assert_eq!(host.with(now, |_, cx| more(cx)), limits::ADDRESSES_MAX);
}

/// A way that was found for a destination is not taken once an address or a gateway has changed.
#[test]
fn connections_leave_as_addresses_and_gateways_are_now() {
    let now = Instant(1_000_000);
    let mut host = hosts(1, vec![(addr(1), 24)], 1).remove(0);
    let far = Endpoint { addr: Addr::v4(0x0808_0808), port: 53 };
    let leave = |host: &mut Host| {
        host.with(now, |_, cx| {
            let conn = cx.connect(far, None, SocketOptions::default())?;
            Ok(cx.endpoints(conn).map(|(local, _)| local.addr))
        })
    };
    host.with(now, |_, cx| cx.set_gateway(0, true, Some(addr(254)))).expect("a neighbour");
    assert_eq!([leave(&mut host), leave(&mut host)], [Ok(Some(addr(1))); 2]);
    host.with(now, |_, cx| cx.set_gateway(0, true, None)).expect("always");
    assert_eq!(leave(&mut host), Err(ConnectError::NoRoute));
    host.with(now, |_, cx| cx.set_gateway(0, true, Some(addr(254)))).expect("a neighbour");
    assert_eq!(leave(&mut host), Ok(Some(addr(1))));
    host.with(now, |_, cx| cx.add_address(0, addr(2), 24)).expect("free");
    assert!(host.with(now, |_, cx| cx.remove_address(0, addr(1))));
    assert_eq!(leave(&mut host), Ok(Some(addr(2))));
    host.with(now, |_, cx| cx.add_address(0, Addr::v4(0x0808_0801), 24)).expect("free");
    assert_eq!(leave(&mut host), Ok(Some(Addr::v4(0x0808_0801))), "on its link now");
}

/// An answer to a DHCP client, to an address that nobody has.
fn offer(to: Mac) -> Vec<u8> {
    let mut frame = vec![0; 14 + 20 + 8 + 4];
    ethernet::emit(&mut frame, to, Mac([2, 0, 0, 0, 0, 9]), ethernet::IPV4);
    let header = ip::HeaderV4 {
        src: addr(9),
        dst: addr(77),
        protocol: ip::UDP,
        payload_bytes: 12,
        hop_limit: 64,
        traffic_class: 0,
        identification: 0,
        dont_fragment: true,
        checksum: true,
    };
    ip::emit_v4(&mut frame[14..], &header);
    udp::emit(&mut frame[34..], &udp::Datagram { src_port: 67, dst_port: 68, payload_bytes: 4 });
    frame
}

#[test]
fn answers_to_an_unnumbered_client_reach_core_0_by_any_core() {
    let now = Instant(1_000_000);
    let mut cores = hosts(1, vec![], 2);
    let frame = offer(Mac([2, 0, 0, 0, 0, 1]));
    let turn_all = |cores: &mut Vec<Host>| {
        for core in [1, 0, 1, 0] {
            cores[core].turn(now);
        }
    };
    for core in [0, 1] {
        cores[core].queue_mut(0).expect("one").feed(frame.clone());
        turn_all(&mut cores);
    }
    assert!(cores[0].app().frames.is_empty(), "nobody attends");
    cores.iter_mut().for_each(|core| core.with(now, |_, cx| cx.attend()));
    for core in [0, 1] {
        cores[core].queue_mut(0).expect("one").feed(frame.clone());
        turn_all(&mut cores);
        assert_eq!(cores[0].app().frames, vec![frame.clone(); core + 1]);
        assert!(cores[1].app().frames.is_empty());
    }
    cores[0].with(now, |_, cx| cx.send_frame(0, &frame)).expect("room");
    cores[0].turn(now);
    assert_eq!(cores[0].queue_mut(0).expect("one").take(), [frame]);
}

#[test]
fn whoever_tends_is_woken_beside_the_application() {
    let mut host = hosts(1, vec![], 1).remove(0);
    let at = Instant(1_250_000);
    host.with(Instant(1_000_000), |_, cx| cx.tend_at(Some(at)));
    host.turn(Instant(1_100_000));
    assert_eq!((host.app().tended, host.next_deadline()), (0, Some(at)));
    host.turn(at);
    assert_eq!(host.app().tended, 1);
}

#[test]
fn the_time_of_day_gains_without_a_step() {
    let wall = Wall {
        since: Instant(1_000_000),
        then: Duration::from_secs(100),
        gain_ppm: 500,
        until: Instant(3_000_000),
    };
    assert_eq!(Wall::UNKNOWN.at(Instant(5)), None);
    assert_eq!(wall.at(Instant(1_000_000)), Some(Duration::from_secs(100)));
    assert_eq!(wall.at(Instant(2_000_000)), Some(Duration(101_000_500)));
    assert_eq!(wall.at(Instant(11_000_000)), Some(Duration(110_001_000)));
}
