//! What every core knows of a server, and how core 0 tells it.

use penstock_config::haproxy;
use penstock_wire::Addr;

use crate::balance::Share;
use crate::queue::Queue;

/// A server, as one core sees it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) standing: Standing,
    /// Where it is; not known before its name is.
    pub(crate) addr: Option<Addr>,
    /// Its name was resolved, with or without an address.
    pub(crate) is_resolved: bool,
    /// Sessions of this core that wait for it.
    pub(crate) queue: Queue,
    /// Its sessions are about to be cut off, for this cause.
    pub(crate) cut: Option<u8>,
}

/// How a server stands: decided on core 0, told to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its checks say so, or it has none.
    pub is_up: bool,
    /// Somebody has taken it out: it is not checked and gets nothing.
    pub is_in_maintenance: bool,
    /// Its checks say that it wants no new sessions.
    pub is_drained: bool,
    /// Somebody wants it to get none.
    pub is_in_drain: bool,
    /// The last connections to it failed: core 0 wants to hear of one that does not.
    pub is_suspected: bool,
    /// Its weight, 0 to 256.
    pub weight: u16,
    /// Sixteenths of its weight that it has: less while it starts slowly.
    pub warmth: u8,
    /// Its sessions at once; 0 for no limit.
    pub maxconn: u32,
}

/// The warmth of a server that has its whole weight.
pub(crate) const WARM: u8 = 16;

impl Server {
    pub(crate) fn new(server: &haproxy::Server) -> Server {
        let addr = match (&server.address, server.init_addr.otherwise) {
            (haproxy::Address::Addr(addr), _) => Some(*addr),
            (haproxy::Address::Name(_), haproxy::Nameless::At(addr)) => Some(addr),
            (haproxy::Address::Name(_) | haproxy::Address::Client, _) => None,
        };
        Server {
            standing: Standing::at_first(server),
            addr,
            is_resolved: false,
            queue: Queue::EMPTY,
            cut: None,
        }
    }
}

/// A server that serves nobody until its name has an address: without `resolvers` nobody asks for one.
pub(crate) fn awaits_address(server: &haproxy::Server) -> bool {
    !server.init_addr.asks
        && server.init_addr.otherwise == haproxy::Nameless::InMaintenance
        && matches!(server.address, haproxy::Address::Name(_))
}

impl Standing {
    /// How a server begins: up, until a check says otherwise.
    pub(crate) fn at_first(server: &haproxy::Server) -> Standing {
        Standing {
            is_up: true,
            is_in_maintenance: server.disabled || awaits_address(server),
            is_drained: false,
            is_in_drain: false,
            is_suspected: false,
            weight: server.weight,
            warmth: WARM,
            maxconn: server.maxconn.unwrap_or(0),
        }
    }

    /// It takes sessions, were it not for its weight.
    pub(crate) fn is_running(&self) -> bool {
        self.is_up && !self.is_in_maintenance
    }

    /// It is meant to get new sessions, were it running.
    pub(crate) fn takes_new(&self) -> bool {
        !self.is_drained && !self.is_in_drain
    }

    /// What a balancer makes of it.
    pub(crate) fn share(&self, server: &haproxy::Server) -> Share {
        Share {
            id: server.id,
            weight: self.weight.into(),
            warmth: self.warmth.into(),
            is_up: self.is_running() && self.takes_new(),
            is_backup: server.backup,
        }
    }

    /// As one word, for other cores.
    pub(crate) fn word(&self) -> u64 {
        let flags = self.is_up as u64
            | (self.is_in_maintenance as u64) << 1
            | (self.is_drained as u64) << 2
            | (self.is_suspected as u64) << 3
            | (self.is_in_drain as u64) << 4;
        let shares = (self.weight as u64) << 8 | (self.warmth as u64) << 24;
        flags | shares | (self.maxconn as u64) << 32
    }

    /// What a word says.
    pub(crate) fn of_word(word: u64) -> Standing {
        Standing {
            is_up: word & 1 != 0,
            is_in_maintenance: word & 2 != 0,
            is_drained: word & 4 != 0,
            is_suspected: word & 8 != 0,
            is_in_drain: word & 16 != 0,
            weight: (word >> 8) as u16,
            warmth: (word >> 24) as u8,
            maxconn: (word >> 32) as u32,
        }
    }
}
