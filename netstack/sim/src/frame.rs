//! Frames taken apart: for the trace a person reads, and for everything that looks at what passes.

use std::fmt::{self, Write};

use penstock_wire::icmp::{self, Message};
use penstock_wire::tcp::{Flags, Segment};
use penstock_wire::{Addr, Malformed, arp, checksum, ethernet, ip, tcp, udp};

/// A frame as it travels, without the frame check sequence.
pub(crate) type Frame = Vec<u8>;

/// The smallest frame a wire carries; shorter ones are padded.
pub(crate) const FRAME_BYTES_MIN: usize = 60;

/// What a frame says.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) ethernet: ethernet::Header,
    pub(crate) ip: Option<ip::Packet>,
    pub(crate) inside: Inside,
}

/// What a frame carries.
#[derive(Clone, Debug)]
pub(crate) enum Inside {
    Tcp(Segment),
    Udp(udp::Datagram),
    Icmp(Message),
    Arp(arp::Packet),
    Other,
    Malformed(Malformed),
}

/// Reads a frame; `verify` asks for all checksums.
pub(crate) fn dissect(frame: &[u8], verify: bool) -> Result<View, Malformed> {
    let ethernet = ethernet::parse(frame)?;
    let rest = &frame[ethernet::HEADER_BYTES..];
    let packet = match ethernet.ether_type {
        ethernet::IPV4 => ip::parse_v4(rest, verify),
        ethernet::IPV6 => ip::parse_v6(rest),
        ethernet::ARP => {
            let inside = arp::parse(rest).map_or_else(Inside::Malformed, Inside::Arp);
            return Ok(View { ethernet, ip: None, inside });
        }
        _ => return Ok(View { ethernet, ip: None, inside: Inside::Other }),
    };
    let packet = match packet {
        Ok(packet) => packet,
        Err(malformed) => {
            return Ok(View { ethernet, ip: None, inside: Inside::Malformed(malformed) });
        }
    };
    let inside = transport(&packet, packet.payload(rest), verify).unwrap_or_else(Inside::Malformed);
    Ok(View { ethernet, ip: Some(packet), inside })
}

fn transport(packet: &ip::Packet, payload: &[u8], verify: bool) -> Result<Inside, Malformed> {
    let &ip::Packet { src, dst, .. } = packet;
    Ok(match packet.protocol {
        ip::TCP => Inside::Tcp(tcp::parse(payload, src, dst, verify)?),
        ip::UDP => Inside::Udp(udp::parse(payload, src, dst, verify)?),
        ip::ICMP if src.is_v4() => Inside::Icmp(icmp::parse_v4(payload)?),
        ip::ICMPV6 if !src.is_v4() => Inside::Icmp(icmp::parse_v6(payload, src, dst)?),
        _ => Inside::Other,
    })
}

/// Adds to the window that a segment offers; whether there is one. That of a SYN is left alone.
pub(crate) fn raise_window(frame: &mut [u8]) -> bool {
    let Ok(View { ip: Some(packet), inside: Inside::Tcp(segment), .. }) = dissect(frame, false)
    else {
        return false;
    };
    if segment.flags.has(Flags::SYN) {
        return false;
    }
    let at = ethernet::HEADER_BYTES + usize::from(packet.header_bytes);
    let field = |frame: &[u8], from: usize| u16::from_be_bytes([frame[from], frame[from + 1]]);
    let (window, sum) = (at + WINDOW_OFFSET, at + tcp::CHECKSUM_OFFSET);
    let old = field(frame, window);
    let new = old.saturating_add(RAISED_BY);
    let checksum = checksum::update_u16(field(frame, sum), old, new);
    frame[window..window + 2].copy_from_slice(&new.to_be_bytes());
    frame[sum..sum + 2].copy_from_slice(&checksum.to_be_bytes());
    true
}

/// Where the window stands in a header.
const WINDOW_OFFSET: usize = 14;
/// Less than a segment, so that one reaches over the edge; more where windows are scaled.
const RAISED_BY: u16 = 700;

/// A frame on one line, as tcpdump would show it.
pub(crate) fn line(frame: &[u8]) -> String {
    let view = match dissect(frame, true) {
        Ok(view) => view,
        Err(malformed) => return format!("{} bytes, {malformed:?}", frame.len()),
    };
    let between = |packet: Option<ip::Packet>, src_port: u16, dst_port: u16| match packet {
        Some(packet) => format!("{}.{src_port} > {}.{dst_port}", packet.src, packet.dst),
        None => String::new(),
    };
    match view.inside {
        Inside::Tcp(segment) => {
            let ends = between(view.ip, segment.src_port, segment.dst_port);
            format!("{ends}: {}", segment_text(&segment))
        }
        Inside::Udp(datagram) => {
            let ends = between(view.ip, datagram.src_port, datagram.dst_port);
            format!("{ends}: UDP, length {}", datagram.payload_bytes)
        }
        Inside::Icmp(message) => match view.ip {
            Some(packet) => format!("{} > {}: {message:?}", packet.src, packet.dst),
            None => format!("{message:?}"),
        },
        Inside::Arp(packet) => format!(
            "ARP {:?} {} is-at {}, target {}",
            packet.operation, packet.sender, packet.sender_mac, packet.target
        ),
        Inside::Other => format!("type {:#06x}, {} bytes", view.ethernet.ether_type, frame.len()),
        Inside::Malformed(malformed) => format!(
            "{} > {}: {} bytes, {malformed:?}",
            view.ethernet.src,
            view.ethernet.dst,
            frame.len()
        ),
    }
}

/// A segment's numbers, as tcpdump would show them.
pub(crate) fn segment_text(segment: &Segment) -> String {
    let mut text = String::from("Flags [");
    let named = [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ACK, '.'),
        (Flags::URG, 'U'),
    ];
    text.extend(
        named.iter().filter(|(flag, _)| segment.flags.has(*flag)).map(|(_, letter)| letter),
    );
    let _ = write!(text, "], seq {}", segment.seq.0);
    if segment.payload_bytes > 0 {
        let _ = write!(text, ":{}", (segment.seq + segment.payload_bytes as u32).0);
    }
    if segment.flags.has(Flags::ACK) {
        let _ = write!(text, ", ack {}", segment.ack.0);
    }
    let _ = write!(text, ", win {}", segment.window);
    let options = &segment.options;
    if options.mss != 0 {
        let _ = write!(text, ", mss {}", options.mss);
    }
    if let Some(scale) = options.window_scale {
        let _ = write!(text, ", wscale {scale}");
    }
    if options.sack_permitted {
        text.push_str(", sackOK");
    }
    if let Some(timestamps) = options.timestamps {
        let _ = write!(text, ", TS {}/{}", timestamps.value, timestamps.echo);
    }
    for (from, to) in options.sack.iter() {
        let _ = write!(text, ", sack {}:{}", from.0, to.0);
    }
    let _ = write!(text, ", length {}", segment.payload_bytes);
    text
}

/// The two ends of a TCP segment: who sent it, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) src: Addr,
    pub(crate) src_port: u16,
    pub(crate) dst: Addr,
    pub(crate) dst_port: u16,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} > {}.{}", self.src, self.src_port, self.dst, self.dst_port)
    }
}

impl Flow {
    /// The same connection, seen from the other end.
    pub(crate) fn reversed(self) -> Flow {
        Flow { src: self.dst, src_port: self.dst_port, dst: self.src, dst_port: self.src_port }
    }
}
