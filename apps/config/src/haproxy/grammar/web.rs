//! What belongs to HTTP. HAProxy reads it in any section, and says at the section's end that it means
//! nothing in mode `tcp`.

use alloc::format;

use super::cx::Cx;
use super::draft::Draft;
use super::proxy::wants_backend;
use super::text::leading_number;
use super::words::Words;

pub(super) fn http_reuse(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    wants_backend(cx, draft, &words[0]);
    match &words[1] {
        "never" | "safe" | "aggressive" | "always" => {
            cx.at_most(words, 0, 1);
        }
        _ => cx.alert(&format!(
            "'{}' only supports 'never', 'safe', 'aggressive', 'always'.",
            &words[0]
        )),
    }
}

/// `errorfile`: a body of HTTP, of which the ones that are here are built in.
pub(super) fn errorfile(cx: &mut Cx<'_>, _: &mut Draft, words: &Words) {
    let (keyword, status, path) = (&words[0], &words[1], &words[2]);
    if status.is_empty() || path.is_empty() {
        return cx.alert(&format!("{keyword} : expects <status_code> and <file> as arguments.\n"));
    }
    let code = leading_number(status);
    if !HTTP_ERRORS.contains(&code) {
        return cx.alert(&format!("{keyword} : status code '{code}' not handled."));
    }
    if cx.delivered(path).is_some() {
        return;
    }
    if path.starts_with("/etc/haproxy/errors/") || path == "/dev/null" {
        let text = format!(
            "'{keyword} {status}' : '{path}' was not delivered: the built-in body is used."
        );
        return cx.notice("errorfile", &text);
    }
    cx.alert(&format!("{keyword} : error opening file '{path}'."));
}

const HTTP_ERRORS: &[i64] = &[
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504,
];

/// Statements about HTTP that HAProxy reads in mode `tcp` and warns about; those with arguments that
/// it would look into are not read here.
pub(super) fn http_statement(cx: &mut Cx<'_>, draft: &mut Draft, words: &Words) {
    let said = match (&words[0], &words[1]) {
        ("stats", "enable" | "hide-version" | "show-legends" | "show-modules") => Some("stats"),
        ("stats", "uri" | "realm" | "auth" | "scope") if words.has(2) => Some("stats"),
        ("cookie", name)
            if !name.is_empty() && words.rest(2).iter().all(|word| is_cookie_word(word)) =>
        {
            None
        }
        _ => {
            let (keyword, section) = (&words[0], cx.section);
            return cx.alert(&format!(
                "keyword '{keyword}' in '{section}' section is not supported yet: it belongs to mode http."
            ));
        }
    };
    if &words[0] == "cookie" {
        wants_backend(cx, draft, "cookie");
        draft.has_cookie = true;
    }
    if let Some(said) = said
        && !draft.http_only.contains(&said)
    {
        draft.http_only.push(said);
    }
}

fn is_cookie_word(word: &str) -> bool {
    matches!(word, "insert" | "indirect" | "nocache" | "postonly" | "httponly" | "secure")
}
