//! One connection: 128 bytes, two cache lines, and nothing else while it is idle.
//!
//! ```text
//!   Send sequence space (RFC 9293 section 3.3.1)
//!
//!        una              nxt        max          una + wnd
//!   ──────┼────────────────┼──────────┼───────────────┼──────▶
//!    acked │ in flight      │ sent once, to be sent    │ not yet
//!          │                │ again after a timeout    │ allowed
//!          └── the send queue begins here; `Flight::max` is `nxt` except after a timeout
//!
//!   Receive sequence space
//!
//!        acked            nxt                        edge
//!   ──────┼────────────────┼───────────────────────────┼─────▶
//!    told  │ received, not  │ the window we advertised: │ never
//!    them  │ yet told       │ its right edge never      │ moves left
//!          │                │ moves left                │
//! ```

use penstock_wire::SeqNum;

use crate::config::SocketOptions;
use crate::hash::Tuple;
use crate::limits;
use crate::slab::{Linked, Slab};
use crate::wheel::{Node, Nodes};

use super::flight::NO_FLIGHT;
use super::handshake::payload_bytes;

/// The states in which a connection has a [`Tcb`] (RFC 9293 section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Our SYN is out.
    SynSent,
    /// Both SYNs crossed (simultaneous open); or a client's SYN has come, and our answer is out: then
    /// the connection is half-open, and nobody's yet ([`Tcb::is_half_open`]).
    SynReceived,
    /// Open.
    Established,
    /// Our FIN is out.
    FinWait1,
    /// Our FIN is acknowledged.
    FinWait2,
    /// Their FIN is in, ours is not out.
    CloseWait,
    /// Both FINs crossed.
    Closing,
    /// Their FIN is in, ours is out.
    LastAck,
    /// Both FINs are in and acknowledged, ours last; the application has yet to read. Otherwise
    /// TIME-WAIT is a record elsewhere.
    TimeWait,
    /// Over; the application has yet to read.
    Closed,
}

/// Single bits of a [`Tcb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(pub(crate) u16);

impl Bits {
    /// An acknowledgement is to go out with the next segment, which is due now.
    pub(crate) const ACK_NOW: Bits = Bits(1 << 0);
    /// An acknowledgement is due by `ack_at`.
    pub(crate) const ACK_LATER: Bits = Bits(1 << 1);
    /// The application has shut the sending side; the FIN follows the data.
    pub(crate) const FIN_QUEUED: Bits = Bits(1 << 2);
    /// The application has closed: no upcalls any more.
    pub(crate) const ORPHAN: Bits = Bits(1 << 3);
    /// The application does not want data now.
    pub(crate) const PAUSED: Bits = Bits(1 << 4);
    /// Timestamps were agreed.
    pub(crate) const TIMESTAMPS: Bits = Bits(1 << 5);
    /// SACK was agreed.
    pub(crate) const SACK: Bits = Bits(1 << 6);
    /// The congestion window, not the application, limited what was sent last.
    pub(crate) const CWND_LIMITED: Bits = Bits(1 << 7);
    /// The application's timer (or an orphan's FIN-WAIT-2 timer) runs; see `app_at`.
    pub(crate) const APP_TIMER: Bits = Bits(1 << 8);
    /// It is to be aborted: a RST, and gone.
    pub(crate) const ABORT: Bits = Bits(1 << 9);
    /// The SYN or SYN-ACK had to be sent again (RFC 6298 section 5.7, RFC 5681 section 3.1).
    pub(crate) const SYN_LOST: Bits = Bits(1 << 10);
    /// A keep-alive or window probe is due now.
    pub(crate) const PROBE_NOW: Bits = Bits(1 << 11);
    /// Bytes in order wait in the store.
    pub(crate) const UNREAD: Bits = Bits(1 << 12);
    /// The peer's FIN was delivered to the application.
    pub(crate) const EOF_TOLD: Bits = Bits(1 << 13);
    /// A SYN (or SYN-ACK) is to be sent now.
    pub(crate) const SYN_NOW: Bits = Bits(1 << 14);
    /// The handshake has completed: the application knows of it.
    pub(crate) const ESTABLISHED: Bits = Bits(1 << 15);
}

