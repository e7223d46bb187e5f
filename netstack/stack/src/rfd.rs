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
//! With a number of cores that is no power of two some low bits name no core. Such ports are never
//! chosen; a stray segment to one belongs to `bits mod cores`, so that it has one home at least.
//!
//! This file is arithmetic. What is free, what listens and what the card can do, the caller knows.
//! To have read: RFC 6056 section 3.3.3 (port choice), 82599 datasheet sections 7.1.2.7 (Flow
//! Director) and 7.1.2.8 (RSS).

use penstock_queue::{PortMask, SteerRule};
use penstock_wire::Addr;

mod solver;

pub use solver::Solver;

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

/// Chooses local ports for the connections that one core opens.
///
/// The choice starts at a secret offset for each destination plus a counter and goes on to the next
/// port of this core (RFC 6056 algorithm 3), so that ports cannot be guessed and one is not used
/// again for as long as possible. The cost is one question to the caller for each port in use that
/// is passed: next to nothing, until a destination has nearly all its ports in use; a full round
/// (32768 / cores questions, by default) says that there is none.
#[derive(Clone, Debug)]
pub struct PortAllocator {
    cores: Cores,
    core: u16,
    range: PortRange,
    /// Ports passed so far: "next_ephemeral" of RFC 6056.
    passed: u32,
}

impl PortAllocator {
    /// The allocator of `core`, whose ports are those of `range` with its low bits. The counter
    /// starts at `seed`.
    pub fn new(cores: Cores, core: u16, range: PortRange, seed: u32) -> PortAllocator {
        PortAllocator { cores, core, range, passed: seed }
    }

    /// How many ports this core has towards one destination.
    pub fn capacity(&self) -> u32 {
        self.candidates().1
    }

    /// A port whose low bits name this core and that `is_free`: not listened on, and the tuple
    /// neither in use nor in a TIME-WAIT that must be respected. `offset` is the secret of the
    /// destination (and our address). `None`: every port is taken.
    pub fn choose(&mut self, offset: u32, mut is_free: impl FnMut(u16) -> bool) -> Option<u16> {
        let (first, count) = self.candidates();
        for _ in 0..count {
            let nth = offset.wrapping_add(self.passed) % count;
            self.passed = self.passed.wrapping_add(1);
            let port = first + nth as u16 * self.step();
            if is_free(port) {
                return Some(port);
            }
        }
        None
    }

    /// As [`choose`](Self::choose), for a card that has only RSS: the port is one for which the
    /// hash of what will come back names this core's queue. Ports whose low bits name this core
    /// as well come first; when those are used up any other will do, whose owner only the hash
    /// tells ([`Solver::queue_of`]).
    pub fn choose_by_hash(
        &mut self,
        solver: &Solver,
        incoming: &Incoming,
        offset: u32,
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let base = solver.base(incoming);
        for agree in [true, false] {
            let count = solver.candidates(incoming, agree);
            for _ in 0..count {
                let nth = offset.wrapping_add(self.passed) % count;
                self.passed = self.passed.wrapping_add(1);
                let Some(port) = solver.candidate(incoming, base, agree, nth) else { continue };
                let is_own = port & self.cores.low_bits() == self.core;
                if is_own == agree && self.range.contains(port) && is_free(port) {
                    return Some(port);
                }
            }
        }
        None
    }

    /// The first port of this core, and how many there are, each [`step`](Self::step) apart.
    fn candidates(&self) -> (u16, u32) {
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

/// What is known of a segment that will come back before our port is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The peer's address, which is the source.
    pub remote: Addr,
    /// The peer's port.
    pub remote_port: u16,
    /// Our address.
    pub local: Addr,
}

#[cfg(test)]
mod tests;
