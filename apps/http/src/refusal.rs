//! Why a request is not served, and which status says so.

use crate::Status;

/// What was wrong with a request. All of them end the connection: behind a message that two readers
/// may cut at different places, nothing can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// The method is empty or not a token.
    Method,
    /// The method is longer than any there is.
    MethodTooLong,
    /// The target is none of the four forms, or holds a byte that has no place there.
    Target,
    /// The target is longer than [`TARGET_BYTES_MAX`](crate::limits::TARGET_BYTES_MAX).
    TargetTooLong,
    /// There is no version where one should be: HTTP/0.9, or no HTTP.
    Version,
    /// A version that is neither 1.0 nor 1.1.
    VersionUnsupported,
    /// A line that does not end with CR LF.
    LineEnd,
    /// A field line that begins with white space (obs-fold).
    Folded,
    /// A field name is empty, not a token, or followed by white space.
    FieldName,
    /// A control character in a field value.
    FieldValue,
    /// More than [`FIELDS_MAX`](crate::limits::FIELDS_MAX) field lines.
    TooManyFields,
    /// The head is longer than [`HEAD_BYTES_MAX`](crate::limits::HEAD_BYTES_MAX).
    HeadTooLong,
    /// Host is missing, repeated, or not a host.
    Host,
    /// Content-Length is not one number.
    Length,
    /// Content-Length and Transfer-Encoding in one message.
    LengthAndCoding,
    /// A Transfer-Encoding that does not end with one "chunked", or in HTTP/1.0.
    Coding,
    /// A coding other than "chunked" below it.
    CodingUnknown,
    /// An expectation other than "100-continue".
    Expectation,
    /// The framing of a chunked body is broken.
    Chunk,
    /// Trailers of a chunked body, or the extensions of a chunk, are too long.
    ChunkTooLong,
}

impl Refusal {
    /// What to answer.
    pub fn status(self) -> Status {
        let code = match self {
            Refusal::Method
            | Refusal::Target
            | Refusal::Version
            | Refusal::LineEnd
            | Refusal::Folded
            | Refusal::FieldName
            | Refusal::FieldValue
            | Refusal::Host
            | Refusal::Length
            | Refusal::LengthAndCoding
            | Refusal::Coding
            | Refusal::Chunk => 400,
            Refusal::TargetTooLong => 414,
            Refusal::Expectation => 417,
            Refusal::TooManyFields | Refusal::HeadTooLong | Refusal::ChunkTooLong => 431,
            Refusal::MethodTooLong | Refusal::CodingUnknown => 501,
            Refusal::VersionUnsupported => 505,
        };
        Status(code)
    }
}
