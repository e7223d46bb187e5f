//! The record of a session: from the moment a client is there until its line is in the log.

use core::cell::Cell;

use penstock_config::haproxy::Level;
use penstock_relay::Said;
use penstock_stack::{ConnId, Endpoint, Instant};

use crate::kept::Buffer;
use crate::slots::PoolId;

/// Names a session of this core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId(pub(crate) u32);

/// A session. What stands in cells changes while rules look at it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) client: ConnId,
    pub(crate) phase: Phase,
    pub(crate) frontend: u16,
    /// Which of the frontend's listeners.
    pub(crate) bind: u16,
    /// Once it is known.
    pub(crate) backend: Option<u16>,
    /// Among all servers; once it is chosen.
    pub(crate) server: Option<u16>,
    /// Connections to servers that have failed.
    pub(crate) retries: u16,
    pub(crate) flags: u16,
    /// How many sessions came before it, over all cores or nearly: no other has that number.
    pub(crate) number: u32,
    /// How many of its listener's gates it is behind.
    pub(crate) gates_passed: u8,
    /// Both ends of the client's connection.
    pub(crate) peer: Cell<Endpoint>,
    pub(crate) local: Cell<Endpoint>,
    /// The same, as a PROXY header or a rule has it.
    pub(crate) source: Cell<Endpoint>,
    pub(crate) destination: Cell<Endpoint>,
    /// What a rule says of its log line: of which level it is, or that there is none.
    pub(crate) log_level: Cell<Option<Option<Level>>>,
    /// Sessions of a lower class leave queues before it; and it came so many milliseconds later.
    pub(crate) priority: Cell<(i16, i32)>,
    /// The rule that waits for what it looks at; those before it are done with.
    pub(crate) resume: Cell<Option<u16>>,
    /// Its place among those who wait: by class, then by when it joined.
    pub(crate) rank: (i16, u32),
    /// Our end of the connection to its server, where somebody wants to know.
    pub(crate) outgoing: Option<Endpoint>,
    pub(crate) accepted_at: Instant,
    /// Milliseconds after that at which its PROXY header was there.
    pub(crate) handshake_ms: u32,
    /// Milliseconds after that at which it was given a server.
    pub(crate) queued_ms: Option<u32>,
    /// Milliseconds after that at which the server had answered.
    pub(crate) connected_ms: Option<u32>,
    /// Its place in the queue of its server, and of its backend, when it joined: from 1.
    pub(crate) server_queue: u32,
    pub(crate) backend_queue: u32,
    /// What the queue in which it stands had served when it joined.
    pub(crate) joined_at: u32,
    /// When the phase it is in is over, in milliseconds on a ring of 2^32.
    pub(crate) until: u32,
    /// What a hash has to place.
    pub(crate) key: Option<u32>,
    /// Bytes of its client that rules have looked at.
    pub(crate) kept: Option<Buffer>,
    /// The PROXY header that is being read.
    pub(crate) reader: Option<u32>,
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its client's first word (`defer-accept`).
    Unspoken,
    /// A PROXY header.
    Header,
    /// A slot behind the next gate of its listener.
    Entrance(PoolId),
    /// Bytes for the rules of its frontend.
    FrontendRules,
    /// Bytes for the rules of its backend.
    BackendRules,
    /// Any server of its backend with a slot.
    BackendQueue,
    /// A slot of its server.
    ServerQueue,
    /// A moment, before the same server is tried again.
    Pause,
    /// Its server's answer.
    Connecting,
    /// The end: bytes go both ways.
    Relayed,
}

impl Session {
    /// It holds a slot of its server.
    pub(crate) const SERVER_SLOT: u16 = 1;
    /// It was let in: a connection that became a session.
    pub(crate) const BEGUN: u16 = 1 << 1;
    /// It is called something.
    pub(crate) const IDENTIFIED: u16 = 1 << 2;
    /// `force-persist` keeps it to its server, though that is down.
    pub(crate) const FORCED: u16 = 1 << 3;
    /// It is counted in its frontend, its backend, its server.
    pub(crate) const IN_FRONTEND: u16 = 1 << 4;
    pub(crate) const IN_BACKEND: u16 = 1 << 5;
    pub(crate) const IN_SERVER: u16 = 1 << 6;
    /// Bytes of its client wait in the stack.
    pub(crate) const STORED: u16 = 1 << 7;
    /// Its client has said all it has to say.
    pub(crate) const ENDED: u16 = 1 << 8;
    /// Another server than the first was tried.
    pub(crate) const REDISPATCHED: u16 = 1 << 9;
    /// A PROXY header came.
    pub(crate) const HEADER_CAME: u16 = 1 << 10;
    /// A rule chose its server.
    pub(crate) const DIRECTED: u16 = 1 << 11;
    /// Its next try may go to another server.
    pub(crate) const MOVES: u16 = 1 << 12;
    /// The time that rules may wait for bytes has begun.
    pub(crate) const INSPECTED: u16 = 1 << 13;

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn set(&mut self, flag: u16) {
        self.flags |= flag;
    }

