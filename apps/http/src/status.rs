//! Status codes and their names (RFC 9110 section 15).

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u16);

impl Status {
    /// 200.
    pub const OK: Status = Status(200);
    /// 400.
    pub const BAD_REQUEST: Status = Status(400);
    /// 408.
    pub const REQUEST_TIMEOUT: Status = Status(408);
    /// 501.
    pub const NOT_IMPLEMENTED: Status = Status(501);
    /// 502.
    pub const BAD_GATEWAY: Status = Status(502);
    /// 503.
    pub const SERVICE_UNAVAILABLE: Status = Status(503);
    /// 504.
    pub const GATEWAY_TIMEOUT: Status = Status(504);

    /// Its name; that of its class where it has none of its own.
    pub fn reason(self) -> &'static str {
        match REASONS.binary_search_by_key(&self.0, |(code, _)| *code) {
            Ok(at) => REASONS[at].1,
            Err(_) => match self.0 / 100 {
                1 => "Informational",
                2 => "Success",
                3 => "Redirection",
                4 => "Client Error",
                _ => "Server Error",
            },
        }
    }

    /// Whether an answer with it has a body, Content-Length and Transfer-Encoding
    /// (RFC 9112 section 6.3).
    pub fn has_body(self) -> bool {
        !matches!(self.0, 100..=199 | 204 | 304)
    }
}

const REASONS: &[(u16, &str)] = &[
    (100, "Continue"),
    (101, "Switching Protocols"),
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "Non-Authoritative Information"),
    (204, "No Content"),
    (205, "Reset Content"),
    (206, "Partial Content"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Found"),
    (303, "See Other"),
    (304, "Not Modified"),
    (305, "Use Proxy"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Timeout"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "Length Required"),
    (412, "Precondition Failed"),
    (413, "Content Too Large"),
    (414, "URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Range Not Satisfiable"),
    (417, "Expectation Failed"),
    (418, "I'm a teapot"),
    (421, "Misdirected Request"),
    (422, "Unprocessable Content"),
    (425, "Too Early"),
    (426, "Upgrade Required"),
    (428, "Precondition Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (451, "Unavailable For Legal Reasons"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Gateway Timeout"),
    (505, "HTTP Version Not Supported"),
    (507, "Insufficient Storage"),
    (511, "Network Authentication Required"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_name_is_found() {
        assert!(REASONS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(Status(404).reason(), "Not Found");
        assert_eq!(Status(299).reason(), "Success");
    }
}
