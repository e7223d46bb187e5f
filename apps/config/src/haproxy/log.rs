//! Where logs go, and what a line of them holds.

use alloc::vec::Vec;

use penstock_wire::Addr;

use super::Sample;

/// A `log` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    /// Where to.
    pub to: LogTo,
    /// `format`.
    pub style: Style,
    /// `len`: bytes of a line at most.
    pub length_max: u32,
    /// `sample ranges:size`: of each `size` lines, those in these ranges, from 1; empty is all.
    pub sample_ranges: Vec<core::ops::RangeInclusive<u32>>,
    /// The size of such a round; 0 without one.
    pub sample_size: u32,
    /// The facility.
    pub facility: Facility,
    /// The least grave level that is sent.
    pub most: Level,
    /// Lines graver than this are sent as if they were of this level.
    pub least: Level,
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// UDP.
    Udp {
        /// To this address.
        addr: Addr,
        /// And port; 514 where none was said.
        port: u16,
    },
    /// The console: `stdout`, `stderr`, and the sockets of a machine that is not there, such as
    /// `/dev/log`.
    Console,
}

/// `format` of a log line's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Style {
    /// `local`: RFC 3164 without a host name.
    #[default]
    Local,
    /// `rfc3164`: with one. `log-send-hostname` makes it what a target has that names none.
    Rfc3164,
    /// `rfc5424`.
    Rfc5424,
    /// `priority`: `<3>` and the message.
    Priority,
    /// `short`: the same.
    Short,
    /// `timed`: with a time of microseconds.
    Timed,
    /// `iso`: with an ISO 8601 time.
    Iso,
    /// `raw`: the message.
    Raw,
}

/// Facilities of RFC 5424, section 6.2.1, as HAProxy names them; the number is the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Facility {
    /// The names; each stands at its number.
    pub const NAMES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
        "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
        "local5", "local6", "local7",
    ];
}

/// Levels of RFC 5424, section 6.2.1: 0 is `emerg`, 7 is `debug`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub u8);

impl Level {
    /// The names; each stands at its number.
    pub const NAMES: [&str; 8] =
        ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
}

/// What a session's log line holds.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum LogFormat {
    /// Neither `log-format` nor an option said it: `Connect from 10.0.0.1:40000 to 10.0.0.2:80
    /// (fe/TCP)`, when the session begins.
    #[default]
    Connect,
    /// `log-format`, or an option that stands for one: when it ends.
    Items(Format),
}

/// A `log-format` string, cut to pieces.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Format(pub Vec<Item>);

impl Format {
    /// The same with each space dropped that would stand behind another, or in front of all:
    /// `log-format`, `unique-id-format`. What writes nothing does not part two spaces.
    pub fn with_spaces_merged(mut self) -> Format {
        let mut is_after_space = true;
        for item in &mut self.0 {
            match item {
                Item::Text(text) => text.retain(|&byte| {
                    let was_after_space = core::mem::replace(&mut is_after_space, byte == b' ');
                    !(was_after_space && is_after_space)
                }),
                Item::Variable(variable, _) if variable.is_http_list() => {}
                Item::Variable(..) | Item::Sample(..) => is_after_space = false,
            }
        }
        self.0.retain(|item| !matches!(item, Item::Text(text) if text.is_empty()));
        self
    }
}

/// A piece of a format. Its tag has a byte of its own: lines are written all the time.
#[derive(Clone, Debug, PartialEq)]
#[repr(u8)]
pub enum Item {
    /// These bytes.
    Text(Vec<u8>),
    /// `%ci`.
    Variable(Variable, ItemOptions),
    /// `%[src]`.
    Sample(Sample, ItemOptions),
}

/// How a piece is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ItemOptions {
    /// `+Q`: between quotes.
    pub quote: bool,
    /// `+X`: in hexadecimal.
    pub hexadecimal: bool,
    /// `+E`: `"`, `\` and `]` escaped.
    pub escape: bool,
    /// As what was captured is: what would not be plain between `{` and `}` as `#` and two digits.
    pub encode: bool,
    /// `+M`, and `option logasap`'s `+` in front of what is not final.
    pub mandatory: bool,
}

