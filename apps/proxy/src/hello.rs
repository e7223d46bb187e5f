//! What a TLS client says before anything is encrypted: its hello, RFC 8446 section 4.1.2.
//!
//! A proxy that passes TLS through reads it to find the server (`req.ssl_sni`), and nothing else of
//! the connection. Bytes are looked at from the beginning each time more of them come, as HAProxy
//! does: the hello of a browser is two segments, and content inspection has a bound.
//!
//! ```text
//!   record          handshake message
//!   16 03 01 llll   01 llllll   version  random  session  ciphers  compression  extensions
//!   type ver  len   type  len     2        32    1 + n     2 + n      1 + n        2 + n
//! ```
//! A message may be cut into several records at any byte (section 5.1), which hides the name from
//! whoever looks at the first record only, HAProxy 2.6 among them. Here the pieces are put together
//! first, in a buffer that the core keeps for that.

use crate::known::Known;

/// A client's hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// `legacy_version`: 0x0303 for TLS 1.2 and everything after it.
    pub version: u16,
    /// The list of extensions, without its length.
    extensions: &'a [u8],
}

/// Where the pieces of a message are put together.
#[derive(Clone, Debug)]
pub struct Scratch([u8; MESSAGE_BYTES_MAX]);

impl Scratch {
    /// One for a core.
    pub fn new() -> Scratch {
        Scratch([0; MESSAGE_BYTES_MAX])
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

/// The type of the first handshake message, once all of it is there: 1 is a client's hello, 2 a
/// server's.
pub fn hello_type(bytes: &[u8], scratch: &mut Scratch) -> Known<u8> {
    message(bytes, scratch).map(|(kind, _)| kind)
}

/// The hello, once all of it is there.
pub fn client_hello<'a>(bytes: &'a [u8], scratch: &'a mut Scratch) -> Known<ClientHello<'a>> {
    message(bytes, scratch).and_then(|(kind, body)| {
        let hello = if kind == CLIENT_HELLO { ClientHello::parse(body) } else { None };
        hello.into()
    })
}

impl<'a> ClientHello<'a> {
    fn parse(body: &'a [u8]) -> Option<ClientHello<'a>> {
        let mut rest = Bytes(body);
        let version = rest.u16()?;
        if version < SSL_3 {
            return None;
        }
        rest.take(RANDOM_BYTES)?;
        let session = rest.vector8()?;
        let ciphers = rest.vector16()?;
        let compressions = rest.vector8()?;
        let is_sound =
            session.len() <= SESSION_BYTES_MAX && ciphers.len() >= 2 && !compressions.is_empty();
        // A hello without extensions may end here.
        let extensions = if rest.0.is_empty() { &[][..] } else { rest.vector16()? };
        is_sound.then_some(ClientHello { version, extensions })
    }

    /// The name of the server that the client wants (RFC 6066 section 3).
    pub fn server_name(&self) -> Option<&'a [u8]> {
        let mut names = Bytes(Bytes(self.extension(SERVER_NAME)?).vector16()?);
        loop {
            let is_host = names.u8()? == 0;
            let name = names.vector16()?;
            if is_host {
                return Some(name);
            }
        }
    }

    /// The protocol that it would like most (RFC 7301).
    pub fn first_protocol(&self) -> Option<&'a [u8]> {
        Bytes(Bytes(self.extension(ALPN)?).vector16()?).vector8()
    }

    /// Whether it names elliptic curves (RFC 8422 section 5.1.1).
    pub fn names_curves(&self) -> bool {
        self.extension(SUPPORTED_GROUPS).is_some()
    }

    /// The session ticket it shows (RFC 5077): `None` when it does not know of them, nothing when
    /// it has none yet.
    pub fn ticket(&self) -> Option<&'a [u8]> {
        self.extension(SESSION_TICKET)
    }

    /// The first extension of this kind. A list that is cut off holds what comes before the cut.
    fn extension(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = Bytes(self.extensions);
        loop {
            let kind = rest.u16()?;
            let value = rest.vector16()?;
            if kind == wanted {
                return Some(value);
            }
        }
    }
}

