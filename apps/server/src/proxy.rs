//! Proxy mode: each client is given a backend, in turn, when it has said something. The bytes are
//! the relay's business; this is what is done about backends that are not there.

use penstock_http::Status;
use penstock_relay::{Ended, Opening, Reason, Said};
use penstock_stack::{ConnId, ConnectError, Cx, Origin};

use crate::client::{Client, Stage};
use crate::server::{OPTIONS, Server};

impl Server {
    /// The first bytes of a client: they wait until its backend has answered.
    pub(crate) fn proxy_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let backend = self.backends[self.backend_next];
        self.backend_next = (self.backend_next + 1) % self.backends.len();
        let opening = Opening {
            server: backend,
            origin: Origin::default(),
            options: OPTIONS,
            manners: 0,
            said: Said::Stored,
            has_ended: false,
        };
        match self.relay.open(cx, conn, opening) {
            Ok(server) => {
                self.counts.requests += 1;
                self.clients[conn.index()].stage = Stage::Relayed;
                self.clients[server.index()] = Client::new(Stage::Relayed, 0);
                self.relay.on_data(cx, conn, bytes)
            }
            Err(error) => {
                self.refuse(cx, conn, status_of(error));
                bytes.len()
            }
        }
    }

    /// A session has ended, or has not come about.
    pub(crate) fn relay_ended(&mut self, cx: &mut Cx<'_>, ended: Ended) {
        let Ended { client, server, reason, .. } = ended;
        self.clients[server.index()] = Client::GONE;
        match reason {
            Reason::Unconnected(_) => self.turn_away(cx, client, Status::BAD_GATEWAY),
            Reason::ConnectTimeout => self.turn_away(cx, client, Status::GATEWAY_TIMEOUT),
            Reason::ClientTimeout | Reason::ServerTimeout => {
                self.counts.timeouts += 1;
                self.forget(client);
            }
            Reason::Abandoned | Reason::Mute => self.abandon(cx, client),
            Reason::Finished | Reason::Client(_) | Reason::Server(_) => self.forget(client),
        }
    }

    /// Tells a client why it gets nothing, and throws away what it has said.
    fn turn_away(&mut self, cx: &mut Cx<'_>, client: ConnId, status: Status) {
        self.refuse(cx, client, status);
        cx.resume(client);
    }
}

fn status_of(error: ConnectError) -> Status {
    match error {
        ConnectError::NoRoute | ConnectError::BadDestination | ConnectError::NoAddress => {
            Status::BAD_GATEWAY
        }
        ConnectError::PortsExhausted
        | ConnectError::TooManyConnections
        | ConnectError::NoMemory => Status::SERVICE_UNAVAILABLE,
    }
}
