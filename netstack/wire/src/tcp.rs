//! TCP segments as numbers (RFC 9293 section 3.1).
//!
//! [`parse`] runs for every segment. Nearly all of them carry no options, or timestamps alone in the
//! layout of RFC 7323 appendix A, and both cost a handful of loads; `options.rs` has the loop for the
//! rest. [`emit`] writes options as Linux lays them out, so that a peer's own fast path matches.

pub(crate) mod options;

use crate::address::Addr;
use crate::checksum::{Sum, pseudo_header};
use crate::fields::{put, u16_at, u32_at};
use crate::ip::TCP;
use crate::malformed::Malformed;
use crate::seq::SeqNum;

/// Bytes of a header without options.
pub const HEADER_BYTES: usize = 20;
/// Bytes of a header with timestamps alone.
pub const TIMESTAMPS_HEADER_BYTES: usize = 32;
/// Bytes of the longest header.
pub const HEADER_BYTES_MAX: usize = 60;
/// Where the checksum stands in the header.
pub const CHECKSUM_OFFSET: usize = 16;

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
    /// Echo of congestion experienced (RFC 3168).
    pub const ECE: Flags = Flags(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Flags = Flags(0x80);

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
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SackBlocks {
    /// How many there are.
    pub count: u8,
    /// The first `count` count; the rest is of no meaning.
    pub blocks: [(SeqNum, SeqNum); SACK_BLOCKS_MAX],
}

impl SackBlocks {
    /// The blocks.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (SeqNum, SeqNum)> + '_ {
        self.blocks.iter().copied().take(self.count as usize)
    }
}

/// Equal where the blocks that count are.
impl PartialEq for SackBlocks {
    fn eq(&self, other: &SackBlocks) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for SackBlocks {}

/// A timestamps option (RFC 7323 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timestamps {
    /// The sender's clock.
    pub value: u32,
    /// What the sender echoes.
    pub echo: u32,
}

/// The options of a segment. Unknown ones are skipped.
// In this order most of what `clear` clears is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Options {
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// Maximum segment size (RFC 9293 section 3.7.1); 0 where absent. On a SYN only, as are the
    /// window scale and SACK permitted: elsewhere they are skipped when parsed, left out when
    /// written.
    pub mss: u16,
    /// SACK permitted (RFC 2018 section 2).
    pub sack_permitted: bool,
    /// Window scale (RFC 7323 section 2), as on the wire.
    pub window_scale: Option<u8>,
    /// SACK blocks; never on a SYN.
    pub sack: SackBlocks,
}

/// The options that stand on a SYN only; as in [`Options`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syn {
    /// Maximum segment size; 0: none.
    pub mss: u16,
    /// Window scale.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
}

impl Syn {
    /// With timestamps, all options of a SYN.
    pub fn options(self, timestamps: Option<Timestamps>) -> Options {
        let Syn { mss, window_scale, sack_permitted } = self;
        Options { mss, window_scale, sack_permitted, timestamps, sack: SackBlocks::default() }
    }
}

impl Options {
    /// Forgets all options; what the SACK blocks were stays, uncounted, since clearing it costs.
    #[inline]
    fn clear(&mut self) {
        self.mss = 0;
        self.window_scale = None;
        self.sack_permitted = false;
        self.timestamps = None;
        self.sack.count = 0;
    }
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

    /// Whether it may be the first of a connection: a SYN that acknowledges nothing.
    #[inline]
    pub fn is_first(&self) -> bool {
        self.flags.0 & (Flags::SYN.0 | Flags::ACK.0) == Flags::SYN.0
    }
}

/// Reads a segment: `bytes` are exactly the IP payload. `verify` asks for the checksum, where no card
/// has checked it.
#[inline]
pub fn parse(bytes: &[u8], src: Addr, dst: Addr, verify: bool) -> Result<Segment, Malformed> {
    let mut segment = Segment::default();
    parse_into(&mut segment, bytes, src, dst, verify)?;
    Ok(segment)
}

/// [`parse`] over a segment that is there already: whoever reads a burst keeps one, which saves
/// clearing and copying the options (some thirty instructions a segment). After an error its fields
/// are of no meaning.
#[inline]
pub fn parse_into(
    segment: &mut Segment,
    bytes: &[u8],
    src: Addr,
    dst: Addr,
    verify: bool,
) -> Result<(), Malformed> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(Malformed::TcpShort);
    };
    let Ok(total_bytes) = u16::try_from(bytes.len()) else {
        return Err(Malformed::TcpShort);
    };
    let header_bytes = (header[12] >> 4) as u16 * 4;
    if header_bytes < HEADER_BYTES as u16 || header_bytes > total_bytes {
        return Err(Malformed::TcpOffset);
    }
    if verify && !is_intact(bytes, src, dst) {
        return Err(Malformed::TcpChecksum);
    }
    let ports = (u16_at(header, 0), u16_at(header, 2));
    read(segment, ports, header, &bytes[HEADER_BYTES..header_bytes as usize], total_bytes);
    Ok(())
}

/// Whether the checksum of a segment, at most 65535 bytes, is good. Not inlined: the loop over the
/// bytes would crowd out the registers of those who have a card for it.
#[inline(never)]
pub(crate) fn is_intact(segment: &[u8], src: Addr, dst: Addr) -> bool {
    pseudo_header(src, dst, TCP, segment.len() as u16).add_bytes(segment).is_good()
}

