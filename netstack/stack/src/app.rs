//! What an application is to the stack: a set of upcalls.
//!
//! The worker owns its application and is generic over it, so an upcall is an ordinary, inlined
//! call on the core where the connection lives. Inside an upcall the application uses the
//! downcalls of [`Cx`]. A downcall never upcalls, and nothing is sent before the upcall returns:
//! a response and the FIN behind it leave in one segment, with the acknowledgement on it.

use penstock_wire::Addr;

use crate::cx::Cx;

/// Names a connection of one worker. Stale names are recognised and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    pub(crate) index: u32,
    pub(crate) generation: u16,
}

impl ConnId {
    /// A number below [`Capacity::connections`](crate::config::Capacity::connections) that no
    /// other living connection of this worker has: an application's own tables are plain arrays.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// Names a listener; the same on every worker that listens alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// Names a bound UDP port of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UdpId(pub u16);

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address.
    pub addr: Addr,
    /// The port.
    pub port: u16,
}

/// Why a connection ended, or why it could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Close {
    /// Both sides sent and acknowledged their FIN.
    Finished,
    /// The peer sent a valid RST.
    Reset,
    /// The peer refused the SYN: with a RST, or as a port where nobody listens (ICMP).
    Refused,
    /// Retransmissions, probes or the user timeout ran out.
    TimedOut,
    /// Keep-alive probes went unanswered.
    KeepAlive,
    /// An ICMP error arrived before the connection was established.
    Unreachable,
    /// Nobody answered for the neighbour that leads there before the connection was established.
    NoNeighbour,
    /// The application aborted it.
    Aborted,
    /// The local address went away.
    AddressLost,
}

/// The upcalls. Every method has a default that does the least.
pub trait App {
    /// A client completed its handshake with `listener`.
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, listener: ListenerId) {
        let _ = (cx, conn, listener);
    }

    /// A connection opened with [`Cx::connect`] is established.
    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let _ = (cx, conn);
    }

    /// A connection opened with [`Cx::connect`] failed; `conn` is gone.
    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        let _ = (cx, conn, reason);
    }

    /// Bytes arrived, in order. Returns how many were taken; the rest is kept, and closes the
    /// window, until [`Cx::resume`] asks for it. A connection that refused bytes is paused.
    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let _ = (cx, conn);
        bytes.len()
    }

    /// There is room to send: the peer acknowledged `acked` more bytes, or, with 0, memory is back
    /// of which [`Cx::send`] found too little.
    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, acked: u32) {
        let _ = (cx, conn, acked);
    }

    /// The peer sent its FIN, and all bytes before it were delivered. The other direction stays
    /// open until [`Cx::shutdown`] or [`Cx::close`].
    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        cx.close(conn);
    }

    /// The peer sent its FIN, and the application is paused: said again whenever something happens to
    /// the connection (as EPOLLRDHUP is), until all before it is taken and
    /// [`on_remote_closed`](Self::on_remote_closed) follows.
    fn on_remote_closing(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let _ = (cx, conn);
    }

    /// The connection is gone; `conn` names nothing any more. Not called after [`Cx::close`] or
    /// [`Cx::abort`].
    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        let _ = (cx, conn, reason);
    }

    /// The timer set with [`Cx::set_timer`] ran out.
    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let _ = (cx, conn);
    }

    /// The application of core `from` said these words with [`Cx::tell`].
    fn on_told(&mut self, cx: &mut Cx<'_>, from: u16, words: &[u64]) {
        let _ = (cx, from, words);
    }

    /// The moment asked for with [`Cx::wake_at`] has come.
    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }

    /// A frame for what stands beneath an application arrived: see [`Cx::attend`]. Nothing in it has
    /// been checked but what made it one.
    fn on_frame(&mut self, cx: &mut Cx<'_>, interface: u8, frame: &[u8]) {
        let _ = (cx, interface, frame);
    }

    /// The moment asked for with [`Cx::tend_at`] has come.
    fn on_tend(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }

    /// A datagram arrived on a bound port.
    fn on_datagram(&mut self, cx: &mut Cx<'_>, socket: UdpId, datagram: Datagram<'_>) {
        let _ = (cx, socket, datagram);
    }
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: Endpoint,
    /// Which of our addresses it was sent to.
    pub to: Endpoint,
    /// Its payload.
    pub bytes: &'a [u8],
}
