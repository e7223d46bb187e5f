//! `sysctl.net.*`: Linux's knobs, as Linux spells them on its own boot line
//! (`Documentation/networking/ip-sysctl.rst`).
//!
//! Numbers that bound a table bound it on each core, because each core has its own.

use core::ops::RangeInclusive;

use penstock_stack::{
    CongestionControl, Duration, RECEIVE_WINDOW_BYTES_MAX, RECEIVE_WINDOW_BYTES_MIN, SynCookies,
    rfd,
};

use crate::machine::{DONE, Key, Machine, Outcome, choice, number};

pub(crate) const KEYS: &[Key] = &[
    ("sysctl.net.ipv4.tcp_timestamps", |machine, value| {
        machine.tcp.timestamps = switch(value)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_sack", |machine, value| {
        machine.tcp.sack = switch(value)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_window_scaling", |machine, value| {
        machine.tcp.window_scaling = switch(value)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_tw_reuse", |machine, value| {
        machine.tcp.tw_reuse = switch(value)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_slow_start_after_idle", |machine, value| {
        machine.tcp.slow_start_after_idle = switch(value)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_syncookies", |machine, value| {
        let choices =
            [("0", SynCookies::Never), ("1", SynCookies::WhenFull), ("2", SynCookies::Always)];
        machine.tcp.syncookies =
            choice(value, &choices, "0 (never), 1 (when the backlog is full) or 2 (always)")?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_congestion_control", |machine, value| {
        let choices = [("reno", CongestionControl::NewReno), ("cubic", CongestionControl::Cubic)];
        machine.tcp.congestion_control = choice(value, &choices, "cubic or reno")?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_syn_retries", |machine, value| {
        machine.tcp.syn_retries = number(value, 1, 127, "a number from 1 to 127")? as u8;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_synack_retries", |machine, value| {
        machine.tcp.synack_retries = retries(value)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_retries2", |machine, value| {
        machine.tcp.retries2 = retries(value)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_orphan_retries", |machine, value| {
        // Linux's 0 means 8.
        machine.tcp.orphan_retries = match retries(value)? {
            0 => 8,
            retries => retries,
        };
        DONE
    }),
    ("sysctl.net.ipv4.tcp_fin_timeout", |machine, value| {
        let seconds = number(value, 1, 3600, "seconds, from 1 to 3600")?;
        machine.tcp.fin_timeout = Duration::from_secs(seconds as u64);
        DONE
    }),
    ("sysctl.net.ipv4.tcp_rto_min_us", |machine, value| {
        let us = number(value, 5_000, 120_000_000, "microseconds, from 5000 to 120000000")?;
        machine.tcp.rto_min = Duration::from_micros(us as u64);
        DONE
    }),
    ("sysctl.net.ipv4.tcp_invalid_ratelimit", |machine, value| {
        let ms = number(value, 0, 60_000, "milliseconds, from 0 to 60000")?;
        machine.tcp.invalid_ratelimit = Duration::from_millis(ms as u64);
        DONE
    }),
    ("sysctl.net.ipv4.tcp_challenge_ack_limit", |machine, value| {
        machine.tcp.challenge_ack_limit = number(value, 0, 1 << 20, "a number up to 1048576")?;
        DONE
    }),
    ("sysctl.net.ipv4.icmp_msgs_per_sec", |machine, value| {
        machine.tcp.reset_limit = number(value, 0, 1 << 20, "a number up to 1048576")?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_max_syn_backlog", |machine, value| {
        machine.capacity.half_open = number(value, 1, 1 << 20, "a number from 1 to 1048576")?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_max_tw_buckets", |machine, value| {
        machine.capacity.time_wait = number(value, 1, 1 << 22, "a number from 1 to 4194304")?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_rmem", |machine, value| {
        let bounds = RECEIVE_WINDOW_BYTES_MIN..=RECEIVE_WINDOW_BYTES_MAX;
        let expected = "bytes, or Linux's three numbers, the greatest from 4096 to 1044480";
        machine.capacity.receive_window_bytes = memory(value, bounds, expected)?;
        DONE
    }),
    ("sysctl.net.ipv4.tcp_wmem", |machine, value| {
        let expected = "bytes, or Linux's three numbers, the greatest from 4096 to 16777216";
        machine.capacity.send_buffer_bytes = memory(value, 4096..=1 << 24, expected)?;
        DONE
    }),
    ("sysctl.net.ipv4.ip_local_port_range", ports),
    ("sysctl.net.ipv4.conf.all.route_localnet", |machine, value| {
        machine.tcp.route_localnet = switch(value)?;
        DONE
    }),
    ("sysctl.net.core.somaxconn", |_, value| {
        number(value, 0, u32::MAX, "a number")?;
        Ok(Some("there is no accept queue: an application has a connection at once"))
    }),
];

fn switch(value: &str) -> Result<bool, &'static str> {
    choice(value, &[("0", false), ("1", true)], "0 or 1")
}

fn retries(value: &str) -> Result<u8, &'static str> {
    number(value, 0, 255, "a number from 0 to 255").map(|retries| retries as u8)
}

