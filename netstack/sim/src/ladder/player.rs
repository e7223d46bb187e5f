//! The application of a script: it does what it is told, and keeps what it hears.

use std::collections::VecDeque;

use penstock_stack::{App, Close, ConnId, Cx, Endpoint, ListenerId, SocketOptions};
use penstock_wire::Addr;

use super::parse::PEERS_MAX;
use super::script::{Downcall, Kind, Upcall};

/// Remote ports are this and the peer's number.
pub(crate) const PEER_PORT: u16 = 40_000;

/// Byte `position` of every stream, in either direction.
pub(crate) fn stream_byte(position: u32) -> u8 {
    (position.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

/// The application.
#[derive(Debug)]
pub(crate) struct Player {
    ends: Vec<End>,
    calls: VecDeque<(u16, Upcall)>,
    listeners: Vec<ListenerId>,
    remote: Addr,
    options: SocketOptions,
    /// What went wrong within an upcall.
    pub(crate) fault: Option<String>,
}

/// The connection with one peer.
#[derive(Clone, Debug, Default)]
struct End {
    conn: Option<ConnId>,
    sent: u32,
    received: u32,
    /// How many bytes it still takes; `None`: all.
    quota: Option<u32>,
    within: VecDeque<(Kind, Downcall)>,
}

impl Player {
    pub(crate) fn new(remote: Addr, options: SocketOptions) -> Player {
        Player {
            ends: vec![End::default(); PEERS_MAX as usize + 1],
            calls: VecDeque::new(),
            listeners: Vec::new(),
            remote,
            options,
            fault: None,
        }
    }

    pub(crate) fn listen(&mut self, cx: &mut Cx<'_>, port: u16) -> Result<(), String> {
        let listener = cx.listen(None, port, self.options).map_err(|e| format!("listen: {e:?}"))?;
        self.listeners.push(listener);
        Ok(())
    }

    pub(crate) fn conn(&self, peer: u16) -> Option<ConnId> {
        self.ends.get(peer as usize)?.conn
    }

    /// A new connection with a peer: both streams begin again.
    pub(crate) fn renew(&mut self, peer: u16) {
        self.ends[peer as usize] = End::default();
    }

    /// Has `downcall` made within the next upcall of `kind`.
    pub(crate) fn plan(&mut self, peer: u16, kind: Kind, downcall: Downcall) {
        self.ends[peer as usize].within.push_back((kind, downcall));
    }

    /// Looks for an upcall among those not asked for yet; what came before it is passed over.
    pub(crate) fn hear(&mut self, peer: u16, upcall: Upcall) -> Result<(), String> {
        match self.calls.iter().position(|call| *call == (peer, upcall)) {
            Some(at) => {
                self.calls.drain(..=at);
                Ok(())
            }
            None => Err(format!("the application heard {}", self.heard())),
        }
    }

    pub(crate) fn hear_nothing(&self) -> Result<(), String> {
        if self.calls.is_empty() {
            return Ok(());
        }
        Err(format!("the application heard {}", self.heard()))
    }

    fn heard(&self) -> String {
        if self.calls.is_empty() {
            return "nothing".into();
        }
        let calls: Vec<String> =
            self.calls.iter().map(|(peer, call)| format!("[{peer}] {call:?}")).collect();
        calls.join(", ")
    }

    pub(crate) fn call(
        &mut self,
        cx: &mut Cx<'_>,
        peer: u16,
        downcall: Downcall,
    ) -> Result<(), String> {
        let end = &mut self.ends[peer as usize];
        if let Downcall::Connect = downcall {
            let remote = Endpoint { addr: self.remote, port: PEER_PORT + peer };
            let conn = cx.connect(remote, None, self.options);
            end.conn = Some(conn.map_err(|error| format!("connect: {error:?}"))?);
            return Ok(());
        }
        if let Downcall::Unlisten = downcall {
            self.listeners.drain(..).for_each(|listener| cx.unlisten(listener));
            return Ok(());
        }
        if let Downcall::Take(bytes) = downcall {
            end.quota = Some(bytes);
            return Ok(());
        }
        let Some(conn) = end.conn else { return Err("there is no connection".into()) };
        match downcall {
            Downcall::Send(bytes, takes) => {
                let stream: Vec<u8> =
                    (0..bytes).map(|at| stream_byte(end.sent.wrapping_add(at))).collect();
                let taken = cx.send(conn, &stream) as u32;
                end.sent = end.sent.wrapping_add(taken);
                if taken != takes {
                    return Err(format!("send took {taken} bytes"));
                }
            }
            Downcall::Close => cx.close(conn),
            Downcall::Shutdown => cx.shutdown(conn),
            Downcall::Abort => cx.abort(conn),
            Downcall::Forsake => cx.forsake(conn),
            Downcall::Pause => cx.pause(conn),
            Downcall::Resume => {
                end.quota = None;
                cx.resume(conn);
            }
            Downcall::Options(options) => {
                if !cx.set_options(conn, options) {
                    return Err("the options were refused".into());
                }
            }
            Downcall::Timer(after) => cx.set_timer(conn, Some(after)),
            Downcall::Take(_) | Downcall::Connect | Downcall::Unlisten => {}
        }
        Ok(())
    }

    /// Notes an upcall, and does what was planned for it.
    fn note(&mut self, cx: &mut Cx<'_>, peer: Option<u16>, upcall: Upcall) {
        let Some(peer) = peer else {
            self.fault = Some(format!("{upcall:?} of a connection nobody knows"));
            return;
        };
        self.calls.push_back((peer, upcall));
        let Some(kind) = upcall.kind() else { return };
        while let Some(&(when, downcall)) = self.ends[peer as usize].within.front()
            && when == kind
        {
            self.ends[peer as usize].within.pop_front();
            if let Err(fault) = self.call(cx, peer, downcall) {
                self.fault = Some(fault);
            }
        }
    }

    fn peer_of(&self, conn: ConnId) -> Option<u16> {
        self.ends.iter().position(|end| end.conn == Some(conn)).map(|peer| peer as u16)
    }
}

impl App for Player {
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, _listener: ListenerId) {
        let port = cx.info(conn).map_or(0, |info| info.remote.port);
        let peer = port.checked_sub(PEER_PORT).filter(|&peer| (peer as u64) <= PEERS_MAX);
        if let Some(peer) = peer {
            self.ends[peer as usize].conn = Some(conn);
        }
        self.note(cx, peer, Upcall::Accept);
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.note(cx, self.peer_of(conn), Upcall::Connected);
    }

    fn on_connect_failed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.note(cx, self.peer_of(conn), Upcall::ConnectFailed(reason));
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let peer = self.peer_of(conn);
        let Some(end) = peer.map(|peer| &mut self.ends[peer as usize]) else {
            self.note(cx, peer, Upcall::Data(0));
            return bytes.len();
        };
        let taken = end.quota.unwrap_or(u32::MAX).min(bytes.len() as u32);
        end.quota = end.quota.map(|quota| quota - taken);
        for (at, &byte) in (0u32..).zip(&bytes[..taken as usize]) {
            if byte != stream_byte(end.received.wrapping_add(at)) {
                let position = end.received.wrapping_add(at);
                self.fault = Some(format!("byte {position} of what arrived is not what was sent"));
                break;
            }
        }
        let end = &mut self.ends[peer.map_or(0, usize::from)];
        end.received = end.received.wrapping_add(taken);
        self.note(cx, peer, Upcall::Data(taken));
        taken as usize
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, acked: u32) {
        self.note(cx, self.peer_of(conn), Upcall::Acknowledged(acked));
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.note(cx, self.peer_of(conn), Upcall::RemoteClosed);
    }

    fn on_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.note(cx, self.peer_of(conn), Upcall::Closed(reason));
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.note(cx, self.peer_of(conn), Upcall::Timer);
    }
}
