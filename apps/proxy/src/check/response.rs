//! A response of HTTP/1, as far as checks look at it: its status and the bytes of its body.

/// What is there of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    /// The words behind the status.
    pub(super) reason: &'a [u8],
    /// What has come of the body, without chunks.
    pub(super) body: &'a [u8],
    /// Nothing of it is missing.
    pub(super) is_whole: bool,
    /// Its chunks are none.
    pub(super) is_broken: bool,
}

/// What bytes turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<'a> {
    Response(Response<'a>),
    /// The beginning of a head.
    Partial,
    Invalid,
}

/// Reads what came. `scratch` takes a body that is in chunks; it should be as large as `bytes`.
pub(super) fn read<'a>(bytes: &'a [u8], is_head: bool, scratch: &'a mut [u8]) -> Reading<'a> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let begin = match head.parse(bytes) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Reading::Partial,
        Err(_) => return Reading::Invalid,
    };
    let status = head.code.unwrap_or(0);
    let reason = head.reason.unwrap_or_default().as_bytes();
    let rest = &bytes[begin..];
    let mut is_chunked = false;
    let mut length = None;
    for field in head.headers.iter() {
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            let last = field.value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        }
        if field.name.eq_ignore_ascii_case("content-length") {
            length = str::from_utf8(field.value).ok().and_then(|text| text.trim().parse().ok());
        }
    }
    let has_none = is_head || status < 200 || status == 204 || status == 304;
    let body = if has_none {
        Some((&[][..], true))
    } else if is_chunked {
        unchunk(rest, scratch)
    } else {
        let wanted = length.unwrap_or(usize::MAX);
        Some((&rest[..rest.len().min(wanted)], rest.len() >= wanted))
    };
    let is_broken = body.is_none();
    let (body, is_whole) = body.unwrap_or_default();
    Reading::Response(Response { status, reason, body, is_whole, is_broken })
}

/// Whether this is true of any field of a response whose head is there.
pub(super) fn any_field(bytes: &[u8], mut is_it: impl FnMut(&str, &[u8]) -> bool) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let is_whole = matches!(head.parse(bytes), Ok(httparse::Status::Complete(_)));
    is_whole && head.headers.iter().any(|field| is_it(field.name, field.value.trim_ascii()))
}

/// Puts the chunks of a body together (RFC 9112 section 7.1); whether the last was there.
fn unchunk<'a>(mut rest: &[u8], scratch: &'a mut [u8]) -> Option<(&'a [u8], bool)> {
    let mut used = 0;
    let mut is_whole = false;
    loop {
        let (head, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => break,
            Err(_) => return None,
        };
        rest = &rest[head..];
        if size == 0 {
            is_whole = true;
            break;
        }
        let count = rest.len().min(usize::try_from(size).ok()?).min(scratch.len() - used);
        scratch[used..used + count].copy_from_slice(&rest[..count]);
        used += count;
        match rest[count..].strip_prefix(b"\r\n") {
            Some(behind) if count as u64 == size => rest = behind,
            _ if rest.len() <= count + 1 => break,
            _ => return None,
        }
    }
    Some((&scratch[..used], is_whole))
}

/// HAProxy's `tune.http.maxhdr`.
const FIELDS_MAX: usize = 101;
