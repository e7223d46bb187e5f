//! What a check wants of whoever holds its connection.

use penstock_stack::Endpoint;

use super::agent::Orders;
use super::health::Change;

/// What is to be done now, in this order.
#[derive(Debug, Default)]
pub struct Todo<'d> {
    /// These bytes are to be sent.
    pub send: &'d [u8],
    /// The connection is to be closed.
    pub close: Option<Ending>,
    /// Another is to be opened.
    pub open: Option<Endpoint>,
    /// The check is over.
    pub finished: Option<Finished>,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a FIN.
    Fin,
    /// With a reset, which leaves nothing behind on either side.
    Reset,
}

/// What a check that is over means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Finished {
    /// `option log-health-checks` has it in the log.
    pub is_news: bool,
    /// The server is something else now.
    pub change: Option<Change>,
    /// It counts once more: [`Check::repeat`](super::Check::repeat), after the log was told.
    pub repeats: bool,
    /// What an agent wants done first.
    pub orders: Orders,
}
