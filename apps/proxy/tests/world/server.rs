//! Servers: each says who it is, and then whatever it hears.

use std::collections::BTreeMap;

use penstock_stack::{App, Close, ConnId, Cx, Duration, ListenerId, SocketOptions};

/// What a server is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ways {
    /// It does not listen: every connection is refused.
    pub(crate) refuses: bool,
    /// It says nothing and closes nothing.
    pub(crate) is_mute: bool,
    /// It takes so long before it says who it is.
    pub(crate) after_ms: u64,
    /// Who it is, and it closes.
    pub(crate) closes: bool,
    /// Who it is, and a FIN; it goes on to listen.
    pub(crate) shuts: bool,
    /// It resets whoever has said so much.
    pub(crate) resets_after: Option<usize>,
    /// A PROXY header of this version comes first, and is not repeated.
    pub(crate) header: Option<u8>,
}

impl Ways {
    /// How long the header is with which `heard` begins, once that is certain.
    pub(crate) fn header_bytes(&self, heard: &[u8]) -> Option<usize> {
        match self.header {
            None => Some(0),
            Some(1) => Some(2 + heard.windows(2).position(|two| two == b"\r\n")?),
            Some(_) => Some(16 + usize::from(*heard.get(15)?)),
        }
    }
}

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    name: u8,
    listener: Option<ListenerId>,
    /// Its agent listens at port 82, and says this.
    agent: Option<ListenerId>,
    pub(crate) agent_says: &'static str,
    pub(crate) ways: Ways,
    /// What could not be sent, by connection.
    pending: BTreeMap<ConnId, Vec<u8>>,
    ended: Vec<ConnId>,
    /// Those who have yet to hear the first word.
    thinking: Vec<ConnId>,
    pub(crate) open: u32,
    /// The most that were open at once.
    pub(crate) open_max: u32,
    pub(crate) accepted: u32,
    pub(crate) ends: Vec<Close>,
    pub(crate) heard: BTreeMap<ConnId, Vec<u8>>,
}

impl Server {
    pub(crate) fn new(name: u8, ways: Ways) -> Server {
        Server {
            name,
            listener: None,
            agent: None,
            agent_says: "up",
            ways,
            pending: BTreeMap::new(),
            ended: Vec::new(),
            thinking: Vec::new(),
            open: 0,
            open_max: 0,
            accepted: 0,
            ends: Vec::new(),
            heard: BTreeMap::new(),
        }
    }

    pub(crate) fn start(&mut self, cx: &mut Cx<'_>) {
        if !self.ways.refuses {
            self.listener = Some(cx.listen(None, 80, SocketOptions::default()).expect("free"));
        }
        if self.agent.is_none() {
            self.agent = cx.listen(None, 82, SocketOptions::default()).ok();
        }
    }

    /// It refuses from now on, or listens again.
    pub(crate) fn refuse_or_serve(&mut self, cx: &mut Cx<'_>) {
        match self.listener.take() {
            Some(listener) => cx.unlisten(listener),
            None => self.listener = cx.listen(None, 80, SocketOptions::default()).ok(),
        }
    }

    /// It refuses from now on.
    pub(crate) fn refuse(&mut self, cx: &mut Cx<'_>) {
        cx.unlisten(self.listener.take().expect("it listens"));
    }

    /// Forgets what was.
    pub(crate) fn forget(&mut self) {
        let &mut Server { listener, agent, .. } = self;
        *self = Server { listener, agent, ..Server::new(self.name, self.ways) };
    }

    /// Resets whoever has said something.
    pub(crate) fn break_all(&mut self, cx: &mut Cx<'_>) {
        self.heard.keys().for_each(|&conn| cx.abort(conn));
    }

    fn say(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) {
        self.pending.entry(conn).or_default().extend_from_slice(bytes);
        self.push(cx, conn);
    }

    fn push(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if self.thinking.contains(&conn) {
            return;
        }
        let Some(pending) = self.pending.get_mut(&conn) else { return };
        let sent = cx.send(conn, pending);
        pending.drain(..sent);
        if pending.is_empty() && self.ways.shuts {
            cx.shutdown(conn);
        }
        if pending.is_empty() && self.ended.contains(&conn) {
            self.open -= 1;
            self.pending.remove(&conn);
            self.ended.retain(|&ended| ended != conn);
            cx.close(conn);
        }
    }
}

impl App for Server {
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, listener: ListenerId) {
        if self.agent == Some(listener) {
            cx.send(conn, self.agent_says.as_bytes());
            cx.send(conn, b"\n");
            cx.close(conn);
            return;
        }
        self.accepted += 1;
        self.open += 1;
        self.open_max = self.open_max.max(self.open);
        if self.ways.is_mute {
            return;
        }
        if self.ways.after_ms > 0 {
            self.thinking.push(conn);
            cx.set_timer(conn, Some(Duration::from_millis(self.ways.after_ms)));
        }
        if self.ways.closes {
            self.ended.push(conn);
        }
        self.say(cx, conn, &[self.name]);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.thinking.retain(|&thinking| thinking != conn);
        self.push(cx, conn);
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let heard = self.heard.entry(conn).or_default();
        let before = heard.len();
        heard.extend_from_slice(bytes);
        let from = self.ways.header_bytes(heard).unwrap_or(heard.len()).max(before);
        if self.ways.resets_after.is_some_and(|most| heard.len() >= most) {
            self.open -= 1;
            self.pending.remove(&conn);
            cx.abort(conn);
        } else if !self.ways.is_mute && !self.ways.shuts {
            self.say(cx, conn, &bytes[(from - before).min(bytes.len())..]);
        }
        bytes.len()
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        self.push(cx, conn);
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if self.ways.is_mute {
            return;
        }
        self.ended.push(conn);
        self.push(cx, conn);
    }

    fn on_closed(&mut self, _cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.open -= 1;
        self.pending.remove(&conn);
        self.ends.push(reason);
    }
}
