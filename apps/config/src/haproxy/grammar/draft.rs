//! A section of proxies while it is read: what it says, and what it inherited.

use alloc::string::String;
use alloc::vec::Vec;

use super::checks::CheckDraft;
use super::lines::Spot;
use super::option::Switches;
use super::server::ServerDraft;
use super::timeout::Timeouts;
use crate::haproxy::{
    Acl, Algorithm, Bind, Capture, Condition, FetchKind, HashType, LogTarget, Mode, PersistRule,
    Rule, Source, StickTable, Way,
};

/// Which keyword began a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Defaults,
    Frontend,
    Backend,
    Listen,
}

impl Kind {
    /// The keyword.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Kind::Defaults => "defaults",
            Kind::Frontend => "frontend",
            Kind::Backend => "backend",
            Kind::Listen => "listen",
        }
    }

    /// What HAProxy calls such a section in other messages.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Kind::Defaults => "defaults",
            Kind::Listen => "proxy",
            Kind::Frontend => "frontend",
            Kind::Backend => "backend",
        }
    }
}

/// A log format as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LogText {
    Tcp,
    Http,
    HttpClf,
    Https,
    Text(String),
}

impl LogText {
    /// What says it, for messages.
    pub(super) fn keyword(&self) -> &'static str {
        match self {
            LogText::Tcp => "option tcplog",
            LogText::Http => "option httplog",
            LogText::HttpClf => "option httplog clf",
            LogText::Https => "option httpslog",
            LogText::Text(_) => "log-format",
        }
    }
}

/// A `use_backend`.
#[derive(Clone, Debug)]
pub(super) struct RouteDraft {
    pub(super) name: String,
    pub(super) condition: Option<Condition>,
    pub(super) spot: Spot,
}

/// A `stick` line.
#[derive(Clone, Debug)]
pub(super) struct StickDraft {
    pub(super) key: crate::haproxy::Sample,
    pub(super) kind: FetchKind,
    pub(super) table: Option<String>,
    pub(super) matches: bool,
    pub(super) stores: bool,
    pub(super) is_response: bool,
    pub(super) condition: Option<Condition>,
}

/// A rule whose table is not looked up yet.
#[derive(Clone, Debug)]
pub(super) struct TrackDraft {
    /// The action, `track-sc0`.
    pub(super) action: String,
    /// The table that it names, or else its section's own.
    pub(super) table: String,
    /// What its key is.
    pub(super) kind: FetchKind,
    /// It needs bytes of the client, and may have to wait for them.
    pub(super) needs_bytes: bool,
}

/// A section.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) spot: Spot,
    /// `id`.
    pub(super) id: Option<u32>,
    pub(super) mode: Mode,
    pub(super) disabled: bool,
    pub(super) description: Option<String>,
    pub(super) timeouts: Timeouts,
    /// What was inherited of these, to tell what is said twice.
    pub(super) inherited_timeouts: Timeouts,
    pub(super) switches: Switches,
    /// `dispatch`.
    pub(super) dispatch: Option<ServerDraft>,
    /// `option redispatch`, with its number.
    pub(super) redispatch: Option<i32>,
    /// Statements that only mean something in mode `http`, as HAProxy's warnings name them.
    pub(super) http_only: Vec<&'static str>,
    /// `load-server-state-from-file global`.
    pub(super) loads_state: bool,
    pub(super) log_format: Option<(LogText, Spot)>,
    pub(super) error_log_format: Option<(String, Spot)>,
    pub(super) unique_id_format: Option<(String, Spot)>,
    /// Targets; each with the number of the global one that it is.
    pub(super) logs: Vec<(LogTarget, Option<usize>)>,
    pub(super) log_tag: Option<String>,
    pub(super) maxconn: i32,
    pub(super) backlog: i32,
    pub(super) fullconn: i32,
    pub(super) retries: i32,
    pub(super) rate_limit: u32,
    pub(super) inherited_rate_limit: u32,
    /// Probes of quiet connections: count, idle, interval, for clients and servers.
    pub(super) probes: [[Option<u32>; 3]; 2],
    pub(super) binds: Vec<Bind>,
    /// Of those with an `id`, what was written.
    pub(super) bind_texts: Vec<(u32, String)>,
    pub(super) acls: Vec<Acl>,
    /// Names of those that are not supported yet.
    pub(super) missing_acls: Vec<String>,
    /// For each ACL, what its tests look at, and where they may: bits of [`super::fetches`].
    pub(super) acl_uses: Vec<Vec<(String, u32)>>,
    pub(super) connection_rules: Vec<Rule>,
    pub(super) session_rules: Vec<Rule>,
    pub(super) content_rules: Vec<Rule>,
    pub(super) response_rules: Vec<Rule>,
    pub(super) tracks: Vec<TrackDraft>,
    pub(super) inspect_delay: u32,
    pub(super) response_inspect_delay: u32,
    pub(super) routes: Vec<RouteDraft>,
    pub(super) default_backend: Option<String>,
    pub(super) table: Option<StickTable>,
    /// `peers` of that.
    pub(super) table_peers: Option<String>,
    pub(super) sticks: Vec<StickDraft>,
    /// `persist rdp-cookie`.
    pub(super) persist_rdp_cookie: Option<Vec<u8>>,
    pub(super) persist_rules: Vec<PersistRule>,
    /// Slots for captures of requests.
    pub(super) captures: Vec<Capture>,
    pub(super) algorithm: Option<Algorithm>,
    /// `balance hash` as it was written.
    pub(super) balance_sample: Option<String>,
    pub(super) hash_type: HashType,
    pub(super) hash_balance_percent: i32,
    pub(super) source: Option<Source>,
    pub(super) servers: Vec<ServerDraft>,
    pub(super) default_server: ServerDraft,
    pub(super) use_servers: Vec<RouteDraft>,
    pub(super) check: CheckDraft,
}