/// Linux's "least default most", of which the most is what counts here; or that number alone.
fn memory(
    value: &str,
    bounds: RangeInclusive<u32>,
    expected: &'static str,
) -> Result<u32, &'static str> {
    let mut last = 0;
    let mut count = 0;
    for word in words(value) {
        let next = number(word, 1, *bounds.end(), expected)?;
        if next < last {
            return Err(expected);
        }
        (last, count) = (next, count + 1);
    }
    let whole = count == 1 || count == 3;
    if whole && bounds.contains(&last) { Ok(last) } else { Err(expected) }
}

fn ports(machine: &mut Machine, value: &str) -> Outcome {
    let expected = "two ports in order, such as 32768-65535";
    let mut ends = words(value);
    let (Some(first), Some(last), None) = (ends.next(), ends.next(), ends.next()) else {
        return Err(expected);
    };
    let first = number(first, 1, 65_535, expected)? as u16;
    let last = number(last, 1, 65_535, expected)? as u16;
    rfd::PortRange::new(first, last).ok_or(expected)?;
    machine.ephemeral_ports = (first, last);
    DONE
}

/// Numbers apart by spaces, as in Linux's files, or by what needs no quotes.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', ',', '-']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    //! Each knob turns what it names, in Linux's units and within bounds the stack accepts.

    use super::*;
    use crate::Boot;
    use alloc::format;

    fn good(text: &str) -> Machine {
        let boot = Boot::parse(&format!("sysctl.net.ipv4.{text}"));
        assert_eq!(boot.errors, [], "{text}");
        boot.machine
    }

    #[test]
    fn switches() {
        assert!(!good("tcp_timestamps=0").tcp.timestamps);
        assert!(!good("tcp_sack=0").tcp.sack);
        assert!(!good("tcp_window_scaling=0").tcp.window_scaling);
        assert!(!good("tcp_tw_reuse=0").tcp.tw_reuse);
        assert!(!good("tcp_slow_start_after_idle=0").tcp.slow_start_after_idle);
        assert_eq!(good("tcp_syncookies=2").tcp.syncookies, SynCookies::Always);
        let control = good("tcp_congestion_control=reno").tcp.congestion_control;
        assert_eq!(control, CongestionControl::NewReno);
    }

    #[test]
    fn numbers() {
        assert_eq!(good("tcp_syn_retries=3").tcp.syn_retries, 3);
        assert_eq!(good("tcp_synack_retries=0").tcp.synack_retries, 0);
        assert_eq!(good("tcp_retries2=8").tcp.retries2, 8);
        assert_eq!(good("tcp_orphan_retries=0").tcp.orphan_retries, 8);
        assert_eq!(good("tcp_fin_timeout=5").tcp.fin_timeout, Duration::from_secs(5));
        assert_eq!(good("tcp_rto_min_us=5000").tcp.rto_min, Duration::from_millis(5));
        assert_eq!(good("tcp_invalid_ratelimit=1").tcp.invalid_ratelimit.millis(), 1);
        assert_eq!(good("tcp_challenge_ack_limit=7").tcp.challenge_ack_limit, 7);
        assert_eq!(good("icmp_msgs_per_sec=9").tcp.reset_limit, 9);
        assert_eq!(good("tcp_max_syn_backlog=512").capacity.half_open, 512);
        assert_eq!(good("tcp_max_tw_buckets=99").capacity.time_wait, 99);
    }

    #[test]
    fn buffers_and_ports() {
        let machine = good("tcp_rmem='4096 131072 1044480'");
        assert_eq!(machine.capacity.receive_window_bytes, RECEIVE_WINDOW_BYTES_MAX);
        assert_eq!(good("tcp_rmem=4096").capacity.receive_window_bytes, RECEIVE_WINDOW_BYTES_MIN);
        assert_eq!(good("tcp_wmem=4096,16384,65536").capacity.send_buffer_bytes, 65_536);
        for text in ["40000 50000", "40000-50000", "40000,50000"] {
            let machine = good(&format!("ip_local_port_range='{text}'"));
            assert_eq!(machine.ephemeral_ports, (40_000, 50_000));
        }
    }

    #[test]
    fn what_the_stack_would_refuse_is_refused_here() {
        for text in [
            "tcp_rmem=4095",
            "tcp_rmem=1044481",
            "tcp_rmem=1,2",
            "tcp_rmem=9000,8000,7000",
            "tcp_wmem=",
            "ip_local_port_range=50000-40000",
            "ip_local_port_range=0-1",
            "ip_local_port_range=40000",
            "ip_local_port_range=1-2-3",
            "tcp_sack=2",
            "tcp_max_syn_backlog=0",
            "tcp_fin_timeout=0",
            "tcp_syncookies=3",
            "tcp_syn_retries=0",
        ] {
            let boot = Boot::parse(&format!("sysctl.net.ipv4.{text}"));
            assert_eq!(boot.errors.len(), 1, "{text}");
        }
    }

    #[test]
    fn the_accept_queue_that_is_not_there() {
        let boot = Boot::parse("sysctl.net.core.somaxconn=65535");
        assert_eq!((boot.errors.len(), boot.notices.len()), (0, 1));
    }
}