/// The first handshake message: its type and body, in place where one record holds it.
fn message<'a>(bytes: &'a [u8], scratch: &'a mut Scratch) -> Known<(u8, &'a [u8])> {
    let mut rest = Bytes(bytes);
    let first = match record(&mut rest) {
        Known::Is(record) => record,
        Known::Never => return Known::Never,
        Known::NotYet => return Known::NotYet,
    };
    if is_too_long(first.body) {
        return Known::Never;
    }
    if let Some(body) = body_bytes(first.body)
        && HEAD_BYTES + body <= first.len
    {
        return whole(first.body);
    }
    let mut used = 0;
    let mut piece = first;
    while piece.is_whole() {
        let room = &mut scratch.0[used..];
        let count = piece.body.len().min(room.len());
        room[..count].copy_from_slice(&piece.body[..count]);
        used += count;
        let so_far = &scratch.0[..used];
        if is_too_long(so_far) {
            return Known::Never;
        }
        if let Known::Is(_) = whole(so_far) {
            return whole(&scratch.0[..used]);
        }
        piece = match record(&mut rest) {
            Known::Is(record) => record,
            Known::Never => return Known::Never,
            Known::NotYet => return Known::NotYet,
        };
    }
    // More of this record has to come.
    Known::NotYet
}

/// Splits a message when all of it is there.
fn whole(message: &[u8]) -> Known<(u8, &[u8])> {
    let body = body_bytes(message).and_then(|bytes| message.get(HEAD_BYTES..HEAD_BYTES + bytes));
    match (message.first(), body) {
        (Some(kind), Some(body)) => Known::Is((*kind, body)),
        _ => Known::NotYet,
    }
}

fn is_too_long(message: &[u8]) -> bool {
    body_bytes(message).is_some_and(|bytes| HEAD_BYTES + bytes > MESSAGE_BYTES_MAX)
}

/// The length that a message says it has, without its head.
fn body_bytes(message: &[u8]) -> Option<usize> {
    let [_, high, middle, low] = *message.first_chunk::<HEAD_BYTES>()?;
    Some(u32::from_be_bytes([0, high, middle, low]) as usize)
}

/// What is there of a record.
#[derive(Clone, Copy)]
struct Record<'a> {
    body: &'a [u8],
    len: usize,
}

impl Record<'_> {
    fn is_whole(&self) -> bool {
        self.body.len() == self.len
    }
}

/// The next record, or its beginning. Whatever is no handshake is refused at its first byte, so
/// that a client that does not speak TLS is known at once.
fn record<'a>(rest: &mut Bytes<'a>) -> Known<Record<'a>> {
    let is_handshake = |kind: &u8| *kind == HANDSHAKE;
    let is_known_version = |major: &u8| *major == 3;
    if !rest.0.first().is_none_or(is_handshake) || !rest.0.get(1).is_none_or(is_known_version) {
        return Known::Never;
    }
    let Some(&[_, _, _, high, low]) = rest.0.first_chunk::<RECORD_HEAD_BYTES>() else {
        return Known::NotYet;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    // An empty record would let a client make us count for ever (RFC 8446 section 5.1).
    if !(1..=RECORD_BYTES_MAX).contains(&len) {
        return Known::Never;
    }
    rest.0 = &rest.0[RECORD_HEAD_BYTES..];
    let body = &rest.0[..len.min(rest.0.len())];
    rest.0 = &rest.0[body.len()..];
    Known::Is(Record { body, len })
}

/// A view that shrinks from its front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes with their number in one byte in front.
    fn vector8(&mut self) -> Option<&'a [u8]> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }

    /// Bytes with their number in two bytes in front.
    fn vector16(&mut self) -> Option<&'a [u8]> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }
}

/// A longer message is no hello that we wait for: HAProxy's buffer.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Type and version and length of a record.
const RECORD_HEAD_BYTES: usize = 5;

/// Of a record's body (RFC 8446 section 5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;

/// Type and length of a message.
const HEAD_BYTES: usize = 4;

/// The first version that looks like this.
const SSL_3: u16 = 0x0300;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RANDOM_BYTES: usize = 32;
const SESSION_BYTES_MAX: usize = 32;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;

#[cfg(test)]
mod tests;
