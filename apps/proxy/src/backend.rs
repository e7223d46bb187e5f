//! A backend, as one core sees it: its balancer, and who waits for any of its servers.

use alloc::vec::Vec;

use crate::balance::{Balancer, Share};
use crate::queue::Queue;
use crate::server::Server;
use crate::setup::Setup;

/// A backend of one core.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) balancer: Balancer,
    /// What the balancer knows of each server.
    shares: Vec<Share>,
    /// Sessions that take whichever server has room first.
    pub(crate) queue: Queue,
}

impl Backend {
    pub(crate) fn new(setup: &Setup, number: u16, servers: &[Server], core: u16) -> Backend {
        let shares: Vec<Share> = setup
            .servers_of(number)
            .map(|server| servers[server as usize].standing.share(setup.server(server)))
            .collect();
        let balancer = Balancer::new(setup.backend(number), &shares, core);
        Backend { balancer, shares, queue: Queue::EMPTY }
    }

    /// Servers stand otherwise than before.
    pub(crate) fn update(&mut self, setup: &Setup, number: u16, servers: &[Server]) {
        for (share, server) in self.shares.iter_mut().zip(setup.servers_of(number)) {
            *share = servers[server as usize].standing.share(setup.server(server));
        }
        self.balancer.update(&self.shares);
    }

    /// Servers that could be given sessions, backups too.
    pub(crate) fn usable_count(&self) -> u32 {
        self.shares.iter().filter(|share| share.is_usable()).count() as u32
    }
}
