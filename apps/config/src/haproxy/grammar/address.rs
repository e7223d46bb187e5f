//! Addresses with ports, as `bind`, `server`, `log` and `source` have them (configuration manual,
//! section 11 of later versions).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

use penstock_wire::Addr;

use super::environment::Environment;
use super::text::leading_int;

/// What may stand in an address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowed {
    /// A port must be there, and not be 0.
    pub(super) port_mandatory: bool,
    /// A range of ports.
    pub(super) range: bool,
    /// A port relative to another.
    pub(super) offset: bool,
    /// A name.
    pub(super) name: bool,
    /// A path or a descriptor, which are things of an operating system.
    pub(super) local: bool,
    /// Datagrams: `udp@` and its kin; else streams.
    pub(super) datagram: bool,
    /// Both.
    pub(super) stream_too: bool,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A number. Nothing, or `*`, is every IPv4 address.
    Addr(Addr),
    /// A name, or what stands in the place of one.
    Name(String),
    /// A path, or a descriptor of an open file.
    Local(String),
}

/// An address that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The place.
    pub(super) host: Host,
    /// The first port, or what is to be added to another.
    pub(super) port: i32,
    /// The last of a range.
    pub(super) last: i32,
    /// The port is relative to another, or none was said.
    pub(super) relative: bool,
}

