//! Every constant bound of the driver, and how they hang together.

use penstock_hw::FRAME_BYTES;
use penstock_queue::{LENT_MAX, SLOT_BYTES};

/// Descriptors of a ring: what the datasheet allows (7.1.9, 7.2.3.3: 128 bytes to 64 KB in steps of
/// 128) and what the driver's arithmetic wants.
pub(crate) const RING_MIN: u32 = 128;
/// As above.
pub(crate) const RING_MAX: u32 = 4096;

/// Descriptors that one sent frame may need: a context, the slot, and what it lends.
pub(crate) const DESCRIPTORS_PER_FRAME: u32 = 2 + LENT_MAX as u32;

/// A transmit descriptor reports its completion (RS) when this many were written since the last
/// that does, or at the end of a flush.
pub(crate) const REPORT_EVERY: u32 = 32;

/// Receive descriptors are returned to the card (RDT) in lots of at least this many: a doorbell is a
/// write across the bus.
pub(crate) const RETURN_LOT: u32 = 32;

/// Descriptors that one received frame may span: the longest frame of the card.
pub(crate) const PARTS_MAX: u32 = 8;

/// The longest frame the card takes (8.2.3.22.13), frame check sequence included.
pub(crate) const FRAME_MAX: u32 = 9728;

/// Ethernet header and frame check sequence; the card allows for a VLAN tag by itself.
pub(crate) const FRAMING_BYTES: u32 = 18;

/// Queues that the redirection table of receive-side scaling can name (8.2.3.7.14: four bits).
pub(crate) const RSS_QUEUES: u16 = 16;

/// Steering rules: the smallest Flow Director table (64 KB of packet buffer) holds 2048 filters
/// less the ends of its lists.
pub(crate) const STEER_RULES_MAX: usize = 2045;

/// The card is looked at this often.
pub(crate) const POLL_US: u64 = 50_000;

/// Sent frames that are not done after this long, with the link up, mean that the ring hangs. Linux
/// waits as long.
pub(crate) const HANG_US: u64 = 1_000_000;

/// Two resets are at least this far apart, so that a card that dies again and again does not hold up
/// the core that resets it.
pub(crate) const RESET_GAP_US: u64 = 1_000_000;

const _: () = assert!(FRAME_BYTES >= SLOT_BYTES);
const _: () = assert!(RING_MIN > DESCRIPTORS_PER_FRAME + REPORT_EVERY);
const _: () = assert!(RING_MIN > 2 * RETURN_LOT);
const _: () = assert!(FRAME_MAX <= PARTS_MAX * FRAME_BYTES as u32);
const _: () = assert!(RING_MIN > PARTS_MAX + 1);
