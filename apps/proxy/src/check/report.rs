//! What a check came to, and the lines of the log that say so.

use core::fmt::Write;

use penstock_config::haproxy::{CheckStatus, Resolvers};
use penstock_wire::Addr;

use super::health::{Change, Health};
use crate::line::Line;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// None has ended yet.
    Initial,
    /// An agent said something, and nothing about the server's health.
    Checked,
    /// What sessions learned of the server.
    HealthAnalyze,
    /// The connection broke after it was made.
    SocketError,
    /// There is a connection, and no more was wanted.
    Layer4Ok,
    /// None in time.
    Layer4Timeout,
    /// None.
    Layer4Connection,
    /// As configured; nothing here speaks TLS.
    Layer6Ok,
    /// Likewise.
    Layer6Timeout,
    /// Likewise.
    Layer6Response,
    /// No answer in time.
    Layer7Timeout,
    /// An answer that was not expected.
    Layer7Response,
    /// The answer that was expected.
    Layer7Ok,
    /// It, with the wish for no new sessions.
    Layer7OkConditionally,
    /// An answer that says error.
    Layer7Status,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Passed,
    /// Well, but no new sessions.
    Conditional,
    /// Not well.
    Failed,
    /// Neither.
    Neutral,
}

impl Status {
    /// Its name in statistics.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// Its name in the log.
    pub fn reason(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Status::Initial => ("INI", "Initializing"),
            Status::Checked => ("CHECKED", "No status change"),
            Status::HealthAnalyze => ("HANA", "Health analyze"),
            Status::SocketError => ("SOCKERR", "Socket error"),
            Status::Layer4Ok => ("L4OK", "Layer4 check passed"),
            Status::Layer4Timeout => ("L4TOUT", "Layer4 timeout"),
            Status::Layer4Connection => ("L4CON", "Layer4 connection problem"),
            Status::Layer6Ok => ("L6OK", "Layer6 check passed"),
            Status::Layer6Timeout => ("L6TOUT", "Layer6 timeout"),
            Status::Layer6Response => ("L6RSP", "Layer6 invalid response"),
            Status::Layer7Timeout => ("L7TOUT", "Layer7 timeout"),
            Status::Layer7Response => ("L7RSP", "Layer7 invalid response"),
            Status::Layer7Ok => ("L7OK", "Layer7 check passed"),
            Status::Layer7OkConditionally => ("L7OKC", "Layer7 check conditionally passed"),
            Status::Layer7Status => ("L7STS", "Layer7 wrong status"),
        }
    }

    /// What it means.
    pub fn outcome(self) -> Outcome {
        match self {
            Status::Layer4Ok | Status::Layer6Ok | Status::Layer7Ok => Outcome::Passed,
            Status::Layer7OkConditionally => Outcome::Conditional,
            Status::Checked => Outcome::Neutral,
            _ => Outcome::Failed,
        }
    }

    /// Whether the answer had a number that is told.
    fn has_code(self) -> bool {
        use Status::{Layer7Ok, Layer7OkConditionally, Layer7Status};
        matches!(self, Layer7Ok | Layer7OkConditionally | Layer7Status)
    }
}

impl From<CheckStatus> for Status {
    fn from(status: CheckStatus) -> Status {
        match status {
            CheckStatus::Layer7Ok => Status::Layer7Ok,
            CheckStatus::Layer7OkConditionally => Status::Layer7OkConditionally,
            CheckStatus::Layer6Ok => Status::Layer6Ok,
            CheckStatus::Layer4Ok => Status::Layer4Ok,
            CheckStatus::Layer7Response => Status::Layer7Response,
            CheckStatus::Layer7Status => Status::Layer7Status,
            CheckStatus::Layer6Response => Status::Layer6Response,
            CheckStatus::Layer4Connection => Status::Layer4Connection,
            CheckStatus::Layer7Timeout => Status::Layer7Timeout,
            CheckStatus::Layer6Timeout => Status::Layer6Timeout,
            CheckStatus::Layer4Timeout => Status::Layer4Timeout,
        }
    }
}

/// What the last check of a server came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// A status of HTTP, or what `status-code` made; 0 without one.
    pub code: u16,
    /// How long it took; `None`: there was none.
    pub duration_ms: Option<u32>,
    info: [u8; INFO_BYTES_MAX],
    info_bytes: u8,
}

impl Report {
    pub(super) fn new() -> Report {
        Report {
            status: Status::Initial,
            code: 0,
            duration_ms: None,
            info: [0; INFO_BYTES_MAX],
            info_bytes: 0,
        }
    }

    /// What else there is to say, perhaps nothing.
    pub fn info(&self) -> &[u8] {
        &self.info[..usize::from(self.info_bytes)]
    }

