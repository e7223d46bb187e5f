//! What a session is called: `unique-id-format`.
//!
//! It is called something when somebody first wants to know, a server's PROXY header or the log, and so
//! from then on.

use alloc::boxed::Box;
use alloc::vec;

use penstock_stack::Cx;

use crate::limits;
use crate::line::Line;
use crate::log::{Record, write_session};
use crate::proxy::Proxy;
use crate::record::Ending;
use crate::sample::Workspace;
use crate::session::{Session, SessionId};
use crate::setup::Setup;
use crate::view::SessionView;

/// A text, and its length.
pub(crate) type UniqueId = ([u8; limits::UNIQUE_ID_BYTES], u8);

/// Room for those of so many sessions; none where the log alone wants them, since it comes last.
pub(crate) fn unique_ids(setup: &Setup, sessions: usize) -> Box<[UniqueId]> {
    vec![([0; _], 0); if setup.tells_unique_ids() { sessions } else { 0 }].into()
}

impl Proxy {
    /// What a session is called. One that is called nothing yet is so in `room`.
    pub(crate) fn unique_id<'a>(
        &'a self,
        view: &SessionView<'_>,
        record: &Record<'_>,
        work: &mut Workspace,
        room: &'a mut [u8],
    ) -> &'a [u8] {
        if view.session.has(Session::IDENTIFIED) {
            return self.known_unique_id(view.id);
        }
        let Some(format) = &self.setup.frontend(view.session.frontend).unique_id_format else {
            return &[];
        };
        let mut line = Line::new(room);
        write_session(format, record, view, work, &mut line);
        line.into_bytes()
    }

    /// What a session was called; nothing if it was not.
    pub(crate) fn known_unique_id(&self, id: SessionId) -> &[u8] {
        let known = self.unique_ids.get(id.0 as usize);
        known.map_or(&[], |(bytes, len)| &bytes[..usize::from(*len)])
    }

    /// Calls a session something, for good.
    pub(crate) fn identify(&mut self, cx: &Cx<'_>, id: SessionId) {
        let mut room = [0; limits::UNIQUE_ID_BYTES];
        let len = self.look(cx, id, &[], |view, work| {
            let record = view.proxy.record(view, Ending::UNDER_WAY);
            view.proxy.unique_id(view, &record, work, &mut room).len()
        });
        let Some(len) = len else { return };
        if let Some(known) = self.unique_ids.get_mut(id.0 as usize) {
            *known = (room, len as u8);
        }
        if let Some(session) = self.session_mut(id) {
            session.set(Session::IDENTIFIED);
        }
    }
}
