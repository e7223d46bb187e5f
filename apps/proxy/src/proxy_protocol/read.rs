//! Headers from the proxy before us: `accept-proxy`, `expect-proxy`.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use penstock_stack::Endpoint;
use penstock_wire::Addr;

use super::{
    AUTHORITY_BYTES_MAX, CRC32C, Endpoints, FIXED_BYTES, Refusal, SIGNATURE, TCP4, TCP6,
    TYPE_AUTHORITY, TYPE_CRC32C, TYPE_UNIQUE_ID, UNIQUE_ID_BYTES_MAX, V1_BYTES_MAX, V4_BYTES,
    V6_BYTES,
};

/// What a header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The client's connection; `None` where the header does not say it, and the addresses of the
    /// connection it came on are meant (a health check of the proxy before us, a UNIX socket).
    pub endpoints: Option<Endpoints>,
    /// The name the client asked for, where version 2 says it.
    pub authority: Option<&'a [u8]>,
    /// The identifier that the proxy before us gave the connection.
    pub unique_id: Option<&'a [u8]>,
}

/// Reads a header from the beginning of a connection, in the pieces in which it comes.
#[derive(Clone, Debug)]
pub struct Reader {
    stage: Stage,
    /// The line of version 1; of version 2 the fixed part and addresses, and behind them the head
    /// of the present TLV or the value of its checksum.
    kept: [u8; V1_BYTES_MAX],
    used: usize,
    /// Of version 2: bytes of the header that have not come.
    left: usize,
    endpoints: Option<Endpoints>,
    /// Over all of version 2 so far, with zeroes for the checksum itself.
    crc: u32,
    /// What the header says that `crc` becomes.
    crc_wanted: Option<u32>,
    authority: Name<AUTHORITY_BYTES_MAX>,
    unique_id: Name<UNIQUE_ID_BYTES_MAX>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first byte, which tells the versions apart.
    First,
    /// The rest of version 1.
    Line,
    /// The sixteen bytes with which version 2 begins.
    Fixed,
    /// Source and destination.
    Addresses { bytes: usize },
    /// The type and length of a TLV.
    TlvHead,
    /// The value of one.
    Value { kind: u8, left: usize },
    /// Everything else, which is none of our business.
    Skip,
    /// Nothing: the header is complete.
    Done,
}

/// A value of bounded length.
#[derive(Clone, Debug)]
struct Name<const MAX: usize> {
    bytes: [u8; MAX],
    len: Option<u8>,
}

impl Reader {
    /// Waits for the first byte.
    pub fn new() -> Reader {
        Reader {
            stage: Stage::First,
            kept: [0; V1_BYTES_MAX],
            used: 0,
            left: 0,
            endpoints: None,
            crc: 0,
            crc_wanted: None,
            authority: Name::EMPTY,
            unique_id: Name::EMPTY,
        }
    }

