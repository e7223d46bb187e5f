//! A server of a backend.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::Duration;
use penstock_wire::Addr;

use super::Place;

/// A `server` line, with `default-server` applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Where the line stands.
    pub place: Place,
    /// `id`, or the next free number from 1 within the backend.
    pub id: u32,
    /// Where it is.
    pub address: Address,
    /// Its port.
    pub port: Port,
    /// `weight`, 0 to 256: its share; 0 takes no new sessions.
    pub weight: u16,
    /// `backup`: only when no other is up.
    pub backup: bool,
    /// `disabled`: in maintenance from the start.
    pub disabled: bool,
    /// `maxconn`: sessions at once; more wait in a queue. `None`: no limit.
    pub maxconn: Option<u32>,
    /// `minconn`: with `maxconn` and the backend's `fullconn`, the limit when there is little load.
    pub minconn: Option<u32>,
    /// `maxqueue`: sessions that wait for this server; `None`: no limit.
    pub maxqueue: Option<u32>,
    /// `slowstart`: how long it takes to full weight after it came up.
    pub slowstart: Option<Duration>,
    /// `check`; `None`: always up.
    pub check: Option<ServerCheck>,
    /// `agent-check`: something on its machine says how it is.
    pub agent: Option<AgentCheck>,
    /// `track`: its state is this server's.
    pub track: Option<super::ServerId>,
    /// `send-proxy`, `send-proxy-v2`: a PROXY header before the first byte.
    pub send_proxy: Option<ProxyHeader>,
    /// `source`: before the backend's.
    pub source: Option<Source>,
    /// `on-marked-down`.
    pub on_marked_down: OnMarkedDown,
    /// `on-marked-up`.
    pub on_marked_up: OnMarkedUp,
    /// `observe`: its traffic counts as checks.
    pub observe: Option<Observe>,
    /// `on-error`: what enough errors of its traffic, or one of its checks, lead to.
    pub on_error: OnError,
    /// `error-limit`: consecutive errors of observed traffic before `on-error`.
    pub error_limit: u16,
    /// `tfo`: TCP Fast Open to it.
    pub fast_open: bool,
    /// `tcp-ut`: how long sent data may stay unacknowledged.
    pub user_timeout: Option<Duration>,
    /// `cookie`: its value in a persistence cookie.
    pub cookie: Option<String>,
    /// `resolvers`: its name is asked for while the proxy runs, of this section's name servers; its
    /// position in [`super::Proxies::resolvers`].
    pub resolvers: Option<u16>,
    /// `resolve-opts allow-dup-ip`: another of its section may be at the same address.
    pub shares_address: bool,
    /// How it begins.
    pub init_addr: super::InitAddr,
    /// `dispatch`: no server, but the address of a section that has none.
    pub is_dispatch: bool,
    /// `non-stick`: stick rules remember no session of it.
    pub non_stick: bool,
}

impl Server {
    /// A server without options.
    pub fn new(name: &str, address: Address, port: Port) -> Server {
        Server {
            name: name.into(),
            place: Place::default(),
            id: 1,
            address,
            port,
            weight: 1,
            backup: false,
            disabled: false,
            maxconn: None,
            minconn: None,
            maxqueue: None,
            slowstart: None,
            check: None,
            agent: None,
            track: None,
            send_proxy: None,
            source: None,
            on_marked_down: OnMarkedDown::Nothing,
            on_marked_up: OnMarkedUp::Nothing,
            observe: None,
            on_error: OnError::FailCheck,
            error_limit: 10,
            fast_open: false,
            user_timeout: None,
            cookie: None,
            resolvers: None,
            shares_address: false,
            init_addr: super::InitAddr::default(),
            is_dispatch: false,
            non_stick: false,
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A number.
    Addr(Addr),
    /// A name, which neither a number nor the delivered `etc/hosts` has resolved: DNS is to be
    /// asked.
    Name(String),
    /// `0.0.0.0` or `*`: where the client itself was going.
    Client,
}

/// The port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one.
    Fixed(u16),
    /// The one that the client came to, and so many more: `:+10`, `:-10`; no port at all is 0.
    Offset(i32),
}

/// `check`: how a server's health is seen. What is asked is the backend's [`super::ProxyCheck`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCheck {
    /// `inter`: between two checks.
    pub inter: Duration,
    /// `fastinter`: while between up and down; `None`: `inter`.
    pub fast_inter: Option<Duration>,
    /// `downinter`: while down; `None`: `inter`.
    pub down_inter: Option<Duration>,
    /// `rise`: successes until it is up.
    pub rise: u16,
    /// `fall`: failures until it is down.
    pub fall: u16,
    /// `port`; `None`: the server's.
    pub port: Option<u16>,
    /// `addr`; `None`: the server's.
    pub addr: Option<Addr>,
    /// `check-send-proxy`, or `send-proxy` where the check goes to the server's own port.
    pub send_proxy: bool,
}

impl Default for ServerCheck {
    fn default() -> ServerCheck {
        ServerCheck {
            inter: Duration::from_secs(2),
            fast_inter: None,
            down_inter: None,
            rise: 2,
            fall: 3,
            port: None,
            addr: None,
            send_proxy: false,
        }
    }
}

/// `agent-check`: who is asked how a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentCheck {
    /// `agent-port`, `agent-addr`, `agent-inter`: where and how often. One answer is enough.
    pub check: ServerCheck,
    /// `agent-send`: what it is told first, perhaps nothing.
    pub send: Vec<u8>,
}

/// A PROXY header to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// Version 1: a line of text.
    V1,
    /// Version 2: binary.
    V2 {
        /// `crc32c`: with a checksum.
        crc32c: bool,
        /// `unique-id`: with the session's, where the frontend makes one.
        unique_id: bool,
        /// `authority`: with the name that the client asked for.
        authority: bool,
    },
}

/// `source`: where connections to servers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// An address of this machine; unspecified: whichever is nearest to the server.
    pub addr: Addr,
    /// Ports; `None`: any.
    pub ports: Option<core::ops::RangeInclusive<u16>>,
    /// `interface`: the card that they leave by; `None`: the one that the route to a server names.
    pub interface: Option<String>,
}

/// What happens to the sessions of a server that goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnMarkedDown {
    /// They go on.
    #[default]
    Nothing,
    /// `shutdown-sessions`: they end, with `D`.
    ShutdownSessions,
}

/// What happens to the sessions on backup servers when this server comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnMarkedUp {
    /// They go on.
    #[default]
    Nothing,
    /// `shutdown-backup-sessions`: they end, with `U`.
    ShutdownBackupSessions,
}

/// `observe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observe {
    /// Connections that fail.
    Layer4,
    /// And responses that do.
    Layer7,
}

/// `on-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// `fastinter`: the next check comes sooner.
    FastInter,
    /// `fail-check`: it counts as a failed check.
    #[default]
    FailCheck,
    /// `sudden-death`: the next failed check takes it down.
    SuddenDeath,
    /// `mark-down`: it is down at once.
    MarkDown,
}
