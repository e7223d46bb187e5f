//! Samples of the bytes that a side has sent: lengths, pieces, and protocols that show themselves.

use penstock_config::haproxy::{Fetch, PayloadBegin, Way};

use super::{Value, View};
use crate::hello::{self, ClientHello, Scratch};
use crate::known::Known;

/// What is fetched from bytes, and whether it may change; `None` when it is fetched from elsewhere.
pub(super) fn fetch<'a>(
    fetch: &'a Fetch,
    view: &'a impl View,
    scratch: &'a mut Scratch,
) -> Option<(Known<Value<'a>>, bool)> {
    let found = match *fetch {
        Fetch::Length(way) => {
            return Some((Known::Is(Value::Int(view.bytes(way).len() as i64)), true));
        }
        Fetch::Payload { way, offset, length } => {
            let found = payload(view, way, offset as usize, length as usize);
            return Some((found, length == 0));
        }
        Fetch::PayloadByLength { way, offset, width, begin } => {
            payload_by_length(view, way, offset as usize, width as usize, begin)
        }
        Fetch::TlsHelloType(way) => {
            hello::hello_type(view.bytes(way), scratch).map(|kind| Value::Int(i64::from(kind)))
        }
        Fetch::TlsServerName
        | Fetch::TlsAlpn
        | Fetch::TlsVersion
        | Fetch::TlsEcExtension
        | Fetch::TlsTicketExtension => hello::client_hello(view.bytes(Way::Request), scratch)
            .and_then(|hello| of_hello(fetch, hello).into()),
        Fetch::RdpCookie(ref name) => rdp_cookie(view.bytes(Way::Request), name.as_deref()),
        Fetch::RdpCookieCount(ref name) => {
            rdp_cookie(view.bytes(Way::Request), name.as_deref()).map(|_| Value::Int(1))
        }
        Fetch::LooksLikeHttp => looks_like_http(view.bytes(Way::Request)),
        _ => return None,
    };
    Some((found, false))
}

fn of_hello<'a>(fetch: &Fetch, hello: ClientHello<'a>) -> Option<Value<'a>> {
    match fetch {
        Fetch::TlsServerName => hello.server_name().map(Value::Text),
        Fetch::TlsAlpn => hello.first_protocol().map(Value::Text),
        Fetch::TlsVersion => {
            let [major, minor] = hello.version.to_be_bytes();
            Some(Value::Int(i64::from(major) << 16 | i64::from(minor)))
        }
        Fetch::TlsEcExtension => Some(Value::Bool(hello.names_curves())),
        Fetch::TlsTicketExtension => Some(Value::Int(match hello.ticket() {
            None => 0,
            Some([]) => 1,
            Some(_) => 2,
        })),
        _ => None,
    }
}

/// `payload(offset,length)`; a length of 0 is all that is there.
fn payload(view: &impl View, way: Way, offset: usize, length: usize) -> Known<Value<'_>> {
    if offset + length > view.bytes_max() {
        return Known::Never;
    }
    let bytes = view.bytes(way);
    let end = if length == 0 { bytes.len() } else { offset + length };
    bytes.get(offset..end).map_or(Known::NotYet, |bytes| Known::Is(Value::Binary(bytes)))
}

/// `payload_lv(offset,width[,begin])`: a number of bytes, in network order, and so many bytes.
fn payload_by_length(
    view: &impl View,
    way: Way,
    offset: usize,
    width: usize,
    begin: Option<PayloadBegin>,
) -> Known<Value<'_>> {
    let Some(number) = view.bytes(way).get(offset..offset + width) else {
        return if offset + width > view.bytes_max() { Known::Never } else { Known::NotYet };
    };
    let length = number.iter().fold(0usize, |n, byte| n.saturating_mul(256) + usize::from(*byte));
    let behind = offset + width;
    let begin = match begin {
        None => Some(behind),
        Some(PayloadBegin::At(at)) => Some(at as usize),
        Some(PayloadBegin::Relative(by)) => behind.checked_add_signed(by as isize),
    };
    match begin {
        Some(begin) if length > 0 && length <= view.bytes_max() => {
            payload(view, way, begin, length)
        }
        _ => Known::Never,
    }
}

/// A routing token of the Remote Desktop Protocol (MS-RDPBCGR section 2.2.1.1): TPKT, X.224, and a
/// line `Cookie: name=value`.
fn rdp_cookie<'a>(bytes: &'a [u8], name: Option<&[u8]>) -> Known<Value<'a>> {
    let is_begun = |wanted: &[(usize, u8)]| {
        wanted.iter().all(|(at, byte)| bytes.get(*at).is_none_or(|found| found == byte))
    };
    // Version 3 of TPKT, a connection request, and the beginning of the line.
    if !is_begun(&[(0, 3), (1, 0), (5, 0xe0)]) {
        return Known::Never;
    }
    let Some(length) = bytes.get(2..4) else { return Known::NotYet };
    let whole = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if whole <= RDP_LINE_AT {
        return Known::Never;
    }
    let Some(line) = bytes.get(RDP_LINE_AT..whole) else { return Known::NotYet };
    let value = || {
        let rest = line.get(..COOKIE.len()).filter(|begin| begin.eq_ignore_ascii_case(COOKIE));
        let rest = &line[rest?.len()..];
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        if name.is_some_and(|name| !rest[..equals].eq_ignore_ascii_case(name)) {
            return None;
        }
        let value = &rest[equals + 1..];
        let end = value.windows(2).position(|pair| pair == b"\r\n")?;
        Some(Value::Text(&value[..end]))
    };
    value().into()
}

/// Whether a request of HTTP/1 stands there.
fn looks_like_http<'a>(bytes: &[u8]) -> Known<Value<'a>> {
    let mut fields = [httparse::EMPTY_HEADER; HTTP_FIELDS_MAX];
    match httparse::Request::new(&mut fields).parse(bytes) {
        Ok(httparse::Status::Complete(_)) => Known::Is(Value::Bool(true)),
        Ok(httparse::Status::Partial) => Known::NotYet,
        Err(_) => Known::Never,
    }
}

/// TPKT's four bytes, X.224's seven.
const RDP_LINE_AT: usize = 11;

const COOKIE: &[u8] = b"Cookie: ";

/// Of a request that is recognised; HAProxy's `tune.http.maxhdr`.
const HTTP_FIELDS_MAX: usize = 101;
