//! Two hosts on two cables: a listener of one interface hears those who come in there and nobody else,
//! and a connection leaves by the interface that it was told.

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::{
    App, Capacity, Close, Config, ConnId, ConnectError, Cx, Endpoint, Instant, Interface,
    ListenError, ListenerId, Origin, Route, SocketOptions, Steering, Tcp, Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

/// Notes who came in, and what became of those who left.
#[derive(Default)]
struct Notes {
    accepted: Vec<ListenerId>,
    connected: Vec<ConnId>,
    refused: Vec<ConnId>,
}

impl App for Notes {
    fn on_accept(&mut self, _: &mut Cx<'_>, _: ConnId, listener: ListenerId) {
        self.accepted.push(listener);
    }

    fn on_connected(&mut self, _: &mut Cx<'_>, conn: ConnId) {
        self.connected.push(conn);
    }

    fn on_connect_failed(&mut self, _: &mut Cx<'_>, conn: ConnId, _: Close) {
        self.refused.push(conn);
    }
}

type Host = Worker<MemoryQueue, Notes>;

/// 10.0.`net`.`last`
fn addr(net: u32, last: u32) -> Addr {
    Addr::v4(0x0a00_0000 + (net << 8) + last)
}

/// A host at 10.0.0.`last` and 10.0.1.`last`, with a default route over the first.
fn host(last: u8) -> Host {
    let interface = |net: u8| Interface {
        mac: Mac([2, 0, 0, 0, net, last]),
        mtu: 1500,
        addresses: vec![(addr(net.into(), last.into()), 24)],
        steering: Steering::Unknown,
    };
    let gateway = Some(addr(0, 2));
    let route = Route { network: Addr::v4(0), prefix_bits: 0, gateway, interface: 0 };
    let config = Config {
        interfaces: vec![interface(0), interface(1)],
        routes: vec![route],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity { connections: 64, chunks: 64, ..Capacity::default() },
        tcp: Tcp::default(),
        seed: [last; 32],
    };
    let post = mail::network(rfd::Cores::new(1).expect("one"), 4).remove(0);
    let queues = vec![MemoryQueue::new(1500), MemoryQueue::new(1500)];
    let mut host = Worker::new(config, 0, queues, Chunks::new(64), post, Notes::default())
        .unwrap_or_else(|error| panic!("{error}"));
    host.start(BEGIN);
    host
}

/// Carries frames both ways on both cables until nobody has more to say.
fn converse(one: &mut Host, other: &mut Host) {
    loop {
        for host in [&mut *one, other] {
            while host.turn(BEGIN).more {}
        }
        let mut any = false;
        for cable in 0..2 {
            let frames = [&mut *one, other].map(|host| host.queue_mut(cable).expect("two").take());
            let [from_one, from_other] = frames;
            any |= !from_one.is_empty() || !from_other.is_empty();
            for frame in from_one {
                other.queue_mut(cable).expect("two").feed(frame);
            }
            for frame in from_other {
                one.queue_mut(cable).expect("two").feed(frame);
            }
        }
        if !any {
            return;
        }
    }
}

const BEGIN: Instant = Instant(1_000_000);
#[test]
fn a_listener_of_an_interface_hears_who_comes_in_there() {
    let (mut client, mut server) = (host(1), host(2));
    let [front, back, own] = server.with(BEGIN, |_, cx| {
        let listen = |cx: &mut Cx<'_>, interface, addr, port| {
            cx.listen_on(Some(interface), addr, port, SocketOptions::default())
        };
        let missing = Err(ListenError::NoSuchAddress);
        assert_eq!(listen(cx, 2, None, 80), missing, "there are two");
        assert_eq!(listen(cx, 0, Some(addr(1, 2)), 80), missing, "the other one's address");
        let front = listen(cx, 0, None, 80).expect("free");
        assert_eq!(listen(cx, 0, None, 80), Err(ListenError::InUse));
        let back = listen(cx, 1, None, 80).expect("another interface");
        let own = listen(cx, 1, Some(addr(1, 2)), 81).expect("its own address");
        [front, back, own]
    });
    let conns = client.with(BEGIN, |_, cx| {
        [(0, 80), (1, 80), (0, 81), (1, 81)].map(|(net, port)| {
            cx.connect(Endpoint { addr: addr(net, 2), port }, None, SocketOptions::default())
                .expect("a port")
        })
    });
    converse(&mut client, &mut server);
    let mut accepted = server.app().accepted.clone();
    accepted.sort();
    assert_eq!(accepted, [front, back, own]);
    assert_eq!(client.app().refused, [conns[2]], "nobody listens there on this cable");
    assert_eq!(client.app().connected.len(), 3);
}

#[test]
fn a_connection_leaves_by_the_interface_it_was_told() {
    let (mut client, mut server) = (host(1), host(2));
    server.with(BEGIN, |_, cx| cx.listen(None, 80, SocketOptions::default())).expect("free");
    let [near, other, far] = [addr(0, 2), addr(1, 2), addr(9, 9)];
    let opened = client.with(BEGIN, |_, cx| {
        let mut leave = |addr, interface, from| {
            let origin = Origin { addr: from, interface: Some(interface), ports: None };
            let conn =
                cx.connect_from(Endpoint { addr, port: 80 }, origin, SocketOptions::default())?;
            Ok(cx.endpoints(conn).expect("there").0.addr)
        };
        assert_eq!(leave(near, 0, None), Ok(addr(0, 1)));
        assert_eq!(leave(other, 1, None), Ok(addr(1, 1)));
        // No route of the second leads there, though one of the first does.
        assert_eq!(leave(near, 1, None), Err(ConnectError::NoRoute));
        assert_eq!(leave(far, 1, None), Err(ConnectError::NoRoute));
        assert_eq!(leave(far, 7, None), Err(ConnectError::NoRoute), "no such interface");
        assert_eq!(leave(other, 1, Some(addr(0, 1))), Err(ConnectError::NoAddress));
        // What is remembered of a destination is nothing of these.
        let usual = cx.connect(Endpoint { addr: near, port: 80 }, None, SocketOptions::default());
        usual.expect("the usual way")
    });
    converse(&mut client, &mut server);
    assert_eq!(server.app().accepted.len(), 3);
    assert!(client.app().connected.contains(&opened));
}
