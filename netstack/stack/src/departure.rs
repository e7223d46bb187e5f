//! Where connections to a destination leave from: what [`Cx::connect`](crate::Cx::connect) finds out
//! of routes, addresses and secrets, kept for the destinations of late. Whoever connects to few
//! servers, a proxy, asks for the same again and again.
//!
//! Nothing here is older than the tables that it was found in: it is forgotten with every change of
//! an address or a route.

use alloc::boxed::Box;
use alloc::vec;

use penstock_wire::Addr;

use crate::app::{ConnId, Endpoint};
use crate::config::SocketOptions;
use crate::core::Core;
use crate::cx::Cx;
use crate::hash::AddrId;
use crate::limits;
use crate::refusal::ConnectError;
use crate::rfd::PortRange;

/// Where a connection leaves from; what is not said, the stack chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub addr: Option<Addr>,
    /// The interface, by one of whose routes it leaves (`SO_BINDTODEVICE`).
    pub interface: Option<u8>,
    /// The ports, which were [claimed](Cx::claim_ports).
    pub ports: Option<PortRange>,
}

impl Origin {
    /// Nothing but the address is said: [`Cx::connect`] does it for less.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.interface.is_none() && self.ports.is_none()
    }
}

/// The way to one destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    pub(crate) interface: u8,
    /// The neighbour that leads there.
    pub(crate) next: Addr,
    pub(crate) local: AddrId,
    /// Where the search for a port begins ([`Secrets::port_offset`](crate::secret::Secrets)).
    pub(crate) port_offset: u32,
}

/// What was found, each in the place that its destination has.
#[derive(Debug)]
pub(crate) struct Departures {
    places: Box<[Option<Known>]>,
}

/// What was asked, and the answer.
#[derive(Clone, Copy, Debug)]
struct Known {
    remote: Endpoint,
    from: Option<Addr>,
    departure: Departure,
}

impl Departures {
    /// Nothing is known.
    pub(crate) fn new() -> Departures {
        Departures { places: vec![None; limits::DEPARTURES].into() }
    }

    /// An address or a route has changed.
    pub(crate) fn forget(&mut self) {
        self.places.fill(None);
    }

    fn recall(&self, remote: Endpoint, from: Option<Addr>) -> Option<Departure> {
        let known = self.places[place_of(remote)].as_ref()?;
        (known.remote == remote && known.from == from).then_some(known.departure)
    }
}

impl Cx<'_> {
    /// [`connect`](Self::connect) from `origin`. Of its ports it takes one that the answers name this
    /// core by, and from which nothing goes to `remote`, with one look at each at most.
    ///
    /// # Errors
    /// See [`ConnectError`].
    #[cold]
    #[inline(never)]
    pub fn connect_from(
        &mut self,
        remote: Endpoint,
        origin: Origin,
        options: SocketOptions,
    ) -> Result<ConnId, ConnectError> {
        self.open(remote, origin, options)
    }

    /// Connections may leave from these ports ([`connect_from`](Self::connect_from)) where nothing
    /// listens. To be said on every core before the first does.
    pub fn claim_ports(&mut self, range: PortRange) {
        self.core.rfd.claim(range);
    }
}

impl Core {
    /// How a connection to `remote` leaves, from the address `from` or one that suits.
    #[inline]
    pub(crate) fn departure(
        &mut self,
        remote: Endpoint,
        from: Option<Addr>,
    ) -> Result<Departure, ConnectError> {
        match self.departures.recall(remote, from) {
            Some(departure) => Ok(departure),
            None => self.find_departure(remote, from),
        }
    }

    #[inline(never)]
    fn find_departure(
        &mut self,
        remote: Endpoint,
        from: Option<Addr>,
    ) -> Result<Departure, ConnectError> {
        let departure = self.departure_by(remote, from, None)?;
        self.departures.places[place_of(remote)] = Some(Known { remote, from, departure });
        Ok(departure)
    }

    /// The same by an interface, if that matters; nobody remembers it.
    pub(crate) fn departure_by(
        &self,
        remote: Endpoint,
        from: Option<Addr>,
        interface: Option<u8>,
    ) -> Result<Departure, ConnectError> {
        let addr = remote.addr;
        let is_nobody = addr.is_group() || addr.is_unspecified() || !self.config.may_speak(addr);
        if is_nobody || self.interfaces.is_nobody(addr) || remote.port == 0 {
            return Err(ConnectError::BadDestination);
        }
        let way = match interface {
            Some(interface) => self.routes.lookup_on(&self.interfaces, interface, addr),
            None => self.routes.lookup(&self.interfaces, addr),
        };
        let (interface, next) = way.ok_or(ConnectError::NoRoute)?;
        let local = match from {
            Some(own) => self.interfaces.find(interface, own),
            None => self.interfaces.source_for(interface, addr),
        };
        let local = local.ok_or(ConnectError::NoAddress)?;
        let port_offset = self.secrets.port_offset(local, addr, remote.port);
        Ok(Departure { interface, next, local, port_offset })
    }
}

/// Servers that stand beside each other do not meet.
fn place_of(remote: Endpoint) -> usize {
    (remote.addr.lo as usize).wrapping_add(remote.port as usize) % limits::DEPARTURES
}
