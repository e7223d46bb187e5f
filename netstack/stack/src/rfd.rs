//! Receive Flow Deliver: which core a segment belongs to, and how a new connection picks its port so
//! that the answers come to the core that asked.
//!
//! A connection that this machine opens is owned by the core that opened it. The core writes its
//! number into the low bits of the local port, where every card and every other core can read it:
//!
//! ```text
//!   port    1 x x x x x x x x x x x x c c c      8 cores; the range 32768-65535 is "1…"
//!           └ range's high bits       └ core
//!
//!   Flow Director   one mask {high bits, low bits}, one filter per value of the low bits   [steering]
//!   RSS only        the port bits are solved for, until the hash names this core's queue   [Solver]
//!   neither         the frame crosses to its owner by mail
//! ```
//! Ports that the application has claimed beside the range ([`Rfd::claim`]) follow the same rule, but
//! for Flow Director, whose filters hold the range's block alone: outside of it the hash decides.
//!
//! With a number of cores that is no power of two some low bits name no core. Such ports are never
//! chosen; a stray segment to one belongs to `bits mod cores`, so that it has one home at least.
//!
//! This file is arithmetic. What is free, what listens and what the card can do, the caller knows.
//! To have read: RFC 6056 section 3.3.3 (port choice), 82599 datasheet sections 7.1.2.7 (Flow
//! Director) and 7.1.2.8 (RSS).

mod ports;
mod solver;

use alloc::boxed::Box;
use alloc::vec::Vec;

use penstock_queue::{PortMask, SteerRule};

use crate::config::Steering;
pub use ports::{PortAllocator, Wanted};
use solver::Solver;

/// The most cores: an 82599 has 128 receive queues.
pub const CORES_MAX: u16 = 128;

/// How many cores share the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    count: u16,
}

impl Cores {
    /// `count` cores; `None` unless it lies in 1 ..= [`CORES_MAX`].
    pub const fn new(count: u16) -> Option<Cores> {
        if count >= 1 && count <= CORES_MAX { Some(Cores { count }) } else { None }
    }

    /// How many there are.
    #[inline]
    pub const fn count(self) -> u16 {
        self.count
    }

    /// The low bits of a port that name a core.
    #[inline]
    pub const fn low_bits(self) -> u16 {
        self.count.next_power_of_two() - 1
    }

    /// The core that the low bits of `port` name, or the one that stands in where they name none.
    #[inline]
    pub const fn core_of(self, port: u16) -> u16 {
        let value = port & self.low_bits();
        if value < self.count { value } else { value % self.count }
    }

    /// The core that owns a segment to local port `port`, if the rule knows one: the port is in the
    /// ephemeral range and nothing listens there, so the connection is one that we opened.
    #[inline]
    pub const fn owner(self, range: PortRange, port: u16, is_listening: bool) -> Option<u16> {
        if range.contains(port) && !is_listening { Some(self.core_of(port)) } else { None }
    }
}

/// The ports of active connections (`net.ipv4.ip_local_port_range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// 32768-65535: the upper half, which one bit tells.
    pub const DEFAULT: PortRange = PortRange { first: 32_768, last: 65_535 };

    /// `first ..= last`; `None` for an empty range or one that holds port 0.
    pub const fn new(first: u16, last: u16) -> Option<PortRange> {
        if first > 0 && first <= last { Some(PortRange { first, last }) } else { None }
    }

    /// Whether `port` is in the range.
    #[inline]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// The smallest aligned block around the range: its first port, and the bits free in it.
    const fn block(self) -> (u16, u16) {
        let differing = self.first ^ self.last;
        let free = match differing.leading_zeros() {
            0 => u16::MAX,
            zeros => (1 << (16 - zeros)) - 1,
        };
        (self.first & !free, free)
    }
}

/// Why a card cannot be told to steer by the low bits of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SteeringError {
    /// No high bit is common to the range's ports, so the filters would also take the ports that
    /// servers listen on, all of whose traffic would land on one core.
    RangeTooWide,
    /// The range has fewer ports than there are values of the low bits.
    RangeTooNarrow,
    /// A card without queues.
    NoQueues,
}

impl core::fmt::Display for SteeringError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            SteeringError::RangeTooWide => {
                "ip_local_port_range: no high bit is common to its ports (32768-65535 has one)"
            }
            SteeringError::RangeTooNarrow => "ip_local_port_range: fewer ports than cores",
            SteeringError::NoQueues => "a card without receive queues",
        })
    }
}

/// The filters that bring every active connection of the range to its core, and the mask they share:
/// one filter for each value of the low bits, to the queue of the same number as the core.
///
/// The mask is exact for an aligned block of ports. Any other range is steered as the smallest
/// aligned block around it: a listener in the difference works, with its traffic on one core.
///
/// # Errors
/// See [`SteeringError`].
pub fn steering(
    cores: Cores,
    queues: u16,
    range: PortRange,
) -> Result<(PortMask, impl Iterator<Item = SteerRule>), SteeringError> {
    let (base, free) = range.block();
    let low_bits = cores.low_bits();
    if queues == 0 {
        return Err(SteeringError::NoQueues);
    }
    if base == 0 {
        return Err(SteeringError::RangeTooWide);
    }
    if free < low_bits {
        return Err(SteeringError::RangeTooNarrow);
    }
    let rules = (0..=low_bits)
        .map(move |value| SteerRule { value: base | value, queue: cores.core_of(value) % queues });
    Ok((PortMask(!free | low_bits), rules))
}