    /// Takes what came. Returns how many of `bytes` belonged to the header, and the header once it
    /// is complete; behind it, nothing more is taken.
    ///
    /// # Errors
    /// When this is no header, or a wrong one: the connection is to be closed.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(usize, Option<Header<'_>>), Refusal> {
        let mut rest = bytes;
        while self.stage != Stage::Done {
            if !self.step(&mut rest)? {
                return Ok((bytes.len() - rest.len(), None));
            }
        }
        Ok((bytes.len() - rest.len(), Some(self.header())))
    }

    /// What it means that the peer closes now.
    pub fn close(&self) -> Refusal {
        if self.stage == Stage::First { Refusal::Empty } else { Refusal::Truncated }
    }

    fn header(&self) -> Header<'_> {
        Header {
            endpoints: self.endpoints,
            authority: self.authority.bytes(),
            unique_id: self.unique_id.bytes(),
        }
    }

    /// Goes one stage on; false when that needs more bytes.
    fn step(&mut self, rest: &mut &[u8]) -> Result<bool, Refusal> {
        match self.stage {
            Stage::First => {
                self.stage = match rest.first() {
                    None => return Ok(false),
                    Some(b'P') => Stage::Line,
                    Some(_) => Stage::Fixed,
                };
            }
            Stage::Line => return self.line(rest),
            Stage::Fixed => {
                let is_whole = self.keep(rest, FIXED_BYTES);
                let count = self.used.min(SIGNATURE.len());
                if self.kept[..count] != SIGNATURE[..count] {
                    return Err(Refusal::NotHeader);
                }
                if !is_whole {
                    return Ok(false);
                }
                self.stage = self.fixed()?;
            }
            Stage::Addresses { bytes } => {
                if !self.keep(rest, FIXED_BYTES + bytes) {
                    return Ok(false);
                }
                self.left -= bytes;
                self.endpoints = Some(endpoints(&self.kept[FIXED_BYTES..FIXED_BYTES + bytes]));
                self.stage = Stage::TlvHead;
                self.begin_value();
            }
            Stage::TlvHead => {
                if self.left == 0 {
                    self.check()?;
                    self.stage = Stage::Done;
                } else if self.left < TLV_BYTES {
                    return Err(Refusal::Invalid);
                } else if !self.keep(rest, TLV_AT + TLV_BYTES) {
                    return Ok(false);
                } else {
                    self.stage = self.tlv()?;
                }
            }
            Stage::Value { kind, left } => return Ok(self.value(kind, left, rest)),
            Stage::Skip => {
                let count = self.left.min(rest.len());
                *rest = &rest[count..];
                self.left -= count;
                if self.left > 0 {
                    return Ok(false);
                }
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Ok(true)
    }

    /// Keeps bytes until there are `wanted`; false when there are not.
    fn keep(&mut self, rest: &mut &[u8], wanted: usize) -> bool {
        let count = (wanted - self.used).min(rest.len());
        self.kept[self.used..self.used + count].copy_from_slice(&rest[..count]);
        self.crc = crc_over(self.crc, &rest[..count]);
        self.used += count;
        *rest = &rest[count..];
        self.used == wanted
    }

    /// Version 1, up to its line feed.
    fn line(&mut self, rest: &mut &[u8]) -> Result<bool, Refusal> {
        let room = V1_BYTES_MAX - self.used;
        let piece = &rest[..rest.len().min(room)];
        let end = piece.iter().position(|byte| *byte == b'\n');
        let is_whole = end.is_some();
        let count = end.map_or(piece.len(), |at| at + 1);
        self.keep(rest, self.used + count);
        let line = &self.kept[..self.used];
        let count = line.len().min(PREFIX.len());
        if line[..count] != PREFIX[..count] {
            return Err(Refusal::NotHeader);
        }
        if !is_whole {
            return if self.used < V1_BYTES_MAX { Ok(false) } else { Err(Refusal::Invalid) };
        }
        let line = line.strip_suffix(b"\r\n").ok_or(Refusal::Invalid)?;
        self.endpoints = line_endpoints(&line[PREFIX.len().min(line.len())..])?;
        self.stage = Stage::Done;
        Ok(true)
    }

    /// The fixed part of version 2 (section 2.2).
    fn fixed(&mut self) -> Result<Stage, Refusal> {
        self.left = usize::from(u16::from_be_bytes([self.kept[14], self.kept[15]]));
        let (version, command) = (self.kept[12] >> 4, self.kept[12] & 0xf);
        match (version, command) {
            // LOCAL: the connection is the other proxy's own.
            (2, 0) => Ok(Stage::Skip),
            (2, 1) => {
                let bytes = match self.kept[13] {
                    TCP4 => V4_BYTES,
                    TCP6 => V6_BYTES,
                    _ => return Ok(Stage::Skip),
                };
                if self.left < bytes {
                    return Err(Refusal::Invalid);
                }
                Ok(Stage::Addresses { bytes })
            }
            (2, _) => Err(Refusal::Invalid),
            _ => Err(Refusal::NotHeader),
        }
    }

    /// The head of a TLV, which must lie within the header with its value.
    fn tlv(&mut self) -> Result<Stage, Refusal> {
        let [kind, high, low] = [self.kept[TLV_AT], self.kept[TLV_AT + 1], self.kept[TLV_AT + 2]];
        let bytes = usize::from(u16::from_be_bytes([high, low]));
        let whole = TLV_BYTES + bytes;
        if whole > self.left {
            return Err(Refusal::Invalid);
        }
        let fits = match kind {
            TYPE_CRC32C => bytes == 4 && self.crc_wanted.is_none(),
            TYPE_AUTHORITY => bytes <= AUTHORITY_BYTES_MAX,
            TYPE_UNIQUE_ID => bytes <= UNIQUE_ID_BYTES_MAX,
            _ => true,
        };
        if !fits {
            return Err(Refusal::Invalid);
        }
        match kind {
            TYPE_AUTHORITY => self.authority.len = Some(0),
            TYPE_UNIQUE_ID => self.unique_id.len = Some(0),
            _ => {}
        }
        self.left -= whole;
        self.begin_value();
        Ok(Stage::Value { kind, left: bytes })
    }

    /// What follows is kept behind the addresses.
    fn begin_value(&mut self) {
        self.used = TLV_AT;
    }

    /// A piece of a value; false when that needs more bytes.
    fn value(&mut self, kind: u8, left: usize, rest: &mut &[u8]) -> bool {
        let count = left.min(rest.len());
        let (piece, behind) = rest.split_at(count);
        *rest = behind;
        match kind {
            TYPE_CRC32C => {
                self.kept[self.used..self.used + count].copy_from_slice(piece);
                self.used += count;
                self.crc = crc_over(self.crc, &[0; 4][..count]);
            }
            TYPE_AUTHORITY => self.authority.extend(piece),
            TYPE_UNIQUE_ID => self.unique_id.extend(piece),
            _ => {}
        }
        if kind != TYPE_CRC32C {
            self.crc = crc_over(self.crc, piece);
        }
        self.stage = Stage::Value { kind, left: left - count };
        if count < left {
            return false;
        }
        if kind == TYPE_CRC32C {
            let value = [0, 1, 2, 3].map(|at| self.kept[TLV_AT + at]);
            self.crc_wanted = Some(u32::from_be_bytes(value));
        }
        self.begin_value();
        self.stage = Stage::TlvHead;
        true
    }

    /// The checksum, where there is one (section 2.2.3).
    fn check(&self) -> Result<(), Refusal> {
        match self.crc_wanted {
            Some(wanted) if wanted != self.crc => Err(Refusal::Invalid),
            _ => Ok(()),
        }
    }
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl<const MAX: usize> Name<MAX> {
    const EMPTY: Name<MAX> = Name { bytes: [0; MAX], len: None };

    fn bytes(&self) -> Option<&[u8]> {
        self.len.map(|len| &self.bytes[..usize::from(len)])
    }

    /// Adds a piece of a value that was found to fit.
    fn extend(&mut self, piece: &[u8]) {
        let begin = usize::from(self.len.unwrap_or(0));
        let end = (begin + piece.len()).min(MAX);
        self.bytes[begin..end].copy_from_slice(&piece[..end - begin]);
        self.len = Some(end as u8);
    }
}

/// The checksum of bytes that follow others.
fn crc_over(crc: u32, bytes: &[u8]) -> u32 {
    // The state of a digest is the complement of the checksum so far, reflected.
    let mut digest = CRC32C.digest_with_initial(crc.reverse_bits() ^ u32::MAX);
    digest.update(bytes);
    digest.finalize()
}

/// The addresses of version 2, of either family.
fn endpoints(bytes: &[u8]) -> Endpoints {
    let (width, address): (usize, fn(&[u8]) -> Addr) = if bytes.len() == V4_BYTES {
        (4, |bytes| Addr::v4(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte))))
    } else {
        (16, |bytes| Addr::v6(core::array::from_fn(|at| bytes[at])))
    };
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let ports = 2 * width;
    Endpoints {
        source: Endpoint { addr: address(&bytes[..width]), port: port(ports) },
        destination: Endpoint { addr: address(&bytes[width..ports]), port: port(ports + 2) },
    }
}

