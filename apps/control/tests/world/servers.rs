//! The other side: DHCP and routers as frames by hand (smoltcp writes them), name, time and syslog
//! servers as an application on a stack of ours.

use std::collections::BTreeMap;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet,
    Ipv4Repr, Ipv6Address, Ipv6Packet, Ipv6Repr, NdiscPrefixInfoFlags, NdiscPrefixInformation,
    NdiscRepr, NdiscRouterFlags, UdpPacket, UdpRepr,
};

use super::{
    Addr, App, BEGIN, Cable, Config, ConnId, Cx, Datagram, Duration, Instant, SocketOptions, UdpId,
    Worker, workers,
};

/// What the DHCP server gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leases {
    pub(crate) addr: u32,
    pub(crate) seconds: u32,
}

pub(crate) struct Servers {
    pub(crate) leases: Leases,
    /// They all say nothing.
    pub(crate) are_silent: bool,
    /// The time server's time of day is so much later than the virtual clock.
    pub(crate) wall: Duration,
    /// What the machine may have until when: an address granted, a second of grace.
    granted: BTreeMap<Addr, Instant>,
    pub(crate) prefix_seconds: u32,
    advertised_at: Option<Instant>,
    frames: Vec<Vec<u8>>,
    /// The addresses of web.example.
    pub(crate) web: Vec<[u8; 4]>,
    pub(crate) log: Vec<String>,
    pub(crate) asked_over_tcp: u32,
    sockets: Vec<(UdpId, u16)>,
    streams: BTreeMap<ConnId, Vec<u8>>,
}

pub(crate) fn worker(config: &Config) -> Worker<Cable, Servers> {
    let app = |_, _: &_| Servers {
        leases: Leases { addr: 0x0a00_0032, seconds: 20 },
        are_silent: false,
        wall: Duration::from_secs(1_795_670_400),
        granted: BTreeMap::new(),
        prefix_seconds: 30,
        advertised_at: None,
        frames: vec![],
        web: vec![[10, 0, 0, 100]],
        log: vec![],
        asked_over_tcp: 0,
        sockets: vec![],
        streams: BTreeMap::new(),
    };
    let mut worker = workers(config, app).remove(0);
    worker.with(BEGIN, |app, cx| {
        for port in [53, 123, 514] {
            let socket = cx.udp_bind(None, port).expect("free");
            app.sockets.push((socket, port));
        }
        cx.listen(None, 53, SocketOptions::default()).expect("free");
    });
    worker
}

impl Servers {
    /// No address is used beyond what was granted.
    pub(crate) fn judge(&self, now: Instant, addresses: &[Addr]) {
        for addr in addresses.iter().filter(|addr| addr.is_v4()) {
            let until = self.granted.get(addr).expect("an address that was never granted");
            assert!(now <= *until, "{addr} is used after its lease, at {now:?}");
        }
        assert!(addresses.iter().filter(|addr| addr.is_v4()).count() <= 1, "two leases");
    }

    /// What they say by themselves.
    pub(crate) fn take_frames(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let again = self.advertised_at.is_none_or(|at| now >= at + Duration::from_secs(7));
        if again && !self.are_silent && self.prefix_seconds > 0 {
            self.advertised_at = Some(now);
            self.frames.push(advertisement(self.prefix_seconds));
        }
        std::mem::take(&mut self.frames)
    }

    /// Whether a frame was for the servers made by hand.
    pub(crate) fn hear(&mut self, now: Instant, frame: &[u8]) -> bool {
        if self.are_silent {
            return true;
        }
        let Ok(frame) = EthernetFrame::new_checked(frame) else { return true };
        let Ok(packet) = Ipv4Packet::new_checked(frame.payload()) else { return false };
        if frame.ethertype() != EthernetProtocol::Ipv4 || packet.next_header() != IpProtocol::Udp {
            return false;
        }
        let Ok(datagram) = UdpPacket::new_checked(packet.payload()) else { return false };
        let checksums = ChecksumCapabilities::default();
        let (src, dst) = (IpAddress::Ipv4(packet.src_addr()), IpAddress::Ipv4(packet.dst_addr()));
        if datagram.dst_port() != 67 {
            return false;
        }
        if !packet.verify_checksum() || UdpRepr::parse(&datagram, &src, &dst, &checksums).is_err() {
            return true;
        }
        let Ok(message) = DhcpPacket::new_checked(datagram.payload()) else { return true };
        if let Ok(message) = DhcpRepr::parse(&message) {
            self.answer(now, &message);
        }
        true
    }

