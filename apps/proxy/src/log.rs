//! Log lines: what happened to a session, in HAProxy's words and byte for byte its own.
//!
//! ```text
//!   <134>Nov 21 04:03:24 haproxy[1]: 10.0.0.7:40000 [21/Nov/2026:04:03:24.820] t t/s1 1/0/2 ...
//!   └────────── Header ───────────┘ └──────────── write_session, with a Format ──────────────┘
//! ```
//! A [`Record`] is what is known of a session when its line is due; a line is written into a buffer
//! of the core's, without an allocation, and what is longer than a target takes is cut off. Which
//! targets get it, and as what, is [`route`]'s business. Configuration manual, sections 8.2 and 8.4.

mod clock;
mod header;
mod items;
mod record;
#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use header::{Header, frame};
pub use items::write_session;
pub use record::{Counts, Record, Timers};

use core::fmt::Write;

use penstock_config::haproxy::{Level, LogTarget};
use penstock_stack::{Duration, Endpoint};

use crate::line::Line;
use crate::proxy_protocol::Refusal;

/// What a target makes of a line of this level: the level it is sent as, or nothing.
pub fn route(target: &LogTarget, level: Level, lines_before: u64) -> Option<Level> {
    if level > target.most {
        return None;
    }
    if target.sample_size > 0 {
        let position = (lines_before % u64::from(target.sample_size)) as u32 + 1;
        if !target.sample_ranges.iter().any(|range| range.contains(&position)) {
            return None;
        }
    }
    Some(level.max(target.least))
}

/// The line of a frontend without a format, when a session begins.
pub fn write_connect(record: &Record<'_>, line: &mut Line<'_>) {
    // A Line takes everything, or its beginning: writing never fails.
    let _ = match (record.client, record.frontend_end) {
        (Some(from), Some(to)) => write!(
            line,
            "Connect from {}:{} to {}:{} ({}/TCP)",
            from.addr, from.port, to.addr, to.port, record.frontend
        ),
        _ => write!(line, "Connect from unknown source ({}/TCP)", record.frontend),
    };
}

/// The line of a connection that ended before it was a session. A listener without a name is
/// called by its number.
pub fn write_refused(
    client: Endpoint,
    accepted_at: Duration,
    frontend: &str,
    listener: (Option<&str>, u32),
    refusal: Refusal,
    line: &mut Line<'_>,
) {
    let _ = write!(line, "{}:{} [", client.addr, client.port);
    items::write_date(accepted_at, &mut Clock::new(), line);
    let _ = write!(line, "] {frontend}/");
    let _ = match listener {
        (Some(name), _) => line.write_str(name),
        (None, number) => write!(line, "{number}"),
    };
    let _ = write!(line, ": {refusal}");
}