/// What stands behind `PROXY ` in a line of version 1, without its end (section 2.1).
fn line_endpoints(line: &[u8]) -> Result<Option<Endpoints>, Refusal> {
    let line = str::from_utf8(line).map_err(|_| Refusal::Invalid)?;
    let mut words = line.split(' ');
    let address: fn(&str) -> Option<Addr> = match words.next() {
        Some("TCP4") => |word| Some(Ipv4Addr::from_str(word).ok()?.into()),
        Some("TCP6") => |word| Some(Ipv6Addr::from_str(word).ok()?.into()),
        // Whatever stands behind it is to be ignored.
        Some("UNKNOWN") => return Ok(None),
        _ => return Err(Refusal::UnknownProtocol),
    };
    let mut read = || -> Option<Endpoints> {
        let (source, destination) = (address(words.next()?)?, address(words.next()?)?);
        let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
        words.next().is_none().then_some(Endpoints {
            source: Endpoint { addr: source, port: source_port },
            destination: Endpoint { addr: destination, port: destination_port },
        })
    };
    read().map(Some).ok_or(Refusal::Invalid)
}

/// A port in decimal, without sign or leading zeroes.
fn port(word: &str) -> Option<u16> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = word.len() == 1 || !word.starts_with('0');
    (is_plain && is_canonical).then(|| word.parse().ok())?
}

const PREFIX: &[u8; 6] = b"PROXY ";

/// Where the head of a TLV is kept.
const TLV_AT: usize = FIXED_BYTES + V6_BYTES;

/// Type and length.
const TLV_BYTES: usize = 3;

const _: () = assert!(TLV_AT + 4 <= V1_BYTES_MAX && TLV_AT + TLV_BYTES <= V1_BYTES_MAX);
const _: () = assert!(AUTHORITY_BYTES_MAX <= u8::MAX as usize);
