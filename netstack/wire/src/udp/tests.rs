//! Datagrams survive writing and reading; a missing checksum is IPv4's privilege.

use super::*;
use crate::samples::{self, A4, A6, B4, B6};

#[test]
fn a_written_datagram_reads_back() {
    for (src, dst) in [(A4, B4), (A6, B6)] {
        let mut bytes = samples::datagram(src, dst, b"abc");
        let expected = Datagram { src_port: 5000, dst_port: 53, payload_bytes: 3 };
        assert_eq!(parse(&bytes, src, dst, true), Ok(expected));
        bytes.extend([0xaa; 5]);
        assert_eq!(parse(&bytes, src, dst, true), Ok(expected), "with bytes behind it");
        bytes[9] ^= 1;
        assert_eq!(parse(&bytes, src, dst, true), Err(Malformed::UdpChecksum));
        assert_eq!(parse(&bytes, src, dst, false), Ok(expected));
    }
}

#[test]
fn a_missing_checksum_is_accepted_over_ipv4_only() {
    //= rfc8200#8.1
    //= type=test
    //# IPv6 receivers must discard UDP packets containing a zero checksum
    for (src, dst, accepted) in [(A4, B4, true), (A6, B6, false)] {
        let mut bytes = samples::datagram(src, dst, b"abc");
        bytes[6..8].fill(0);
        for verify in [true, false] {
            assert_eq!(parse(&bytes, src, dst, verify).is_ok(), accepted);
        }
    }
}

#[test]
fn a_checksum_that_computes_to_zero_is_sent_as_ones() {
    //= rfc768#
    //= type=test
    //# If the computed checksum is zero, it is transmitted as all ones
    let mut bytes = samples::datagram(A4, B4, b"\0\0");
    let missing = u16_at(bytes.first_chunk::<8>().expect("a header"), 6);
    bytes[6..8].fill(0);
    // The payload takes what the sum lacked.
    bytes[8..10].copy_from_slice(&missing.to_be_bytes());
    fill_checksum(&mut bytes, A4, B4, Sum::ZERO, 0);
    assert_eq!(bytes[6..8], [0xff, 0xff]);
    assert!(parse(&bytes, A4, B4, true).is_ok());
}

#[test]
fn lengths_that_cannot_be_have_names() {
    let whole = samples::datagram(A4, B4, b"abc");
    for length in 0..8 {
        assert_eq!(parse(&whole[..length], A4, B4, true), Err(Malformed::UdpShort));
    }
    for length in 8..whole.len() {
        assert_eq!(parse(&whole[..length], A4, B4, true), Err(Malformed::UdpLength));
    }
    for length in [0u16, 7, 12, 0xffff] {
        let mut bytes = whole.clone();
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        assert_eq!(parse(&bytes, A4, B4, false), Err(Malformed::UdpLength));
    }
    let header = Datagram { src_port: 1, dst_port: 2, payload_bytes: 0 };
    assert_eq!(emit(&mut [0; 7], &header), 0);
}

#[test]
fn a_card_completes_the_partial_checksum() {
    let whole = samples::datagram(A6, B6, b"payload");
    let mut bytes = whole.clone();
    fill_partial_checksum(&mut bytes, A6, B6, whole.len() as u16);
    let sum = Sum::of(&bytes).checksum();
    bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(bytes, whole);
}
