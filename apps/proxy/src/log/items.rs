//! The pieces of a format, section 8.2.4.

use penstock_config::haproxy::{Format, Item, ItemOptions, Variable};
use penstock_control::Date;
use penstock_stack::{Duration, Endpoint};

use super::header::write_time;
use super::{Clock, Record};
use crate::known::Known;
use crate::line::Line;
use crate::sample::{View, Workspace, fetch};

/// Writes a line for a session. Samples are taken from `view`, which should be final.
pub fn write_session(
    format: &Format,
    record: &Record<'_>,
    view: &impl View,
    work: &mut Workspace,
    line: &mut Line<'_>,
) {
    let mut items = &format.0[..];
    loop {
        items = write_known(items, record, &mut work.clock, line);
        let [Item::Sample(sample, options), rest @ ..] = items else { return };
        let mut fetched = fetch(sample, view, work);
        let text = match fetched.value {
            Known::Is(value) => value.text(&mut fetched.room),
            Known::Never | Known::NotYet => b"",
        };
        write_word(text, options, line);
        items = rest;
    }
}

/// Writes the items up to the next sample; what is left of them.
fn write_known<'i>(
    mut items: &'i [Item],
    record: &Record<'_>,
    clock: &mut Clock,
    line: &mut Line<'_>,
) -> &'i [Item] {
    while let [item, rest @ ..] = items {
        match item {
            // Nearly all texts in formats are a slash, or a space.
            Item::Text(text) => match text[..] {
                [byte] => line.byte(byte),
                _ => line.push(text),
            },
            Item::Variable(variable, options) => {
                write_variable(*variable, options, record, clock, line);
            }
            Item::Sample(..) => break,
        }
        items = rest;
    }
    items
}

#[inline(always)]
fn write_variable(
    variable: Variable,
    options: &ItemOptions,
    record: &Record<'_>,
    clock: &mut Clock,
    line: &mut Line<'_>,
) {
    let Record { timers, counts, accepted_at, .. } = record;
    let word = |text: &[u8], line: &mut Line<'_>| write_word(text, options, line);
    let count = |number: u32, line: &mut Line<'_>| line.number(u64::from(number));
    let growing = |number: u64, line: &mut Line<'_>| {
        if record.is_early {
            line.byte(b'+');
        }
        line.number(number);
    };
    match variable {
        Variable::Client => write_addr(record.client, options, line),
        Variable::ClientPort => write_port(record.client, options, line),
        Variable::FrontendAddress => write_addr(record.frontend_end, options, line),
        Variable::FrontendPort => write_port(record.frontend_end, options, line),
        Variable::BackendSource => write_addr(record.backend_end, options, line),
        Variable::BackendSourcePort => write_port(record.backend_end, options, line),
        Variable::ServerAddress => write_addr(record.server_end, options, line),
        Variable::ServerPort => write_port(record.server_end, options, line),

        Variable::Frontend => word(record.frontend.as_bytes(), line),
        Variable::FrontendTransport => {
            // Neither escaped nor replaced by `-`, but quoted.
            let options = &ItemOptions { quote: options.quote, ..ItemOptions::default() };
            write_word(record.frontend.as_bytes(), options, line);
        }
        Variable::Backend => word(record.backend.as_bytes(), line),
        Variable::Server => word(record.server.unwrap_or("<NOSRV>").as_bytes(), line),
        Variable::HostName => word(record.host_name.as_bytes(), line),
        Variable::UniqueId => word(record.unique_id, line),
        Variable::TlsCipher | Variable::TlsVersion => word(b"", line),

        Variable::Date => write_date(*accepted_at, clock, line),
        Variable::DateGmt | Variable::DateLocal => write_date_with_zone(*accepted_at, clock, line),
        Variable::Timestamp => write_count(accepted_at.0 / 1_000_000, options, line),
        Variable::Milliseconds => {
            let millis = accepted_at.0 / 1_000 % 1_000;
            match options.hexadecimal {
                true => line.hexadecimal(millis, 2),
                false => line.zero_padded(millis, 3),
            }
        }

        Variable::HandshakeTime => count(timers.handshake_ms, line),
        Variable::QueueTime => write_time_or_none(timers.queued(), line),
        Variable::ConnectTime => write_time_or_none(timers.connecting(), line),
        Variable::DataTime => write_time_or_none(timers.transferring(), line),
        Variable::TotalTime | Variable::UserTime => growing(u64::from(timers.close_ms), line),

        Variable::Bytes => growing(record.bytes_down, line),
        Variable::BytesUp => line.number(record.bytes_up),
        Variable::Status => line.byte(b'0'),
        Variable::Termination => record.termination.into_iter().for_each(|byte| line.byte(byte)),
        Variable::TerminationCookie => {
            line.push(&record.termination);
            line.push(b"--");
        }

        Variable::ProcessConnections => count(counts.process, line),
        Variable::FrontendConnections => count(counts.frontend, line),
        Variable::BackendConnections => count(counts.backend, line),
        Variable::ServerConnections => count(counts.server, line),
        Variable::Retries => {
            if record.is_redispatched {
                line.byte(b'+');
            }
            count(record.retries, line);
        }
        Variable::ServerQueue => count(record.server_queue, line),
        Variable::BackendQueue => count(record.backend_queue, line),

        Variable::LogCounter => write_count(u64::from(record.lines_before), options, line),
        Variable::RequestCounter => write_count(u64::from(record.sessions_before), options, line),
        Variable::Pid => write_count(u64::from(record.pid), options, line),
        Variable::RequestHeaders
        | Variable::RequestHeaderList
        | Variable::ResponseHeaders
        | Variable::ResponseHeaderList => {}
    }
}