    fn answer(&mut self, now: Instant, asked: &DhcpRepr<'_>) {
        let wanted = Ipv4Address::from_bits(self.leases.addr);
        let kind = match asked.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => {
                let current = asked.requested_ip.unwrap_or(asked.client_ip);
                if current == wanted { DhcpMessageType::Ack } else { DhcpMessageType::Nak }
            }
            _ => return,
        };
        if kind == DhcpMessageType::Ack {
            // From when the answer leaves; the client counts from its question, which was before. One
            // that is lost takes nothing back.
            let until = now + Duration::from_secs(self.leases.seconds.into());
            let promised = self.granted.entry(Addr::v4(self.leases.addr)).or_insert(until);
            *promised = until.max(*promised);
        }
        let server = Ipv4Address::from_bits(super::SERVER.v4_number());
        let is_refusal = kind == DhcpMessageType::Nak;
        let none = Ipv4Address::UNSPECIFIED;
        let address = server.octets();
        let servers = [6, 42].map(|kind| smoltcp::wire::DhcpOption { kind, data: &address });
        let repr = DhcpRepr {
            message_type: kind,
            transaction_id: asked.transaction_id,
            secs: 0,
            client_hardware_address: asked.client_hardware_address,
            client_ip: none,
            your_ip: if is_refusal { none } else { wanted },
            server_ip: server,
            router: (!is_refusal).then_some(server),
            subnet_mask: (!is_refusal).then_some(Ipv4Address::new(255, 255, 255, 0)),
            relay_agent_ip: none,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(server),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: (!is_refusal).then_some(self.leases.seconds),
            renew_duration: None,
            rebind_duration: None,
            additional_options: if is_refusal { &[] } else { &servers },
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).expect("room");
        self.frames.push(datagram_v4(asked.client_hardware_address, server, wanted, &bytes));
    }

    fn reply_dns(&self, question: &[u8], by_stream: bool) -> Option<Vec<u8>> {
        let mut answer = question.get(..).filter(|bytes| bytes.len() > 17)?.to_vec();
        answer[2] |= 0x80;
        let is_a = answer[answer.len() - 3] == 1;
        let name = &question[12..];
        let a =
            |owner: &[u8], addr: &[u8; 4]| [owner, &[0, 1, 0, 1, 0, 0, 0, 5, 0, 4], addr].concat();
        let asked = [0xc0, 12];
        let records: Vec<Vec<u8>> = match () {
            () if name.starts_with(b"\x03web") => {
                self.web.iter().map(|addr| a(&asked, addr)).collect()
            }
            () if name.starts_with(b"\x05alias") => {
                // alias.example is web.example: its name lies behind "alias".
                let alias =
                    [&asked[..], &[0, 5, 0, 1, 0, 0, 0, 5, 0, 6, 3], b"web", &[0xc0, 18]].concat();
                let owner = [&[3][..], b"web", &[0xc0, 18]].concat();
                [vec![alias], self.web.iter().map(|addr| a(&owner, addr)).collect()].concat()
            }
            () if !by_stream => {
                answer[2] |= 2;
                return Some(answer);
            }
            () => (0..40).map(|last| a(&asked, &[10, 9, 0, last])).collect(),
        };
        if is_a {
            answer[7] = records.len() as u8;
            answer.extend(records.concat());
        }
        Some(answer)
    }

    fn reply_ntp(&self, now: Instant, question: &[u8]) -> Option<[u8; 48]> {
        let nonce = question.get(40..48)?;
        let unix_us = self.wall.0 + now.0;
        let seconds = unix_us / 1_000_000 + 2_208_988_800;
        let fraction = ((unix_us % 1_000_000) << 32) / 1_000_000;
        let stamp = (seconds << 32 | fraction).to_be_bytes();
        let mut answer = [0; 48];
        (answer[0], answer[1]) = (4 << 3 | 4, 2);
        answer[24..32].copy_from_slice(nonce);
        answer[32..40].copy_from_slice(&stamp);
        answer[40..48].copy_from_slice(&stamp);
        Some(answer)
    }
}

