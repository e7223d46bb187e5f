//! The demo server as something an image can run.

use alloc::string::{String, ToString};

use penstock_server::{Server, Statistics};
use penstock_stack::{Counters, Cx};

use crate::serve::Service;

impl Service for Server {
    type Done = Statistics;

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        Server::start(self, cx).map_err(|error| error.to_string())
    }

    fn is_watched(&self) -> bool {
        self.arguments().verbose
    }

    fn done(&self, counters: &Counters) -> Statistics {
        self.statistics(counters)
    }

    fn since(now: &Statistics, before: &Statistics) -> Statistics {
        now.since(before)
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        Server::stop(self, cx);
    }
}
