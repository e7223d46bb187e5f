//! Whose check it is: what formats and samples see of it, and the words that name a step.

use core::fmt::Write;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;

use penstock_config::haproxy::{
    Backend, CheckStep, Connect, Counter, Expect, ExpectMatch, Fetch, Format, Sample, Server,
    ServerCheck, TableId, Way,
};
use penstock_stack::Close;
use penstock_wire::Addr;

use super::plan::{Kind, Plan};
use crate::known::Known;
use crate::line::Line;
use crate::log::{Record, write_session};
use crate::sample::{Value, View, Workspace, fetch};

/// Whose check it is, and how it is made.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The steps.
    pub plan: &'a Plan,
    /// The backend.
    pub backend: &'a Backend,
    /// The server.
    pub server: &'a Server,
    /// How often it is checked.
    pub check: &'a ServerCheck,
    /// Where it is; `None` while its name has no address: it is not checked.
    pub addr: Option<Addr>,
    /// `spread-checks`, in percent.
    pub spread_percent: u8,
    /// Something that nobody has to guess, for the spread.
    pub random: u32,
    /// The time of day, in seconds since 1970; since the start while it is not known.
    pub unix_s: u64,
    /// What the server is told of itself; `None`: nothing.
    pub load: Option<Load<'a>>,
}

/// What `http-check send-state` tells a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load<'a> {
    /// Who checks.
    pub node: &'a str,
    /// The weight that it has.
    pub weight: u32,
    /// What its backend's usable servers have together.
    pub weights: u32,
    /// Its sessions.
    pub sessions: u32,
    /// Its backend's.
    pub connections: u32,
    /// Sessions that wait for it.
    pub queued: u32,
    /// How much of its weight it has while it comes up slowly.
    pub throttle_percent: Option<u8>,
}

/// Room for what a check puts together; one for all checks of a core.
#[derive(Debug)]
pub struct Desk {
    pub(super) work: Workspace,
    pub(super) output: Box<[u8]>,
    pub(super) made: Box<[u8]>,
    pub(super) scratch: Box<[u8]>,
}

impl Desk {
    /// An empty one.
    pub fn new() -> Desk {
        let room = || vec![0; INPUT_BYTES_MAX].into_boxed_slice();
        Desk { work: Workspace::new(), output: room(), made: room(), scratch: room() }
    }
}

impl Default for Desk {
    fn default() -> Desk {
        Desk::new()
    }
}

/// A check, as samples see it.
pub(super) struct Asked<'a> {
    pub(super) subject: &'a Subject<'a>,
    /// What the server said.
    pub(super) input: &'a [u8],
}

impl View for Asked<'_> {
    fn bytes(&self, way: Way) -> &[u8] {
        match way {
            Way::Response | Way::Either => self.input,
            Way::Request => &[],
        }
    }

    fn bytes_max(&self) -> usize {
        usize::MAX
    }

    fn is_final(&self) -> bool {
        true
    }

    fn fetch<'a>(&'a self, fetch: &'a Fetch) -> Option<Value<'a>> {
        let Subject { backend, server, addr, .. } = *self.subject;
        match fetch {
            Fetch::BackendName => Some(Value::Text(backend.name.as_bytes())),
            Fetch::BackendNumber => Some(Value::Int(backend.id.into())),
            Fetch::ServerName => Some(Value::Text(server.name.as_bytes())),
            Fetch::ServerNumber => Some(Value::Int(server.id.into())),
            Fetch::FrontendName => Some(Value::Text(FRONTEND.as_bytes())),
            Fetch::Destination => addr.map(Value::Addr),
            // A check knows the second, and no more.
            Fetch::Date(offset, unit) => {
                let number = unit.of_seconds(self.subject.unix_s as i64);
                Some(Value::Int(number.saturating_add(*offset)))
            }
            _ => None,
        }
    }

    fn table(&self, _: TableId, _: Option<Counter>, _: Value<'_>) -> Option<i64> {
        None
    }
}

/// Writes what a format makes for a check.
pub(super) fn write_format(
    format: &Format,
    asked: &Asked<'_>,
    work: &mut Workspace,
    line: &mut Line<'_>,
) {
    let Subject { backend, server, .. } = *asked.subject;
    let record = Record {
        frontend: FRONTEND,
        backend: &backend.name,
        server: Some(&server.name),
        ..Record::NOBODY
    };
    write_session(format, &record, asked, work, line);
}

/// A sample as a number: by way of text, so that bytes of an answer are one, too.
pub(super) fn number(sample: &Sample, asked: &Asked<'_>, work: &mut Workspace) -> Option<i64> {
    let mut fetched = fetch(sample, asked, work);
    match fetched.value {
        Known::Is(value) => Value::Text(value.text(&mut fetched.room)).int(),
        Known::Never | Known::NotYet => None,
    }
}

