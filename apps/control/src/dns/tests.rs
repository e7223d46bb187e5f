//! Questions are as the format has them; answers are read, and lies in them lead nowhere.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

fn name(text: &str) -> WireName {
    WireName::parse(text).expect(text)
}

fn question() -> Vec<u8> {
    let mut bytes = [0; QUESTION_BYTES_MAX];
    let length = write(&mut bytes, 0x1234, &name("www.Example"), Family::V4);
    bytes[..length].to_vec()
}

/// An answer to the question with these records, as bytes.
fn answer(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = question();
    bytes[2] |= 0x80;
    bytes[7] = records.len() as u8;
    bytes.extend(records.concat());
    bytes
}

fn record(owner: &[u8], kind: u8, ttl: u32, data: &[u8]) -> Vec<u8> {
    let head = [owner, &[0, kind, 0, 1], &ttl.to_be_bytes(), &(data.len() as u16).to_be_bytes()];
    [&head.concat(), data].concat()
}

fn read_addresses(bytes: &[u8]) -> (Vec<Addr>, u32) {
    match read(bytes, 0x1234, &name("www.example"), Family::V4) {
        Some(Answer::Addresses(addresses)) => {
            (addresses.as_slice().to_vec(), addresses.ttl_seconds)
        }
        other => panic!("{other:?}"),
    }
}

const ASKED: &[u8] = &[0xc0, 12];

#[test]
fn names_and_questions() {
    let expected =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01";
    assert_eq!(question(), expected);
    assert_eq!(name("a.b."), name("A.B"));
    let long = std::vec!["a".repeat(63); 4].join(".");
    for text in ["", ".", "a..b", ".a", &"a".repeat(64), &long] {
        assert_eq!(WireName::parse(text), None, "{text}");
    }
}

#[test]
fn addresses_and_aliases() {
    let a = |owner: &[u8], ttl, last| record(owner, 1, ttl, &[10, 0, 0, last]);
    let two = answer(&[a(ASKED, 300, 1), a(ASKED, 200, 2), a(ASKED, 300, 1)]);
    assert_eq!(
        read_addresses(&two),
        (std::vec![Addr::v4(0x0a00_0001), Addr::v4(0x0a00_0002)], 200)
    );
    // www.example is web.example, which is there before or behind its alias.
    let alias = record(ASKED, 5, 60, b"\x03web\xc0\x10");
    for records in
        [[alias.clone(), a(b"\x03WEB\xc0\x10", 300, 3)], [a(b"\x03web\xc0\x10", 300, 3), alias]]
    {
        assert_eq!(read_addresses(&answer(&records)), (std::vec![Addr::v4(0x0a00_0003)], 60));
    }
    // Somebody else's address is nobody's answer.
    assert_eq!(
        read_addresses(&answer(&[a(b"\x03web\xc0\x10", 300, 3)])),
        (std::vec![], TTL_SECONDS_NEGATIVE)
    );
    let mut missing = answer(&[]);
    missing[3] = 3;
    assert_eq!(read(&missing, 0x1234, &name("www.example"), Family::V4), Some(Answer::NoSuchName));
    let short = answer(&[a(ASKED, 0, 1)]);
    assert_eq!(read_addresses(&short).1, TTL_SECONDS_MIN);
    let nonsense = answer(&[a(ASKED, u32::MAX, 1)]);
    assert_eq!(read_addresses(&nonsense).1, TTL_SECONDS_MIN);
    let ours =
        answer(&[record(ASKED, 1, 60, &[127, 0, 0, 1]), record(ASKED, 1, 60, &[224, 0, 0, 1])]);
    assert_eq!(read_addresses(&ours).0, []);
    let many: Vec<_> = (0..40).map(|last| a(ASKED, 60, last)).collect();
    assert_eq!(read_addresses(&answer(&many)).0.len(), limits::ADDRESSES_PER_NAME);
}

#[test]
fn circles_end() {
    // An alias of itself, and two of each other.
    let own = record(ASKED, 5, 60, ASKED);
    assert_eq!(read_addresses(&answer(&[own])).0, []);
    let there = record(ASKED, 5, 60, b"\x03web\xc0\x10");
    let back = record(b"\x03web\xc0\x10", 5, 60, ASKED);
    assert_eq!(read_addresses(&answer(&[there, back])).0, []);
    // A name that points at itself, forwards, and beyond the end.
    for pointer in [[0xc0, 29], [0xc0, 40], [0xff, 0xff]] {
        let bytes = answer(&[record(&pointer, 1, 60, &[10, 0, 0, 1])]);
        assert_eq!(read_addresses(&bytes).0, []);
        let bytes = answer(&[record(ASKED, 5, 60, &pointer)]);
        assert_eq!(read_addresses(&bytes).0, []);
    }
}

#[test]
fn what_is_no_answer_to_our_question_is_none() {
    let good = answer(&[record(ASKED, 1, 60, &[10, 0, 0, 1])]);
    let ask = |bytes: &[u8]| read(bytes, 0x1234, &name("www.example"), Family::V4);
    assert!(ask(&good).is_some());
    for (at, bit) in [(0, 1), (1, 1), (2, 0x80), (2, 0x08), (5, 3), (13, 1), (26, 1), (28, 1)] {
        let mut bytes = good.clone();
        bytes[at] ^= bit;
        assert_eq!(ask(&bytes), None, "{at}");
    }
    assert_eq!(read(&good, 0x1234, &name("www.example"), Family::V6), None);
    assert_eq!(read(&good, 0x1234, &name("www.exampl"), Family::V4), None);
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        ask(&bytes)
    };
    assert_eq!(with(|bytes| bytes[2] |= 2), Some(Answer::Truncated));
    assert_eq!(with(|bytes| bytes[3] = 5), Some(Answer::Refused));
    assert_eq!(with(|bytes| bytes[3] = 2), Some(Answer::Failed), "a server that fails");
    assert_eq!(with(|bytes| bytes[7] = 9), Some(Answer::Failed), "records that are not there");
    assert_eq!(
        with(|bytes| bytes.truncate(bytes.len() - 1)),
        Some(Answer::Failed),
        "half a record"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_is_survived(
        more in prop::collection::vec(any::<u8>(), 0..200),
        count in any::<u8>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = answer(&[more]);
        bytes[7] = count;
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(Answer::Addresses(addresses)) =
            read(&bytes, 0x1234, &name("www.example"), Family::V4)
        {
            prop_assert!(addresses.as_slice().iter().all(is_host));
        }
    }
}
