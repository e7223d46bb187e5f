//! Every bound of the demo server.

use penstock_relay::{Manners, Timeouts};
use penstock_stack::Duration;

/// From the first byte of a request, or from the handshake, to the end of its head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two requests of a connection that is kept.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Without a byte of a body or an answer moving.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long we listen on after our FIN, lest a RST destroy our last words on their way
/// (RFC 9112 section 9.6).
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest `/delay`.
pub const DELAY_MS_MAX: u64 = 60_000;

/// Bytes of `/drip`, and the time between two of them.
pub const DRIP_BYTES: u64 = 10;
/// See [`DRIP_BYTES`].
pub const DRIP_INTERVAL: Duration = Duration::from_millis(200);

/// Heads under way in pieces, of one core; beyond, the oldest is given up.
pub const HEADS: u16 = 64;

/// A long answer fills a send buffer to twice the congestion window, at most this much beyond what the
/// client can take, but this much anyway: clients that do not read must not hold the memory of those
/// that do.
pub const AHEAD_BYTES_MIN: u32 = 32 * 1024;

/// In proxy mode: how long a backend may take to answer, and a session to say nothing.
pub const RELAY: Manners = Manners {
    timeouts: Timeouts {
        connect: Some(Duration::from_secs(5)),
        client: None,
        server: None,
        client_fin: None,
        server_fin: None,
        tunnel: Some(Duration::from_secs(60)),
    },
    abort_on_close: false,
    ends_softly: false,
    client_no_linger: false,
    server_no_linger: false,
};

/// Listening addresses, and backends.
pub const ADDRESSES_MAX: usize = 64;

/// Bytes of the `-o` target.
pub const TARGET_BYTES_MAX: usize = 255;
