//! Segments as a script writes them: relative numbers, options in their order, and the same as
//! bytes. Written anew rather than taken from the wire crate, so that a mistake there shows.

use std::fmt::{self, Write};

/// Letters of the control bits, from FIN up, as packetdrill writes them.
pub(crate) const FLAG_LETTERS: &str = "FSRP.UEW";

/// FIN.
pub(crate) const FIN: u8 = 1;
/// SYN.
pub(crate) const SYN: u8 = 2;
/// RST.
pub(crate) const RST: u8 = 4;
/// PSH.
pub(crate) const PSH: u8 = 8;
/// ACK.
pub(crate) const ACK: u8 = 16;

/// A segment; in scripts all numbers are relative to the first of their direction.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Segment {
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) window: Option<u16>,
    pub(crate) urgent: Option<u16>,
    /// `None` in an expectation: any.
    pub(crate) options: Option<Vec<TcpOption>>,
}

/// A number in an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// This one.
    Exact(u32),
    /// Any, in an expectation.
    Any,
    /// The worker's own MSS option; in an echo, the worker's latest timestamp.
    Own,
}

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpOption {
    End,
    Nop,
    Mss(Number),
    WindowScale(u8),
    SackPermitted,
    Sack(Vec<(u32, u32)>),
    Timestamps {
        value: Number,
        echo: Number,
    },
    /// Bytes as they are.
    Raw(Vec<u8>),
}

impl Segment {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Appends the TCP header; the checksum stays 0.
    pub(crate) fn emit(&self, bytes: &mut Vec<u8>, ports: (u16, u16)) {
        let mut options = Vec::new();
        for option in self.options.iter().flatten() {
            option.emit(&mut options);
        }
        options.truncate(OPTION_BYTES_MAX);
        options.resize(options.len().next_multiple_of(4), 0);
        bytes.extend(ports.0.to_be_bytes());
        bytes.extend(ports.1.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.unwrap_or(0).to_be_bytes());
        bytes.push(((HEADER_BYTES + options.len()) << 2) as u8);
        bytes.push(self.flags);
        bytes.extend(self.window.unwrap_or(0).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent.unwrap_or(0).to_be_bytes());
        bytes.extend(options);
    }

    /// Reads a TCP header; the payload is what follows. `None` where it is malformed.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Segment, &[u8])> {
        let half = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let word = |at: usize| Some((half(at)? as u32) << 16 | half(at + 2)? as u32);
        let header_bytes = (*bytes.get(12)? >> 4) as usize * 4;
        let flags = *bytes.get(13)?;
        let urgent = half(18)?;
        let payload = bytes.get(header_bytes..)?;
        let segment = Segment {
            flags,
            seq: word(4)?,
            payload_bytes: payload.len() as u32,
            ack: if flags & ACK != 0 { Some(word(8)?) } else { None },
            window: half(14),
            urgent: if urgent != 0 { Some(urgent) } else { None },
            options: Some(parse_options(bytes.get(HEADER_BYTES..header_bytes)?)?),
        };
        Some((segment, payload))
    }
}

impl TcpOption {
    fn emit(&self, bytes: &mut Vec<u8>) {
        let exact = |number: &Number| match number {
            Number::Exact(number) => *number,
            Number::Any | Number::Own => 0,
        };
        match self {
            TcpOption::End => bytes.push(0),
            TcpOption::Nop => bytes.push(1),
            TcpOption::Mss(mss) => {
                bytes.extend([2, 4]);
                bytes.extend((exact(mss) as u16).to_be_bytes());
            }
            TcpOption::WindowScale(shift) => bytes.extend([3, 3, *shift]),
            TcpOption::SackPermitted => bytes.extend([4, 2]),
            TcpOption::Sack(blocks) => {
                bytes.extend([5, 2 + 8 * blocks.len() as u8]);
                for (from, to) in blocks {
                    bytes.extend(from.to_be_bytes());
                    bytes.extend(to.to_be_bytes());
                }
            }
            TcpOption::Timestamps { value, echo } => {
                bytes.extend([8, 10]);
                bytes.extend(exact(value).to_be_bytes());
                bytes.extend(exact(echo).to_be_bytes());
            }
            TcpOption::Raw(raw) => bytes.extend(raw),
        }
    }
}

