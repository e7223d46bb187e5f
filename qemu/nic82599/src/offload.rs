//! Transmit offloads: checksum insertion, segmentation, VLAN insertion (7.2.4, 7.2.5).
//!
//! ```text
//!   gathered:  [ MAC | IP | L4 ][ payload ........................ ]
//!   segments:  [ MAC | IP | L4 ][ MSS ]  [ MAC | IP | L4 ][ MSS ]  [ MAC | IP | L4 ][ rest ]
//!                    id, length, sequence, flags and checksums differ
//! ```
//!
//! The checksum field arrives holding the pseudo-header's sum; the card adds the bytes from the
//! transport header on. When segmenting that sum lacks the length, which the card adds per segment.

use crate::loss::Loss;
use crate::{checksum, crc};
use penstock_ixgbe_regs::descriptor::{tx_lengths, tx_segment, tx_types};

/// One of a queue's two contexts (7.2.3.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) mac_bytes: usize,
    pub(crate) ip_bytes: usize,
    pub(crate) l4_bytes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) vlan: u16,
    pub(crate) ipv4: bool,
    pub(crate) l4: u32,
}

impl Context {
    pub(crate) fn new(words: [u32; 4]) -> Context {
        let [lengths, _, types, segment] = words;
        Context {
            mac_bytes: (lengths >> tx_lengths::MACLEN_SHIFT & tx_lengths::MACLEN_MASK) as usize,
            ip_bytes: (lengths & tx_lengths::IPLEN_MASK) as usize,
            l4_bytes: (segment >> tx_segment::L4LEN_SHIFT & tx_segment::L4LEN_MASK) as usize,
            segment_bytes: (segment >> tx_segment::MSS_SHIFT) as usize,
            vlan: (lengths >> tx_lengths::VLAN_SHIFT) as u16,
            ipv4: types & tx_types::IPV4 != 0,
            l4: types >> tx_types::L4T_SHIFT & tx_types::L4T_MASK,
        }
    }

    fn l4_at(&self) -> usize {
        self.mac_bytes + self.ip_bytes
    }

    /// Where the checksum lies in the transport header.
    fn sum_at(&self) -> Option<usize> {
        match self.l4 {
            tx_types::L4T_UDP => Some(6),
            tx_types::L4T_TCP => Some(16),
            tx_types::L4T_SCTP => Some(8),
            _ => None,
        }
    }
}

/// What a frame asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offloads {
    /// Insert the IPv4 header checksum.
    pub(crate) ip: bool,
    /// Insert the transport checksum.
    pub(crate) l4: bool,
    /// Cut into segments; the payload bytes as the descriptor states them.
    pub(crate) segment: Option<usize>,
}

/// TCP flags kept in the first, middle and last segment (DTXTCPFLGL, DTXTCPFLGH).
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlagMasks {
    pub(crate) first: u16,
    pub(crate) middle: u16,
    pub(crate) last: u16,
}

/// Applies `offloads` to `gathered` and hands each resulting frame to `sink`.
pub(crate) fn apply(
    gathered: &mut [u8],
    offloads: Offloads,
    context: &Context,
    masks: FlagMasks,
    mut sink: impl FnMut(&[u8]),
) -> Result<(), Loss> {
    if let Some(payload) = offloads.segment {
        return segment(gathered, offloads, context, masks, payload, sink);
    }
    insert_sums(gathered, offloads, context, None).ok_or(Loss::BadContext)?;
    sink(gathered);
    Ok(())
}

