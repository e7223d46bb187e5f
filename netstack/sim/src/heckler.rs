//! A station that sends what it likes: noise, floods of SYNs, blind attacks on connections it can
//! only guess at, packets with odd headers. None of it may harm anybody's conversation.

use penstock_wire::icmp::Outgoing;
use penstock_wire::tcp::{self, Flags, Options};
use penstock_wire::{Addr, Mac, SeqNum, checksum, ethernet, ip, udp};

use crate::frame::Frame;
use crate::observer::Hint;
use crate::plan::numbered_addr;
use crate::router::{head, icmp_frame};
use penstock_fault::Rng;

/// The hostile station.
#[derive(Debug)]
pub(crate) struct Heckler {
    mac: Mac,
    lan: usize,
    /// Whom it knows on its LAN.
    victims: Vec<(Mac, Addr)>,
    rng: Rng,
    pub(crate) sent: u64,
}

impl Heckler {
    pub(crate) fn new(lan: usize, victims: Vec<(Mac, Addr)>, rng: Rng) -> Heckler {
        Heckler { mac: Mac([0x02, 0xbb, 0, 0, 0, lan as u8]), lan, victims, rng, sent: 0 }
    }

    /// The next frame.
    pub(crate) fn heckle(&mut self) -> Option<Frame> {
        if self.victims.is_empty() {
            return None;
        }
        self.sent += 1;
        let rng = &mut self.rng;
        let (mac, addr) = rng.pick(&self.victims);
        // From an address of the LAN that nobody has, mostly; or in another victim's name.
        let mut src = numbered_addr(self.lan, rng.range(200, 250) as u8, addr.is_v4());
        let others: Vec<Addr> = self
            .victims
            .iter()
            .map(|(_, other)| *other)
            .filter(|&other| other.is_v4() == addr.is_v4() && other != addr)
            .collect();
        let is_spoofed = rng.percent(30) && !others.is_empty();
        if is_spoofed {
            src = rng.pick(&others);
        }
        match rng.below(8) {
            0 => Some(self.noise(mac)),
            1..=3 => Some(self.segment(mac, src, addr)),
            4 => self.icmp_error(mac, src, addr),
            5 => self.echo(mac, src, addr),
            6 => Some(self.odd_packet(mac, src, addr)),
            _ => Some(self.datagram(mac, src, addr)),
        }
    }

    /// A SYN or RST that hits the window of a connection, though not its next byte: all it may
    /// earn is a challenge (RFC 5961).
    pub(crate) fn strike(&mut self, hint: Hint) -> Option<Frame> {
        let Hint { flow, seq } = hint;
        let (mac, _) = *self.victims.iter().find(|(_, addr)| *addr == flow.dst)?;
        let header = tcp::Header {
            src_port: flow.src_port,
            dst_port: flow.dst_port,
            seq,
            ack: SeqNum(self.rng.draw() as u32),
            flags: self.rng.pick(&[Flags::SYN, Flags::RST, Flags::RST.with(Flags::ACK)]),
            window: 1000,
        };
        self.sent += 1;
        let emit = |bytes: &mut [u8]| tcp::emit(bytes, &header, &Options::default());
        Some(self.sealed(mac, flow.src, flow.dst, ip::TCP, emit, 0))
    }

    fn noise(&mut self, mac: Mac) -> Frame {
        let mut frame = vec![0; self.rng.range(60, 1514) as usize];
        self.rng.fill(&mut frame);
        let kinds = [ethernet::IPV4, ethernet::IPV6, ethernet::ARP, ethernet::VLAN, 0x88cc];
        let kind = self.rng.pick(&kinds);
        ethernet::emit(&mut frame, mac, self.mac, kind);
        if kind == ethernet::ARP {
            // Believable ARP would be an attack on the LAN, which nobody can defend against.
            frame[14] = 0xff;
        }
        frame
    }

    /// A SYN, or a blind guess at somebody's connection.
    fn segment(&mut self, mac: Mac, src: Addr, dst: Addr) -> Frame {
        let rng = &mut self.rng;
        let flags = match rng.below(6) {
            0..=2 => Flags::SYN,
            3 => Flags::RST,
            4 => Flags::ACK.with(Flags::PSH),
            _ => Flags(rng.draw() as u8),
        };
        let options = Options {
            mss: if flags == Flags::SYN { rng.pick(&[0, 1, 536, 1460]) } else { 0 },
            ..Options::default()
        };
        let header = tcp::Header {
            src_port: rng.range(1, 65535) as u16,
            dst_port: rng.pick(&[80, 443, 7001, 22, 40000, 33000]),
            seq: SeqNum(rng.draw() as u32),
            ack: SeqNum(rng.draw() as u32),
            flags,
            window: rng.draw() as u16,
        };
        let payload = if flags == Flags::SYN { 0 } else { rng.below(100) as usize };
        self.sealed(mac, src, dst, ip::TCP, |bytes| tcp::emit(bytes, &header, &options), payload)
    }

