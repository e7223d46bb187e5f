//! `log=`: where lines go beside the console, as HAProxy's `log` spells it.
//!
//! ```text
//!   log=10.0.0.9                    port 514, facility local0
//!   log=logs.example:1514,daemon
//!   log=[fd00::9]:514,local3
//! ```

use alloc::borrow::ToOwned;
use alloc::string::String;

/// A syslog server over UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// An address, or a name to be resolved.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The facility's number (RFC 3164 section 4.1.1).
    pub facility: u8,
}

impl Log {
    /// Reads `host:port,facility`.
    pub(crate) fn parse(value: &str) -> Result<Log, &'static str> {
        let (place, facility) = value.split_once(',').unwrap_or((value, "local0"));
        let facility = FACILITIES.iter().position(|&name| name == facility).ok_or(EXPECTED)? as u8;
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(EXPECTED)?)),
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port {
            None => PORT,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().filter(|&port| port != 0).ok_or(EXPECTED)?
            }
            Some(_) => return Err(EXPECTED),
        };
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_".contains(&byte);
        if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(known) {
            return Err(EXPECTED);
        }
        Ok(Log { host: host.to_owned(), port, facility })
    }
}

const EXPECTED: &str = "host:port,facility, such as 10.0.0.9:514,local0";
const PORT: u16 = 514;
/// A name of the DNS (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// By number, spelled as HAProxy spells them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
    "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_facilities() {
        let log = |value| Log::parse(value).expect(value);
        let of = |host: &str, port, facility| Log { host: host.to_owned(), port, facility };
        assert_eq!(log("10.0.0.9:514,local0"), of("10.0.0.9", 514, 16));
        assert_eq!(log("10.0.0.9"), of("10.0.0.9", 514, 16));
        assert_eq!(log("logs.example:1514,daemon"), of("logs.example", 1514, 3));
        assert_eq!(log("[fd00::9],kern"), of("fd00::9", 514, 0));
        assert_eq!(log("[fd00::9]:15,local7"), of("fd00::9", 15, 23));
        for value in
            ["", ":514", "a:0", "a:x", "a:+1", "a:514,", "a:514,local8", "[a", "a b", "[a]5"]
        {
            assert!(Log::parse(value).is_err(), "{value}");
        }
    }
}
