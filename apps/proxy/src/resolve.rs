//! Names of servers, while the proxy runs: `resolvers` of a `server`.
//!
//! ```text
//!   control plane: a name has these addresses now ─▶ core 0: each server keeps its own if it is still
//!   there, else takes one that no other of that name has ─▶ every core: here it is; the log
//! ```
//! A server without one is in maintenance; how long one counts that is not told any more, `resolvers` says
//! (`hold`), and the control plane knows. Servers that name no resolvers take the first address,
//! silently, on each core by itself, if `init-addr` lets them ask.

use penstock_config::haproxy::{Address, Nameless};
use penstock_control::Absence;
use penstock_stack::Cx;
use penstock_wire::Addr;

use crate::check::{Step, Teller, write_address, write_ready};
use crate::cores;
use crate::proxy::Proxy;
use crate::server::Standing;
use crate::transition::{ALERT, NOTICE, names};

impl Proxy {
    /// A name has these addresses from now on, or none.
    pub(crate) fn resolved(&mut self, cx: &mut Cx<'_>, name: u16, found: Result<&[Addr], Absence>) {
        let setup = self.setup;
        let addresses = found.unwrap_or_default();
        let Some(servers) = setup.named.get(usize::from(name)) else { return };
        let cause = match found {
            Ok([]) | Err(Absence::NoSuchName) => "DNS NX status",
            Ok(_) => "No IP for server ",
            Err(Absence::Silence) => "DNS timeout status",
            Err(Absence::Refusal) => "DNS refused status",
            Err(Absence::NoAddress | Absence::Failure) => "unspecified DNS error",
        };
        for &server in servers {
            if setup.server(server).resolvers.is_none() {
                self.answered(cx, server, addresses.first().copied(), cause);
            }
        }
        if self.core != 0 {
            return;
        }
        let followers =
            || servers.iter().copied().filter(|&it| setup.server(it).resolvers.is_some());
        for server in followers() {
            let addr = self.servers[usize::from(server)].addr;
            if addr.is_some_and(|addr| addresses.contains(&addr)) {
                continue;
            }
            // Of one section: others may well go to the same place.
            let backend = setup.backend_of(server);
            let may_share = setup.server(server).shares_address;
            let is_free = |addr: &&Addr| {
                may_share
                    || followers()
                        .filter(|&it| setup.backend_of(it) == backend && it != server)
                        .all(|other| self.servers[usize::from(other)].addr != Some(**addr))
            };
            let free = addresses.iter().find(is_free).copied();
            let by = match followers().next() == Some(server) {
                true => Teller::NameServer,
                false => Teller::Cache,
            };
            self.move_server(cx, server, free, (by, cause));
        }
    }

    /// A name that nobody follows leads there now, or nowhere: then `init-addr` says what its server is.
    fn answered(&mut self, cx: &mut Cx<'_>, server: u16, found: Option<Addr>, cause: &str) {
        let otherwise = self.setup.server(server).init_addr.otherwise;
        let state = &mut self.servers[usize::from(server)];
        let instead = match otherwise {
            Nameless::At(addr) => Some(addr),
            Nameless::Waits | Nameless::InMaintenance => None,
        };
        let before = core::mem::replace(&mut state.addr, found.or(instead));
        let is_in_maintenance = state.standing.is_in_maintenance;
        if self.core != 0 || otherwise != Nameless::InMaintenance {
            return;
        }
        match found {
            None if !is_in_maintenance => self.take_out(cx, server, cause),
            Some(_) if before.is_none() => self.bring_in(cx, server),
            _ => {}
        }
    }

    /// A server is somewhere else now, or nowhere.
    fn move_server(
        &mut self,
        cx: &mut Cx<'_>,
        server: u16,
        addr: Option<Addr>,
        (by, cause): (Teller, &str),
    ) {
        let setup = self.setup;
        let description = setup.server(server);
        let backend = setup.backend(setup.backend_of(server));
        let state = &mut self.servers[usize::from(server)];
        let before = core::mem::replace(&mut state.addr, addr);
        let was_silent = !core::mem::replace(&mut state.is_resolved, true);
        let standing = state.standing;
        self.tell_address(cx, server);
        let named = names(backend, description);
        let Some(addr) = addr else {
            if !standing.is_in_maintenance {
                self.take_out(cx, server, cause);
            }
            return;
        };
        if was_silent && description.init_addr.asks {
            return;
        }
        let resolvers = &setup.proxies.resolvers[usize::from(description.resolvers.unwrap_or(0))];
        self.say(cx, backend, NOTICE, |line| {
            write_address(named, before, addr, (by, resolvers), line)
        });
        if before.is_none() {
            self.bring_in(cx, server);
        }
    }

    /// A server that was nowhere, and in maintenance for that, is somewhere.
    fn bring_in(&mut self, cx: &mut Cx<'_>, server: u16) {
        let setup = self.setup;
        let description = setup.server(server);
        let backend = setup.backend(setup.backend_of(server));
        let named = names(backend, description);
        let standing = self.servers[usize::from(server)].standing;
        let Address::Name(name) = &description.address else { return };
        if standing.is_in_maintenance && !description.disabled {
            let mut now = Standing { is_in_maintenance: false, ..standing };
            self.check_or_not(cx, server, &mut now);
            let is_drained = standing.is_in_drain;
            let step = Step::Resolves { is_up: now.is_up, is_drained, name };
            self.take_step(cx, server, now, (step, NOTICE), None);
            self.say(cx, backend, NOTICE, |line| write_ready(named, line));
        }
    }

    /// A server that is nowhere is in maintenance.
    fn take_out(&mut self, cx: &mut Cx<'_>, server: u16, cause: &str) {
        let before = self.servers[usize::from(server)].standing;
        let mut standing = Standing { is_in_maintenance: true, ..before };
        self.check_or_not(cx, server, &mut standing);
        let (step, level) = match before.is_up {
            true if before.takes_new() => (Step::Leaves { cause }, ALERT),
            true => (Step::Leaves { cause }, NOTICE),
            false => (Step::WasDown { cause }, NOTICE),
        };
        self.take_step(cx, server, standing, (step, level), None);
    }

    /// Tells the other cores where a server is.
    pub(crate) fn tell_address(&mut self, cx: &mut Cx<'_>, server: u16) {
        let words = cores::address_words(server, self.servers[usize::from(server)].addr);
        for core in 0..cx.cores() {
            if core != self.core && cx.tell(core, &words).is_err() {
                self.told_late(cx, core);
            }
        }
    }
}
