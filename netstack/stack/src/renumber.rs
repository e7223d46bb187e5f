//! Addresses, gateways and MTUs that change while the worker runs.
//!
//! Whoever decides that stands beneath the application, on every core alike: a worker changes its own
//! tables and tells nobody. Listeners on every address follow by themselves, because they name none.
//! Connections from an address that went end ([`crate::sweep`]) without a word to the peer: what would be
//! said would come from an address that may be another's by now. Nothing here allocates.

use penstock_wire::{Addr, Mac};

use crate::core::Core;
use crate::cx::Cx;
use crate::interface::ConfigError;

impl Cx<'_> {
    /// `addr` is ours on an interface from the next frame on. Nobody is told: see
    /// [`send_frame`](Self::send_frame).
    ///
    /// # Errors
    /// What no host can have, is ours already, or is one too many.
    pub fn add_address(
        &mut self,
        interface: u8,
        addr: Addr,
        prefix_bits: u8,
    ) -> Result<(), ConfigError> {
        self.core.interfaces.add(interface, addr, prefix_bits)?;
        self.core.renumbered();
        Ok(())
    }

    /// `addr` is ours no more, and its connections end. Whether it was.
    pub fn remove_address(&mut self, interface: u8, addr: Addr) -> bool {
        let was_ours = self.core.interfaces.remove(interface, addr);
        if was_ours {
            self.core.renumbered();
            self.core.begin_sweep();
        }
        was_ours
    }

    /// Takes `gateway`, or nothing, as the way from an interface to everywhere else, of IPv4 or of
    /// IPv6.
    ///
    /// # Errors
    /// It is no neighbour, or one too many.
    pub fn set_gateway(
        &mut self,
        interface: u8,
        is_v4: bool,
        gateway: Option<Addr>,
    ) -> Result<(), ConfigError> {
        self.core.departures.forget();
        self.core.routes.set_default(&self.core.interfaces, interface, is_v4, gateway)
    }

    /// The link carries IP packets of `mtu` bytes: connections that begin from now on go by it, and as
    /// far as the card does.
    pub fn set_mtu(&mut self, interface: u8, mtu: u16) {
        self.core.interfaces.set_mtu(interface, mtu);
    }

    /// The station of an interface.
    pub fn mac(&self, interface: u8) -> Mac {
        self.core.interfaces.mac(interface)
    }

    /// Whether the machine has any address of IPv4, or of IPv6, that others than neighbours can answer.
    pub fn has_address(&self, is_v4: bool) -> bool {
        self.core.interfaces.has(is_v4)
    }

    /// The addresses of an interface, with the bits of their prefixes.
    pub fn addresses(&self, interface: u8) -> impl Iterator<Item = (Addr, u8)> + '_ {
        self.core.interfaces.links(interface)
    }
}

impl Core {
    /// What hangs on our addresses is made anew.
    fn renumbered(&mut self) {
        self.routes.rebuild(&self.interfaces);
        self.departures.forget();
        self.neighbours.exclude(self.interfaces.nobodies());
    }
}

#[cfg(test)]
mod tests;
