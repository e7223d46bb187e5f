//! The sessions of one core.

use alloc::boxed::Box;
use alloc::vec;

use penstock_stack::{
    Capacity, Close, ConnId, ConnectError, Cx, Duration, Endpoint, Instant, Origin, SocketOptions,
};

use crate::end::End;
use crate::timeouts::{NEVER, Spans, Timeouts, left_ms};

/// The sessions of one core, each two connections that live on it.
#[derive(Debug)]
pub struct Relay {
    /// By [`ConnId::index`]; an end without another is no session's.
    ends: Box<[End]>,
    manners: Box<[Manners]>,
    /// The timeouts of each of the manners.
    spans: Box<[Spans]>,
    /// Waiting bytes go on when this much of a send buffer is free.
    room_bytes: usize,
}

/// How the sessions of one kind are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Manners {
    /// How long they may wait.
    pub timeouts: Timeouts,
    /// A client that closes before its server has answered is taken at its word, though it has said
    /// something (`option abortonclose`). One that has said nothing always is.
    pub abort_on_close: bool,
    /// A server that breaks is an end for its client, as with HAProxy; else a RST.
    pub ends_softly: bool,
    /// The client's side ends with a RST (`option nolinger`).
    pub client_no_linger: bool,
    /// The server's side ends with a RST, and as soon as its client has no more to say.
    pub server_no_linger: bool,
}

/// A session to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Where the server is.
    pub server: Endpoint,
    /// Where to come from.
    pub origin: Origin,
    /// Options of the server's connection.
    pub options: SocketOptions,
    /// Which of the [`Manners`].
    pub manners: u16,
    /// What the client has said.
    pub said: Said,
    /// And that this was all.
    pub has_ended: bool,
}

/// What a client has said before its session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing, since this moment in milliseconds on a ring of 2^32.
    Nothing(u32),
    /// Something that waits in its store.
    Stored,
    /// Something that the application holds, and will [send](Cx::send) once the server has answered;
    /// more may wait in the store.
    Held,
}

/// A session that is over, or has no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The client's connection. It is gone, or closed; but where the server could not be reached
    /// ([`Reason::Unconnected`], [`Reason::ConnectTimeout`]) or need not be
    /// ([`Reason::Abandoned`], [`Reason::Mute`]) it is the application's again, with all it has said:
    /// to answer, or to [`open`](Relay::open) once more.
    pub client: ConnId,
    /// The server's connection, which is gone or closed.
    pub server: ConnId,
    /// Why.
    pub reason: Reason,
    /// Bytes from the client that went on to the server.
    pub client_bytes: u64,
    /// Bytes from the server that went on to the client.
    pub server_bytes: u64,
    /// Some of what the client has said waits in its store.
    pub is_stored: bool,
    /// The client has said that it will say no more.
    pub has_ended: bool,
}

/// Why a session ended: what went wrong first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Both have said all they had to say.
    Finished,
    /// There is nobody at the server's address.
    Unconnected(Close),
    /// The server did not answer in time.
    ConnectTimeout,
    /// The client closed before its server had answered.
    Abandoned,
    /// The client said nothing for too long, and its server had not answered.
    Mute,
    /// The client was silent, or did not listen, for too long.
    ClientTimeout,
    /// The server was silent, or did not listen, for too long.
    ServerTimeout,
    /// The client's connection broke.
    Client(Close),
    /// The server's connection broke.
    Server(Close),
}

impl Relay {
    /// What it takes for each connection that there may be.
    pub const CONNECTION_BYTES: usize = size_of::<End>();

    /// For a core with these bounds, and sessions of these kinds. All memory it will ever use is
    /// taken here.
    pub fn new(capacity: &Capacity, manners: &[Manners]) -> Relay {
        Relay {
            ends: vec![End::NONE; capacity.connections as usize].into(),
            manners: manners.into(),
            spans: manners.iter().map(|manners| Spans::new(&manners.timeouts)).collect(),
            room_bytes: capacity.send_buffer_bytes as usize / 4,
        }
    }

