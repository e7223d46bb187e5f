//! A frontend: who may come in, and where they go.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::Duration;

use super::{
    Acl, BackendId, Bind, Format, LogFormat, LogTarget, Mode, Place, Route, Rule, TableId,
};

/// A `frontend`, or the first half of a `listen`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Frontend {
    /// Its name.
    pub name: String,
    /// Where it was declared.
    pub place: Place,
    /// `id`, or the next free number from 2 over all sections of the file.
    pub id: u32,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`: it does not listen.
    pub disabled: bool,
    /// `description`.
    pub description: Option<String>,
    /// Where it listens, one for each address and port.
    pub binds: Vec<Bind>,
    /// `maxconn`: connections at once; more wait before they are accepted. `None`: the process's.
    pub maxconn: Option<u32>,
    /// `backlog`: half-open connections; `None`: as `maxconn`.
    pub backlog: Option<u32>,
    /// `rate-limit sessions`: new sessions a second.
    pub session_rate_max: Option<u32>,
    /// `timeout ..`.
    pub timeouts: FrontendTimeouts,
    /// `option ..`.
    pub options: FrontendOptions,
    /// `log`, with `log global` resolved.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; `None`: the process's.
    pub log_tag: Option<String>,
    /// `log-format`, `option tcplog`, or what is logged where neither is said.
    pub log_format: LogFormat,
    /// `error-log-format`: for connections that failed before they were sessions.
    pub error_log_format: Option<LogFormat>,
    /// `unique-id-format`: what `%ID` and a PROXY header's unique id are.
    pub unique_id_format: Option<Format>,
    /// `acl`, named and anonymous, as the conditions of this section number them.
    pub acls: Vec<Acl>,
    /// `stick-table` of this section, if it has one.
    pub table: Option<TableId>,
    /// `tcp-request connection`: as soon as a connection is there, before a PROXY header of it.
    pub connection_rules: Vec<Rule>,
    /// `tcp-request session`: when the session is there, after a PROXY header.
    pub session_rules: Vec<Rule>,
    /// `tcp-request content`: as bytes come.
    pub content_rules: Vec<Rule>,
    /// `tcp-request inspect-delay`: how long the content rules may wait for bytes.
    pub inspect_delay: Option<Duration>,
    /// `use_backend`: the first that matches.
    pub routes: Vec<Route>,
    /// `default_backend`, or a `listen`'s own; `None`: sessions end with `SC`.
    pub default_backend: Option<BackendId>,
}

/// Timeouts of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FrontendTimeouts {
    /// `timeout client`: silence of the client.
    pub client: Option<Duration>,
    /// `timeout client-fin`: silence of a client when one side has closed.
    pub client_fin: Option<Duration>,
    /// `timeout http-request`: a whole request's head.
    pub http_request: Option<Duration>,
    /// `timeout http-keep-alive`: the wait for another request.
    pub http_keep_alive: Option<Duration>,
    /// `timeout tarpit`.
    pub tarpit: Option<Duration>,
}

/// Options of a frontend, each off unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FrontendOptions {
    /// `option dontlognull`: nothing is logged of a connection without a byte.
    pub dont_log_null: bool,
    /// `option dontlog-normal`: only what went wrong is logged.
    pub dont_log_normal: bool,
    /// `option log-separate-errors`: what went wrong has level `err`.
    pub log_separate_errors: bool,
    /// `option logasap`: logged when the connection to the server stands, with `+` before the
    /// total time and size.
    pub log_asap: bool,
    /// `option nolinger`: the client's side ends with a reset.
    pub no_linger: bool,
    /// `option clitcpka`: keep-alive probes to the client.
    pub keep_alive: bool,
    /// `option tcp-smart-accept`: no acknowledgement of its own for the client's first bytes.
    /// `None`: as the engine sees fit.
    pub smart_accept: Option<bool>,
    /// `option socket-stats`: counters for each listener.
    pub socket_stats: bool,
    /// `option contstats`: counters move while a session runs.
    pub continuous_stats: bool,
    /// `clitcpka-cnt`, `-idle`, `-intvl`: probes without an answer until the end, silence before
    /// the first, time between two.
    pub probes: Probes,
}

/// How a quiet connection is probed; what is not said is the stack's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Probes {
    /// How many without an answer end the connection.
    pub count: Option<u8>,
    /// Silence before the first.
    pub idle: Option<Duration>,
    /// Between two.
    pub interval: Option<Duration>,
}