/// Whether the request before this step asks for a head alone, so that no body follows.
pub(super) fn asks_for_head(plan: &Plan, at: usize) -> bool {
    let requests = plan.steps[..at].iter().rev().filter_map(|step| match &step.what {
        CheckStep::HttpSend(send) => Some(send),
        _ => None,
    });
    requests.take(1).any(|send| send.method == "HEAD")
}

/// Where a connection broke: ` at step 2 of tcp-check (expect string '+PONG')`. Only a check of
/// `tcp-check` says it.
pub(super) fn write_place(plan: &Plan, at: usize, line: &mut Line<'_>) {
    let Some(step) = plan.steps.get(at).filter(|_| plan.kind == Kind::Tcp) else { return };
    let number = plan.number(at);
    if number == 0 {
        return line.push(b" at initial connection step of tcp-check");
    }
    // A Line takes everything, or its beginning: writing never fails.
    let _ = write!(line, " at step {number} of tcp-check");
    let comment = match &step.what {
        CheckStep::Connect(Connect { port, comment, .. }) => {
            let _ = match port {
                Some(Sample { fetch: Fetch::Int(port), .. }) => {
                    write!(line, " (connect port {port})")
                }
                _ => line.write_str(" (connect)"),
            };
            comment
        }
        CheckStep::Send { comment, .. } => {
            line.push(b" (send)");
            comment
        }
        CheckStep::HttpSend(send) => &send.comment,
        CheckStep::Expect(expect) => {
            match &expect.matching {
                ExpectMatch::Bytes(bytes) => {
                    line.push(if is_text(bytes) {
                        b" (expect string '"
                    } else {
                        b" (expect binary '"
                    });
                    line.push(bytes);
                    line.push(b"')");
                }
                ExpectMatch::Format(_) => line.push(b" (expect log-format string)"),
                ExpectMatch::HexFormat(_) => line.push(b" (expect log-format binary)"),
                ExpectMatch::Regex(_) => line.push(b" (expect regex)"),
                ExpectMatch::HexRegex(_) => line.push(b" (expect binary regex)"),
                ExpectMatch::Status(_) => line.push(b" (expect HTTP status codes)"),
                ExpectMatch::StatusRegex(_) => line.push(b" (expect HTTP status regex)"),
                ExpectMatch::Header(_) => line.push(b" (expect HTTP header pattern)"),
                ExpectMatch::Reply(_) => line.push(b" (expect custom function)"),
            }
            &expect.comment
        }
    };
    write_comment(comment, true, line);
}

/// That what came is not what was expected, for a check of `tcp-check`.
pub(super) fn write_mismatch(
    expect: &Expect,
    is_unwanted: bool,
    number: usize,
    line: &mut Line<'_>,
) {
    line.push(if is_unwanted {
        b"TCPCHK matched unwanted content"
    } else {
        b"TCPCHK did not match content"
    });
    match &expect.matching {
        ExpectMatch::Bytes(bytes) if is_text(bytes) => {
            line.push(b" '");
            line.push(bytes);
            line.push(b"'");
        }
        ExpectMatch::Bytes(_) => line.push(b" (binary)"),
        ExpectMatch::Format(_) => line.push(b" (log-format string)"),
        ExpectMatch::HexFormat(_) => line.push(b" (log-format binary)"),
        ExpectMatch::Regex(_) => line.push(b" (regex)"),
        ExpectMatch::HexRegex(_) => line.push(b" (binary regex)"),
        // Of checks that have words of their own.
        ExpectMatch::Status(_)
        | ExpectMatch::StatusRegex(_)
        | ExpectMatch::Header(_)
        | ExpectMatch::Reply(_) => {}
    }
    line.push(b" at step ");
    line.number(number as u64);
}

/// Whether bytes were written as text: `binary` and `string` are one for a check, and differ in the
/// words of its log only.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

/// What the configuration says of a step, in quotes where the connection is to blame.
pub(super) fn write_comment(comment: &Option<String>, in_quotes: bool, line: &mut Line<'_>) {
    let Some(comment) = comment else { return };
    let quote = if in_quotes { "'" } else { "" };
    // A Line takes everything, or its beginning: writing never fails.
    let _ = write!(line, " comment: {quote}{comment}{quote}");
}

/// The frontend of a check, in a format.
const FRONTEND: &str = "CHECKS-FE";

/// The words of the C library for it, as HAProxy logs them.
pub(super) fn describe(close: Close) -> &'static str {
    match close {
        Close::Refused => "Connection refused",
        Close::TimedOut | Close::KeepAlive => "Connection timed out",
        Close::Unreachable | Close::NoNeighbour => "No route to host",
        Close::Finished | Close::Reset | Close::Aborted | Close::AddressLost => {
            "Connection reset by peer"
        }
    }
}

/// Bytes of an answer that are looked at, and of what is sent: HAProxy's buffer.
pub(crate) const INPUT_BYTES_MAX: usize = 16 * 1024;
