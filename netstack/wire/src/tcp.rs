//! TCP segments as numbers (RFC 9293 section 3.1).

use crate::seq::SeqNum;

/// Control bits of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Flags = Flags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Flags = Flags(0x02);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x04);
    /// Push.
    pub const PSH: Flags = Flags(0x08);
    /// The acknowledgement field counts.
    pub const ACK: Flags = Flags(0x10);
    /// The urgent pointer counts.
    pub const URG: Flags = Flags(0x20);

    /// Whether any bit of `other` is set.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[inline]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// The most SACK blocks a segment can carry (40 bytes of options; RFC 2018 section 3).
pub const SACK_BLOCKS_MAX: usize = 4;

/// SACK blocks as received or to be sent: `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SackBlocks {
    /// The first `count` count.
    pub blocks: [(SeqNum, SeqNum); SACK_BLOCKS_MAX],
    /// How many.
    pub count: u8,
}

impl SackBlocks {
    /// The blocks.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (SeqNum, SeqNum)> + '_ {
        self.blocks.iter().copied().take(self.count as usize)
    }
}

/// A timestamps option (RFC 7323 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timestamps {
    /// The sender's clock.
    pub value: u32,
    /// What the sender echoes.
    pub echo: u32,
}

/// The options of a segment. Unknown ones are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Maximum segment size (RFC 9293 section 3.7.1); 0 where absent.
    pub mss: u16,
    /// Window scale (RFC 7323 section 2), as on the wire.
    pub window_scale: Option<u8>,
    /// SACK permitted (RFC 2018 section 2).
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// SACK blocks.
    pub sack: SackBlocks,
}

/// A segment as numbers; the payload stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Segment {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first byte (or of the SYN).
    pub seq: SeqNum,
    /// Acknowledgement number.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: Flags,
    /// The window field, unscaled.
    pub window: u16,
    /// Bytes of the header with its options: the payload starts there.
    pub header_bytes: u8,
    /// Bytes of payload.
    pub payload_bytes: u16,
    /// The options.
    pub options: Options,
}

impl Segment {
    /// Sequence numbers the segment occupies: payload, SYN and FIN.
    #[inline]
    pub fn len(&self) -> u32 {
        self.payload_bytes as u32
            + self.flags.has(Flags::SYN) as u32
            + self.flags.has(Flags::FIN) as u32
    }

    /// Whether it occupies none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
