//! A hello of OpenSSL, and what can be done to it: cut into segments and records, changed, refused.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// What OpenSSL 3.0 sends for www.example.org with ALPN h2 and http/1.1, without the 204 zeroes of
/// padding at its end.
const OPENSSL: &str = "1603010200010001fc030331a13678434ba3ae627d2c5774542afd0fc208569c624a5cde6dd9a4ca6886fa2091c3a06f\
     dc569c99fec48d7cdcaccf9ba0d75376b1cdc978c0e140625a48dc270024130213031301c02cc030c02bc02fcca9cca8\
     c024c028c023c027009f009e006b006700ff0100018f00000014001200000f7777772e6578616d706c652e6f7267000b\
     000403000102000a00160014001d0017001e0019001801000101010201030104002300000010000e000c026832086874\
     74702f312e310016000000170000000d002a0028040305030603080708080809080a080b080408050806040105010601\
     030303010302040205020602002b00050403040303002d00020101003300260024001d0020da63db3029f4dbd40dc51f\
     b1893a9a891e6ad938d26d79aef02d5858d99cd745001500cc";

fn openssl() -> Vec<u8> {
    let digits: Vec<u8> = OPENSSL.chars().filter_map(|c| Some(c.to_digit(16)? as u8)).collect();
    let mut hello: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    hello.extend([0; 204]);
    hello
}

/// The same message in records of `bytes` bytes each.
fn in_records(hello: &[u8], bytes: usize) -> Vec<u8> {
    let records = hello[RECORD_HEAD_BYTES..].chunks(bytes);
    let head = |piece: &[u8]| [22, 3, 1, (piece.len() >> 8) as u8, piece.len() as u8];
    records.flat_map(|piece| [&head(piece), piece].concat()).collect()
}

fn name(bytes: &[u8]) -> Known<Option<Vec<u8>>> {
    let mut scratch = Scratch::new();
    client_hello(bytes, &mut scratch).map(|hello| hello.server_name().map(<[u8]>::to_vec))
}

fn example() -> Known<Option<Vec<u8>>> {
    Known::Is(Some(b"www.example.org".to_vec()))
}

#[test]
fn a_hello_of_openssl_is_understood() {
    let bytes = openssl();
    let mut scratch = Scratch::new();
    let Known::Is(hello) = client_hello(&bytes, &mut scratch) else { panic!("it is one") };
    assert_eq!(hello.version, 0x0303);
    assert_eq!(hello.server_name(), Some(&b"www.example.org"[..]));
    assert_eq!(hello.first_protocol(), Some(&b"h2"[..]));
    assert_eq!((hello.names_curves(), hello.ticket()), (true, Some(&[][..])));
    assert_eq!(hello_type(&bytes, &mut Scratch::new()), Known::Is(1));
}

#[test]
fn a_beginning_of_it_is_not_yet_one() {
    let bytes = openssl();
    for end in 0..bytes.len() {
        assert_eq!(name(&bytes[..end]), Known::NotYet, "{end} bytes");
    }
    assert_eq!(name(&[&bytes[..], b"more"].concat()), example());
}

#[test]
fn records_do_not_hide_the_name() {
    for size in [1, 2, 3, 5, 100, 300, 511, 512, 513] {
        let bytes = in_records(&openssl(), size);
        assert_eq!(name(&bytes), example(), "records of {size}");
        for end in (0..bytes.len()).step_by(size.min(7)) {
            assert_eq!(name(&bytes[..end]), Known::NotYet, "{end} bytes, records of {size}");
        }
    }
}

#[test]
fn what_is_no_hello_is_known_as_soon_as_it_can_be() {
    assert_eq!(name(b""), Known::NotYet);
    assert_eq!(name(b"SSH-2.0"), Known::Never);
    assert_eq!(name(b"\x17"), Known::Never, "application data");
    assert_eq!(name(b"\x16\x02"), Known::Never, "SSL 2");
    assert_eq!(name(b"\x16\x03\x01\0\0"), Known::Never, "an empty record");
    assert_eq!(name(b"\x16\x03\x01\x40\x01"), Known::Never, "a record above 2^14");
    assert_eq!(name(b"\x16\x03\x01\0\x04\x01\0\x3f\xfd"), Known::Never, "a message above 2^14");
    assert_eq!(name(b"\x16\x03\x01\0\x04\x01\0\x3f\xfc"), Known::NotYet);
    assert_eq!(name(b"\x16\x03\x01\0\x04\x02\0\0\0"), Known::Never, "another message");
    let server = b"\x16\x03\x03\0\x06\x02\0\0\x02\x03\x03";
    assert_eq!(hello_type(server, &mut Scratch::new()), Known::Is(2));
}

#[test]
fn a_message_without_a_name_has_none() {
    // Version, random, no session, one cipher, one compression.
    let mut body = [&[3, 1][..], &[7; 32], &[0, 0, 2, 0, 47, 1, 0]].concat();
    let hello = |body: &[u8]| {
        let message = [&[1, 0, 0, body.len() as u8], body].concat();
        [&[22, 3, 1, 0, message.len() as u8], &message[..]].concat()
    };
    assert_eq!(name(&hello(&body)), Known::Is(None), "no extensions");
    body.extend([0, 4, 0, 35, 0, 0]);
    assert_eq!(name(&hello(&body)), Known::Is(None), "others");
    body.truncate(body.len() - 1);
    assert_eq!(name(&hello(&body)), Known::Never, "extensions that are cut off");
}

proptest! {
    #[test]
    fn damage_is_survived_and_does_not_change_what_was_decided(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        size in 1..600usize,
    ) {
        let mut bytes = openssl();
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let bytes = in_records(&bytes, size);
        let mut decided = None;
        for end in (0..bytes.len()).step_by(11).chain([bytes.len()]) {
            let now = name(&bytes[..end]);
            if let Some(before) = &decided {
                prop_assert_eq!(before, &now);
            } else if now != Known::NotYet {
                decided = Some(now);
            }
        }
    }
}
