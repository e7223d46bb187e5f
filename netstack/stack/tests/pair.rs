//! Two workers on one wire: they find each other, talk in both directions, and leave nothing
//! behind.

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::{
    App, Capacity, Close, Config, ConnId, Cx, Duration, Endpoint, Instant, Interface, ListenerId,
    SocketOptions, Steering, Tcp, Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

/// Sends `total` bytes once connected, counts what comes, closes after the peer. One that echoes sends
/// back what comes instead, and takes no more than it can send.
#[derive(Default)]
struct Talker {
    total: usize,
    echoes: bool,
    /// It takes nothing before it knows that the peer has closed.
    waits_for_end: bool,
    sent: usize,
    received: Vec<u8>,
    closed: Option<Close>,
    log: Vec<&'static str>,
}

impl Talker {
    fn push(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        while self.sent < self.total {
            let bytes: Vec<u8> =
                (self.sent..self.total.min(self.sent + 1000)).map(|i| i as u8).collect();
            let taken = cx.send(conn, &bytes);
            self.sent += taken;
            if taken == 0 {
                return;
            }
        }
        cx.shutdown(conn);
    }
}

impl App for Talker {
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, _listener: ListenerId) {
        self.log.push("accept");
        if !self.echoes {
            self.push(cx, conn);
        }
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.log.push("connected");
        self.push(cx, conn);
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        if self.waits_for_end {
            return 0;
        }
        let taken = if self.echoes { cx.send(conn, bytes) } else { bytes.len() };
        self.received.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        if self.sent < self.total {
            self.push(cx, conn);
        }
        if self.echoes {
            cx.resume(conn);
        }
    }

    fn on_remote_closing(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.log.push("remote closing");
        self.waits_for_end = false;
        cx.resume(conn);
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.log.push("remote closed");
        if self.echoes {
            cx.shutdown(conn);
        }
    }

    fn on_closed(&mut self, _cx: &mut Cx<'_>, _conn: ConnId, reason: Close) {
        self.closed = Some(reason);
    }
}

fn config(last: u8, addrs: [Addr; 2]) -> Config {
    Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            addresses: vec![(addrs[0], 24), (addrs[1], 64)],
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity {
            connections: 64,
            flights: 64,
            half_open: 16,
            time_wait: 64,
            chunks: 1024,
            ..Capacity::default()
        },
        tcp: Tcp::default(),
        seed: [last; 32],
    }
}

fn addrs(last: u32) -> [Addr; 2] {
    [Addr::v4(0x0a00_0000 + last), Addr { hi: 0x2001_0db8 << 32, lo: last as u64 }]
}

type Host = Worker<MemoryQueue, Talker>;

fn host(last: u8, total: usize) -> Host {
    host_of(config(last, addrs(last as u32)), total)
}

fn host_of(config: Config, total: usize) -> Host {
    let queue = MemoryQueue::new(1500);
    let post = mail::network(rfd::Cores::new(1).expect("one"), 1).remove(0);
    let app = Talker { total, ..Talker::default() };
    Worker::new(config, 0, vec![queue], Chunks::new(1024), post, app).expect("valid")
}

/// Carries what `from` sent to `to`; returns whether there was anything.
fn carry(from: &mut Host, to: &mut Host) -> bool {
    let frames = from.queue_mut(0).expect("one interface").take();
    let any = !frames.is_empty();
    frames.into_iter().for_each(|frame| to.queue_mut(0).expect("one interface").feed(frame));
    any
}

fn talk(family: usize, client_bytes: usize, server_bytes: usize) {
    let (mut client, mut server) = (host(1, client_bytes), host(2, server_bytes));
    converse(family, &mut client, &mut server);
    let pattern = |total: usize| (0..total).map(|i| i as u8).collect::<Vec<u8>>();
    assert_eq!(server.app().received, pattern(client_bytes));
    assert_eq!(client.app().received, pattern(server_bytes));
}

/// One connection from its beginning to its end.
fn converse(family: usize, client: &mut Host, server: &mut Host) {
    let mut now = Instant(1_000_000);
    client.start(now);
    server.start(now);
    server.with(now, |_, cx| cx.listen(None, 80, SocketOptions::default())).expect("free");
    let remote = Endpoint { addr: addrs(2)[family], port: 80 };
    client.with(now, |_, cx| cx.connect(remote, None, SocketOptions::default())).expect("free");
    for _ in 0..100_000 {
        client.turn(now);
        client.check().expect("sound");
        server.turn(now);
        server.check().expect("sound");
        let there = carry(client, server);
        let back = carry(server, client);
        if !there && !back {
            let next = [client.next_deadline(), server.next_deadline()];
            let Some(next) = next.into_iter().flatten().min() else { break };
            if client.census().connections + server.census().connections == 0 {
                break;
            }
            now = next.max(Instant(now.0 + 1));
        } else {
            now = Instant(now.0 + 50);
        }
    }
    assert_eq!(client.app().closed, Some(Close::Finished), "{:?}", client.app().log);
    assert_eq!(server.app().closed, Some(Close::Finished), "{:?}", server.app().log);
    assert_eq!(client.census().flights + server.census().flights, 0);
    assert_eq!(client.census().chunks_free, 1024);
    assert_eq!(server.census().chunks_free, 1024);
}