    /// Begins a session: connects to a server on behalf of `client`. The client's timer is free from
    /// here on.
    ///
    /// # Errors
    /// Why no connection could be opened. The client is as it was.
    pub fn open(
        &mut self,
        cx: &mut Cx<'_>,
        client: ConnId,
        opening: Opening,
    ) -> Result<ConnId, ConnectError> {
        let Opening { server, origin, options, manners, said, has_ended } = opening;
        let conn = match origin.is_plain() {
            true => cx.connect(server, origin.addr, options)?,
            false => cx.connect_from(server, origin, options)?,
        };
        let now = cx.now().millis();
        let end = End { manners, read_at: now, written_at: now, ..End::NONE };
        let (flags, read_at) = match said {
            Said::Nothing(since) => (0, since),
            Said::Stored => (End::WAITS, now),
            Said::Held => (End::SAID | End::WAITS, now),
        };
        let mut client_end = End { other: Some(conn), flags, read_at, written_at: read_at, ..end };
        client_end.assign(End::ENDED, has_ended);
        self.ends[client.index()] = client_end;
        let flags = End::SERVER | End::CONNECTING;
        self.ends[conn.index()] = End { other: Some(client), flags, ..end };
        // The session's time is kept by the server's connection.
        cx.set_timer(client, None);
        let connecting = self.spans[manners as usize].connect_ms;
        let left_ms = connecting.min(self.reading_left_ms(&client_end, false, now));
        set_timer(cx, conn, left_ms);
        Ok(conn)
    }