impl Draft {
    /// Whether it can be a frontend. `defaults` can be both.
    pub(super) fn is_frontend(&self) -> bool {
        self.kind != Kind::Backend
    }

    /// Whether it can be a backend.
    pub(super) fn is_backend(&self) -> bool {
        self.kind != Kind::Frontend
    }

    /// What HAProxy assumes where no `defaults` says otherwise.
    pub(super) fn preset(spot: &Spot) -> Draft {
        Draft {
            kind: Kind::Defaults,
            name: String::new(),
            spot: spot.clone(),
            id: None,
            mode: Mode::Tcp,
            disabled: false,
            description: None,
            timeouts: Timeouts::default(),
            inherited_timeouts: Timeouts::default(),
            switches: Switches::default(),
            dispatch: None,
            redispatch: None,
            http_only: Vec::new(),
            loads_state: false,
            log_format: None,
            error_log_format: None,
            unique_id_format: None,
            logs: Vec::new(),
            log_tag: None,
            maxconn: 0,
            backlog: 0,
            fullconn: 0,
            retries: 3,
            rate_limit: 0,
            inherited_rate_limit: 0,
            probes: [[None; 3]; 2],
            binds: Vec::new(),
            bind_texts: Vec::new(),
            acls: Vec::new(),
            missing_acls: Vec::new(),
            acl_uses: Vec::new(),
            connection_rules: Vec::new(),
            session_rules: Vec::new(),
            content_rules: Vec::new(),
            response_rules: Vec::new(),
            tracks: Vec::new(),
            inspect_delay: 0,
            response_inspect_delay: 0,
            routes: Vec::new(),
            default_backend: None,
            table: None,
            table_peers: None,
            sticks: Vec::new(),
            persist_rdp_cookie: None,
            persist_rules: Vec::new(),
            captures: Vec::new(),
            algorithm: None,
            balance_sample: None,
            hash_type: HashType::default(),
            hash_balance_percent: 0,
            source: None,
            servers: Vec::new(),
            default_server: ServerDraft::preset(spot),
            use_servers: Vec::new(),
            check: CheckDraft::default(),
        }
    }

    /// A section that begins here and inherits from this one.
    pub(super) fn heir(&self, kind: Kind, name: &str, spot: &Spot) -> Draft {
        let mut heir = self.clone();
        heir.kind = kind;
        heir.name = name.into();
        heir.spot = spot.clone();
        heir.inherited_timeouts = heir.timeouts;
        heir.inherited_rate_limit = heir.rate_limit;
        heir.check = self.check.inherited();
        // What its rules name stays theirs: names of ACLs are not inherited.
        heir.acls.iter_mut().for_each(|acl| acl.name.clear());
        if kind == Kind::Backend {
            heir.log_format = None;
        }
        let lost: &[&str] = match kind {
            Kind::Frontend => &["cookie", "balance"],
            Kind::Backend => &["monitor-uri"],
            Kind::Listen | Kind::Defaults => &[],
        };
        heir.http_only.retain(|said| !lost.contains(said));
        heir
    }

    /// Keeps in mind that something was said that means nothing in mode `tcp`.
    pub(super) fn belongs_to_http(&mut self, said: &'static str) {
        if !self.http_only.contains(&said) {
            self.http_only.push(said);
        }
    }

    /// What may be looked at, of the bytes that go this way.
    pub(super) fn way(is_response: bool) -> Way {
        if is_response { Way::Response } else { Way::Request }
    }
}
