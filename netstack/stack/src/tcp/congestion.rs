//! Congestion control: slow start and avoidance (RFC 5681), CUBIC (RFC 9438).
//!
//! Windows are bytes, time is milliseconds, and all of it is integers: no floating point on the
//! data path, and the same result on every machine.

use crate::config::CongestionControl;

use super::Env;
use super::flight::{Flight, Phase};
use super::tcb::{Bits, SENT_SHIFT, Tcb, stamp};

/// CUBIC's multiplicative decrease, 0.7 (RFC 9438 section 4.6).
const BETA_TENTHS: u64 = 7;
/// CUBIC's C = 0.4 (section 5), as tenths.
const C_TENTHS: u64 = 4;
/// Milliseconds cubed in a second cubed.
const MS3: u64 = 1_000_000_000;
/// Beyond this distance from the plateau the cubic is far above any window we hold.
const CUBIC_SPAN_MS: i64 = 60_000;
/// The largest congestion window: twice the largest scaled window.
const CWND_MAX: u32 = 1 << 30;

impl Tcb {
    /// Enlarges the window for `acked` newly acknowledged bytes.
    #[inline]
    pub(super) fn grow(&mut self, flight: &mut Flight, acked: u32, env: &Env) {
        // A window that the application does not fill says nothing about the path (RFC 7661).
        if self.has(Bits::CWND_LIMITED) {
            self.enlarge(flight, acked, env);
        } else {
            //= rfc9438#4.2
            //# MUST NOT include periods during which
            // The curve begins anew where the window stands.
            flight.epoch_at = None;
        }
    }

    fn enlarge(&mut self, flight: &mut Flight, acked: u32, env: &Env) {
        //= rfc9293#3.8.2
        //# A TCP endpoint MUST implement the basic congestion control algorithms slow
        //# start, congestion avoidance, and exponential backoff of RTO
        let mss = self.mss as u32;
        if self.cwnd < self.ssthresh {
            //= rfc5681#3.1 type=exception
            //= reason=Linux counts all: who joins segments (GRO) acknowledges up to 64 KB at once.
            //# During slow start, a TCP increments cwnd by at most SMSS bytes for each ACK
            //# received that cumulatively acknowledges new data.
            // But for one after a timeout, which may cover what had arrived long before.
            let counted = if flight.phase == Phase::Loss { acked.min(mss) } else { acked };
            self.cwnd = (self.cwnd + counted).min(self.ssthresh).min(CWND_MAX);
            return;
        }
        match env.tcp.congestion_control {
            CongestionControl::NewReno => self.avoid_reno(flight, acked),
            CongestionControl::Cubic => self.avoid_cubic(flight, acked, env.millis),
        }
    }

    /// RFC 5681 section 3.1, by appropriate byte counting.
    fn avoid_reno(&mut self, flight: &mut Flight, acked: u32) {
        flight.credit = flight.credit.saturating_add(acked);
        if flight.credit >= self.cwnd {
            flight.credit -= self.cwnd;
            self.cwnd = (self.cwnd + self.mss as u32).min(CWND_MAX);
        }
    }

    /// RFC 9438 sections 4.2 to 4.5.
    fn avoid_cubic(&mut self, flight: &mut Flight, acked: u32, millis: u32) {
        let mss = self.mss as u32;
        let epoch_at = match flight.epoch_at {
            Some(at) => at,
            None => {
                flight.epoch_at = Some(millis);
                flight.reno_estimate = self.cwnd;
                if self.cubic_max < self.cwnd {
                    self.cubic_max = self.cwnd;
                }
                //= rfc9438#4.2
                //# is the time period that the above function takes to increase the congestion window
                //# size at the beginning of the current congestion avoidance stage to
                let deficit = ((self.cubic_max - self.cwnd) / mss.max(1)) as u64;
                flight.cubic_k_ms = cube_root(deficit * MS3 * 10 / C_TENTHS) as u32;
                millis
            }
        };
        // W_cubic(t + RTT): where the window should be one round trip from now.
        let ahead = millis.wrapping_sub(epoch_at) as i64 + (self.srtt_us / 1000) as i64;
        let distance = (ahead - flight.cubic_k_ms as i64).clamp(-CUBIC_SPAN_MS, CUBIC_SPAN_MS);
        let cube_segments_thousandths =
            distance * distance * distance / (MS3 as i64 / 1000) * C_TENTHS as i64 / 10;
        let offset = cube_segments_thousandths * mss as i64 / 1000;
        let target = (self.cubic_max as i64 + offset)
            .clamp(self.cwnd as i64, self.cwnd as i64 * 3 / 2) as u64;

        // The Reno-friendly region: alpha = 3 (1 - beta) / (1 + beta) = 9/17, and 1 once the
        // estimate has passed W_max.
        let (up, down) = if flight.reno_estimate < self.cubic_max { (9, 17) } else { (1, 1) };
        let step = mss as u64 * acked as u64 * up / (self.cwnd.max(1) as u64 * down);
        flight.reno_estimate = flight.reno_estimate.saturating_add(step as u32).min(CWND_MAX);

        if flight.reno_estimate > self.cwnd && (flight.reno_estimate as u64) > target {
            self.cwnd = flight.reno_estimate;
        } else {
            // (target - cwnd) / cwnd of a segment for each segment acknowledged.
            let room = (target - self.cwnd as u64) * acked as u64 + flight.credit as u64;
            self.cwnd = (self.cwnd as u64 + room / self.cwnd.max(1) as u64) as u32;
            flight.credit = (room % self.cwnd.max(1) as u64) as u32;
        }
        self.cwnd = self.cwnd.min(CWND_MAX);
    }

