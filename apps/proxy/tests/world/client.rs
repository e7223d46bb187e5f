//! Clients: each says something, and hears what a server makes of it.

use std::collections::BTreeMap;

use penstock_stack::{App, Close, ConnId, Cx, Instant};

/// What one client does and has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// What it says, and how much of it has gone.
    pub(crate) says: Vec<u8>,
    pub(crate) said: usize,
    /// Its FIN follows what it says.
    pub(crate) shuts: bool,
    /// It closes when it has heard so much.
    pub(crate) leaves_after: Option<usize>,
    pub(crate) heard: Vec<u8>,
    pub(crate) connected_at: Option<Instant>,
    pub(crate) heard_at: Option<Instant>,
    /// The other side has closed.
    pub(crate) is_closed: bool,
    /// How it ended.
    pub(crate) end: Option<Close>,
    pub(crate) ended_at: Option<Instant>,
}

impl Client {
    /// Says `says` and closes its side.
    pub(crate) fn saying(says: &[u8]) -> Client {
        Client { says: says.to_vec(), shuts: true, ..Client::default() }
    }

    fn speak(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if self.said < self.says.len() {
            self.said += cx.send(conn, &self.says[self.said..]);
        }
        if self.said == self.says.len() && self.shuts {
            cx.shutdown(conn);
        }
    }
}

/// All clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    pub(crate) by_conn: BTreeMap<ConnId, Client>,
    /// One that refuses whatever comes.
    pub(crate) deaf: Option<ConnId>,
}

impl App for Clients {
    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let Some(client) = self.by_conn.get_mut(&conn) else { return };
        client.connected_at = Some(cx.now());
        client.speak(cx, conn);
    }

    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        let Some(client) = self.by_conn.get_mut(&conn) else { return };
        (client.end, client.ended_at) = (Some(reason), Some(cx.now()));
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        if self.deaf == Some(conn) {
            return 0;
        }
        let Some(client) = self.by_conn.get_mut(&conn) else { return bytes.len() };
        client.heard_at.get_or_insert(cx.now());
        client.heard.extend_from_slice(bytes);
        if client.leaves_after.is_some_and(|bytes| client.heard.len() >= bytes) {
            client.ended_at = Some(cx.now());
            client.end = Some(Close::Finished);
            cx.close(conn);
        }
        bytes.len()
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        if let Some(client) = self.by_conn.get_mut(&conn) {
            client.speak(cx, conn);
        }
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let Some(client) = self.by_conn.get_mut(&conn) else { return };
        client.is_closed = true;
        client.ended_at = Some(cx.now());
        client.end = Some(Close::Finished);
        cx.close(conn);
    }

    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        let Some(client) = self.by_conn.get_mut(&conn) else { return };
        (client.end, client.ended_at) = (Some(reason), Some(cx.now()));
    }
}