/// A connection.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Tcb {
    // The first line: what every segment touches.
    pub(crate) tuple: Tuple,
    pub(crate) rcv_nxt: SeqNum,
    pub(crate) rcv_edge: SeqNum,
    pub(crate) una: SeqNum,
    pub(crate) nxt: SeqNum,
    /// The peer's window in bytes, scaled.
    pub(crate) wnd: u32,
    /// Our [`Flight`](super::Flight), or [`NO_FLIGHT`].
    pub(crate) flight: u32,
    pub(crate) ts_recent: u32,
    /// The last acknowledgement we sent (RFC 7323's Last.ACK.sent).
    pub(crate) rcv_acked: SeqNum,
    pub(crate) state: State,
    /// Window scales: the peer's in the low four bits, ours in the high four.
    pub(super) scales: u8,
    pub(super) bits: u16,
    /// Payload bytes of a full segment to the peer, options deducted.
    pub(crate) mss: u16,
    /// The neighbour that carries our frames there.
    pub(crate) hop: u16,

    // The second line.
    /// While half-open: the place in a queue of [`HalfOpens`](crate::halfopen::HalfOpens).
    pub(crate) timer: Node,
    /// When the peer was heard last, in milliseconds.
    pub(crate) heard_at: u32,
    /// Added to our clock to make our timestamps (RFC 7323 section 5.4).
    pub(crate) ts_offset: u32,
    /// The sequence number of the segment that last moved the window (SND.WL1).
    pub(crate) wl1: SeqNum,
    /// The largest window the peer ever offered (MAX.SND.WND).
    pub(crate) wnd_max: u32,
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    /// Smoothed round trip in microseconds; 0 before the first sample.
    pub(crate) srtt_us: u32,
    /// While half-open: [`syn_ack_sent_at`](Self::syn_ack_sent_at).
    pub(crate) rttvar_us: u32,
    /// CUBIC's W_max in bytes (RFC 9438 section 4.6).
    pub(crate) cubic_max: u32,
    /// When the application's timer (or an orphan's FIN-WAIT-2) runs out, in milliseconds.
    pub(crate) app_at: u32,
    /// When `ts_recent` was set: [`MINUTE_SHIFT`].
    pub(crate) ts_recent_at: u16,
    /// When we last sent data: [`SENT_SHIFT`].
    pub(crate) sent_at: u16,
    /// When an out-of-window segment was last answered: [`LIMITED_SHIFT`].
    pub(crate) limited_at: u16,
    /// When a delayed acknowledgement is due: the low half of the millisecond clock. While half-open:
    /// the [`listener`](Self::listener).
    pub(crate) ack_at: u16,
    /// [`FREE`], [`HALF_OPEN`], or what tells the application's name of it from older ones.
    pub(crate) generation: u16,
    /// Segments still to be acknowledged at once, at the start, in the low bits ([`QUICK_MASK`]);
    /// above them how often the timeout stands doubled while there is no flight to keep it, and how
    /// often the SYN-ACK was repeated while half-open.
    pub(super) quick: u8,
    /// Which [`SocketOptions`] it has. While half-open:
    /// [`scales_windows`](Self::scales_windows).
    pub(crate) profile: u8,
}

const _: () = assert!(size_of::<Tcb>() == 128);

/// The generation of a record that is no connection.
pub(crate) const FREE: u16 = 0;
/// The generation of a half-open connection.
pub(crate) const HALF_OPEN: u16 = 1;
/// The lowest generation of a connection that an application knows of.
pub(crate) const GENERATION_MIN: u16 = 2;

// Coarse stamps of 16 bits: the millisecond clock, shifted. What a stamp may alias after its ring
// has gone round is said where it is read.
/// About a minute; the ring is 49 days, more than PAWS's 24 (RFC 7323 section 5.5).
pub(super) const MINUTE_SHIFT: u32 = 16;
/// 256 ms; the ring is 4.6 hours.
pub(super) const SENT_SHIFT: u32 = 8;
/// 16 ms; the ring is 17 minutes.
pub(super) const LIMITED_SHIFT: u32 = 4;

/// The part of [`Tcb::quick`] that counts segments.
pub(super) const QUICK_MASK: u8 = 31;
/// The most doublings that are kept beside it.
const BACKOFF_KEPT_MAX: u8 = 7;

const _: () = assert!(limits::QUICK_ACKS <= QUICK_MASK);

/// The stamp of `millis`.
#[inline]
pub(super) const fn stamp(millis: u32, shift: u32) -> u16 {
    (millis >> shift) as u16
}

impl Linked for Tcb {
    const BLANK: Tcb = Tcb::blank(Tuple::NONE);

    fn link(&mut self) -> &mut u32 {
        &mut self.app_at
    }
}

impl Nodes for Slab<Tcb> {
    #[inline]
    fn node(&mut self, index: u32) -> &mut Node {
        &mut self[index].timer
    }
}

