//! Every bound of a message, and what is answered beyond it.

/// A head longer than this is refused (431, or 414 while still in its target). HAProxy's buffer.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A target longer than this is refused with 414. RFC 9112 section 3 asks for at least 8000.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// No method we know is longer; RFC 9112 section 3 wants 501 for one that is.
pub const METHOD_BYTES_MAX: usize = 24;

/// More field lines than this are refused with 431.
pub const FIELDS_MAX: u16 = 100;

/// Bytes of all trailer fields of a body.
pub const TRAILER_BYTES_MAX: u16 = 8 * 1024;

/// Bytes of the extensions of one chunk: nobody uses them but those who want to make us read.
pub const CHUNK_EXTENSION_BYTES_MAX: u16 = 256;

/// Hexadecimal digits of a chunk's length, leading zeros included: it stays below 2^60.
pub const CHUNK_DIGITS_MAX: u8 = 15;

// Positions in a head are 16 bits.
const _: () = assert!(HEAD_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(TARGET_BYTES_MAX < HEAD_BYTES_MAX);