    /// Bytes came from `conn`; returns how many went on.
    #[inline]
    pub fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let End { other: Some(other), flags, .. } = self.ends[conn.index()] else {
            return bytes.len();
        };
        if flags & End::ENDED != 0 {
            // Too late: nobody waits for it any more.
            return bytes.len();
        }
        let is_connecting = self.ends[other.index()].has(End::CONNECTING);
        let taken = if is_connecting { 0 } else { cx.send(other, bytes) };
        let end = &mut self.ends[conn.index()];
        end.read_at = cx.now().millis();
        end.bytes += taken as u64;
        if taken < bytes.len() && !end.has(End::WAITS) {
            end.set(End::WAITS);
            self.ends[other.index()].written_at = cx.now().millis();
            if !is_connecting {
                self.arm(cx, conn);
            }
        }
        taken
    }

    /// A server has answered.
    pub fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let end = &mut self.ends[conn.index()];
        end.assign(End::CONNECTING, false);
        end.read_at = cx.now().millis();
        end.written_at = end.read_at;
        let Some(client) = end.other else { return };
        self.forward(cx, client, conn);
        if self.ends[client.index()].has(End::ENDED) {
            self.shut(cx, conn);
        }
        // The timer that waited for the answer may come too early, never too late: nearly every
        // session is over before it.
        if !self.spans[self.ends[conn.index()].manners as usize].connect_is_least {
            self.arm(cx, conn);
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
        end.written_at = cx.now().millis();
        if let Some(other) = end.other
            && self.ends[other.index()].has(End::WAITS)
            && cx.send_room(conn) >= self.room_bytes
        {
            self.forward(cx, other, conn);
            if !self.ends[other.index()].has(End::WAITS) {
                // Its silence counts again, and may be over before what the timer was set for.
                self.arm(cx, conn);
            }
        }
    }

    /// `conn` has said all it had to say.
    pub fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> Option<Ended> {
        self.finish_reading(cx, conn)
    }

    /// `conn` has no more to say than what waits.
    pub fn on_remote_closing(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> Option<Ended> {
        let End { other, manners, .. } = self.ends[conn.index()];
        let other = other.filter(|other| self.ends[other.index()].has(End::CONNECTING))?;
        if !self.manners[manners as usize].abort_on_close {
            return None;
        }
        cx.abort(other);
        self.end(conn, Reason::Abandoned)
    }

    /// `conn` is gone.
    pub fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) -> Option<Ended> {
        let End { other, flags, .. } = self.ends[conn.index()];
        let other = other?;
        if flags & End::SERVER == 0 {
            // A server that has said all it had to say hears an end, as from HAProxy.
            match self.ends[other.index()].has(End::ENDED) {
                true => self.leave(cx, other),
                false => cx.abort(other),
            }
            return self.end(conn, Reason::Client(reason));
        }
        if self.manners[self.ends[conn.index()].manners as usize].ends_softly {
            // What the server has said before still reaches the client.
            self.leave(cx, other);
            let is_told_more = self.ends[other.index()].has(End::WAITS);
            if reason == Close::Reset && flags & End::ENDED != 0 && !is_told_more {
                // It had closed, and somebody said something to it that it did not want to hear:
                // HAProxy never notices, unless there is more to say.
                return self.end(conn, Reason::Finished);
            }
        } else {
            cx.abort(other);
        }
        self.end(conn, Reason::Server(reason))
    }

    /// The timer of `conn` ran out.
    pub fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> Option<Ended> {
        let End { other, flags, .. } = self.ends[conn.index()];
        let other = other?;
        if flags & End::CONNECTING != 0 {
            return self.on_connecting_timer(cx, conn, other);
        }
        let now = cx.now().millis();
        let (client, server) = if flags & End::SERVER == 0 { (conn, other) } else { (other, conn) };
        let both_silent = self.are_silent_together(client, server, now);
        for (this, that) in [(client, server), (server, client)] {
            if self.writing_left_ms(&self.ends[this.index()], &self.ends[that.index()], now) == 0 {
                // It does not listen: what is on its way to it is lost.
                let is_server = self.ends[this.index()].has(End::SERVER);
                cx.abort(this);
                cx.abort(that);
                return self.end(conn, timeout_of(is_server));
            }
            if both_silent || self.reading_left_ms(&self.ends[this.index()], true, now) == 0 {
                let nothing_before = !self.ends[that.index()].has(End::SILENT);
                self.ends[this.index()].assign(End::SILENT, nothing_before);
                // As if it had closed: what it has said goes on, and the other may answer.
                if let Some(ended) = self.finish_reading(cx, this) {
                    return Some(ended);
                }
            }
        }
        self.arm(cx, conn);
        None
    }

    /// Whether a client and its server have both been silent for too long, and for equally long.
    ///
    /// What passes is a sign of life of both, of one as it came and of the other as it was
    /// acknowledged, a moment later. Where both may be silent for equally long, HAProxy's two clocks
    /// run out together, and it looks at the client first.
    fn are_silent_together(&self, client: ConnId, server: ConnId, now: u32) -> bool {
        let (client, server) = (&self.ends[client.index()], &self.ends[server.index()]);
        let left = [client, server].map(|end| self.reading_left_ms(end, true, now));
        self.span_ms(client, true) == self.span_ms(server, true)
            && left.contains(&0)
            && left.iter().all(|&left| left <= ACKNOWLEDGED_MS)
    }

    /// A server has not answered yet, or its client has said nothing yet.
    fn on_connecting_timer(
        &mut self,
        cx: &mut Cx<'_>,
        server: ConnId,
        client: ConnId,
    ) -> Option<Ended> {
        let now = cx.now().millis();
        let reason = if self.connecting_left_ms(&self.ends[server.index()], now) == 0 {
            Reason::ConnectTimeout
        } else if self.reading_left_ms(&self.ends[client.index()], false, now) == 0 {
            Reason::Mute
        } else {
            self.arm(cx, server);
            return None;
        };
        cx.abort(server);
        self.end(server, reason)
    }

    /// Ends a session at the application's wish, both sides by RST.
    pub fn abort(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Reason) -> Option<Ended> {
        let other = self.ends[conn.index()].other?;
        cx.abort(conn);
        cx.abort(other);
        self.end(conn, reason)
    }

    /// Ends a session at the application's wish, both sides by FIN.
    pub fn close(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Reason) -> Option<Ended> {
        let other = self.ends[conn.index()].other?;
        cx.close(conn);
        cx.close(other);
        self.end(conn, reason)
    }

    /// The application lets go of a session, whose connections are its own again.
    pub fn give_up(&mut self, conn: ConnId) -> Option<Ended> {
        self.end(conn, Reason::Finished)
    }

    /// The application heard something of `conn` that it keeps for now.
    pub fn heard(&mut self, cx: &Cx<'_>, conn: ConnId) {
        self.ends[conn.index()].read_at = cx.now().millis();
    }

    /// The application sent `bytes` that it held of `client`, before
    /// [`on_connected`](Self::on_connected).
    pub fn sent(&mut self, client: ConnId, bytes: u64) {
        self.ends[client.index()].bytes += bytes;
    }

    /// The other end of `conn`, while they are a session.
    pub fn other(&self, conn: ConnId) -> Option<ConnId> {
        self.ends[conn.index()].other
    }

    /// Whether `conn`, an end of a session, will say no more.
    pub fn has_ended(&self, conn: ConnId) -> bool {
        self.ends[conn.index()].has(End::ENDED)
    }

    /// Nothing comes from `conn` any more.
    fn finish_reading(&mut self, cx: &mut Cx<'_>, conn: ConnId) -> Option<Ended> {
        self.ends[conn.index()].set(End::ENDED);
        let other = self.ends[conn.index()].other?;
        let (this, that) = (self.ends[conn.index()], self.ends[other.index()]);
        if that.has(End::CONNECTING) {
            let manners = &self.manners[this.manners as usize];
            let has_said = this.has(End::WAITS) || this.has(End::SAID);
            if has_said && !manners.abort_on_close {
                return None;
            }
            cx.abort(other);
            return self.end(conn, Reason::Abandoned);
        }
        let is_cut = that.has(End::SERVER) && self.manners[that.manners as usize].server_no_linger;
        if !that.has(End::ENDED) && (!is_cut || this.has(End::WAITS)) {
            if !this.has(End::WAITS) {
                self.shut(cx, other);
                // One end less to wait for: the timer may come too early, never too late, unless
                // the other's time is another now.
                let spans = &self.spans[that.manners as usize];
                let span_ms = |is_shut| spans.of_end_ms(that.has(End::SERVER), true, is_shut);
                if span_ms(true) < span_ms(false) {
                    self.arm(cx, conn);
                }
            }
            return None;
        }
        // What is still to be sent needs nobody to watch it.
        self.leave(cx, conn);
        self.leave(cx, other);
        self.end(conn, Reason::Finished)
    }

    /// Lets go of `conn`, with a FIN behind what is queued, or at once.
    fn leave(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let end = &self.ends[conn.index()];
        let manners = &self.manners[end.manners as usize];
        let no_linger = match end.has(End::SERVER) {
            true => manners.server_no_linger,
            false => manners.client_no_linger,
        };
        if no_linger { cx.abort(conn) } else { cx.close(conn) }
    }

    /// Nothing more goes to `conn`.
    fn shut(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let end = &mut self.ends[conn.index()];
        if !end.has(End::SHUT) {
            end.set(End::SHUT);
            if self.spans[end.manners as usize].fin_begins_anew(end.has(End::SERVER)) {
                end.written_at = cx.now().millis();
            }
            cx.shutdown(conn);
        }
    }

    /// Lets go what waited at `from`.
    fn forward(&mut self, cx: &mut Cx<'_>, from: ConnId, to: ConnId) {
        let end = &mut self.ends[from.index()];
        if end.has(End::WAITS) {
            let forwarded = cx.forward(from, to);
            end.bytes += forwarded.moved as u64;
            end.assign(End::WAITS, forwarded.left > 0);
            // It may say more from here on: its silence begins now.
            end.read_at = cx.now().millis();
            // The end, if it is there, leaves with the last bytes before it.
            if !end.has(End::WAITS) && (end.has(End::ENDED) || cx.has_ended(from)) {
                end.set(End::ENDED);
                self.shut(cx, to);
            }
        }
    }

    /// Sets the session's timer to the next moment at which something may have taken too long.
    fn arm(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let this = &self.ends[conn.index()];
        let Some(other) = this.other else { return };
        let that = &self.ends[other.index()];
        let (name, server, client) =
            if this.has(End::SERVER) { (conn, this, that) } else { (other, that, this) };
        let now = cx.now().millis();
        let left_ms = if server.has(End::CONNECTING) {
            self.connecting_left_ms(server, now).min(self.reading_left_ms(client, false, now))
        } else {
            let reading = self.reading_left_ms(client, true, now);
            let reading = reading.min(self.reading_left_ms(server, true, now));
            let writing = self.writing_left_ms(client, server, now);
            reading.min(writing.min(self.writing_left_ms(server, client, now)))
        };
        set_timer(cx, name, left_ms);
    }

    /// By how much a session has outlived what it may wait for, in milliseconds (a check, for tests).
    pub fn late_ms(&self, conn: ConnId, now: Instant) -> i32 {
        let this = &self.ends[conn.index()];
        let Some(other) = this.other else { return 0 };
        let that = &self.ends[other.index()];
        let since = |at: u32| now.millis().wrapping_sub(at).cast_signed();
        let over = |ms: i32, span: u32| if span == NEVER { 0 } else { ms - span.cast_signed() };
        let server = if this.has(End::SERVER) { this } else { that };
        let is_connected = !server.has(End::CONNECTING);
        let late_ms = |end: &End, from: &End| {
            let span = self.span_ms(end, is_connected);
            let silent = since(end.read_at).min(since(end.written_at));
            let is_awaited = !end.has(End::ENDED) && !end.has(End::WAITS);
            let reading = if is_awaited { over(silent, span) } else { 0 };
            let writing = if from.has(End::WAITS) { over(since(end.written_at), span) } else { 0 };
            reading.max(writing)
        };
        if is_connected {
            return late_ms(this, that).max(late_ms(that, this));
        }
        over(since(server.read_at), self.spans[server.manners as usize].connect_ms)
    }

    /// How much longer a server may take to answer.
    fn connecting_left_ms(&self, server: &End, now: u32) -> u32 {
        let span_ms = self.spans[server.manners as usize].connect_ms;
        left_ms(span_ms, now.wrapping_sub(server.read_at))
    }

    /// How much longer `end` may be silent; `is_connected`: its server has answered.
    #[inline(always)]
    fn reading_left_ms(&self, end: &End, is_connected: bool, now: u32) -> u32 {
        if end.has(End::ENDED) || end.has(End::WAITS) {
            return NEVER;
        }
        let silent_ms = now.wrapping_sub(end.read_at).min(now.wrapping_sub(end.written_at));
        left_ms(self.span_ms(end, is_connected), silent_ms)
    }

    /// How much longer `end` may leave what `from` has said.
    #[inline(always)]
    fn writing_left_ms(&self, end: &End, from: &End, now: u32) -> u32 {
        if !from.has(End::WAITS) {
            return NEVER;
        }
        left_ms(self.span_ms(end, true), now.wrapping_sub(end.written_at))
    }

    #[inline(always)]
    fn span_ms(&self, end: &End, is_connected: bool) -> u32 {
        let spans = &self.spans[end.manners as usize];
        spans.of_end_ms(end.has(End::SERVER), is_connected, end.has(End::SHUT))
    }

    /// Forgets the session of which `conn` is an end.
    fn end(&mut self, conn: ConnId, reason: Reason) -> Option<Ended> {
        let this = core::mem::replace(&mut self.ends[conn.index()], End::NONE);
        let that = core::mem::replace(&mut self.ends[this.other?.index()], End::NONE);
        let (client, server) = if this.has(End::SERVER) { (that, this) } else { (this, that) };
        // What went wrong first is why.
        let reason = match (client.has(End::SILENT), server.has(End::SILENT)) {
            (true, _) => Reason::ClientTimeout,
            (_, true) => Reason::ServerTimeout,
            _ => reason,
        };
        Some(Ended {
            client: server.other?,
            server: client.other?,
            reason,
            client_bytes: client.bytes,
            server_bytes: server.bytes,
            is_stored: client.has(End::WAITS),
            has_ended: client.has(End::ENDED),
        })
    }
}

fn set_timer(cx: &mut Cx<'_>, conn: ConnId, left_ms: u32) {
    let left = (left_ms != NEVER).then(|| Duration::from_millis(left_ms.max(1).into()));
    cx.set_timer(conn, left);
}

/// So long after a byte it is acknowledged, more or less.
const ACKNOWLEDGED_MS: u32 = 250;

fn timeout_of(is_server: bool) -> Reason {
    if is_server { Reason::ServerTimeout } else { Reason::ClientTimeout }
}
