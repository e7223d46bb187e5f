//! What the relay knows of each end of a session.

use penstock_stack::ConnId;

/// One end of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) other: Option<ConnId>,
    pub(crate) flags: u8,
    pub(crate) manners: u16,
    /// Milliseconds, on a ring of 2^32, when a byte last came from it.
    pub(crate) read_at: u32,
    /// The same, when it last acknowledged one, or when one first had to wait for it.
    pub(crate) written_at: u32,
    /// Bytes that went on from it.
    pub(crate) bytes: u64,
}

impl End {
    pub(crate) const NONE: End =
        End { other: None, flags: 0, manners: 0, read_at: 0, written_at: 0, bytes: 0 };

    /// The connection was opened by us.
    pub(crate) const SERVER: u8 = 1;
    /// Its handshake is not complete.
    pub(crate) const CONNECTING: u8 = 1 << 1;
    /// It will say no more: its FIN came, or it was silent for too long.
    pub(crate) const ENDED: u8 = 1 << 2;
    /// Some of its bytes wait in its store.
    pub(crate) const WAITS: u8 = 1 << 3;
    /// Our FIN is on its way to it.
    pub(crate) const SHUT: u8 = 1 << 4;
    /// It was silent for too long, and nothing had gone wrong before.
    pub(crate) const SILENT: u8 = 1 << 5;
    /// The application holds bytes of it.
    pub(crate) const SAID: u8 = 1 << 6;

    #[inline]
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, flag: u8) {
        self.flags |= flag;
    }

    pub(crate) fn assign(&mut self, flag: u8, is_so: bool) {
        self.flags = self.flags & !flag | if is_so { flag } else { 0 };
    }
}

const _: () = assert!(size_of::<End>() <= 32);
