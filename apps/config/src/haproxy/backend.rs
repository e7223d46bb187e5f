//! A backend: servers, and which of them is next.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::Duration;

use super::frontend::Probes;
use super::{Acl, LogTarget, Mode, Place, ProxyCheck, Rule, Sample, Server, Source, TableId};
use super::{PersistRule, UseServer};

/// A `backend`, or the second half of a `listen`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Where it was declared.
    pub place: Place,
    /// `id`, or the next free number from 2 over all sections of the file.
    pub id: u32,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`.
    pub disabled: bool,
    /// `description`.
    pub description: Option<String>,
    /// `server`, in the order of the file.
    pub servers: Vec<Server>,
    /// `balance`.
    pub algorithm: Algorithm,
    /// `hash-type`.
    pub hash_type: HashType,
    /// `hash-balance-factor`: how much more than the mean a server of a consistent hash may have,
    /// in percent of it; 0 is no limit.
    pub hash_balance_percent: u16,
    /// `timeout ..`.
    pub timeouts: BackendTimeouts,
    /// `option ..`.
    pub options: BackendOptions,
    /// `retries`: attempts after the first failed.
    pub retries: Retries,
    /// `option redispatch`; `None`: the same server each time.
    pub redispatch: Option<Redispatch>,
    /// `fullconn`: sessions at which each server is allowed its `maxconn`. `None`: a tenth of the
    /// sum of what the frontends that lead here may have.
    pub fullconn: Option<u32>,
    /// `source`: the address that connections to servers come from.
    pub source: Option<Source>,
    /// What a health check of the servers sends and expects.
    pub check: ProxyCheck,
    /// `log`, with `log global` resolved: health of servers.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; `None`: the process's.
    pub log_tag: Option<String>,
    /// `acl`, named and anonymous, as the conditions of this section number them.
    pub acls: Vec<Acl>,
    /// `stick-table` of this section, if it has one.
    pub table: Option<TableId>,
    /// `stick on|match|store-request|store-response`.
    pub persistence: Vec<Persistence>,
    /// `persist rdp-cookie`: the name of the cookie that holds a server's address.
    pub persist_rdp_cookie: Option<Vec<u8>>,
    /// `force-persist`, `ignore-persist`.
    pub persist_rules: Vec<PersistRule>,
    /// `tcp-request content`: after the frontend's.
    pub content_rules: Vec<Rule>,
    /// `tcp-request inspect-delay`.
    pub inspect_delay: Option<Duration>,
    /// `tcp-response content`.
    pub response_rules: Vec<Rule>,
    /// `tcp-response inspect-delay`.
    pub response_inspect_delay: Option<Duration>,
    /// `use-server`: the first that matches and whose server is up.
    pub use_servers: Vec<UseServer>,
}

/// How often a connection to a server is tried again; 3 where it was not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries(pub u16);

impl Default for Retries {
    fn default() -> Retries {
        Retries(3)
    }
}

/// `option redispatch`: which attempts may take another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redispatch {
    /// `-n`, and the default -1: the last `n` of the attempts. Counted from the end: 1 is the last.
    FromLast(u16),
    /// `n`: every `n`-th.
    Every(u16),
}

/// A stick rule: a key of a session and its server.
#[derive(Clone, Debug, PartialEq)]
pub struct Persistence {
    /// What is remembered.
    pub key: Sample,
    /// Where.
    pub table: TableId,
    /// A known key chooses the server.
    pub matches: bool,
    /// The server that was chosen is remembered.
    pub stores: bool,
    /// The key is of the response.
    pub is_response: bool,
    /// When.
    pub condition: Option<super::Condition>,
}

/// Timeouts of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BackendTimeouts {
    /// `timeout connect`: for each attempt.
    pub connect: Option<Duration>,
    /// `timeout server`: silence of the server.
    pub server: Option<Duration>,
    /// `timeout server-fin`: silence of a server when one side has closed.
    pub server_fin: Option<Duration>,
    /// `timeout tunnel`: silence of both when bytes go both ways; over `client` and `server`.
    pub tunnel: Option<Duration>,
    /// `timeout queue`: the wait for a server's slot. `None`: as `connect`.
    pub queue: Option<Duration>,
    /// `timeout check`: the answer to a health check, after its connection. `None`: the check's
    /// interval is the limit.
    pub check: Option<Duration>,
    /// `timeout tarpit`.
    pub tarpit: Option<Duration>,
}

/// Options of a backend, each off unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BackendOptions {
    /// `option allbackups`: all backup servers together, not the first alone.
    pub all_backups: bool,
    /// `option abortonclose`: a client that has closed is taken out of a queue.
    pub abort_on_close: bool,
    /// `option nolinger`: the server's side ends with a reset.
    pub no_linger: bool,
    /// `option srvtcpka`: keep-alive probes to servers.
    pub keep_alive: bool,
    /// How they are probed.
    pub probes: Probes,
    /// `option tcp-smart-connect`: the handshake's last acknowledgement leaves with the first
    /// bytes. `None`: as the engine sees fit.
    pub smart_connect: Option<bool>,
    /// `option log-health-checks`: each change of a check's result.
    pub log_health_checks: bool,
    /// `http-check disable-on-404`: a server that answers a check with 404 takes no new sessions.
    pub disable_on_404: bool,
    /// `http-check send-state`: a check tells the server what is believed of it.
    pub send_state: bool,
    /// `option persist`: a server that a rule names is used though it is down.
    pub persist: bool,
}

/// `balance`.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Algorithm {
    /// `roundrobin`: by weight in turn, smoothly; weights may change.
    #[default]
    RoundRobin,
    /// `static-rr`: the same, with weights that stay.
    StaticRoundRobin,
    /// `leastconn`: fewest sessions by weight; in turn among equals.
    LeastConn,
    /// `first`: the first server that is not full.
    First,
    /// `source`: by a hash of the client's address.
    Source,
    /// `random(draws)`: the least loaded of so many drawn by weight.
    Random {
        /// How many are drawn.
        draws: u32,
    },
    /// `hash <sample>`: by a hash of any sample.
    Hash(Sample),
}

/// `hash-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HashType {
    /// `consistent`: few clients move when a server comes or goes; else a map by weight.
    pub consistent: bool,
    /// The function.
    pub function: HashFunction,
    /// `avalanche`: the result is mixed once more.
    pub avalanche: bool,
}

/// A hash function of HAProxy's; the same key must give the same server as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HashFunction {
    /// `sdbm`.
    #[default]
    Sdbm,
    /// `djb2`.
    Djb2,
    /// `wt6`.
    Wt6,
    /// `crc32`.
    Crc32,
    /// `crc32c`; not for `hash-type`.
    Crc32c,
}
