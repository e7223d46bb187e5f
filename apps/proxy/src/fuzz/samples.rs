//! Expressions of a configuration, and what they make of bytes of a stranger.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use penstock_config::haproxy::grammar::{File, Input, read};
use penstock_config::haproxy::{Counter, Fetch, Format, Frontend, LogFormat, Sample, TableId, Way};
use penstock_stack::{Duration, Endpoint};
use penstock_wire::Addr;

use crate::known::Known;
use crate::limits;
use crate::line::Line;
use crate::log::{Counts, Record, Timers, write_session};
use crate::sample::{Value, View, Workspace, fetch};

/// Takes `bytes` as an expression of a condition or as a format of a log line, up to a line feed, and
/// what follows as what a client says, of which more and more is there. A byte from 128 on stands for
/// a word of the language, so that a few bytes say much.
///
/// # Panics
/// When something that was certain changes as more comes: a defect of this crate.
pub fn samples(bytes: &[u8]) {
    let Some(([stride, mode], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let text = spelled(parts.next().unwrap_or_default());
    let said = parts.next().unwrap_or_default();
    let is_format = mode & 1 != 0;
    let Some(frontend) = frontend(&text, is_format) else { return };
    if let LogFormat::Items(format) = &frontend.log_format
        && is_format
    {
        write(format, said);
    }
    let samples = frontend.acls.iter().flat_map(|acl| &acl.tests).map(|test| &test.sample);
    for sample in samples {
        // Steps that make no more than some dozens of looks.
        grow(sample, said, 1 + usize::from(*stride) + said.len() / 32);
    }
}

/// The text, with its words spelled out.
fn spelled(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match WORDS.get(usize::from(byte.wrapping_sub(128))) {
            Some(word) => text.push_str(word),
            None => text.push(char::from(byte & 0x7f)),
        }
    }
    text
}

/// A frontend that says this in one place.
fn frontend(text: &str, is_format: bool) -> Option<Frontend> {
    let line =
        if is_format { format!("log-format {text}") } else { format!("acl a {text} -m found") };
    let text = format!("frontend f\n bind :1\n {line}\n");
    let file = File { name: "a.cfg", bytes: text.as_bytes() };
    read(&Input::of(&[file])).proxies?.frontends.into_iter().next()
}

/// Looks at beginnings that grow: what was certain of one is so of the next.
fn grow(sample: &Sample, said: &[u8], stride: usize) {
    let mut work = Workspace::new();
    let mut certain = None;
    let ends = (0..said.len()).step_by(stride).chain([said.len(); 2]);
    let count = ends.clone().count();
    for (number, end) in ends.enumerate() {
        let view = Heard { said: &said[..end], is_final: number + 1 == count };
        let mut fetched = fetch(sample, &view, &mut work);
        let is_certain = !fetched.may_change && fetched.value != Known::NotYet;
        let now = fetched.value.map(|value| Vec::from(value.text(&mut fetched.room)));
        if let Some(before) = &certain {
            assert_eq!(before, &now, "of {end} bytes: {sample:?}");
        }
        certain = certain.or(is_certain.then_some(now));
    }
}

/// Writes a line of a session that has said this.
fn write(format: &Format, said: &[u8]) {
    let end = Some(Endpoint { addr: Addr::v4(0x7f00_0001), port: 4_711 });
    let record = Record {
        accepted_at: Duration(1_700_000_000_000_000),
        client: end,
        frontend_end: end,
        backend_end: None,
        server_end: None,
        frontend: "f",
        backend: "f",
        server: None,
        timers: Timers::default(),
        termination: *b"--",
        bytes_up: u64::MAX,
        bytes_down: 0,
        counts: Counts::default(),
        retries: u32::MAX,
        is_redispatched: true,
        server_queue: 0,
        backend_queue: 0,
        unique_id: said,
        sessions_before: u32::MAX,
        lines_before: 0,
        is_early: true,
        host_name: "n",
        pid: u32::MAX,
    };
    let mut work = Workspace::new();
    let mut room = vec![0; limits::LINE_BYTES];
    let mut line = Line::new(&mut room);
    let view = Heard { said, is_final: true };
    write_session(format, &record, &view, &mut work, &mut line);
}

/// A client, and what it has said so far.
struct Heard<'b> {
    said: &'b [u8],
    is_final: bool,
}

