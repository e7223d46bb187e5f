//! Clients that say what they were told to say, and remember what they heard.

use std::collections::BTreeMap;

use penstock_stack::{App, Close, ConnId, Cx};

/// What one visitor says, and what came of it.
#[derive(Default)]
pub(crate) struct Visitor {
    /// Said as soon as there is room, piece by piece; a piece waits until the visitor has heard
    /// this many bytes.
    pub(crate) says: Vec<(usize, Vec<u8>)>,
    /// Half-closes behind the last piece.
    pub(crate) shuts: bool,
    /// Takes nothing of what it is told.
    pub(crate) is_deaf: bool,
    pub(crate) heard: Vec<u8>,
    pub(crate) saw_end: bool,
    pub(crate) closed: Option<Close>,
    pub(crate) said: usize,
    pub(crate) within: usize,
}

impl Visitor {
    /// Says all of `text` at once.
    pub(crate) fn saying(text: impl AsRef<[u8]>) -> Visitor {
        Visitor { says: vec![(0, text.as_ref().to_vec())], ..Visitor::default() }
    }

    /// What it heard, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    fn push(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        while let Some((after, piece)) = self.says.get(self.said) {
            if self.heard.len() < *after {
                return;
            }
            self.within += cx.send(conn, &piece[self.within..]);
            if self.within < piece.len() {
                return;
            }
            self.within = 0;
            self.said += 1;
        }
        if self.shuts {
            cx.shutdown(conn);
        }
    }
}

/// The visitors' worker's application.
#[derive(Default)]
pub(crate) struct Visitors {
    pub(crate) by_conn: BTreeMap<ConnId, Visitor>,
}

impl Visitors {
    fn with(&mut self, conn: ConnId, f: impl FnOnce(&mut Visitor)) {
        if let Some(visitor) = self.by_conn.get_mut(&conn) {
            f(visitor);
        }
    }
}

impl App for Visitors {
    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.with(conn, |visitor| visitor.push(cx, conn));
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let mut taken = 0;
        self.with(conn, |visitor| {
            if !visitor.is_deaf {
                taken = bytes.len();
                visitor.heard.extend_from_slice(bytes);
                visitor.push(cx, conn);
            }
        });
        taken
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        self.with(conn, |visitor| visitor.push(cx, conn));
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.with(conn, |visitor| visitor.saw_end = true);
        cx.shutdown(conn);
    }

    fn on_closed(&mut self, _cx: &mut Cx<'_>, conn: ConnId, reason: Close) {
        self.with(conn, |visitor| visitor.closed = Some(reason));
    }
}
