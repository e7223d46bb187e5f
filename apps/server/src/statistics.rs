//! What one core has done, for a person who watches.

use core::fmt;

use penstock_stack::{Counters, Event};

/// Counts since the core started, and what is open now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests understood; in proxy mode, connections relayed.
    pub requests: u64,
    /// Connections open now.
    pub active: u64,
    /// Requests refused with a status of their own: bad, too long, too late, no backend.
    pub refused: u64,
    /// Connections ended because nothing moved on them.
    pub timeouts: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Frames dropped, for whatever reason.
    pub drops: u64,
    /// Segments of connections we opened that arrived at their core.
    pub rfd_hits: u64,
    /// Frames that arrived at another core and crossed by mail.
    pub rfd_misdirected: u64,
}

/// What the application itself counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) requests: u64,
    pub(crate) active: u64,
    pub(crate) refused: u64,
    pub(crate) timeouts: u64,
}

impl Counts {
    pub(crate) fn statistics(&self, counters: &Counters) -> Statistics {
        let Counts { accepted, requests, active, refused, timeouts } = *self;
        Statistics {
            accepted,
            requests,
            active,
            refused,
            timeouts,
            retransmits: counters.count(Event::TcpRetransSegs),
            drops: counters.drops_total(),
            rfd_hits: counters.count(Event::RfdHits),
            rfd_misdirected: counters.count(Event::RfdMisdirected),
        }
    }
}

impl Statistics {
    /// What was counted since `before`; what is open stays what is open now.
    pub fn since(&self, before: &Statistics) -> Statistics {
        Statistics {
            accepted: self.accepted - before.accepted,
            requests: self.requests - before.requests,
            active: self.active,
            refused: self.refused - before.refused,
            timeouts: self.timeouts - before.timeouts,
            retransmits: self.retransmits - before.retransmits,
            drops: self.drops - before.drops,
            rfd_hits: self.rfd_hits - before.rfd_hits,
            rfd_misdirected: self.rfd_misdirected - before.rfd_misdirected,
        }
    }
}

/// One line: `accepted 5 requests 5 active 0 ...`.
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics {
            accepted,
            requests,
            active,
            refused,
            timeouts,
            retransmits,
            drops,
            rfd_hits,
            rfd_misdirected,
        } = self;
        write!(
            f,
            "accepted {accepted} requests {requests} active {active} refused {refused} \
             timeouts {timeouts} retransmits {retransmits} drops {drops} \
             rfd-hits {rfd_hits} rfd-misdirected {rfd_misdirected}"
        )
    }
}
