//! What a server says in its own protocol, as far as ready-made checks read it: MySQL, LDAP, SPOP.
//!
//! HAProxy's verdicts and words, about what has come so far. Bytes that a message promises and that
//! are not there are never looked for elsewhere.

use penstock_config::haproxy::Reply;

use super::expect::Input;

/// What a message comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// More has to come.
    Wait,
    /// All is well, and these words are about the server.
    Well(&'a [u8]),
    /// The server says that something is wrong: a number, and words.
    Error(u16, &'a [u8]),
    /// It is no message of this protocol.
    Invalid(&'a [u8]),
}

/// Reads a message.
pub(super) fn read(reply: Reply, input: Input<'_>) -> Heard<'_> {
    let Input { bytes, is_last } = input;
    let found = match reply {
        Reply::MysqlHandshake => mysql(bytes, 0),
        Reply::MysqlLogin => packet_end(bytes, 0).and_then(|begin| mysql(bytes, begin)),
        Reply::LdapBind => ldap(bytes),
        Reply::SpopHello => spop(bytes, is_last),
        // An agent's is read by whoever does what it says.
        Reply::Agent => None,
    };
    match found {
        Some(heard) => heard,
        None if is_last => Heard::Invalid(b""),
        None => Heard::Wait,
    }
}

/// Where a packet of MySQL ends: three bytes of length, the least first, a number, the payload.
fn packet_end(bytes: &[u8], begin: usize) -> Option<usize> {
    let [low, middle, high] = *bytes.get(begin..)?.first_chunk()?;
    Some(begin + 4 + u32::from_le_bytes([low, middle, high, 0]) as usize)
}

/// A packet of MySQL: an error, or anything else, which is well. What is told is always the version
/// in the server's first packet. `None` while it is not whole.
fn mysql(bytes: &[u8], begin: usize) -> Option<Heard<'_>> {
    let payload = bytes.get(begin + 4..packet_end(bytes, begin)?)?;
    let byte = |at: usize| payload.get(at).copied().unwrap_or(0);
    match payload.first() {
        Some(0xff) => {
            let words = payload.get(3..).unwrap_or_default();
            Some(Heard::Error(u16::from_le_bytes([byte(1), byte(2)]), until_zero(words)))
        }
        _ => Some(Heard::Well(until_zero(bytes.get(5..).unwrap_or_default()))),
    }
}

/// Text as C has it.
fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The answer to a bind (RFC 4511 section 4.2.2, in BER): a message with number 1, in it a bind
/// response, in it a result. `None` while it is not whole.
fn ldap(bytes: &[u8]) -> Option<Heard<'_>> {
    const OTHER: Heard<'_> = Heard::Invalid(b"Not LDAPv3 protocol");
    let &first = bytes.get(1)?;
    let (digits, length) = if first & 0x80 == 0 {
        (0, usize::from(first))
    } else {
        let digits = usize::from(first & 0x7f);
        let length = bytes.get(2..2 + digits).filter(|_| bytes.len() > digits);
        match *length? {
            // Active Directory writes four bytes where one would do.
            [a, b, c, d] => (4, u32::from_be_bytes([a, b, c, d]) as usize),
            [a, b] => (2, usize::from(u16::from_be_bytes([a, b]))),
            _ => return Some(OTHER),
        }
    };
    let message = bytes.get(2 + digits..).filter(|message| message.len() >= length)?;
    let Some(response) = message.strip_prefix(b"\x02\x01\x01\x61") else { return Some(OTHER) };
    let digits = match response.first() {
        Some(first) if first & 0x80 != 0 => usize::from(first & 0x7f),
        _ => 0,
    };
    let result = response.get(1 + digits..).and_then(|result| result.strip_prefix(b"\x0a\x01"));
    Some(match result.and_then(|result| result.first()) {
        Some(0) => Heard::Well(b"Success"),
        Some(&code) => Heard::Error(
            // A byte with a sign, as HAProxy has it.
            i16::from(code as i8) as u16,
            b"See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9",
        ),
        None => OTHER,
    })
}

/// An agent's first frame (SPOE's documentation, section 3.2): its length, a kind, flags, no stream, no
/// number, then names and values. `None` while it is not whole.
fn spop(bytes: &[u8], is_last: bool) -> Option<Heard<'_>> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    if rest.len() < length && !is_last {
        return None;
    }
    let frame = &rest[..length.min(rest.len())];
    let heard = match frame.first() {
        Some(&AGENT_HELLO) => spop_items(frame, &mut spop_hello()),
        Some(&AGENT_DISCONNECT) => {
            let mut code = 0;
            let heard = spop_items(frame, &mut |name, value| {
                if let (true, Item::Number(number)) = (name.starts_with(b"status-code"), value) {
                    code = number;
                }
                Ok(())
            });
            heard.and(Err(usize::try_from(code).unwrap_or(usize::MAX)))
        }
        _ => Err(INVALID),
    };
    Some(match heard {
        Ok(()) => Heard::Well(b"SPOA server is ok"),
        Err(code) => Heard::Invalid(SPOP_WORDS.get(code).unwrap_or(&SPOP_UNKNOWN).as_bytes()),
    })
}