impl App for Servers {
    fn on_datagram(&mut self, cx: &mut Cx<'_>, socket: UdpId, datagram: Datagram<'_>) {
        let Datagram { from, bytes, .. } = datagram;
        let port = self.sockets.iter().find(|(own, _)| *own == socket).map(|(_, port)| *port);
        let answer = match port {
            Some(53) => self.reply_dns(bytes, false),
            Some(123) => self.reply_ntp(cx.now(), bytes).map(|answer| answer.to_vec()),
            _ => {
                self.log.push(String::from_utf8_lossy(bytes).into_owned());
                None
            }
        };
        if let Some(answer) = answer {
            let _ = cx.udp_send(socket, None, from, &answer);
        }
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let stream = self.streams.entry(conn).or_default();
        stream.extend(bytes);
        if let [high, low, question @ ..] = &stream.clone()[..]
            && question.len() >= u16::from_be_bytes([*high, *low]) as usize
        {
            self.asked_over_tcp += 1;
            self.streams.remove(&conn);
            if let Some(answer) = self.reply_dns(question, true) {
                cx.send(conn, &(answer.len() as u16).to_be_bytes());
                cx.send(conn, &answer);
            }
        }
        bytes.len()
    }
}

fn datagram_v4(to: EthernetAddress, src: Ipv4Address, dst: Ipv4Address, bytes: &[u8]) -> Vec<u8> {
    let udp = UdpRepr { src_port: 67, dst_port: 68 };
    let ip = Ipv4Repr {
        src_addr: src,
        dst_addr: dst,
        next_header: IpProtocol::Udp,
        payload_len: 8 + bytes.len(),
        hop_limit: 64,
    };
    let checksums = ChecksumCapabilities::default();
    let mut frame = vec![0; 14 + 20 + 8 + bytes.len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
    ethernet_head(to, EthernetProtocol::Ipv4).emit(&mut ethernet);
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    let copy = |room: &mut [u8]| room.copy_from_slice(bytes);
    udp.emit(&mut datagram, &src.into(), &dst.into(), bytes.len(), copy, &checksums);
    frame
}

fn ethernet_head(to: EthernetAddress, ethertype: EthernetProtocol) -> EthernetRepr {
    EthernetRepr { src_addr: EthernetAddress([2, 0, 0, 0, 0, 1]), dst_addr: to, ethertype }
}

/// An advertisement of fd00::/64 to all nodes.
fn advertisement(seconds: u32) -> Vec<u8> {
    let lifetime = smoltcp::time::Duration::from_secs(seconds.into());
    let src = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
    let dst = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: lifetime,
        reachable_time: smoltcp::time::Duration::ZERO,
        retrans_time: smoltcp::time::Duration::ZERO,
        lladdr: None,
        mtu: None,
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len: 64,
            flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
            valid_lifetime: lifetime,
            preferred_lifetime: lifetime,
            prefix: Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0),
        }),
    });
    let ip = Ipv6Repr {
        src_addr: src,
        dst_addr: dst,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let mut frame = vec![0; 14 + 40 + message.buffer_len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
    let to = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
    ethernet_head(to, EthernetProtocol::Ipv6).emit(&mut ethernet);
    let mut packet = Ipv6Packet::new_unchecked(ethernet.payload_mut());
    ip.emit(&mut packet);
    let mut icmp = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&src, &dst, &mut icmp, &ChecksumCapabilities::default());
    frame
}