/// Text with its quotes and escapes; `-` for none where the place is mandatory.
#[inline]
fn write_word(text: &[u8], options: &ItemOptions, line: &mut Line<'_>) {
    let &ItemOptions { quote, escape, encode, .. } = options;
    if text.is_empty() || quote || escape || encode {
        write_dressed(text, options, line);
    } else {
        line.push(text);
    }
}

/// The same of text that does not stand as it is.
#[inline(never)]
fn write_dressed(text: &[u8], options: &ItemOptions, line: &mut Line<'_>) {
    let &ItemOptions { quote, escape, encode, mandatory, hexadecimal: _ } = options;
    if quote {
        line.byte(b'"');
    }
    if text.is_empty() && mandatory && !quote {
        line.byte(b'-');
    }
    if escape {
        for byte in text {
            if matches!(byte, b'"' | b'\\' | b']') {
                line.byte(b'\\');
            }
            line.byte(*byte);
        }
    } else if encode {
        for byte in text {
            let is_plain = matches!(byte, b' '..=b'~') && !b"\"#{|}".contains(byte);
            match is_plain {
                true => line.byte(*byte),
                false => {
                    line.byte(b'#');
                    line.hex_byte(*byte);
                }
            }
        }
    } else {
        line.push(text);
    }
    if quote {
        line.byte(b'"');
    }
}

fn write_addr(end: Option<Endpoint>, options: &ItemOptions, line: &mut Line<'_>) {
    let Some(Endpoint { addr, .. }) = end else { return write_word(b"", options, line) };
    if options.hexadecimal {
        let bytes = addr.bytes();
        let from = if addr.is_v4() { 12 } else { 0 };
        bytes[from..].iter().for_each(|byte| line.hex_byte(*byte));
        return;
    }
    // There is nothing in it to escape.
    if options.quote {
        line.byte(b'"');
    }
    line.addr(addr);
    if options.quote {
        line.byte(b'"');
    }
}

fn write_port(end: Option<Endpoint>, options: &ItemOptions, line: &mut Line<'_>) {
    match end {
        None => write_word(b"", options, line),
        Some(Endpoint { port, .. }) => write_count(u64::from(port), options, line),
    }
}

/// A number that `+X` turns into hexadecimal of four digits or more.
fn write_count(number: u64, options: &ItemOptions, line: &mut Line<'_>) {
    if options.hexadecimal { line.hexadecimal(number, 4) } else { line.number(number) }
}

fn write_time_or_none(time_ms: Option<u32>, line: &mut Line<'_>) {
    line.signed(time_ms.map_or(-1, i64::from));
}

/// `21/Nov/2026:04:03:24.820`.
pub(super) fn write_date(at: Duration, clock: &mut Clock, line: &mut Line<'_>) {
    line.push(clock.day_and_time(at));
    line.byte(b'.');
    line.zero_padded(at.0 / 1_000 % 1_000, 3);
}

/// `21/Nov/2026:04:03:24 +0000`.
fn write_date_with_zone(at: Duration, clock: &mut Clock, line: &mut Line<'_>) {
    line.push(clock.day_and_time(at));
    line.push(b" +0000");
}

/// `21/Nov/2026:04:03:24`.
pub(super) fn write_day_and_time(date: &Date, line: &mut Line<'_>) {
    line.zero_padded(u64::from(date.day), 2);
    line.byte(b'/');
    line.push(date.month_name().as_bytes());
    line.byte(b'/');
    line.zero_padded(u64::from(date.year), 4);
    line.byte(b':');
    write_time(date, line);
}
