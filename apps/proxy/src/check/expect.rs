//! What came, held against what was expected.

use penstock_config::haproxy::{Expect, ExpectMatch, Expression, Format};

use super::report::Status;
use super::response::{self, Reading, Response};
use crate::line::Line;

/// What an expectation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is fulfilled.
    Fulfilled,
    /// More has to come.
    Wait,
    /// It is not. The text is for a check of HTTP; one of TCP makes its own.
    Failed {
        status: Status,
        /// Something that was not wanted was there.
        is_unwanted: bool,
        text: Text,
    },
}

/// What a failure is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Nothing.
    None,
    /// The words behind the response's status.
    Reason,
    /// These, unless the configuration has others.
    Fixed(&'static str),
    /// These, whatever the configuration has: what was expected cannot be made.
    Impossible(&'static str),
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    pub(super) bytes: &'a [u8],
    /// Nothing more will.
    pub(super) is_last: bool,
}

/// What is looked for where a format makes it, from what that made; or why it cannot be.
pub(super) fn made<'m>(expect: &Expect, mut made: Line<'m>) -> Made<'m> {
    match expect.matching {
        ExpectMatch::Format(_) | ExpectMatch::HexFormat(_) if made.is_empty() => Err(NOTHING_MADE),
        ExpectMatch::HexFormat(_) if !made.digits_to_bytes() => {
            Err("Failed to parse hexastring resulting of eval of a log-format string")
        }
        _ => Ok(made.into_bytes()),
    }
}

/// What HAProxy says of a format that made nothing.
pub(super) const NOTHING_MADE: &str = "log-format string evaluated to an empty string";

/// What a format made, or what is said where it made nothing of use.
pub(super) type Made<'m> = Result<&'m [u8], &'static str>;

/// Looks at what came for an expectation of `tcp-check`. `made` is what a format of it made.
pub(super) fn tcp(
    expect: &Expect,
    expression: Option<&Expression>,
    made: Made<'_>,
    input: Input<'_>,
    scratch: &mut [u8],
) -> Verdict {
    let Input { bytes, is_last } = input;
    let wanted = match (&expect.matching, made) {
        (ExpectMatch::Bytes(wanted), _) => wanted,
        (_, Ok(made)) => made,
        (_, Err(why)) => return impossible(why),
    };
    let least = wanted.len().max(expect.min_recv.unwrap_or(0) as usize);
    if !is_last && bytes.len() < least {
        return Verdict::Wait;
    }
    let is_match = match &expect.matching {
        ExpectMatch::Bytes(_) | ExpectMatch::Format(_) | ExpectMatch::HexFormat(_) => {
            contains(bytes, wanted)
        }
        ExpectMatch::HexRegex(_) => {
            let mut line = Line::new(scratch);
            bytes.iter().for_each(|byte| line.hex_byte(*byte));
            expression.is_some_and(|expression| expression.is_match(line.as_bytes()))
        }
        ExpectMatch::Regex(_) => expression.is_some_and(|expression| expression.is_match(bytes)),
        // Of HTTP: refused when the configuration is read. Replies are read elsewhere.
        ExpectMatch::Status(_)
        | ExpectMatch::StatusRegex(_)
        | ExpectMatch::Header(_)
        | ExpectMatch::Reply(_) => false,
    };
    // Without a number of bytes to wait for, what is not there may still come.
    if !is_match && !is_last && expect.min_recv.is_none() {
        return Verdict::Wait;
    }
    if is_match != expect.negated {
        return Verdict::Fulfilled;
    }
    let status = expect.error_status.map_or(Status::Layer7Response, Status::from);
    Verdict::Failed { status, is_unwanted: is_match, text: Text::None }
}

