//! Bound UDP ports of one worker.

use alloc::vec::Vec;

use penstock_wire::Addr;

use crate::app::UdpId;
use crate::refusal::ListenError;

#[derive(Clone, Copy, Debug)]
struct Bound {
    addr: Option<Addr>,
    port: u16,
}

/// The bound ports: few, so a walk.
#[derive(Debug)]
pub(crate) struct UdpPorts {
    /// By [`UdpId`].
    bound: Vec<Option<Bound>>,
    capacity: u16,
}

impl UdpPorts {
    pub(crate) fn new(capacity: u16) -> UdpPorts {
        UdpPorts { bound: Vec::with_capacity(capacity as usize), capacity }
    }

    /// Binds a port of `addr`, or of every address.
    pub(crate) fn bind(&mut self, addr: Option<Addr>, port: u16) -> Result<UdpId, ListenError> {
        if self.bound.iter().flatten().any(|bound| bound.port == port && bound.addr == addr) {
            return Err(ListenError::InUse);
        }
        let bound = Some(Bound { addr, port });
        if let Some(at) = self.bound.iter().position(Option::is_none) {
            self.bound[at] = bound;
            return Ok(UdpId(at as u16));
        }
        if self.bound.len() >= self.capacity as usize {
            return Err(ListenError::TooMany);
        }
        self.bound.push(bound);
        Ok(UdpId(self.bound.len() as u16 - 1))
    }

    /// Whether somebody is bound to `port` of any address.
    pub(crate) fn is_bound(&self, port: u16) -> bool {
        self.bound.iter().flatten().any(|bound| bound.port == port)
    }

    /// Lets a port go.
    pub(crate) fn unbind(&mut self, socket: UdpId) {
        if let Some(bound) = self.bound.get_mut(socket.0 as usize) {
            *bound = None;
        }
    }

    /// Who is bound to `port` of `addr`: the address itself before any address.
    pub(crate) fn lookup(&self, addr: Addr, port: u16) -> Option<UdpId> {
        let matching =
            |bound: &Bound| bound.port == port && bound.addr.is_none_or(|own| own == addr);
        let all = self.bound.iter().enumerate();
        let numbered = all.filter_map(|(at, bound)| bound.as_ref().map(|bound| (at, bound)));
        let numbered = numbered.filter(|(_, bound)| matching(bound));
        numbered.max_by_key(|(_, bound)| bound.addr.is_some()).map(|(at, _)| UdpId(at as u16))
    }

    /// The address and port of a socket.
    pub(crate) fn bound(&self, socket: UdpId) -> Option<(Option<Addr>, u16)> {
        let bound = self.bound.get(socket.0 as usize)?.as_ref()?;
        Some((bound.addr, bound.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_goes_before_any_address() {
        let mut udp = UdpPorts::new(2);
        let own = Addr::v4(0x0a00_0001);
        let any = udp.bind(None, 53).expect("free");
        let one = udp.bind(Some(own), 53).expect("free");
        assert_eq!(udp.bind(None, 53), Err(ListenError::InUse));
        assert_eq!(udp.bind(None, 54), Err(ListenError::TooMany));
        assert_eq!(udp.lookup(own, 53), Some(one));
        assert_eq!(udp.lookup(Addr::v4(9), 53), Some(any));
        assert_eq!(udp.lookup(own, 54), None);
        udp.unbind(any);
        assert_eq!((udp.bound(any), udp.lookup(Addr::v4(9), 53)), (None, None));
        assert_eq!(udp.bind(None, 54), Ok(any));
    }
}
