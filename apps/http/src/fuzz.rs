//! The way in for fuzzers.

use alloc::vec::Vec;

use crate::limits::HEAD_BYTES_MAX;
use crate::{Body, Gatherer, Parser, Refusal};

/// Reads `bytes` as requests with their bodies: whole, and cut at places that the first two bytes
/// choose. Both must come to the same.
///
/// # Panics
/// When they do not, or when a view of a request does: defects of this crate.
pub fn http(bytes: &[u8]) {
    let Some(([seed, stride], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let whole = read(bytes, &mut |_| bytes.len());
    let mut state = *seed as usize | 1;
    let cut = read(bytes, &mut |_| {
        state = state.wrapping_mul(25_173).wrapping_add(13_849) & 0xffff;
        1 + (state >> 4) % (*stride as usize + 1)
    });
    assert_eq!(whole, cut);
}

/// What a stream of requests came to.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    requests: Vec<Exchange>,
    refusal: Option<Refusal>,
    /// In the middle of a head.
    is_partial: bool,
}

/// What was read of one request.
#[derive(Debug, PartialEq, Eq)]
struct Exchange {
    head: Vec<u8>,
    target: Vec<u8>,
    fields: usize,
    body: Vec<u8>,
}

/// Reads until the end or a refusal; `piece` says how much comes next.
fn read(bytes: &[u8], piece: &mut dyn FnMut(usize) -> usize) -> Reading {
    let mut reading = Reading { requests: Vec::new(), refusal: None, is_partial: false };
    let mut gatherer = Gatherer::new(1);
    let mut reader = Reader { gather: None, body: None };
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + piece(at)).min(bytes.len());
        let mut rest = &bytes[at..end];
        while !rest.is_empty() {
            match reader.step(rest, &mut gatherer, &mut reading) {
                Ok(used) => rest = &rest[used..],
                Err(refusal) => {
                    reading.refusal = Some(refusal);
                    return reading;
                }
            }
        }
        at = end;
    }
    reading.is_partial = reader.gather.is_some();
    reading
}

struct Reader {
    gather: Option<crate::Gather>,
    body: Option<Body>,
}

impl Reader {
    /// Deals with a beginning of `bytes`, which are not empty; returns how much that was.
    fn step(
        &mut self,
        bytes: &[u8],
        gatherer: &mut Gatherer<()>,
        reading: &mut Reading,
    ) -> Result<usize, Refusal> {
        if let Some(body) = &mut self.body {
            let mut used = body.skip(bytes)?;
            let ready = body.ready(&bytes[used..]);
            used += ready.len();
            body.took(ready.len());
            if let Some(request) = reading.requests.last_mut() {
                request.body.extend_from_slice(ready);
            }
            self.body = self.body.filter(|body| !body.is_done());
            return Ok(used);
        }
        let mut parser = Parser::new();
        let (used, request) = match self.gather {
            Some(gather) => gatherer.advance(gather, bytes)?,
            None => match parser.advance(bytes)? {
                Some(request) => (request.bytes().len(), Some(request)),
                None => {
                    assert!(bytes.len() < HEAD_BYTES_MAX, "a full head waits for more");
                    self.gather = Some(gatherer.begin((), parser, bytes).0);
                    (bytes.len(), None)
                }
            },
        };
        if let Some(request) = request {
            assert!(request.bytes().ends_with(b"\r\n\r\n"));
            assert!(request.path().len() <= request.target().len().max(1));
            assert!(!request.method().is_empty());
            reading.requests.push(Exchange {
                head: request.bytes().to_vec(),
                target: request.target().to_vec(),
                fields: request.fields().count(),
                body: Vec::new(),
            });
            let body = Body::new(request.facts.framing);
            self.body = Some(body).filter(|body| !body.is_done());
            if let Some(gather) = self.gather.take() {
                gatherer.end(gather);
            }
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    //! Requests with a few bytes changed, cut or doubled come to the same in any pieces.

    use super::http;
    use proptest::prelude::*;
    use std::vec::Vec;

    const REQUESTS: &[u8] =
        b"\r\nPOST /echo?x HTTP/1.1\r\nHost: a.b:80\r\nTransfer-Encoding: chunked\
        \r\nExpect: 100-continue\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n\
        GET hTTp:\x2f/h/p HTTP/1.0\r\nX:\t y \r\nConnection: a, keep-alive\r\n\r\n\
        PUT /e HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 7\r\n\r\n1234567\
        OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n";

    proptest! {
        #[test]
        fn damaged_requests_come_to_the_same_however_they_are_cut(
            seed in any::<(u8, u8)>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0..5u8, any::<u8>()), 0..4),
        ) {
            let mut bytes: Vec<u8> = [&[seed.0, seed.1 % 40][..], REQUESTS].concat();
            for (index, kind, byte) in damage {
                let at = 2 + index.index(bytes.len() - 2);
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.truncate(at + 1),
                    2 => bytes.insert(at, b"\r\n\t :,;\x00\x7f0"[byte as usize % 10]),
                    3 => { bytes.remove(at); }
                    _ => { let copy = bytes[at..].to_vec(); bytes.splice(at..at, copy); }
                }
                if bytes.len() < 4 {
                    break;
                }
            }
            http(&bytes);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            http(&bytes);
        }
    }

    #[test]
    fn the_good_requests_are_all_read() {
        let bytes = [&[1, 255][..], REQUESTS].concat();
        http(&bytes);
        let reading = super::read(REQUESTS, &mut |_| 7);
        assert_eq!((reading.requests.len(), reading.refusal), (4, None));
        assert_eq!(reading.requests[0].body, b"hello");
        assert_eq!(reading.requests[2].body, b"1234567");
    }
}