    /// A loss was found with `outstanding` bytes in flight: the new threshold.
    pub(super) fn reduce(&mut self, flight: &mut Flight, outstanding: u32, env: &Env) {
        let mss = self.mss as u32;
        let floor = 2 * mss;
        match env.tcp.congestion_control {
            CongestionControl::NewReno => {
                //= rfc5681#3.1
                //# ssthresh = max (FlightSize / 2, 2*SMSS)
                self.ssthresh = (outstanding / 2).max(floor);
            }
            CongestionControl::Cubic => {
                // Fast convergence (section 4.7): a flow that lost before it was back at its old
                // plateau gives way to a newer one.
                let shrunk = (self.cwnd as u64 * (10 + BETA_TENTHS) / 20) as u32;
                self.cubic_max = if self.cwnd < self.cubic_max { shrunk } else { self.cwnd };
                let kept = (outstanding.min(self.cwnd) as u64 * BETA_TENTHS / 10) as u32;
                self.ssthresh = kept.max(floor);
            }
        }
        flight.epoch_at = None;
        flight.credit = 0;
    }

    /// Called before data is sent with nothing outstanding: an old window says little about a path
    /// that was not used for a timeout (RFC 5681 section 4.1).
    #[inline(always)]
    pub(super) fn restart_after_idle(&mut self, env: &Env) {
        let quiet_ms =
            (stamp(env.millis, SENT_SHIFT).wrapping_sub(self.sent_at) as u32) << SENT_SHIFT;
        if quiet_ms == 0 {
            return;
        }
        if env.tcp.slow_start_after_idle && quiet_ms > self.rto_ms(0, env) {
            //= rfc5681#4.1
            //# a TCP SHOULD set cwnd to no more than RW before beginning transmission if
            //# the TCP has not sent data in an interval exceeding the retransmission timeout
            self.cwnd = self.cwnd.min(env.tcp.initial_window as u32 * self.mss as u32);
        }
    }
}