/// Reads an address, with what `$NAME` in it stands for.
///
/// # Errors
/// HAProxy's words.
pub(super) fn parse(
    environment: &Environment,
    text: &str,
    allowed: Allowed,
) -> Result<Parsed, String> {
    let expanded = environment.expand(text);
    if expanded.is_empty() {
        return Err(format!(
            "'{text}' resolves to an empty address (environment variable missing?)\n"
        ));
    }
    let mut rest = &*expanded;
    let mut datagram = allowed.datagram && !allowed.stream_too;
    if let Some(inner) = rest.strip_prefix("stream+") {
        (rest, datagram) = (inner, false);
    } else if let Some(inner) = rest.strip_prefix("dgram+") {
        (rest, datagram) = (inner, true);
    }
    let mut family = Family::Any;
    let mut local = false;
    let mut is_quic = false;
    for &(prefix, its_family, its_datagram) in PREFIXES {
        if let Some(inner) = rest.strip_prefix(prefix) {
            (rest, family) = (inner, its_family);
            datagram = its_datagram.unwrap_or(datagram);
            local = its_family == Family::Local;
            is_quic = prefix.starts_with("quic");
            break;
        }
    }
    if local || rest.starts_with('/') {
        return match allowed.local {
            true => {
                Ok(Parsed { host: Host::Local(rest.to_owned()), port: 0, last: 0, relative: false })
            }
            false => {
                Err(format!("'{text}' names a socket of an operating system, and there is none\n"))
            }
        };
    }
    let parsed = internet(text, rest, family, allowed)?;
    if is_quic && matches!(parsed.host, Host::Addr(_)) {
        let number = if family == Family::V4 { 2 } else { 10 };
        return Err(format!(
            "unsupported stream protocol for datagram family {number} address '{text}'; QUIC is not \
             compiled in if this is what you were looking for."
        ));
    }
    if !datagram && allowed.datagram && !allowed.stream_too {
        return Err(format!("stream-type address not acceptable in '{text}'\n"));
    }
    if datagram && !allowed.datagram {
        return Err(format!("dgram-type address not acceptable in '{text}'\n"));
    }
    Ok(parsed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Any,
    V4,
    V6,
    Local,
}

/// Prefixes of addresses, the family of each, and whether it says datagram.
const PREFIXES: &[(&str, Family, Option<bool>)] = &[
    ("unix@", Family::Local, None),
    ("uxdg@", Family::Local, Some(true)),
    ("uxst@", Family::Local, Some(false)),
    ("abns@", Family::Local, None),
    ("ip@", Family::Any, None),
    ("ipv4@", Family::V4, None),
    ("ipv6@", Family::V6, None),
    ("tcp4@", Family::V4, Some(false)),
    ("udp4@", Family::V4, Some(true)),
    ("tcp6@", Family::V6, Some(false)),
    ("udp6@", Family::V6, Some(true)),
    ("tcp@", Family::Any, Some(false)),
    ("udp@", Family::Any, Some(true)),
    ("quic4@", Family::V4, Some(false)),
    ("quic6@", Family::V6, Some(false)),
    ("fd@", Family::Local, None),
    ("sockpair@", Family::Local, None),
];

fn internet(whole: &str, text: &str, family: Family, allowed: Allowed) -> Result<Parsed, String> {
    // The last colon is the port's, unless a bracket follows it.
    let split = text.rfind([':', ']']).filter(|&at| text.as_bytes()[at] == b':');
    let (host, port) = match split {
        Some(at) => (&text[..at], &text[at + 1..]),
        None if allowed.port_mandatory => {
            return Err(format!("missing port specification in '{whole}'"));
        }
        None => (text, ""),
    };
    let (port, last, relative) = ports(whole, port, allowed)?;
    let host = match number(host, family) {
        Some(addr) => Host::Addr(addr),
        None if allowed.name => Host::Name(host.to_owned()),
        None => return Err(format!("invalid address: '{host}' in '{whole}'\n")),
    };
    Ok(Parsed { host, port, last, relative })
}

fn ports(whole: &str, text: &str, allowed: Allowed) -> Result<(i32, i32, bool), String> {
    let least = i32::from(allowed.port_mandatory);
    match text.as_bytes().first() {
        Some(b'0'..=b'9') => {
            let (first, last) = match text.split_once('-') {
                Some(_) if !allowed.range => {
                    return Err(format!("port range not permitted here in '{whole}'"));
                }
                Some(ends) => ends,
                None => (text, text),
            };
            for port in [first, last] {
                if !(least..=65_535).contains(&leading_int(port)) {
                    return Err(format!("invalid port '{port}'"));
                }
            }
            let (first, last) = (leading_int(first), leading_int(last));
            if first > last {
                return Err(format!("invalid port range '{first}-{last}'"));
            }
            Ok((first, last, first == 0 || last == 0))
        }
        Some(b'-' | b'+') if !allowed.offset => {
            Err(format!("port offset not permitted here in '{whole}'"))
        }
        Some(sign @ (b'-' | b'+')) => {
            let offset = leading_int(&text[1..]);
            let offset = if *sign == b'-' { offset.saturating_neg() } else { offset };
            Ok((offset, offset, true))
        }
        Some(_) => {
            let first = text.chars().next().unwrap_or_default();
            Err(format!("invalid character '{first}' in port number '{text}' in '{whole}'\n"))
        }
        None if allowed.port_mandatory => Err(format!("missing port specification in '{whole}'")),
        None => Ok((0, 0, true)),
    }
}

fn number(text: &str, family: Family) -> Option<Addr> {
    let inner = match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => text,
    };
    let v6 = || inner.parse::<Ipv6Addr>().ok().map(|addr| Addr::v6(addr.octets()));
    let v4 = || inner.parse::<Ipv4Addr>().ok().map(|addr| Addr::v4(addr.to_bits()));
    match (inner, family) {
        ("" | "*", Family::V6) => Some(Addr::UNSPECIFIED),
        ("" | "*", _) => Some(Addr::v4(0)),
        (_, Family::V4) => v4(),
        (_, Family::V6) => v6(),
        _ => v6().or_else(v4),
    }
}

/// Whether DNS could know it (RFC 1035, section 2.3.4).
pub(super) fn is_name(text: &str) -> bool {
    let label = |label: &str| (1..64).contains(&label.len());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..256).contains(&text.len())
        && text.chars().all(allowed)
        && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// A mask of IPv4: its length, or as an address.
pub(super) fn mask4(text: &str) -> Option<u32> {
    if text.contains('.') {
        return text.parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
    }
    let length = length(text).filter(|&length| length <= 32)?;
    Some(u32::MAX.checked_shl(32 - length).unwrap_or(0))
}

/// A mask of IPv6: its length, or as an address.
pub(super) fn mask6(text: &str) -> Option<u128> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(Ipv6Addr::to_bits);
    }
    let length = length(text).filter(|&length| length <= 128)?;
    Some(u128::MAX.checked_shl(128 - length).unwrap_or(0))
}