impl Tcb {
    /// A connection that is about to send its SYN.
    pub(crate) fn active(tuple: Tuple, iss: SeqNum, ts_offset: u32, env: &super::Env) -> Tcb {
        let mut tcb = Tcb::blank(tuple);
        tcb.state = State::SynSent;
        tcb.una = iss;
        tcb.nxt = iss;
        tcb.ts_offset = ts_offset;
        tcb.heard_at = env.millis;
        tcb.limited_at = stamp(env.millis, LIMITED_SHIFT).wrapping_sub(1 << 15);
        tcb.set(Bits::SYN_NOW);
        if env.tcp.timestamps {
            tcb.set(Bits::TIMESTAMPS);
        }
        if env.tcp.sack {
            tcb.set(Bits::SACK);
        }
        tcb
    }

    const fn blank(tuple: Tuple) -> Tcb {
        Tcb {
            tuple,
            rcv_nxt: SeqNum(0),
            rcv_edge: SeqNum(0),
            una: SeqNum(0),
            nxt: SeqNum(0),
            wnd: 0,
            flight: NO_FLIGHT,
            ts_recent: 0,
            rcv_acked: SeqNum(0),
            state: State::SynSent,
            scales: 0,
            bits: 0,
            mss: limits::MSS_DEFAULT_V4,
            hop: 0,
            timer: Node::UNARMED,
            heard_at: 0,
            ts_offset: 0,
            wl1: SeqNum(0),
            wnd_max: 0,
            cwnd: 0,
            ssthresh: u32::MAX,
            srtt_us: 0,
            rttvar_us: 0,
            cubic_max: 0,
            app_at: 0,
            ts_recent_at: 0,
            sent_at: 0,
            limited_at: 0,
            ack_at: 0,
            generation: FREE,
            quick: limits::QUICK_ACKS,
            profile: 0,
        }
    }

    /// Sets the payload of a full segment from an MSS option (which counts no options).
    pub(crate) fn set_mss(&mut self, mss: u16) {
        self.mss = payload_bytes(mss, self.has(Bits::TIMESTAMPS));
    }

    /// Takes a smaller segment size (as [`set_mss`](Self::set_mss)); whether it was smaller.
    pub(crate) fn shrink_mss(&mut self, mss: u16) -> bool {
        let before = self.mss;
        self.set_mss(mss);
        self.mss = self.mss.min(before);
        self.mss < before
    }

    /// Whether this is a connection, half-open or not, of `tuple`: a free record may have it still.
    #[inline(always)]
    pub(crate) fn is(&self, tuple: &Tuple) -> bool {
        self.tuple == *tuple && self.generation != FREE
    }

    #[inline]
    pub(crate) fn has(&self, bits: Bits) -> bool {
        self.bits & bits.0 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, bits: Bits) {
        self.bits |= bits.0;
    }

    #[inline]
    pub(crate) fn clear(&mut self, bits: Bits) {
        self.bits &= !bits.0;
    }

    /// Whether a segment is due whatever the send queue holds.
    #[inline]
    pub(crate) fn owes_now(&self) -> bool {
        self.bits & (Bits::ACK_NOW.0 | Bits::PROBE_NOW.0 | Bits::SYN_NOW.0) != 0
    }

    #[inline]
    pub(crate) fn assign(&mut self, bits: Bits, on: bool) {
        if on { self.set(bits) } else { self.clear(bits) }
    }

    /// The shift of windows we receive.
    #[inline]
    pub(crate) fn peer_scale(&self) -> u8 {
        self.scales & 15
    }

    /// What is left of the window that was offered, as a header says it.
    pub(crate) fn window_field(&self) -> u16 {
        ((self.rcv_edge - self.rcv_nxt) >> self.our_scale()).min(0xffff) as u16
    }

    /// The shift of windows we send.
    #[inline]
    pub(crate) fn our_scale(&self) -> u8 {
        self.scales >> 4
    }

    /// Whether our FIN was sent at least once.
    #[inline]
    pub(crate) fn fin_sent(&self) -> bool {
        matches!(
            self.state,
            State::FinWait1
                | State::FinWait2
                | State::Closing
                | State::LastAck
                | State::TimeWait
                | State::Closed
        )
    }

    /// Whether the peer's FIN was taken in.
    #[inline]
    pub(crate) fn fin_received(&self) -> bool {
        matches!(
            self.state,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait | State::Closed
        )
    }

    /// Where the payload taken in so far ends: before the FIN, if that was taken in too.
    #[inline]
    pub(crate) fn data_end(&self) -> SeqNum {
        self.rcv_nxt - self.fin_received() as u32
    }

    /// Whether both sides have exchanged SYNs.
    #[inline]
    pub(crate) fn is_synchronised(&self) -> bool {
        !matches!(self.state, State::SynSent | State::SynReceived)
    }

    /// Whether [`deliver`](crate::deliver) has something to do besides sending: bytes or an end to
    /// tell of, an end to bring about, an orphan to watch.
    #[inline]
    pub(crate) fn wants_attention(&self) -> bool {
        self.bits & (Bits::UNREAD.0 | Bits::ABORT.0) != 0
            || self.fin_received() && self.bits & (Bits::EOF_TOLD.0 | Bits::ORPHAN.0) == 0
            || self.state == State::FinWait2 && self.has(Bits::ORPHAN)
    }

