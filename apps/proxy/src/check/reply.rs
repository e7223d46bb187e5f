//! What a server says in its own protocol, as far as ready-made checks read it: MySQL, LDAP.
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
}
