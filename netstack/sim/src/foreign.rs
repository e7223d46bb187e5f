//! A host that runs smoltcp's TCP: a foreign peer, which reads the RFCs with other eyes.
//!
//! It plays the same scripts from the same ledger, reading eagerly.

use std::collections::VecDeque;
use std::rc::Rc;

use penstock_stack::{Close, Endpoint};
use penstock_wire::Addr;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};

use crate::frame::Frame;
use crate::ledger::{End, Ending, HEADER_BYTES, Opening, Side, differs, named_by, say};
use crate::plan::HostPlan;
use crate::scene::{Check, Scene};
use penstock_fault::Rng;

/// The foreign host at work.
pub(crate) struct Foreign {
    pub(crate) plan: HostPlan,
    scene: Rc<Scene>,
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    talks: Vec<Talk>,
    rng: Rng,
    next_port: u16,
}

/// One socket's part.
struct Talk {
    handle: SocketHandle,
    side: Side,
    port: u16,
    conversation: Option<u32>,
    header: Vec<u8>,
    sent: u64,
    received: u64,
    is_open: bool,
    is_shut: bool,
    is_noted: bool,
}

/// Frames on their way in and out.
struct Wire {
    inbox: VecDeque<Frame>,
    outbox: VecDeque<Frame>,
    mtu: usize,
}

