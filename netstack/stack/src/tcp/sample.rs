//! A connection for tests of the engine alone.

use penstock_wire::tcp::Segment;
use penstock_wire::{Addr, SeqNum};

use super::{Env, Flights, GENERATION_MIN, Handshake, Tcb};
use crate::config::{Capacity, Config, Tcp};
use crate::hash::{AddrId, Tuple};

/// An established connection whose sequence numbers are about to wrap, with a flight of its own.
pub(super) fn established(tcp: Tcp) -> (Env, Tcb, Flights) {
    let config = Config {
        interfaces: alloc::vec![],
        routes: alloc::vec![],
        cores: 1,
        ephemeral_ports: (32_768, 65_535),
        capacity: Capacity::default(),
        tcp,
        seed: [0; 32],
    };
    let env = Env::new(&config);
    let mut tcb = client(&env);
    tcb.complete(&Segment::default(), None, 0, GENERATION_MIN, &env);
    let mut flights = Flights::new(1);
    tcb.flight = flights.alloc(0, tcb.una).expect("one is free");
    (env, tcb, flights)
}

/// A client that has sent a SYN.
fn client(env: &Env) -> Tcb {
    let hand = Handshake {
        iss: SeqNum(7),
        irs: SeqNum(u32::MAX - 5),
        peer_mss: 1460,
        window_scale: Some(7),
        sack: false,
        timestamp: None,
        ts_offset: 0,
        mtu_mss: 1460,
        hop: 0,
        listener: 0,
    };
    let tuple = Tuple { remote: Addr::v4(1), remote_port: 1, local_port: 80, local: AddrId(0) };
    Tcb::half_open(tuple, &hand, env)
}

/// A half-open connection.
pub(crate) fn half_open() -> Tcb {
    client(&established(Tcp::default()).0)
}
