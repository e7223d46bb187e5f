//! Limits of servers that move: by load (`minconn` and `fullconn`), and while a server starts slowly.
//!
//! With little load a server takes few sessions at once, so that they end quickly; with `fullconn`
//! sessions in its backend it takes `maxconn`. The home of a server's slots keeps its limit; what it
//! knows of the load of other cores is a millisecond old.

use crate::pools::UNLIMITED;
use crate::proxy::Proxy;
use crate::server::WARM;

impl Proxy {
    /// Sessions have come to a backend or have left it, on whichever core.
    #[inline]
    pub(crate) fn load_of_backend_changed(&mut self, backend: u16) {
        if self.setup.fullconns[backend as usize].is_some() {
            self.set_limits(backend);
        }
    }

    /// The limits of a backend's servers are what load and warmth make them.
    pub(crate) fn set_limits(&mut self, backend: u16) {
        let sessions = self.gauges.total(self.gauges.backend(backend));
        let fullconn = self.setup.fullconns[backend as usize];
        for server in self.setup.servers_of(backend) {
            let description = self.setup.server(server);
            let pool = self.setup.pools.servers[server as usize];
            let Some(pool) = pool else { continue };
            let most = match self.servers[server as usize].standing.maxconn {
                0 => UNLIMITED,
                most => most,
            };
            let least = description.minconn.unwrap_or(most).min(most);
            let by_load = fullconn.map_or(most, |full| by_load(sessions, full, least, most));
            let warmth = self.servers[server as usize].standing.warmth.min(WARM);
            let limit = u64::from(by_load) * u64::from(warmth) / u64::from(WARM);
            self.slots.set_limit(pool, (limit as u32).max(1));
        }
    }
}

/// What a server of `least` to `most` sessions takes while its backend has `sessions`: in proportion
/// to `full`, from which on it takes all.
fn by_load(sessions: u32, full: u32, least: u32, most: u32) -> u32 {
    if sessions >= full {
        return most;
    }
    let part = u64::from(sessions) * u64::from(most) / u64::from(full);
    least.max(part as u32)
}

#[cfg(test)]
mod tests {
    //! A limit that moves with the load, as HAProxy's `srv_dynamic_maxconn` has it.

    use penstock_config::haproxy::grammar::{File, Input};

    use super::by_load;

    #[test]
    fn a_backend_is_full_with_a_tenth_of_what_can_come_to_it() {
        let text = "\
defaults
    timeout client 1s
    timeout server 1s
    timeout connect 1s
frontend by_default
    bind :80
    maxconn 101
    use_backend shared if { src 10.0.0.1 }
    use_backend shared if { src 10.0.0.2 }
    default_backend alone
frontend by_rule
    bind :81
    maxconn 200
    use_backend shared if { src 10.0.0.1 }
    default_backend shared
backend alone
    server s 10.0.0.3:80 minconn 1 maxconn 9
backend shared
    server s 10.0.0.3:80 minconn 1 maxconn 9
backend said
    fullconn 7
    server s 10.0.0.3:80 minconn 1 maxconn 9
backend nowhere
    server s 10.0.0.3:80 minconn 1 maxconn 9
backend unmoved
    server s 10.0.0.3:80 maxconn 9
";
        let file = File { name: "a.cfg", bytes: text.as_bytes() };

        let setup = crate::read(&Input::of(&[file])).setup.expect("a good configuration");
        assert_eq!(setup.fullconns, [Some(11), Some(31), Some(7), Some(1), None]);
    }

    #[test]
    fn the_limit_is_in_proportion_to_the_load() {
        // maxconn 100, minconn 10, fullconn 1000.
        for (sessions, limit) in
            [(0, 10), (99, 10), (100, 10), (110, 11), (119, 11), (500, 50), (999, 99), (1000, 100)]
        {
            assert_eq!(by_load(sessions, 1000, 10, 100), limit, "{sessions} sessions");
        }
        assert_eq!(by_load(5000, 1000, 10, 100), 100, "never more than maxconn");
        assert_eq!(by_load(1, 1000, 100, 100), 100, "one limit does not move");
        assert_eq!(by_load(u32::MAX - 1, u32::MAX, 1, u32::MAX), u32::MAX - 1);
    }
}
