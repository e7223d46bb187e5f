//! `config` lines: the knobs of the worker, under the names they have there.

use core::num::NonZeroU16;

use penstock_stack::{
    CongestionControl, Duration, KeepAlive, RECEIVE_WINDOW_BYTES_MAX, RECEIVE_WINDOW_BYTES_MIN,
    SocketOptions, SynCookies,
};

use super::cursor::{Cursor, Read};
use super::script::Setting;

/// Reads `key=value` pairs up to the end of the line.
pub(crate) fn settings(cursor: &mut Cursor<'_>, setting: &mut Setting) -> Read<()> {
    loop {
        if !option(cursor, &mut setting.tcp.options)? {
            one(cursor, setting)?;
        }
        if cursor.is_done() {
            return Ok(());
        }
    }
}

/// Reads pairs that a single connection can have, up to the end of the line.
pub(crate) fn options(cursor: &mut Cursor<'_>, options: &mut SocketOptions) -> Read<()> {
    loop {
        if !option(cursor, options)? {
            cursor.space();
            return cursor.error("nodelay, quickack, patient, user_timeout, keepalive or mss");
        }
        if cursor.is_done() {
            return Ok(());
        }
    }
}

fn option(cursor: &mut Cursor<'_>, options: &mut SocketOptions) -> Read<bool> {
    let start = *cursor;
    match cursor.word("a knob")? {
        "nodelay" => options.nodelay = switch(cursor)?,
        "quickack" => options.quickack = switch(cursor)?,
        "patient" => options.patient = switch(cursor)?,
        "user_timeout" => options.user_timeout = Some(time(cursor)?),
        "keepalive" => {
            let idle = time(cursor)?;
            cursor.expect("/")?;
            let interval = Duration(cursor.seconds("a time")?);
            cursor.expect("/")?;
            let probes = cursor.number("how many probes", u8::MAX as u64)? as u8;
            options.keepalive = Some(KeepAlive { idle, interval, probes });
        }
        "mss" => options.mss = NonZeroU16::new(amount(cursor, 1, u16::MAX as u32)? as u16),
        _ => {
            *cursor = start;
            return Ok(false);
        }
    }
    Ok(true)
}

fn one(cursor: &mut Cursor<'_>, setting: &mut Setting) -> Read<()> {
    cursor.space();
    let start = *cursor;
    let tcp = &mut setting.tcp;
    let capacity = &mut setting.capacity;
    match cursor.word("a knob")? {
        "timestamps" => tcp.timestamps = switch(cursor)?,
        "sack" => tcp.sack = switch(cursor)?,
        "window_scaling" => tcp.window_scaling = switch(cursor)?,
        "tw_reuse" => tcp.tw_reuse = switch(cursor)?,
        "slow_start_after_idle" => tcp.slow_start_after_idle = switch(cursor)?,
        "syncookies" => tcp.syncookies = choice(cursor, COOKIES)?,
        "congestion_control" => tcp.congestion_control = choice(cursor, CONTROLS)?,
        "syn_retries" => tcp.syn_retries = small(cursor, 0)?,
        "synack_retries" => tcp.synack_retries = small(cursor, 0)?,
        "retries2" => tcp.retries2 = small(cursor, 0)?,
        "orphan_retries" => tcp.orphan_retries = small(cursor, 0)?,
        "initial_window" => tcp.initial_window = small(cursor, 1)?,
        "fin_timeout" => tcp.fin_timeout = time(cursor)?,
        "time_wait" => tcp.time_wait = time(cursor)?,
        "rto_min" => tcp.rto_min = time(cursor)?,
        "rto_max" => tcp.rto_max = time(cursor)?,
        "delayed_ack" => tcp.delayed_ack = time(cursor)?,
        "invalid_ratelimit" => tcp.invalid_ratelimit = time(cursor)?,
        "challenge_ack_limit" => tcp.challenge_ack_limit = amount(cursor, 0, LIMIT_MAX)?,
        "reset_limit" => tcp.reset_limit = amount(cursor, 0, LIMIT_MAX)?,
        "mtu" => setting.mtu = amount(cursor, MTU_MIN, MTU_MAX)? as u16,
        "ephemeral_ports" => {
            let first = amount(cursor, 1, u16::MAX as u32)? as u16;
            cursor.expect("/")?;
            let last = cursor.number("the last port", u16::MAX as u64)? as u16;
            setting.ephemeral_ports = (first, last.max(first));
        }
        "connections" => capacity.connections = amount(cursor, 1, ROOM_MAX)?,
        "flights" => capacity.flights = amount(cursor, 1, ROOM_MAX)?,
        "half_open" => capacity.half_open = amount(cursor, 1, ROOM_MAX)?,
        "time_waits" => capacity.time_wait = amount(cursor, 1, ROOM_MAX)?,
        "chunks" => capacity.chunks = amount(cursor, 1, ROOM_MAX)?,
        "send_buffer" => capacity.send_buffer_bytes = amount(cursor, 1, 1 << 22)?,
        "receive_window" => {
            capacity.receive_window_bytes =
                amount(cursor, RECEIVE_WINDOW_BYTES_MIN, RECEIVE_WINDOW_BYTES_MAX)?;
        }
        _ => return start.error("a knob of Config, Tcp, SocketOptions or Capacity"),
    }
    Ok(())
}

fn switch(cursor: &mut Cursor<'_>) -> Read<bool> {
    choice(cursor, &[("0", false), ("1", true)])
}

fn choice<T: Copy>(cursor: &mut Cursor<'_>, choices: &[(&str, T)]) -> Read<T> {
    cursor.expect("=")?;
    cursor.one_of("one of", choices)
}

fn small(cursor: &mut Cursor<'_>, least: u32) -> Read<u8> {
    Ok(amount(cursor, least, u8::MAX as u32)? as u8)
}

fn amount(cursor: &mut Cursor<'_>, least: u32, most: u32) -> Read<u32> {
    cursor.expect("=")?;
    let start = *cursor;
    match cursor.number("a number", most as u64)? as u32 {
        number if number >= least => Ok(number),
        _ => start.error(format!("a number, at least {least}")),
    }
}

fn time(cursor: &mut Cursor<'_>) -> Read<Duration> {
    cursor.expect("=")?;
    Ok(Duration(cursor.seconds("a time")?))
}

const COOKIES: &[(&str, SynCookies)] =
    &[("never", SynCookies::Never), ("full", SynCookies::WhenFull), ("always", SynCookies::Always)];
const CONTROLS: &[(&str, CongestionControl)] =
    &[("reno", CongestionControl::NewReno), ("cubic", CongestionControl::Cubic)];
/// The smallest MTU that both families can live with.
const MTU_MIN: u32 = 1280;
/// What a slot without gathering holds.
const MTU_MAX: u32 = 9_000;
/// The most of anything a script needs: memory is taken for all of it.
const ROOM_MAX: u32 = 16_384;
/// The highest rate limit.
const LIMIT_MAX: u32 = 1_000_000;
