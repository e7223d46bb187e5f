//! What a target asks for.

use penstock_http::{Facts, Method, Request, Status, Version};

use crate::limits::DELAY_MS_MAX;
use crate::page::Form;

/// What is to be done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// 200 and a greeting: everything without a meaning of its own.
    Greeting,
    /// This status, with its name as the body.
    Status(Status),
    /// This many bytes of the pattern.
    Bytes(u64),
    /// The body back.
    Echo,
    /// The head back.
    Headers,
    /// A greeting after this many milliseconds.
    Delay(u32),
    /// A body that comes byte by byte.
    Drip,
    /// The page about this machine.
    Page(Form),
}

impl Wish {
    #[inline]
    pub(crate) fn of(request: &Request<'_>) -> Wish {
        let Facts { method, .. } = request.facts;
        let target = request.path();
        if target == b"/" && method != Method::Connect {
            return Wish::Greeting;
        }
        Wish::of_path(method, target)
    }

    fn of_path(method: Method, target: &[u8]) -> Wish {
        // There is nothing behind us to open a tunnel to.
        if method == Method::Connect {
            return Wish::Status(Status::NOT_IMPLEMENTED);
        }
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let bad = Wish::Status(Status::BAD_REQUEST);
        if let Some(digits) = path.strip_prefix(b"/bytes/") {
            return number(digits).map_or(bad, Wish::Bytes);
        }
        if let Some(digits) = path.strip_prefix(b"/status/") {
            return match number(digits) {
                Some(code @ 200..=599) => Wish::Status(Status(code as u16)),
                _ => bad,
            };
        }
        if let Some(digits) = path.strip_prefix(b"/delay/") {
            return match number(digits) {
                Some(delay_ms @ 0..=DELAY_MS_MAX) => Wish::Delay(delay_ms as u32),
                _ => bad,
            };
        }
        match path {
            // The answer to HEAD has no body to send back.
            b"/echo" if method != Method::Head => Wish::Echo,
            b"/headers" => Wish::Headers,
            b"/drip" => Wish::Drip,
            _ => Wish::Greeting,
        }
    }
}

/// Whether a request without a meaning of its own asks for the page: `/status`, or `/` by somebody
/// who names HTML among what he takes. Whoever takes anything gets the short answer.
pub(crate) fn page_of(request: &Request<'_>) -> Option<Form> {
    //= rfc9110#12.5.1
    //# The "Accept" header field can be used by user agents to specify their preferences regarding
    //# response media types.
    let takes_html = |request: &Request<'_>| {
        let mut accepts = request.fields().filter(|field| field.is(b"accept"));
        accepts.any(|field| field.value.windows(HTML.len()).any(|part| part == HTML))
    };
    match request.path() {
        b"/" if takes_html(request) => Some(Form::Html),
        b"/status" => Some(Form::Plain),
        _ => None,
    }
}

const HTML: &[u8] = b"text/html";

/// A decimal number of at most 18 digits: more than any clock or disk has.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + (digit - b'0') as u64))
}

/// What an answer must know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// The connection is used again.
    pub(crate) keep_alive: bool,
    /// The client itself has said that this is its last request.
    pub(crate) is_final: bool,
    /// The client knows HTTP/1.0 only.
    pub(crate) is_old: bool,
    /// The head alone is wanted.
    pub(crate) head_only: bool,
}

impl Manner {
    pub(crate) fn of(facts: &Facts, keep_alive: bool) -> Manner {
        Manner {
            keep_alive: keep_alive && facts.keep_alive,
            is_final: !facts.keep_alive,
            is_old: facts.version == Version::Http10,
            head_only: facts.method == Method::Head,
        }
    }

    /// To somebody of whom no more is known, and who is not heard any further.
    pub(crate) const LAST: Manner =
        Manner { keep_alive: false, is_final: false, is_old: false, head_only: false };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_the_documentation_says() {
        let cases = [
            ("/", Wish::Greeting),
            ("/anything/else?x", Wish::Greeting),
            ("/bytes/0", Wish::Bytes(0)),
            ("/bytes/5000000000?cache=no", Wish::Bytes(5_000_000_000)),
            ("/bytes/", Wish::Status(Status(400))),
            ("/bytes/-1", Wish::Status(Status(400))),
            ("/bytes/9999999999999999999", Wish::Status(Status(400))),
            ("/status/204", Wish::Status(Status(204))),
            ("/status/101", Wish::Status(Status(400))),
            ("/status/600", Wish::Status(Status(400))),
            ("/delay/60000", Wish::Delay(60_000)),
            ("/delay/60001", Wish::Status(Status(400))),
            ("/echo", Wish::Echo),
            ("/echo?x", Wish::Echo),
            ("/echoes", Wish::Greeting),
            ("/headers", Wish::Headers),
            ("/drip", Wish::Drip),
        ];
        for (target, wish) in cases {
            assert_eq!(Wish::of_path(Method::Get, target.as_bytes()), wish, "{target}");
        }
        assert_eq!(Wish::of_path(Method::Head, b"/echo"), Wish::Greeting);
        assert_eq!(Wish::of_path(Method::Connect, b"a:80"), Wish::Status(Status(501)));
    }
}
