//! Rules: what is done with a connection, and where it goes.

use super::{
    Assignment, BackendId, Condition, Counter, Format, Level, Sample, ServerId, TableId, VariableId,
};

/// A line of `tcp-request` or `tcp-response`: the first whose condition holds and whose action ends
/// the list ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What is done.
    pub action: Action,
    /// When; `None`: always.
    pub condition: Option<Condition>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `accept`: no rule after it is looked at.
    Accept,
    /// `reject`: the connection ends; in `connection` rules without a log line.
    Reject,
    /// `close`, of `tcp-response content`: the server's side ends.
    Close,
    /// `silent-drop`: it is forgotten, and nobody is told.
    SilentDrop,
    /// `expect-proxy layer4`: a PROXY header must come, as with `accept-proxy`.
    ExpectProxy,
    /// `track-sc0` and its kin: the counters of a key follow this connection or session.
    Track {
        /// Which set of counters: 0 to 2.
        slot: u8,
        /// The key.
        key: Sample,
        /// Where they are; `None`: the table of the section.
        table: Option<TableId>,
    },
    /// `sc-inc-gpc0(slot)`, `sc-inc-gpc(element,slot)`.
    IncrementCounter {
        /// Which set of counters.
        slot: u8,
        /// Which of them.
        counter: Counter,
    },
    /// `sc-set-gpt0(slot) <value>`, `sc-set-gpt(element,slot) <value>`.
    SetTag {
        /// Which set of counters.
        slot: u8,
        /// Which of them.
        tag: Counter,
        /// What it becomes; nothing changes where this is no number.
        value: Sample,
    },
    /// `set-src`, `set-dst`, and their ports: what the session takes for its addresses.
    SetAddress {
        /// Which of them.
        which: End,
        /// To what.
        value: Sample,
        /// Of the connection itself (`tcp-request connection`), not of its session alone.
        of_connection: bool,
    },
    /// `set-var(name)`, `set-var-fmt(name)`.
    SetVariable(Assignment),
    /// `unset-var(name)`.
    UnsetVariable(VariableId),
    /// `capture`: what it is when the rule is looked at, cut to a length.
    Capture(Capture, Sample),
    /// `set-log-level`: of the session's line; `None` is `silent`.
    SetLogLevel(Option<Level>),
    /// `set-priority-class`: sessions of a lower one leave queues first.
    SetPriorityClass(Sample),
    /// `set-priority-offset`: so many milliseconds it came later than it did.
    SetPriorityOffset(Sample),
    /// `set-nice`, `set-mark`, `set-tos`: nothing, and a notice has said so.
    Nothing,
}

/// A place for something to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Where it is kept.
    pub variable: VariableId,
    /// Bytes of it, at most.
    pub length: u32,
}

/// An end of a connection, as rules can set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client's address.
    Source,
    /// The client's port.
    SourcePort,
    /// The address that it came to.
    Destination,
    /// The port that it came to.
    DestinationPort,
}

/// A `use_backend` line.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Where to.
    pub goal: Goal,
    /// When; `None`: always.
    pub condition: Option<Condition>,
}

/// Where a `use_backend` leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// To this backend.
    Backend(BackendId),
    /// To the one of the name that this makes; where there is none, to the default one.
    Named(Format),
}

/// A `use-server` line.
#[derive(Clone, Debug, PartialEq)]
pub struct UseServer {
    /// The server.
    pub server: ServerName,
    /// When; `None`: always.
    pub condition: Option<Condition>,
}

/// Which server a `use-server` names.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerName {
    /// This one.
    Server(ServerId),
    /// The one of the name that this makes; where there is none, no rule is looked at any more.
    Named(Format),
}

/// `force-persist`, `ignore-persist`: the first that holds counts.
#[derive(Clone, Debug, PartialEq)]
pub struct PersistRule {
    /// Whether a server that is down is taken by who belongs to it.
    pub forces: bool,
    /// When.
    pub condition: Option<Condition>,
}
