//! What is measured: a stack, a client and populations, named so that one can be run alone.

use std::fmt;

use stats_alloc::Region;

use crate::ALLOCATOR;
use crate::card::ChecksumBy;
use crate::client::{Client, Origin, Plan};
use crate::conversation::Script;
use crate::frames::{Family, Personality};
use crate::peer::Smoltcp;
use crate::penstock::Penstock;
use crate::rings::OnRings;
use crate::subject::{LISTEN_FIRST, Setup, Subject};
use crate::world::{Meter, World};

/// Which stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// Ours.
    Penstock,
    /// Ours on the rings of the 82599 driver.
    Ixgbe,
    /// The peer.
    Smoltcp,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Which stack.
    pub stack: Stack,
    /// How the client behaves.
    pub personality: Personality,
    /// Connections at once.
    pub concurrency: u32,
    /// Who computes checksums.
    pub checksums: ChecksumBy,
    /// Idle connections beside them.
    pub idle: u32,
    /// Records in TIME-WAIT, held steady by virtual time.
    pub time_wait: u32,
    /// Ports listened on.
    pub listeners: u16,
    /// IP version.
    pub family: Family,
}

/// What one run counts, whoever watches it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Connections while the meter was on.
    pub connections: u64,
    /// Frames of those, both ways.
    pub frames: u64,
    /// Turns of the stack.
    pub polls: u64,
    /// Heap allocations and reallocations of those turns, the client's included.
    pub allocations: u64,
    /// TIME-WAIT records at the end.
    pub time_wait: u64,
    /// Open connections at the end.
    pub open: u64,
    /// Wall time of the stack's turns, where it was measured.
    pub wall_ns: u64,
}

impl Scenario {
    /// The row that the others vary.
    pub const BASE: Scenario = Scenario {
        stack: Stack::Penstock,
        personality: Personality::Min,
        concurrency: 16,
        checksums: ChecksumBy::Card,
        idle: 0,
        time_wait: 0,
        listeners: 1,
        family: Family::V4,
    };

    /// Every row, in the order of the table.
    pub fn all() -> Vec<Scenario> {
        let mut rows = Vec::new();
        for stack in [Stack::Penstock, Stack::Ixgbe, Stack::Smoltcp] {
            let base = Scenario { stack, ..Scenario::BASE };
            for checksums in [ChecksumBy::Card, ChecksumBy::Software] {
                // The driver leaves checksums to the card.
                if stack == Stack::Ixgbe && checksums == ChecksumBy::Software {
                    continue;
                }
                for concurrency in [1, 16, 256] {
                    rows.push(Scenario { concurrency, checksums, ..base });
                }
            }
            rows.push(Scenario { personality: Personality::Linux, ..base });
            rows.push(Scenario { family: Family::V6, ..base });
            if stack == Stack::Ixgbe {
                continue;
            }
            rows.push(Scenario { listeners: 1000, ..base });
            rows.push(Scenario { idle: 1000, ..base });
            if stack == Stack::Penstock {
                rows.push(Scenario { idle: 100_000, ..base });
                rows.push(Scenario { idle: 1_000_000, ..base });
                rows.push(Scenario { time_wait: 64_000, ..base });
            }
        }
        rows
    }

    /// The rows of a quick run.
    pub fn quick() -> Vec<Scenario> {
        let software = Scenario { checksums: ChecksumBy::Software, ..Scenario::BASE };
        vec![
            Scenario::BASE,
            Scenario { concurrency: 1, ..Scenario::BASE },
            software,
            Scenario { idle: 1000, ..Scenario::BASE },
            Scenario { stack: Stack::Ixgbe, ..Scenario::BASE },
            Scenario { stack: Stack::Smoltcp, ..software },
        ]
    }

    /// The row of this name.
    pub fn named(name: &str) -> Option<Scenario> {
        Scenario::all().into_iter().find(|scenario| scenario.to_string() == name)
    }

    /// What the stack must be ready for.
    pub fn setup(&self) -> Setup {
        Setup {
            checksums: self.checksums,
            family: self.family,
            listeners: self.listeners,
            connections: self.concurrency,
            idle: self.idle,
        }
    }

    /// Builds the populations, warms up, and runs `connections` under `meter`.
    ///
    /// # Errors
    /// What went wrong with a connection.
    pub fn run(&self, meter: Meter, connections: u64) -> Result<Counts, String> {
        match self.stack {
            Stack::Penstock => {
                Prepared::new(self, Penstock::new(&self.setup()))?.measure(meter, connections)
            }
            Stack::Ixgbe => {
                Prepared::new(self, OnRings::new(&self.setup()))?.measure(meter, connections)
            }
            Stack::Smoltcp => {
                Prepared::new(self, Smoltcp::new(&self.setup()))?.measure(meter, connections)
            }
        }
    }
}

