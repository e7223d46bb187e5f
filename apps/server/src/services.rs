//! Three small services of TCP: RFC 862, 863 and 864.

use penstock_stack::{ConnId, Cx};

use crate::answer::allowance;
use crate::client::Stage;
use crate::server::Server;

impl Server {
    pub(crate) fn service_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        let client = &mut self.clients[conn.index()];
        client.moved_at = cx.now().millis();
        match client.stage {
            Stage::Echo => cx.send(conn, bytes),
            _ => bytes.len(),
        }
    }

    pub(crate) fn service_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let client = &mut self.clients[conn.index()];
        client.moved_at = cx.now().millis();
        match client.stage {
            Stage::Echo => cx.resume(conn),
            Stage::Chargen(_) => self.chatter(cx, conn),
            _ => {}
        }
    }

    /// Sends lines, as many as there is room for.
    pub(crate) fn chatter(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let client = &mut self.clients[conn.index()];
        let Stage::Chargen(at) = &mut client.stage else { return };
        let mut room = allowance(cx, conn);
        while room > 0 {
            let rest = &self.lines[*at as usize..];
            let wanted = rest.len().min(room);
            let taken = cx.send(conn, &rest[..wanted]);
            *at = (*at + taken as u16) % self.lines.len() as u16;
            room -= taken;
            if taken < wanted {
                return;
            }
        }
    }
}