/// Looks at what came for an expectation of `http-check`, and says what the response's status is.
/// `has_field`: whether it has the field that is looked for.
pub(super) fn http(
    expect: &Expect,
    expression: Option<&Expression>,
    made: Made<'_>,
    has_field: Result<bool, &'static str>,
    (reading, is_last): (Reading<'_>, bool),
) -> (Verdict, u16) {
    let invalid =
        Verdict::Failed { status: Status::Layer7Response, is_unwanted: false, text: Text::None };
    let response = match reading {
        Reading::Invalid => return (invalid, 0),
        Reading::Partial => return (if is_last { invalid } else { Verdict::Wait }, 0),
        Reading::Response(response) => response,
    };
    let Response { status, body, is_whole, is_broken, .. } = response;
    let is_last = is_last || is_whole;
    let is_of_head = matches!(
        expect.matching,
        ExpectMatch::Status(_) | ExpectMatch::StatusRegex(_) | ExpectMatch::Header(_)
    );
    if is_broken && !is_of_head {
        return (invalid, status);
    }
    let failed = |default: Status, text: Text| Verdict::Failed {
        status: expect.error_status.map_or(default, Status::from),
        is_unwanted: false,
        text,
    };
    let is_match = match &expect.matching {
        ExpectMatch::Status(ranges) => ranges.iter().any(|range| range.contains(&status)),
        ExpectMatch::StatusRegex(_) => {
            let digits = [status / 100 % 10, status / 10 % 10, status % 10];
            let digits = digits.map(|digit| b'0' + digit as u8);
            expression.is_some_and(|expression| expression.is_match(&digits))
        }
        ExpectMatch::Header(_) => match has_field {
            Ok(has_field) => has_field,
            Err(why) => return (impossible(why), status),
        },
        ExpectMatch::Bytes(_) | ExpectMatch::Format(_) | ExpectMatch::Regex(_)
            if body.is_empty() =>
        {
            let text = Text::Fixed("HTTP content check could not find a response body");
            let verdict =
                if is_last { failed(Status::Layer7Response, text) } else { Verdict::Wait };
            return (verdict, status);
        }
        ExpectMatch::Bytes(_) | ExpectMatch::Format(_) => {
            let wanted = match (&expect.matching, made) {
                (ExpectMatch::Bytes(wanted), _) => wanted,
                (_, Ok(made)) => made,
                (_, Err(why)) => return (impossible(why), status),
            };
            let least = wanted.len().max(expect.min_recv.unwrap_or(0) as usize);
            if !is_last && body.len() < least {
                return (Verdict::Wait, status);
            }
            contains(body, wanted)
        }
        ExpectMatch::Regex(_) => expression.is_some_and(|expression| expression.is_match(body)),
        // Of other checks.
        ExpectMatch::HexRegex(_) | ExpectMatch::HexFormat(_) | ExpectMatch::Reply(_) => false,
    };
    if !is_of_head && !is_match && !is_last && expect.min_recv.is_none() {
        return (Verdict::Wait, status);
    }
    let verdict = match (is_match != expect.negated, is_of_head, expect.negated) {
        (true, ..) => Verdict::Fulfilled,
        (false, true, _) => failed(Status::Layer7Status, Text::Reason),
        (false, false, true) => {
            failed(Status::Layer7Response, Text::Fixed("HTTP check matched unwanted content"))
        }
        (false, false, false) => {
            failed(Status::Layer7Response, Text::Fixed("HTTP content check did not match"))
        }
    };
    (verdict, status)
}

fn impossible(why: &'static str) -> Verdict {
    let text = Text::Impossible(why);
    Verdict::Failed { status: Status::Layer7Response, is_unwanted: false, text }
}

/// Whether the format of an expectation has to be made.
pub(super) fn format(expect: &Expect) -> Option<&Format> {
    match &expect.matching {
        ExpectMatch::Format(format) | ExpectMatch::HexFormat(format) => Some(format),
        _ => None,
    }
}

/// The words behind the status of a response that is there.
pub(super) fn reason(bytes: &[u8]) -> &[u8] {
    match response::read(bytes, true, &mut []) {
        Reading::Response(response) => response.reason,
        Reading::Partial | Reading::Invalid => b"",
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}
