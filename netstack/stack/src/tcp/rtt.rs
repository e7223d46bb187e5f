//! Round trips and the retransmission timeout (RFC 6298).

use penstock_wire::tcp::Timestamps;

use crate::config;

use super::Env;
use super::flight::Flight;
use super::tcb::{Bits, Tcb};

/// RFC 6298 section 2.1: the timeout before any round trip was measured.
const RTO_INITIAL_US: u64 = 1_000_000;
/// RFC 6298 section 5.7: the same once a lost SYN has shown the first guess to be short.
const RTO_AFTER_SYN_LOSS_US: u64 = 3_000_000;
/// The clock's granularity G.
const GRANULARITY_US: u32 = 1_000;
/// A sample beyond this says more about a sleeping peer than about the path.
const SAMPLE_US_MAX: u32 = 120_000_000;

/// A sample within reason: what the smoothed round trip begins with.
#[inline]
pub(super) fn first_rtt_us(sample_us: u32) -> u32 {
    sample_us.clamp(1, SAMPLE_US_MAX)
}

impl Env {
    /// A timeout in ticks: rounded up, and one more, so that a timer never fires early.
    #[inline]
    pub(super) fn ticks(rto_us: u64, tcp: &config::Tcp) -> u32 {
        (rto_us.min(tcp.rto_max.0) / 1000) as u32 + 1
    }
}

impl Tcb {
    /// Takes in one measured round trip.
    #[inline]
    pub(crate) fn sample_rtt(&mut self, sample_us: u32) {
        let sample = first_rtt_us(sample_us);
        if self.srtt_us == 0 {
            //= rfc6298#2
            //# SRTT <- R
            //# RTTVAR <- R/2
            self.srtt_us = sample;
            self.rttvar_us = self.srtt_us / 2;
        } else {
            //= rfc6298#2
            //# RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|
            //# SRTT <- (1 - alpha) * SRTT + alpha * R'
            let deviation = self.srtt_us.abs_diff(sample);
            self.rttvar_us = self.rttvar_us - self.rttvar_us / 4 + deviation / 4;
            self.srtt_us = (self.srtt_us - self.srtt_us / 8 + sample / 8).max(1);
        }
        // A store to one byte of the bits would hold up the next load of both.
        if self.has(Bits::SYN_LOST) {
            self.clear(Bits::SYN_LOST);
        }
    }

    /// The retransmission timeout in milliseconds, doubled `backoff` times.
    #[inline(always)]
    pub(crate) fn rto_ms(&self, backoff: u8, env: &Env) -> u32 {
        let tcp = &env.tcp;
        let base_us = if self.srtt_us == 0 {
            if self.has(Bits::SYN_LOST) { RTO_AFTER_SYN_LOSS_US } else { RTO_INITIAL_US }
        } else {
            //= rfc6298#2
            //# RTO <- SRTT + max (G, K*RTTVAR)
            self.srtt_us as u64 + (self.rttvar_us as u64 * 4).max(GRANULARITY_US as u64)
        };
        //= rfc6298#2 type=exception
        //= reason=Linux's lower bound of 200 ms is what peers are tuned to; it is a knob.
        //# Whenever RTO is computed, if it is less than 1 second, then the
        //# RTO SHOULD be rounded up to 1 second.
        if base_us <= tcp.rto_min.0 && backoff == 0 {
            // On nearly every path.
            return env.rto_least_ms;
        }
        let rto_us = base_us.max(tcp.rto_min.0) << backoff.min(20);
        Env::ticks(rto_us, tcp)
    }

    /// Ends a measurement with an acknowledgement that moved `una` to where it is now. After a
    /// retransmission only an echoed timestamp can tell which copy was acknowledged.
    #[inline(always)]
    pub(super) fn measure(
        &mut self,
        flight: &mut Flight,
        echoed: Option<Timestamps>,
        micros: u32,
        millis: u32,
    ) {
        if flight.timing {
            if flight.timing_to.at_or_before(self.una) {
                flight.timing = false;
                flight.backoff = 0;
                self.sample_rtt(micros.wrapping_sub(flight.timing_at));
            }
        } else if let Some(timestamps) = echoed
            && flight.backoff + flight.retries > 0
        {
            //= rfc7323#4.1
            //# RTTM Rule: A TSecr value received in a segment MAY be used to update the
            //# averaged RTT measurement only if the segment advances the left edge of the
            //# send window, i.e., SND.UNA is increased.
            let elapsed_ms = self.timestamp(millis).wrapping_sub(timestamps.echo);
            // An echo from before the timeout is that of a segment whose acknowledgement was lost:
            // the time since says how long the timeout was, not the path. Or the path has become
            // that long: until it can be measured, the timeout stays doubled.
            if elapsed_ms <= millis.wrapping_sub(flight.fired_at) {
                flight.backoff = 0;
                self.sample_rtt((elapsed_ms.min(SAMPLE_US_MAX / 1000) * 1000).max(GRANULARITY_US));
            }
        }
    }
}