/// Reads a header that is all there, its ports apart, with its option bytes, of a segment of
/// `total_bytes`.
/// Inlined everywhere: it is a row of loads and stores, and callers hold the offsets as constants.
#[inline(always)]
pub(crate) fn read(
    segment: &mut Segment,
    ports: (u16, u16),
    header: &[u8; HEADER_BYTES],
    option_bytes: &[u8],
    total_bytes: u16,
) {
    let header_bytes = (HEADER_BYTES + option_bytes.len()) as u8;
    (segment.src_port, segment.dst_port) = ports;
    segment.seq = SeqNum(u32_at(header, 4));
    segment.ack = SeqNum(u32_at(header, 8));
    segment.flags = Flags(header[13]);
    segment.window = u16_at(header, 14);
    segment.header_bytes = header_bytes;
    segment.payload_bytes = total_bytes - header_bytes as u16;
    segment.options.clear();
    if option_bytes.is_empty() {
        return;
    }
    match <&[u8; TIMESTAMPS_HEADER_BYTES - HEADER_BYTES]>::try_from(option_bytes) {
        Ok(option) if u32_at(option, 0) == options::TIMESTAMPS_WORD => {
            let (value, echo) = (u32_at(option, 4), u32_at(option, 8));
            segment.options.timestamps = Some(Timestamps { value, echo });
        }
        _ => options::parse(option_bytes, segment.flags.has(Flags::SYN), &mut segment.options),
    }
}

/// What a header says beside its options, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Header {
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
    /// The window field, scaled already.
    pub window: u16,
}

/// Bytes of the header that [`emit`] writes for these options: what they take from the segment's
/// payload is 20 less.
#[inline]
pub fn header_bytes(flags: Flags, options: &Options) -> usize {
    if options.sack.count == 0 && !flags.has(Flags::SYN) {
        return if options.timestamps.is_some() { TIMESTAMPS_HEADER_BYTES } else { HEADER_BYTES };
    }
    HEADER_BYTES + options::lay_out(options, flags.has(Flags::SYN)).bytes()
}

/// Writes a header with its options, the checksum and the urgent pointer 0, and returns its length;
/// 0, and nothing written, where `bytes` are too few. SACK blocks beyond the room (three beside
/// timestamps, four otherwise) are left out.
#[inline]
pub fn emit(bytes: &mut [u8], header: &Header, options: &Options) -> usize {
    if options.sack.count != 0 || header.flags.has(Flags::SYN) {
        return emit_options(bytes, header, options);
    }
    let Some(timestamps) = options.timestamps else {
        let Some(field) = bytes.first_chunk_mut::<HEADER_BYTES>() else {
            return 0;
        };
        put_header(field, header, HEADER_BYTES);
        return HEADER_BYTES;
    };
    let Some(field) = bytes.first_chunk_mut::<TIMESTAMPS_HEADER_BYTES>() else {
        return 0;
    };
    put_header(field, header, TIMESTAMPS_HEADER_BYTES);
    put(field, 20, options::TIMESTAMPS_WORD.to_be_bytes());
    put(field, 24, timestamps.value.to_be_bytes());
    put(field, 28, timestamps.echo.to_be_bytes());
    TIMESTAMPS_HEADER_BYTES
}

/// A header with any options.
fn emit_options(bytes: &mut [u8], header: &Header, options: &Options) -> usize {
    let words = options::lay_out(options, header.flags.has(Flags::SYN));
    let header_bytes = HEADER_BYTES + words.bytes();
    let Some(room) = bytes.get_mut(..header_bytes) else {
        return 0;
    };
    let Some((field, room)) = room.split_first_chunk_mut::<HEADER_BYTES>() else {
        return 0;
    };
    put_header(field, header, header_bytes);
    for (field, word) in room.as_chunks_mut::<4>().0.iter_mut().zip(words.iter()) {
        *field = word.to_be_bytes();
    }
    header_bytes
}

#[inline]
fn put_header<const N: usize>(field: &mut [u8; N], header: &Header, header_bytes: usize) {
    put(field, 0, header.src_port.to_be_bytes());
    put(field, 2, header.dst_port.to_be_bytes());
    put(field, 4, header.seq.0.to_be_bytes());
    put(field, 8, header.ack.0.to_be_bytes());
    // A data offset in words, in the upper half: 4 bits of 4 bytes each.
    put(field, 12, [(header_bytes << 2) as u8, header.flags.0]);
    put(field, 14, header.window.to_be_bytes());
    put(field, 16, [0; 4]);
}

/// Computes and writes the checksum over `bytes`, which begin with a header as [`emit`] left it (the
/// field 0), and over what lies beyond them: `beyond_bytes` of lent payload summed to `beyond`. Of
/// fewer bytes than a header nothing becomes.
#[inline]
pub fn fill_checksum(bytes: &mut [u8], src: Addr, dst: Addr, beyond: Sum, beyond_bytes: u16) {
    let length = (bytes.len() as u16).wrapping_add(beyond_bytes);
    let checksum = pseudo_header(src, dst, TCP, length).add_bytes(bytes).join(beyond).checksum();
    if let Some(header) = bytes.first_chunk_mut::<HEADER_BYTES>() {
        put(header, CHECKSUM_OFFSET, checksum.to_be_bytes());
    }
}

/// Writes what a card that inserts checksums wants to find in the field: the pseudo-header's sum.
/// `length` counts header and payload, and is 0 where the card cuts the payload into segments.
#[inline]
pub fn fill_partial_checksum(header: &mut [u8], src: Addr, dst: Addr, length: u16) {
    if let Some(header) = header.first_chunk_mut::<HEADER_BYTES>() {
        let sum = pseudo_header(src, dst, TCP, length).fold();
        put(header, CHECKSUM_OFFSET, sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
