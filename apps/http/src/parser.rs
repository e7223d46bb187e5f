//! The parser of a request's head: goes on where it stopped, reads no byte twice but to compare it.
//!
//! ```text
//!   Start ─▶ Method ─▶ Target ─▶ Version ─▶ Line ─▶ Name ─▶ Value ─┐      Line ─▶ the end
//!   (one empty line)                         ▲─────────────────────┘
//! ```
//! A stage is left only when what it looks for is there, and what is kept of it are positions; so
//! the outcome depends on the bytes, and not on how they were cut.

use crate::bytes::{target_end, token_end, value_end};
use crate::limits::{FIELDS_MAX, HEAD_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::request::{Message, Method, check_target};
use crate::{Facts, Refusal, Request, Version};

/// How far a head has been read.
#[derive(Clone, Copy, Debug)]
pub struct Parser {
    stage: Stage,
    /// Where reading goes on.
    at: u16,
    /// Where the line began, or the method, or the target.
    mark: u16,
    colon: u16,
    target: (u16, u16),
    /// Where the first field line begins.
    fields_at: u16,
    method: Method,
    version: Version,
    message: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Method,
    Target,
    Version,
    Line,
    Name,
    Value,
    End,
}

/// What a stage has come to.
enum Step {
    /// To the next stage.
    On,
    /// It needs more bytes.
    Short,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

impl Parser {
    /// At the first byte.
    #[inline]
    pub fn new() -> Parser {
        Parser {
            stage: Stage::Start,
            at: 0,
            mark: 0,
            colon: 0,
            target: (0, 0),
            fields_at: 0,
            method: Method::Other,
            version: Version::Http11,
            message: Message::default(),
        }
    }

    /// Reads on. `bytes` begins with the first byte of the head each time, and holds what has come
    /// since. `None` when the head is not complete: come again with more.
    ///
    /// # Errors
    /// The request must not be served, whatever follows.
    #[inline]
    pub fn advance<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Request<'a>>, Refusal> {
        let head = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        if let Step::On = self.request_line(head)?
            && let Step::On = self.field_lines(head)?
        {
            return self.request(head).map(Some);
        }
        self.short(head.len()).map(|()| None)
    }

    /// Reads the request line, from wherever in it reading stopped.
    #[inline(always)]
    fn request_line(&mut self, head: &[u8]) -> Result<Step, Refusal> {
        if self.stage == Stage::Start
            && let Step::Short = self.start(head)?
        {
            return Ok(Step::Short);
        }
        if self.stage == Stage::Method
            && let Step::Short = self.method(head)?
        {
            return Ok(Step::Short);
        }
        if self.stage == Stage::Target
            && let Step::Short = self.target(head)?
        {
            return Ok(Step::Short);
        }
        if self.stage == Stage::Version { self.version(head) } else { Ok(Step::On) }
    }

    /// Reads field lines up to the empty one.
    #[inline]
    fn field_lines(&mut self, head: &[u8]) -> Result<Step, Refusal> {
        let Parser { mut stage, at, mark, colon, .. } = *self;
        let (mut at, mut line, mut colon) = (at as usize, mark as usize, colon as usize);
        loop {
            if stage == Stage::Line {
                match head.get(at) {
                    None => break,
                    Some(b'\r') => match head.get(at + 1) {
                        None => break,
                        Some(b'\n') => {
                            self.at = at as u16 + 2;
                            self.stage = Stage::End;
                            return Ok(Step::On);
                        }
                        Some(_) => return Err(Refusal::LineEnd),
                    },
                    Some(b'\n') => return Err(Refusal::LineEnd),
                    //= rfc9112#5.2
                    //# A server that receives an obs-fold in a request message that is not within a
                    //# "message/http" container MUST either reject the message by sending a 400
                    //# (Bad Request), preferably with a representation explaining that obsolete
                    //# line folding is unacceptable, or replace each received obs-fold with one or
                    //# more SP octets
                    Some(b' ' | b'\t') => return Err(Refusal::Folded),
                    Some(_) if self.message.fields == FIELDS_MAX => {
                        return Err(Refusal::TooManyFields);
                    }
                    Some(_) => self.message.fields += 1,
                }
                line = at;
                stage = Stage::Name;
            }
            if stage == Stage::Name {
                at = token_end(head, at);
                match head.get(at) {
                    None => break,
                    //= rfc9112#5.1
                    //# No whitespace is allowed between the field name and colon.
                    Some(b':') if at > line => {}
                    Some(_) => return Err(Refusal::FieldName),
                }
                colon = at;
                at += 1;
                stage = Stage::Value;
            }
            at = value_end(head, at);
            match head.get(at) {
                None => break,
                Some(b'\t') => {
                    at += 1;
                    continue;
                }
                Some(b'\r') => match head.get(at + 1) {
                    None => break,
                    Some(b'\n') => {}
                    Some(_) => return Err(Refusal::LineEnd),
                },
                Some(b'\n') => return Err(Refusal::LineEnd),
                Some(_) => return Err(Refusal::FieldValue),
            }
            self.message.field(&head[line..colon], &head[colon + 1..at])?;
            at += 2;
            stage = Stage::Line;
        }
        self.stage = stage;
        (self.at, self.mark, self.colon) = (at as u16, line as u16, colon as u16);
        Ok(Step::Short)
    }

    #[inline(always)]
    fn request<'a>(&self, head: &'a [u8]) -> Result<Request<'a>, Refusal> {
        let mut facts: Facts = self.message.facts(self.method, self.version)?;
        facts.target = self.target;
        facts.fields = (self.fields_at, self.at - 2);
        Ok(Request { head: &head[..self.at as usize], facts })
    }

    /// More bytes are needed: are more allowed?
    fn short(&self, len: usize) -> Result<(), Refusal> {
        if len < HEAD_BYTES_MAX {
            return Ok(());
        }
        Err(Refusal::HeadTooLong)
    }

    //= rfc9112#2.2
    //# In the interest of robustness, a server that is expecting to receive and parse a
    //# request-line SHOULD ignore at least one empty line (CRLF) received prior to the
    //# request-line.
    #[inline(always)]
    fn start(&mut self, head: &[u8]) -> Result<Step, Refusal> {
        match head {
            [b'\r', b'\n', ..] => self.at = 2,
            [b'\r'] | [] => return Ok(Step::Short),
            [b'\r' | b'\n', ..] => return Err(Refusal::LineEnd),
            _ => {}
        }
        self.mark = self.at;
        self.stage = Stage::Method;
        Ok(Step::On)
    }

    #[inline(always)]
    fn method(&mut self, head: &[u8]) -> Result<Step, Refusal> {
        if self.at == 0 && head.starts_with(b"GET ") {
            self.method = Method::Get;
            self.at = 4;
            self.mark = 4;
            self.stage = Stage::Target;
            return Ok(Step::On);
        }
        self.any_method(head)
    }

    fn any_method(&mut self, head: &[u8]) -> Result<Step, Refusal> {
        let mark = self.mark as usize;
        let end = token_end(head, self.at as usize);
        self.at = end as u16;
        if end - mark > METHOD_BYTES_MAX {
            return Err(Refusal::MethodTooLong);
        }
        match head.get(end) {
            None => return Ok(Step::Short),
            Some(b' ') if end > mark => {}
            Some(_) => return Err(Refusal::Method),
        }
        self.method = Method::of(&head[mark..end]);
        self.at = end as u16 + 1;
        self.mark = self.at;
        self.stage = Stage::Target;
        Ok(Step::On)
    }

    #[inline(always)]
    fn target(&mut self, head: &[u8]) -> Result<Step, Refusal> {
        let mark = self.mark as usize;
        let end = target_end(head, self.at as usize);
        self.at = end as u16;
        if end - mark > TARGET_BYTES_MAX {
            return Err(Refusal::TargetTooLong);
        }
        match head.get(end) {
            None => return Ok(Step::Short),
            Some(b' ') => {}
            // "GET /" and a line end: HTTP/0.9.
            Some(b'\r' | b'\n') => return Err(Refusal::Version),
            Some(_) => return Err(Refusal::Target),
        }
        check_target(self.method, &head[mark..end])?;
        self.target = (self.mark, end as u16);
        self.at = end as u16 + 1;
        self.stage = Stage::Version;
        Ok(Step::On)
    }

    #[inline(always)]
    fn version(&mut self, head: &[u8]) -> Result<Step, Refusal> {
        let Some(line) = head[self.at as usize..].first_chunk::<10>() else {
            return Ok(Step::Short);
        };
        let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, end @ ..] = line else {
            return Err(Refusal::Version);
        };
        if !major.is_ascii_digit() || !minor.is_ascii_digit() {
            return Err(Refusal::Version);
        }
        if end != b"\r\n" {
            return Err(Refusal::LineEnd);
        }
        self.version = match (major, minor) {
            (b'1', b'0') => Version::Http10,
            (b'1', _) => Version::Http11,
            _ => return Err(Refusal::VersionUnsupported),
        };
        self.at += 10;
        self.fields_at = self.at;
        self.stage = Stage::Line;
        Ok(Step::On)
    }
}

#[cfg(test)]
mod tests;