    pub(super) fn set_info(&mut self, write: impl FnOnce(&mut Line<'_>)) {
        let mut line = Line::new(&mut self.info);
        write(&mut line);
        self.info_bytes = line.len() as u8;
    }

    /// `, reason: .., code: .., info: "..", check duration: ..ms`.
    fn write(&self, line: &mut Line<'_>) {
        // A Line takes everything, or its beginning: writing never fails.
        let _ = write!(line, ", reason: {}", self.status.reason());
        if self.status.has_code() {
            let _ = write!(line, ", code: {}", self.code);
        }
        if self.info_bytes > 0 {
            line.push(b", info: \"");
            write_printable(self.info(), line);
            line.byte(b'"');
        }
        if let Some(ms) = self.duration_ms {
            let _ = write!(line, ", check duration: {ms}ms");
        }
    }
}

/// What a server's lines call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// Its backend.
    pub backend: &'a str,
    /// Its own.
    pub server: &'a str,
    /// It is a backup server.
    pub is_backup: bool,
}

/// What is left when a server has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Servers of its backend that are up and no backup.
    pub active: u32,
    /// Backup servers that are up.
    pub backups: u32,
    /// Sessions on it.
    pub sessions: u32,
    /// Sessions that left its queue for another, or came to it from the backend's.
    pub requeued: u32,
    /// Sessions that wait for it still.
    pub queued: u32,
    /// Its backend could give sessions to somebody before, and cannot now.
    pub has_lost_last: bool,
}

impl Tally {
    /// Who is left, and what became of sessions.
    fn write(&self, is_down: bool, line: &mut Line<'_>) {
        let Tally { active, backups, sessions, requeued, queued, .. } = *self;
        let word = if is_down { "left" } else { "online" };
        // A Line takes everything, or its beginning: writing never fails.
        let _ = write!(line, ". {active} active and {backups} backup servers {word}.");
        if active == 0 && backups > 0 {
            line.push(b" Running on backup.");
        }
        let _ = match is_down {
            true => write!(
                line,
                " {sessions} sessions active, {requeued} requeued, {queued} remaining in queue."
            ),
            false => write!(line, " {requeued} sessions requeued, {queued} total in queue."),
        };
    }
}

/// Who looks after a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prober {
    /// Its check.
    Check,
    /// An agent on its machine.
    Agent,
}

/// `option log-health-checks`: a check's result. Level notice.
pub fn write_check(
    names: Names<'_>,
    who: Prober,
    (report, health): (&Report, &Health),
    weight: u16,
    line: &mut Line<'_>,
) {
    let Names { backend, server, is_backup } = names;
    let kind = if is_backup { "backup server" } else { "server" };
    let result = match report.status.outcome() {
        Outcome::Passed => "succeeded",
        Outcome::Conditional => "conditionally succeeded",
        Outcome::Failed | Outcome::Neutral => "failed",
    };
    let check = match who {
        Prober::Check => "Health",
        Prober::Agent => "Agent",
    };
    // A Line takes everything, or its beginning: writing never fails.
    let _ = write!(line, "{check} check for {kind} {backend}/{server} {result}");
    report.write(line);
    let (part, whole) = health.fraction();
    let state = match (health.is_up(), weight) {
        (false, _) => "DOWN",
        (true, 0) => "DRAIN",
        (true, _) => "UP",
    };
    let _ = write!(line, ", status: {part}/{whole} {state}.");
}

/// Why a server is something else.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// A check, which stands in the line.
    Check(&'a Report),
    /// A check, which `option log-health-checks` has just told of.
    Told,
    /// The server that it tracks.
    Tracked(Names<'a>),
}

/// That a server is something else now. Level alert when it is down, else notice.
pub fn write_transition(
    names: Names<'_>,
    change: Change,
    cause: Cause<'_>,
    tally: Tally,
    line: &mut Line<'_>,
) {
    let Names { backend, server, is_backup } = names;
    let kind = if is_backup { "Backup Server" } else { "Server" };
    let state = match change {
        Change::Up => "UP",
        Change::Stopping => "stopping",
        Change::Down => "DOWN",
    };
    // A Line takes everything, or its beginning: writing never fails.
    let _ = write!(line, "{kind} {backend}/{server} is {state}");
    match cause {
        Cause::Check(report) => report.write(line),
        Cause::Told => {}
        Cause::Tracked(Names { backend, server, .. }) => {
            let _ = write!(line, " via {backend}/{server}");
        }
    }
    tally.write(change == Change::Down, line);
}

/// What became of a server, without a check to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// It is up and goes into maintenance; why, if there is more to say.
    Leaves {
        /// Perhaps nothing.
        cause: &'a str,
    },
    /// It was down when it went into maintenance.
    WasDown {
        /// Perhaps nothing.
        cause: &'a str,
    },
    /// It comes back from maintenance.
    Returns {
        /// Its checks say so.
        is_up: bool,
        /// It gets no new sessions.
        is_drained: bool,
        /// `forced `, or nothing for one that follows another.
        why: &'a str,
    },
    /// It gets no new sessions.
    Drains {
        /// Its checks say so.
        is_up: bool,
    },
    /// It does again.
    DrainsNoMore {
        /// Its checks say so.
        is_up: bool,
    },
    /// Its name has an address again.
    Resolves {
        /// Its checks say so.
        is_up: bool,
        /// It gets no new sessions.
        is_drained: bool,
        /// Its name.
        name: &'a str,
    },
    /// It was in maintenance, and gets no new sessions still.
    StaysDrained,
}

