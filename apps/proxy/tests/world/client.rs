//! Clients: each says something, and hears what a server makes of it.

use std::collections::BTreeMap;
use std::fmt;

use penstock_stack::{App, Close, ConnId, Cx, Duration, Instant};

/// What one client does and has seen.
#[derive(Clone, Default)]
pub(crate) struct Client {
    /// What it says, and how much of it has gone.
    pub(crate) says: Vec<u8>,
    pub(crate) said: usize,
    /// Its FIN follows what it says.
    pub(crate) shuts: bool,
    /// It says no more than so much at a time, and then waits so many milliseconds.
    pub(crate) piece: Option<(usize, u64)>,
    /// It takes nothing of what it is told for so many milliseconds.
    pub(crate) deaf_ms: u64,
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "client: said {} of {}, shuts: {}, leaves after {:?}, pieces {:?}, deaf for {} ms, heard {}, \
             connected at {:?}, ended {:?} at {:?}",
            self.said,
            self.says.len(),
            self.shuts,
            self.leaves_after,
            self.piece,
            self.deaf_ms,
            self.heard.len(),
            self.connected_at,
            self.end,
            self.ended_at,
        )
    }
}

impl Client {
    /// Says `says` and closes its side.
    pub(crate) fn saying(says: &[u8]) -> Client {
        Client { says: says.to_vec(), shuts: true, ..Client::default() }
    }

    fn speak(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let (piece, pause_ms) = self.piece.unwrap_or((usize::MAX, 0));
        if self.said < self.says.len() {
            let end = self.says.len().min(self.said.saturating_add(piece));
            self.said += cx.send(conn, &self.says[self.said..end]);
        }
        if self.said < self.says.len() && pause_ms > 0 {
            cx.set_timer(conn, Some(Duration::from_millis(pause_ms)));
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
        if client.deaf_ms > 0 {
            cx.pause(conn);
            cx.set_timer(conn, Some(Duration::from_millis(client.deaf_ms)));
        }
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
        if let Some(client) = self.by_conn.get_mut(&conn)
            && client.piece.is_none()
        {
            client.speak(cx, conn);
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if let Some(client) = self.by_conn.get_mut(&conn) {
            cx.resume(conn);
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
