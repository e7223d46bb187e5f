//! What is sent: made again, each time there is room, from where it stopped.

use penstock_http::{Framing, Gather, Head, Status};
use penstock_stack::{ConnId, Cx};

use crate::limits::{AHEAD_BYTES_MIN, DRIP_BYTES};
use crate::page::Form;
use crate::path::Manner;
use crate::pattern::PATTERN_BYTES;

/// An answer under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) matter: Matter,
    pub(crate) manner: Manner,
    /// Bytes of the head sent; of a short answer, bytes of all of it.
    sent: u16,
    is_head_sent: bool,
    /// Bytes of the body still to be sent, where that is known.
    left: u64,
    /// How far the pattern, or the head sent back, has been read.
    at: u32,
    chunk: Chunk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matter {
    Greeting,
    Status(Status),
    Pattern(u64),
    /// The body of the request, framed in the same way.
    Echo(Framing),
    /// The head of the request, which lies in a buffer.
    Head(Gather, u16),
    Drip,
    /// The page about this machine, of so many bytes.
    Page(Form, u32),
    /// A greeting, when its time has come: this many milliseconds after the request.
    Later(u32),
}

/// The chunk being sent back: bytes of data in it (0: none), and bytes of it sent, framing included.
#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    len: u16,
    sent: u16,
}

/// Where the bytes of bodies lie.
pub(crate) struct Matters<'a> {
    pub(crate) pattern: &'a [u8],
    /// The head sent back, or the page.
    pub(crate) text: &'a [u8],
}

impl Answer {
    pub(crate) const NONE: Answer = Answer::new(Matter::Greeting, Manner::LAST);

    pub(crate) const fn new(matter: Matter, manner: Manner) -> Answer {
        let left = match matter {
            _ if manner.head_only => 0,
            Matter::Pattern(bytes) => bytes,
            Matter::Head(_, bytes) => bytes as u64,
            Matter::Page(_, bytes) => bytes as u64,
            Matter::Drip => DRIP_BYTES,
            Matter::Greeting | Matter::Status(_) | Matter::Echo(_) | Matter::Later(_) => 0,
        };
        let chunk = Chunk { len: 0, sent: 0 };
        Answer { matter, manner, sent: 0, is_head_sent: false, left, at: 0, chunk }
    }

    /// The buffer it holds.
    pub(crate) fn gather(&self) -> Option<Gather> {
        match self.matter {
            Matter::Head(gather, _) => Some(gather),
            _ => None,
        }
    }

    /// Sends a greeting in one go, or what there is room for of it; whether that was all.
    #[inline]
    pub(crate) fn greet(&mut self, cx: &mut Cx<'_>, conn: ConnId, manner: Manner) -> bool {
        let text = greeting(manner);
        let taken = cx.send(conn, text);
        if taken == text.len() {
            return true;
        }
        *self = Answer { sent: taken as u16, ..Answer::new(Matter::Greeting, manner) };
        false
    }

    /// Sends what there is room for; whether that was all. A body that is echoed, or drips, is sent
    /// by [`echo`](Self::echo) and [`drip`](Self::drip): here, its head.
    pub(crate) fn pump(&mut self, cx: &mut Cx<'_>, conn: ConnId, from: &Matters<'_>) -> bool {
        if !self.push_head(cx, conn) {
            return false;
        }
        match self.matter {
            Matter::Greeting | Matter::Later(_) | Matter::Status(_) => true,
            Matter::Pattern(_) => self.push_pattern(cx, conn, from.pattern),
            Matter::Head(..) | Matter::Page(..) => {
                let rest = from.text.get(self.at as usize..).unwrap_or_default();
                let taken = cx.send(conn, &rest[..rest.len().min(self.left as usize)]);
                self.at += taken as u32;
                self.left -= taken as u64;
                self.left == 0
            }
            Matter::Drip | Matter::Echo(_) => self.left == 0,
        }
    }

