//! Where log lines go: to log servers at once, to the console through whoever carries this machine.

use alloc::boxed::Box;
use alloc::vec;

use penstock_config::haproxy::grammar::Severity;
use penstock_config::haproxy::{Level, LogTarget, LogTo};
use penstock_stack::{Cx, Duration, Endpoint, UdpId};

use crate::limits;
use crate::line::Line;
use crate::log::{self, Clock, Header};

/// The log of one core.
#[derive(Debug)]
pub(crate) struct Journal {
    /// A line, and the same as it is sent.
    pub(crate) line: Box<[u8]>,
    out: Box<[u8]>,
    /// Room for what a session is called; taken out while a line is written.
    pub(crate) unique_id: Box<[u8]>,
    clock: Clock,
    console: Console,
    socket: Option<UdpId>,
    /// Lines so far.
    lines: u64,
    /// Lines that could not be sent.
    lost: u64,
}

/// Who says a line, and how grave it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice<'a> {
    pub(crate) level: Level,
    pub(crate) tag: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) pid: u32,
}

impl Journal {
    pub(crate) fn new() -> Journal {
        Journal {
            line: vec![0; limits::LINE_BYTES].into(),
            out: vec![0; limits::LINE_BYTES + 1].into(),
            unique_id: [0; limits::UNIQUE_ID_BYTES].into(),
            clock: Clock::new(),
            console: Console::new(limits::CONSOLE_BYTES),
            socket: None,
            lines: 0,
            lost: 0,
        }
    }

    /// Opens the port that lines leave by.
    pub(crate) fn start(&mut self, cx: &mut Cx<'_>) {
        self.socket = cx.udp_bind(None, limits::LOG_PORT).ok();
    }

    /// Lines so far, on this core.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Sends the first `len` bytes of `line` to those of `targets` that want them.
    pub(crate) fn send(
        &mut self,
        cx: &mut Cx<'_>,
        targets: &[LogTarget],
        voice: Voice<'_>,
        len: usize,
    ) {
        let Voice { level, tag, host, pid } = voice;
        let sent_at = wall(cx);
        for target in targets {
            let Some(level) = log::route(target, level, self.lines) else { continue };
            let header = Header { level, sent_at, host, tag, pid };
            let message = &self.line[..len];
            let bytes = log::frame(target, &header, message, &mut self.clock, &mut self.out);
            match target.to {
                LogTo::Console => self.console.push(bytes),
                LogTo::Udp { addr, port } => {
                    // With the line feed at its end, as HAProxy sends it.
                    let sent = self
                        .socket
                        .map(|socket| cx.udp_send(socket, None, Endpoint { addr, port }, bytes));
                    self.lost += (sent != Some(Ok(()))) as u64;
                }
            }
        }
        self.lines += 1;
    }

    /// Says the first `len` bytes of `line` on the console alone, as HAProxy does on a terminal.
    pub(crate) fn say(&mut self, severity: Severity, pid: u32, len: usize) {
        let mut line = Line::new(&mut self.out);
        line.push(severity.label().as_bytes());
        line.byte(b'(');
        line.number(pid.into());
        line.push(b") : ");
        line.push(&self.line[..len]);
        line.byte(b'\n');
        self.console.push(line.as_bytes());
    }

    /// The next line for the console.
    pub(crate) fn take_line(&mut self) -> Option<&[u8]> {
        self.console.take()
    }

    /// Whether a line waits for the console.
    pub(crate) fn has_line(&self) -> bool {
        self.console.used > 0
    }
}

/// The time of day; where it is not known, the time since the machine began.
pub(crate) fn wall(cx: &Cx<'_>) -> Duration {
    cx.wall().unwrap_or(Duration(cx.now().0))
}

/// Lines that wait for the console: the newest are lost when nobody takes them.
#[derive(Debug)]
struct Console {
    /// Lines, each behind its length in two bytes.
    ring: Box<[u8]>,
    first: usize,
    used: usize,
    line: Box<[u8]>,
}

impl Console {
    fn new(bytes: usize) -> Console {
        let (ring, line) = (vec![0; bytes].into(), vec![0; limits::LINE_BYTES + 1].into());
        Console { ring, first: 0, used: 0, line }
    }

    fn push(&mut self, line: &[u8]) {
        let line = &line[..line.len().min(self.line.len())];
        if self.used + 2 + line.len() > self.ring.len() {
            return;
        }
        let length = (line.len() as u16).to_le_bytes();
        for &byte in length.iter().chain(line) {
            let at = (self.first + self.used) % self.ring.len();
            self.ring[at] = byte;
            self.used += 1;
        }
    }

    fn take(&mut self) -> Option<&[u8]> {
        if self.used == 0 {
            return None;
        }
        let mut next = || {
            let byte = self.ring[self.first];
            self.first = (self.first + 1) % self.ring.len();
            self.used -= 1;
            byte
        };
        let len = u16::from_le_bytes([next(), next()]) as usize;
        for at in 0..len {
            self.line[at] = next();
        }
        Some(&self.line[..len])
    }
}
