//! Whether the books of a core agree with each other, and what it says of slots: a walk, for tests.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use penstock_config::haproxy::Counter;
use penstock_stack::Instant;

use crate::limits;
use crate::pools::Owner;
use crate::proxy::{Proxy, Role};
use crate::session::{Phase, Session, SessionId};
use crate::slots::{PoolId, Supply};

/// A pool of slots (a `maxconn`), as one core sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// All slots, as configured.
    pub limit: u32,
    /// What this core holds.
    pub held: u32,
    /// What its sessions use of that.
    pub in_use: u32,
    /// Sessions that wait for one here.
    pub waiting: u32,
    /// At the pool's home: what nobody holds.
    pub at_home: Option<u32>,
}

impl Proxy {
    /// What this core says of each `maxconn`.
    pub fn pools(&self) -> Vec<Pool> {
        self.slot_pools().map(|(_, _, pool)| pool).collect()
    }

    fn slot_pools(&self) -> impl Iterator<Item = (PoolId, Owner, Pool)> {
        let pools = &self.setup.pools;
        let all = (0..).map(PoolId).zip(&pools.supplies).zip(&pools.owners);
        all.filter_map(|((id, &supply), &owner)| match supply {
            Supply::Slots(limit) => Some((id, owner, self.slots.pool(id, limit))),
            Supply::PerSecond(_) => None,
        })
    }

    /// How often sessions count, here and as far as this core has heard of others.
    pub fn believed_sessions(&self) -> u32 {
        self.gauges.sum()
    }

    /// What this core's stick tables count of `counter`, over all keys; bytes in KiB.
    pub fn counted(&self, counter: Counter, now: Instant) -> i64 {
        self.counters.sum_of(counter, now)
    }

    /// No session has waited for longer than it may.
    ///
    /// # Errors
    /// The record of one that has.
    pub fn is_in_time(&self, now: Instant) -> Result<(), String> {
        for at in 0..self.sessions.capacity() as u32 {
            let Some(session) = self.sessions.at(at) else { continue };
            let late_ms = match session.phase {
                Phase::Connecting | Phase::Relayed => self.relay.late_ms(session.client, now),
                // For a slot at the entrance there is no time.
                Phase::Entrance(_) => 0,
                Phase::Unspoken => {
                    let longest_ms = limits::DEFERRED.millis();
                    i64::from(session.age_ms(now)).saturating_sub_unsigned(longest_ms) as i32
                }
                Phase::Header
                | Phase::FrontendRules
                | Phase::BackendRules
                | Phase::BackendQueue
                | Phase::ServerQueue
                | Phase::Pause => now.millis().wrapping_sub(session.until).cast_signed(),
            };
            if late_ms > LATE_MS {
                return Err(format!("{late_ms} ms too late: {session:?}"));
            }
        }
        Ok(())
    }

    /// Every session is where its record says, counted once wherever it counts, and nothing counts
    /// but sessions.
    ///
    /// # Errors
    /// A sentence that names what does not agree.
    pub fn books_agree(&self) -> Result<(), String> {
        let numbers = 0..self.sessions.capacity() as u32;
        let sessions = numbers.filter_map(|at| Some((SessionId(at), self.sessions.at(at)?)));
        let sessions: Vec<(SessionId, &Session)> = sessions.collect();
        self.roles_agree(&sessions)?;
        self.gauges_agree(&sessions)?;
        self.slots_agree(&sessions)?;
        let kept = sessions.iter().filter(|(_, session)| session.kept.is_some()).count();
        let readers = sessions.iter().filter(|(_, session)| session.reader.is_some()).count();
        if !self.counters.holds_agree() {
            return Err("keys are tracked by more or fewer than those who track them".into());
        }
        if (kept, readers) != (self.kept.in_use(), self.readers.in_use()) {
            return Err(format!("{kept} sessions hold bytes, {readers} read a header"));
        }
        Ok(())
    }

