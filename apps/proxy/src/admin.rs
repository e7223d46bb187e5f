//! What somebody wants of a server, whatever its checks say: maintenance, drain, a weight, a limit.
//!
//! On core 0, which tells the others and the log. HAProxy's sentences. Servers that track it do the
//! same.

use penstock_stack::Cx;

use crate::check::{Admin, Names, Orders, Step, Tally};
use crate::proxy::Proxy;
use crate::server::Standing;
use crate::transition::{ALERT, NOTICE};

impl Proxy {
    /// Does what an agent wants of a server.
    pub(crate) fn obey(&mut self, cx: &mut Cx<'_>, server: u16, orders: Orders) {
        let Orders { admin, weight, maxconn } = orders;
        match admin {
            Some(Admin::Ready) => {
                self.set_drain(cx, server, false, None);
                self.set_maintenance(cx, server, false, None);
            }
            Some(Admin::Drain) => {
                self.set_drain(cx, server, true, None);
                self.set_maintenance(cx, server, false, None);
            }
            Some(Admin::Maintenance) => {
                self.set_maintenance(cx, server, true, None);
                self.set_drain(cx, server, false, None);
            }
            None => {}
        }
        let standing = self.servers[usize::from(server)].standing;
        let wanted = Standing {
            weight: weight.unwrap_or(standing.weight),
            maxconn: maxconn.unwrap_or(standing.maxconn),
            ..standing
        };
        if wanted != standing {
            let tally = self.restand(cx, server, wanted);
            self.tell_if_last(cx, server, &tally);
        }
    }

    /// Takes a server out, or puts it back. `via`: the server that it tracks was.
    fn set_maintenance(
        &mut self,
        cx: &mut Cx<'_>,
        server: u16,
        enters: bool,
        via: Option<Names<'static>>,
    ) {
        let before = self.servers[usize::from(server)].standing;
        if before.is_in_maintenance == enters {
            return;
        }
        let mut standing = Standing { is_in_maintenance: enters, ..before };
        self.check_or_not(cx, server, &mut standing);
        let why = if via.is_some() { "" } else { "forced " };
        let step = match (enters, before.is_up) {
            (true, true) => Step::Leaves { cause: "" },
            (true, false) => Step::WasDown { cause: "" },
            (false, _) => {
                Step::Returns { is_up: standing.is_up, is_drained: before.is_in_drain, why }
            }
        };
        let level = match step {
            Step::Leaves { .. } if !before.is_drained && !before.is_in_drain => ALERT,
            _ => NOTICE,
        };
        self.take_step(cx, server, standing, (step, level), via);
        if !enters && before.is_in_drain {
            self.say_step(cx, server, (Step::StaysDrained, NOTICE), via, Tally::default());
        }
        self.each_follower(cx, server, |proxy, cx, follower, leader| {
            proxy.set_maintenance(cx, follower, enters, Some(leader));
        });
    }

    /// Lets a server serve whom it has alone, or everybody again.
    fn set_drain(
        &mut self,
        cx: &mut Cx<'_>,
        server: u16,
        enters: bool,
        via: Option<Names<'static>>,
    ) {
        let before = self.servers[usize::from(server)].standing;
        if before.is_in_drain == enters {
            return;
        }
        let standing = Standing { is_in_drain: enters, ..before };
        if before.is_in_maintenance {
            // Nothing is said of who serves nobody anyway.
            self.set_standing(cx, server, standing);
        } else {
            let is_up = before.is_up;
            let step = if enters { Step::Drains { is_up } } else { Step::DrainsNoMore { is_up } };
            self.take_step(cx, server, standing, (step, NOTICE), via);
        }
        self.each_follower(cx, server, |proxy, cx, follower, leader| {
            proxy.set_drain(cx, follower, enters, Some(leader));
        });
    }
}
