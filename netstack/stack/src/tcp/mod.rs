//! The TCP engine: numbers in, a verdict out.
//!
//! Nothing here touches a byte of payload, a table, a card or a clock. A [`Tcb`] is what a
//! connection is for as long as it lives; a [`Flight`] is what it needs besides while something is
//! under way: unacknowledged, unsent, out of order, or unread. The worker owns both and feeds them:
//!
//! ```text
//!   segment ──▶ input::on_segment ──▶ Verdict ──▶ (worker: upcalls, buffers, tables)
//!                  └─ acknowledge (RTT, congestion, SACK scoreboard)
//!   timer   ──▶ timer::on_timer   ──▶ Expired
//!   either  ──▶ output::next_segment ──▶ Emit (sequence, length, flags) ──▶ (worker: headers, ranges)
//! ```
//!
//! Half-open connections (the passive SYN-RECEIVED) are served by [`crate::halfopen`], TIME-WAIT by
//! [`crate::timewait`], LISTEN in [`crate::listen`], CLOSED is the absence of all of them.
//!
//! Read RFC 9293 section 3.10 first; then 5961, 6298, 6675, 7323, 9438.

mod acknowledge;
mod congestion;
mod flight;
mod handshake;
mod input;
mod output;
mod predicted;
mod ranges;
mod rtt;
#[cfg(test)]
mod sample;
mod tcb;
mod timer;

pub(crate) use flight::{Flight, Flights, NO_FLIGHT, Retransmission};
pub(crate) use handshake::Handshake;
pub(crate) use input::{Acknowledge, Offer};
pub(crate) use output::Emit;
#[cfg(test)]
pub(crate) use ranges::Ranges;
pub(crate) use ranges::{Inserted, Range};
#[cfg(test)]
pub(crate) use sample::half_open;
pub use tcb::State;
use tcb::first_window;
use tcb::our_scale;
pub(crate) use tcb::{Bits, FREE, GENERATION_MIN, Profiles, Tcb};
pub(crate) use timer::Expired;

use crate::config;
use crate::time::Instant;

/// What the engine is told besides the segment: the time, and what was frozen at the start.
#[derive(Debug)]
pub(crate) struct Env {
    /// Now.
    pub(crate) now: Instant,
    /// Now in milliseconds, on the timers' ring.
    pub(crate) millis: u32,
    /// The receive window to aim for, in bytes.
    pub(crate) window_bytes: u32,
    /// The shift that lets it be advertised, where the peer scales too.
    pub(crate) window_scale: u8,
    /// What the first windows we offer are rounded to, without scaling and with it.
    first_windows: [u32; 2],
    /// The least retransmission timeout in milliseconds.
    rto_least_ms: u32,
    /// TCP's knobs.
    pub(crate) tcp: config::Tcp,
    /// The options of connections, by [`Tcb::profile`].
    pub(crate) profiles: Profiles,
}

impl Env {
    /// What holds before the first turn.
    pub(crate) fn new(config: &config::Config) -> Env {
        let window_bytes = config.capacity.receive_window_bytes;
        let window_scale = our_scale(window_bytes);
        Env {
            now: Instant(0),
            millis: 0,
            window_bytes,
            window_scale,
            first_windows: [0, window_scale].map(|scale| first_window(window_bytes, scale)),
            rto_least_ms: Env::ticks(config.tcp.rto_min.0, &config.tcp),
            tcp: config.tcp,
            profiles: Profiles::new(config.tcp.options),
        }
    }

    /// The window that a SYN-ACK offered, as later segments will say it.
    #[inline]
    pub(crate) fn first_window(&self, scaled: bool) -> u32 {
        self.first_windows[scaled as usize]
    }

    /// The options of the connections of a profile.
    #[inline]
    pub(crate) fn options(&self, profile: u8) -> &config::SocketOptions {
        self.profiles.set(profile)
    }

    /// The largest segment of the connections of a profile, where `mss` is what fits otherwise.
    #[inline]
    pub(crate) fn bounded_mss(&self, mss: u16, profile: u8) -> u16 {
        self.options(profile).mss.map_or(mss, |most| most.get().min(mss))
    }
}
