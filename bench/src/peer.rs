//! smoltcp as a subject: a pool of listening sockets, as its own examples serve HTTP.
//!
//! It is given what it does best with: one burst through `poll_ingress_single`, the application
//! once over its sockets, one `poll_egress`; no more sockets than connections at once; sockets in
//! TIME-WAIT listen again at once, which its API allows and which costs it no record.

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Address, Ipv6Address};

use penstock_queue::BURST_MAX;

use crate::card::{Card, ChecksumBy, Departure};
use crate::frames::{GATEWAY_V4, GATEWAY_V6, RESPONSE, SERVER_MAC, SERVER_V4, SERVER_V6};
use crate::subject::{Head, LISTEN_FIRST, Population, Setup, Subject};

/// Bytes of each socket's receive and transmit buffer: enough for one request or response.
const BUFFER_BYTES: usize = 1024;

/// smoltcp behind the card.
pub struct Smoltcp {
    interface: Interface,
    sockets: SocketSet<'static>,
    responders: Vec<Responder>,
    /// Responders whose socket is to listen again.
    finished: Vec<usize>,
    wire: Wire,
}

struct Responder {
    socket: SocketHandle,
    port: u16,
    head: Head,
}

struct Wire {
    card: Card,
    checksums: ChecksumCapabilities,
}

impl Smoltcp {
    /// A server of `setup`.
    ///
    /// # Panics
    /// When smoltcp refuses its addresses or routes: a defect of this adapter.
    pub fn new(setup: &Setup) -> Smoltcp {
        let checksums = match setup.checksums {
            ChecksumBy::Software => ChecksumCapabilities::default(),
            ChecksumBy::Card => ChecksumCapabilities::ignored(),
        };
        let mut wire = Wire { card: Card::new(setup.checksums), checksums };
        let config = Config::new(EthernetAddress(SERVER_MAC).into());
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for cidr in [
                IpCidr::new(IpAddress::Ipv4(Ipv4Address::from(SERVER_V4)), 24),
                IpCidr::new(IpAddress::Ipv6(Ipv6Address::from(SERVER_V6)), 64),
            ] {
                addresses.push(cidr).expect("smoltcp holds two addresses by default");
            }
        });
        let routes = interface.routes_mut();
        routes.add_default_ipv4_route(GATEWAY_V4.into()).expect("the first IPv4 route");
        routes.add_default_ipv6_route(GATEWAY_V6.into()).expect("the first IPv6 route");

        // The other listeners stand first: a linear scan passes them, as it passes idle sockets.
        let mut sockets = SocketSet::new(Vec::new());
        let mut responders = Vec::new();
        let others = (1..setup.listeners).map(|i| LISTEN_FIRST + i);
        let pool = std::iter::repeat_n(LISTEN_FIRST, (setup.connections + setup.idle) as usize);
        for port in others.chain(pool) {
            let mut socket = Socket::new(
                SocketBuffer::new(vec![0; BUFFER_BYTES]),
                SocketBuffer::new(vec![0; BUFFER_BYTES]),
            );
            socket.listen(port).expect("a closed socket listens");
            responders.push(Responder { socket: sockets.add(socket), port, head: Head::default() });
        }
        let finished = Vec::with_capacity(responders.len());
        Smoltcp { interface, sockets, responders, finished, wire }
    }
}

impl Subject for Smoltcp {
    fn card(&mut self) -> &mut Card {
        &mut self.wire.card
    }

    fn poll(&mut self, now_us: u64) {
        let now = Instant::from_micros(now_us as i64);
        for _ in 0..BURST_MAX {
            let result = self.interface.poll_ingress_single(now, &mut self.wire, &mut self.sockets);
            if result == PollIngressSingleResult::None {
                break;
            }
        }
        for (at, responder) in self.responders.iter_mut().enumerate() {
            let socket = self.sockets.get_mut::<Socket<'_>>(responder.socket);
            responder.serve(socket);
            if matches!(socket.state(), State::Closed | State::TimeWait) {
                self.finished.push(at);
            }
        }
        self.interface.poll_egress(now, &mut self.wire, &mut self.sockets);
        // Only now: the egress has acknowledged the client's FIN.
        for at in self.finished.drain(..) {
            let Responder { socket, port, .. } = self.responders[at];
            // Refused only by a socket that is open, and these are not.
            let _ = self.sockets.get_mut::<Socket<'_>>(socket).listen(port);
        }
    }

    fn population(&self) -> Population {
        let mut population = Population::default();
        for responder in &self.responders {
            match self.sockets.get::<Socket<'_>>(responder.socket).state() {
                State::Closed | State::Listen => {}
                State::SynReceived => population.half_open += 1,
                State::TimeWait => population.time_wait += 1,
                _ => population.connections += 1,
            }
        }
        population
    }
}

impl Responder {
    fn serve(&mut self, socket: &mut Socket<'_>) {
        if socket.can_recv() {
            let head = &mut self.head;
            let complete = socket.recv(|bytes| (bytes.len(), head.take(bytes))).unwrap_or(false);
            if complete {
                self.head = Head::default();
                // A buffer of 1024 bytes that was empty takes the whole response.
                let _ = socket.send_slice(RESPONSE);
                socket.close();
            }
        }
    }
}

impl Device for Wire {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, Transmit<'_>)> {
        let (frame, departure) = self.card.take()?;
        Some((Received(frame), Transmit(departure)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmit<'_>> {
        self.card.depart().map(Transmit)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities.checksum = self.checksums.clone();
        capabilities
    }
}

struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

struct Transmit<'a>(Departure<'a>);

impl phy::TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.send(len, f)
    }
}