fn length(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A network of an ACL: an address, with a mask or without.
pub(super) fn network(text: &str) -> Option<(Addr, Addr)> {
    let (host, mask) = match text.rsplit_once('/') {
        Some((host, mask)) => (host, Some(mask)),
        None => (text, None),
    };
    if let Ok(host) = host.parse::<Ipv4Addr>() {
        let mask = mask.map_or(Some(u32::MAX), mask4)?;
        let addr = Addr::v4(host.to_bits() & mask);
        return Some((addr, Addr { hi: u64::MAX, lo: u64::MAX << 32 | u64::from(mask) }));
    }
    let host = host.parse::<Ipv6Addr>().ok()?.to_bits();
    let bits = mask.map_or(Some(128), length).filter(|&bits| bits <= 128)?;
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    let addr = |bits: u128| Addr { hi: (bits >> 64) as u64, lo: bits as u64 };
    Some((addr(host & mask), addr(mask)))
}

#[cfg(test)]
mod tests {
    //! Addresses are read as HAProxy reads them.

    use super::*;

    const BIND: Allowed = Allowed {
        port_mandatory: true,
        range: true,
        offset: false,
        name: false,
        local: false,
        datagram: false,
        stream_too: false,
    };
    const SERVER: Allowed =
        Allowed { port_mandatory: false, range: false, offset: true, name: true, ..BIND };

    fn read(text: &str, allowed: Allowed) -> (Host, i32, i32, bool) {
        let Parsed { host, port, last, relative } =
            parse(&Environment::default(), text, allowed).expect(text);
        (host, port, last, relative)
    }

    #[test]
    fn places() {
        let v4 = |number| Host::Addr(Addr::v4(number));
        assert_eq!(read(":80", BIND), (v4(0), 80, 80, false));
        assert_eq!(read("*:80-82", BIND), (v4(0), 80, 82, false));
        assert_eq!(read("10.0.0.1:443", BIND), (v4(0x0a00_0001), 443, 443, false));
        assert_eq!(read(":::80", BIND), (Host::Addr(Addr::UNSPECIFIED), 80, 80, false));
        assert_eq!(read("[::1]:80", BIND).1, 80);
        assert_eq!(read("ipv6@:80", BIND).0, Host::Addr(Addr::UNSPECIFIED));
        assert_eq!(read("10.0.0.1", SERVER), (v4(0x0a00_0001), 0, 0, true));
        assert_eq!(read("10.0.0.1:+5", SERVER), (v4(0x0a00_0001), 5, 5, true));
        assert_eq!(read("10.0.0.1:-5", SERVER), (v4(0x0a00_0001), -5, -5, true));
        assert_eq!(read("web.example:80", SERVER).0, Host::Name("web.example".into()));
    }

    #[test]
    fn mistakes() {
        let wrong = |text, allowed| parse(&Environment::default(), text, allowed).expect_err(text);
        assert_eq!(wrong("10.0.0.1", BIND), "missing port specification in '10.0.0.1'");
        assert_eq!(wrong(":0", BIND), "invalid port '0'");
        assert_eq!(wrong(":99999", BIND), "invalid port '99999'");
        assert_eq!(wrong(":9-8", BIND), "invalid port range '9-8'");
        assert_eq!(wrong("host:80", BIND), "invalid address: 'host' in 'host:80'\n");
        assert_eq!(
            wrong("10.0.0.1:80-81", SERVER),
            "port range not permitted here in '10.0.0.1:80-81'"
        );
        assert_eq!(wrong(":x", BIND), "invalid character 'x' in port number 'x' in ':x'\n");
        assert_eq!(
            wrong("quic6@:443", BIND),
            "unsupported stream protocol for datagram family 10 address 'quic6@:443'; QUIC is not \
             compiled in if this is what you were looking for."
        );
        assert_eq!(wrong("udp@:80", BIND), "dgram-type address not acceptable in 'udp@:80'\n");
    }

    #[test]
    fn networks() {
        let mask = |text| network(text).map(|(_, mask)| (mask.hi, mask.lo));
        assert_eq!(mask("10.0.0.0/8"), Some((u64::MAX, 0xffff_ffff_ff00_0000)));
        assert_eq!(mask("::/0"), Some((0, 0)));
        assert_eq!(mask("10.0.0.0/255.0.255.0"), Some((u64::MAX, 0xffff_ffff_ff00_ff00)));
        assert_eq!((mask("10.0.0.0/33"), mask("x"), mask("10.0.0.300")), (None, None, None));
        assert_eq!((mask4("24"), mask6("64")), (Some(0xffff_ff00), Some(u128::MAX << 64)));
    }
}
