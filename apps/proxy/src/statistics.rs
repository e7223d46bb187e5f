//! What was done, for a line a second and for the end.

use core::fmt;

/// What one core's proxy has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Clients let in.
    pub accepted: u64,
    /// Sessions that came to a server.
    pub sessions: u64,
    /// Sessions that ended otherwise than by both sides closing.
    pub failed: u64,
    /// Connections to servers tried again.
    pub retries: u64,
    /// Sessions now.
    pub active: u32,
}

impl Statistics {
    /// What was done since `before`; what there is stays.
    pub fn since(&self, before: &Statistics) -> Statistics {
        Statistics {
            accepted: self.accepted - before.accepted,
            sessions: self.sessions - before.sessions,
            failed: self.failed - before.failed,
            retries: self.retries - before.retries,
            active: self.active,
        }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics { accepted, sessions, failed, retries, active } = self;
        write!(
            f,
            "{accepted} accepted, {sessions} sessions, {failed} failed, {retries} retries, \
             {active} active"
        )
    }
}
