//! What a check sends.

use core::fmt::Write;

use penstock_config::haproxy::{Format, HttpSend, Port, ProxyHeader, Server};
use penstock_stack::Endpoint;

use super::health::Health;
use super::subject::{Load, Subject};
use crate::line::Line;
use crate::proxy_protocol::{Endpoints, Tlvs, V1_BYTES_MAX, V2_BYTES_MAX, write_v1, write_v2};

/// Writes a request as HAProxy does: names of fields in small letters, `Content-Length` where a
/// server would wait for a body, and the connection closed at the end. `state` is what it is told of
/// itself; nothing where that is empty.
pub(super) fn write_request(
    send: &HttpSend,
    mut format: impl FnMut(&Format, &mut Line<'_>),
    state: &[u8],
    body: &[u8],
    line: &mut Line<'_>,
) {
    let HttpSend { method, uri, version, headers, .. } = send;
    let is_1_1 = version.as_str() >= "HTTP/1.1";
    line.push(method.as_bytes());
    line.byte(b' ');
    let before = line.len();
    format(uri, line);
    if line.len() == before {
        line.byte(b'/');
    }
    line.byte(b' ');
    line.push(version.as_bytes());
    line.push(b"\r\n");
    let mut connection = None;
    for (name, value) in headers {
        let begin = line.len();
        name.bytes().for_each(|byte| line.byte(byte.to_ascii_lowercase()));
        line.push(b": ");
        let value_at = line.len();
        format(value, line);
        if line.len() == value_at {
            // A field without a value is not sent.
            line.truncate(begin);
            continue;
        }
        if name.eq_ignore_ascii_case("connection") {
            let said = connection.get_or_insert(Connection::default());
            let left = said.take_from(line.tail_mut(value_at));
            line.truncate(if left > 0 { value_at + left } else { begin });
            if left == 0 {
                continue;
            }
        }
        line.push(b"\r\n");
    }
    if !state.is_empty() {
        line.push(b"x-haproxy-server-state: ");
        line.push(state);
        line.push(b"\r\n");
    }
    let has_no_body = matches!(method.as_str(), "OPTIONS" | "GET" | "HEAD" | "DELETE");
    if !has_no_body || !body.is_empty() {
        line.push(b"content-length: ");
        line.number(body.len() as u64);
        line.push(b"\r\n");
    }
    let Connection { closes, upgrades } = connection.unwrap_or(Connection::CLOSES);
    if closes && is_1_1 {
        line.push(b"connection: close\r\n");
    }
    if !closes && !upgrades && !is_1_1 {
        line.push(b"connection: keep-alive\r\n");
    }
    line.push(b"\r\n");
    line.push(body);
}

/// `http-check send-state`: what is believed of a server, and what it has to do.
pub(super) fn write_state(
    subject: &Subject<'_>,
    health: &Health,
    load: &Load<'_>,
    line: &mut Line<'_>,
) {
    let Subject { backend, server, addr, .. } = *subject;
    let Load { node, weight, weights, sessions, connections, queued, throttle_percent } = *load;
    let (part, whole) = health.fraction();
    let port = match server.port {
        Port::Fixed(port) => port,
        Port::Offset(_) => 0,
    };
    // A Line takes everything, or its beginning: writing never fails.
    let _ = match (health.is_stopped(), health.is_stopping(), part == whole) {
        (true, ..) if part == 0 => line.write_str("DOWN"),
        (true, ..) => write!(line, "DOWN {part}/{whole}"),
        (false, false, true) => line.write_str("UP"),
        (false, false, false) => write!(line, "UP {part}/{whole}"),
        (false, true, true) => line.write_str("NOLB"),
        (false, true, false) => write!(line, "NOLB {part}/{whole}"),
    };
    let _ = write!(line, "; address={}; port={port}", addr.unwrap_or_default());
    let _ = write!(line, "; name={}/{}; node={node}", backend.name, server.name);
    let _ = write!(line, "; weight={weight}/{weights}; scur={sessions}/{connections}");
    let _ = write!(line, "; qcur={queued}");
    if let Some(percent) = throttle_percent {
        let _ = write!(line, "; throttle={percent}%");
    }
}

/// What the fields `connection` of a request say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Connection {
    closes: bool,
    upgrades: bool,
}

impl Connection {
    /// What is said where there is no such field.
    const CLOSES: Connection = Connection { closes: true, upgrades: false };

    /// Takes `close` and `keep-alive` out of a list of options, for they are said in the version's own
    /// way. Returns how many bytes are left.
    fn take_from(&mut self, value: &mut [u8]) -> usize {
        let (mut from, mut left) = (0, 0);
        while from < value.len() {
            let rest = &value[from..];
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            let option = rest[..end].trim_ascii();
            let begin = from + rest[..end].len() - rest[..end].trim_ascii_start().len();
            let (is, bytes) =
                (|name: &str| option.eq_ignore_ascii_case(name.as_bytes()), option.len());
            self.closes |= is("close");
            self.upgrades |= is("upgrade");
            let stays = bytes > 0 && !is("close") && !is("keep-alive");
            from += end + 1;
            if stays {
                if left > 0 {
                    value[left] = b',';
                    left += 1;
                }
                value.copy_within(begin..begin + bytes, left);
                left += bytes;
            }
        }
        left
    }
}

/// A PROXY header of a check: version 1 names the check's own connection, version 2 says that it is
/// nobody's.
pub(super) fn write_header(
    server: &Server,
    local: Endpoint,
    remote: Endpoint,
    output: &mut [u8],
) -> usize {
    let ends = Endpoints { source: local, destination: remote };
    let (mut v1, mut v2) = ([0; V1_BYTES_MAX], [0; V2_BYTES_MAX]);
    let header = match server.send_proxy {
        Some(ProxyHeader::V2 { crc32c, .. }) => {
            let tlvs = Tlvs { has_crc32c: crc32c, ..Tlvs::default() };
            write_v2(None, tlvs, &mut v2)
        }
        _ => write_v1(Some(&ends), &mut v1),
    };
    let mut line = Line::new(output);
    line.push(header);
    line.len()
}

#[cfg(test)]
mod tests {
    //! What a request says of its connection is what HAProxy 2.6 sends (recorded).

    use super::*;

    #[test]
    fn options_of_a_connection() {
        for (value, left, closes, upgrades) in [
            ("upgrade", "upgrade", false, true),
            ("close, foo", "foo", true, false),
            ("keep-alive", "", false, false),
            ("Upgrade, keep-alive", "Upgrade", false, true),
            ("foo,close,bar", "foo,bar", true, false),
            (" , ,a\t,, b ,", "a,b", false, false),
            ("", "", false, false),
        ] {
            let mut bytes = std::vec::Vec::from(value);
            let mut connection = Connection::default();
            let length = connection.take_from(&mut bytes);
            assert_eq!(&bytes[..length], left.as_bytes(), "{value}");
            assert_eq!(connection, Connection { closes, upgrades }, "{value}");
        }
    }
}
