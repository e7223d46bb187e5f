//! `observe layer4`: what sessions learn of a server counts towards its health.
//!
//! ```text
//!   a connection failed ─▶ core 0 counts ─▶ error-limit of them in a row ─▶ as on-error has it
//!   one came about ──────▶ core 0 forgets       (told only while there is something to forget)
//! ```

use penstock_stack::Cx;

use crate::cores;
use crate::limits;
use crate::proxy::Proxy;

impl Proxy {
    /// A connection to a server has failed.
    pub(crate) fn observe_failure(&mut self, cx: &mut Cx<'_>, server: u16) {
        if self.setup.server(server).observe.is_none() {
            return;
        }
        if self.core == 0 {
            return self.observed(cx, server, 1);
        }
        let untold = &mut self.untold_failures[usize::from(server)];
        *untold = untold.saturating_add(1);
        self.tell_failures(cx, server);
    }

    /// A connection to a server has come about.
    pub(crate) fn observe_success(&mut self, cx: &mut Cx<'_>, server: u16) {
        if !self.servers[usize::from(server)].standing.is_suspected {
            return;
        }
        if self.core == 0 {
            self.observed(cx, server, 0);
        } else {
            // Refused, it is told of the next one.
            let _ = cx.tell(0, &cores::observed_words(server, 0));
        }
    }

    /// Tells core 0 what it does not know of this server.
    fn tell_failures(&mut self, cx: &mut Cx<'_>, server: u16) {
        let untold = &mut self.untold_failures[usize::from(server)];
        if *untold > 0 && cx.tell(0, &cores::observed_words(server, *untold)).is_ok() {
            *untold = 0;
        }
        if *untold > 0 {
            self.tell_later(cx, cx.now() + limits::TELL_AGAIN_AFTER);
        }
    }

    /// The same of all servers, for what was refused before.
    pub(crate) fn tell_failures_again(&mut self, cx: &mut Cx<'_>) {
        for server in 0..self.untold_failures.len() as u16 {
            self.tell_failures(cx, server);
        }
    }
}
