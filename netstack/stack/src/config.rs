//! What is frozen before the workers start: each worker gets its own copy.

use alloc::vec::Vec;
use core::num::NonZeroU16;

use penstock_queue::Rss;
use penstock_wire::{Addr, Mac};

use crate::counters::Drop;
use crate::time::Duration;

/// Everything a worker is told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// One per NIC; the position is the interface's index.
    pub interfaces: Vec<Interface>,
    /// Static routes; a default gateway is a route with `prefix_bits` 0. The longest prefix wins.
    pub routes: Vec<Route>,
    /// How many workers there are.
    pub cores: u16,
    /// Ports that active connections use (`net.ipv4.ip_local_port_range`).
    pub ephemeral_ports: (u16, u16),
    /// The bounds of one worker.
    pub capacity: Capacity,
    /// TCP's knobs.
    pub tcp: Tcp,
    /// Random bytes, the same for all workers of an appliance: every key is derived from them.
    pub seed: [u8; 32],
}

impl Config {
    /// Whether the host `addr` can be at the other end, as far as loopback goes.
    //= rfc1122#3.2.1.3
    //# Addresses of this form MUST NOT appear outside a host.
    pub(crate) fn may_speak(&self, addr: Addr) -> bool {
        !addr.is_loopback() || self.tcp.route_localnet
    }

    /// The same, of a packet's source.
    pub(crate) fn admit(&self, source: Addr) -> Result<(), Drop> {
        if self.may_speak(source) { Ok(()) } else { Err(Drop::IpSource) }
    }
}

/// One network interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its station address.
    pub mac: Mac,
    /// The largest IP packet in bytes.
    pub mtu: u16,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<(Addr, u8)>,
    /// How replies to active connections find their core.
    pub steering: Steering,
}

/// What the card offers to bring a segment to the core that owns its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Perfect-match filters on the low bits of the destination port, for IPv4; IPv6 as
    /// [`Steering::Rss`].
    FlowDirector(Rss),
    /// Receive-side scaling only: the source port is chosen so that the hash gives this core.
    Rss(Rss),
    /// Nothing is known: misdirected segments cross by mail.
    Unknown,
}

/// A static route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination network.
    pub network: Addr,
    /// How many bits of it count.
    pub prefix_bits: u8,
    /// The next hop, an on-link neighbour; `None` means the destination itself is on the link.
    pub gateway: Option<Addr>,
    /// The interface's index.
    pub interface: u8,
}

/// The bounds of one worker: memory is taken once, for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections, idle or not.
    pub connections: u32,
    /// Connections with something in flight, out of order or unread at one moment.
    pub flights: u32,
    /// Half-open connections (`net.ipv4.tcp_max_syn_backlog`); beyond it, SYN cookies.
    pub half_open: u32,
    /// TIME-WAIT records (`net.ipv4.tcp_max_tw_buckets`); the oldest makes room.
    pub time_wait: u32,
    /// Payload chunks of 2 KB.
    pub chunks: u32,
    /// Neighbours (ARP and NDP).
    pub neighbours: u16,
    /// Listeners: the addresses and ports that any worker listens on.
    pub listeners: u16,
    /// Bound UDP ports.
    pub udp: u16,
    /// Send buffer of one connection in bytes (`net.ipv4.tcp_wmem`).
    pub send_buffer_bytes: u32,
    /// Receive window of one connection in bytes (`net.ipv4.tcp_rmem`).
    pub receive_window_bytes: u32,
}

impl Default for Capacity {
    fn default() -> Capacity {
        Capacity {
            connections: 65_536,
            flights: 16_384,
            half_open: 4_096,
            time_wait: 65_536,
            chunks: 32_768,
            neighbours: 1_024,
            listeners: 1_024,
            udp: 64,
            send_buffer_bytes: 256 * 1024,
            receive_window_bytes: 256 * 1024,
        }
    }
}

