//! Every constant bound of the stack, and how they hang together. Sizes of tables are
//! [`Capacity`](crate::config::Capacity): chosen per machine, taken once.

use penstock_queue::CHUNK_BYTES;

use crate::time::Duration;

/// Segments acknowledged at once at the start of a connection, so that the peer's slow start is
/// not slowed (Linux: TCP_MAX_QUICKACKS).
pub(crate) const QUICK_ACKS: u8 = 16;

/// How long each of these waits for company where it is to be patient: an answer from a server next
/// door is there by then, and a client with Nagle's algorithm is hardly held up.
pub(crate) const PATIENCE: Duration = Duration::from_millis(5);

/// The largest window that fits in an unscaled header.
pub(crate) const WINDOW_UNSCALED_MAX: u32 = 65_535;

/// MSS where the peer sent no option (RFC 9293 section 3.7.1): 576 - 40.
pub(crate) const MSS_DEFAULT_V4: u16 = 536;
/// The same for IPv6: 1280 - 60.
pub(crate) const MSS_DEFAULT_V6: u16 = 1220;
/// A peer that asks for less than this gets this (Linux: TCP_MIN_SND_MSS): one-byte segments would
/// turn our memory against us.
pub(crate) const MSS_MIN: u16 = 48;

/// What timestamps take from every segment: two NOPs and the option.
pub(crate) const TIMESTAMPS_BYTES: u16 = 12;

/// Different sets of socket options in use on one worker.
pub(crate) const PROFILES_MAX: usize = 64;

/// Destinations of active connections whose way is kept: more than a proxy has servers, mostly.
pub(crate) const DEPARTURES: usize = 128;

/// Segments one connection may send before others get their turn.
pub(crate) const SEGMENTS_PER_VISIT: usize = 16;

/// Connections visited from the ready list in one turn.
pub(crate) const READY_PER_TURN: usize = 64;

/// Applications told in one turn that memory is back.
pub(crate) const HUNGRY_PER_TURN: usize = 32;

/// Words of 64 connections that a search for the next of them looks at.
pub(crate) const HUNGRY_WORDS: usize = 64;

/// How often a card is looked at whose descriptors something waits for, or a core's mail: the time in
/// which a ring of 512 short frames empties at 10 Gbit/s, roughly.
pub(crate) const LOOK_AGAIN_US: u64 = 50;

/// The longest that an application's wake-up is kept: far from where 32 bits of milliseconds wrap.
pub(crate) const WAKE_MS_MAX: u64 = 1 << 30;

/// Timers fired in one turn.
pub(crate) const TIMERS_PER_TURN: u32 = 64;

/// TIME-WAIT records retired in one turn.
pub(crate) const TIME_WAITS_PER_TURN: u32 = 64;

/// Messages taken from other cores in one turn.
pub(crate) const MAIL_PER_TURN: usize = 32;

/// The most payload one TSO frame carries.
pub(crate) const SEGMENTATION_BYTES_MAX: u32 = 61_440;

/// Chunk numbers that fit in one chunk: the index of a receive store.
pub(crate) const STORE_SLOTS: usize = CHUNK_BYTES / 4;

/// The largest receive window: a store's index covers it wherever in a chunk it begins, and with
/// what rounding to the window scale adds.
pub const RECEIVE_WINDOW_BYTES_MAX: u32 = ((STORE_SLOTS - 2) * CHUNK_BYTES) as u32;

/// The smallest receive window worth having.
pub const RECEIVE_WINDOW_BYTES_MIN: u32 = 2 * CHUNK_BYTES as u32;

const _: () = assert!(STORE_SLOTS.is_power_of_two());
const _: () = assert!(PROFILES_MAX <= 256);
const _: () =
    assert!(SEGMENTATION_BYTES_MAX as usize <= (penstock_queue::LENT_MAX - 2) * CHUNK_BYTES);

/// The wait before a SYN-ACK is repeated for the first time (RFC 6298 section 2.1).
pub(crate) const SYN_ACK_FIRST_MS: u32 = 1000;

/// The wait before a SYN is repeated that met an old connection (Linux: TCP_TIMEOUT_MIN).
pub(crate) const SYN_AGAIN_MS: u32 = 2;

/// Path MTUs remembered.
pub(crate) const PATH_MTUS: u16 = 1024;

/// With less than an eighth of the chunks or the flights free, nothing is kept out of order and nobody new is let
/// in: what is under way needs them.
pub(crate) const RESERVED_SHIFT: u32 = 3;

/// With a sixteenth of the chunks free or less, or of the flights, applications can neither queue
/// more nor leave more unread, but for a little each (`scarcity.rs`).
pub(crate) const EXHAUSTED_SHIFT: u32 = 4;

/// With a thirty-second of the chunks free or less, nothing more is kept for an application.
pub(crate) const LAST_KEPT_SHIFT: u32 = 5;

/// With a sixty-fourth of them, nothing more is queued.
pub(crate) const LAST_QUEUED_SHIFT: u32 = 6;

const _: () = assert!(RESERVED_SHIFT < EXHAUSTED_SHIFT);
const _: () = assert!(EXHAUSTED_SHIFT < LAST_KEPT_SHIFT && LAST_KEPT_SHIFT < LAST_QUEUED_SHIFT);

/// Payload up to this many bytes is copied behind its headers, into one descriptor, rather than
/// lent: a second descriptor and its write-back cost more.
pub(crate) const INLINE_BYTES: usize = 256;

/// Bytes of the IP and TCP headers without options.
pub(crate) const fn headers_bytes(remote: penstock_wire::Addr) -> u16 {
    if remote.is_v4() { 40 } else { 60 }
}

/// Bytes of a frame that lies in no ring: a jumbo frame put together from its parts.
pub(crate) const SCRATCH_BYTES: usize = 16 * 1024;

/// The largest capacity of anything.
pub(crate) const CAPACITY_MAX: u32 = 1 << 29;

/// Addresses that a worker may get while it runs, those that it has lost among them: a number is
/// given to another address when all are taken.
pub(crate) const ADDRESSES_MAX: usize = 64;

/// Default routes, one for each interface and family.
pub(crate) const DEFAULT_ROUTES_MAX: usize = 32;

/// Addresses that may be another's, asked about at once.
pub(crate) const TENTATIVE_MAX: usize = 16;

/// Connections looked at in one turn after an address or a neighbour went, and ended.
pub(crate) const SWEPT_PER_TURN: u32 = 256;
pub(crate) const LOST_PER_TURN: u32 = 16;

/// Datagrams an application may send in one turn.
pub(crate) const DATAGRAMS_PER_TURN: usize = 256;
