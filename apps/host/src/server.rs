//! The demo server under this host.

use penstock_server::{Server, Statistics};
use penstock_stack::{Counters, Cx};

use crate::core_loop::Service;

impl Service for Server {
    type Seen = Statistics;

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        Server::start(self, cx)
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        Server::stop(self, cx);
    }

    fn watches(&self) -> bool {
        self.arguments().verbose
    }

    fn second(&self, counters: &Counters, seen: &mut Statistics) -> String {
        let now = self.statistics(counters);
        let line = now.since(seen).to_string();
        *seen = now;
        line
    }
}