    fn roles_agree(&self, sessions: &[(SessionId, &Session)]) -> Result<(), String> {
        for (id, session) in sessions {
            let is_relayed = self.relay.other(session.client).is_some();
            let role = match is_relayed {
                true => Role::RelayedClient(*id),
                false => Role::Client(*id),
            };
            if self.roles[session.client.index()] != role {
                return Err(format!("the client of {session:?} is somebody else's"));
            }
            let is_connected = matches!(session.phase, Phase::Connecting | Phase::Relayed);
            if is_relayed != is_connected {
                return Err(format!("{session:?} has no server, or one too early"));
            }
        }
        let count = |is: fn(&Role) -> bool| self.roles.iter().filter(|role| is(role)).count();
        let relayed = count(|role| matches!(role, Role::RelayedClient(_)));
        let clients = relayed + count(|role| matches!(role, Role::Client(_)));
        let servers = count(|role| matches!(role, Role::Server(_) | Role::JudgedServer(_)));
        if clients != sessions.len() || relayed != servers {
            return Err(format!(
                "{} sessions, {clients} clients, {servers} servers",
                sessions.len()
            ));
        }
        Ok(())
    }

    fn gauges_agree(&self, sessions: &[(SessionId, &Session)]) -> Result<(), String> {
        let gauges = &self.gauges;
        let (fronts, backs) = (self.setup.proxies().frontends.len(), self.backends.len());
        let with = |flag, is: &dyn Fn(&Session) -> bool| {
            let these = sessions.iter().filter(|(_, session)| session.has(flag) && is(session));
            these.count() as u32
        };
        let agree = |what: &str, number: u16, gauge, sessions| match gauges.own(gauge) == sessions {
            true => Ok(()),
            false => Err(format!(
                "{what} {number} counts {}, and has {sessions} sessions",
                gauges.own(gauge)
            )),
        };
        agree("the process", 0, gauges.process(), with(Session::IN_FRONTEND, &|_| true))?;
        for number in 0..fronts as u16 {
            let own = with(Session::IN_FRONTEND, &|session| session.frontend == number);
            agree("frontend", number, gauges.frontend(number), own)?;
        }
        for number in 0..backs as u16 {
            let own = with(Session::IN_BACKEND, &|session| session.backend == Some(number));
            agree("backend", number, gauges.backend(number), own)?;
        }
        for number in 0..self.servers.len() as u16 {
            let own = with(Session::IN_SERVER, &|session| session.server == Some(number));
            agree("server", number, gauges.server(number), own)?;
        }
        Ok(())
    }

    fn slots_agree(&self, sessions: &[(SessionId, &Session)]) -> Result<(), String> {
        for (_, session) in sessions {
            let is_connected = matches!(session.phase, Phase::Connecting | Phase::Relayed);
            let pool = session.server.and_then(|at| self.setup.pools.servers[usize::from(at)]);
            if is_connected && pool.is_some() && !session.has(Session::SERVER_SLOT) {
                return Err(format!("connected to a server without a slot of it: {session:?}"));
            }
        }
        for (id, owner, pool) in self.slot_pools() {
            let holds = |session: &&Session| match owner {
                Owner::Server(server) => {
                    session.has(Session::SERVER_SLOT) && session.server == Some(server)
                }
                Owner::Entrance => {
                    let gates = self.setup.gates(session.frontend, session.bind);
                    gates[..session.gates_passed.into()].iter().any(|gate| gate.pool == id)
                }
            };
            let users = sessions.iter().filter(|(_, session)| holds(session)).count() as u32;
            if users != pool.in_use {
                return Err(format!("{users} sessions use slots of {owner:?}: {pool:?}"));
            }
            let in_line = |phase| {
                sessions.iter().filter(|(_, session)| session.phase == phase).count() as u32
            };
            if owner == Owner::Entrance && in_line(Phase::Entrance(id)) != pool.waiting {
                return Err(format!("{} wait at {pool:?}", in_line(Phase::Entrance(id))));
            }
        }
        let in_line = sessions.iter().filter(|(_, session)| {
            matches!(session.phase, Phase::BackendQueue | Phase::ServerQueue)
        });
        let waiting = (0..self.backends.len() as u16).map(|backend| self.waiting_in(backend));
        if in_line.count() as u32 != waiting.sum::<u32>() {
            return Err("queues are longer or shorter than those who stand in them".into());
        }
        Ok(())
    }
}

/// A timer may be so late.
const LATE_MS: i32 = 20;
