//! Whether an address that we want is another's (RFC 5227 for IPv4, RFC 4862 section 5.4 for IPv6).
//!
//! IPv4 probes are closer together than RFC 5227 says: a machine that boots in a second is not kept
//! from its work for six. What a slow host says later is a conflict like any other.

use penstock_stack::{Duration, Instant};
use penstock_wire::icmp::Outgoing;
use penstock_wire::{Addr, Mac};

use crate::frame::{self, Frame};
use crate::limits;

/// An address being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Check {
    interface: u8,
    addr: Addr,
    sent: u8,
    next_at: Instant,
}

/// All that are.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    list: [Option<Check>; limits::CHECKS_MAX],
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Ask for it with [`question`].
    Ask(u8, Addr),
    /// Nobody has it.
    Free(u8, Addr),
}

impl Checks {
    /// Begins to look. False: too many already.
    pub(crate) fn begin(&mut self, interface: u8, addr: Addr, now: Instant) -> bool {
        if self.is_under_way(interface, addr) {
            return true;
        }
        let Some(place) = self.list.iter_mut().find(|place| place.is_none()) else { return false };
        *place = Some(Check { interface, addr, sent: 0, next_at: now });
        true
    }

    /// No more of it; whether it was under way.
    pub(crate) fn end(&mut self, interface: u8, addr: Addr) -> bool {
        let is = |place: &&mut Option<Check>| {
            place.is_some_and(|check| (check.interface, check.addr) == (interface, addr))
        };
        self.list.iter_mut().find(is).map(|place| *place = None).is_some()
    }

    pub(crate) fn is_under_way(&self, interface: u8, addr: Addr) -> bool {
        self.list.iter().flatten().any(|check| (check.interface, check.addr) == (interface, addr))
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.list.iter().flatten().map(|check| check.next_at).min()
    }

    /// The next thing to be done by `now`.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Act> {
        let due = |place: &&mut Option<Check>| place.is_some_and(|check| check.next_at <= now);
        let place = self.list.iter_mut().find(due)?;
        let check = place.as_mut()?;
        let Check { interface, addr, sent, .. } = *check;
        let (probes, interval) =
            if addr.is_v4() { (PROBES_V4, PROBE_INTERVAL_V4) } else { (1, RETRANS_TIMER) };
        if sent >= probes {
            *place = None;
            return Some(Act::Free(interface, addr));
        }
        check.sent += 1;
        check.next_at = now + interval;
        Some(Act::Ask(interface, addr))
    }
}

/// The frame that asks whether `addr` is another's.
pub(crate) fn question(mac: Mac, addr: Addr) -> Frame {
    if addr.is_v4() {
        return frame::arp_request(mac, Addr::v4(0), addr);
    }
    //= rfc4862#5.4.2
    //# The solicitation's Target Address is set to the address being checked, the IP source
    //# is set to the unspecified address, and the IP destination is set to the
    //# solicited-node multicast address of the target address.
    let message = Outgoing::NeighbourSolicitation { target: addr, source_mac: None };
    frame::ndp(mac, Addr::UNSPECIFIED, addr.solicited_node(), &message)
}

//= rfc5227#1.1 type=exception
//= reason=Three probes, a fifth of a second apart; see above.
//# PROBE_MIN            1 second  (minimum delay until repeated probe)
const PROBES_V4: u8 = 3;
const PROBE_INTERVAL_V4: Duration = Duration::from_millis(200);
/// RetransTimer (RFC 4861 section 10).
const RETRANS_TIMER: Duration = Duration::from_secs(1);