/// Variables of a format that exist without HTTP. Those of HTTP in a format of mode `tcp` are
/// refused when the configuration is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `%B`: bytes from the server to the client.
    Bytes,
    /// `%H`: the machine's name.
    HostName,
    /// `%ID`: the session's unique number.
    UniqueId,
    /// `%ST`: status; 0 without HTTP.
    Status,
    /// `%T`: `21/Nov/2026:04:03:24 +0000` of the accept, in UTC.
    DateGmt,
    /// `%Tc`: ms to connect; -1 when it was not reached.
    ConnectTime,
    /// `%Td`: ms of the transfer.
    DataTime,
    /// `%Tl`: as `T`, in local time, which is UTC here.
    DateLocal,
    /// `%Th`: ms of a PROXY header.
    HandshakeTime,
    /// `%Ts`: seconds since 1970 of the accept.
    Timestamp,
    /// `%Tt`: ms of the session.
    TotalTime,
    /// `%Tu`: ms of the session that the user sees.
    UserTime,
    /// `%Tw`: ms in queues; -1 when it was not reached.
    QueueTime,
    /// `%U`: bytes from the client to the server.
    BytesUp,
    /// `%ac`: connections of the process.
    ProcessConnections,
    /// `%b`: the backend's name.
    Backend,
    /// `%bc`: connections of the backend.
    BackendConnections,
    /// `%bi`: the address of the connection to the server.
    BackendSource,
    /// `%bp`: the port of it.
    BackendSourcePort,
    /// `%bq`: sessions before it in the backend's queue.
    BackendQueue,
    /// `%ci`: the client's address.
    Client,
    /// `%cp`: the client's port.
    ClientPort,
    /// `%f`: the frontend's name.
    Frontend,
    /// `%fc`: connections of the frontend.
    FrontendConnections,
    /// `%fi`: the address that the client came to.
    FrontendAddress,
    /// `%fp`: the port that it came to.
    FrontendPort,
    /// `%ft`: the frontend's name, with `~` behind it for TLS.
    FrontendTransport,
    /// `%hr`: nothing without HTTP.
    RequestHeaders,
    /// `%hrl`: nothing without HTTP.
    RequestHeaderList,
    /// `%hs`: nothing without HTTP.
    ResponseHeaders,
    /// `%hsl`: nothing without HTTP.
    ResponseHeaderList,
    /// `%lc`: lines of the frontend before it.
    LogCounter,
    /// `%ms`: milliseconds of the accept, three digits.
    Milliseconds,
    /// `%pid`: the process, which is 1 here.
    Pid,
    /// `%rc`: attempts to connect again; `+` in front when redispatched.
    Retries,
    /// `%rt`: sessions of the process before it.
    RequestCounter,
    /// `%s`: the server's name, `<NOSRV>` without one.
    Server,
    /// `%sc`: connections of the server.
    ServerConnections,
    /// `%si`: its address.
    ServerAddress,
    /// `%sp`: its port.
    ServerPort,
    /// `%sq`: sessions before it in the server's queue.
    ServerQueue,
    /// `%sslc`: `-` without TLS.
    TlsCipher,
    /// `%sslv`: `-` without TLS.
    TlsVersion,
    /// `%t`: `21/Nov/2026:04:03:24.820` of the accept.
    Date,
    /// `%ts`: two letters: how it ended.
    Termination,
    /// `%tsc`: four letters.
    TerminationCookie,
}

impl Variable {
    /// Nothing at all in mode `tcp`, not even a word between two spaces.
    pub fn is_http_list(self) -> bool {
        matches!(
            self,
            Variable::RequestHeaders
                | Variable::RequestHeaderList
                | Variable::ResponseHeaders
                | Variable::ResponseHeaderList
        )
    }

    /// The names behind `%`, and what they mean.
    pub const NAMES: &[(&str, Variable)] = &[
        ("B", Variable::Bytes),
        ("H", Variable::HostName),
        ("ID", Variable::UniqueId),
        ("ST", Variable::Status),
        ("T", Variable::DateGmt),
        ("Tc", Variable::ConnectTime),
        ("Td", Variable::DataTime),
        ("Tl", Variable::DateLocal),
        ("Th", Variable::HandshakeTime),
        ("Ts", Variable::Timestamp),
        ("Tt", Variable::TotalTime),
        ("Tu", Variable::UserTime),
        ("Tw", Variable::QueueTime),
        ("U", Variable::BytesUp),
        ("ac", Variable::ProcessConnections),
        ("b", Variable::Backend),
        ("bc", Variable::BackendConnections),
        ("bi", Variable::BackendSource),
        ("bp", Variable::BackendSourcePort),
        ("bq", Variable::BackendQueue),
        ("ci", Variable::Client),
        ("cp", Variable::ClientPort),
        ("f", Variable::Frontend),
        ("fc", Variable::FrontendConnections),
        ("fi", Variable::FrontendAddress),
        ("fp", Variable::FrontendPort),
        ("ft", Variable::FrontendTransport),
        ("hr", Variable::RequestHeaders),
        ("hrl", Variable::RequestHeaderList),
        ("hs", Variable::ResponseHeaders),
        ("hsl", Variable::ResponseHeaderList),
        ("lc", Variable::LogCounter),
        ("ms", Variable::Milliseconds),
        ("pid", Variable::Pid),
        ("rc", Variable::Retries),
        ("rt", Variable::RequestCounter),
        ("s", Variable::Server),
        ("sc", Variable::ServerConnections),
        ("si", Variable::ServerAddress),
        ("sp", Variable::ServerPort),
        ("sq", Variable::ServerQueue),
        ("sslc", Variable::TlsCipher),
        ("sslv", Variable::TlsVersion),
        ("t", Variable::Date),
        ("ts", Variable::Termination),
        ("tsc", Variable::TerminationCookie),
    ];
}