/// The value of an item.
#[derive(Clone, Copy)]
enum Item<'a> {
    Number(u64),
    Text(&'a [u8]),
    Other,
    /// Behind the last.
    End,
}

type Judge<'j, 'a> = dyn FnMut(&'a [u8], Item<'a>) -> Result<(), usize> + 'j;

/// What an agent must say of itself.
fn spop_hello<'a>() -> impl FnMut(&'a [u8], Item<'a>) -> Result<(), usize> {
    let (mut has_version, mut has_size) = (false, false);
    move |name, value| match value {
        Item::End if !has_version => Err(NO_VERSION),
        Item::End if !has_size => Err(NO_SIZE),
        Item::Text(version) if name.starts_with(b"version") => {
            has_version = true;
            (version.trim_ascii() == b"2.0").then_some(()).ok_or(BAD_VERSION)
        }
        Item::Number(size) if name.starts_with(b"max-frame-size") => {
            has_size = true;
            (256..=16_380).contains(&size).then_some(()).ok_or(BAD_SIZE)
        }
        Item::Text(_) if name.starts_with(b"capabilities") => Ok(()),
        _ if [&b"version"[..], b"max-frame-size", b"capabilities"]
            .iter()
            .any(|known| name.starts_with(known)) =>
        {
            Err(INVALID)
        }
        _ => Ok(()),
    }
}

/// Goes through what a frame says.
fn spop_items<'a>(frame: &'a [u8], judge: &mut Judge<'_, 'a>) -> Result<(), usize> {
    let (head, mut rest) = frame.split_first_chunk::<7>().ok_or(INVALID)?;
    if head[4] & 1 == 0 {
        return Err(FRAGMENT);
    }
    if head[5..] != [0, 0] {
        return Err(INVALID);
    }
    while !rest.is_empty() {
        let name = spop_text(&mut rest).filter(|name| !name.is_empty()).ok_or(INVALID)?;
        let (kind, behind) = rest.split_first().ok_or(INVALID)?;
        rest = behind;
        let value = match kind & 0x0f {
            2..=5 => Item::Number(spop_number(&mut rest).ok_or(INVALID)?),
            kind @ (6 | 7) => {
                let width = if kind == 6 { 4 } else { 16 };
                rest = rest.get(width..).ok_or(INVALID)?;
                Item::Other
            }
            8 | 9 => Item::Text(spop_text(&mut rest).ok_or(INVALID)?),
            _ => Item::Other,
        };
        judge(name, value)?;
    }
    judge(b"", Item::End)
}

fn spop_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(spop_number(rest)?).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}

