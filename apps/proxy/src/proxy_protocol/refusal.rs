//! Why a connection ended before its PROXY header was read.

use core::fmt;

/// Why there is no header. The text is HAProxy's, which logs it behind the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The peer closed without a byte.
    Empty,
    /// The peer reset.
    Aborted,
    /// The time for the client's handshake ran out.
    TimedOut,
    /// The peer closed in the middle.
    Truncated,
    /// Neither version begins like this.
    NotHeader,
    /// It begins well, and something in it is wrong: an address, a length, the checksum.
    Invalid,
    /// Version 1 with a protocol other than TCP4, TCP6 and UNKNOWN.
    UnknownProtocol,
}

impl Refusal {
    /// Whether `option dontlognull` keeps it out of the log: nothing was exchanged.
    pub fn is_null(self) -> bool {
        matches!(self, Refusal::Empty | Refusal::Aborted)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Empty => "Connection closed while waiting for PROXY protocol header",
            Refusal::Aborted => "Connection error while waiting for PROXY protocol header",
            Refusal::TimedOut => "Timeout while waiting for PROXY protocol header",
            Refusal::Truncated => "Truncated PROXY protocol header received",
            Refusal::NotHeader => {
                "Received something which does not look like a PROXY protocol header"
            }
            Refusal::Invalid => "Received an invalid PROXY protocol header",
            Refusal::UnknownProtocol => {
                "Received an unhandled protocol in the PROXY protocol header"
            }
        })
    }
}