impl View for Heard<'_> {
    fn bytes(&self, way: Way) -> &[u8] {
        if way != Way::Response { self.said } else { &[] }
    }

    fn bytes_max(&self) -> usize {
        16_384
    }

    fn is_final(&self) -> bool {
        self.is_final
    }

    fn fetch<'a>(&'a self, fetch: &'a Fetch) -> Option<Value<'a>> {
        match fetch {
            Fetch::Source | Fetch::Destination => Some(Value::Addr(Addr::v4(0x7f00_0001))),
            Fetch::SourcePort | Fetch::DestinationPort => Some(Value::Int(65_535)),
            _ => None,
        }
    }

    fn table(&self, _: TableId, _: Option<Counter>, _: Value<'_>) -> Option<i64> {
        None
    }
}

/// What expressions and formats are made of.
const WORDS: &[&str] = &[
    "req.payload(0,0)",
    "req.payload(",
    "req.payload_lv(",
    "req.len",
    "req.ssl_sni",
    "req.ssl_hello_type",
    "req.ssl_ver",
    "req.ssl_alpn",
    "req.rdp_cookie(",
    "rdp_cookie",
    "req.proto_http",
    "wait_end",
    "src",
    "src_port",
    "dst",
    "dst_port",
    "str(",
    "int(",
    "bool(",
    "bin(",
    "ipv4(",
    "ipv6(",
    "date",
    "rand(",
    "uuid()",
    ",fix_is_valid",
    ",fix_tag_value(",
    "BodyLength",
    "MsgType",
    "CheckSum",
    "SenderCompID",
    ",mqtt_is_valid",
    ",mqtt_field_value(",
    "connect",
    "connack",
    "client_identifier",
    "username",
    "password",
    "will_topic",
    "will_payload",
    "protocol_version",
    "keepalive",
    "flags",
    "reason_code",
    ",lower",
    ",upper",
    ",hex",
    ",hex2i",
    ",base64",
    ",b64dec",
    ",ub64enc",
    ",ub64dec",
    ",be2dec(",
    ",be2hex(",
    ",bytes(",
    ",field(",
    ",word(",
    ",length",
    ",ipmask(",
    ",json(utf8s)",
    ",json(",
    ",url_dec",
    ",url_enc",
    ",crc32(",
    ",crc32c",
    ",sha1",
    ",sha2(256)",
    ",sdbm(",
    ",djb2",
    ",wt6",
    ",xxh32(",
    ",xxh64",
    ",xxh3",
    ",add(",
    ",sub(",
    ",mul(",
    ",div(",
    ",mod(",
    ",and(",
    ",or(",
    ",xor(",
    ",cpl",
    ",neg",
    ",not",
    ",odd",
    ",even",
    ",bool",
    ",iif(",
    ",concat(",
    ",add_item(",
    ",host_only",
    ",port_only",
    ",strcmp(",
    ",secure_memcmp(",
    "txn.v",
    "sess.v",
    "var(txn.v,7)",
    ")",
    ",",
    "%[",
    "]",
    "%{+Q}",
    "%{+X}",
    "%{+E}",
    "%{-M}",
    "%ts",
    "%Tw",
    "%B",
    "%ID",
    "%ci",
    "%t",
    "%rt",
    "%rc",
    "%Tt",
    "%ms",
];

#[cfg(test)]
mod tests {
    //! Expressions with a few bytes changed, and any bytes, are survived.

    use super::*;
    use proptest::prelude::*;

    const STORIES: [&[u8]; 5] = [
        b"\0\0req.payload(0,0),fix_tag_value(MsgType)\n8=FIX.4.4\x019=5\x0135=0\x0110=163\x01",
        b"\0\0req.payload(0,0),mqtt_field_value(connect,client_identifier)\n\
          \x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a",
        b"\0\0req.payload(2,3),hex\nabcdefgh",
        b"\0\0req.payload_lv(0,2),field(1,.)\n\0\x05a.b.crest",
        b"\0\x01\"%{+Q}ci %[src_port,mul(7)] %ts %[src,ipmask(8)] %ID\"\nsaid",
    ];

    proptest! {
        #[test]
        fn damaged_expressions_are_survived(
            which in 0..STORIES.len(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = STORIES[which].to_vec();
            for (index, byte) in damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            samples(&bytes);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            samples(&bytes);
        }
    }

    #[test]
    fn the_good_expressions_are_read() {
        for story in STORIES {
            let text = story[2..].split(|byte| *byte == b'\n').next().unwrap_or_default();
            assert!(frontend(&spelled(text), story[1] & 1 != 0).is_some(), "{story:?}");
        }
    }

    #[test]
    fn every_byte_above_ascii_is_a_word() {
        assert!(WORDS.len() <= 128, "{} words", WORDS.len());
        assert_eq!(spelled(b"\x80a"), "req.payload(0,0)a");
    }
}
