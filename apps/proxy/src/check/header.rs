//! `http-check expect hdr` and `fhdr`: the fields of a response, held against what was expected.

use penstock_config::haproxy::{Expression, Format, HeaderMatch, TextMatch};

use super::expect::NOTHING_MADE;
use super::plan::Step;
use super::response;
use crate::line::Line;

/// A text that is looked for, ready.
#[derive(Clone, Copy)]
enum Pattern<'a> {
    Any,
    Exact(&'a [u8]),
    Begin(&'a [u8]),
    End(&'a [u8]),
    Contains(&'a [u8]),
    Regex(&'a Expression),
}

/// Whether a response has a field that is looked for; or why nobody can say. `make` writes what a
/// format makes, and `room` takes it.
pub(super) fn has_field(
    wanted: &HeaderMatch,
    step: &Step,
    bytes: &[u8],
    mut make: impl FnMut(&Format, &mut Line<'_>),
    room: &mut [u8],
) -> Result<bool, &'static str> {
    let HeaderMatch { name, value, is_full } = wanted;
    let (name_room, value_room) = room.split_at_mut(room.len() / 2);
    let name = pattern(name, &step.name, &mut make, name_room)?;
    let value = match value {
        Some(value) => pattern(value, &step.expression, &mut make, value_room)?,
        None => Pattern::Any,
    };
    let is_whole = *is_full || matches!(value, Pattern::Any);
    Ok(response::any_field(bytes, |field, text| {
        is_named(name, field.as_bytes())
            && if is_whole {
                is_valued(value, text)
            } else {
                any_part(text, |it| is_valued(value, it))
            }
    }))
}

fn pattern<'a>(
    text: &TextMatch,
    expression: &'a Option<Expression>,
    make: &mut impl FnMut(&Format, &mut Line<'_>),
    room: &'a mut [u8],
) -> Result<Pattern<'a>, &'static str> {
    let (kind, format): (fn(&'a [u8]) -> Pattern<'a>, _) = match text {
        TextMatch::Regex(_) => return Ok(expression.as_ref().map_or(Pattern::Any, Pattern::Regex)),
        TextMatch::Exact(format) => (Pattern::Exact, format),
        TextMatch::Begin(format) => (Pattern::Begin, format),
        TextMatch::End(format) => (Pattern::End, format),
        TextMatch::Contains(format) => (Pattern::Contains, format),
    };
    let mut line = Line::new(room);
    make(format, &mut line);
    if line.is_empty() { Err(NOTHING_MADE) } else { Ok(kind(line.into_bytes())) }
}

/// Names are the same in any case.
fn is_named(pattern: Pattern<'_>, name: &[u8]) -> bool {
    match pattern {
        Pattern::Any => true,
        Pattern::Exact(text) => name.eq_ignore_ascii_case(text),
        Pattern::Begin(text) => {
            name.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text))
        }
        Pattern::End(text) => {
            let begin = name.len().checked_sub(text.len());
            begin.is_some_and(|begin| name[begin..].eq_ignore_ascii_case(text))
        }
        Pattern::Contains(text) => {
            name.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
        }
        Pattern::Regex(expression) => expression.is_match(name),
    }
}

fn is_valued(pattern: Pattern<'_>, value: &[u8]) -> bool {
    match pattern {
        Pattern::Any => true,
        Pattern::Exact(text) => value == text,
        Pattern::Begin(text) => value.starts_with(text),
        Pattern::End(text) => value.ends_with(text),
        Pattern::Contains(text) => value.windows(text.len()).any(|window| window == text),
        Pattern::Regex(expression) => expression.is_match(value),
    }
}

/// Whether this is true of any of the values that commas part, but for commas in quotes (RFC 9110
/// section 5.6.4).
fn any_part(text: &[u8], mut is_it: impl FnMut(&[u8]) -> bool) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut parts = text.split(|&byte| {
        let ends = byte == b',' && !is_quoted;
        is_quoted ^= byte == b'"' && !is_escaped;
        is_escaped = is_quoted && byte == b'\\' && !is_escaped;
        ends
    });
    parts.any(|part| is_it(part.trim_ascii()))
}
