//! What a script says, as data.

use penstock_stack::{Capacity, Close, Duration, SocketOptions, State, Tcp};

use super::oddity::Oddity;
use super::segment::Segment;

/// A script: a worker's configuration, and what happens to it step by step.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) setting: Setting,
    pub(crate) steps: Vec<Step>,
    /// Runs over IPv4, over IPv6.
    pub(crate) families: [bool; 2],
}

/// The worker as it is before the first step.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) tcp: Tcp,
    pub(crate) capacity: Capacity,
    pub(crate) mtu: u16,
    pub(crate) listens: Vec<u16>,
    pub(crate) ephemeral_ports: (u16, u16),
}

impl Default for Setting {
    fn default() -> Setting {
        let capacity = Capacity {
            connections: 64,
            flights: 64,
            half_open: 16,
            time_wait: 64,
            chunks: 1024,
            ..Capacity::default()
        };
        Setting {
            tcp: Tcp::default(),
            capacity,
            mtu: 1500,
            listens: Vec::new(),
            ephemeral_ports: (32_768, 65_535),
        }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its number, from 1.
    pub(crate) line: u32,
    pub(crate) text: String,
    pub(crate) when: When,
    /// Which of the peers it is about, from 1.
    pub(crate) peer: Peer,
    pub(crate) act: Act,
}

/// When a step happens, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// This long after the step before.
    After(u64),
    /// This long after the start.
    At(u64),
    /// Whenever it comes.
    Whenever,
}

/// A remote port, and the local port it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) number: u16,
    /// Where the script says nothing: the first port listened on.
    pub(crate) local_port: Option<u16>,
}

/// What happens, or what must have happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// The peer sends a segment, or a router made something odd of it.
    Inject(Segment, Option<Oddity>),
    /// The worker sends a segment.
    Expect(Segment),
    /// A router complains of a segment of ours.
    Complain(Complaint),
    /// The application calls.
    Downcall(Downcall),
    /// The application will call within the next upcall of this kind.
    Within(Kind, Downcall),
    /// The worker has called the application.
    Upcall(Upcall),
    /// It has not, since the last one that was asked for.
    NoUpcall,
    /// Nothing is sent until then.
    Nothing,
    /// A counter stands at a value.
    Count(String, u64),
    /// The connection is in this state; `None`: gone.
    State(Option<State>),
    /// What is in the tables.
    Census(Vec<(Table, u32)>),
    /// What is known of the connection.
    Info(Vec<(Fact, u64)>),
    /// The next SYN begins a new connection: the peer's numbers move on by this.
    Fresh(u32),
    /// The peer sends as many bytes, one by one, as are acknowledged at once at the start.
    Quick,
}

/// An ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) trouble: Trouble,
    /// The sequence number of the segment it quotes.
    pub(crate) seq: u32,
}

/// What a router complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It carries no more than so many bytes.
    TooBig(u32),
    /// Nobody is there now.
    Host,
    /// Nobody is there on that port.
    Port,
    /// Nobody wants it to get there.
    Prohibited,
    /// It went round in circles.
    TimeExceeded,
}

/// What the application asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Downcall {
    /// So many bytes, and how many of them are taken.
    Send(u32, u32),
    Close,
    Shutdown,
    Abort,
    Forsake,
    Pause,
    Resume,
    /// The next upcalls with data take so many bytes in all, and refuse what is beyond.
    Take(u32),
    Connect,
    Options(SocketOptions),
    Timer(Duration),
    /// No more clients on any port.
    Unlisten,
}

/// A kind of upcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Accept,
    Connected,
    Data,
    Acknowledged,
    RemoteClosed,
    Timer,
}

/// What the worker told the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upcall {
    Accept,
    Connected,
    ConnectFailed(Close),
    Data(u32),
    Acknowledged(u32),
    RemoteClosed,
    Closed(Close),
    Timer,
}

impl Upcall {
    /// Its kind, where the application can still do something.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Upcall::Accept => Some(Kind::Accept),
            Upcall::Connected => Some(Kind::Connected),
            Upcall::Data(_) => Some(Kind::Data),
            Upcall::Acknowledged(_) => Some(Kind::Acknowledged),
            Upcall::RemoteClosed => Some(Kind::RemoteClosed),
            Upcall::Timer => Some(Kind::Timer),
            Upcall::ConnectFailed(_) | Upcall::Closed(_) => None,
        }
    }
}

/// A table of the census.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Connections,
    HalfOpen,
    TimeWait,
    Flights,
    Timers,
    /// Chunks in use.
    Chunks,
}

/// A number of `Info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    RttUs,
    RttvarUs,
    RtoMs,
    Cwnd,
    Ssthresh,
    Mss,
    SendWindow,
    ReceiveWindow,
    Unacknowledged,
    Sacked,
    Lost,
    Resent,
    Queued,
    Unread,
    Retransmits,
    Timestamps,
    Sack,
}
