//! Samples: what conditions, keys and log lines look at.

use alloc::vec::Vec;

use penstock_wire::Addr;

use super::{BackendId, Converter, Counter, FrontendId, ServerId, TableId, VariableId};

/// A sample: something that is fetched, and what is made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where it comes from.
    pub fetch: Fetch,
    /// What is made of it, in order.
    pub converters: Vec<Converter>,
}

impl From<Fetch> for Sample {
    fn from(fetch: Fetch) -> Sample {
        Sample { fetch, converters: Vec::new() }
    }
}

/// What a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// True or false.
    Bool,
    /// A signed number.
    Int,
    /// An address.
    Addr,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// Whatever it was set to.
    Any,
}

/// What can be fetched: HAProxy's sample fetches that need no request of HTTP.
///
/// `None` for a backend, frontend or table is the one in which the rule stands; for a session in a
/// frontend's rules, its frontend.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetch {
    // Constants.
    /// `always_true`, `always_false`, `bool()`.
    Bool(bool),
    /// `int()`.
    Int(i64),
    /// `ipv4()`, `ipv6()`.
    Addr(Addr),
    /// `str()`.
    Text(Vec<u8>),
    /// `bin()`.
    Binary(Vec<u8>),

    // The process.
    /// `rand([range])`: from 0 to below this, 2^32 when not said.
    Random(u32),
    /// `date([offset][,unit])`: how long since 1970, and so much more.
    Date(i64, TimeUnit),
    /// `date_us`: the microseconds of the second.
    DateMicros,
    /// `uuid`: of version 4.
    Uuid,
    /// `hostname`.
    HostName,
    /// `thread`: the core.
    Thread,
    /// `stopping`.
    Stopping,
    /// `var(name[,default])`.
    Variable {
        /// Which.
        id: VariableId,
        /// What it is while it has no value.
        default: Option<Vec<u8>>,
    },

    // Proxies and servers.
    /// `nbsrv`: usable servers.
    UsableServers(Option<BackendId>),
    /// `be_conn`: its connections.
    BackendConnections(Option<BackendId>),
    /// `queue`: sessions that wait in it and at its servers.
    Queue(Option<BackendId>),
    /// `avg_queue`: these, for each usable server.
    AverageQueue(Option<BackendId>),
    /// `fe_conn`: its connections.
    FrontendConnections(Option<FrontendId>),
    /// `fe_sess_rate`: sessions that came in the last second.
    FrontendRate(Option<FrontendId>),
    /// `be_sess_rate`.
    BackendRate(Option<BackendId>),
    /// `srv_sess_rate`.
    ServerRate(ServerId),
    /// `be_conn_free`: how many more its servers take; -1 where one has no limit.
    BackendFree(Option<BackendId>),
    /// `connslots`: these, and places in queues.
    BackendSlots(Option<BackendId>),
    /// `srv_conn_free`.
    ServerFree(ServerId),
    /// `srv_conn`.
    ServerConnections(ServerId),
    /// `srv_is_up`.
    ServerIsUp(ServerId),
    /// `srv_queue`.
    ServerQueue(ServerId),
    /// `srv_weight`, `srv_uweight`: as it is now.
    ServerWeight(ServerId),
    /// `srv_iweight`: as it was configured.
    ServerInitialWeight(ServerId),
    /// `table_avl`, `table_cnt`: free or used entries.
    TableEntries {
        /// The table.
        table: Option<TableId>,
        /// Free ones.
        available: bool,
    },

    // The session.
    /// `src`.
    Source,
    /// `src_port`.
    SourcePort,
    /// `dst`.
    Destination,
    /// `dst_port`.
    DestinationPort,
    /// `dst_conn`: connections on the listener.
    ListenerConnections,
    /// `fc_src` and kin: the same four before a PROXY header or a rule changed them.
    Original(super::End),
    /// `bc_src` and kin: of the connection to the server.
    Server(super::End),
    /// `src_is_local` and kin: whether that address is one of this machine's.
    IsLocal {
        /// Which: a source or a destination.
        end: super::End,
        /// As it was before a PROXY header or a rule changed it.
        original: bool,
    },
    /// `fc_rtt` and kin.
    Transport(Transport),
    /// `fc_rcvd_proxy`: it began with a PROXY header.
    ReceivedProxy,
    /// `fe_id`.
    FrontendNumber,
    /// `fe_name`.
    FrontendName,
    /// `fe_defbe`: the default backend's name.
    DefaultBackendName,
    /// `be_id`.
    BackendNumber,
    /// `be_name`.
    BackendName,
    /// `srv_id`.
    ServerNumber,
    /// `srv_name`.
    ServerName,
    /// `so_id`: the listener's `id`.
    ListenerNumber,
    /// `so_name`.
    ListenerName,
    /// `fe_client_timeout` and its kin, in milliseconds.
    Timeout(TimeoutOf),
    /// `prio_class`.
    PriorityClass,
    /// `prio_offset`.
    PriorityOffset,
    /// `ssl_fc`, `ssl_bc` and what else needs TLS of our own: never.
    NoTls,

    // Counters of stick tables.
    /// `src_conn_rate` and kin: what a table counts for the client's address.
    SourceCounter {
        /// What.
        counter: Counter,
        /// Where.
        table: Option<TableId>,
    },
    /// `sc0_conn_rate`, `sc_conn_rate(0)` and kin: for the key that is tracked.
    TrackedCounter {
        /// The set of counters, 0 to 2.
        slot: u8,
        /// What.
        counter: Counter,
        /// Where; `None`: where it is tracked.
        table: Option<TableId>,
    },
    /// `sc_tracked(slot)`.
    Tracked(u8),
    /// `src_inc_gpc0`, `sc0_inc_gpc0`, `src_updt_conn_cnt`: adds one first.
    IncrementedCounter {
        /// The set of counters; `None`: of the client's address.
        slot: Option<u8>,
        /// Which of them.
        counter: Counter,
        /// Set it to 0 instead, and give what it was.
        clear: bool,
        /// Where.
        table: Option<TableId>,
    },

    // Bytes.
    /// `req.len`, `res.len`: bytes that are there.
    Length(Way),
    /// `req.payload`, `res.payload`, `payload`.
    Payload {
        /// Of which side.
        way: Way,
        /// From this byte.
        offset: u32,
        /// So many; 0: all that are there.
        length: u32,
    },
    /// `req.payload_lv`, `res.payload_lv`, `payload_lv`: a length in the bytes, then so many.
    PayloadByLength {
        /// Of which side.
        way: Way,
        /// Where the length is.
        offset: u32,
        /// How many bytes it has.
        width: u32,
        /// Where the bytes begin; `None`: behind the length.
        begin: Option<PayloadBegin>,
    },
    /// `req.ssl_hello_type`, `res.ssl_hello_type`: 1 is a client's, 2 a server's.
    TlsHelloType(Way),
    /// `req.ssl_sni`: the name in a TLS client's hello.
    TlsServerName,
    /// `req.ssl_ver`: 16 bits of major and 16 of minor version.
    TlsVersion,
    /// `req.ssl_alpn`: its first offer.
    TlsAlpn,
    /// `req.ssl_ec_ext`: it names elliptic curves.
    TlsEcExtension,
    /// `req.ssl_st_ext`: 0 without session ticket, 1 offered, 2 used.
    TlsTicketExtension,
    /// `req.rdp_cookie([name])`.
    RdpCookie(Option<Vec<u8>>),
    /// `req.rdp_cookie_cnt([name])`: 1 where there is one.
    RdpCookieCount(Option<Vec<u8>>),
    /// `req.proto_http`: it looks like HTTP.
    LooksLikeHttp,
    /// `wait_end`: true when no more time is left to wait.
    WaitEnd,
}

