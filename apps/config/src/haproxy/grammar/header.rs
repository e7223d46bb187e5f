//! `http-check expect hdr` and `fhdr`: fields of a response.

use alloc::format;
use alloc::string::String;

use super::checks::{formatted, plain};
use super::cx::Cx;
use super::draft::Draft;
use super::patterns::expression;
use crate::haproxy::{ExpectMatch, HeaderMatch, TextMatch};

/// A pattern as it was written: whether it is a format, how it matches, and the text.
struct Written<'w> {
    is_format: bool,
    method: &'w str,
    text: &'w str,
}

/// Reads what stands behind `hdr` or `fhdr`; returns it and how many words it was.
///
/// # Errors
/// HAProxy's words.
pub(super) fn header(
    cx: &mut Cx<'_>,
    draft: &Draft,
    keyword: &str,
    rest: &[String],
) -> Result<(ExpectMatch, usize), String> {
    let word = |at: usize| rest.get(at).map_or("", String::as_str);
    if !matches!(word(0), "name" | "name-lf") || word(1).is_empty() {
        return Err(format!(
            "'{keyword}' expects at the name keyword as first argument followed by a pattern"
        ));
    }
    let (name, mut used) = written(keyword, rest, 0)?;
    let name = text_match(cx, draft, &name, true)?;
    let mut value = None;
    if matches!(word(used), "value" | "value-lf") {
        let (found, next) = written(keyword, rest, used)?;
        if found.text.is_empty() {
            return Err(format!("'{keyword}' expect a pattern with the value keyword"));
        }
        used = next;
        value = Some(text_match(cx, draft, &found, false)?);
    }
    Ok((ExpectMatch::Header(HeaderMatch { name, value, is_full: keyword == "fhdr" }), used))
}

/// A keyword, how it matches, and its text, from word `at` on; and the word behind it.
fn written<'w>(
    keyword: &str,
    rest: &'w [String],
    at: usize,
) -> Result<(Written<'w>, usize), String> {
    let word = |at: usize| rest.get(at).map_or("", String::as_str);
    let is_format = word(at).ends_with("-lf");
    if word(at + 1) != "-m" {
        return Ok((Written { is_format, method: "str", text: word(at + 1) }, at + 2));
    }
    match word(at + 2) {
        "" => Err(format!(
            "'{keyword}' : '-m' expects at a matching pattern ('str', 'beg', 'end', 'sub' or 'reg')"
        )),
        "reg" if is_format => Err(format!(
            "'{keyword}': log-format string is not supported with a regex matching method"
        )),
        method @ ("str" | "beg" | "end" | "sub" | "reg") => {
            Ok((Written { is_format, method, text: word(at + 3) }, at + 4))
        }
        other => Err(format!(
            "'{keyword}' : '-m' only supports 'str', 'beg', 'end', 'sub' or 'reg' (got '{other}')"
        )),
    }
}

fn text_match(
    cx: &mut Cx<'_>,
    draft: &Draft,
    written: &Written<'_>,
    is_name: bool,
) -> Result<TextMatch, String> {
    let Written { is_format, method, text } = *written;
    if method == "reg" {
        return Ok(TextMatch::Regex(expression(text, is_name)?));
    }
    let format = if is_format { formatted(cx, draft, text)? } else { plain(text) };
    Ok(match method {
        "beg" => TextMatch::Begin(format),
        "end" => TextMatch::End(format),
        "sub" => TextMatch::Contains(format),
        _ => TextMatch::Exact(format),
    })
}
