//! Which pools of slots a configuration has: every `maxconn`, every limit of clients a second, and which
//! of them a client or a session needs. Who holds their slots is in `slots.rs`.

use alloc::vec::Vec;

use penstock_config::haproxy::Proxies;

use crate::slots::{PoolId, Supply};

/// Which pools of slots there are.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    /// How much there is of each.
    pub(crate) supplies: Vec<Supply>,
    /// By listener: what its clients need, from the narrowest to the widest, so that nobody holds what
    /// others need while he waits for what only he and his like do.
    pub(crate) gates: Vec<Vec<Gate>>,
    pub(crate) servers: Vec<Option<PoolId>>,
    /// What each is for.
    pub(crate) owners: Vec<Owner>,
}

/// What a client needs a slot of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) pool: PoolId,
    pub(crate) fee: Fee,
}

/// What becomes of the slot with which a client came through a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fee {
    /// It comes back when he is gone.
    Deposit,
    /// It is used up by a connection.
    Connection,
    /// It is used up by a session, and comes back from a connection that does not become one.
    Session,
}

/// What a pool of slots is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Clients on their way in.
    Entrance,
    /// Sessions of a server.
    Server(u16),
}

impl Pools {
    pub(crate) fn of(proxies: &Proxies) -> Pools {
        let mut pools = Pools::default();
        let global = &proxies.global;
        let of_process = [
            pools.gate(global.maxconn.map(Supply::Slots), Fee::Deposit),
            pools.gate(global.connection_rate_max.map(Supply::PerSecond), Fee::Connection),
            pools.gate(global.session_rate_max.map(Supply::PerSecond), Fee::Session),
        ];
        for frontend in &proxies.frontends {
            let of_frontend = [
                pools.gate(frontend.maxconn.map(Supply::Slots), Fee::Deposit),
                pools.gate(frontend.session_rate_max.map(Supply::PerSecond), Fee::Session),
            ];
            for bind in &frontend.binds {
                let own = pools.gate(bind.maxconn.map(Supply::Slots), Fee::Deposit);
                let gates = own.into_iter().chain(of_frontend.into_iter().flatten());
                pools.gates.push(gates.chain(of_process.into_iter().flatten()).collect());
            }
        }
        let servers = proxies.backends.iter().flat_map(|backend| &backend.servers);
        for (number, server) in (0..).zip(servers) {
            // An agent may set a limit where there is none.
            let most = server.maxconn.or_else(|| server.agent.as_ref().map(|_| UNLIMITED));
            let pool = most.map(|most| pools.add(Supply::Slots(most), Owner::Server(number)));
            pools.servers.push(pool);
        }
        pools
    }

    fn gate(&mut self, supply: Option<Supply>, fee: Fee) -> Option<Gate> {
        supply.map(|supply| Gate { pool: self.add(supply, Owner::Entrance), fee })
    }

    fn add(&mut self, supply: Supply, owner: Owner) -> PoolId {
        self.supplies.push(supply);
        self.owners.push(owner);
        PoolId((self.supplies.len() - 1) as u16)
    }
}

/// Slots that nobody uses up.
pub(crate) const UNLIMITED: u32 = 1 << 24;