/// What the stack knows of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `fc_rtt`: the round trip.
    RoundTrip(TimeUnit),
    /// `fc_rttvar`: how much it varies.
    Variation(TimeUnit),
    /// `fc_unacked`: segments on the way.
    Unacknowledged,
    /// `fc_sacked`: of these, those that the client has told to have.
    Sacked,
    /// `fc_lost`: of these, those believed to be lost.
    Lost,
    /// `fc_retrans`: of these, those that were sent again.
    Resent,
}

/// Of times as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// `s`.
    Seconds,
    /// `ms`.
    Milliseconds,
    /// `us`.
    Microseconds,
}

impl TimeUnit {
    /// So many of them there are in microseconds.
    pub fn of_micros(self, micros: i64) -> i64 {
        micros / self.micros()
    }

    /// And in seconds.
    pub fn of_seconds(self, seconds: i64) -> i64 {
        seconds.saturating_mul(1_000_000 / self.micros())
    }

    fn micros(self) -> i64 {
        match self {
            TimeUnit::Seconds => 1_000_000,
            TimeUnit::Milliseconds => 1000,
            TimeUnit::Microseconds => 1,
        }
    }
}

/// Which timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutOf {
    /// `fe_client_timeout`.
    Client,
    /// `be_server_timeout`, `cur_server_timeout`.
    Server,
    /// `be_tunnel_timeout`, `cur_tunnel_timeout`.
    Tunnel,
}

/// Which side's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The client's.
    Request,
    /// The server's.
    Response,
    /// Those of the side that rules look at.
    Either,
}

/// Where the bytes of `payload_lv` begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadBegin {
    /// At this byte.
    At(u32),
    /// So many behind the length, or before.
    Relative(i32),
}
