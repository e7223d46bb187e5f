//! `tcp-check expect` and `http-check expect`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::checks::formatted;
use super::cx::Cx;
use super::draft::Draft;
use super::fetches::CHECK;
use super::header;
use super::patterns::expression;
use super::sample::{self, Context, Scope};
use super::text::{binary, bytes, digits, leading_number, readable};
use crate::haproxy::{CheckStatus, Expect, ExpectMatch};

/// What `option httpchk` expects where nothing else is said.
pub(super) fn ok_status() -> Expect {
    Expect::of(ExpectMatch::Status(alloc::vec![200..=399]))
}

/// Reads an expectation.
///
/// # Errors
/// HAProxy's words.
pub(super) fn expect(
    cx: &mut Cx<'_>,
    draft: &Draft,
    rest: &[String],
    is_http: bool,
) -> Result<Expect, String> {
    if rest.is_empty() {
        return Err("expects at least a matching pattern as arguments".to_owned());
    }
    let mut expect = Expect::of(ExpectMatch::Bytes(Vec::new()));
    let mut pattern: Option<(String, String)> = None;
    let mut header = None;
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let mut name = word.trim_start_matches('!');
        let bangs = word.len() - name.len();
        expect.negated ^= bangs % 2 == 1;
        if name.is_empty() {
            name = words.next().map_or("", String::as_str);
        }
        if PATTERNS.contains(&name) {
            let only_http = matches!(name, "status" | "rstatus" | "hdr" | "fhdr");
            let only_tcp = matches!(name, "binary" | "rbinary" | "binary-lf");
            if is_http && only_tcp || !is_http && only_http {
                return Err(unknown(name, is_http));
            }
            if pattern.is_some() || header.is_some() {
                return Err("only on pattern expected".to_owned());
            }
            if name == "custom" {
                return Err(format!("'{name}' is not supported yet"));
            }
            if matches!(name, "hdr" | "fhdr") {
                let (matching, used) = header::header(cx, draft, name, words.as_slice())?;
                header = Some(matching);
                words = words.as_slice()[used..].iter();
                continue;
            }
            let text =
                words.next().ok_or_else(|| format!("'{name}' expects a <pattern> as argument"))?;
            pattern = Some((name.to_owned(), text.clone()));
            continue;
        }
        if !OPTIONS.contains(&name) {
            return Err(unknown(name, is_http));
        }
        if bangs > 0 {
            return Err(format!("[!] not supported with '{name}'"));
        }
        let value = words.next().map_or("", String::as_str);
        option(cx, draft, &mut expect, name, value)?;
    }
    expect.matching = match (header, pattern) {
        (Some(header), _) => header,
        (None, Some((name, text))) => matching(cx, draft, &name, &text)?,
        (None, None) => return Err("pattern not found".to_owned()),
    };
    Ok(expect)
}

const PATTERNS: &[&str] = &[
    "string",
    "rstring",
    "string-lf",
    "binary",
    "rbinary",
    "binary-lf",
    "status",
    "rstatus",
    "hdr",
    "fhdr",
    "custom",
];

const OPTIONS: &[&str] = &[
    "min-recv",
    "comment",
    "on-success",
    "on-error",
    "ok-status",
    "error-status",
    "tout-status",
    "status-code",
];

fn unknown(name: &str, is_http: bool) -> String {
    match is_http {
        true => format!(
            "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', \
             '[!]rstatus', [!]hdr, [!]fhdr or comment but got '{name}' as argument."
        ),
        false => format!(
            "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf'\
             '[!]rbinary', '[!]binary-lf' or comment but got '{name}' as argument."
        ),
    }
}

