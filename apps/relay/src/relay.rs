//! The sessions of one core.

use alloc::boxed::Box;
use alloc::vec;

use penstock_stack::{
    Capacity, Close, ConnId, ConnectError, Cx, Duration, Endpoint, SocketOptions,
};
use penstock_wire::Addr;

/// The sessions of one core, each two connections that live on it.
#[derive(Debug)]
pub struct Relay {
    /// By [`ConnId::index`]; an end without another is no session's.
    ends: Box<[End]>,
    timeouts: Timeouts,
    /// Waiting bytes go on when this much of a send buffer is free.
    room_bytes: usize,
}

/// How long a session may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the server to answer the handshake.
    pub connect: Duration,
    /// Without a byte moving in either direction.
    pub idle: Duration,
}

/// One end of a session.
#[derive(Clone, Copy, Debug)]
struct End {
    other: Option<ConnId>,
    /// The connection was opened by us.
    is_server: bool,
    /// Its handshake is not complete.
    is_connecting: bool,
    /// Its FIN came.
    has_ended: bool,
    /// Some of its bytes wait in its store.
    waits: bool,
    /// Milliseconds, on a ring of 2^32, when a byte last came from it or was acknowledged.
    moved_at: u32,
    /// Bytes that went on from it.
    bytes: u64,
}

/// A session that is over, or has no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The client's connection. It is gone, or closed; but where the server could not be reached
    /// ([`Reason::Unconnected`], [`Reason::ConnectTimeout`]) it is the application's again, with
    /// all it has said: to answer, or to [`open`](Relay::open) once more.
    pub client: ConnId,
    /// The server's connection, which is gone or closed.
    pub server: ConnId,
    /// Why.
    pub reason: Reason,
    /// Bytes from the client that went on to the server.
    pub client_bytes: u64,
    /// Bytes from the server that went on to the client.
    pub server_bytes: u64,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Both have said all they had to say.
    Finished,
    /// There is nobody at the server's address.
    Unconnected(Close),
    /// The server did not answer in time.
    ConnectTimeout,
    /// Nothing moved for too long.
    Idle,
    /// The client's connection broke.
    Client(Close),
    /// The server's connection broke.
    Server(Close),
}

impl End {
    const NONE: End = End {
        other: None,
        is_server: false,
        is_connecting: false,
        has_ended: false,
        waits: false,
        moved_at: 0,
        bytes: 0,
    };
}

impl Relay {
    /// For a core with these bounds. All memory it will ever use is taken here.
    pub fn new(capacity: &Capacity, timeouts: Timeouts) -> Relay {
        Relay {
            ends: vec![End::NONE; capacity.connections as usize].into(),
            timeouts,
            room_bytes: capacity.send_buffer_bytes as usize / 4,
        }
    }

    /// Begins a session: connects to `server` on behalf of `client`. The client's timer is free from
    /// here on.
    ///
    /// # Errors
    /// Why no connection could be opened. The client is as it was.
    pub fn open(
        &mut self,
        cx: &mut Cx<'_>,
        client: ConnId,
        server: Endpoint,
        from: Option<Addr>,
        options: SocketOptions,
    ) -> Result<ConnId, ConnectError> {
        let conn = cx.connect(server, from, options)?;
        let moved_at = cx.now().millis();
        self.ends[client.index()] = End { other: Some(conn), moved_at, ..End::NONE };
        self.ends[conn.index()] = End {
            other: Some(client),
            is_server: true,
            is_connecting: true,
            moved_at,
            ..End::NONE
        };
        // The session's time is kept by the server's connection.
        cx.set_timer(client, None);
        cx.set_timer(conn, Some(self.timeouts.connect));
        Ok(conn)
    }

    /// Bytes came from `conn`; returns how many went on.
    #[inline]
    pub fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let Some(other) = self.ends[conn.index()].other else { return bytes.len() };
        let taken = if self.ends[other.index()].is_connecting { 0 } else { cx.send(other, bytes) };
        let end = &mut self.ends[conn.index()];
        end.moved_at = cx.now().millis();
        end.bytes += taken as u64;
        end.waits |= taken < bytes.len();
        taken
    }

    /// A server has answered.
    pub fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let end = &mut self.ends[conn.index()];
        end.is_connecting = false;
        end.moved_at = cx.now().millis();
        let Some(client) = end.other else { return };
        self.forward(cx, client, conn);
        if self.ends[client.index()].has_ended {
            cx.shutdown(conn);
        }
    }

    /// A server cannot be reached.
    pub fn on_connect_failed(&mut self, conn: ConnId, reason: Close) -> Option<Ended> {
        self.end(conn, Reason::Unconnected(reason))
    }

    /// There is room to send to `conn`.
    #[inline]
    pub fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let end = &mut self.ends[conn.index()];
        end.moved_at = cx.now().millis();
        if let Some(other) = end.other
            && self.ends[other.index()].waits
            && cx.send_room(conn) >= self.room_bytes
        {
            self.forward(cx, other, conn);
        }
    }

    /// `conn` has said all it had to say.
    pub fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> Option<Ended> {
        let end = &mut self.ends[conn.index()];
        end.has_ended = true;
        let other = end.other?;
        let End { is_connecting, has_ended, .. } = self.ends[other.index()];
        if has_ended {
            // What is still to be sent needs nobody to watch it.
            cx.close(other);
            cx.close(conn);
            return self.end(conn, Reason::Finished);
        }
        if !is_connecting {
            cx.shutdown(other);
        }
        None
    }

    /// `conn` is gone.
    pub fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) -> Option<Ended> {
        let End { other, is_server, .. } = self.ends[conn.index()];
        cx.abort(other?);
        self.end(conn, if is_server { Reason::Server(reason) } else { Reason::Client(reason) })
    }

    /// The timer of `conn` ran out.
    pub fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> Option<Ended> {
        let End { other, is_connecting, moved_at, .. } = self.ends[conn.index()];
        let other = other?;
        if is_connecting {
            cx.abort(conn);
            return self.end(conn, Reason::ConnectTimeout);
        }
        let now = cx.now().millis();
        let other_moved_at = self.ends[other.index()].moved_at;
        let still_ms = now.wrapping_sub(moved_at).min(now.wrapping_sub(other_moved_at)) as u64;
        let left_ms = self.timeouts.idle.millis().saturating_sub(still_ms);
        if left_ms > 0 {
            cx.set_timer(conn, Some(Duration::from_millis(left_ms)));
            return None;
        }
        cx.abort(conn);
        cx.abort(other);
        self.end(conn, Reason::Idle)
    }

    /// Lets go what waited at `from`.
    fn forward(&mut self, cx: &mut Cx<'_>, from: ConnId, to: ConnId) {
        let end = &mut self.ends[from.index()];
        if end.waits {
            let forwarded = cx.forward(from, to);
            end.bytes += forwarded.moved as u64;
            end.waits = forwarded.left > 0;
        }
    }

    /// Forgets the session of which `conn` is an end.
    fn end(&mut self, conn: ConnId, reason: Reason) -> Option<Ended> {
        let this = core::mem::replace(&mut self.ends[conn.index()], End::NONE);
        let that = core::mem::replace(&mut self.ends[this.other?.index()], End::NONE);
        let (this, that) = if this.is_server { (that, this) } else { (this, that) };
        Some(Ended {
            client: that.other?,
            server: this.other?,
            reason,
            client_bytes: this.bytes,
            server_bytes: that.bytes,
        })
    }
}

const _: () = assert!(size_of::<End>() <= 32);
