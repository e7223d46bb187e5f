//! What a request's head says.

use core::ops::Range;

use crate::Refusal;
use crate::bytes::host_end;
use crate::fields::{Fields, elements, trimmed};

/// A method (RFC 9110 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: as GET, but the answer has no body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
    /// CONNECT.
    Connect,
    /// OPTIONS.
    Options,
    /// TRACE.
    Trace,
    /// PATCH (RFC 5789).
    Patch,
    /// Any other token.
    Other,
}

/// A version that is served; a minor version above 1 is served as 1.1 (RFC 9110 section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How a request's body is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes follow the head.
    Length(u64),
    /// Chunks follow the head.
    Chunked,
}

/// What a head says, without the bytes that say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The method.
    pub method: Method,
    /// The version.
    pub version: Version,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the client wants to use the connection again, and may.
    pub keep_alive: bool,
    /// Whether the client waits for "100 Continue" before it sends the body.
    pub expects_continue: bool,
    pub(crate) target: (u16, u16),
    pub(crate) fields: (u16, u16),
}

/// A head where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(crate) head: &'a [u8],
    /// What it says.
    pub facts: Facts,
}

impl<'a> Request<'a> {
    /// The method, as it was sent.
    pub fn method(&self) -> &'a [u8] {
        let line = &self.head[..self.facts.target.0 as usize];
        let from = if line.starts_with(b"\r\n") { 2 } else { 0 };
        &line[from..line.len() - 1]
    }

    /// The target, as it was sent.
    pub fn target(&self) -> &'a [u8] {
        range(self.head, self.facts.target)
    }

    /// The path and query of a target in origin or absolute form, `*`, or an authority.
    pub fn path(&self) -> &'a [u8] {
        let target = self.target();
        match authority(target) {
            Some(authority) if authority.end == target.len() => b"/",
            Some(authority) => &target[authority.end..],
            None => target,
        }
    }

    /// The field lines.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(range(self.head, self.facts.fields))
    }

    /// All of it: from the request line to the empty line, both included.
    pub fn bytes(&self) -> &'a [u8] {
        self.head
    }
}

fn range(bytes: &[u8], (from, to): (u16, u16)) -> &[u8] {
    &bytes[from as usize..to as usize]
}

impl Method {
    pub(crate) fn of(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }
}

/// Checks the form of a target (RFC 9112 section 3.2).
#[inline]
pub(crate) fn check_target(method: Method, target: &[u8]) -> Result<(), Refusal> {
    if target.first() == Some(&b'/') && method != Method::Connect {
        return Ok(());
    }
    check_any_target(method, target)
}

fn check_any_target(method: Method, target: &[u8]) -> Result<(), Refusal> {
    let is_good = match method {
        Method::Connect => is_authority(target) && target.contains(&b':'),
        Method::Options if target == b"*" => true,
        _ => authority(target).is_some_and(|range| is_authority(&target[range])),
    };
    if is_good { Ok(()) } else { Err(Refusal::Target) }
}

/// Where the authority of a target in absolute form lies.
fn authority(target: &[u8]) -> Option<Range<usize>> {
    let scheme = [&b"http:"[..], b"https:"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    })?;
    target[scheme.len()..].strip_prefix(b"//")?;
    let from = scheme.len() + 2;
    let len = target[from..].iter().position(|byte| matches!(byte, b'/' | b'?'));
    Some(from..len.map_or(target.len(), |len| from + len))
}

pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    !bytes.is_empty() && host_end(bytes, 0) == bytes.len()
}

/// What the fields that concern the message itself have said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Message {
    pub(crate) fields: u16,
    hosts: u8,
    length: Option<u64>,
    codings: Codings,
    expects: bool,
    close: bool,
    keep_alive: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Codings {
    #[default]
    None,
    Chunked,
    /// The last coding is not "chunked".
    Unframed,
    /// "chunked" over a coding that we do not know.
    Unknown,
}

impl Message {
    /// Takes note of a field, if it concerns the message; `value` has its white space still.
    #[inline]
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            4 if is_word(name, *b"host") => {
                let value = trimmed(value);
                self.hosts = self.hosts.saturating_add(1);
                if host_end(value, 0) < value.len() {
                    return Err(Refusal::Host);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if !trimmed(value).eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal::Expectation);
                }
                self.expects = true;
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.connection(trimmed(value)),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Refusal::Length);
                }
                self.length = Some(number(trimmed(value)).ok_or(Refusal::Length)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(value)?,
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        if value == b"close" {
            self.close = true;
            return;
        }
        for option in elements(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if elements(value).next().is_none() {
            return Err(Refusal::Coding);
        }
        for coding in elements(value) {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.codings = match self.codings {
                // Nothing may follow "chunked", not even itself.
                Codings::Chunked | Codings::Unknown => return Err(Refusal::Coding),
                Codings::None if is_chunked => Codings::Chunked,
                Codings::Unframed if is_chunked => Codings::Unknown,
                Codings::None | Codings::Unframed => Codings::Unframed,
            };
        }
        Ok(())
    }

    /// What it all means together.
    #[inline]
    pub(crate) fn facts(self, method: Method, version: Version) -> Result<Facts, Refusal> {
        //= rfc9112#3.2
        //# A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
        //# message that lacks a Host header field and to any request message that contains more
        //# than one Host header field line or a Host header field with an invalid field value.
        if self.hosts > 1 || (version == Version::Http11 && self.hosts == 0) {
            return Err(Refusal::Host);
        }
        let framing = match (self.codings, self.length) {
            (Codings::None, length) => Framing::Length(length.unwrap_or(0)),
            // RFC 9112 section 6.3 lets a server refuse; who sends both wants us to choose wrong.
            (_, Some(_)) => return Err(Refusal::LengthAndCoding),
            //= rfc9112#6.1
            //# A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding
            //# header field MUST treat the message as if the framing is faulty, even if a
            //# Content-Length is present, and close the connection after processing the message.
            (_, None) if version == Version::Http10 => return Err(Refusal::Coding),
            //= rfc9112#6.3
            //# If a Transfer-Encoding header field is present in a request and the chunked
            //# transfer coding is not the final encoding, the message body length cannot be
            //# determined reliably; the server MUST respond with the 400 (Bad Request) status
            //# code and then close the connection.
            (Codings::Unframed, None) => return Err(Refusal::Coding),
            //= rfc9112#6.1
            //# A server that receives a request message with a transfer coding it does not
            //# understand SHOULD respond with 501 (Not Implemented).
            (Codings::Unknown, None) => return Err(Refusal::CodingUnknown),
            (Codings::Chunked, None) => Framing::Chunked,
        };
        let has_body = framing != Framing::Length(0);
        Ok(Facts {
            method,
            version,
            framing,
            //= rfc9112#9.3
            //# If the "close" connection option is present (Section 9.6), the connection will not
            //# persist after the current response
            keep_alive: !self.close && (version == Version::Http11 || self.keep_alive),
            //= rfc9110#10.1.1
            //# A server that receives a 100-continue expectation in an HTTP/1.0 request MUST
            //# ignore that expectation.
            expects_continue: self.expects && has_body && version == Version::Http11,
            target: (0, 0),
            fields: (0, 0),
        })
    }
}

/// Whether `name` is `word`, which is lower case letters, in any case.
#[inline]
fn is_word(name: &[u8], word: [u8; 4]) -> bool {
    let name = name.first_chunk::<4>().map(|name| u32::from_le_bytes(*name) | 0x2020_2020);
    name == Some(u32::from_le_bytes(word))
}

/// A decimal number and nothing else, that fits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(digit as u64)
    })
}
