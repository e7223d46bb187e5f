//! What the proxy of a core takes of a machine's memory, known before it is made: a machine plans with
//! it, and one that is too small says what for.

use alloc::format;
use alloc::string::String;
use core::fmt;

use penstock_config::haproxy::{Algorithm, Backend, TableId};
use penstock_relay::Relay;
use penstock_stack::Capacity;

use crate::backend;
use crate::balance::Share;
use crate::check::INPUT_BYTES_MAX;
use crate::counters::Hold;
use crate::farewell::Farewell;
use crate::gauges::Gauges;
use crate::identity::UniqueId;
use crate::limits;
use crate::proxy::Role;
use crate::proxy_protocol::Reader;
use crate::queue::{Place, Queue};
use crate::sample::Workspace;
use crate::server::Server;
use crate::session::Session;
use crate::setup::Setup;
use crate::slots::Slots;
use crate::table::{KeyBytes, Table};
use crate::variables::Variables;
use crate::warmup::Warmups;
use crate::watch::Probe;

/// What one core takes, in bytes: a little more than it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Stick tables, with all the keys that they may have.
    pub tables: usize,
    /// Sections, listeners and servers.
    pub servers: usize,
    /// Checks of servers, and what is known of those that come up slowly, on core 0 alone.
    pub checks: usize,
    /// Buffers of log lines, PROXY headers, and bytes that rules wait for.
    pub buffers: usize,
    /// Each connection of which it has a record.
    pub connection: usize,
}

impl Needs {
    /// What the proxy of one of `cores` cores takes for this configuration.
    pub fn of(setup: &Setup, cores: u16) -> Needs {
        let proxies = setup.proxies();
        let tables = proxies.tables.iter().map(|table| Table::bytes(table, cores)).sum();
        let session = size_of::<Option<Session>>() + size_of::<u32>() + size_of::<Place>();
        let held = if setup.has_tables() { Hold::SESSION_BYTES } else { 0 };
        let called = if setup.tells_unique_ids() { size_of::<UniqueId>() } else { 0 };
        let kept = setup.stick_keys() * size_of::<Option<(TableId, KeyBytes)>>();
        let variables = Variables::session_bytes(&proxies.variables);
        let session = session + held + called + kept + variables;
        Needs {
            tables,
            servers: servers(setup, cores),
            checks: checks(setup),
            buffers: buffers(setup),
            connection: size_of::<Role>() + Relay::CONNECTION_BYTES + session.div_ceil(2),
        }
    }

    /// All of it on core `core`, with so many connections.
    pub fn bytes(&self, core: u16, connections: u32) -> usize {
        let &Needs { tables, servers, checks, buffers, connection } = self;
        let checks = if core == 0 { checks } else { 0 };
        tables + servers + checks + buffers + connection * connections as usize
    }
}

impl Setup {
    /// The capacity that suits this configuration on each of `cores` cores, at least `usual`.
    pub fn suited(&self, usual: Capacity, cores: u16) -> Capacity {
        let sessions = self.proxies().global.maxconn.unwrap_or_default() / u32::from(cores.max(1));
        // Two connections each, and cores are never equally busy.
        let connections = sessions.saturating_mul(5) / 2;
        let listeners = self.doors.len() as u16 + usual.listeners;
        let connections = connections.clamp(usual.connections, CONNECTIONS_MAX);
        Capacity { connections, listeners, ..usual }
    }

    /// What to say where `maxconn` is more than that capacity on each of so many cores.
    pub fn beyond(&self, capacity: &Capacity, cores: u16) -> Option<String> {
        let maxconn = self.proxies().global.maxconn?;
        let sessions = capacity.connections / 2 * u32::from(cores);
        (sessions < maxconn)
            .then(|| format!("maxconn {maxconn}: there is memory for {sessions} sessions at once"))
    }
}

