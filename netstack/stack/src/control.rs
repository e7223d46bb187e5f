//! What is not TCP: neighbours, ICMP, UDP. Few packets, so clarity before instructions: each is
//! copied to the scratch buffer, parsed there, and answered from there.

use penstock_queue::{Checksums, ChunkId, Offload, QueuePair};
use penstock_wire::icmp::{self, Message, Outgoing, Quote};
use penstock_wire::{Addr, Mac, arp, ethernet, ip, udp};

use crate::app::{App, Close, Datagram, Endpoint, UdpId};
use crate::core::Core;
use crate::counters::{Drop, Event};
use crate::cx::{Cx, UdpError};
use crate::hash::Tuple;
use crate::icmp::{Trouble, may_complain, trouble};
use crate::limits;
use crate::mail;
use crate::ndp;
use crate::neighbour::{Action, HopId, How};
use crate::receive::Source;
use crate::table::Kind;
use crate::tcp::State;
use crate::transmit;
use crate::worker::Worker;

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// A frame that is not a TCP segment for one of our addresses.
    #[cold]
    pub(crate) fn on_other(&mut self, source: Source) {
        let (bytes, checksums) = self.frame(source);
        let len = bytes.len();
        if let Source::Ring { interface, index } = source {
            let Some(room) = self.scratch.get_mut(..len) else {
                self.core.drop(Drop::TooLong);
                return;
            };
            let frame = self.queues[interface as usize].frame(index as usize);
            room.copy_from_slice(frame.bytes);
            self.scratch_bytes = len;
        }
        let mailed = matches!(source, Source::Scratch { mailed: true, .. });
        if let Err(reason) = self.on_control(source.interface(), checksums, mailed) {
            self.core.drop(reason);
        }
    }

    /// The frame in the scratch buffer.
    fn on_control(
        &mut self,
        interface: u8,
        checksums: Checksums,
        mailed: bool,
    ) -> Result<(), Drop> {
        let bytes = &self.scratch[..self.scratch_bytes];
        let header = ethernet::parse(bytes)?;
        let own = self.core.interfaces.mac(interface);
        if header.dst != own && !header.dst.is_group() {
            return Err(Drop::OtherStation);
        }
        let body = &bytes[ethernet::HEADER_BYTES..];
        let packet = match header.ether_type {
            ethernet::ARP => {
                let packet = arp::parse(body)?;
                return self.on_arp(interface, &packet);
            }
            ethernet::IPV4 => ip::parse_v4(body, checksums == Checksums::Unverified)?,
            ethernet::IPV6 => ip::parse_v6(body)?,
            _ => return Err(Drop::EtherType),
        };
        let ours = self.core.interfaces.find(interface, packet.dst).is_some();
        if !ours && !self.core.interfaces.is_group_member(interface, packet.dst) {
            let group = packet.dst.is_group() || header.dst.is_group();
            return Err(if group { Drop::NotMember } else { Drop::InAddrErrors });
        }
        match packet.protocol {
            ip::TCP => Err(Drop::TcpGroup),
            ip::UDP => self.on_udp(interface, &packet, checksums),
            ip::ICMP if packet.dst.is_v4() => self.on_icmp(interface, &packet, mailed),
            ip::ICMPV6 if !packet.dst.is_v4() => self.on_icmp(interface, &packet, mailed),
            _ => Err(Drop::UnknownProtocol),
        }
    }

    fn on_icmp(&mut self, interface: u8, packet: &ip::Packet, mailed: bool) -> Result<(), Drop> {
        self.core.counters.event(Event::IcmpInMsgs);
        let body = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
        let payload = packet.payload(body);
        let message = if packet.dst.is_v4() {
            icmp::parse_v4(payload)?
        } else {
            icmp::parse_v6(payload, packet.src, packet.dst)?
        };
        if let Some((trouble, quote)) = trouble(&message) {
            return self.on_trouble(interface, trouble, &quote, mailed);
        }
        match message {
            Message::EchoRequest { identifier, sequence } => {
                self.on_echo(interface, packet, identifier, sequence)
            }
            Message::NeighbourSolicitation { .. } | Message::NeighbourAdvertisement { .. } => {
                self.on_ndp(interface, packet, &message)
            }
            _ => Err(Drop::IcmpIgnored),
        }
    }

    /// Answers a ping, within the limit. Only one sent to an address of ours: a group's answers
    /// would be somebody's flood (RFC 1122 section 3.2.2.6 allows silence).
    fn on_echo(
        &mut self,
        interface: u8,
        packet: &ip::Packet,
        identifier: u16,
        sequence: u16,
    ) -> Result<(), Drop> {
        let core = &mut self.core;
        let Some(_) = core.interfaces.find(interface, packet.dst) else {
            return Err(Drop::IcmpIgnored);
        };
        if !core.errors.take(core.millis) {
            return Err(Drop::IcmpRateLimit);
        }
        core.counters.event(Event::IcmpInEchos);
        let body = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
        let data = packet.payload(body).get(icmp::HEADER_BYTES..).unwrap_or(&[]);
        let reply = Outgoing::EchoReply { identifier, sequence, data };
        send_icmp(core, &mut self.queues, interface, packet.dst, packet.src, &reply)
    }

    /// An ICMP error about a packet of ours.
    fn on_trouble(
        &mut self,
        interface: u8,
        trouble: Trouble,
        quote: &Quote,
        mailed: bool,
    ) -> Result<(), Drop> {
        let core = &mut self.core;
        if quote.protocol != ip::TCP {
            return Err(Drop::IcmpIgnored);
        }
        let Some(local) = core.interfaces.find(interface, quote.src) else {
            return Err(Drop::IcmpOutOfWindow);
        };
        let tuple = Tuple {
            remote: quote.dst,
            remote_port: quote.dst_port,
            local_port: quote.src_port,
            local,
        };
        let hash = core.hash.hash(&tuple);
        let found = core.lookup(hash, &tuple);
        let Some(index) = found.filter(|r| r.kind() == Kind::Connection).map(|r| r.index()) else {
            if !mailed && found.is_none() {
                self.mail_trouble(interface, quote.src_port);
                return Ok(());
            }
            return Err(Drop::IcmpOutOfWindow);
        };
        let tcb = &core.conns[index];
        let max = core.flights.at(tcb.flight).map_or(tcb.nxt, |flight| flight.max);
        //= rfc5927#4.1
        //# TCP SHOULD check that the TCP sequence number contained in the payload of the ICMP error
        //# message is within the range SND.UNA =< SEG.SEQ < SND.NXT.
        if quote.seq.before(tcb.una) || quote.seq.at_or_after(max) {
            return Err(Drop::IcmpOutOfWindow);
        }
        match trouble {
            Trouble::TooBig { mtu } => {
                self.on_too_big(index, mtu);
                Ok(())
            }
            Trouble::Hard if matches!(tcb.state, State::SynSent | State::SynReceived) => {
                self.end(index, Close::Unreachable);
                Ok(())
            }
            // A synchronised connection outlives what routers say (RFC 5927 section 5.2).
            Trouble::Hard | Trouble::Soft => Err(Drop::IcmpIgnored),
        }
    }

    /// The error may be about a connection of another core: its owner, or all where the port does
    /// not tell.
    fn mail_trouble(&mut self, interface: u8, port: u16) {
        let core = &mut self.core;
        let bytes = &self.scratch[..self.scratch_bytes];
        let checksums = Checksums::Unverified;
        let message = mail::Message::Frame { interface, checksums, bytes };
        let owner = if core.listeners.is_listening(port) { None } else { core.rfd.owner(port) };
        match owner {
            Some(owner) if owner == core.number => core.drop(Drop::IcmpOutOfWindow),
            Some(owner) => {
                if core.post.send(owner, &message).is_err() {
                    core.drop(Drop::MailFull);
                }
            }
            None if core.config.cores == 1 => core.drop(Drop::IcmpOutOfWindow),
            None => {
                if core.post.broadcast(&message) > 0 {
                    core.drop(Drop::MailFull);
                }
            }
        }
    }

    /// The path of connection `index` carries less than we thought: what is in flight is cut anew.
    fn on_too_big(&mut self, index: u32, mtu: u32) {
        let core = &mut self.core;
        let tuple = core.conns[index].tuple;
        let mtu = core.path_mtus.learn(tuple.remote, mtu, core.millis);
        core.counters.event(Event::PmtuLearned);
        let interface = core.interfaces.interface_of(tuple.local);
        let remote = tuple.remote;
        core.post.broadcast(&mail::Message::PathMtu { interface, remote, mtu });
        let mss = mtu - limits::headers_bytes(remote);
        let opened = core.open(index);
        if opened.tcb.shrink_mss(mss)
            && let Some(flight) = opened.flight
        {
            opened.tcb.rewind(flight);
        }
        self.conclude(index);
    }

    fn on_udp(
        &mut self,
        interface: u8,
        packet: &ip::Packet,
        checksums: Checksums,
    ) -> Result<(), Drop> {
        let body = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
        let payload = packet.payload(body);
        // The card's bad verdict on UDP is not believed: see `Checksums::L4Bad`.
        let verify = checksums != Checksums::Good;
        let datagram = udp::parse(payload, packet.src, packet.dst, verify)?;
        let Some(socket) = self.core.udp.lookup(packet.dst, datagram.dst_port) else {
            return self.complain_no_port(interface, packet);
        };
        self.core.counters.event(Event::UdpInDatagrams);
        let from = udp::HEADER_BYTES;
        let bytes = payload.get(from..from + datagram.payload_bytes as usize).unwrap_or(&[]);
        let datagram = Datagram {
            from: Endpoint { addr: packet.src, port: datagram.src_port },
            to: Endpoint { addr: packet.dst, port: datagram.dst_port },
            bytes,
        };
        self.app.on_datagram(&mut Cx::new(&mut self.core), socket, datagram);
        Ok(())
    }

    fn complain_no_port(&mut self, interface: u8, packet: &ip::Packet) -> Result<(), Drop> {
        let core = &mut self.core;
        if may_complain(packet.src, packet.dst)
            && core.interfaces.find(interface, packet.dst).is_some()
            && core.errors.take(core.millis)
        {
            let offending = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
            let code = if packet.dst.is_v4() { icmp::v4::CODE_PORT } else { icmp::v6::CODE_PORT };
            let message = Outgoing::Unreachable { code, offending };
            let (ours, theirs) = (packet.dst, packet.src);
            // Its own failure is of no further interest: the datagram is dropped either way.
            let _ = send_icmp(core, &mut self.queues, interface, ours, theirs, &message);
        }
        Err(Drop::UdpNoPort)
    }

    fn on_arp(&mut self, interface: u8, packet: &arp::Packet) -> Result<(), Drop> {
        let interfaces = &self.core.interfaces;
        let own = interfaces.mac(interface);
        let is_own = |addr| interfaces.find(interface, addr).is_some();
        let learn = match crate::arp::on_packet(is_own, packet) {
            crate::arp::Verdict::Reply { learn } => {
                self.send_frame(interface, |slot| crate::arp::write_reply(slot, own, packet));
                learn
            }
            crate::arp::Verdict::Learn { learn } => Some(learn),
            crate::arp::Verdict::Drop(reason) => return Err(reason),
        };
        if let Some((addr, mac, how)) = learn {
            self.learn(interface, addr, Some(mac), how);
        }
        Ok(())
    }

    fn on_ndp(
        &mut self,
        interface: u8,
        packet: &ip::Packet,
        message: &Message,
    ) -> Result<(), Drop> {
        let src_mac = ethernet::parse(&self.scratch[..self.scratch_bytes])?.src;
        let interfaces = &self.core.interfaces;
        let own = interfaces.mac(interface);
        let is_own = |addr| interfaces.find(interface, addr).is_some();
        let hops = packet.hop_limit;
        let learn = match ndp::on_message(is_own, packet.src, src_mac, hops, message) {
            ndp::Verdict::Reply { answer, learn } => {
                self.send_frame(interface, |slot| ndp::write_advertisement(slot, own, &answer));
                learn
            }
            ndp::Verdict::Learn { learn } => Some(learn),
            ndp::Verdict::Drop(reason) => return Err(reason),
        };
        if let Some((addr, mac, how)) = learn {
            self.learn(interface, addr, mac, how);
        }
        Ok(())
    }

    /// A neighbour's station address was learned: here, or by another core.
    pub(crate) fn learn(&mut self, interface: u8, addr: Addr, mac: Option<Mac>, how: How) {
        let core = &mut self.core;
        let learned = core.neighbours.learn(core.millis, interface, addr, mac, how);
        let mac = learned.mac;
        if learned.moved {
            core.counters.event(Event::NeighbourMoves);
        }
        if learned.changed && how != How::Mail {
            core.post.broadcast(&mail::Message::Neighbour { interface, addr, mac });
        }
        if let Some(hop) = learned.hop {
            while let Some((chunk, bytes)) = core.neighbours.take_waiting(hop) {
                if let Some(queue) = self.queues.get_mut(interface as usize) {
                    transmit::released(core, queue, chunk, bytes, mac);
                }
            }
        }
    }

    /// Asks for a neighbour, from an address it can answer to.
    fn solicit(&mut self, interface: u8, addr: Addr, to: Option<Mac>) {
        let interfaces = &self.core.interfaces;
        let own = interfaces.mac(interface);
        let Some(source) = interfaces.source_for(interface, addr) else { return };
        let source = interfaces.addr(source);
        self.core.counters.event(Event::NeighbourSolicits);
        self.send_frame(interface, |slot| {
            if addr.is_v4() {
                crate::arp::write_request(slot, own, source, addr, to)
            } else {
                ndp::write_solicitation(slot, own, source, addr, to)
            }
        });
    }

    /// Tells every link of our addresses.
    pub(crate) fn announce(&mut self) {
        for interface in 0..self.core.interfaces.count() {
            let own = self.core.interfaces.mac(interface);
            let mut number = 0;
            loop {
                let addr = self.core.interfaces.addresses(interface).nth(number);
                let Some(addr) = addr else { break };
                number += 1;
                self.send_frame(interface, |slot| {
                    if addr.is_v4() {
                        crate::arp::write_announcement(slot, own, addr)
                    } else {
                        ndp::write_announcement(slot, own, addr)
                    }
                });
            }
        }
    }

    /// Writes a frame straight into a slot.
    fn send_frame(&mut self, interface: u8, write: impl FnOnce(&mut [u8]) -> usize) {
        let Some(queue) = self.queues.get_mut(interface as usize) else { return };
        let Some(slot) = queue.slot() else {
            self.core.drop(Drop::NoSlot);
            return;
        };
        let bytes = write(slot);
        if bytes > 0 {
            queue.send(bytes, &[], Offload::NONE, &mut self.core.chunks);
            self.core.counters.event(Event::OutFrames);
        }
    }

    /// Asks for neighbours that are wanted or doubted, and gives up those that do not answer.
    pub(crate) fn serve_neighbours(&mut self) {
        for _ in 0..limits::TIMERS_PER_TURN {
            let millis = self.core.millis;
            match self.core.neighbours.expire(millis) {
                None => return,
                Some(Action::Solicit { interface, addr, to }) => self.solicit(interface, addr, to),
                Some(Action::Failed { hop }) => self.neighbour_failed(hop),
            }
        }
    }

    /// Frames that waited are lost; connections find out by their own timers, except those that
    /// are only just being opened.
    fn neighbour_failed(&mut self, hop: HopId) {
        let core = &mut self.core;
        while let Some((chunk, _)) = core.neighbours.take_waiting(hop) {
            core.chunks.free(chunk);
            core.drop(Drop::NeighbourFailed);
        }
    }
}

