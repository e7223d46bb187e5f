//! What stands in front of a line on its way to a log server, by `format`.

use penstock_config::haproxy::{Facility, Level, LogTarget, Style};
use penstock_control::Date;
use penstock_stack::Duration;

use super::Clock;
use crate::line::Line;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// How grave the line is.
    pub level: Level,
    /// The time of day, since 1970, at which it is sent.
    pub sent_at: Duration,
    /// `log-send-hostname`.
    pub host: Option<&'a str>,
    /// `log-tag`.
    pub tag: &'a str,
    /// The process's number.
    pub pid: u32,
}

/// Puts a line together for a target: its header, the message as far as the target takes it, and a
/// line feed. `out` should be one byte longer than [`LogTarget::length_max`].
pub fn frame<'o>(
    target: &LogTarget,
    header: &Header<'_>,
    message: &[u8],
    clock: &mut Clock,
    out: &'o mut [u8],
) -> &'o [u8] {
    let room = out.len().saturating_sub(1).min(target.length_max as usize);
    let mut line = Line::new(&mut out[..room]);
    write_header(target, header, clock, &mut line);
    line.push(message);
    let len = line.len();
    if let Some(end) = out.get_mut(len) {
        *end = b'\n';
        return &out[..=len];
    }
    &out[..len]
}

fn write_header(target: &LogTarget, header: &Header<'_>, clock: &mut Clock, line: &mut Line<'_>) {
    let Header { level, sent_at, host, tag, pid } = *header;
    let Facility(facility) = target.facility;
    let Level(level) = level;
    let whole = u64::from(facility) << 3 | u64::from(level);
    match target.style {
        Style::Local => {
            write_priority(whole, line);
            line.push(clock.legacy(sent_at));
            write_tag(tag, pid, line);
        }
        Style::Rfc3164 => {
            write_priority(whole, line);
            line.push(clock.legacy(sent_at));
            line.push(host.unwrap_or("localhost").as_bytes());
            line.byte(b' ');
            write_tag(tag, pid, line);
        }
        Style::Rfc5424 => {
            write_priority(whole, line);
            line.push(b"1 ");
            write_iso(sent_at, line);
            for word in [host.unwrap_or("-"), if tag.is_empty() { "-" } else { tag }] {
                line.push(word.as_bytes());
                line.byte(b' ');
            }
            line.number(u64::from(pid));
            // Neither a message's name nor structured data.
            line.push(b" - - ");
        }
        Style::Priority => write_priority(whole, line),
        // Without the facility.
        Style::Short => write_priority(u64::from(level), line),
        Style::Timed => {
            write_priority(u64::from(level), line);
            write_iso(sent_at, line);
        }
        Style::Iso => write_iso(sent_at, line),
        Style::Raw => {}
    }
}

fn write_priority(number: u64, line: &mut Line<'_>) {
    line.byte(b'<');
    line.number(number);
    line.byte(b'>');
}

/// `Nov 21 04:03:24 `, RFC 3164 section 4.1.2.
pub(super) fn write_legacy(date: &Date, line: &mut Line<'_>) {
    line.push(date.month_name().as_bytes());
    line.byte(b' ');
    line.padded(u64::from(date.day), 2, b' ');
    line.byte(b' ');
    write_time(date, line);
    line.byte(b' ');
}

/// `2026-11-21T04:03:24.820000+00:00 `, RFC 5424 section 6.2.3.
fn write_iso(at: Duration, line: &mut Line<'_>) {
    let date = Date::of(at);
    line.zero_padded(u64::from(date.year), 4);
    line.byte(b'-');
    line.zero_padded(u64::from(date.month), 2);
    line.byte(b'-');
    line.zero_padded(u64::from(date.day), 2);
    line.byte(b'T');
    write_time(&date, line);
    line.byte(b'.');
    line.zero_padded(u64::from(date.micros), 6);
    line.push(b"+00:00 ");
}

/// `04:03:24`.
pub(super) fn write_time(date: &Date, line: &mut Line<'_>) {
    line.zero_padded(u64::from(date.hour), 2);
    line.byte(b':');
    line.zero_padded(u64::from(date.minute), 2);
    line.byte(b':');
    line.zero_padded(u64::from(date.second), 2);
}

/// `haproxy[1]: `; nothing without a tag.
fn write_tag(tag: &str, pid: u32, line: &mut Line<'_>) {
    if tag.is_empty() {
        return;
    }
    line.push(tag.as_bytes());
    line.byte(b'[');
    line.number(u64::from(pid));
    line.push(b"]: ");
}