/// A world with its populations in place and a client that has warmed up.
pub struct Prepared<S> {
    /// The world.
    pub world: World<S>,
    /// Its client.
    pub client: Client,
}

impl<S: Subject> Prepared<S> {
    /// Brings `subject` to where `scenario` begins.
    ///
    /// # Errors
    /// What went wrong with a connection.
    pub fn new(scenario: &Scenario, subject: S) -> Result<Prepared<S>, String> {
        let mut world = World::new(subject, scenario.family);
        let plan = Plan {
            family: scenario.family,
            script: Script::Request(scenario.personality),
            // The last listener: the scan of a stack that scans is as long as it gets.
            server_port: LISTEN_FIRST,
            concurrency: scenario.concurrency,
            origin: Origin::Measured,
        };
        world.check(plan)?;
        if scenario.idle > 0 {
            let concurrency = POPULATE_CONCURRENCY.min(scenario.idle);
            let script = Script::Idle;
            let mut client =
                Client::new(Plan { script, concurrency, origin: Origin::Idle, ..plan });
            client.open_until(scenario.idle as u64);
            world.run(&mut client, Meter::Off, Client::is_done)?;
            // The last acknowledgements are on the ring still.
            world.rest(20 * world.step_us, world.step_us);
        }
        let mut client = Client::new(plan);
        client.open_until(u64::MAX);
        let mut warm = WARM_CONNECTIONS;
        if scenario.time_wait > 0 {
            // A third of the conversations complete each turn; TIME-WAIT lasts a minute.
            let rate = scenario.concurrency as u64;
            world.step_us = TIME_WAIT_US * rate / (3 * scenario.time_wait as u64);
            warm += scenario.time_wait as u64;
        }
        world.run(&mut client, Meter::Off, |client| client.completed() >= warm)?;
        Ok(Prepared { world, client })
    }

    /// Runs `connections` more under `meter`.
    ///
    /// # Errors
    /// What went wrong with a connection.
    pub fn measure(&mut self, meter: Meter, connections: u64) -> Result<Counts, String> {
        let Prepared { world, client } = self;
        let (before, frames, polls) = (client.completed(), client.frames(), world.polls);
        let wall_ns = world.wall_ns;
        let region = Region::new(ALLOCATOR);
        world.run(client, meter, |client| client.completed() >= before + connections)?;
        let heap = region.change();
        let population = world.subject.population();
        Ok(Counts {
            connections: client.completed() - before,
            frames: client.frames() - frames,
            polls: world.polls - polls,
            allocations: (heap.allocations + heap.reallocations) as u64,
            time_wait: population.time_wait,
            open: population.connections,
            wall_ns: world.wall_ns - wall_ns,
        })
    }
}

impl<S: Subject> World<S> {
    /// Runs a few connections with every byte verified, so that what is measured later is known to
    /// work.
    fn check(&mut self, plan: Plan) -> Result<(), String> {
        let concurrency = plan.concurrency.min(4);
        let mut client = Client::new(Plan { concurrency, origin: Origin::Past, ..plan });
        client.set_checking(true);
        client.open_until(CHECKED_CONNECTIONS);
        self.subject.card().set_checking(true);
        let result = self.run(&mut client, Meter::Off, Client::is_done);
        self.subject.card().set_checking(false);
        result
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { stack, personality, concurrency, checksums, .. } = self;
        f.write_str(match stack {
            Stack::Penstock => "penstock",
            Stack::Ixgbe => "penstock-ixgbe",
            Stack::Smoltcp => "smoltcp",
        })?;
        f.write_str(match checksums {
            ChecksumBy::Card => "-offloaded",
            ChecksumBy::Software => "-software",
        })?;
        write!(f, "-c{concurrency}")?;
        if *personality == Personality::Linux {
            f.write_str("-linux")?;
        }
        if self.family == Family::V6 {
            f.write_str("-ipv6")?;
        }
        if self.listeners > 1 {
            write!(f, "-listeners{}", self.listeners)?;
        }
        if self.idle > 0 {
            write!(f, "-idle{}", self.idle)?;
        }
        if self.time_wait > 0 {
            write!(f, "-timewait{}", self.time_wait)?;
        }
        Ok(())
    }
}

/// Connections verified byte by byte before anything else.
const CHECKED_CONNECTIONS: u64 = 32;
/// Connections before the meter is switched on.
const WARM_CONNECTIONS: u64 = 4096;
/// Conversations at once while idle connections are opened: less than a burst, so that no stack
/// believes itself behind.
const POPULATE_CONCURRENCY: u32 = 14;
/// How long a record stays in TIME-WAIT.
const TIME_WAIT_US: u64 = 60_000_000;
