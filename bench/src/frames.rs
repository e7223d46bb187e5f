//! The client's frames: templates with addresses, port, sequence and acknowledgement patched in,
//! and what the client reads from a reply.
//!
//! ```text
//!   template:  Ethernet | IPv4 or IPv6 | TCP, options | payload
//!   patched:                  ^ source, checksum  ^ port, seq, ack, window of time, checksum
//! ```
//! The constant part of each checksum is summed once per template, so a frame costs the client one
//! copy and a dozen additions; none of it is charged to the stack. The clients are beyond a
//! gateway, as they are for a server on the internet: one neighbour, any number of addresses.

use penstock_wire::tcp::Flags;

use crate::checksum;

/// Station addresses of the server and of the gateway.
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The gateway's, and so the client's.
pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
/// The server over IPv4 (a /24 that holds the gateway).
pub const SERVER_V4: [u8; 4] = [10, 0, 0, 1];
/// The gateway over IPv4.
pub const GATEWAY_V4: [u8; 4] = [10, 0, 0, 254];
/// The server over IPv6 (a /64 that holds the gateway).
pub const SERVER_V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// The gateway over IPv6.
pub const GATEWAY_V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe];
/// What a client asks: 66 bytes.
pub const REQUEST: &[u8; 66] =
    b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nAccept: */*\r\nConnection: close\r\n\r\n";
/// What a server answers: 122 bytes.
pub const RESPONSE: &[u8; 122] =
    b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n\
Content-Length: 23\r\nConnection: close\r\n\r\nHello from the bench.\r\n";

/// IP version of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// How the client behaves, which decides how many frames a connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// As few frames as TCP allows: the request rides on the third frame, no acknowledgement of the
    /// response but the FIN's. SYN with MSS only. 6 frames.
    Min,
    /// As a Linux client: SYN with MSS, SACK, timestamps and window scale, a bare third frame, the
    /// request, an acknowledgement of the response, then the FIN. 8 or 9 frames.
    Linux,
}

/// A client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tuple {
    /// Which client address (its low 32 bits).
    pub client: u32,
    /// The client's port.
    pub port: u16,
}

/// Which template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opens.
    Syn,
    /// Acknowledges only.
    Ack,
    /// Acknowledges and asks.
    Get,
    /// Acknowledges and closes.
    FinAck,
    /// Gives up.
    Reset,
}

/// A frame to be written: a template and what is patched in.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// The template.
    pub kind: Kind,
    /// From whom.
    pub tuple: Tuple,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Timestamp to echo (Linux personality).
    pub echo: u32,
}

/// A TCP segment of the server, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// To whom.
    pub tuple: Tuple,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// Bytes of payload.
    pub payload: u32,
    /// The server's timestamp; 0 without the option.
    pub timestamp: u32,
}

/// The templates of one client.
#[derive(Debug)]
pub struct Templates {
    family: Family,
    /// In the order of [`Kind`].
    templates: [Template; 5],
}

#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    /// Sums over everything that is not patched.
    ip_sum: u64,
    tcp_sum: u64,
    /// Where the timestamp's value lies.
    timestamp_at: Option<usize>,
}

impl Templates {
    /// Templates that go to `server_port`.
    pub fn new(family: Family, personality: Personality, server_port: u16) -> Templates {
        let kinds = [
            (Flags::SYN, &[][..]),
            (Flags::ACK, &[][..]),
            (Flags::ACK.with(Flags::PSH), &REQUEST[..]),
            (Flags::ACK.with(Flags::FIN), &[][..]),
            (Flags::ACK.with(Flags::RST), &[][..]),
        ];
        let templates = kinds
            .map(|(flags, payload)| template(family, personality, server_port, flags, payload));
        Templates { family, templates }
    }

    /// Writes a frame into `slot` and returns its length. `now_ms` is the client's timestamp.
    pub fn write(&self, slot: &mut [u8], frame: &Outgoing, now_ms: u32) -> usize {
        let template = &self.templates[frame.kind as usize];
        let length = template.bytes.len();
        slot[..length].copy_from_slice(&template.bytes);
        let Outgoing { tuple, seq, ack, echo, .. } = *frame;
        let source = sum32(tuple.client);
        let tcp = match self.family {
            Family::V4 => {
                put32(slot, 26, tuple.client);
                put16(slot, 24, checksum::finish(template.ip_sum + source));
                34
            }
            Family::V6 => {
                put32(slot, 34, tuple.client);
                54
            }
        };
        put16(slot, tcp, tuple.port);
        put32(slot, tcp + 4, seq);
        put32(slot, tcp + 8, ack);
        let mut sum = template.tcp_sum + source + tuple.port as u64 + sum32(seq) + sum32(ack);
        if let Some(at) = template.timestamp_at {
            put32(slot, at, now_ms);
            put32(slot, at + 4, echo);
            sum += sum32(now_ms) + sum32(echo);
        }
        put16(slot, tcp + 16, checksum::finish(sum));
        length
    }
}

/// The client's first address: IPv4 10.128.0.0, IPv6 fd01::10.128.0.0.
pub const CLIENT_FIRST: u32 = 0x0a80_0000;

fn template(
    family: Family,
    personality: Personality,
    server_port: u16,
    flags: Flags,
    payload: &[u8],
) -> Template {
    let syn = flags == Flags::SYN;
    let options: &[u8] = match (personality, syn) {
        (Personality::Min, true) => &[2, 4, 5, 180],
        (Personality::Min, false) => &[],
        (Personality::Linux, true) => {
            &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7]
        }
        (Personality::Linux, false) => &[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0],
    };
    let tcp_length = 20 + options.len() + payload.len();
    let mut bytes = Vec::new();
    bytes.extend(SERVER_MAC);
    bytes.extend(GATEWAY_MAC);
    let mut pseudo = 6 + tcp_length as u64;
    match family {
        Family::V4 => {
            bytes.extend([8, 0, 0x45, 0]);
            bytes.extend((20 + tcp_length as u16).to_be_bytes());
            bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0]);
            bytes.extend(SERVER_V4);
            pseudo += checksum::sum(&SERVER_V4);
        }
        Family::V6 => {
            let mut source = CLIENT_V6;
            source[12..].fill(0);
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            bytes.extend((tcp_length as u16).to_be_bytes());
            bytes.extend([6, 64]);
            bytes.extend(source);
            bytes.extend(SERVER_V6);
            pseudo += checksum::sum(&source) + checksum::sum(&SERVER_V6);
        }
    }
    let tcp = bytes.len();
    bytes.extend([0, 0]);
    bytes.extend(server_port.to_be_bytes());
    bytes.extend([0; 8]);
    let window: u16 = if syn || personality == Personality::Min { 64_240 } else { 502 };
    bytes.extend([((20 + options.len()) << 2) as u8, flags.0]);
    bytes.extend(window.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(options);
    bytes.extend(payload);
    let timestamp_at = match (personality, syn) {
        (Personality::Min, _) => None,
        (Personality::Linux, true) => Some(tcp + 28),
        (Personality::Linux, false) => Some(tcp + 24),
    };
    Template {
        ip_sum: checksum::sum(&bytes[14..tcp]),
        tcp_sum: pseudo + checksum::sum(&bytes[tcp..]),
        timestamp_at,
        bytes,
    }
}

/// Where IPv6 clients live; the last four bytes say which.
const CLIENT_V6: [u8; 16] = [0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Reads a TCP frame of the server; `None` for anything else. Trusts the lengths of the IP header,
/// because lent payload need not be in `frame`.
pub fn parse(frame: &[u8]) -> Option<Reply> {
    let (tcp, client, tcp_length) = match frame.get(12..14)? {
        [8, 0] if *frame.get(23)? == 6 => (34, read32(frame, 30)?, read16(frame, 16)? as u32 - 20),
        [0x86, 0xdd] if *frame.get(20)? == 6 => (54, read32(frame, 50)?, read16(frame, 18)? as u32),
        _ => return None,
    };
    let header = (*frame.get(tcp + 12)? >> 4) as usize * 4;
    let options = frame.get(tcp + 20..tcp + header)?;
    let flags = Flags(*frame.get(tcp + 13)?);
    Some(Reply {
        tuple: Tuple { client, port: read16(frame, tcp + 2)? },
        seq: read32(frame, tcp + 4)?,
        ack: read32(frame, tcp + 8)?,
        flags,
        payload: tcp_length - header as u32,
        timestamp: timestamp(options),
    })
}

/// Checks a whole frame of the server: both checksums, and payload that is part of the response.
pub fn verify(frame: &[u8], reply: &Reply) -> Result<(), &'static str> {
    let tcp = if frame[12] == 8 { 34 } else { 54 };
    if tcp == 34 && checksum::finish(checksum::sum(&frame[14..34])) != 0 {
        return Err("the IPv4 header checksum is wrong");
    }
    if checksum::finish(pseudo(frame, tcp) + checksum::sum(&frame[tcp..])) != 0 {
        return Err("the TCP checksum is wrong");
    }
    let payload = &frame[frame.len() - reply.payload as usize..];
    if payload.is_empty() || RESPONSE.windows(payload.len()).any(|part| part == payload) {
        Ok(())
    } else {
        Err("the payload is not the response's")
    }
}

/// Inserts both checksums into a whole TCP frame whose fields are zero; leaves others alone.
pub fn insert_checksums(frame: &mut [u8]) {
    if parse(frame).is_none() {
        return;
    }
    let tcp = if frame[12] == 8 { 34 } else { 54 };
    if tcp == 34 {
        let sum = checksum::finish(checksum::sum(&frame[14..34]));
        put16(frame, 24, sum);
    }
    let sum = checksum::finish(pseudo(frame, tcp) + checksum::sum(&frame[tcp..]));
    put16(frame, tcp + 16, sum);
}

/// The sum over the pseudo-header of a TCP frame (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn pseudo(frame: &[u8], tcp: usize) -> u64 {
    let addresses = if tcp == 34 { 26..34 } else { 22..54 };
    6 + (frame.len() - tcp) as u64 + checksum::sum(&frame[addresses])
}

fn timestamp(mut options: &[u8]) -> u32 {
    loop {
        options = match options {
            [1, rest @ ..] => rest,
            [8, 10, ..] => return read32(options, 2).unwrap_or(0),
            [0, ..] | [] | [_] | [_, 0 | 1, ..] => return 0,
            [_, length, ..] => options.get(*length as usize..).unwrap_or(&[]),
        }
    }
}

fn read16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

fn read32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn sum32(value: u32) -> u64 {
    (value >> 16) as u64 + (value & 0xffff) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every template's checksums are right after patching, in both families and personalities.
    #[test]
    fn templates_carry_valid_checksums() {
        for family in [Family::V4, Family::V6] {
            for personality in [Personality::Min, Personality::Linux] {
                let templates = Templates::new(family, personality, 80);
                for kind in [Kind::Syn, Kind::Ack, Kind::Get, Kind::FinAck, Kind::Reset] {
                    let tuple = Tuple { client: CLIENT_FIRST + 0x1_2345, port: 54_321 };
                    let frame = Outgoing { kind, tuple, seq: 0xfedc_ba98, ack: 7, echo: 9 };
                    let mut slot = [0xaa; 2048];
                    let length = templates.write(&mut slot, &frame, 0x8765_4321);
                    let reply = parse(&slot[..length]).expect("a TCP frame");
                    assert_eq!((reply.seq, reply.ack), (frame.seq, frame.ack));
                    let asks = if kind == Kind::Get { REQUEST.len() as u32 } else { 0 };
                    assert_eq!(reply.payload, asks);
                    let stamp = if personality == Personality::Min { 0 } else { 0x8765_4321 };
                    assert_eq!(reply.timestamp, stamp);
                    // The request is no part of the response, but its checksum was checked first.
                    match verify(&slot[..length], &reply) {
                        Ok(()) => assert_ne!(kind, Kind::Get),
                        Err(why) => assert_eq!((why, kind), (NOT_OURS, Kind::Get)),
                    }
                }
            }
        }
    }

    const NOT_OURS: &str = "the payload is not the response's";
}
