//! The whole of a configuration.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::Duration;

use super::{
    Assignment, Backend, BindAddress, Frontend, LogTarget, StickTable, TableId, Variables,
};

/// A configuration, complete: what the proxy runs.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Proxies {
    /// What holds for the process.
    pub global: Global,
    /// Frontends, in the order of the file; a `listen` is one of them.
    pub frontends: Vec<Frontend>,
    /// Backends, in the order of the file; a `listen` is one of them.
    pub backends: Vec<Backend>,
    /// Stick tables, each named like the section that declares it.
    pub tables: Vec<StickTable>,
    /// `resolvers`, in the order of the file.
    pub resolvers: Vec<super::Resolvers>,
    /// Something asks how many sessions come in a second.
    pub counts_rates: bool,
    /// Variables that anything names.
    pub variables: Variables,
}

/// A position in [`Proxies::frontends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendId(pub u16);

/// A position in [`Proxies::backends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub u16);

/// A server: its backend, and its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId {
    /// The backend it belongs to.
    pub backend: BackendId,
    /// Its position in [`Backend::servers`].
    pub index: u16,
}

impl Proxies {
    /// The backend of this number.
    pub fn backend(&self, id: BackendId) -> Option<&Backend> {
        self.backends.get(usize::from(id.0))
    }

    /// The frontend of this number.
    pub fn frontend(&self, id: FrontendId) -> Option<&Frontend> {
        self.frontends.get(usize::from(id.0))
    }

    /// The stick table of this number.
    pub fn table(&self, id: TableId) -> Option<&StickTable> {
        self.tables.get(usize::from(id.0))
    }

    /// Whether anything listens. Where nothing does, HAProxy does not start.
    pub fn has_listener(&self) -> bool {
        !self.global.stats_sockets.is_empty()
            || self
                .frontends
                .iter()
                .any(|frontend| !frontend.disabled && !frontend.binds.is_empty())
    }

    /// The backend of this name.
    pub fn backend_named(&self, name: &str) -> Option<BackendId> {
        let at = self.backends.iter().position(|backend| backend.name == name)?;
        Some(BackendId(at as u16))
    }
}

/// `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bytes.
    #[default]
    Tcp,
    /// Requests and responses. Nothing but a section without listeners and traffic can have it yet.
    Http,
}

/// Where something was declared, for messages.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// The section `global`.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// `maxconn`: client connections of the whole process at once. `None`: as many as fit.
    pub maxconn: Option<u32>,
    /// `maxconnrate`: connections a second; `None`: unlimited.
    pub connection_rate_max: Option<u32>,
    /// `maxsessrate`: sessions a second; `None`: unlimited.
    pub session_rate_max: Option<u32>,
    /// `log`: what `log global` in a section means.
    pub logs: Vec<LogTarget>,
    /// `log-tag`: the program's name in each line.
    pub log_tag: String,
    /// `log-send-hostname`: a host name in the header of each line, its own where none was given.
    pub log_hostname: Option<String>,
    /// `spread-checks`: how far a check may be moved from its interval, in percent.
    pub spread_checks_percent: u8,
    /// `max-spread-checks`: and at most so far.
    pub spread_checks_max: Option<Duration>,
    /// `stats socket`: control ports. None is open unless one is configured.
    pub stats_sockets: Vec<StatsSocket>,
    /// `stats timeout`: silence of a control connection.
    pub stats_timeout: Option<Duration>,
    /// `hard-stop-after`: how long a soft stop lasts at most.
    pub hard_stop_after: Option<Duration>,
    /// `grace`: how long listeners stay open after the order to stop.
    pub grace: Option<Duration>,
    /// `nbthread`: how many cores at most.
    pub threads: Option<u16>,
    /// `zero-warning`: nothing starts while there is something to warn of.
    pub zero_warning: bool,
    /// `node`: the machine's name for people.
    pub node: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `set-var`, `set-var-fmt`: what variables of the process begin with, in order.
    pub assignments: Vec<Assignment>,
    /// The process's number in logs: 1, where there is but one.
    pub pid: u32,
    /// `tune.*`.
    pub tune: Tune,
}

impl Default for Global {
    fn default() -> Global {
        Global {
            maxconn: None,
            connection_rate_max: None,
            session_rate_max: None,
            logs: Vec::new(),
            log_tag: "haproxy".into(),
            log_hostname: None,
            spread_checks_percent: 0,
            spread_checks_max: None,
            stats_sockets: Vec::new(),
            stats_timeout: Some(Duration::from_secs(10)),
            hard_stop_after: None,
            grace: None,
            threads: None,
            zero_warning: false,
            node: None,
            description: None,
            assignments: Vec::new(),
            pid: 1,
            tune: Tune::default(),
        }
    }
}

/// `tune.*`: what can be tuned and has a meaning here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tune {
    /// `tune.bufsize`: bytes of a session that rules can look at.
    pub buffer_bytes: u32,
    /// `tune.maxrewrite`: of these, bytes kept free for what is added.
    pub rewrite_bytes: u32,
    /// `tune.maxaccept`: connections taken from one listener in a turn; `None`: no limit of its own.
    pub accept_max: Option<u32>,
}

impl Default for Tune {
    fn default() -> Tune {
        Tune { buffer_bytes: 16_384, rewrite_bytes: 1_024, accept_max: None }
    }
}

/// `stats socket`: a control port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSocket {
    /// Where it listens; `None` is the serial console, which stands in for a path.
    pub address: Option<BindAddress>,
    /// What it may do.
    pub level: AccessLevel,
}

/// `level` of a control port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum AccessLevel {
    /// Looks at what is harmless.
    User,
    /// Looks at everything, clears counters.
    #[default]
    Operator,
    /// Changes servers and rules.
    Admin,
}