/// The integer cube root, rounded down.
fn cube_root(number: u64) -> u64 {
    let mut root: u64 = 0;
    // 2^21 cubed is 2^63.
    for bit in (0..21).rev() {
        let candidate = root | 1 << bit;
        if candidate * candidate * candidate <= number {
            root = candidate;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tcp;
    use crate::tcp::sample::established;
    use proptest::prelude::*;

    /// Acknowledges a window's worth `times` times, a tenth of a second apart.
    fn rounds(tcb: &mut Tcb, flight: &mut Flight, env: &mut Env, times: u32) {
        for _ in 0..times {
            env.millis += 100;
            tcb.grow(flight, tcb.cwnd, env);
        }
    }

    //= rfc5681#3.1 type=test
    //# During slow start, a TCP increments cwnd by at most SMSS bytes for each ACK
    #[test]
    fn one_acknowledgement_of_a_whole_window_doubles_it() {
        let (mut env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        let mss = tcb.mss as u32;
        tcb.set(Bits::CWND_LIMITED);
        (tcb.cwnd, tcb.ssthresh) = (10 * mss, 250 * mss);
        rounds(&mut tcb, flight, &mut env, 4);
        assert_eq!(tcb.cwnd, 160 * mss);
        rounds(&mut tcb, flight, &mut env, 1);
        assert_eq!(tcb.cwnd, tcb.ssthresh, "the start ends there, however much was acknowledged");
        tcb.cwnd = mss;
        flight.phase = Phase::Loss;
        tcb.grow(flight, 100 * mss, &env);
        assert_eq!(tcb.cwnd, 2 * mss, "what a timeout took for lost had arrived long before");
    }

    //= rfc9438#4.2 type=test
    //# MUST NOT include periods during which
    #[test]
    fn time_without_the_window_full_does_not_count() {
        let (mut env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        (tcb.cwnd, tcb.ssthresh, tcb.cubic_max) = (70_000, 70_000, 100_000);
        tcb.set(Bits::CWND_LIMITED);
        rounds(&mut tcb, flight, &mut env, 5);
        let before = tcb.cwnd;
        tcb.clear(Bits::CWND_LIMITED);
        rounds(&mut tcb, flight, &mut env, 300);
        assert_eq!(tcb.cwnd, before, "nothing filled it");
        tcb.set(Bits::CWND_LIMITED);
        rounds(&mut tcb, flight, &mut env, 1);
        assert!(tcb.cwnd < before + before / 10, "{before} to {} in a round", tcb.cwnd);
    }

    #[test]
    fn after_a_timeout_the_plateau_is_where_avoidance_begins() {
        let (mut env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        tcb.cwnd = 100 * tcb.mss as u32;
        flight.max = tcb.una + tcb.cwnd;
        flight.timer = crate::tcp::Retransmission::Resend;
        assert_eq!(tcb.on_timer(Some(flight), &env), crate::tcp::Expired::Nothing);
        tcb.cwnd = tcb.ssthresh;
        tcb.set(Bits::CWND_LIMITED);
        rounds(&mut tcb, flight, &mut env, 1);
        assert_eq!((flight.cubic_k_ms, tcb.cubic_max), (0, tcb.ssthresh));
    }

    //= rfc9438#4.7 type=test
    //# If cwnd is less than W_max, reduce W_max further
    #[test]
    fn a_flow_that_loses_below_its_plateau_gives_way() {
        let (env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        (tcb.cwnd, tcb.cubic_max) = (80_000, 100_000);
        tcb.reduce(flight, 80_000, &env);
        assert_eq!((tcb.cubic_max, tcb.ssthresh), (68_000, 56_000));
        (tcb.cwnd, tcb.cubic_max) = (80_000, 60_000);
        tcb.reduce(flight, 80_000, &env);
        assert_eq!((tcb.cubic_max, tcb.ssthresh), (80_000, 56_000));
    }

    #[test]
    fn each_loss_begins_a_curve_of_its_own() {
        let (mut env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        (tcb.cwnd, tcb.ssthresh, tcb.cubic_max) = (70_000, 70_000, 100_000);
        tcb.set(Bits::CWND_LIMITED);
        rounds(&mut tcb, flight, &mut env, 50);
        tcb.reduce(flight, tcb.cwnd, &env);
        tcb.cwnd = tcb.ssthresh;
        let (before, plateau) = (tcb.cwnd, tcb.cubic_max);
        rounds(&mut tcb, flight, &mut env, 2);
        assert!(
            tcb.cwnd < before + (plateau - before) / 2,
            "{before} to {} of {plateau}",
            tcb.cwnd
        );
    }

    //= rfc9438#4.3 type=test
    //# Once W_est has grown to reach the cwnd at the time of most recently setting ssthresh -- that
    //# is, W_est >= cwnd_prior -- the sender SHOULD set alpha_cubic to 1
    #[test]
    fn beyond_the_plateau_it_is_as_fast_as_reno() {
        let (mut env, mut tcb, mut flights) = established(Tcp::default());
        let flight = flights.at_mut(tcb.flight).expect("it has one");
        let mss = tcb.mss as u32;
        (tcb.cwnd, tcb.ssthresh, tcb.cubic_max) = (10 * mss, 10 * mss, 10 * mss);
        tcb.srtt_us = 1_000;
        tcb.set(Bits::CWND_LIMITED);
        for _ in 0..10 {
            env.millis += 1;
            tcb.grow(flight, tcb.cwnd, &env);
        }
        assert!(tcb.cwnd.abs_diff(20 * mss) <= mss, "{} segments", tcb.cwnd / mss);
    }

    proptest! {
        #[test]
        fn cube_roots_are_exact(number in 0..(1u64 << 62)) {
            let root = cube_root(number);
            prop_assert!(root.pow(3) <= number && (root + 1).pow(3) > number);
        }
    }
}
