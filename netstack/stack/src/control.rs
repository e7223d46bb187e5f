//! What is not TCP: ICMP, UDP, and the way to [`crate::link`]. Few packets, so clarity before
//! instructions: each is copied to the scratch buffer, parsed there, and answered from there.

use penstock_queue::{Checksums, QueuePair};
use penstock_wire::icmp::{self, Message, Outgoing, Quote};
use penstock_wire::{Addr, arp, ethernet, ip, udp};

use crate::app::{App, Close, Datagram, Endpoint};
use crate::core::Core;
use crate::counters::{Drop, Event};
use crate::cx::Cx;
use crate::hash::Tuple;
use crate::icmp::{Trouble, may_complain, trouble};
use crate::limits;
use crate::mail;
use crate::packet::send_packet;
use crate::pmtu;
use crate::receive::Source;
use crate::table::Kind;
use crate::tcp::State;
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
                self.attend_arp(interface, &packet, mailed);
                return self.on_arp(interface, &packet);
            }
            ethernet::IPV4 => ip::parse_v4(body, checksums == Checksums::Unverified)?,
            ethernet::IPV6 => match ip::parse_v6(body) {
                Ok(packet) => packet,
                Err(why) => {
                    self.complain_of_headers(interface);
                    return Err(why.into());
                }
            },
            _ => return Err(Drop::EtherType),
        };
        //= rfc1122#3.2.1.3
        //# A host MUST silently discard an incoming datagram containing an IP source address that
        //# is invalid by the rules of this section.
        if self.core.interfaces.is_nobody(packet.src) || !self.core.config.may_speak(packet.src) {
            return Err(Drop::IpSource);
        }
        if self.attend_ip(interface, &packet, mailed) {
            return Ok(());
        }
        let ours = self.core.interfaces.find(interface, packet.dst).is_some()
            || self.attends_group(interface, packet.dst);
        if !ours && !self.core.interfaces.is_group_member(interface, packet.dst) {
            let group = packet.dst.is_group() || header.dst.is_group();
            return Err(if group { Drop::NotMember } else { Drop::InAddrErrors });
        }
        match packet.protocol {
            ip::TCP => Err(Drop::TcpGroup),
            ip::UDP => self.on_udp(interface, &packet, checksums, mailed),
            ip::ICMP if packet.dst.is_v4() => self.on_icmp(interface, &packet, mailed),
            ip::ICMPV6 if !packet.dst.is_v4() => self.on_icmp(interface, &packet, mailed),
            _ => {
                if packet.dst.is_v4() {
                    self.complain(interface, &packet, icmp::v4::CODE_PROTOCOL);
                } else {
                    self.complain_of_headers(interface);
                }
                Err(Drop::UnknownProtocol)
            }
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
        if packet.hop_limit == icmp::NDP_HOP_LIMIT
            && self.attend_ndp(interface, packet, &message, mailed)
        {
            return Ok(());
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
        if !core.errors.take(core.env.millis) {
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
        //# These implementations check that the TCP sequence number contained in the payload of the
        //# ICMP error message is within the range SND.UNA =< SEG.SEQ < SND.NXT.
        if quote.seq.before(tcb.una) || quote.seq.at_or_after(max) {
            return Err(Drop::IcmpOutOfWindow);
        }
        // Of one that is being opened, that is the number of its SYN and no other.
        let is_opening = matches!(tcb.state, State::SynSent | State::SynReceived);
        match trouble {
            Trouble::TooBig { mtu } if pmtu::is_credible(tuple.remote, mtu) => {
                self.on_too_big(index, mtu);
                Ok(())
            }
            Trouble::TooBig { .. } => Err(Drop::IcmpIgnored),
            Trouble::NoPort if is_opening => {
                self.end(index, Close::Refused);
                Ok(())
            }
            Trouble::Hard if is_opening => {
                self.end(index, Close::Unreachable);
                Ok(())
            }
            //= rfc9293#3.9.2.2 type=exception
            //= reason=As in Linux, while nobody has answered: who connects has others to turn to (RFC 5461 section 4.1).
            //# Since these Unreachable messages indicate soft error conditions, a TCP implementation
            //# MUST NOT abort the connection (MUST-56)
            Trouble::Soft if tcb.state == State::SynSent => {
                self.end(index, Close::Unreachable);
                Ok(())
            }
            // A synchronised connection outlives what routers say (RFC 5927 section 5.2).
            Trouble::NoPort | Trouble::Hard | Trouble::Soft => Err(Drop::IcmpIgnored),
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
        let mtu = core.path_mtus.learn(tuple.remote, mtu, core.env.millis);
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
        mailed: bool,
    ) -> Result<(), Drop> {
        let body = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
        let payload = packet.payload(body);
        // The card's bad verdict on UDP is not believed: see `Checksums::L4Bad`.
        let verify = checksums != Checksums::Good;
        let datagram = udp::parse(payload, packet.src, packet.dst, verify)?;
        let Some(socket) = self.core.udp.lookup(packet.dst, datagram.dst_port) else {
            let owner = self.core.rfd.owner(datagram.dst_port);
            let elsewhere = owner.filter(|&owner| owner != self.core.number && !mailed);
            return match elsewhere {
                Some(owner) => self.mail_on(owner, interface),
                None => {
                    let v4 = packet.dst.is_v4();
                    let code = if v4 { icmp::v4::CODE_PORT } else { icmp::v6::CODE_PORT };
                    self.complain(interface, packet, code);
                    Err(Drop::UdpNoPort)
                }
            };
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

    /// The frame in the scratch buffer is for another core.
    pub(crate) fn mail_on(&mut self, owner: u16, interface: u8) -> Result<(), Drop> {
        let frame = &self.scratch[..self.scratch_bytes];
        let sent = self.core.post.send_frame(owner, interface, Checksums::Unverified, frame);
        sent.map_err(|_| Drop::MailFull)
    }

    /// Tells the sender that nobody here wants its packet, within the limit.
    fn complain(&mut self, interface: u8, packet: &ip::Packet, code: u8) {
        let core = &mut self.core;
        if may_complain(packet.src, packet.dst)
            && core.interfaces.find(interface, packet.dst).is_some()
            && core.errors.take(core.env.millis)
        {
            let offending = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
            let message = Outgoing::Unreachable { code, offending };
            let (ours, theirs) = (packet.dst, packet.src);
            // Its own failure is of no further interest: the packet is dropped either way.
            let _ = send_icmp(core, &mut self.queues, interface, ours, theirs, &message);
        }
    }

    /// Tells the sender of the IPv6 packet in the scratch buffer which of its headers or options is
    /// unknown here, within the limit.
    //= rfc4443#3.4
    //# If an IPv6 node processing a packet finds a problem with a field in the IPv6 header or
    //# extension headers such that it cannot complete processing the packet, it MUST discard the
    //# packet and SHOULD originate an ICMPv6 Parameter Problem message to the packet's source
    #[cold]
    fn complain_of_headers(&mut self, interface: u8) {
        let core = &mut self.core;
        let offending = &self.scratch[ethernet::HEADER_BYTES..self.scratch_bytes];
        let Some((code, pointer)) = ip::parameter_problem_v6(offending) else { return };
        let addr = |at: usize| Some(Addr::v6(*offending.get(at..)?.first_chunk()?));
        let (Some(theirs), Some(dst)) = (addr(8), addr(24)) else { return };
        let interfaces = &core.interfaces;
        // An option may ask for an answer though it came to a group.
        let ours = match interfaces.find(interface, dst) {
            None if interfaces.is_group_member(interface, dst) => {
                interfaces.source_for(interface, theirs)
            }
            ours => ours,
        };
        let is_host = !theirs.is_group()
            && !theirs.is_unspecified()
            && !theirs.is_v4()
            && !theirs.is_loopback()
            && !interfaces.is_nobody(theirs);
        let Some(ours) = ours.filter(|_| is_host) else { return };
        if core.errors.take(core.env.millis) {
            let message = Outgoing::ParameterProblem { code, pointer, offending };
            let ours = core.interfaces.addr(ours);
            let _ = send_icmp(core, &mut self.queues, interface, ours, theirs, &message);
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