fn option(
    cx: &mut Cx<'_>,
    draft: &Draft,
    expect: &mut Expect,
    name: &str,
    value: &str,
) -> Result<(), String> {
    if value.is_empty() {
        let what = match name {
            "min-recv" => "a integer",
            "status-code" => "an expression",
            _ => "a string",
        };
        return Err(format!("'{name}' expects {what} as argument"));
    }
    match name {
        "min-recv" => match leading_number(value) {
            -1 => expect.min_recv = None,
            number @ 0..=0x7fff_ffff => expect.min_recv = Some(number as u32),
            _ => return Err(format!("'{name}' expects -1 or an integer from 0 to INT_MAX")),
        },
        "comment" => expect.comment = Some(readable(value)),
        "on-success" => expect.on_success = Some(formatted(cx, draft, value)?),
        "on-error" => expect.on_error = Some(formatted(cx, draft, value)?),
        "status-code" => {
            let mut scope = Scope::new(cx, draft, Context::Check);
            let parsed =
                sample::words(&mut scope, &[value.to_owned()], &mut 0).map_err(|wrong| {
                    format!("error detected while parsing status-code expression : {wrong}")
                })?;
            if parsed.places & CHECK == 0 {
                return Err(format!(
                    "error detected while parsing status-code expression :  fetch method '{value}' \
                     extracts information from '{}', none of which is available here.\n",
                    parsed.source
                ));
            }
            expect.status_code = Some(parsed.sample);
        }
        _ => {
            let (known, field, listed) = match name {
                "ok-status" => (OK, &mut expect.ok_status, "'L4OK', 'L6OK', 'L7OK' or 'L7OKC'"),
                "error-status" => {
                    (ERROR, &mut expect.error_status, "'L4CON', 'L6RSP', 'L7RSP' or 'L7STS'")
                }
                _ => (TIMEOUT, &mut expect.timeout_status, "'L4TOUT', 'L6TOUT' or 'L7TOUT'"),
            };
            let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(value));
            let Some(&(_, status)) = found else {
                return Err(format!("'{name}' only supports {listed} status (got '{value}')."));
            };
            *field = Some(status);
        }
    }
    Ok(())
}

const OK: &[(&str, CheckStatus)] = &[
    ("L7OK", CheckStatus::Layer7Ok),
    ("L7OKC", CheckStatus::Layer7OkConditionally),
    ("L6OK", CheckStatus::Layer6Ok),
    ("L4OK", CheckStatus::Layer4Ok),
];
const ERROR: &[(&str, CheckStatus)] = &[
    ("L7RSP", CheckStatus::Layer7Response),
    ("L7STS", CheckStatus::Layer7Status),
    ("L7OKC", CheckStatus::Layer7OkConditionally),
    ("L6RSP", CheckStatus::Layer6Response),
    ("L4CON", CheckStatus::Layer4Connection),
];
const TIMEOUT: &[(&str, CheckStatus)] = &[
    ("L7TOUT", CheckStatus::Layer7Timeout),
    ("L6TOUT", CheckStatus::Layer6Timeout),
    ("L4TOUT", CheckStatus::Layer4Timeout),
];

fn matching(cx: &mut Cx<'_>, draft: &Draft, name: &str, text: &str) -> Result<ExpectMatch, String> {
    Ok(match name {
        "string" => ExpectMatch::Bytes(bytes(text)),
        "rstring" => ExpectMatch::Regex(expression(text, false)?),
        "string-lf" => ExpectMatch::Format(formatted(cx, draft, text)?),
        "binary-lf" => ExpectMatch::HexFormat(formatted(cx, draft, text)?),
        "binary" => {
            let bytes = binary(text).map_err(|wrong| format!("invalid binary string ({wrong})"))?;
            ExpectMatch::Bytes(bytes)
        }
        "rbinary" => ExpectMatch::HexRegex(expression(text, false)?),
        "status" => ExpectMatch::Status(codes(text)?),
        "rstatus" => ExpectMatch::StatusRegex(expression(text, false)?),
        _ => return Err(format!("'{name}' is not supported yet")),
    })
}

/// `200,300-399`.
fn codes(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    let mut codes = Vec::new();
    let mut rest = text;
    loop {
        let (low, after) = digits(rest);
        let (high, after) = match after.strip_prefix('-') {
            Some(behind) => digits(behind),
            None => (low, after),
        };
        if low > high {
            return Err(format!("invalid range of status codes '{text}'"));
        }
        codes.push(low.min(0xffff) as u16..=high.min(0xffff) as u16);
        match after.chars().next() {
            None => return Ok(codes),
            Some(',') => rest = &after[1..],
            Some(other) => {
                return Err(format!("invalid character '{other}' in the list of status codes"));
            }
        }
    }
}
