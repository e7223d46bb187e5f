//! Which core owns a port, and which port brings replies to this core: the arithmetic of
//! [`crate::rfd`] with what each interface's card can do.

use alloc::vec::Vec;

use penstock_wire::Addr;

use crate::config::{Config, Steering};
use crate::rfd::{Cores, Incoming, PortAllocator, PortRange, Solver};

/// The ports of one worker.
#[derive(Debug)]
pub(crate) struct Ports {
    cores: Cores,
    range: PortRange,
    allocator: PortAllocator,
    /// For each interface whose card hashes: the solver, and whether it serves IPv4 too.
    solvers: Vec<Option<(Solver, bool)>>,
}

impl Ports {
    pub(crate) fn new(config: &Config, cores: Cores, core: u16, range: PortRange) -> Ports {
        let solver = |rss| Solver::new(rss, core as u8, cores, core, range);
        let solvers = config.interfaces.iter().map(|interface| match &interface.steering {
            // IPv6 perfect match is unproven on an 82599: there the hash decides.
            Steering::FlowDirector(rss) => Some((solver(rss), false)),
            Steering::Rss(rss) => Some((solver(rss), true)),
            Steering::Unknown => None,
        });
        let solvers = solvers.collect();
        Ports { cores, range, allocator: PortAllocator::new(cores, core, range, 0), solvers }
    }

    /// Whether `port` is one that active connections use.
    #[inline]
    pub(crate) fn is_active(&self, port: u16) -> bool {
        self.range.contains(port)
    }

    /// The core that owns segments to `port`, on which nobody listens.
    #[inline]
    pub(crate) fn owner(&self, port: u16) -> Option<u16> {
        self.cores.owner(self.range, port, false)
    }

    /// A port for a connection to `incoming`'s peer, out of those that `is_free`.
    pub(crate) fn choose(
        &mut self,
        interface: u8,
        incoming: &Incoming,
        offset: u32,
        is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let v4: bool = Addr::is_v4(incoming.remote);
        match self.solvers.get(interface as usize) {
            Some(Some((solver, for_v4))) if *for_v4 || !v4 => {
                self.allocator.choose_by_hash(solver, incoming, offset, is_free)
            }
            _ => self.allocator.choose(offset, is_free),
        }
    }
}