/// A received frame.
struct Incoming(Frame);
/// Room for a frame to be sent.
struct Outgoing<'a>(&'a mut VecDeque<Frame>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        let mut frame = vec![0; bytes];
        let result = write(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let frame = self.inbox.pop_front()?;
        Some((Incoming(frame), Outgoing(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

impl Foreign {
    pub(crate) fn new(scene: &Rc<Scene>, number: usize, plan: HostPlan, seed: u64) -> Foreign {
        let planned = &plan.config.interfaces[0];
        let mtu = planned.mtu as usize;
        let mut wire = Wire { inbox: VecDeque::new(), outbox: VecDeque::new(), mtu };
        let mut config = Config::new(EthernetAddress(planned.mac.0).into());
        let mut rng = Rng::new(seed, &format!("foreign {number}"));
        config.random_seed = rng.draw();
        let now = instant(scene);
        let mut interface = Interface::new(config, &mut wire, now);
        interface.update_ip_addrs(|list| {
            for &(addr, bits) in &planned.addresses {
                // There is room for two, and a world plans no more.
                let _ = list.push(IpCidr::new(address(addr), bits));
            }
        });
        for route in &plan.config.routes {
            let outcome = match route.gateway.map(address) {
                Some(IpAddress::Ipv4(gateway)) => {
                    interface.routes_mut().add_default_ipv4_route(gateway).is_ok()
                }
                Some(IpAddress::Ipv6(gateway)) => {
                    interface.routes_mut().add_default_ipv6_route(gateway).is_ok()
                }
                None => true,
            };
            debug_assert!(outcome);
        }
        let mut foreign = Foreign {
            plan,
            scene: Rc::clone(scene),
            wire,
            interface,
            sockets: SocketSet::new(Vec::new()),
            talks: Vec::new(),
            rng,
            next_port: 49152,
        };
        foreign.listen();
        foreign
    }

    /// A frame arrives.
    pub(crate) fn accept(&mut self, frame: Frame) {
        self.wire.inbox.push_back(frame);
    }

    /// Frames it sent since the last call.
    pub(crate) fn take_sent(&mut self) -> VecDeque<Frame> {
        std::mem::take(&mut self.wire.outbox)
    }

    pub(crate) fn open_count(&self) -> usize {
        self.talks.iter().filter(|talk| talk.is_open && !talk.is_noted).count()
    }

    pub(crate) fn step(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let now = instant(&self.scene);
            self.interface.poll(now, &mut self.wire, &mut self.sockets);
            let mut moved = false;
            for at in 0..self.talks.len() {
                moved |= self.attend(at);
            }
            self.talks.retain(|talk| {
                let is_gone = talk.is_noted
                    && self.sockets.get::<Socket>(talk.handle).state() == State::Closed;
                if is_gone {
                    self.sockets.remove(talk.handle);
                }
                !is_gone
            });
            self.listen();
            if !moved && self.wire.inbox.is_empty() {
                break;
            }
        }
    }

    pub(crate) fn next_wake_us(&mut self) -> Option<u64> {
        let now_us = self.scene.now_us();
        let at = self.interface.poll_at(instant(&self.scene), &self.sockets)?;
        Some((at.total_micros() as u64).max(now_us + 1))
    }

    pub(crate) fn start(&mut self, conversation: u32) {
        let plan = self.scene.ledger.borrow().records[conversation as usize].plan.clone();
        let handle = self.sockets.add(self.make_socket());
        let port = self.next_port;
        self.next_port = if port == u16::MAX { 49152 } else { port + 1 };
        let remote = IpEndpoint::new(address(plan.addr), plan.port);
        let own = self.plan.config.interfaces[0].addresses.iter();
        let local = own.map(|(addr, _)| *addr).find(|addr| addr.is_v4() == plan.addr.is_v4());
        let socket = self.sockets.get_mut::<Socket>(handle);
        let outcome = match local {
            Some(local) => {
                let from = Endpoint { addr: local, port };
                let to = Endpoint { addr: plan.addr, port: plan.port };
                self.scene.ledger.borrow_mut().connects(conversation, from, to);
                socket.connect(self.interface.context(), remote, (address(local), port)).is_ok()
            }
            None => false,
        };
        debug_assert!(outcome, "{remote} cannot be reached");
        self.scene.ledger.borrow_mut().record(conversation).is_started = true;
        let mut talk = Talk::new(handle, Side::Initiator, port);
        talk.conversation = Some(conversation);
        self.talks.push(talk);
    }

    fn make_socket(&self) -> Socket<'static> {
        let capacity = &self.plan.config.capacity;
        let buffer = |bytes: u32| SocketBuffer::new(vec![0; bytes.min(65535) as usize]);
        let mut socket =
            Socket::new(buffer(capacity.receive_window_bytes), buffer(capacity.send_buffer_bytes));
        socket.set_timeout(Some(Duration::from_secs(120)));
        socket.set_keep_alive(Some(Duration::from_secs(20)));
        socket
    }

    /// Keeps enough sockets listening; smoltcp has no backlog.
    fn listen(&mut self) {
        for port in self.plan.ports.clone() {
            let is_spare = |talk: &&Talk| {
                talk.port == port && self.sockets.get::<Socket>(talk.handle).is_listening()
            };
            let spare = self.talks.iter().filter(is_spare).count();
            for _ in spare..LISTENING {
                let handle = self.sockets.add(self.make_socket());
                let outcome = self.sockets.get_mut::<Socket>(handle).listen(port);
                debug_assert!(outcome.is_ok());
                self.talks.push(Talk::new(handle, Side::Acceptor, port));
            }
        }
    }

    /// Plays one socket's part; whether anything moved.
    fn attend(&mut self, at: usize) -> bool {
        let talk = &mut self.talks[at];
        let socket = self.sockets.get_mut::<Socket>(talk.handle);
        if talk.is_noted || socket.state() == State::Listen || socket.state() == State::SynSent {
            return false;
        }
        if socket.state() == State::SynReceived {
            // A reset would bring it back to listening.
            return false;
        }
        if !talk.is_open && socket.state() != State::Closed {
            talk.is_open = true;
            if let Some(conversation) = talk.conversation {
                let mut ledger = self.scene.ledger.borrow_mut();
                ledger.record(conversation).side_mut(talk.side).is_open = true;
            }
        }
        let mut moved = talk.hear(socket, &self.scene);
        moved |= talk.speak(socket, &self.scene, &mut self.rng);
        if let State::Closed | State::TimeWait = socket.state() {
            let is_finished = talk.is_shut && !talk.expects_more(&self.scene);
            let reason = if is_finished { Close::Finished } else { Close::Reset };
            talk.note(&self.scene, End::Closed(reason));
        }
        moved
    }
}

impl Talk {
    fn new(handle: SocketHandle, side: Side, port: u16) -> Talk {
        Talk {
            handle,
            side,
            port,
            conversation: None,
            header: Vec::new(),
            sent: 0,
            received: 0,
            is_open: false,
            is_shut: false,
            is_noted: false,
        }
    }

    fn note(&mut self, scene: &Scene, end: End) {
        self.is_noted = true;
        if let Some(conversation) = self.conversation {
            scene.ledger.borrow_mut().record(conversation).side_mut(self.side).end = Some(end);
            let (side, port) = (self.side, self.port);
            scene.tell(|| {
                format!("smoltcp: conversation {conversation} {side:?} {port} ends: {end:?}")
            });
        }
    }

    fn expects_more(&self, scene: &Scene) -> bool {
        let Some(conversation) = self.conversation else { return false };
        let ledger = scene.ledger.borrow();
        let record = &ledger.records[conversation as usize];
        self.received < record.plan.script(self.side.other()).bytes
    }

    fn hear(&mut self, socket: &mut Socket<'static>, scene: &Scene) -> bool {
        let mut moved = false;
        while socket.can_recv() {
            let heard = socket.recv(|bytes| (bytes.len(), bytes.to_vec()));
            let Ok(bytes) = heard else { break };
            moved = true;
            self.judge(&bytes, scene);
        }
        moved
    }

    fn judge(&mut self, bytes: &[u8], scene: &Scene) {
        if self.side == Side::Acceptor && self.header.len() < HEADER_BYTES as usize {
            let missing = HEADER_BYTES as usize - self.header.len();
            self.header.extend_from_slice(&bytes[..missing.min(bytes.len())]);
            if let Ok(header) = <[u8; 8]>::try_from(&self.header[..]) {
                self.conversation = named_by(header);
                match self.conversation {
                    Some(conversation) => {
                        scene.ledger.borrow_mut().record(conversation).acceptor.is_open = true;
                    }
                    None => scene.violate(Check::Prefix, "smoltcp got a stream without header"),
                }
            }
        }
        let other = self.side.other();
        let received = self.received + bytes.len() as u64;
        if let Some(conversation) = self.conversation {
            if let Some(at) = differs(conversation, other, self.received, bytes) {
                let text = format!("conversation {conversation}: smoltcp got a wrong byte at {at}");
                scene.violate(Check::Prefix, text);
            }
            let mut ledger = scene.ledger.borrow_mut();
            ledger.record(conversation).side_mut(self.side).received = received;
        }
        self.received = received;
    }

    fn speak(&mut self, socket: &mut Socket<'static>, scene: &Scene, rng: &mut Rng) -> bool {
        let Some(conversation) = self.conversation else { return false };
        if self.is_shut || !socket.may_send() {
            return false;
        }
        let script = scene.ledger.borrow().records[conversation as usize].plan.script(self.side);
        if let Ending::Abort(after) | Ending::Leave(after) = script.ending
            && self.sent + self.received >= after
        {
            socket.abort();
            self.note(scene, End::Aborted);
            return true;
        }
        let mut limit = match script.opening {
            Opening::AtOnce => script.bytes,
            Opening::AfterFirst if self.received > 0 => script.bytes,
            Opening::AfterAll if !socket.may_recv() => script.bytes,
            _ => 0,
        };
        if self.side == Side::Initiator {
            limit = limit.max(HEADER_BYTES.min(script.bytes));
        }
        let mut moved = false;
        while self.sent < limit && socket.can_send() {
            let wanted = rng.range(1, script.piece as u64).min(limit - self.sent) as usize;
            let mut piece = vec![0; wanted];
            say(conversation, self.side, self.sent, &mut piece);
            let Ok(taken) = socket.send_slice(&piece) else { break };
            self.sent += taken as u64;
            moved = true;
        }
        let mut ledger = scene.ledger.borrow_mut();
        let progress = ledger.record(conversation).side_mut(self.side);
        progress.sent = self.sent;
        if self.sent == script.bytes {
            socket.close();
            self.is_shut = true;
            progress.is_shut = true;
            moved = true;
        }
        moved
    }
}

fn instant(scene: &Scene) -> Instant {
    Instant::from_micros(scene.now_us() as i64)
}

fn address(addr: Addr) -> IpAddress {
    match std::net::IpAddr::from(addr) {
        std::net::IpAddr::V4(v4) => IpAddress::Ipv4(v4),
        std::net::IpAddr::V6(v6) => IpAddress::Ipv6(v6),
    }
}

/// Rounds at one moment of virtual time.
const ROUNDS_MAX: usize = 32;
/// Sockets that listen on each port.
const LISTENING: usize = 8;