    /// Clears `flag`; whether it was set.
    pub(crate) fn take(&mut self, flag: u16) -> bool {
        let was = self.has(flag);
        self.flags &= !flag;
        was
    }

    /// Takes its place among those who wait from now on.
    pub(crate) fn take_rank(&mut self, now: Instant) -> (i16, u32) {
        let (class, later_ms) = self.priority.get();
        self.rank = (class, now.millis().wrapping_add_signed(later_ms));
        self.rank
    }

    /// Whether who has this rank goes first.
    pub(crate) fn is_after(&self, (class, at): (i16, u32)) -> bool {
        self.rank.0 > class || self.rank.0 == class && self.rank.1.wrapping_sub(at) as i32 > 0
    }

    /// What its client has said so far, for the relay.
    pub(crate) fn said(&self) -> Said {
        match (self.kept, self.has(Session::STORED)) {
            (Some(_), _) => Said::Held,
            (None, true) => Said::Stored,
            (None, false) => Said::Nothing(self.accepted_at.millis()),
        }
    }

    /// Milliseconds since it was accepted.
    pub(crate) fn age_ms(&self, now: Instant) -> u32 {
        (now - self.accepted_at).millis().min(u32::MAX.into()) as u32
    }
}

/// How a session ended: the two letters of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Termination(pub(crate) [u8; 2]);

impl Termination {
    /// Both sides closed in order.
    pub(crate) const NORMAL: Termination = Termination(*b"--");
    /// A rule refused it.
    pub(crate) const REFUSED: Termination = Termination(*b"PR");
    /// A rule refused what its server said.
    pub(crate) const REFUSED_RESPONSE: Termination = Termination(*b"PD");
    /// There is no backend, no server, or none that answers.
    pub(crate) const NO_SERVER: Termination = Termination(*b"SC");
    /// Its server did not answer in time.
    pub(crate) const CONNECT_TIMEOUT: Termination = Termination(*b"sC");
    /// It waited in a queue for too long.
    pub(crate) const QUEUE_TIMEOUT: Termination = Termination(*b"sQ");
    /// The queue it was to join is full.
    pub(crate) const QUEUE_FULL: Termination = Termination(*b"SQ");
    /// This machine has no port, record or memory for it.
    pub(crate) const RESOURCE: Termination = Termination(*b"RC");
    /// The proxy has stopped, and has waited for long enough.
    pub(crate) const KILLED: Termination = Termination(*b"K-");

    /// Who it was that ended it, and in which phase.
    pub(crate) fn of(cause: u8, phase: Phase) -> Termination {
        let when = match phase {
            Phase::Unspoken
            | Phase::Header
            | Phase::Entrance(_)
            | Phase::FrontendRules
            | Phase::BackendRules => b'R',
            Phase::BackendQueue | Phase::ServerQueue => b'Q',
            Phase::Pause | Phase::Connecting => b'C',
            Phase::Relayed => b'D',
        };
        Termination([cause, when])
    }

    /// It was cut off because of its server. HAProxy names no phase of those that had one already.
    pub(crate) fn of_cut(cause: u8, phase: Phase) -> Termination {
        match phase {
            Phase::Relayed => Termination([cause, b'-']),
            _ => Termination::of(cause, phase),
        }
    }

    /// A client's connection broke. Once no rule waits for its bytes any more, HAProxy takes that for
    /// an end of the data phase, whether a server has answered or not.
    pub(crate) fn of_reset(phase: Phase) -> Termination {
        match phase {
            Phase::BackendQueue | Phase::ServerQueue | Phase::Pause | Phase::Connecting => {
                Termination::of(CLIENT_BROKE, Phase::Relayed)
            }
            _ => Termination::of(CLIENT_BROKE, phase),
        }
    }
}

/// Causes of an end.
pub(crate) const CLIENT_BROKE: u8 = b'C';
pub(crate) const CLIENT_TIMEOUT: u8 = b'c';
pub(crate) const SERVER_BROKE: u8 = b'S';
pub(crate) const SERVER_TIMEOUT: u8 = b's';
/// Its server was marked down, and its sessions with it.
pub(crate) const SERVER_DOWN: u8 = b'D';
/// Servers are back that its backup server stood in for.
pub(crate) const SERVERS_UP: u8 = b'U';
