//! The seam between the stack and a network card.
//!
//! A worker sees a card as one [`QueuePair`]: a ring of frames that arrived and a ring of frames to
//! send. The native 82599 driver, virtio-net, a Linux TAP and the simulator implement it; the stack
//! is generic over it, so every call is static. [`MemoryQueue`] is the one for tests.
//!
//! ```text
//!             recv()                     recycle()
//!   card ──▶ [ frame 0 | frame 1 | … ] ──▶ back to the receive ring, all of them, this turn
//!
//!             slot()            send(bytes, lent, offload)          flush()
//!   stack ──▶ [ header bytes ] + (chunk, from, len)… ──▶ descriptors ──▶ one doorbell
//!                                      │
//!                                      └── reclaim(): descriptors written back, lent counts fall
//! ```
//!
//! **Who owns bytes.** Received frames never leave the queue pair: the stack borrows them between
//! [`QueuePair::recv`] and [`QueuePair::recycle`], so a frame can be neither leaked nor shared. Sent
//! payload lives in [`Chunks`], owned by the core; the queue pair only borrows ranges of it
//! ([`Lent`]) and says when it is done.
#![no_std]

extern crate alloc;

mod chunks;
mod memory;
mod steering;

pub use chunks::{CHUNK_BYTES, ChunkId, Chunks, Lent};
pub use memory::MemoryQueue;
pub use steering::{PortMask, RETA_ENTRIES, RSS_KEY_BYTES, Rss, SteerRule};

/// The most frames one [`QueuePair::recv`] may hand out.
pub const BURST_MAX: usize = 32;

/// The most lent ranges one transmitted frame may carry.
pub const LENT_MAX: usize = 40;

/// Bytes of a transmit slot: every frame that is not gathered fits in one.
pub const SLOT_BYTES: usize = 2048;

/// What the card said of a received frame's checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// Nothing was checked: the stack must.
    Unverified,
    /// The IPv4 header is good (or the frame is IPv6); TCP or UDP was not checked.
    IpGood,
    /// The IPv4 header (if any) and the TCP or UDP checksum are good.
    Good,
    /// The IPv4 header checksum is wrong.
    IpBad,
    /// The TCP or UDP checksum is wrong. An 82599 also says so of an IPv4 UDP datagram without a
    /// checksum, so for UDP the stack looks for itself.
    L4Bad,
}

/// A received frame, borrowed from the ring of the queue pair.
#[derive(Clone, Copy, Debug)]
pub struct RxFrame<'a> {
    /// The first part, from the Ethernet header on, without the frame check sequence. All protocol
    /// headers lie in it.
    pub bytes: &'a [u8],
    /// How many further parts follow (a jumbo frame over several descriptors): 0 for most.
    pub parts: usize,
    /// The card's verdict on checksums.
    pub checksums: Checksums,
    /// The RSS hash, where the card computed one.
    pub hash: Option<u32>,
    /// The VLAN tag control information, where the card stripped one.
    pub vlan: Option<u16>,
}

/// Which transport checksum a transmitted frame asks the card for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    /// None.
    None,
    /// TCP: the field holds the pseudo-header sum (without the length when segmenting).
    Tcp,
    /// UDP: the field holds the pseudo-header sum.
    Udp,
}

/// What the card is to compute for a transmitted frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// Bytes of the Ethernet header.
    pub mac_bytes: u8,
    /// Bytes of the IPv4 header with options, or of the IPv6 header with extensions.
    pub ip_bytes: u16,
    /// Bytes of the TCP or UDP header.
    pub l4_bytes: u8,
    /// Insert the IPv4 header checksum.
    pub ip_checksum: bool,
    /// Insert the transport checksum.
    pub l4_checksum: L4,
    /// Cut the payload into segments of this many bytes; 0 sends the frame as it is.
    pub segment_bytes: u16,
}

impl Offload {
    /// Nothing is asked for.
    pub const NONE: Offload = Offload {
        mac_bytes: 0,
        ip_bytes: 0,
        l4_bytes: 0,
        ip_checksum: false,
        l4_checksum: L4::None,
        segment_bytes: 0,
    };
}

/// What a queue pair can do, fixed when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The largest IP packet the card carries, in bytes (1500 for Ethernet without jumbo frames).
    pub mtu: u16,
    /// Inserts IPv4, TCP and UDP checksums.
    pub tx_checksums: bool,
    /// Cuts TCP payload into segments.
    pub segmentation: bool,
    /// The most lent ranges of one frame (at most [`LENT_MAX`]). 0: the card cannot gather, and
    /// [`QueuePair::send`] copies lent ranges behind the header, frame by frame within
    /// [`SLOT_BYTES`].
    pub lent_max: usize,
}

/// One receive ring and one transmit ring, owned by one core.
pub trait QueuePair {
    /// What this queue pair can do. Constant.
    fn capabilities(&self) -> Capabilities;

    /// Takes up to `max` (at most [`BURST_MAX`]) frames that have arrived and returns how many.
    /// Touches the ring, not the card. The previous burst must have been recycled.
    fn recv(&mut self, max: usize) -> usize;

    /// Whether more than half of the receive ring waits behind the burst: frames come faster than
    /// they are taken, and soon some will be lost. One look at one descriptor. A card that cannot
    /// tell says no.
    fn crowded(&self) -> bool {
        false
    }

    /// Frame `index` of the burst that the last [`recv`](Self::recv) took.
    ///
    /// # Panics
    /// When `index` is not below the burst's count: a defect of the caller.
    fn frame(&self, index: usize) -> RxFrame<'_>;

    /// Part `part` (1 ..= [`RxFrame::parts`]) of frame `index`.
    ///
    /// # Panics
    /// As [`frame`](Self::frame).
    fn part(&self, index: usize, part: usize) -> &[u8];

    /// Returns the whole burst to the receive ring.
    fn recycle(&mut self);

    /// How many frames can be sent now, each with one slot and its full count of lent ranges.
    fn slots(&self) -> usize;

    /// The bytes of the next transmit slot (at least [`SLOT_BYTES`]), or `None` when the ring is
    /// full. Asking again without [`send`](Self::send) gives the same slot.
    fn slot(&mut self) -> Option<&mut [u8]>;

    /// Sends the slot that [`slot`](Self::slot) gave: its first `bytes` bytes, then the `lent`
    /// ranges. Each range stays lent ([`Chunks::lend`]) until its descriptor is written back.
    fn send(&mut self, bytes: usize, lent: &[Lent], offload: Offload, chunks: &mut Chunks);

    /// Tells the card of everything sent since the last flush: one doorbell, and the receive
    /// ring's tail.
    fn flush(&mut self);

    /// Collects descriptors that the card has written back, and with them the lent ranges.
    fn reclaim(&mut self, chunks: &mut Chunks);
}
