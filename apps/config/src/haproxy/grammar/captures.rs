//! `declare capture`, and `capture` of `tcp-request content`.

use alloc::format;
use alloc::string::String;

use super::cx::Cx;
use super::draft::{Draft, Kind};
use super::text::leading_int;
use super::words::Words;
use crate::haproxy::Capture;

/// `declare capture request|response len N`. Nothing of `mode tcp` fills one of a response.
pub(super) fn declare(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    if let Err(wrong) = slot(cx, draft, words) {
        cx.alert(&wrong);
    }
}

fn slot(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) -> Result<(), String> {
    if draft.kind == Kind::Defaults {
        return Err("'declare' not available in default section".into());
    }
    if !draft.is_frontend() {
        return Err("'declare' only available in frontend or listen section".into());
    }
    match &words[1] {
        "capture" => {}
        "" => {
            return Err("'declare' needs a second keyword that specify the type of declaration \
                        ('capture')"
                .into());
        }
        other => return Err(format!("unknown declaration type '{other}' (supports 'capture')")),
    }
    let is_request = match &words[2] {
        "request" => true,
        "response" => false,
        _ => {
            return Err("'declare capture' requires a direction ('request' or 'response')".into());
        }
    };
    if &words[3] != "len" {
        return Err("'declare capture' requires a capture length ('len')".into());
    }
    let text = &words[4];
    if text.is_empty() {
        return Err("'declare capture': 'len' requires a numeric value that represents the \
                    capture length"
            .into());
    }
    let Some(length) = super::arguments::int(text) else {
        return Err(format!("'declare capture': cannot parse the length '{}'.", &words[3]));
    };
    if length <= 0 {
        return Err("length must be > 0".into());
    }
    if is_request {
        add(cx, draft, length.min(i64::from(u32::MAX)) as u32);
    }
    Ok(())
}

/// A slot of a frontend's, for so many bytes.
pub(super) fn add(cx: &mut Cx<'_>, draft: &mut Draft, length: u32) -> Capture {
    let variable = cx.variables.capture(draft.captures.len() as u16);
    let capture = Capture { variable, length };
    draft.captures.push(capture);
    capture
}

/// `len N` behind a captured sample.
///
/// # Errors
/// HAProxy's words.
pub(super) fn length(words: &Words, at: &mut usize, head: &str) -> Result<u32, String> {
    if &words[*at] != "len" {
        return Err(format!("{head} : a positive 'len' argument is mandatory"));
    }
    let length = leading_int(&words[*at + 1]);
    *at += 2;
    u32::try_from(length)
        .ok()
        .filter(|&length| length > 0)
        .ok_or_else(|| format!("{head} : length must be > 0"))
}
