//! Connections to where nobody answers ARP or NDP end when three questions were asked in vain, each of them
//! and at once, and those that have asked since have three questions of their own.

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::{
    App, Capacity, Close, Config, ConnId, Cx, Endpoint, Instant, Interface, SocketOptions,
    Steering, Tcp, Worker, mail, rfd,
};
use penstock_wire::{Addr, Mac};

/// Notes who failed, when in milliseconds, and why; and tries again so many times.
#[derive(Default)]
struct Caller {
    again: Option<(Endpoint, usize)>,
    failed: Vec<(usize, u64, Close)>,
}

impl App for Caller {
    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.failed.push((conn.index(), cx.now().0 / 1000, reason));
        if let Some((to, left)) = &mut self.again
            && *left > 0
        {
            *left -= 1;
            cx.connect(*to, None, SocketOptions::default()).expect("a port");
        }
    }
}

type Host = Worker<MemoryQueue, Caller>;

fn host() -> Host {
    let config = Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            addresses: vec![(server(0, 1).addr, 24), (server(1, 1).addr, 64)],
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity { connections: 1024, chunks: 64, ..Capacity::default() },
        tcp: Tcp::default(),
        seed: [1; 32],
    };
    let post = mail::network(rfd::Cores::new(1).expect("one"), 4).remove(0);
    let queues = vec![MemoryQueue::new(1500)];
    Worker::new(config, 0, queues, Chunks::new(64), post, Caller::default()).expect("good")
}

fn server(family: usize, last: u32) -> Endpoint {
    let addr = match family {
        0 => Addr::v4(0x0a00_0000 + last),
        _ => Addr { hi: 0x2001_0db8 << 32, lo: last.into() },
    };
    Endpoint { addr, port: 80 }
}

fn connect(host: &mut Host, now: u64, to: Endpoint) -> usize {
    let open = |_: &mut Caller, cx: &mut Cx<'_>| cx.connect(to, None, SocketOptions::default());
    host.with(Instant(now * 1000), open).expect("a port").index()
}

/// Until `until`, a turn for each millisecond.
fn pass(host: &mut Host, now: &mut u64, until: u64) {
    while *now < until {
        *now += 1;
        host.turn(Instant(*now * 1000));
        host.queue_mut(0).expect("one").take();
        host.check().expect("sound");
    }
}

#[test]
fn all_end_that_wait_for_a_silent_neighbour() {
    for family in [0, 1] {
        let (mut host, mut now) = (host(), 10_000);
        host.start(Instant(now * 1000));
        let first: Vec<usize> =
            (0..300).map(|_| connect(&mut host, now, server(family, 9))).collect();
        pass(&mut host, &mut now, 12_990);
        let late = connect(&mut host, now, server(family, 9));
        let other = connect(&mut host, now, server(family, 8));
        assert!(host.app().failed.is_empty());
        pass(&mut host, &mut now, 13_100);
        let mut failed: Vec<usize> = host.app().failed.iter().map(|&(index, ..)| index).collect();
        failed.sort_unstable();
        assert_eq!(failed, [first, vec![late]].concat(), "in family {family}");
        let is_in_time = |&(_, at, reason): &(usize, u64, Close)| {
            (13_000..13_030).contains(&at) && reason == Close::NoNeighbour
        };
        assert!(host.app().failed.iter().all(is_in_time), "{:?}", host.app().failed);
        host.app_mut().failed.clear();
        pass(&mut host, &mut now, 17_000);
        let [(index, at, Close::NoNeighbour)] = host.app().failed[..] else { panic!("it is late") };
        assert!(index == other && (15_990..16_000).contains(&at), "{index} at {at}");
        assert_eq!(host.census().connections, 0);
    }
}

#[test]
fn whoever_tries_again_waits_for_three_questions_more() {
    let (mut host, mut now) = (host(), 10_000);
    host.start(Instant(now * 1000));
    host.app_mut().again = Some((server(0, 9), 3));
    connect(&mut host, now, server(0, 9));
    pass(&mut host, &mut now, 30_000);
    let times: Vec<u64> = host.app().failed.iter().map(|&(_, at, _)| at / 100).collect();
    assert_eq!(times, [130, 160, 190, 220]);
    assert_eq!(host.census().connections, 0);
}