/// Reads the options the worker wrote: strictly, since it is not to write anything else.
fn parse_options(bytes: &[u8]) -> Option<Vec<TcpOption>> {
    let mut options = Vec::new();
    let mut rest = bytes;
    while let Some((&kind, after)) = rest.split_first() {
        if kind < 2 {
            options.push(if kind == 0 { TcpOption::End } else { TcpOption::Nop });
            rest = after;
            continue;
        }
        let length = *after.first()? as usize;
        let value = rest.get(2..length)?;
        let words: Vec<u32> =
            value.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
        options.push(match (kind, value.len(), words.as_slice()) {
            (2, 2, _) => TcpOption::Mss(Number::Exact((value[0] as u32) << 8 | value[1] as u32)),
            (3, 1, _) => TcpOption::WindowScale(value[0]),
            (4, 0, _) => TcpOption::SackPermitted,
            (5, bytes, words) if bytes > 0 && bytes % 8 == 0 => {
                TcpOption::Sack(words.as_chunks::<2>().0.iter().map(|b| (b[0], b[1])).collect())
            }
            (8, 8, &[value, echo]) => {
                TcpOption::Timestamps { value: Number::Exact(value), echo: Number::Exact(echo) }
            }
            _ => TcpOption::Raw(rest.get(..length)?.to_vec()),
        });
        rest = rest.get(length..)?;
    }
    Some(options)
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut flags: String = FLAG_LETTERS
            .chars()
            .enumerate()
            .filter(|(i, _)| self.flags >> i & 1 == 1)
            .map(|(_, c)| c)
            .collect();
        if flags.is_empty() {
            flags.push('-');
        }
        let end = self.seq.wrapping_add(self.payload_bytes);
        write!(f, "{flags} {}:{}({})", Near(self.seq), Near(end), self.payload_bytes)?;
        if let Some(ack) = self.ack {
            write!(f, " ack {}", Near(ack))?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        if let Some(urgent) = self.urgent {
            write!(f, " urg {urgent}")?;
        }
        let Some(options) = self.options.as_ref().filter(|options| !options.is_empty()) else {
            return Ok(());
        };
        f.write_str(" <")?;
        for (index, option) in options.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            option.fmt(f)?;
        }
        f.write_char('>')
    }
}

impl fmt::Display for TcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TcpOption::End => f.write_str("eol"),
            TcpOption::Nop => f.write_str("nop"),
            TcpOption::Mss(mss) => write!(f, "mss {mss}"),
            TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
            TcpOption::SackPermitted => f.write_str("sackOK"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(from, to)| write!(f, " {}:{}", Near(*from), Near(*to)))
            }
            TcpOption::Timestamps { value, echo } => write!(f, "TS val {value} ecr {echo}"),
            TcpOption::Raw(bytes) => {
                f.write_str("raw ")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Exact(number) => number.fmt(f),
            Number::Any => f.write_str("any"),
            Number::Own => f.write_str("own"),
        }
    }
}

/// A relative sequence number; one shortly before the first is shown as negative.
pub(crate) struct Near(pub(crate) u32);

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 as i32 {
            near @ NEAR_MIN..0 => near.fmt(f),
            _ => self.0.fmt(f),
        }
    }
}

/// Bytes of a header without options.
const HEADER_BYTES: usize = 20;
/// Bytes of options a header has room for.
const OPTION_BYTES_MAX: usize = 40;
/// How far before the first a number may lie and still be shown as negative.
const NEAR_MIN: i32 = -(1 << 24);
