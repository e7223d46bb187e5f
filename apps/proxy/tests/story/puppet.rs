//! Whoever talks to the proxy, at either side: it does what it is told, and remembers everything.

use std::collections::BTreeMap;

use penstock_stack::{App, Close, ConnId, Cx, ListenerId, SocketOptions};

use super::own_byte;

/// One end of a connection.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    /// No other has it.
    number: u64,
    /// The proxy's port, for a server's connection; its own, for a client's.
    pub(crate) port: u16,
    /// All that it says, and how much has gone.
    pub(crate) said: Vec<u8>,
    gone: usize,
    pub(crate) heard: Vec<u8>,
    /// Its FIN follows what it says; it resets, or closes whatever is under way.
    pub(crate) shuts: bool,
    pub(crate) breaks: bool,
    pub(crate) leaves: bool,
    /// It takes nothing for the time being; it did not at some time.
    pub(crate) is_deaf: bool,
    pub(crate) was_deaf: bool,
    pub(crate) end: Option<Close>,
}

impl Voice {
    /// So many bytes of its own.
    pub(crate) fn say(&mut self, count: usize) {
        let from = self.said.len();
        let count = count.min(SAID_MAX.saturating_sub(from));
        self.said.extend((from..from + count).map(|at| own_byte(self.number, at)));
    }

    /// These.
    pub(crate) fn say_exactly(&mut self, bytes: &[u8]) {
        if self.said.len() + bytes.len() <= SAID_MAX {
            self.said.extend_from_slice(bytes);
        }
    }

    /// Nothing but FINs ended it, and all was said and taken.
    pub(crate) fn was_patient(&self) -> bool {
        !self.breaks && !self.leaves && !self.was_deaf && self.gone == self.said.len()
    }

    /// Does what it has decided to.
    fn go_on(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if self.end.is_some() {
            return;
        }
        if self.breaks {
            self.end = Some(Close::Aborted);
            cx.abort(conn);
            return;
        }
        if self.gone < self.said.len() {
            self.gone += cx.send(conn, &self.said[self.gone..]);
        }
        if self.leaves {
            self.end = Some(Close::Finished);
            cx.close(conn);
        } else if self.shuts && self.gone == self.said.len() {
            cx.shutdown(conn);
        }
    }
}

/// A host of them.
#[derive(Debug, Default)]
pub(crate) struct Puppet {
    /// All there ever were, in order.
    pub(crate) voices: Vec<Voice>,
    of: BTreeMap<ConnId, usize>,
    listener: Option<ListenerId>,
    ways: u8,
}

impl Puppet {
    /// Clients, of whom each answers a FIN with one, or none does.
    pub(crate) fn clients(answer: bool) -> Puppet {
        Puppet { ways: if answer { 0 } else { STAYS }, ..Puppet::default() }
    }

    /// It is like this from now on: refuses, greets, repeats what it hears, answers a FIN with one.
    pub(crate) fn serve(&mut self, cx: &mut Cx<'_>, ways: u8) {
        self.ways = ways;
        if ways & REFUSES == REFUSES {
            if let Some(listener) = self.listener.take() {
                cx.unlisten(listener);
            }
        } else if self.listener.is_none() {
            self.listener = cx.listen(None, 80, SocketOptions::default()).ok();
        }
    }

    /// A client has begun to connect.
    pub(crate) fn meet(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let port = cx.endpoints(conn).map_or(0, |(local, _)| local.port);
        self.add(conn, 0, port);
    }

    fn add(&mut self, conn: ConnId, host: u64, port: u16) -> &mut Voice {
        let at = self.voices.len();
        self.of.insert(conn, at);
        let number = host << 16 | at as u64;
        self.voices.push(Voice { number, port, ..Voice::default() });
        &mut self.voices[at]
    }

    /// One of those that are there does something: the last one, if `which` is 0.
    pub(crate) fn act(&mut self, cx: &mut Cx<'_>, which: usize, act: impl FnOnce(&mut Voice)) {
        let Some(back) = which.checked_rem(self.of.len()) else { return };
        let mut by_age: Vec<(usize, ConnId)> =
            self.of.iter().map(|(&conn, &at)| (at, conn)).collect();
        by_age.sort_unstable();
        let (at, conn) = by_age[by_age.len() - 1 - back];
        let voice = &mut self.voices[at];
        let was_deaf = voice.is_deaf;
        act(voice);
        voice.was_deaf |= voice.is_deaf;
        if was_deaf && !voice.is_deaf {
            cx.resume(conn);
        }
        self.go_on(cx, conn);
    }

    /// All break off.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>) {
        while let Some((&conn, _)) = self.of.first_key_value() {
            self.act_on(cx, conn, |voice| voice.breaks = true);
            self.of.remove(&conn);
        }
    }

    fn act_on(&mut self, cx: &mut Cx<'_>, conn: ConnId, act: impl FnOnce(&mut Voice)) {
        if let Some(&at) = self.of.get(&conn) {
            act(&mut self.voices[at]);
            self.go_on(cx, conn);
        }
    }

    fn go_on(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let Some(&at) = self.of.get(&conn) else { return };
        self.voices[at].go_on(cx, conn);
        // No upcall comes of what we ended.
        if self.voices[at].end.is_some() {
            self.of.remove(&conn);
        }
    }

    fn ended(&mut self, conn: ConnId, reason: Close) {
        if let Some(at) = self.of.remove(&conn) {
            self.voices[at].end = Some(reason);
        }
    }
}

impl App for Puppet {
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, _: ListenerId) {
        let greets = self.ways & GREETS == 0;
        let ends = cx.endpoints(conn);
        let (host, port) = ends.map_or((0, 0), |(local, remote)| {
            (u64::from(local.addr.v4_number() & 0xff), remote.port)
        });
        let voice = self.add(conn, host, port);
        if greets {
            voice.say(1);
        }
        self.go_on(cx, conn);
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.go_on(cx, conn);
    }

    fn on_connect_failed(&mut self, _: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.ended(conn, reason);
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let Some(&at) = self.of.get(&conn) else { return bytes.len() };
        let repeats = self.listener.is_some() && self.ways & LISTENS == 0;
        let voice = &mut self.voices[at];
        if voice.is_deaf {
            return 0;
        }
        voice.heard.extend_from_slice(bytes);
        if repeats && !voice.shuts {
            voice.say_exactly(bytes);
            self.go_on(cx, conn);
        }
        bytes.len()
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _: u32) {
        self.go_on(cx, conn);
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        if self.ways & STAYS == 0 {
            self.act_on(cx, conn, |voice| voice.shuts = true);
        }
    }

    fn on_closed(&mut self, _: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.ended(conn, reason);
    }
}

/// A server that does not greet, does not repeat what it hears, does not close when its client does; and one
/// that refuses.
const GREETS: u8 = 1;
const LISTENS: u8 = 2;
const STAYS: u8 = 4;
const REFUSES: u8 = 0x38;

/// What one voice says at most.
const SAID_MAX: usize = 200_000;