/// What takes the most, for a person.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Needs { tables, servers, checks, .. } = self;
        let parts = [(tables, "stick tables"), (servers, "servers"), (checks, "checks")];
        let most = parts.into_iter().max().unwrap_or_default();
        write!(f, "{} KiB for {}", most.0 >> 10, most.1)
    }
}

fn servers(setup: &Setup, cores: u16) -> usize {
    let proxies = setup.proxies();
    let (fronts, backs) = (proxies.frontends.len(), proxies.backends.len());
    let servers: usize = proxies.backends.iter().map(|backend| backend.servers.len()).sum();
    let things = [
        (servers, size_of::<Server>() + size_of::<Share>() + BALANCER_BYTES),
        (backs, size_of::<backend::Backend>()),
        (setup.doors.len(), size_of::<Option<u16>>() * 2),
        (setup.pools.supplies.len(), size_of::<Queue>() + Slots::POOL_BYTES),
        (1 + fronts + backs + servers, Gauges::bytes(cores, proxies.counts_rates)),
        (fronts + backs, Farewell::SECTION_BYTES),
        (setup.names.len(), NAME_BYTES),
    ];
    let things: usize = things.iter().map(|&(count, bytes)| count * bytes).sum();
    things + proxies.backends.iter().map(places_by_weight).sum::<usize>()
}

fn checks(setup: &Setup) -> usize {
    let backends = setup.plans.iter().zip(&setup.proxies().backends);
    let probes = backends.map(|(plan, backend)| {
        let input = if plan.listens() { INPUT_BYTES_MAX } else { 0 };
        let checked = backend.servers.iter().filter(|server| server.check.is_some());
        let asked = backend.servers.iter().filter(|server| server.agent.is_some());
        checked.count() * (size_of::<Probe>() + input)
            + asked.count() * (size_of::<Probe>() + INPUT_BYTES_MAX)
    });
    let probes = match probes.sum() {
        0 => 0,
        probes => probes + size_of::<Workspace>() + 3 * INPUT_BYTES_MAX,
    };
    probes + Warmups::bytes(setup)
}

/// What a balancer has for each of a server's weight.
fn places_by_weight(backend: &Backend) -> usize {
    let weights = backend.servers.iter().map(|server| usize::from(server.weight).max(1));
    let weights: usize = weights.sum();
    match backend.algorithm {
        Algorithm::RoundRobin | Algorithm::LeastConn | Algorithm::First => 0,
        Algorithm::Random { .. } => weights * RING_BYTES,
        Algorithm::Source | Algorithm::Hash(_) if backend.hash_type.consistent => {
            weights * RING_BYTES
        }
        Algorithm::Source | Algorithm::Hash(_) | Algorithm::StaticRoundRobin => {
            weights * size_of::<u16>()
        }
    }
}

fn buffers(setup: &Setup) -> usize {
    let tune = &setup.proxies().global.tune;
    let kept = if setup.looks_at_bytes() { usize::from(limits::KEPT) } else { 0 };
    let readers = if setup.expects_headers() { limits::HEADERS } else { 0 };
    let journal = limits::CONSOLE_BYTES + 4 * limits::LINE_BYTES;
    FIXED_BYTES
        + journal
        + size_of::<Workspace>()
        + limits::LINE_BYTES
        + Variables::bytes(&setup.proxies().variables)
        + kept * (tune.buffer_bytes.saturating_sub(tune.rewrite_bytes) as usize + 16)
        + readers * (size_of::<Option<Reader>>() + size_of::<u32>())
}

/// More than that no core serves, whatever `maxconn` says.
const CONNECTIONS_MAX: u32 = 1 << 24;

// What `tests/memory.rs` finds; it fails when one of these is less, or much more.
/// Of each server: which are used, in what order, and since when.
const BALANCER_BYTES: usize = 48;
/// Of each of its weight on a ring: sixteen places.
const RING_BYTES: usize = 16 * 8;
/// Of each name: its question, its answers, and who has yet to hear them.
const NAME_BYTES: usize = 1536;
/// The proxy itself, and the manners of its sessions.
const FIXED_BYTES: usize = 16 << 10;
