//! An application that does what the story says, and in upcalls what comes to its mind.

use alloc::vec::Vec;

use crate::{App, ConnId, Cx, Duration, KeepAlive, ListenerId, SocketOptions};

/// Keeps the names it was given, stale ones too.
#[derive(Default)]
pub(super) struct Puppet {
    pub(super) conns: Vec<ConnId>,
    upcalls: u32,
}

impl Puppet {
    pub(super) fn act(&mut self, cx: &mut Cx<'_>, conn: ConnId, what: u8, amount: u16) {
        const BYTES: [u8; 4096] = [0xa5; 4096];
        match what % 12 {
            1..=3 => {
                cx.send(conn, &BYTES[..amount as usize % BYTES.len()]);
            }
            4 => cx.shutdown(conn),
            5 => cx.close(conn),
            6 => cx.abort(conn),
            7 => cx.pause(conn),
            8 => cx.resume(conn),
            9 => cx.set_timer(conn, Some(Duration::from_millis(amount as u64))),
            10 => {
                let idle = Duration::from_secs(amount as u64 & 63);
                let keepalive = Some(KeepAlive { idle, interval: idle, probes: 2 });
                cx.set_options(conn, SocketOptions { keepalive, ..SocketOptions::default() });
            }
            _ => {
                cx.info(conn);
            }
        }
    }

    /// Within an upcall: mostly nothing.
    fn react(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.upcalls = self.upcalls.wrapping_mul(0x19_660d).wrapping_add(0x3c6e_f35f);
        let [what, amount, odds, _] = (self.upcalls >> 4).to_be_bytes();
        if odds & 7 == 0 {
            self.act(cx, conn, what, amount as u16 * 16);
        }
    }
}

impl App for Puppet {
    fn on_accept(&mut self, cx: &mut Cx<'_>, conn: ConnId, _listener: ListenerId) {
        if self.conns.len() == NAMES_MAX {
            self.conns.remove(0);
        }
        self.conns.push(conn);
        self.react(cx, conn);
    }

    fn on_connected(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.react(cx, conn);
    }

    fn on_data(&mut self, cx: &mut Cx<'_>, conn: ConnId, bytes: &[u8]) -> usize {
        self.react(cx, conn);
        if self.upcalls & 0x700 == 0 { bytes.len() / 2 } else { bytes.len() }
    }

    fn on_acknowledged(&mut self, cx: &mut Cx<'_>, conn: ConnId, _acked: u32) {
        self.react(cx, conn);
    }

    fn on_remote_closed(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.react(cx, conn);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        self.react(cx, conn);
    }
}

/// Names of connections that it remembers.
const NAMES_MAX: usize = 16;
