//! Why a downcall does not do what it was asked for.

use core::fmt;

/// Why a port cannot be listened on or bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// Address and port are taken on this worker.
    InUse,
    /// The address is none of ours, or none of the interface's.
    NoSuchAddress,
    /// [`Capacity::listeners`](crate::Capacity::listeners) (or `udp`) is used up, or more
    /// different sets of socket options are in use than a worker keeps.
    TooMany,
}

impl fmt::Display for ListenError {
    /// As Linux says it, but for the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ListenError::InUse => "Address already in use",
            ListenError::NoSuchAddress => "Cannot assign requested address",
            ListenError::TooMany => "Too many listeners",
        })
    }
}

/// Why a connection cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// No route leads there.
    NoRoute,
    /// The destination can be nobody's: a group, a broadcast, a loopback or the unspecified address,
    /// one of ours, port 0.
    BadDestination,
    /// We have no address of the family (or not the one asked for).
    NoAddress,
    /// Every port of this core towards that destination is in use.
    PortsExhausted,
    /// Every connection record is in use.
    TooManyConnections,
    /// No memory for it now.
    NoMemory,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpError {
    /// The socket is not bound.
    NotBound,
    /// No route leads there.
    NoRoute,
    /// We have no address of the family.
    NoAddress,
    /// Longer than one packet.
    TooLong,
    /// No memory for it now.
    NoMemory,
}
