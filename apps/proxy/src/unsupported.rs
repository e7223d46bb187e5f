//! What the language knows and the proxy does otherwise than it is said: refused, or told.

use alloc::format;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use penstock_config::haproxy::grammar::{Message, Severity};
use penstock_config::haproxy::{Proxies, StickTable};

use crate::limits;

/// What `mss` can be, as Linux takes it (TCP_MIN_MSS, MAX_TCP_WINDOW). HAProxy lowers what it sends
/// by a negative one, which Linux does not heed once the connection is there.
const MSS: RangeInclusive<i16> = 88..=32_767;

/// What there is to say: an alert where a session would not be treated as the configuration has it.
pub(crate) fn messages(proxies: &Proxies) -> Vec<Message> {
    let mut messages = Vec::new();
    let binds = proxies.frontends.iter().filter(|it| it.binds.iter().any(|bind| bind.fast_open));
    let servers = proxies.backends.iter().filter(|it| it.servers.iter().any(|at| at.fast_open));
    for section in binds
        .map(|frontend| format!("frontend '{}' : 'bind .. tfo'", frontend.name))
        .chain(servers.map(|backend| format!("backend '{}' : 'server .. tfo'", backend.name)))
    {
        let text = format!("{section} is not supported yet.");
        messages.push(Message { severity: Severity::Notice, text });
    }
    for frontend in &proxies.frontends {
        let sizes = frontend.binds.iter().filter_map(|bind| bind.mss);
        for mss in sizes.filter(|mss| !MSS.contains(mss)) {
            let (name, least, most) = (&frontend.name, MSS.start(), MSS.end());
            let text =
                format!("frontend '{name}' : 'bind .. mss {mss}' : expects {least} to {most}.");
            messages.push(Message { severity: Severity::Alert, text });
        }
    }
    for StickTable { name, size, .. } in &proxies.tables {
        if *size as usize > limits::TABLE_KEYS {
            let (severity, most) = (Severity::Notice, limits::TABLE_KEYS);
            let text = format!("stick-table '{name}' : has room for {most} keys of {size}.");
            messages.push(Message { severity, text });
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    //! What would be done otherwise is refused, and what has no effect is told.

    use std::string::ToString;

    use penstock_config::haproxy::grammar::{File, Input};

    fn read(line: &str) -> crate::Read {
        let text = std::format!("listen a\n bind :80\n server s 10.0.0.3:80\n {line}\n");
        let file = File { name: "a.cfg", bytes: text.as_bytes() };
        crate::read(&Input::of(&[file]))
    }

    #[test]
    fn a_size_that_linux_would_not_take_is_refused() {
        assert!(read("maxconn 10").setup.is_some());
        assert!(read("bind :81 mss 88").setup.is_some());
        for (line, what) in [
            ("bind :81 mss -100", "'bind .. mss -100' : expects 88 to 32767."),
            ("bind :81 mss 87", "'bind .. mss 87' : expects 88 to 32767."),
        ] {
            let read = read(line);
            assert!(read.setup.is_none(), "{line}");
            let said = read.messages.iter().any(|message| message.text.to_string().contains(what));
            assert!(said, "{line}: {:?}", read.messages);
        }
    }

    #[test]
    fn a_hint_without_effect_is_told() {
        for (line, what) in [
            ("bind :81 tfo", "'bind .. tfo'"),
            ("server t 10.0.0.3:80 tfo", "'server .. tfo'"),
            ("stick-table type ip size 1m", "room for 65536 keys of 1048576"),
        ] {
            let read = read(line);
            assert!(read.setup.is_some(), "{line}: {:?}", read.messages);
            let said = read.messages.iter().any(|message| message.text.to_string().contains(what));
            assert!(said, "{line}: {:?}", read.messages);
        }
    }
}