/// What became of a server. Level alert for one that goes into maintenance from nowhere, else notice.
pub fn write_step(
    names: Names<'_>,
    step: Step<'_>,
    via: Option<Names<'_>>,
    tally: Tally,
    line: &mut Line<'_>,
) {
    let Names { backend, server, is_backup } = names;
    let kind = if is_backup { "Backup Server" } else { "Server" };
    let word = |is_up| if is_up { "UP" } else { "DOWN" };
    let reason = |cause: &str, line: &mut Line<'_>| {
        if !cause.is_empty() {
            // A Line takes everything, or its beginning: writing never fails.
            let _ = write!(line, " ({cause})");
        }
        if let Some(Names { backend, server, .. }) = via {
            let _ = write!(line, " via {backend}/{server}");
        }
    };
    let _ = write!(line, "{kind} {backend}/{server} ");
    match step {
        Step::Resolves { is_up, is_drained, name } => {
            let drain = if is_drained { "DRAIN" } else { "READY" };
            let _ = write!(line, "('{name}') is {}/{drain} (resolves again).", word(is_up));
        }
        Step::Leaves { cause } => {
            line.push(b"is going DOWN for maintenance");
            reason(cause, line);
            tally.write(true, line);
        }
        Step::WasDown { cause } => {
            line.push(b"was DOWN and now enters maintenance");
            reason(cause, line);
            line.byte(b'.');
        }
        Step::Returns { is_up, is_drained, why } => {
            let drain = if is_drained { "DRAIN" } else { "READY" };
            let _ = write!(line, "is {}/{drain} (leaving {why}maintenance).", word(is_up));
        }
        Step::Drains { is_up } => {
            line.push(b"enters drain state");
            reason("", line);
            tally.write(!is_up, line);
        }
        // "Forced" it is for HAProxy also where it was another's that this one tracks.
        Step::DrainsNoMore { is_up } => {
            let _ = write!(line, "is {} (leaving forced drain).", word(is_up));
        }
        Step::StaysDrained if via.is_none() => line.push(b"remains in forced drain mode."),
        // HAProxy says so although nobody forced it.
        Step::StaysDrained => {
            line.push(b"is leaving forced drain but remains in drain mode");
            reason("", line);
            line.byte(b'.');
        }
    }
}

/// Who says where a server is: for the first of a name a name server, for others what that said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// The first of those that are asked; HAProxy knows which it was.
    NameServer,
    /// An answer that is known already.
    Cache,
}

/// That a server is somewhere else. Level notice.
pub fn write_address(
    names: Names<'_>,
    before: Option<Addr>,
    addr: Addr,
    (by, resolvers): (Teller, &Resolvers),
    line: &mut Line<'_>,
) {
    let Names { backend, server, .. } = names;
    // A Line takes everything, or its beginning: writing never fails.
    let _ = write!(line, "{backend}/{server} changed its IP from ");
    let _ = match before {
        Some(before) => write!(line, "{before}"),
        None => line.write_str("(none)"),
    };
    let first = resolvers.servers.first().map_or("machine", |(name, _)| name);
    let _ = match by {
        Teller::NameServer => write!(line, " to {addr} by {}/{first}.", resolvers.name),
        Teller::Cache => write!(line, " to {addr} by DNS cache."),
    };
}

/// That a server which was nowhere has an address again. Level notice.
pub fn write_ready(names: Names<'_>, line: &mut Line<'_>) {
    let Names { backend, server, .. } = names;
    // A Line takes everything, or its beginning: writing never fails.
    let _ = write!(
        line,
        "Server {backend}/{server} administratively READY thanks to valid DNS answer."
    );
}

/// That a backend has lost its last server. Level emerg. A `listen` is called a proxy.
pub fn write_no_server(backend: &str, is_listen: bool, line: &mut Line<'_>) {
    let kind = if is_listen { "proxy" } else { "backend" };
    let _ = write!(line, "{kind} {backend} has no server available!");
}

/// Text in which nothing can be hidden: what is not printable, and what could end it, in
/// hexadecimal between `<` and `>`.
fn write_printable(text: &[u8], line: &mut Line<'_>) {
    for byte in text {
        if matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>' | b'"') {
            line.byte(*byte);
        } else {
            line.byte(b'<');
            line.hex_byte(*byte);
            line.byte(b'>');
        }
    }
}

/// HAProxy keeps as much.
pub(super) const INFO_BYTES_MAX: usize = 127;

const _: () = assert!(INFO_BYTES_MAX <= u8::MAX as usize);
