//! What is known of one connection.

use penstock_http::{Body, Framing, Gather};

use crate::answer::{Answer, Matter};

/// One connection's record; where it stands decides what each upcall means to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) stage: Stage,
    /// The peer has sent its FIN.
    pub(crate) is_half_closed: bool,
    /// Milliseconds, on a ring of 2^32, when a byte last moved.
    pub(crate) moved_at: u32,
    pub(crate) body: Body,
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not ours any more.
    Gone,
    /// Between requests: no byte of the next has come.
    Idle,
    /// A head comes in pieces.
    Head(Gather),
    /// A body that nobody wants comes, and the answer after it.
    Body,
    /// The answer waits for its time.
    Delay,
    /// The answer is sent as far as there is room, or as far as the body to be echoed has come.
    Answer,
    /// All is said; what still comes is thrown away.
    Linger,
    /// In proxy mode, a client that has said nothing yet.
    Proxy,
    /// One end of the relay's.
    Relayed,
    /// TCP echo (RFC 862).
    Echo,
    /// TCP discard (RFC 863).
    Discard,
    /// TCP chargen (RFC 864); where in its lines it is.
    Chargen(u16),
}

impl Client {
    pub(crate) const GONE: Client = Client {
        stage: Stage::Gone,
        is_half_closed: false,
        moved_at: 0,
        body: Body::NONE,
        answer: Answer::NONE,
    };

    pub(crate) fn new(stage: Stage, millis: u32) -> Client {
        Client { stage, moved_at: millis, ..Client::GONE }
    }

    pub(crate) fn is_echoing(&self) -> bool {
        matches!(self.answer.matter, Matter::Echo(_))
    }

    pub(crate) fn begin_body(&mut self, framing: Framing) {
        self.body = Body::new(framing);
    }
}

// A connection costs what a table has for it, and no more.
const _: () = assert!(size_of::<Client>() <= 72);
