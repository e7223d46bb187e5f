//! How long a session may wait, by HAProxy's words.

use penstock_stack::Duration;

/// How long a session may wait; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// For the server to answer the handshake (`timeout connect`).
    pub connect: Option<Duration>,
    /// For the client to say or to take something (`timeout client`).
    pub client: Option<Duration>,
    /// For the server (`timeout server`).
    pub server: Option<Duration>,
    /// For the client, once our FIN is on its way to it (`timeout client-fin`).
    pub client_fin: Option<Duration>,
    /// For the server, once our FIN is on its way to it (`timeout server-fin`).
    pub server_fin: Option<Duration>,
    /// For either, in place of `client` and `server` once both are connected (`timeout tunnel`).
    pub tunnel: Option<Duration>,
}

impl Timeouts {
    /// What holds for one end of a session.
    pub(crate) fn of(
        &self,
        is_server: bool,
        is_shut: bool,
        is_connected: bool,
    ) -> Option<Duration> {
        let (own, fin) = match is_server {
            true => (self.server, self.server_fin),
            false => (self.client, self.client_fin),
        };
        fin.filter(|_| is_shut).or(self.tunnel.filter(|_| is_connected)).or(own)
    }
}