/// Sends an ICMP message from one of our addresses.
fn send_icmp<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    interface: u8,
    src: Addr,
    dst: Addr,
    message: &Outgoing<'_>,
) -> Result<(), Drop> {
    let sent = send_packet(core, queues, interface, src, dst, icmp_protocol(src), |bytes| {
        icmp::emit(bytes, message, src, dst)
    });
    if sent.is_ok() {
        core.counters.event(Event::IcmpOutMsgs);
    }
    sent
}

fn icmp_protocol(src: Addr) -> u8 {
    if src.is_v4() { ip::ICMP } else { ip::ICMPV6 }
}

/// Builds an IP packet in a chunk and sends it, now or when the neighbour is known. `write` writes
/// the IP payload and returns its length, 0 if it does not fit.
fn send_packet<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    interface: u8,
    src: Addr,
    dst: Addr,
    protocol: u8,
    write: impl FnOnce(&mut [u8]) -> usize,
) -> Result<(), Drop> {
    let (_, next) = core.routes.lookup_on(interface, dst).ok_or(Drop::NoRoute)?;
    let hop = core.neighbours.resolve(core.millis, interface, next)?;
    let chunk = core.chunks.alloc().ok_or(Drop::NoSlot)?;
    let own = core.interfaces.mac(interface);
    let mtu = core.interfaces.mtu(interface) as usize;
    let frame = core.chunks.bytes_mut(chunk);
    let room = frame.len().min(ethernet::HEADER_BYTES + mtu);
    let bytes = write_packet(&mut frame[..room], own, src, dst, protocol, write);
    if bytes == 0 {
        core.chunks.free(chunk);
        return Err(Drop::TooLong);
    }
    post_frame(core, queues, interface, hop, chunk, bytes as u16);
    Ok(())
}

