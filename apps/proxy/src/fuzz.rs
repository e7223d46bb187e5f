//! The way in for fuzzers.

mod configuration;
mod reply;
mod samples;

pub use configuration::configuration;
pub use reply::check_reply;
pub use samples::samples;

use crate::hello::{Scratch, client_hello, hello_type};
use crate::known::Known;
use crate::proxy_protocol::{
    Reader, Refusal, Tlvs, V1_BYTES_MAX, V2_BYTES_MAX, write_v1, write_v2,
};

/// Reads `bytes` as one of the things that the proxy reads from strangers; the first says which.
///
/// # Panics
/// When one of them has a defect.
pub fn proxy(bytes: &[u8]) {
    let Some((what, bytes)) = bytes.split_first() else { return };
    match what % 4 {
        0 => proxy_header(bytes),
        1 => hello(bytes),
        2 => check_reply(bytes),
        _ => samples(bytes),
    }
}

/// Reads `bytes` as a TLS hello, in beginnings that grow: what was decided once stays decided.
///
/// # Panics
/// When it does not: a defect of this crate.
pub fn hello(bytes: &[u8]) {
    let Some((stride, bytes)) = bytes.split_first() else { return };
    // Steps that make no more than some dozens of looks.
    let stride = 1 + usize::from(*stride) + bytes.len() / 32;
    let (mut kind, mut name) = (Known::NotYet, Known::NotYet);
    for end in (0..bytes.len()).step_by(stride).chain([bytes.len()]) {
        let bytes = &bytes[..end];
        let mut scratch = Scratch::new();
        let now = hello_type(bytes, &mut scratch);
        assert!(kind == Known::NotYet || kind == now, "{kind:?} became {now:?}");
        kind = now;
        let now = client_hello(bytes, &mut scratch).map(|hello| {
            (hello.version, hello.server_name().map(<[u8]>::len), hello.names_curves())
        });
        assert!(name == Known::NotYet || name == now, "{name:?} became {now:?}");
        name = now;
    }
}

/// Reads `bytes` as a PROXY header, whole and cut where the first two bytes choose: both must come
/// to the same, and what was read must survive being written.
///
/// # Panics
/// When they do not: defects of this crate.
pub fn proxy_header(bytes: &[u8]) {
    let Some(([seed, stride], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let whole = read(bytes, usize::MAX, 1);
    let cut = read(bytes, usize::from(*stride) + 1, usize::from(*seed) | 1);
    assert_eq!(whole, cut);
}

/// Bytes that belong to the header, or why it is none; `None` when more should come.
fn read(bytes: &[u8], stride: usize, mut state: usize) -> Result<Option<usize>, Refusal> {
    let mut reader = Reader::new();
    let mut at = 0;
    while at < bytes.len() {
        state = state.wrapping_mul(25_173).wrapping_add(13_849) & 0xffff;
        let end = at.saturating_add(1 + (state >> 4) % stride.max(2)).min(bytes.len());
        let end = if stride == usize::MAX { bytes.len() } else { end };
        let (used, header) = reader.advance(&bytes[at..end])?;
        at += used;
        if let Some(header) = header {
            let tlvs =
                Tlvs { has_crc32c: true, authority: header.authority, unique_id: header.unique_id };
            let (mut v1, mut v2) = ([0; V1_BYTES_MAX], [0; V2_BYTES_MAX]);
            assert!(write_v1(header.endpoints.as_ref(), &mut v1).ends_with(b"\r\n"));
            let written = write_v2(header.endpoints.as_ref(), tlvs, &mut v2);
            let mut again = Reader::new();
            let (used, copy) = again.advance(written)?;
            assert_eq!((used, copy), (written.len(), Some(header)));
            return Ok(Some(at));
        }
        assert_eq!(at, end, "a header that is not complete takes all");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    //! Good headers with a few bytes changed come to the same in any pieces.

    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const HEADERS: [&[u8]; 3] = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\npayload",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x21\xc0\0\x02\x07\xc6\x33\x64\x01\x9c\x40\x01\xbb\
          \x03\0\x04\x4a\xa3\x7f\xd9\x02\0\x0bexample.orgpayload",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x27\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
          \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x9c\x44\x1b\xc0\x05\0\0",
    ];

    proptest! {
        #[test]
        fn damaged_headers_come_to_the_same_however_they_are_cut(
            which in 0..HEADERS.len(),
            seed in any::<[u8; 2]>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut bytes: Vec<u8> = [&seed[..], HEADERS[which]].concat();
            for (index, byte) in damage {
                let at = 2 + index.index(bytes.len() - 2);
                bytes[at] = byte;
            }
            proxy_header(&bytes);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            proxy(&bytes);
        }
    }

    #[test]
    fn the_good_headers_are_read() {
        for header in HEADERS {
            assert!(matches!(read(header, 7, 1), Ok(Some(_))));
        }
    }
}
