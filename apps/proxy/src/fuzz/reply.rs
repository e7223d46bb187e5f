//! What a server says to a health check.

use alloc::vec;
use alloc::vec::Vec;

use penstock_config::haproxy::{
    Address, Backend, CheckStep, Connect, Expect, ExpectMatch, Port, ProxyCheck, Reply, Server,
    ServerCheck,
};
use penstock_stack::{Endpoint, Instant};
use penstock_wire::Addr;

use crate::check::{Check, Desk, Plan, Status, Subject};

/// Answers a check with `bytes`, whole and cut where the second and third byte choose; the first
/// says which check. What depends on beginnings alone must come to the same.
///
/// # Panics
/// When it does not: a defect of this crate.
pub fn check_reply(bytes: &[u8]) {
    let Some(([what, seed, stride], bytes)) = bytes.split_first_chunk::<3>() else { return };
    let (check, is_of_beginnings) = plan(*what);
    let whole = answer(&check, &[bytes]);
    let mut pieces: Vec<&[u8]> = Vec::new();
    let (mut rest, mut state) = (bytes, usize::from(*seed) | 1);
    while !rest.is_empty() {
        state = state.wrapping_mul(25_173).wrapping_add(13_849) & 0xffff;
        // No more than some dozens of pieces.
        let len = 1 + bytes.len() / 32 + (state >> 4) % (usize::from(*stride) + 1);
        let (piece, behind) = rest.split_at(len.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    let cut = answer(&check, &pieces);
    if is_of_beginnings {
        assert_eq!(whole, cut);
    }
}

/// A check, and whether what it finds in a beginning it finds in the whole.
fn plan(what: u8) -> (ProxyCheck, bool) {
    let expect = |matching, negated| CheckStep::Expect(Expect { negated, ..Expect::of(matching) });
    let negated = what & 0x80 != 0;
    let steps = |matching| {
        let connect = CheckStep::Connect(Connect { implicit: true, ..Connect::default() });
        vec![connect, expect(matching, negated)]
    };
    match what % 10 {
        0 => (ProxyCheck::Tcp(steps(ExpectMatch::Bytes(b"+OK".to_vec()))), true),
        1 => (ProxyCheck::Tcp(steps(ExpectMatch::HexRegex("2B4F".into()))), true),
        2 => (ProxyCheck::Tcp(steps(ExpectMatch::Regex("[0-9]+ OK$".into()))), false),
        3 => (ProxyCheck::Http(steps(ExpectMatch::Status(vec![200..=399]))), true),
        4 => (ProxyCheck::Http(steps(ExpectMatch::StatusRegex("^2".into()))), true),
        5 => (ProxyCheck::ReadyMade(steps(ExpectMatch::Reply(Reply::MysqlLogin))), true),
        6 => (ProxyCheck::ReadyMade(steps(ExpectMatch::Reply(Reply::LdapBind))), false),
        7 => (ProxyCheck::ReadyMade(steps(ExpectMatch::Reply(Reply::SpopHello))), true),
        8 => (ProxyCheck::ReadyMade(steps(ExpectMatch::Reply(Reply::Agent))), false),
        _ => (ProxyCheck::Http(steps(ExpectMatch::Bytes(b"ok".to_vec()))), false),
    }
}

/// How a check ends whose server says this, piece by piece, and then closes.
fn answer(check: &ProxyCheck, pieces: &[&[u8]]) -> Option<(Status, u16)> {
    let with = ServerCheck::default();
    let server = Server::new("s", Address::Addr(Addr::v4(1)), Port::Fixed(1));
    let backend = Backend { check: check.clone(), ..Backend::default() };
    let Ok(plan) = Plan::compile(check) else { return None };
    let subject = Subject {
        plan: &plan,
        backend: &backend,
        server: &server,
        check: &with,
        addr: Some(Addr::v4(1)),
        spread_percent: 0,
        random: 0,
        unix_s: 0,
        load: None,
    };
    let now = Instant(0);
    let (mut check, mut desk) = (Check::new(&plan, &with, now), Desk::new());
    let end = Endpoint { addr: Addr::v4(1), port: 1 };
    assert_eq!(check.on_time(&subject, &mut desk, now).open, Some(end));
    let mut is_over = check.on_connected(&subject, &mut desk, end, end, now).finished.is_some();
    for piece in pieces {
        if !is_over {
            is_over = check.on_data(&subject, &mut desk, piece, now).finished.is_some();
        }
    }
    if !is_over {
        is_over = check.on_end(&subject, &mut desk, now).finished.is_some();
    }
    assert!(is_over, "a server that has said all leaves nothing open");
    Some((check.report().status, check.report().code))
}

#[cfg(test)]
mod tests {
    //! Answers with a few bytes changed come to the same in any pieces.

    use super::*;
    use proptest::prelude::*;

    const ANSWERS: [&[u8]; 8] = [
        b"\x02\0\0\0\x0a8\x04\0\0\x02\xff\x15\x04x",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0",
        b"+OK ready\r\n",
        b"220 OK",
        b"up 50%\n",
        b"\0\0\0\x3c\x65\0\0\0\x01\0\0\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\
          \x0ccapabilities\x08\0",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];

    proptest! {
        #[test]
        fn damaged_answers_come_to_the_same_however_they_are_cut(
            which in 0..ANSWERS.len(),
            seed in any::<[u8; 3]>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut bytes: Vec<u8> = [&seed[..], ANSWERS[which]].concat();
            for (index, byte) in damage {
                let at = 3 + index.index(bytes.len() - 3);
                bytes[at] = byte;
            }
            check_reply(&bytes);
        }
    }
}
