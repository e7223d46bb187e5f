//! What time does to a connection: retransmission (RFC 6298), window probes (RFC 9293 section
//! 3.8.6.1), delayed acknowledgements, keep-alive (section 3.8.4), the user timeout.
//!
//! A connection has one node in the core's timing wheel, at or before its nearest deadline.
//! Deadlines that move later leave the node where it is; when it fires for nothing it is put where
//! the nearest deadline is now. So restarting the retransmission timer with each acknowledgement
//! costs one store.

use crate::app::Close;
use crate::time::Duration;

use super::Env;
use super::flight::{Flight, Phase, Retransmission};
use super::tcb::{Bits, State, Tcb};

/// What a timer asks of the worker, besides sending what became due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Nothing more.
    Nothing,
    /// The application's own timer.
    App,
    /// The connection is over.
    Closed(Close),
}

/// Later than any deadline.
const NEVER: i64 = i64::MAX;

/// Whether `at` is now or past, on the millisecond ring.
#[inline]
fn is_due(at: u32, millis: u32) -> bool {
    millis.wrapping_sub(at) as i32 >= 0
}

/// A span in milliseconds, at most half of the ring.
fn bounded_ms(span: Duration) -> u32 {
    span.millis().min(i32::MAX as u64) as u32
}

impl Tcb {
    /// The nearest deadline in milliseconds.
    pub(crate) fn deadline(&self, flight: Option<&Flight>, env: &Env) -> Option<u32> {
        // Milliseconds from now: signed, so that the least of them is what is due first.
        let mut left_ms = NEVER;
        let mut consider = |at: u32| {
            left_ms = left_ms.min((at.wrapping_sub(env.millis) as i32).into());
        };
        if let Some(flight) = flight
            && flight.timer != Retransmission::Idle
        {
            consider(flight.timer_at);
            if env.profiles.any_user_timeout()
                && let Some(timeout) = env.options(self.profile).user_timeout
            {
                consider(flight.oldest_at.wrapping_add(bounded_ms(timeout)));
            }
        }
        if self.has(Bits::ACK_LATER) {
            consider(self.ack_due(env));
        }
        if self.has(Bits::APP_TIMER) {
            consider(self.app_at);
        }
        if env.profiles.any_keepalive()
            && let Some(at) = self.keepalive_at(flight, env)
        {
            consider(at);
        }
        (left_ms != NEVER).then(|| env.millis.wrapping_add(left_ms as u32))
    }

    /// The delayed acknowledgement's deadline: its low half was kept, and it is less than half a
    /// ring of 65 s away.
    fn ack_due(&self, env: &Env) -> u32 {
        let ahead = self.ack_at.wrapping_sub(env.millis as u16) as i16;
        // Further ahead than it was ever set: a core that stood still for half a ring is late.
        let late = ahead as i64 > env.tcp.delayed_ack.millis() as i64;
        if late { env.millis } else { env.millis.wrapping_add(ahead as i32 as u32) }
    }

    fn keepalive_at(&self, flight: Option<&Flight>, env: &Env) -> Option<u32> {
        let keepalive = env.options(self.profile).keepalive?;
        let busy = flight.is_some_and(|flight| flight.timer != Retransmission::Idle);
        if busy || !self.is_synchronised() {
            return None;
        }
        let probes = flight.map_or(0, |flight| flight.probes) as u64;
        let silence = keepalive.idle.millis() + probes * keepalive.interval.millis();
        Some(self.heard_at.wrapping_add(silence.min(i32::MAX as u64) as u32))
    }

    /// Whether what is due now needs a flight to be remembered in.
    pub(crate) fn needs_flight(&self, env: &Env) -> bool {
        self.keepalive_at(None, env).is_some_and(|at| is_due(at, env.millis))
    }

    /// An orphan does not wait for ever (`tcp_fin_timeout`).
    pub(crate) fn watch_orphan(&mut self, env: &Env) {
        self.set(Bits::APP_TIMER);
        self.app_at = env.millis.wrapping_add(bounded_ms(env.tcp.fin_timeout));
    }

    /// Fires everything that is due.
    pub(crate) fn on_timer(&mut self, flight: Option<&mut Flight>, env: &Env) -> Expired {
        if self.has(Bits::ACK_LATER) && is_due(self.ack_due(env), env.millis) {
            self.acknowledge_now();
        }
        if let Some(flight) = flight {
            if let Some(reason) = self.check_flight_timers(flight, env) {
                return Expired::Closed(reason);
            }
            if let Some(reason) = self.check_keepalive(flight, env) {
                return Expired::Closed(reason);
            }
        }
        if self.has(Bits::APP_TIMER) && is_due(self.app_at, env.millis) {
            self.clear(Bits::APP_TIMER);
            if self.has(Bits::ORPHAN) {
                // FIN-WAIT-2 of an orphan (`tcp_fin_timeout`), or its FIN had to wait that long.
                return Expired::Closed(Close::TimedOut);
            }
            return Expired::App;
        }
        Expired::Nothing
    }

