//! The smallest application there is: 200 to whatever arrives on port 80, and goodbye. The host is
//! tried out with it.

use penstock_stack::{App, ConnId, Cx, ListenerId, SocketOptions};

use crate::core_loop::Service;

#[derive(Debug, Default)]
pub(crate) struct Hello {
    listener: Option<ListenerId>,
    accepted: u64,
}

impl App for Hello {
    fn on_accept(&mut self, _cx: &mut Cx<'_>, _conn: ConnId, _listener: ListenerId) {
        self.accepted += 1;
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        cx.send(conn, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
        cx.shutdown(conn);
        bytes.len()
    }
}

impl Service for Hello {
    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        let listener = cx.listen(None, 80, SocketOptions::default());
        self.listener = Some(listener.map_err(|error| format!("port 80: {error:?}"))?);
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        if let Some(listener) = self.listener.take() {
            cx.unlisten(listener);
        }
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![("Accepted", self.accepted)]
    }
}
