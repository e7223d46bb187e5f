//! How a card picks the queue of a received frame: the words in which the stack asks for it.

/// Bytes of a Toeplitz key (82599 datasheet, RSSRK).
pub const RSS_KEY_BYTES: usize = 40;

/// Entries of the redirection table (82599 datasheet, RETA).
pub const RETA_ENTRIES: usize = 128;

/// Receive-side scaling: queue = `reta[toeplitz(key, tuple) & 127]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// The Toeplitz key.
    pub key: [u8; RSS_KEY_BYTES],
    /// The redirection table: queue numbers.
    pub reta: [u8; RETA_ENTRIES],
}

/// The destination-port bits that every [`SteerRule`] of a card compares. A card has one such mask
/// (82599: FDIRTCPM), so it goes with the whole set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMask(pub u16);

/// A TCP segment over IPv4 whose destination port, under the set's [`PortMask`], equals `value`
/// goes to `queue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteerRule {
    /// The port bits to match; bits outside the mask are 0.
    pub value: u16,
    /// The receive queue.
    pub queue: u16,
}
