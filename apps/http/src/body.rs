//! A request's body as it comes: what is framing, what is data, and where it ends. Nothing is kept.
//!
//! ```text
//!   loop {
//!       used += body.skip(&bytes[used..])?;           // framing
//!       let data = body.ready(&bytes[used..]);        // a run of data, perhaps not all of it
//!       body.took(n);  used += n;                     // what the application took of it
//!   }                                                 // until data is empty
//! ```
//! Chunked (RFC 9112 section 7.1):
//! ```text
//!   Digits ─▶ Extension ─▶ SizeLf ─▶ Data ─▶ DataCr ─▶ DataLf ─▶ Digits …
//!                             └─ length 0 ─▶ Trailer ─▶ Name ─▶ Value ─▶ ValueLf ─▶ Trailer …
//!                                               └────▶ LastLf ─▶ Done
//! ```

use crate::bytes::is_token;
use crate::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};
use crate::{Framing, Refusal};

/// How far a body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    stage: Stage,
    /// Digits of this chunk's length so far.
    digits: u8,
    /// Bytes of this chunk's extensions, or of all trailers.
    extra: u16,
    /// Bytes of data still to come, of the body or of this chunk.
    left: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// All of the data is one run.
    Plain,
    Digits,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    Name,
    Value,
    ValueLf,
    LastLf,
    Done,
}

impl Body {
    /// One that has no bytes.
    pub const NONE: Body = Body { stage: Stage::Done, digits: 0, extra: 0, left: 0 };

    /// At its first byte.
    #[inline]
    pub fn new(framing: Framing) -> Body {
        let (stage, left) = match framing {
            Framing::Length(0) => (Stage::Done, 0),
            Framing::Length(bytes) => (Stage::Plain, bytes),
            Framing::Chunked => (Stage::Digits, 0),
        };
        Body { stage, digits: 0, extra: 0, left }
    }

    /// Whether all of it has been read.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The data at the beginning of `bytes`.
    #[inline]
    pub fn ready<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if !matches!(self.stage, Stage::Plain | Stage::Data) {
            return &[];
        }
        match usize::try_from(self.left) {
            Ok(left) if left < bytes.len() => &bytes[..left],
            _ => bytes,
        }
    }

    /// The first `count` bytes of what was [`ready`](Self::ready) are dealt with.
    #[inline]
    pub fn took(&mut self, count: usize) {
        debug_assert!(count as u64 <= self.left, "more was taken than is left");
        self.left = self.left.saturating_sub(count as u64);
        if self.left == 0 {
            self.stage = match self.stage {
                Stage::Plain => Stage::Done,
                Stage::Data => Stage::DataCr,
                stage => stage,
            };
        }
    }

    /// Reads the framing at the beginning of `bytes`, up to data or the end of the body; returns
    /// how many bytes that was.
    ///
    /// # Errors
    /// The framing is broken: nothing that follows on the connection has a meaning.
    pub fn skip(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut used = 0;
        while !matches!(self.stage, Stage::Plain | Stage::Data | Stage::Done) {
            let Some(byte) = bytes.get(used) else { break };
            self.framing(*byte)?;
            used += 1;
        }
        Ok(used)
    }

    fn framing(&mut self, byte: u8) -> Result<(), Refusal> {
        self.stage = match (self.stage, byte) {
            (Stage::Digits, b'\r') if self.digits > 0 => Stage::SizeLf,
            (Stage::Digits, b';') if self.digits > 0 => Stage::Extension,
            (Stage::Digits, _) => self.digit(byte)?,
            // Lenient readers of extensions differ in where they see the line end.
            (Stage::Extension, b'\r') => Stage::SizeLf,
            (Stage::Extension, _) if is_text(byte) => {
                self.count(CHUNK_EXTENSION_BYTES_MAX)?;
                Stage::Extension
            }
            (Stage::SizeLf, b'\n') => self.begin_chunk(),
            (Stage::DataCr, b'\r') => Stage::DataLf,
            (Stage::DataLf, b'\n') => Stage::Digits,
            (Stage::Trailer, b'\r') => Stage::LastLf,
            (Stage::Trailer, _) if is_token(byte) => Stage::Name,
            (Stage::Name, b':') => Stage::Value,
            (Stage::Name, _) if is_token(byte) => Stage::Name,
            (Stage::Value, b'\r') => Stage::ValueLf,
            (Stage::Value, _) if is_text(byte) => Stage::Value,
            (Stage::ValueLf, b'\n') => Stage::Trailer,
            (Stage::LastLf, b'\n') => Stage::Done,
            _ => return Err(Refusal::Chunk),
        };
        if matches!(self.stage, Stage::Name | Stage::Value | Stage::ValueLf | Stage::Trailer) {
            self.count(TRAILER_BYTES_MAX)?;
        }
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<Stage, Refusal> {
        let digit = (byte as char).to_digit(16).ok_or(Refusal::Chunk)?;
        if self.digits == CHUNK_DIGITS_MAX {
            return Err(Refusal::Chunk);
        }
        self.digits += 1;
        self.left = self.left << 4 | digit as u64;
        Ok(Stage::Digits)
    }

    fn begin_chunk(&mut self) -> Stage {
        self.digits = 0;
        self.extra = 0;
        if self.left == 0 { Stage::Trailer } else { Stage::Data }
    }

    fn count(&mut self, bytes_max: u16) -> Result<(), Refusal> {
        self.extra += 1;
        if self.extra > bytes_max { Err(Refusal::ChunkTooLong) } else { Ok(()) }
    }
}