/// TCP's knobs, named as Linux's `net.ipv4.tcp_*`, with Linux's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// `tcp_timestamps` (RFC 7323).
    pub timestamps: bool,
    /// `tcp_sack` (RFC 2018).
    pub sack: bool,
    /// `tcp_window_scaling` (RFC 7323).
    pub window_scaling: bool,
    /// `tcp_syncookies`.
    pub syncookies: SynCookies,
    /// `tcp_tw_reuse`: our own active connections may take a port out of TIME-WAIT after a second.
    pub tw_reuse: bool,
    /// `tcp_congestion_control`.
    pub congestion_control: CongestionControl,
    /// `tcp_slow_start_after_idle` (RFC 5681 section 4.1).
    pub slow_start_after_idle: bool,
    /// `tcp_syn_retries`: an attempt of 127 s with Linux's 6.
    //= rfc9293#3.8.3 type=exception
    //= reason=Linux's default; who wants 3 minutes sets 7.
    //# In particular, R2 for a SYN segment MUST be set large enough to provide retransmission of the
    //# segment for at least 3 minutes (MUST-23).
    pub syn_retries: u8,
    /// `tcp_synack_retries`.
    pub synack_retries: u8,
    /// `tcp_retries2`: unanswered retransmissions before an established connection is given up.
    pub retries2: u8,
    /// `tcp_orphan_retries`: the same for a connection the application has closed; Linux's 0
    /// means 8.
    pub orphan_retries: u8,
    /// `tcp_fin_timeout`: how long an orphan stays in FIN-WAIT-2.
    pub fin_timeout: Duration,
    /// Length of TIME-WAIT: twice the maximum segment lifetime (Linux: 60 s, not tunable).
    pub time_wait: Duration,
    /// Lower bound of the retransmission timeout (`tcp_rto_min_us`).
    pub rto_min: Duration,
    /// Upper bound of the retransmission timeout.
    pub rto_max: Duration,
    /// How long an acknowledgement may wait for company.
    pub delayed_ack: Duration,
    /// `tcp_invalid_ratelimit`: challenge and out-of-window acknowledgements of one connection are
    /// this far apart.
    pub invalid_ratelimit: Duration,
    /// `tcp_challenge_ack_limit`: challenge acknowledgements of one worker a second at most (RFC
    /// 5961 section 7); how many exactly is drawn anew each second.
    pub challenge_ack_limit: u32,
    /// RSTs to closed ports, and ICMP errors, of one worker a second (`icmp_msgs_per_sec`).
    pub reset_limit: u32,
    /// Initial congestion window in segments (RFC 6928).
    pub initial_window: u8,
    /// `conf.all.route_localnet`: loopback addresses are hosts like others, behind some gateway.
    pub route_localnet: bool,
    /// Options of connections for which nothing else was said.
    pub options: SocketOptions,
}

impl Default for Tcp {
    fn default() -> Tcp {
        Tcp {
            timestamps: true,
            sack: true,
            window_scaling: true,
            syncookies: SynCookies::WhenFull,
            tw_reuse: true,
            congestion_control: CongestionControl::Cubic,
            slow_start_after_idle: true,
            syn_retries: 6,
            synack_retries: 5,
            retries2: 15,
            orphan_retries: 8,
            fin_timeout: Duration::from_secs(60),
            time_wait: Duration::from_secs(60),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            delayed_ack: Duration::from_millis(40),
            invalid_ratelimit: Duration::from_millis(500),
            challenge_ack_limit: 1000,
            reset_limit: 1000,
            initial_window: 10,
            route_localnet: false,
            options: SocketOptions::default(),
        }
    }
}

/// `tcp_syncookies`: 0, 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynCookies {
    /// A full half-open ring drops SYNs.
    Never,
    /// A full half-open ring answers with cookies.
    WhenFull,
    /// Every SYN is answered with a cookie.
    Always,
}

/// The congestion control algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CongestionControl {
    /// RFC 5681 and RFC 6582.
    NewReno,
    /// RFC 9438.
    Cubic,
}

/// What may be set for a listener's connections, a new connection, or a living one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// `TCP_NODELAY`: no Nagle (RFC 9293 section 3.7.4).
    pub nodelay: bool,
    /// `TCP_QUICKACK`: never delay an acknowledgement.
    pub quickack: bool,
    /// The opposite, what Linux is told by `TCP_QUICKACK` 0: an acknowledgement may always wait for
    /// company, the first ones too (for 5 ms) and that of a FIN. For whoever will answer soon anyway, such
    /// as a proxy, which saves a segment on either side of a short session.
    pub patient: bool,
    /// `TCP_USER_TIMEOUT`: unacknowledged data older than this ends the connection, and so does
    /// silence for so long in spite of keep-alive probes, however many.
    pub user_timeout: Option<Duration>,
    /// `SO_KEEPALIVE`.
    pub keepalive: Option<KeepAlive>,
    /// `TCP_MAXSEG`: the largest MSS in bytes that our SYN offers, and the largest segment that we
    /// send, whatever the path and the peer would allow. The SYNs settle it: later it has no effect.
    pub mss: Option<NonZeroU16>,
}

/// Keep-alive (RFC 9293 section 3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe (`TCP_KEEPIDLE`).
    pub idle: Duration,
    /// Between probes (`TCP_KEEPINTVL`).
    pub interval: Duration,
    /// Unanswered probes before the connection ends (`TCP_KEEPCNT`).
    pub probes: u8,
}