    fn push_head(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> bool {
        if self.is_head_sent {
            return true;
        }
        let head;
        let text = match self.matter {
            Matter::Greeting | Matter::Later(_) => greeting(self.manner),
            _ => {
                head = self.head();
                head.bytes()
            }
        };
        let rest = text.get(self.sent as usize..).unwrap_or_default();
        self.sent += cx.send(conn, rest) as u16;
        self.is_head_sent = self.sent as usize == text.len();
        self.is_head_sent
    }

    /// Everything but the long bodies.
    fn head(&self) -> Head {
        let status = match self.matter {
            Matter::Status(status) => status,
            _ => Status::OK,
        };
        let mut head = Head::new(status);
        let (text, binary) = ("text/plain", "application/octet-stream");
        match self.matter {
            Matter::Greeting | Matter::Later(_) | Matter::Drip => {
                head.field("Content-Type", text).count("Content-Length", DRIP_BYTES);
            }
            //= rfc9110#15.3.6
            //# a server MUST NOT generate content in a 205 response
            Matter::Status(Status(205)) => {
                head.count("Content-Length", 0);
            }
            Matter::Status(status) if status.has_body() => {
                head.field("Content-Type", text);
                head.count("Content-Length", status.reason().len() as u64 + 1);
            }
            Matter::Status(_) => {}
            Matter::Pattern(bytes) | Matter::Echo(Framing::Length(bytes)) => {
                head.field("Content-Type", binary).count("Content-Length", bytes);
            }
            Matter::Echo(Framing::Chunked) => {
                head.field("Content-Type", binary).field("Transfer-Encoding", "chunked");
            }
            Matter::Head(_, bytes) => {
                head.field("Content-Type", text).count("Content-Length", bytes as u64);
            }
            Matter::Page(form, bytes) => {
                let kind = if form == Form::Html { "text/html; charset=utf-8" } else { text };
                head.field("Content-Type", kind).count("Content-Length", bytes as u64);
                head.field("Cache-Control", "no-store");
            }
        }
        match self.manner {
            Manner { keep_alive: false, .. } => head.field("Connection", "close"),
            Manner { is_old: true, .. } => head.field("Connection", "keep-alive"),
            _ => &mut head,
        };
        head.end();
        if let Matter::Status(status) = self.matter
            && status.has_body()
            && status != Status(205)
            && !self.manner.head_only
        {
            head.text(status.reason()).text("\n");
        }
        head
    }

    fn push_pattern(&mut self, cx: &mut Cx<'_>, conn: ConnId, pattern: &[u8]) -> bool {
        while self.left > 0 {
            let room = allowance(cx, conn);
            let rest = &pattern[self.at as usize..];
            let wanted = rest.len().min(room).min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let taken = cx.send(conn, &rest[..wanted]);
            self.at = (self.at + taken as u32) % PATTERN_BYTES;
            self.left -= taken as u64;
            if taken < wanted || wanted == 0 {
                return false;
            }
        }
        true
    }

    /// Sends back a run of data; returns how much of it was taken. Its head goes before.
    pub(crate) fn echo(&mut self, cx: &mut Cx<'_>, conn: ConnId, data: &[u8]) -> usize {
        if !self.push_head(cx, conn) {
            return 0;
        }
        if self.matter != Matter::Echo(Framing::Chunked) {
            return cx.send(conn, data);
        }
        if self.chunk.len == 0 {
            // A chunk is begun only if there is room for all of it.
            let room = cx.send_room(conn).saturating_sub(CHUNK_FRAMING_BYTES);
            self.chunk = Chunk { len: data.len().min(room).min(CHUNK_BYTES_MAX) as u16, sent: 0 };
            if self.chunk.len == 0 {
                return 0;
            }
        }
        self.push_chunk(cx, conn, data)
    }

    /// Goes on with a chunk that has been begun; returns how much of `data` went into it.
    fn push_chunk(&mut self, cx: &mut Cx<'_>, conn: ConnId, data: &[u8]) -> usize {
        let mut line = [0; 6];
        let line = chunk_line(self.chunk.len, &mut line);
        let (begin, end) = (line.len(), line.len() + self.chunk.len as usize);
        let mut at = self.chunk.sent as usize;
        if at < begin {
            at += cx.send(conn, &line[at..]);
        }
        let mut used = 0;
        if (begin..end).contains(&at) {
            used = cx.send(conn, &data[..data.len().min(end - at)]);
            at += used;
        }
        if at >= end {
            at += cx.send(conn, &b"\r\n"[at - end..]);
        }
        self.chunk.sent = at as u16;
        if at == end + 2 {
            self.chunk = Chunk::default();
        }
        used
    }

    /// The request's body has ended: sends what ends the answer; whether that was all.
    pub(crate) fn end_echo(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> bool {
        if !self.push_head(cx, conn) {
            return false;
        }
        if self.matter != Matter::Echo(Framing::Chunked) {
            return true;
        }
        if self.chunk.len > 0 {
            self.push_chunk(cx, conn, &[]);
            if self.chunk.len > 0 {
                return false;
            }
        }
        let rest = LAST_CHUNK.get(self.at as usize..).unwrap_or_default();
        self.at += cx.send(conn, rest) as u32;
        self.at as usize == LAST_CHUNK.len()
    }

    /// Sends the next byte of a body that drips; whether it was the last.
    pub(crate) fn drip(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> bool {
        if self.push_head(cx, conn) && self.left > 0 {
            self.left -= cx.send(conn, b"*") as u64;
        }
        self.is_head_sent && self.left == 0
    }
}

/// How much may be sent now: nothing, or enough to be worth it.
pub(crate) fn allowance(cx: &Cx<'_>, conn: ConnId) -> usize {
    let Some(info) = cx.info(conn) else { return 0 };
    let useful = info.send_window.saturating_add(AHEAD_BYTES_MIN);
    let limit = (2 * info.cwnd).clamp(AHEAD_BYTES_MIN, useful);
    let room = limit.saturating_sub(info.queued);
    // What is queued will be acknowledged, and then there is more room.
    if info.queued > 0 && room < limit / 4 { 0 } else { room as usize }
}

/// The head line of a chunk.
fn chunk_line(len: u16, line: &mut [u8; 6]) -> &[u8] {
    let digits = ((16 - len.leading_zeros()).div_ceil(4) as usize).max(1);
    for (place, digit) in line[..digits].iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(len >> (4 * place) & 15) as usize];
    }
    line[digits..digits + 2].copy_from_slice(b"\r\n");
    &line[..digits + 2]
}

#[inline]
fn greeting(manner: Manner) -> &'static [u8] {
    let (text, head_bytes) = match manner {
        Manner { keep_alive: false, .. } => GREETING_LAST,
        Manner { is_old: true, .. } => GREETING_KEPT,
        _ => GREETING,
    };
    if manner.head_only { &text.as_bytes()[..head_bytes] } else { text.as_bytes() }
}

