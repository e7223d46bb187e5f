//! Connections from ports that the application names.

use penstock_queue::{Chunks, MemoryQueue};
use penstock_stack::rfd::{self, PortRange};
use penstock_stack::{
    App, Capacity, Config, ConnectError, Cx, Endpoint, Instant, Interface, Origin, SocketOptions,
    Steering, Tcp, Worker, mail,
};
use penstock_wire::{Addr, Mac};

struct Nobody;

impl App for Nobody {}

fn host() -> Worker<MemoryQueue, Nobody> {
    let config = Config {
        interfaces: vec![Interface {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            addresses: vec![(addr(1), 24)],
            steering: Steering::Unknown,
        }],
        routes: vec![],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity { connections: 128, chunks: 256, ..Capacity::default() },
        tcp: Tcp::default(),
        seed: [1; 32],
    };
    let post = mail::network(rfd::Cores::new(1).expect("one"), 4).remove(0);
    let queues = vec![MemoryQueue::new(1500)];
    Worker::new(config, 0, queues, Chunks::new(256), post, Nobody).expect("good")
}

fn addr(last: u32) -> Addr {
    Addr::v4(0x0a00_0000 + last)
}

#[test]
fn a_range_is_kept_to_until_it_is_used_up() {
    let mut host = host();
    let range = PortRange::new(1000, 1003).expect("a range");
    host.with(Instant(1_000_000), |_: &mut Nobody, cx: &mut Cx<'_>| {
        let options = SocketOptions::default();
        cx.claim_ports(range);
        cx.listen(None, 1002, options).expect("free");
        let near = Endpoint { addr: addr(2), port: 80 };
        let far = Endpoint { port: 81, ..near };
        let origin = Origin { addr: Some(addr(1)), ports: Some(range), interface: None };
        let leave = |cx: &mut Cx<'_>, to| cx.connect_from(to, origin, options);
        let conns: Vec<_> = (0..3).map(|_| leave(cx, near).expect("a port")).collect();
        let port = |cx: &Cx<'_>, conn| cx.endpoints(conn).expect("there").0.port;
        let mut ports: Vec<u16> = conns.iter().map(|&conn| port(cx, conn)).collect();
        ports.sort_unstable();
        assert_eq!(ports, [1000, 1001, 1003], "all that nobody listens on, each once");
        assert_eq!(leave(cx, near), Err(ConnectError::PortsExhausted));
        let other = leave(cx, far).expect("the tuple decides");
        assert!(range.contains(port(cx, other)));
        let usual = cx.connect(near, None, options).expect("the stack's own ports are free");
        assert!(port(cx, usual) >= 32_768);
    });
}
