//! Two workers on one wire: they find each other, talk in both directions, and leave nothing
//! behind.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use penstock_queue::{Capabilities, Checksums, Chunks, Lent, Offload, QueuePair, RxFrame};
use penstock_stack::{
    App, Capacity, Close, Config, ConnId, Cx, Endpoint, Instant, Interface, ListenerId,
    SocketOptions, Steering, Tcp, Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

type Frames = Rc<RefCell<VecDeque<Vec<u8>>>>;

struct Wire {
    incoming: Frames,
    outgoing: Frames,
    burst: Vec<Vec<u8>>,
    slot: Vec<u8>,
}

impl QueuePair for Wire {
    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: 1500, tx_checksums: false, segmentation: false, lent_max: 8 }
    }

    fn recv(&mut self, max: usize) -> usize {
        let mut incoming = self.incoming.borrow_mut();
        let count = incoming.len().min(max);
        self.burst = incoming.drain(..count).collect();
        count
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        let bytes = &self.burst[index];
        RxFrame { bytes, parts: 0, checksums: Checksums::Unverified, hash: None, vlan: None }
    }

    fn part(&self, _index: usize, _part: usize) -> &[u8] {
        &[]
    }

    fn recycle(&mut self) {
        self.burst.clear();
    }

    fn slots(&self) -> usize {
        64
    }

    fn slot(&mut self) -> Option<&mut [u8]> {
        Some(&mut self.slot)
    }

    fn send(&mut self, bytes: usize, lent: &[Lent], _offload: Offload, chunks: &mut Chunks) {
        let mut frame = self.slot[..bytes].to_vec();
        for range in lent {
            frame.extend_from_slice(chunks.range(*range));
        }
        self.outgoing.borrow_mut().push_back(frame);
    }

    fn flush(&mut self) {}

    fn reclaim(&mut self, _chunks: &mut Chunks) {}
}

/// Sends `total` bytes once connected, counts what comes, closes after the peer.
#[derive(Default)]
struct Talker {
    total: usize,
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
        self.push(cx, conn);
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.log.push("connected");
        self.push(cx, conn);
    }

    fn on_data(&mut self, _cx: &mut Cx<'_>, _conn: ConnId, bytes: &[u8]) -> usize {
        self.received.extend_from_slice(bytes);
        bytes.len()
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        if self.sent < self.total {
            self.push(cx, conn);
        }
    }

    fn on_remote_closed(&mut self, _cx: &mut Cx<'_>, _conn: ConnId) {
        self.log.push("remote closed");
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

fn worker(last: u8, incoming: &Frames, outgoing: &Frames, total: usize) -> Worker<Wire, Talker> {
    let wire = Wire {
        incoming: Rc::clone(incoming),
        outgoing: Rc::clone(outgoing),
        burst: Vec::new(),
        slot: vec![0; 2048],
    };
    let post = mail::network(rfd::Cores::new(1).expect("one"), 1).remove(0);
    let app = Talker { total, ..Talker::default() };
    let config = config(last, addrs(last as u32));
    Worker::new(config, 0, vec![wire], Chunks::new(1024), post, app).expect("valid")
}

fn talk(family: usize, client_bytes: usize, server_bytes: usize) {
    let (there, back) = (Frames::default(), Frames::default());
    let mut client = worker(1, &back, &there, client_bytes);
    let mut server = worker(2, &there, &back, server_bytes);
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
        if there.borrow().is_empty() && back.borrow().is_empty() {
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
    let pattern = |total: usize| (0..total).map(|i| i as u8).collect::<Vec<u8>>();
    assert_eq!(server.app().received, pattern(client_bytes));
    assert_eq!(client.app().received, pattern(server_bytes));
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