/// What may stand in a field value or an extension.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    //! Chunks as RFC 9112 has them are read, however they are cut; whatever is near to them is not.

    use super::*;
    use std::vec::Vec;

    /// The data, how many bytes were used, and whether it ended; fed in pieces of `piece`.
    fn read(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), Refusal> {
        let mut body = Body::new(Framing::Chunked);
        let (mut data, mut total) = (Vec::new(), 0);
        for bytes in bytes.chunks(piece) {
            let mut used = 0;
            loop {
                used += body.skip(&bytes[used..])?;
                let ready = body.ready(&bytes[used..]);
                if ready.is_empty() {
                    break;
                }
                data.extend_from_slice(ready);
                used += ready.len();
                body.took(ready.len());
            }
            total += used;
            if body.is_done() {
                break;
            }
        }
        Ok((data, total, body.is_done()))
    }

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        let text =
            b"4;name=\"value\"\r\nWiki\r\n00a\r\npedia in c\r\n0\r\nTrailer: x\r\nB:\r\n\r\nGET";
        for piece in 1..text.len() {
            let (data, used, done) = read(text, piece).expect("good chunks");
            assert_eq!((&data[..], done), (&b"Wikipedia in c"[..], true));
            assert_eq!(&text[used..], b"GET", "{piece}");
        }
    }

    #[test]
    fn what_is_not_quite_a_chunk_is_refused() {
        let bad: &[&[u8]] = &[
            b"\r\n",
            b"g\r\n",
            b"0x5\r\nhello\r\n",
            b"-1\r\n",
            b"+5\r\nhello\r\n",
            b" 5\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"5\nhello\r\n",
            b"5\r\rhello\r\n",
            b"5;a\nhello\r\n",
            b"5;a\0\r\nhello\r\n",
            b"5;a\rb\r\nhello\r\n",
            b"5\r\nhelloo\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\rx",
            b"5,5\r\nhello\r\n",
            b"1000000000000000\r\n",
            b"0000000000000005\r\nhello\r\n",
            b"0\r\n X: y\r\n\r\n",
            b"0\r\nX : y\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\n\n",
            b"0\r\n\rx",
        ];
        for text in bad {
            assert_eq!(read(text, 100), Err(Refusal::Chunk), "{}", text.escape_ascii());
            assert_eq!(read(text, 1), Err(Refusal::Chunk), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn extensions_and_trailers_end_somewhere() {
        let mut extension = b"5;".to_vec();
        extension.resize(2 + CHUNK_EXTENSION_BYTES_MAX as usize, b'a');
        assert!(read(&extension, 1000).is_ok());
        extension.push(b'a');
        assert_eq!(read(&extension, 1000), Err(Refusal::ChunkTooLong));
        let mut trailers = b"0\r\n".to_vec();
        for _ in 0..TRAILER_BYTES_MAX {
            trailers.extend_from_slice(b"A:\r\n");
        }
        assert_eq!(read(&trailers, 1000), Err(Refusal::ChunkTooLong));
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut body = Body::new(Framing::Length(5));
        assert_eq!(body.skip(b"hello"), Ok(0));
        assert_eq!(body.ready(b"hel"), b"hel");
        body.took(3);
        assert_eq!(body.ready(b"lo, and more"), b"lo");
        body.took(2);
        assert!(body.is_done());
        assert_eq!(body.ready(b", and more"), b"");
        assert!(Body::new(Framing::Length(0)).is_done());
    }
}
