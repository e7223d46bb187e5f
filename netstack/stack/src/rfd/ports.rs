//! The choice of a local port for a connection that this core opens.

use penstock_wire::Addr;

use super::{PortRange, Rfd, Solver};

/// A connection that still lacks its local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The interface it goes out by.
    pub interface: u8,
    /// Our address.
    pub own: Addr,
    /// The peer's address.
    pub remote: Addr,
    /// The peer's port.
    pub remote_port: u16,
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
    /// Ports passed so far: "next_ephemeral" of RFC 6056.
    passed: u32,
}

impl PortAllocator {
    /// An allocator whose counter starts at `seed`.
    pub const fn new(seed: u32) -> PortAllocator {
        PortAllocator { passed: seed }
    }

    /// A port of this core that `is_free`: not listened on, and the tuple neither in use nor in a
    /// TIME-WAIT that must be respected. `offset` is the secret of our address and the
    /// destination. `None`: every port is taken.
    ///
    /// Where the card has only receive-side scaling, the port is one for which the hash of what will
    /// come back names this core's queue. Ports whose low bits name this core as well come first;
    /// when those are used up any other will do, whose owner only the hash tells
    /// ([`Rfd::owner_of`]).
    #[inline(always)]
    pub fn choose(
        &mut self,
        rfd: &Rfd,
        wanted: &Wanted,
        offset: u32,
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        match rfd.solver(wanted) {
            Some(solver) => self.choose_by_hash(rfd, solver, wanted, offset, is_free),
            None => {
                let (first, count) = rfd.own_ports();
                let nth_port = |nth| first + nth as u16 * rfd.step();
                self.round(count, offset, |nth| Some(nth_port(nth)).filter(|&port| is_free(port)))
            }
        }
    }

    /// The same from the ports of `range`, which was [claimed](Rfd::claim): those that this core owns.
    /// They are searched, not solved for: at most one look at each port of the range.
    #[cold]
    pub fn choose_within(
        &mut self,
        rfd: &Rfd,
        wanted: &Wanted,
        range: PortRange,
        offset: u32,
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let PortRange { first, last } = range;
        self.round((last - first) as u32 + 1, offset, |nth| {
            let port = first + nth as u16;
            (rfd.owner_of(wanted, port) == Some(rfd.core) && is_free(port)).then_some(port)
        })
    }

    fn choose_by_hash(
        &mut self,
        rfd: &Rfd,
        solver: &Solver,
        wanted: &Wanted,
        offset: u32,
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let base = solver.base(wanted);
        [true, false].into_iter().find_map(|agree| {
            let count = solver.candidates(wanted, agree);
            self.round(count, offset, |nth| {
                let port = solver.candidate(wanted, base, agree, nth)?;
                let agrees = port & rfd.cores.low_bits() == rfd.core;
                (agrees == agree && rfd.range.contains(port) && is_free(port)).then_some(port)
            })
        })
    }

    /// Tries each of `count` candidates once, from a place that nobody else can guess.
    fn round(
        &mut self,
        count: u32,
        offset: u32,
        mut candidate: impl FnMut(u32) -> Option<u16>,
    ) -> Option<u16> {
        (0..count).find_map(|_| {
            let nth = offset.wrapping_add(self.passed) % count;
            self.passed = self.passed.wrapping_add(1);
            candidate(nth)
        })
    }
}
