//! Lines to a syslog server over UDP (RFC 3164), from whichever core has something to say.
//!
//! Each core sends its own, so that no line crosses cores; nothing waits, nothing is allocated. What is
//! too much in a second, or finds no memory, is lost and counted, and the count is told with the next
//! line that goes.

use core::fmt::{self, Write};

use penstock_stack::{Cx, Endpoint, UdpId};

use crate::date::Date;
use crate::limits;
use crate::lines::Severity;

/// A way to a syslog server, of one core.
#[derive(Debug)]
pub struct Logger {
    facility: u8,
    server: Option<Endpoint>,
    socket: Option<UdpId>,
    /// How many lines may go at once, as of the millisecond beside it.
    allowance: u32,
    refilled_ms: u32,
    lost: u64,
}

impl Logger {
    /// Lines of `facility` (RFC 3164 section 4.1.1), to nobody yet.
    pub fn new(facility: u8) -> Logger {
        Logger {
            facility,
            server: None,
            socket: None,
            allowance: limits::SYSLOG_BURST,
            refilled_ms: 0,
            lost: 0,
        }
    }

    /// Sends to `server` from now on.
    pub fn set_server(&mut self, server: Option<Endpoint>) {
        self.server = server;
    }

    /// Whether lines go anywhere.
    pub fn is_on(&self) -> bool {
        self.server.is_some()
    }

    /// How many lines were lost and not told of yet.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Sends a line as `hostname tag: text`, or loses it. Without a server nothing happens.
    pub fn log(
        &mut self,
        cx: &mut Cx<'_>,
        severity: Severity,
        (hostname, tag): (&str, &str),
        text: fmt::Arguments<'_>,
    ) {
        let Some(server) = self.server else { return };
        if self.socket.is_none() {
            self.socket = cx.udp_bind_ephemeral(u64::from(cx.core()) ^ cx.now().0).ok();
        }
        let Some(socket) = self.socket.filter(|_| self.take(cx.now().millis())) else {
            self.lost += 1;
            return;
        };
        let mut message = Message { bytes: 0, text: [0; limits::SYSLOG_BYTES] };
        let head = Head { facility: self.facility, severity, date: cx.wall().map(Date::of) };
        // What does not fit is cut.
        let _ = write!(message, "{head}{hostname} {tag}: ");
        if self.lost > 0 {
            let _ = write!(message, "({} lines were lost) ", self.lost);
        }
        let _ = message.write_fmt(text);
        match cx.udp_send(socket, None, server, &message.text[..message.bytes]) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost += 1,
        }
    }

    /// Whether one more line may go: a bucket of a second's lines.
    fn take(&mut self, millis: u32) -> bool {
        let passed = millis.wrapping_sub(self.refilled_ms).min(1000);
        let refill = passed * limits::SYSLOG_BURST / 1000;
        if refill > 0 {
            self.allowance = (self.allowance + refill).min(limits::SYSLOG_BURST);
            self.refilled_ms = millis;
        }
        let may = self.allowance > 0;
        self.allowance -= u32::from(may);
        may
    }
}

/// `<PRI>Mmm dd hh:mm:ss `; where nobody knows the time, its beginning.
struct Head {
    facility: u8,
    severity: Severity,
    date: Option<Date>,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        //= rfc3164#4.1.1
        //# The Priority value is calculated by first multiplying the Facility number by 8 and then
        //# adding the numerical value of the Severity.
        let priority = self.facility as u32 * 8 + self.severity as u32;
        let date = self.date.unwrap_or(Date::of(penstock_stack::Duration(0)));
        let Date { day, hour, minute, second, .. } = date;
        let month = date.month_name();
        write!(f, "<{priority}>{month} {day:2} {hour:02}:{minute:02}:{second:02} ")
    }
}

struct Message {
    bytes: usize,
    text: [u8; limits::SYSLOG_BYTES],
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A message is one line.
        for byte in text.bytes() {
            let place = self.text.get_mut(self.bytes).ok_or(fmt::Error)?;
            *place = if byte.is_ascii_control() { b' ' } else { byte };
            self.bytes += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_stack::Duration;
    use std::string::ToString;

    #[test]
    fn the_head_is_rfc_3164s() {
        let date = Some(Date::of(Duration::from_secs(1_793_509_201)));
        let head = Head { facility: 16, severity: Severity::Info, date };
        assert_eq!(head.to_string(), "<134>Nov  1 05:00:01 ");
        let head = Head { facility: 3, severity: Severity::Error, date: None };
        assert_eq!(head.to_string(), "<27>Jan  1 00:00:00 ");
    }

    #[test]
    fn a_second_has_its_lines_and_no_more() {
        let mut logger = Logger::new(16);
        let mut count = |millis| (0..5000).filter(|_| logger.take(millis)).count() as u32;
        assert_eq!(count(7_000), limits::SYSLOG_BURST);
        assert_eq!(count(7_000), 0);
        assert_eq!(count(7_500), limits::SYSLOG_BURST / 2);
        assert_eq!(count(60_000), limits::SYSLOG_BURST);
    }
}