    fn datagram(&mut self, mac: Mac, src: Addr, dst: Addr) -> Frame {
        let payload = self.rng.below(200) as u16;
        let datagram = udp::Datagram {
            src_port: self.rng.range(1, 65535) as u16,
            // Whoever is bound judges what it hears: strangers find closed ports.
            dst_port: self.rng.range(9_000, 9_100) as u16,
            payload_bytes: payload,
        };
        let emit = |bytes: &mut [u8]| udp::emit(bytes, &datagram);
        self.sealed(mac, src, dst, ip::UDP, emit, payload as usize)
    }

    /// Headers, a transport header, random payload, and a right checksum.
    fn sealed(
        &mut self,
        mac: Mac,
        src: Addr,
        dst: Addr,
        protocol: u8,
        emit: impl Fn(&mut [u8]) -> usize,
        payload: usize,
    ) -> Frame {
        let mut body = vec![0; 100 + payload];
        let header = emit(&mut body);
        body.truncate(header + payload);
        self.rng.fill(&mut body[header..]);
        let field = if protocol == ip::TCP { 16 } else { udp::CHECKSUM_OFFSET };
        let sum = checksum::pseudo_header(src, dst, protocol, body.len() as u16);
        let sum = match sum.add_bytes(&body).checksum() {
            0 => 0xffff,
            sum => sum,
        };
        body[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        self.framed(mac, src, dst, protocol, &body)
    }

    fn framed(&self, mac: Mac, src: Addr, dst: Addr, protocol: u8, body: &[u8]) -> Frame {
        let mut frame = vec![0; 54];
        let bytes = head(&mut frame, self.mac, mac, src, dst, protocol, body.len() as u16);
        frame.truncate(bytes);
        frame.extend_from_slice(body);
        frame
    }

    /// An error about a packet the victim may have sent, with sequence numbers it did not (RFC 5927).
    fn icmp_error(&mut self, mac: Mac, src: Addr, dst: Addr) -> Option<Frame> {
        let header = tcp::Header {
            src_port: self.rng.pick(&[80, 443, 32768, 40000]),
            dst_port: self.rng.range(1, 65535) as u16,
            seq: SeqNum(self.rng.draw() as u32),
            ack: SeqNum(0),
            flags: Flags::ACK,
            window: 0,
        };
        let mut segment = vec![0; 20];
        tcp::emit(&mut segment, &header, &Options::default());
        let quoted = self.framed(mac, dst, src, ip::TCP, &segment);
        let offending = &quoted[ethernet::HEADER_BYTES..];
        let message = match self.rng.below(3) {
            0 => Outgoing::TooBig { mtu: self.rng.below(1500) as u32, offending },
            1 => Outgoing::Unreachable { code: self.rng.below(5) as u8, offending },
            _ => Outgoing::TimeExceeded { code: 0, offending },
        };
        icmp_frame(self.mac, mac, src, dst, &message)
    }

    fn echo(&mut self, mac: Mac, src: Addr, dst: Addr) -> Option<Frame> {
        let mut data = vec![0; self.rng.below(1400) as usize];
        self.rng.fill(&mut data);
        let request =
            Outgoing::EchoRequest { identifier: 7, sequence: self.sent as u16, data: &data };
        icmp_frame(self.mac, mac, src, dst, &request)
    }

    /// Fragments, options, unknown protocols, extension headers, truncation.
    fn odd_packet(&mut self, mac: Mac, src: Addr, dst: Addr) -> Frame {
        let mut body = vec![0; self.rng.below(200) as usize];
        self.rng.fill(&mut body);
        let protocols = [0, 1, 2, 6, 17, 41, 43, 44, 50, 58, 59, 60, 99, 135, 255];
        let protocol = self.rng.pick(&protocols);
        let mut frame = self.framed(mac, src, dst, protocol, &body);
        let at = ethernet::HEADER_BYTES;
        if src.is_v4() {
            let flags = self.rng.pick(&[0u16, 0x2000, 0x1000, 0x2001, 0x4000]);
            frame[at + 6..at + 8].copy_from_slice(&flags.to_be_bytes());
            if self.rng.percent(30) {
                frame[at] = 0x40 | self.rng.below(16) as u8;
            }
            let header = ((frame[at] & 15) as usize * 4).min(frame.len() - at);
            if header >= 20 {
                frame[at + 10..at + 12].fill(0);
                let sum = checksum::Sum::of(&frame[at..at + header]).checksum();
                frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
            }
        }
        if self.rng.percent(30) {
            let bytes = self.rng.range(14, frame.len() as u64) as usize;
            frame.truncate(bytes);
        }
        frame
    }
}