fn segment(
    gathered: &[u8],
    offloads: Offloads,
    context: &Context,
    masks: FlagMasks,
    payload: usize,
    mut sink: impl FnMut(&[u8]),
) -> Result<(), Loss> {
    let header_bytes = context.l4_at() + context.l4_bytes;
    let size = context.segment_bytes;
    if size == 0 || payload == 0 || header_bytes >= HEADER_MAX {
        return Err(Loss::BadContext);
    }
    if gathered.len() != header_bytes + payload {
        return Err(Loss::BadContext);
    }
    let segments = payload.div_ceil(size);
    if segments > SEGMENTS_MAX {
        return Err(Loss::TooManySegments);
    }
    let (header, payload) = gathered.split_at(header_bytes);
    let mut frame = Vec::with_capacity(header_bytes + size.min(payload.len()));
    for (index, part) in payload.chunks(size).enumerate() {
        frame.clear();
        frame.extend_from_slice(header);
        frame.extend_from_slice(part);
        let place = match index {
            _ if index + 1 == segments => masks.last,
            0 => masks.first,
            _ => masks.middle,
        };
        rewrite_headers(&mut frame, context, index, part.len(), place).ok_or(Loss::BadContext)?;
        let length = context.l4_bytes + part.len();
        insert_sums(&mut frame, offloads, context, Some(length)).ok_or(Loss::BadContext)?;
        sink(&frame);
    }
    Ok(())
}

/// Gives segment `index` its own lengths, identification, sequence number and flags.
fn rewrite_headers(
    frame: &mut [u8],
    context: &Context,
    index: usize,
    payload: usize,
    flags_kept: u16,
) -> Option<()> {
    let l4_and_payload = context.l4_bytes + payload;
    let ip = frame.get_mut(context.mac_bytes..context.l4_at())?;
    if context.ipv4 {
        put(ip, 2, (context.ip_bytes + l4_and_payload) as u16)?;
        let id = word(ip, 4)?;
        put(ip, 4, id.wrapping_add(index as u16))?;
    } else {
        let extensions = context.ip_bytes.checked_sub(40)?;
        put(ip, 4, (extensions + l4_and_payload) as u16)?;
    }
    let l4 = frame.get_mut(context.l4_at()..)?;
    match context.l4 {
        tx_types::L4T_TCP => {
            let sequence = l4.get_mut(4..8)?.first_chunk_mut::<4>()?;
            let advance = index.wrapping_mul(context.segment_bytes) as u32;
            *sequence = u32::from_be_bytes(*sequence).wrapping_add(advance).to_be_bytes();
            let flags = word(l4, 12)?;
            put(l4, 12, flags & (flags_kept | 0xF000))
        }
        tx_types::L4T_UDP => put(l4, 4, l4_and_payload as u16),
        _ => None,
    }
}

/// Inserts the checksums. `segment_length` is added to a pseudo-header sum that lacks the length.
fn insert_sums(
    frame: &mut [u8],
    offloads: Offloads,
    context: &Context,
    segment_length: Option<usize>,
) -> Option<()> {
    if offloads.ip && context.ipv4 {
        let ip = frame.get_mut(context.mac_bytes..context.l4_at())?;
        put(ip, 10, 0)?;
        let sum = !checksum::fold(checksum::add(0, ip));
        put(ip, 10, sum)?;
    }
    if !offloads.l4 {
        return Some(());
    }
    let sum_at = context.sum_at()?;
    let l4 = frame.get_mut(context.l4_at()..)?;
    if context.l4 == tx_types::L4T_SCTP {
        let sum = crc::sctp(l4)?;
        *l4.get_mut(sum_at..)?.first_chunk_mut()? = sum.to_le_bytes();
        return Some(());
    }
    // The field itself, holding the pseudo-header's sum, is part of what is added up.
    let pseudo_length = segment_length.unwrap_or(0) as u64;
    let sum = !checksum::fold(checksum::add(pseudo_length, l4));
    // A computed zero is sent as all ones in UDP, where zero means "no checksum" (RFC 768).
    let sum = if sum == 0 && context.l4 == tx_types::L4T_UDP { 0xFFFF } else { sum };
    put(l4, sum_at, sum)
}

/// The checksum of a legacy descriptor: everything from `from` on, stored at `at` (7.2.3.2.2).
pub(crate) fn insert_legacy_sum(frame: &mut [u8], from: usize, at: usize) -> Option<()> {
    let sum = !checksum::fold(checksum::add(0, frame.get(from..)?));
    put(frame, at, sum)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    crate::packet::word(bytes, at)
}

fn put(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}

/// Headers of a segmented frame must be shorter than this (7.2.4.3).
const HEADER_MAX: usize = 512;

/// Segments that one frame may be cut into: 256 KB at 64 bytes each.
const SEGMENTS_MAX: usize = 4096;

#[cfg(test)]
mod tests;