/// Sends a frame built in a chunk, or leaves it with the neighbour it waits for.
fn post_frame<Q: QueuePair>(
    core: &mut Core,
    queues: &mut [Q],
    interface: u8,
    hop: HopId,
    chunk: ChunkId,
    bytes: u16,
) {
    match (core.neighbours.mac(hop, core.millis), queues.get_mut(interface as usize)) {
        (Some(mac), Some(queue)) => transmit::released(core, queue, chunk, bytes, mac),
        (Some(_), None) => core.chunks.free(chunk),
        (None, _) => {
            if let Some(evicted) = core.neighbours.enqueue(hop, chunk, bytes) {
                core.chunks.free(evicted);
                core.drop(Drop::NeighbourQueueFull);
            }
        }
    }
}

/// Writes Ethernet and IP headers around what `write` writes; the station is filled in later.
fn write_packet(
    frame: &mut [u8],
    own: Mac,
    src: Addr,
    dst: Addr,
    protocol: u8,
    write: impl FnOnce(&mut [u8]) -> usize,
) -> usize {
    let v4 = dst.is_v4();
    let ip_bytes = if v4 { ip::V4_HEADER_BYTES } else { ip::V6_HEADER_BYTES };
    let at = ethernet::HEADER_BYTES + ip_bytes;
    let Some(room) = frame.get_mut(at..) else { return 0 };
    let payload_bytes = write(room);
    if payload_bytes == 0 {
        return 0;
    }
    let ether_type = if v4 { ethernet::IPV4 } else { ethernet::IPV6 };
    ethernet::emit(frame, Mac::default(), own, ether_type);
    let header = &mut frame[ethernet::HEADER_BYTES..];
    if v4 {
        let numbers = ip::HeaderV4 {
            src,
            dst,
            protocol,
            payload_bytes: payload_bytes as u16,
            hop_limit: ip::HOP_LIMIT,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            checksum: true,
        };
        ip::emit_v4(header, &numbers);
    } else {
        let numbers = ip::HeaderV6 {
            src,
            dst,
            protocol,
            payload_bytes: payload_bytes as u16,
            hop_limit: ip::HOP_LIMIT,
            traffic_class: 0,
            flow_label: 0,
        };
        ip::emit_v6(header, &numbers);
    }
    at + payload_bytes
}

