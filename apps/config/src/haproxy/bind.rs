//! `bind`: where a frontend listens.

use alloc::string::String;

use penstock_wire::Addr;

use super::Place;

/// An address, or all of a family, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// The address; unspecified is every address of its family.
    pub addr: Addr,
    /// The port.
    pub port: u16,
}

/// One listener: an address and one port. A range of ports, or several addresses in one line, are
/// several of these, with the same options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where the line stands.
    pub place: Place,
    /// `name`.
    pub name: Option<String>,
    /// `id`, or the next free number from 1 within the frontend; 0 until it was given one.
    pub id: u32,
    /// The address and port.
    pub at: BindAddress,
    /// On the IPv6 wildcard, without `v6only`: IPv4 comes in too.
    pub both_families: bool,
    /// `interface`: only clients that come in by this card.
    pub interface: Option<String>,
    /// `accept-proxy`: every connection begins with a PROXY header, or is closed.
    pub accept_proxy: bool,
    /// `maxconn`: connections at once on this listener.
    pub maxconn: Option<u32>,
    /// `backlog`: half-open connections, or the frontend's.
    pub backlog: Option<u32>,
    /// `defer-accept`: nothing happens before the client's first bytes.
    pub defer_accept: bool,
    /// `tfo`: TCP Fast Open; data in a SYN is accepted where the stack can.
    pub fast_open: bool,
    /// `mss`: largest segment in bytes that is offered; negative is that much below the interface's.
    pub mss: Option<i16>,
    /// `tcp-ut`: how long sent data may stay unacknowledged.
    pub user_timeout: Option<penstock_stack::Duration>,
}

impl Bind {
    /// A listener without options.
    pub fn new(at: BindAddress) -> Bind {
        Bind {
            place: Place::default(),
            name: None,
            id: 0,
            at,
            both_families: at.addr == Addr::UNSPECIFIED,
            interface: None,
            accept_proxy: false,
            maxconn: None,
            backlog: None,
            defer_accept: false,
            fast_open: false,
            mss: None,
            user_timeout: None,
        }
    }
}
