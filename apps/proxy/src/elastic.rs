//! Limits of servers that move: by load (`minconn` and `fullconn`), and while a server starts slowly.
//!
//! With little load a server takes few sessions at once, so that they end quickly; with `fullconn`
//! sessions in its backend it takes `maxconn`. The home of a server's slots keeps its limit; what it
//! knows of the load of other cores is a millisecond old.

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
            let Some((pool, most)) = pool.zip(description.maxconn) else { continue };
            let least = description.minconn.unwrap_or(most).min(most);
            let by_load = match fullconn {
                Some(full) if sessions < full && least < most => {
                    let part = u64::from(sessions) * u64::from(most) / u64::from(full);
                    least.max(part as u32)
                }
                _ => most,
            };
            let warmth = self.servers[server as usize].standing.warmth.min(WARM);
            let limit = u64::from(by_load) * u64::from(warmth) / u64::from(WARM);
            self.slots.set_limit(pool, (limit as u32).max(1));
        }
    }
}