/// The rule as one core applies it, on each of its interfaces. Frozen before the core starts.
#[derive(Clone, Debug)]
pub struct Rfd {
    cores: Cores,
    core: u16,
    range: PortRange,
    /// More ports of active connections.
    claimed: Vec<PortRange>,
    interfaces: Vec<Chosen>,
}

/// How the ports of active connections over an interface are chosen, hence how they name their
/// owner.
#[derive(Clone, Debug)]
enum Chosen {
    /// The low bits are the core's number.
    ByLowBits,
    /// The card's hash of what comes back gives the core's queue; for IPv6 alone where the card
    /// filters IPv4.
    ByHash { v6_only: bool, solver: Box<Solver> },
}

impl Rfd {
    /// The rule for worker `core` of `cores`, whose queue has the same number on every card;
    /// `steering` says what each interface's card can do, in the order of the interfaces.
    pub fn new<'a>(
        cores: Cores,
        core: u16,
        range: PortRange,
        steering: impl Iterator<Item = &'a Steering>,
    ) -> Rfd {
        let by_hash = |rss, v6_only| {
            let solver = Box::new(Solver::new(rss, cores, core, range));
            Chosen::ByHash { v6_only, solver }
        };
        let interfaces = steering
            .map(|card| match card {
                // One core owns all: any port is right.
                _ if cores.count == 1 => Chosen::ByLowBits,
                Steering::Unknown => Chosen::ByLowBits,
                Steering::FlowDirector(rss) => by_hash(rss, true),
                Steering::Rss(rss) => by_hash(rss, false),
            })
            .collect();
        Rfd { cores, core, range, claimed: Vec::new(), interfaces }
    }

    /// Whether a connection from local port `port` may be one that this machine opened: the port is
    /// in the ephemeral range.
    #[inline]
    pub const fn is_active(&self, port: u16) -> bool {
        self.range.contains(port)
    }

    /// The core that owns a segment to local port `port`, on which nothing listens, as the port's
    /// low bits say it; `None` for a port outside the range, which belongs to whoever received it.
    #[inline]
    pub const fn owner(&self, port: u16) -> Option<u16> {
        self.cores.owner(self.range, port, false)
    }

    /// As [`owner`](Self::owner), where the whole tuple is known: a port that was chosen by hash is
    /// owned as the hash says. Costs a Toeplitz hash there: for segments that found no connection.
    ///
    /// Ports that were [claimed](Self::claim) have an owner too.
    pub fn owner_of(&self, wanted: &Wanted, port: u16) -> Option<u16> {
        let is_ours = self.is_active(port) || self.claimed.iter().any(|range| range.contains(port));
        is_ours.then(|| match self.solver_at(wanted, port) {
            Some(solver) => solver.queue_of(wanted, port) as u16 % self.cores.count,
            None => self.cores.core_of(port),
        })
    }

    /// Ports of `range` are for active connections too, where nothing listens. To be said on every
    /// core, so that each knows where a segment belongs that the card brought elsewhere.
    pub fn claim(&mut self, range: PortRange) {
        if !self.claimed.contains(&range) {
            self.claimed.push(range);
        }
    }

    /// What tells the owner of `port`, of the range or claimed, by hash, if anything does: a card's
    /// filters hold no more than the block around the range.
    fn solver_at(&self, wanted: &Wanted, port: u16) -> Option<&Solver> {
        let (base, free) = self.range.block();
        match self.interfaces.get(wanted.interface as usize)? {
            Chosen::ByHash { v6_only: true, solver } if port & !free != base => Some(solver),
            _ => self.solver(wanted),
        }
    }

    /// What chooses the ports of such a connection by hash, if anything does.
    fn solver(&self, wanted: &Wanted) -> Option<&Solver> {
        match self.interfaces.get(wanted.interface as usize)? {
            Chosen::ByLowBits => None,
            Chosen::ByHash { v6_only: true, .. } if wanted.remote.is_v4() => None,
            Chosen::ByHash { solver, .. } => Some(solver),
        }
    }

    /// The first port whose low bits name this core, and how many there are, each
    /// [`step`](Self::step) after the other.
    fn own_ports(&self) -> (u16, u32) {
        let PortRange { first, last } = self.range;
        let ahead = self.core.wrapping_sub(first) & self.cores.low_bits();
        if self.core >= self.cores.count || ahead > last - first {
            return (first, 0);
        }
        (first + ahead, ((last - first - ahead) / self.step()) as u32 + 1)
    }

    fn step(&self) -> u16 {
        self.cores.low_bits() + 1
    }
}

#[cfg(test)]
mod tests;