    /// Whether the peer may still send data.
    #[inline]
    pub(crate) fn may_receive(&self) -> bool {
        matches!(self.state, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Whether the application may still queue data.
    #[inline]
    pub(crate) fn may_send(&self) -> bool {
        matches!(self.state, State::Established | State::CloseWait) && !self.has(Bits::FIN_QUEUED)
    }

    /// Whether a FIN is to be sent that no flight is there to see through.
    #[inline]
    pub(crate) fn awaits_flight(&self) -> bool {
        let unsent = matches!(self.state, State::Established | State::CloseWait);
        unsent && self.has(Bits::FIN_QUEUED) && self.flight == NO_FLIGHT
    }

    /// Our timestamp now.
    #[inline]
    pub(crate) fn timestamp(&self, millis: u32) -> u32 {
        millis.wrapping_add(self.ts_offset)
    }

    /// An acknowledgement is wanted with the next segment, at once.
    #[inline]
    pub(crate) fn acknowledge_now(&mut self) {
        self.set(Bits::ACK_NOW);
    }

    /// Keeps how often the timeout has doubled while there is no flight: it holds until a round
    /// trip is measured, and an acknowledged retransmission measures none (RFC 6298 section 5).
    #[inline]
    pub(crate) fn keep_backoff(&mut self, backoff: u8) {
        let kept = backoff.min(BACKOFF_KEPT_MAX) * (QUICK_MASK + 1);
        self.quick = self.quick & QUICK_MASK | kept;
    }

    /// What [`keep_backoff`](Self::keep_backoff) kept.
    #[inline]
    pub(crate) fn kept_backoff(&self) -> u8 {
        self.quick / (QUICK_MASK + 1)
    }

    /// Whether nothing needs a [`Flight`](super::Flight): everything sent is acknowledged, and
    /// nothing waits to be acknowledged by us.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.una == self.nxt
            && self.bits & (Bits::ACK_NOW.0 | Bits::PROBE_NOW.0 | Bits::SYN_NOW.0) == 0
    }
}

/// The scale that lets `window_bytes` be advertised.
pub(super) const fn our_scale(window_bytes: u32) -> u8 {
    let mut shift = 0;
    while window_bytes >> shift > 0xffff {
        shift += 1;
    }
    shift
}

/// The window that our SYN-ACK offered, rounded up to what a scaled field can say: its right edge
/// must not move left with the first scaled segment.
pub(super) fn first_window(window_bytes: u32, scale: u8) -> u32 {
    window_bytes.min(limits::WINDOW_UNSCALED_MAX).div_ceil(1 << scale) << scale
}

/// Interned [`SocketOptions`]: a connection names its set with one byte.
#[derive(Debug)]
pub(crate) struct Profiles {
    sets: [SocketOptions; limits::PROFILES_MAX],
    count: usize,
    user_timeouts: bool,
    keepalives: bool,
    segment_sizes: bool,
}

impl Profiles {
    pub(crate) fn new(default: SocketOptions) -> Profiles {
        Profiles {
            sets: [default; limits::PROFILES_MAX],
            count: 1,
            user_timeouts: default.user_timeout.is_some(),
            keepalives: default.keepalive.is_some(),
            segment_sizes: default.mss.is_some(),
        }
    }

    /// The number of `options`; `None` when [`limits::PROFILES_MAX`] different sets are in use.
    pub(crate) fn intern(&mut self, options: SocketOptions) -> Option<u8> {
        if let Some(found) = self.sets[..self.count].iter().position(|set| *set == options) {
            return Some(found as u8);
        }
        let free = self.sets.get_mut(self.count)?;
        *free = options;
        self.user_timeouts |= options.user_timeout.is_some();
        self.keepalives |= options.keepalive.is_some();
        self.segment_sizes |= options.mss.is_some();
        self.count += 1;
        Some(self.count as u8 - 1)
    }

    /// Whether any set has a user timeout.
    #[inline]
    pub(crate) fn any_user_timeout(&self) -> bool {
        self.user_timeouts
    }

    /// Whether any set asks for keep-alive probes.
    #[inline]
    pub(crate) fn any_keepalive(&self) -> bool {
        self.keepalives
    }

    /// Whether any set bounds the size of segments.
    #[inline]
    pub(crate) fn any_mss(&self) -> bool {
        self.segment_sizes
    }

    #[inline]
    pub(crate) fn set(&self, profile: u8) -> &SocketOptions {
        &self.sets[profile as usize % limits::PROFILES_MAX]
    }
}