/// The text of an answer, and how much of it is its head.
macro_rules! greeting {
    ($fields:literal) => {
        (
            concat!(greeting!(head $fields), "Hello from Penstock.\n"),
            greeting!(head $fields).len(),
        )
    };
    (head $fields:literal) => {
        concat!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n",
            $fields,
            "\r\n"
        )
    };
}

const GREETING: (&str, usize) = greeting!("");
const GREETING_LAST: (&str, usize) = greeting!("Connection: close\r\n");
const GREETING_KEPT: (&str, usize) = greeting!("Connection: keep-alive\r\n");

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// Four digits and two line ends.
const CHUNK_FRAMING_BYTES: usize = 8;
/// The framing included, it is counted in 16 bits.
const CHUNK_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_has_the_length_it_says() {
        for (text, head) in [GREETING, GREETING_LAST, GREETING_KEPT] {
            assert_eq!(text.len() - head, 21);
            assert!(text[..head].ends_with("\r\n\r\n"));
        }
    }

    #[test]
    fn a_chunk_says_its_length_in_as_few_digits_as_can_be() {
        let mut line = [0; 6];
        for (len, expected) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (1448, "5a8\r\n")] {
            assert_eq!(chunk_line(len, &mut line), expected.as_bytes());
        }
        assert_eq!(chunk_line(u16::MAX, &mut line), b"ffff\r\n");
    }
}