/// Below 240 in one byte; beyond that four bits in the first and seven in each other.
fn spop_number(rest: &mut &[u8]) -> Option<u64> {
    let mut next = || {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        Some(u64::from(*byte))
    };
    let mut number = next()?;
    if number < 240 {
        return Some(number);
    }
    for shift in (4..64).step_by(7) {
        let byte = next()?;
        number = number.wrapping_add(byte << shift);
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

const AGENT_HELLO: u8 = 101;
const AGENT_DISCONNECT: u8 = 102;

const INVALID: usize = 4;
const NO_VERSION: usize = 5;
const NO_SIZE: usize = 6;
const BAD_VERSION: usize = 8;
const BAD_SIZE: usize = 9;
const FRAGMENT: usize = 10;

/// By status code (SPOE's documentation, section 3.5).
const SPOP_WORDS: [&str; 14] = [
    "normal",
    "I/O error",
    "a timeout occurred",
    "frame is too big",
    "invalid frame received",
    "version value not found",
    "max-frame-size value not found",
    "capabilities value not found",
    "unsupported version",
    "max-frame-size too big or too small",
    "fragmentation not supported",
    "invalid interlaced frames",
    "frame-id not found",
    "resource allocation error",
];
const SPOP_UNKNOWN: &str = "an unknown error occurred";

#[cfg(test)]
mod tests {
    //! Messages of real servers, cut everywhere.

    use super::*;
    use std::vec::Vec;

    /// What MySQL 8.0.19 says first.
    const HELLO: &[u8] =
        b"\x4a\0\0\0\x0a8.0.19\0\x0a\0\0\0o<\x02^bIA\r\0\xff\xff\xff\x02\0\xff\xc7\
        \x15\0\0\0\0\0\0\0\0\0\0|\x18!Y\x10n'a\x14C\" \0caching_sha2_password\0";

    fn heard(reply: Reply, bytes: &[u8]) -> Heard<'_> {
        read(reply, Input { bytes, is_last: false })
    }

    fn ends(reply: Reply, bytes: &[u8]) -> Heard<'_> {
        read(reply, Input { bytes, is_last: true })
    }

    #[test]
    fn a_mysql_server_says_its_version_and_its_errors() {
        let ok = [HELLO, b"\x07\0\0\x02\0\0\0\x02\0\0\0"].concat();
        let denied = [HELLO, b"\x13\0\0\x02\xff\x15\x04#28000Access denied"].concat();
        assert_eq!(heard(Reply::MysqlHandshake, HELLO), Heard::Well(b"8.0.19"));
        assert_eq!(heard(Reply::MysqlLogin, HELLO), Heard::Wait);
        assert_eq!(heard(Reply::MysqlLogin, &ok), Heard::Well(b"8.0.19"));
        assert_eq!(
            heard(Reply::MysqlLogin, &denied),
            Heard::Error(1045, b"#28000Access den"),
            "as long as it says, not as long as it is"
        );
        assert_eq!(heard(Reply::MysqlHandshake, b"\x01\0\0\0\xff"), Heard::Error(0, b""));
        assert_eq!(ends(Reply::MysqlLogin, HELLO), Heard::Invalid(b""));
        let blocked = b"\x0a\0\0\0\xff\x69\x04blocked";
        assert_eq!(heard(Reply::MysqlHandshake, blocked), Heard::Error(1129, b"blocked"));
        for cut in 0..HELLO.len() {
            assert_eq!(heard(Reply::MysqlHandshake, &HELLO[..cut]), Heard::Wait, "{cut}");
            assert_eq!(ends(Reply::MysqlHandshake, &HELLO[..cut]), Heard::Invalid(b""));
        }
        assert_eq!(heard(Reply::MysqlHandshake, b"\0\0\0\0"), Heard::Well(b""), "an empty packet");
        assert_eq!(ends(Reply::MysqlLogin, b"\xff\xff\xff\0\xff"), Heard::Invalid(b""));
    }

    #[test]
    fn an_ldap_server_says_whether_the_bind_was_well() {
        let short =
            |tag: u8, code: u8| Vec::from([0x30, 12, 2, 1, 1, tag, 7, 10, 1, code, 4, 0, 4, 0]);
        let see: &[u8] = b"See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9";
        let other = Heard::Invalid(b"Not LDAPv3 protocol");
        assert_eq!(heard(Reply::LdapBind, &short(0x61, 0)), Heard::Well(b"Success"));
        assert_eq!(heard(Reply::LdapBind, &short(0x61, 49)), Heard::Error(49, see));
        assert_eq!(heard(Reply::LdapBind, &short(0x60, 0)), other);
        let long = b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0";
        assert_eq!(heard(Reply::LdapBind, long), Heard::Well(b"Success"), "Active Directory");
        assert_eq!(heard(Reply::LdapBind, b"\x30\x83\0\0\x10\x02\x01\x01\x61"), other);
        assert_eq!(ends(Reply::LdapBind, &short(0x61, 0)[..9]), Heard::Invalid(b""));
        for message in [&short(0x61, 0)[..], long] {
            for cut in 0..14.min(message.len()) {
                assert_eq!(heard(Reply::LdapBind, &message[..cut]), Heard::Wait, "{cut}");
            }
        }
        assert_eq!(heard(Reply::LdapBind, b"\x30\0\x02\x01\x01\x61\xff\x0a\x01"), other);
    }

    #[test]
    fn an_agent_says_that_it_is_ready() {
        let frame = |body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], body].concat();
        let hello = |items: &[u8]| frame(&[b"\x65\0\0\0\x01\0\0", items].concat());
        let good = hello(
            b"\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\0",
        );
        assert_eq!(heard(Reply::SpopHello, &good), Heard::Well(b"SPOA server is ok"));
        for cut in 0..good.len() {
            assert_eq!(heard(Reply::SpopHello, &good[..cut]), Heard::Wait, "{cut}");
        }
        for (bytes, words) in [
            (frame(b""), "invalid frame received"),
            (frame(b"\x65\0\0\0\0\0\0"), "fragmentation not supported"),
            (frame(b"\x65\0\0\0\x01\0\x01"), "invalid frame received"),
            (hello(b"\x07version\x08\x031.0"), "unsupported version"),
            (hello(b"\x07version\x08\x032.0"), "max-frame-size value not found"),
            (hello(b"\x0emax-frame-size\x03\x10"), "max-frame-size too big or too small"),
            (hello(b"\x03abc\x11"), "version value not found"),
            (hello(b"\xff\xff\xff"), "invalid frame received"),
            (frame(b"\x66\0\0\0\x01\0\0\x0bstatus-code\x03\x02"), "a timeout occurred"),
            (frame(b"\x66\0\0\0\x01\0\0\x0bstatus-code\x03\x63"), "an unknown error occurred"),
        ] {
            assert_eq!(
                ends(Reply::SpopHello, &bytes),
                Heard::Invalid(words.as_bytes()),
                "{bytes:x?}"
            );
        }
    }
}