impl<Q: QueuePair, A: App> Worker<Q, A> {
    /// Sends the datagrams that the application queued.
    pub(crate) fn send_datagrams(&mut self) {
        while let Some(queued) = self.core.datagrams.pop_front() {
            let core = &mut self.core;
            post_frame(
                core,
                &mut self.queues,
                queued.interface,
                queued.hop,
                queued.chunk,
                queued.bytes,
            );
            core.counters.event(Event::UdpOutDatagrams);
        }
    }
}

/// A datagram that waits for the end of the turn: a downcall never sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    interface: u8,
    hop: HopId,
    chunk: ChunkId,
    bytes: u16,
}

impl Core {
    /// Builds a datagram in a chunk and queues it.
    pub(crate) fn queue_datagram(
        &mut self,
        socket: UdpId,
        from: Option<Addr>,
        to: Endpoint,
        bytes: &[u8],
    ) -> Result<(), UdpError> {
        let (bound, port) = self.udp.bound(socket).ok_or(UdpError::NotBound)?;
        let (interface, next) = self.routes.lookup(to.addr).ok_or(UdpError::NoRoute)?;
        let local = match from.or(bound) {
            Some(own) => self.interfaces.find(interface, own),
            None => self.interfaces.source_for(interface, to.addr),
        };
        let src = self.interfaces.addr(local.ok_or(UdpError::NoAddress)?);
        if self.datagrams.len() == self.datagrams.capacity() {
            return Err(UdpError::NoMemory);
        }
        let hop = self.neighbours.resolve(self.millis, interface, next);
        let hop = hop.map_err(|_| UdpError::NoMemory)?;
        let chunk = self.chunks.alloc().ok_or(UdpError::NoMemory)?;
        let own = self.interfaces.mac(interface);
        let mtu = self.interfaces.mtu(interface) as usize;
        let frame = self.chunks.bytes_mut(chunk);
        let room = frame.len().min(ethernet::HEADER_BYTES + mtu);
        let payload_bytes = bytes.len() as u16;
        let numbers = udp::Datagram { src_port: port, dst_port: to.port, payload_bytes };
        let length = write_packet(&mut frame[..room], own, src, to.addr, ip::UDP, |room| {
            let total = udp::HEADER_BYTES + bytes.len();
            let Some(room) = room.get_mut(..total) else { return 0 };
            room[udp::HEADER_BYTES..].copy_from_slice(bytes);
            udp::emit(room, &numbers);
            udp::fill_checksum(room, src, to.addr, penstock_wire::checksum::Sum::ZERO, 0);
            total
        });
        if length == 0 {
            self.chunks.free(chunk);
            return Err(UdpError::TooLong);
        }
        self.datagrams.push_back(Queued { interface, hop, chunk, bytes: length as u16 });
        Ok(())
    }
}
