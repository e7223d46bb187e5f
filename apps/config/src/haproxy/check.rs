//! What a health check sends and expects.
//!
//! HAProxy turns every kind of check into a list of steps, and so is it here: `option httpchk` alone
//! is a connection, a request and the expectation of a status from 200 to 399.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::{Address, Format, Sample};

/// How the servers of a backend are checked.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum ProxyCheck {
    /// A connection, and no more.
    #[default]
    Layer4,
    /// `option tcp-check`: the first step is always a connection.
    Tcp(Vec<CheckStep>),
    /// An option that has all steps, such as `option redis-check`: the first is always a connection.
    /// Its log names no steps.
    ReadyMade(Vec<CheckStep>),
    /// `option httpchk` and `http-check`: the first step is always a connection, the second a
    /// request, and the last expects something of the response.
    Http(Vec<CheckStep>),
}

impl ProxyCheck {
    /// What is done; nothing beyond a connection has no steps.
    pub fn steps(&self) -> &[CheckStep] {
        match self {
            ProxyCheck::Layer4 => &[],
            ProxyCheck::Tcp(steps) | ProxyCheck::ReadyMade(steps) | ProxyCheck::Http(steps) => {
                steps
            }
        }
    }
}

/// A step of a check.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckStep {
    /// A connection, in place of the one before.
    Connect(Connect),
    /// `tcp-check send`, `send-binary` and their `-lf`: these bytes.
    Send {
        /// The bytes.
        bytes: Format,
        /// `send-binary-lf`: the format makes hexadecimal digits of them.
        is_hex: bool,
        /// `comment`, for the log.
        comment: Option<String>,
    },
    /// `http-check send`: a request.
    HttpSend(HttpSend),
    /// `expect`: what the server must have sent.
    Expect(Expect),
}

/// `connect`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Connect {
    /// `port`; `None`: the check's.
    pub port: Option<Sample>,
    /// `addr`; `None`: the check's.
    pub addr: Option<Address>,
    /// `send-proxy`: a PROXY header first.
    pub send_proxy: bool,
    /// `linger`: it ends with a FIN; else with a reset, which leaves nothing behind.
    pub linger: bool,
    /// `default`: with what the server's line says.
    pub default: bool,
    /// `comment`, for the log.
    pub comment: Option<String>,
    /// Nobody wrote it: it stands before a list that begins with something else.
    pub implicit: bool,
}

/// `http-check send`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSend {
    /// `meth`.
    pub method: String,
    /// `uri`, or `uri-lf`.
    pub uri: Format,
    /// `ver`, such as `HTTP/1.1`.
    pub version: String,
    /// `hdr`: names and values, in order.
    pub headers: Vec<(String, Format)>,
    /// `body`, or `body-lf`; its length is sent as `Content-Length`.
    pub body: Option<Format>,
    /// `comment`, for the log.
    pub comment: Option<String>,
}

/// `expect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// `!`: it must not match.
    pub negated: bool,
    /// What is looked for.
    pub matching: ExpectMatch,
    /// `min-recv`: so many bytes first. `None`: any; -1 in the file.
    pub min_recv: Option<u32>,
    /// `ok-status`; `None`: as the kind of check has it.
    pub ok_status: Option<CheckStatus>,
    /// `error-status`.
    pub error_status: Option<CheckStatus>,
    /// `tout-status`.
    pub timeout_status: Option<CheckStatus>,
    /// `on-success`: what the report says.
    pub on_success: Option<Format>,
    /// `on-error`.
    pub on_error: Option<Format>,
    /// `status-code`: a number for the report.
    pub status_code: Option<Sample>,
    /// `comment`, for the log.
    pub comment: Option<String>,
}

impl Expect {
    /// An expectation without anything but what it looks for.
    pub fn of(matching: ExpectMatch) -> Expect {
        Expect {
            negated: false,
            matching,
            min_recv: None,
            ok_status: None,
            error_status: None,
            timeout_status: None,
            on_success: None,
            on_error: None,
            status_code: None,
            comment: None,
        }
    }
}

/// What an expectation looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectMatch {
    /// `string`, `binary`: these bytes anywhere in what came. In an HTTP check: in the body.
    Bytes(Vec<u8>),
    /// `string-lf`: the same, made for each check.
    Format(Format),
    /// `binary-lf`: the same, made as hexadecimal digits.
    HexFormat(Format),
    /// `rstring`: a regular expression on what came. In an HTTP check: on the body.
    Regex(String),
    /// `rbinary`: a regular expression on the hexadecimal digits, in capitals, of what came.
    HexRegex(String),
    /// `status`: one of these.
    Status(Vec<RangeInclusive<u16>>),
    /// `rstatus`: a regular expression on the status.
    StatusRegex(String),
    /// `hdr`, `fhdr`: a field of the response.
    Header(HeaderMatch),
    /// A message of a protocol, as a ready-made check reads it.
    Reply(Reply),
}

/// A field of a response that is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderMatch {
    /// Its name, whatever the case of its letters.
    pub name: TextMatch,
    /// Its value; `None`: any.
    pub value: Option<TextMatch>,
    /// `fhdr`: of the value as a whole; else of one of those that commas part.
    pub is_full: bool,
}

/// How a text is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMatch {
    /// `-m str`.
    Exact(Format),
    /// `-m beg`.
    Begin(Format),
    /// `-m end`.
    End(Format),
    /// `-m sub`.
    Contains(Format),
    /// `-m reg`.
    Regex(String),
}

/// A message that a server of some protocol answers a check with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The first packet of a MySQL server: its version.
    MysqlHandshake,
    /// Its second, to whoever said a user's name.
    MysqlLogin,
    /// What an agent says of a server, a line.
    Agent,
    /// An LDAP server's answer to a bind (RFC 4511 section 4.2.2).
    LdapBind,
    /// The first frame of an agent of the stream processing offload protocol.
    SpopHello,
}

/// What a step's end is reported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// `L7OK`.
    Layer7Ok,
    /// `L7OKC`: well, but conditionally: no new sessions.
    Layer7OkConditionally,
    /// `L6OK`.
    Layer6Ok,
    /// `L4OK`.
    Layer4Ok,
    /// `L7RSP`: an invalid response.
    Layer7Response,
    /// `L7STS`: a response that says error.
    Layer7Status,
    /// `L6RSP`.
    Layer6Response,
    /// `L4CON`: no connection.
    Layer4Connection,
    /// `L7TOUT`: no answer in time.
    Layer7Timeout,
    /// `L6TOUT`.
    Layer6Timeout,
    /// `L4TOUT`.
    Layer4Timeout,
}