#[test]
fn short_and_long_in_both_families() {
    for family in [0, 1] {
        talk(family, 0, 0);
        talk(family, 100, 200);
        talk(family, 100_000, 10);
        talk(family, 1_000_000, 2_000_000);
    }
}

/// The last acknowledgement may come with data, while older data is still unread: what the application
/// asked for when it heard of the one must not be forgotten for the other.
#[test]
fn an_echo_that_takes_what_it_can_send_comes_to_an_end() {
    for family in [0, 1] {
        let mut client = host(1, 1_000_000);
        let mut small = config(2, addrs(2));
        small.capacity.send_buffer_bytes = 10_000;
        let mut server = host_of(small, 0);
        server.app_mut().echoes = true;
        converse(family, &mut client, &mut server);
        assert_eq!(client.app().received.len(), 1_000_000);
        assert_eq!(client.app().received, server.app().received);
    }
}

/// A FIN behind bytes that nobody takes is told of, before any of them.
#[test]
fn an_end_behind_what_is_not_taken_is_told() {
    for (family, bytes) in [(0, 100), (1, 100), (0, 10_000)] {
        let (mut client, mut server) = (host(1, bytes), host(2, 0));
        server.app_mut().waits_for_end = true;
        converse(family, &mut client, &mut server);
        assert_eq!(server.app().received.len(), bytes);
        assert_eq!(server.app().log, ["accept", "remote closing", "remote closed"]);
    }
}

#[test]
fn a_full_transmit_ring_does_not_keep_the_worker_awake() {
    let (mut client, mut server) = (host(1, 5_000), host(2, 0));
    let mut now = Instant(1_000_000);
    client.start(now);
    server.start(now);
    server.with(now, |_, cx| cx.listen(None, 80, SocketOptions::default())).expect("free");
    let remote = Endpoint { addr: addrs(2)[0], port: 80 };
    client.with(now, |_, cx| cx.connect(remote, None, SocketOptions::default())).expect("free");
    client.queue_mut(0).expect("one interface").limit_slots(2);
    client.turn(now);
    while client.app().log.is_empty() {
        carry(&mut client, &mut server);
        server.turn(now);
        carry(&mut server, &mut client);
        client.turn(now);
    }
    // Two of four segments found a slot; both lie in the ring until the card takes them.
    for _ in 0..3 {
        let turn = client.turn(now);
        assert!(!turn.more, "{turn:?}");
        assert_eq!(client.next_deadline(), Some(now + Duration::from_micros(50)));
        now = now + Duration::from_micros(50);
    }
    assert!(carry(&mut client, &mut server));
    assert_eq!(client.turn(now).sent, 2, "slots are free");
    assert!(client.next_deadline() > Some(now + Duration::from_micros(50)), "nothing waits");
}

/// Whoever aborts at the moment for which he had set a timer is still told of by a RST.
#[test]
fn an_abort_is_told_though_a_timer_is_due() {
    let (mut client, mut server) = (host(1, 1_000_000), host(2, 0));
    server.app_mut().echoes = true;
    let mut now = Instant(1_000_000);
    client.start(now);
    server.start(now);
    server.with(now, |_, cx| cx.listen(None, 80, SocketOptions::default())).expect("free");
    let remote = Endpoint { addr: addrs(2)[0], port: 80 };
    let conn = client.with(now, |_, cx| cx.connect(remote, None, SocketOptions::default()));
    let conn = conn.expect("free");
    client.turn(now);
    while server.app().log.is_empty() {
        carry(&mut client, &mut server);
        server.turn(now);
        carry(&mut server, &mut client);
        client.turn(now);
    }
    client.with(now, |_, cx| cx.set_timer(conn, Some(Duration::from_millis(10))));
    now = now + Duration::from_millis(10);
    client.with(now, |_, cx| cx.abort(conn));
    client.turn(now);
    carry(&mut client, &mut server);
    server.turn(now);
    assert_eq!(server.app().closed, Some(Close::Reset));
    assert_eq!(client.census().connections, 0);
}