    fn check_flight_timers(&mut self, flight: &mut Flight, env: &Env) -> Option<Close> {
        if flight.timer == Retransmission::Idle {
            return None;
        }
        if let Some(timeout) = env.options(self.profile).user_timeout
            && env.millis.wrapping_sub(flight.oldest_at) >= bounded_ms(timeout)
        {
            return Some(Close::TimedOut);
        }
        if !is_due(flight.timer_at, env.millis) {
            return None;
        }
        flight.retries = flight.retries.saturating_add(1);
        flight.backoff = flight.backoff.saturating_add(1);
        //= rfc9293#3.8.6.1
        //# The sending TCP peer must regularly transmit at least one octet of new data (if
        //# available), or retransmit to the receiving TCP peer even if the send window is zero
        // What was sent into a window that has shut is probed for, not given up.
        if self.is_synchronised() && self.wnd == 0 && !flight.send.is_empty() {
            flight.timer = Retransmission::Probe;
        }
        match flight.timer {
            Retransmission::Idle => {}
            Retransmission::Resend => {
                if flight.retries > self.retries_max(env) {
                    return Some(Close::TimedOut);
                }
                self.resend(flight, env);
            }
            Retransmission::Probe => {
                //= rfc9293#3.8.6.1
                //# A TCP implementation MAY keep its offered receive window closed
                //# indefinitely (MAY-8).  As long as the receiving TCP peer continues to send
                //# acknowledgments in response to the probe segments, the sending TCP peer
                //# MUST allow the connection to stay open (MUST-37).
                // Any segment of the peer sets the count of unanswered probes back to 0. An orphan
                // has nobody who would wait for it, answered or not.
                flight.probes = flight.probes.saturating_add(1);
                let patience = self.retries_max(env);
                let spent = flight.retries > patience && self.has(Bits::ORPHAN);
                if spent || flight.probes > patience {
                    return Some(Close::TimedOut);
                }
                self.set(Bits::PROBE_NOW);
                self.arm(flight, Retransmission::Probe, env);
            }
        }
        None
    }

    fn retries_max(&self, env: &Env) -> u8 {
        match self.state {
            State::SynSent | State::SynReceived => env.tcp.syn_retries,
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => {
                if self.has(Bits::ORPHAN) {
                    env.tcp.orphan_retries
                } else {
                    env.tcp.retries2
                }
            }
        }
    }

    /// RFC 6298 section 5, and RFC 5681 section 3.1 for the window.
    fn resend(&mut self, flight: &mut Flight, env: &Env) {
        flight.timing = false;
        flight.fired_at = env.millis;
        if !self.is_synchronised() {
            self.set(Bits::SYN_NOW);
            self.nxt = self.una;
            self.arm(flight, Retransmission::Resend, env);
            return;
        }
        if self.wnd == 0 && !flight.send.is_empty() {
            // Only a probe may pass a shut window; without one a lost window update would be final.
            self.set(Bits::PROBE_NOW);
            self.arm(flight, Retransmission::Probe, env);
            return;
        }
        //= rfc5681#3.1
        //# when a TCP sender detects segment loss using the retransmission timer and the given
        //# segment has already been retransmitted by way of the retransmission timer at least
        //# once, the value of ssthresh is held constant.
        if flight.retries == 1 {
            let outstanding = flight.max - self.una;
            self.reduce(flight, outstanding, env);
            // The plateau is then where avoidance begins (RFC 9438 section 4.8).
            self.cubic_max = 0;
        }
        //= rfc5681#3.1
        //# upon a timeout (as specified in [RFC2988]) cwnd MUST be set to no more than the loss
        //# window, LW, which equals 1 full-sized segment (regardless of the value of IW).
        self.cwnd = self.mss as u32;
        self.rewind(flight);
        //= rfc2018#5
        //# After a retransmit timeout the data sender SHOULD turn off all of the SACKed bits
        flight.sacked.clear();
        self.arm(flight, Retransmission::Resend, env);
    }

    /// Everything unacknowledged is to be sent again.
    pub(crate) fn rewind(&mut self, flight: &mut Flight) {
        flight.phase = Phase::Loss;
        flight.recover = flight.max;
        flight.duplicates = 0;
        flight.resend_first = false;
        flight.timing = false;
        self.nxt = self.una;
    }

    fn check_keepalive(&mut self, flight: &mut Flight, env: &Env) -> Option<Close> {
        let keepalive = env.options(self.profile).keepalive?;
        let at = self.keepalive_at(Some(flight), env)?;
        if !is_due(at, env.millis) {
            return None;
        }
        // As in Linux, a user timeout counts in place of the probes.
        let silent_ms = env.millis.wrapping_sub(self.heard_at);
        let spent = match env.options(self.profile).user_timeout {
            Some(timeout) => flight.probes > 0 && silent_ms >= bounded_ms(timeout),
            None => flight.probes >= keepalive.probes,
        };
        if spent || flight.probes == u8::MAX {
            return Some(Close::KeepAlive);
        }
        flight.probes += 1;
        self.set(Bits::PROBE_NOW);
        None
    }
}
