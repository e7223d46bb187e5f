//! What two SYNs agree on, and how a client that has sent one becomes a connection.

use penstock_wire::SeqNum;
use penstock_wire::tcp::Segment;

use crate::config;
use crate::hash::Tuple;
use crate::limits;
use crate::wheel::Node;

use super::flight::NO_FLIGHT;
use super::rtt::first_rtt_us;
use super::tcb::{Bits, HALF_OPEN, LIMITED_SHIFT, MINUTE_SHIFT, SENT_SHIFT, State, Tcb, stamp};

/// What both sides said in their SYNs, and where the numbers start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshake {
    /// Our initial sequence number.
    pub(crate) iss: SeqNum,
    /// Theirs.
    pub(crate) irs: SeqNum,
    /// Their MSS option, or the default where they sent none.
    pub(crate) peer_mss: u16,
    /// Their window scale; `None` switches scaling off in both directions.
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack: bool,
    /// Their timestamp, if timestamps are on.
    pub(crate) timestamp: Option<u32>,
    pub(crate) ts_offset: u32,
    /// The largest segment, options included, that the path carries.
    pub(crate) mtu_mss: u16,
    pub(crate) hop: u16,
    /// Whom the client asked for.
    pub(crate) listener: u16,
}

impl Tcb {
    /// A client that has sent a SYN, and what it is answered with. Written out in one piece, so that
    /// it can be made where it is to lie.
    #[inline(always)]
    pub(crate) fn half_open(tuple: Tuple, hand: &Handshake, env: &super::Env) -> Tcb {
        let stamped = hand.timestamp.is_some();
        let mss = payload_bytes(hand.peer_mss.min(hand.mtu_mss), stamped);
        let rcv_nxt = hand.irs + 1;
        Tcb {
            tuple,
            rcv_nxt,
            rcv_edge: rcv_nxt + env.first_window(hand.window_scale.is_some()),
            una: hand.iss + 1,
            nxt: hand.iss + 1,
            wnd: 0,
            flight: NO_FLIGHT,
            ts_recent: hand.timestamp.unwrap_or(0),
            rcv_acked: rcv_nxt,
            state: State::SynReceived,
            scales: agreed_scales(hand.window_scale, env),
            bits: agreed_bits(hand.sack, stamped),
            mss,
            hop: hand.hop,
            timer: Node::UNARMED,
            heard_at: env.millis,
            ts_offset: hand.ts_offset,
            wl1: SeqNum(0),
            wnd_max: 0,
            cwnd: first_cwnd(mss, false, &env.tcp),
            ssthresh: u32::MAX,
            srtt_us: 0,
            rttvar_us: env.now.micros(),
            cubic_max: 0,
            app_at: 0,
            ts_recent_at: if stamped { stamp(env.millis, MINUTE_SHIFT) } else { 0 },
            sent_at: 0,
            limited_at: stamp(env.millis, LIMITED_SHIFT).wrapping_sub(1 << 15),
            ack_at: hand.listener,
            generation: HALF_OPEN,
            quick: limits::QUICK_ACKS,
            profile: hand.window_scale.is_some() as u8,
        }
    }

    /// The client's last segment of the handshake has come: a connection is born. `rtt_us` is the
    /// round trip of the handshake in microseconds, if it was measured.
    #[inline(always)]
    pub(crate) fn complete(
        &mut self,
        ack: &Segment,
        rtt_us: Option<u32>,
        profile: u8,
        generation: u16,
        env: &super::Env,
    ) {
        if self.kept_backoff() > 0 {
            self.cwnd = first_cwnd(self.mss, true, &env.tcp);
            self.assign(Bits::SYN_LOST, rtt_us.is_none());
        }
        self.set(Bits::ESTABLISHED);
        self.state = State::Established;
        self.wnd = (ack.window as u32) << self.peer_scale();
        self.wnd_max = self.wnd;
        self.wl1 = ack.seq;
        self.heard_at = env.millis;
        self.srtt_us = rtt_us.map_or(0, first_rtt_us);
        self.rttvar_us = self.srtt_us / 2;
        self.sent_at = stamp(env.millis, SENT_SHIFT);
        self.ack_at = 0;
        self.generation = generation;
        self.quick = limits::QUICK_ACKS;
        self.profile = profile;
        self.timer = Node::UNARMED;
    }

    /// Whether the client's ACK is still awaited.
    #[inline]
    pub(crate) fn is_half_open(&self) -> bool {
        self.generation == HALF_OPEN
    }

    /// Whom the client of a half-open connection asked for.
    #[inline]
    pub(crate) fn listener(&self) -> u16 {
        self.ack_at
    }

    /// When the SYN-ACK of a half-open connection was first sent, in microseconds.
    #[inline]
    pub(crate) fn syn_ack_sent_at(&self) -> u32 {
        self.rttvar_us
    }

    /// Whether the client of a half-open connection offered to scale windows.
    #[inline]
    pub(crate) fn scales_windows(&self) -> bool {
        self.profile != 0
    }

    /// Settles what the two SYNs agreed on.
    pub(super) fn agree(
        &mut self,
        peer_mss: u16,
        window_scale: Option<u8>,
        sack: bool,
        timestamp: Option<u32>,
        mtu_mss: u16,
        env: &super::Env,
    ) {
        self.assign(Bits::SACK, sack);
        self.assign(Bits::TIMESTAMPS, timestamp.is_some());
        if let Some(value) = timestamp {
            self.ts_recent = value;
            self.ts_recent_at = stamp(env.millis, MINUTE_SHIFT);
        }
        self.scales = agreed_scales(window_scale, env);
        self.set_mss(peer_mss.min(mtu_mss));
    }

    /// The initial congestion window.
    pub(super) fn start_congestion(&mut self, syn_lost: bool, tcp: &config::Tcp) {
        self.cwnd = first_cwnd(self.mss, syn_lost, tcp);
        self.assign(Bits::SYN_LOST, syn_lost);
    }
}

/// What two SYNs agreed on, as bits.
#[inline]
const fn agreed_bits(sack: bool, timestamps: bool) -> u16 {
    let sack = if sack { Bits::SACK.0 } else { 0 };
    let timestamps = if timestamps { Bits::TIMESTAMPS.0 } else { 0 };
    sack | timestamps
}

/// The shifts of both windows, as [`Tcb`] keeps them.
#[inline]
fn agreed_scales(window_scale: Option<u8>, env: &super::Env) -> u8 {
    match window_scale {
        // RFC 7323 section 2.3: a shift above 14 counts as 14.
        Some(shift) => shift.min(14) | (env.window_scale << 4),
        None => 0,
    }
}

/// The payload of a full segment, from an MSS option.
#[inline]
pub(super) fn payload_bytes(mss: u16, timestamps: bool) -> u16 {
    mss.max(limits::MSS_MIN) - if timestamps { limits::TIMESTAMPS_BYTES } else { 0 }
}

/// The initial congestion window (RFC 6928), or one segment where the SYN was lost.
#[inline]
fn first_cwnd(mss: u16, syn_lost: bool, tcp: &config::Tcp) -> u32 {
    //= rfc5681#3.1
    //# if the SYN or SYN/ACK is lost, the initial window used by a sender after a
    //# correctly transmitted SYN MUST be one segment consisting of at most SMSS bytes.
    let segments = if syn_lost { 1 } else { tcp.initial_window as u32 };
    segments * mss as u32
}
