//! `option httpchk`: a request of HTTP as a check, as it was said before there was `http-check send`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::checks::{Request, plain};
use super::cx::Cx;
use super::draft::Draft;
use super::fetches::CHECK;
use super::format::{self, How};
use super::proxy::wants_backend;
use super::sample::Context;
use super::text::readable;
use super::words::Words;
use crate::haproxy::Format;

pub(super) fn httpchk(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, "httpchk");
    if !cx.at_most(words, 3, 1) {
        return;
    }
    let (first, second) = (&words[2], &words[3]);
    let hidden = Hidden::of(&words[4]);
    let headers = match hidden.headers.map(|text| headers(cx, draft, text)).transpose() {
        Ok(headers) => headers.unwrap_or_default(),
        Err(wrong) => return cx.alert(&format!("'option httpchk' : {wrong}.")),
    };
    if hidden.headers.is_some() || hidden.body.is_some() {
        cx.warn_tight(
            "'option httpchk' : hiding headers or body at the end of the version string is \
             deprecated. Please, consider to use 'http-check send' directive instead.",
        );
    }
    let said = |text: &str| (!text.is_empty()).then(|| readable(text));
    let (method, uri) = if second.is_empty() { ("", first) } else { (first, second) };
    let request = Request {
        method: said(method),
        uri: (!uri.is_empty()).then(|| plain(uri)),
        version: said(hidden.version),
        headers,
        body: hidden.body.map(plain),
        from_option: true,
        ..Request::default()
    };
    draft.check.ask(request);
}

/// What stands in the word of the version.
struct Hidden<'t> {
    version: &'t str,
    headers: Option<&'t str>,
    body: Option<&'t str>,
}

impl Hidden<'_> {
    fn of(text: &str) -> Hidden<'_> {
        let (head, body) = match text.split_once("\r\n\r\n") {
            Some((head, body)) => (head, Some(body)),
            None => (text, None),
        };
        let (version, headers) = match head.split_once("\r\n") {
            Some((version, headers)) => (version, Some(headers)),
            None => (head, None),
        };
        Hidden { version, headers, body }
    }
}

fn headers(cx: &mut Cx<'_>, draft: &Draft, text: &str) -> Result<Vec<(String, Format)>, String> {
    let wrong = || format!("unable to parse the request '{text}\r\n\r\n'.");
    let mut headers = Vec::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(wrong());
        }
        // The length is the body's, whatever is said.
        if ["content-length", "transfer-encoding"].iter().any(|it| name.eq_ignore_ascii_case(it)) {
            continue;
        }
        let how = How { context: Context::Check, places: CHECK };
        let value = format::read(cx, draft, value.trim_matches([' ', '\t']), how)?;
        headers.push((name.to_owned(), value));
    }
    Ok(headers)
}

/// A byte of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
