//! The short way for the frame that nearly all frames are: Ethernet, IP without options or extension
//! headers, TCP.
//!
//! Three parsers in a row check three lengths and branch on what the next word could have said
//! instead. Here one length is checked, then whole words are compared with what they must be, and
//! what differs in anything takes the long way, which knows the reasons. So nothing is refused here,
//! and nothing is accepted that the long way would refuse.

use crate::address::{Addr, Mac};
use crate::checksum::Sum;
use crate::ethernet;
use crate::fields::{array_at, put, u16_at, u32_at};
use crate::ip::{HOP_LIMIT, Packet, TCP, V4_HEADER_BYTES, V6_HEADER_BYTES};
use crate::tcp::{self, Flags, Segment, Syn};

/// A plain frame, whose numbers can be read without another look at lengths.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// Its packet.
    pub packet: Packet,
    /// Source and destination port: what a connection is looked for by, before the rest is read.
    pub ports: (u16, u16),
    header: &'a [u8; tcp::HEADER_BYTES],
    option_bytes: &'a [u8],
}

impl Plain<'_> {
    /// Reads the segment.
    #[inline(always)]
    pub fn read(&self, segment: &mut Segment) {
        // Ports that are known already: the compiler cannot tell that the bytes are still the same.
        let (ports, total_bytes) = (self.ports, self.packet.payload_bytes);
        tcp::read(segment, ports, self.header, self.option_bytes, total_bytes);
    }
}

/// Looks at a frame that may be plain, and for station `to`. `verify_ip` and `verify_tcp` ask for the checksums that no card
/// has checked. `None`: take the long way, which will find the same segment under its options, or a
/// name for what is wrong. Inlined everywhere: through a call, all it finds would go through memory.
#[inline(always)]
pub fn find(frame: &[u8], to: Mac, verify_ip: bool, verify_tcp: bool) -> Option<Plain<'_>> {
    match find_v4(frame, to, verify_ip, verify_tcp) {
        Some(plain) => Some(plain),
        None => find_v6(frame, to, verify_tcp),
    }
}

/// Whether a frame looks like a plain SYN: a glance at three fields, nothing checked. For whoever
/// has more frames than time.
#[inline(always)]
pub fn looks_like_syn(frame: &[u8]) -> bool {
    let Some(header) = frame.first_chunk::<V4_BYTES>() else { return false };
    if u32_at(header, 12) & 0xffff_ff00 == 0x0800_4500 {
        return header[IP + 9] == TCP && is_syn(header[IP + V4_HEADER_BYTES + FLAGS_AT]);
    }
    looks_like_syn_v6(frame)
}

#[inline(never)]
fn looks_like_syn_v6(frame: &[u8]) -> bool {
    let Some(header) = frame.first_chunk::<V6_BYTES>() else { return false };
    u32_at(header, 12) & 0xffff_f000 == 0x86dd_6000
        && header[IP + 6] == TCP
        && is_syn(header[IP + V6_HEADER_BYTES + FLAGS_AT])
}

#[inline]
fn is_syn(flags: u8) -> bool {
    const MASK: u8 = Flags::SYN.0 | Flags::ACK.0 | Flags::RST.0;
    flags & MASK == Flags::SYN.0
}

/// The half of [`find`] for IPv4 alone: `None` for IPv6 too.
#[inline(always)]
pub fn find_v4(frame: &[u8], to: Mac, verify_ip: bool, verify_tcp: bool) -> Option<Plain<'_>> {
    let header = frame.first_chunk::<V4_BYTES>()?;
    if !is_for(header, to) || u32_at(header, 12) & 0xffff_ff00 != 0x0800_4500 {
        return None;
    }
    // No fragment, and TCP.
    let word = u32_at(header, IP + 6);
    if word & 0x3fff_00ff != TCP as u32 {
        return None;
    }
    // From 1.0.0.0 up to where groups begin, without loopback. Two comparisons, not one pattern: that
    // would be worked out without a branch, in twice as many steps.
    if !matches!(header[IP + 12], 1..=223) || header[IP + 12] == 127 {
        return None;
    }
    let src = u32_at(header, IP + 12);
    if verify_ip && !Sum::of(&array_at::<V4_HEADER_BYTES, V4_BYTES>(header, IP)).is_good() {
        return None;
    }
    let packet = Packet {
        src: Addr::v4(src),
        dst: Addr::v4(u32_at(header, IP + 16)),
        protocol: TCP,
        hop_limit: header[IP + 8],
        traffic_class: header[IP + 1],
        header_bytes: V4_HEADER_BYTES as u16,
        payload_bytes: u16_at(header, IP + 2).wrapping_sub(V4_HEADER_BYTES as u16),
    };
    find_tcp(&frame[IP + V4_HEADER_BYTES..], packet, verify_tcp)
}

/// The half of [`find`] for IPv6.
#[inline(always)]
pub fn find_v6(frame: &[u8], to: Mac, verify_tcp: bool) -> Option<Plain<'_>> {
    let header = frame.first_chunk::<V6_BYTES>()?;
    if !is_for(header, to)
        || u32_at(header, 12) & 0xffff_f000 != 0x86dd_6000
        || header[IP + 6] != TCP
    {
        return None;
    }
    let src = Addr::v6(array_at(header, IP + 8));
    let dst = Addr::v6(array_at(header, IP + 24));
    // All that no packet may carry begins with 64 zeros, or is a group.
    if src.hi == 0 || dst.hi == 0 || src.hi >> 56 == 0xff {
        return None;
    }
    let packet = Packet {
        src,
        dst,
        protocol: TCP,
        hop_limit: header[IP + 7],
        traffic_class: (u16_at(header, IP) >> 4) as u8,
        header_bytes: V6_HEADER_BYTES as u16,
        payload_bytes: u16_at(header, IP + 4),
    };
    find_tcp(&frame[IP + V6_HEADER_BYTES..], packet, verify_tcp)
}

/// Whether a frame goes to station `to`.
#[inline(always)]
fn is_for<const N: usize>(header: &[u8; N], to: Mac) -> bool {
    let station = |from: &[u8; 6]| {
        let [a, b, c, d, e, f] = *from;
        (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]))
    };
    let (low, high) = station(&to.0);
    let (dst_low, dst_high) = station(&array_at(header, 0));
    (dst_low ^ low) | (dst_high ^ high) as u32 == 0
}

/// The segment at the start of `bytes`, which may end with padding. Inlined into both families, or
/// the packet would have to go through memory.
#[inline(always)]
fn find_tcp(bytes: &[u8], packet: Packet, verify: bool) -> Option<Plain<'_>> {
    let bytes = bytes.get(..packet.payload_bytes as usize)?;
    let (header, rest) = bytes.split_first_chunk::<{ tcp::HEADER_BYTES }>()?;
    let room = ((header[12] >> 4) as usize * 4).checked_sub(tcp::HEADER_BYTES)?;
    let option_bytes = rest.get(..room)?;
    if verify && !tcp::is_intact(bytes, packet.src, packet.dst) {
        return None;
    }
    let ports = u32_at(header, 0);
    let ports = ((ports >> 16) as u16, ports as u16);
    Some(Plain { packet, ports, header, option_bytes })
}

/// What all plain frames from one of our IPv4 addresses have in common, worked out once.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The first sixteen bytes of a frame, up to the traffic class, the station it goes to blank.
    words: [u64; 2],
    /// The address, and the sum of its halves.
    src: u32,
    sum: u32,
}

impl Sender {
    /// The sender at `mac` and `src`, an IPv4 address.
    pub const fn new(mac: Mac, src: Addr) -> Sender {
        let (mac, src) = (mac.word(), src.v4_number());
        let words = [mac << 48, mac >> 16 | ETHER_TYPE_AND_VERSION << 32];
        Sender { words, src, sum: halves(src) }
    }
}

/// The numbers of a plain IPv4 frame without TCP options but timestamps.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Station it goes to ([`Mac::word`]).
    pub to: u64,
    /// Where it comes from.
    pub sender: &'a Sender,
    /// Destination: an IPv4 address.
    pub dst: Addr,
    /// The TCP header.
    pub header: tcp::Header,
    /// The timestamps option.
    pub timestamps: Option<tcp::Timestamps>,
    /// Bytes of payload behind the header.
    pub payload_bytes: u16,
    /// The card inserts checksums: the IPv4 field is 0, the TCP field holds the sum of the
    /// pseudo-header. Otherwise the IPv4 field is computed, and the TCP field 0.
    pub checksums_by_card: bool,
}

/// Writes all headers of a plain IPv4 frame in one go, with one length check; returns the bytes of
/// the TCP header, or `None` where `frame` is shorter than the headers may be.
#[inline(always)]
pub fn emit_v4(frame: &mut [u8], outgoing: &Outgoing<'_>) -> Option<usize> {
    let frame = frame.first_chunk_mut::<V4_EMIT_BYTES>()?;
    let Some(timestamps) = outgoing.timestamps else {
        put_headers(frame, outgoing, tcp::HEADER_BYTES);
        return Some(tcp::HEADER_BYTES);
    };
    put_headers(frame, outgoing, tcp::TIMESTAMPS_HEADER_BYTES);
    put(frame, OPTIONS, tcp::options::TIMESTAMPS_WORD.to_be_bytes());
    put(frame, OPTIONS + 4, timestamps.value.to_be_bytes());
    put(frame, OPTIONS + 8, timestamps.echo.to_be_bytes());
    Some(tcp::TIMESTAMPS_HEADER_BYTES)
}

/// The same for a SYN, whose other options than timestamps are in `syn`.
#[inline(always)]
pub fn emit_syn_v4(frame: &mut [u8], outgoing: &Outgoing<'_>, syn: Syn) -> Option<usize> {
    let frame = frame.first_chunk_mut::<V4_EMIT_SYN_BYTES>()?;
    let mut bytes = tcp::HEADER_BYTES;
    tcp::options::lay_out_syn(syn, outgoing.timestamps, |word: u32| {
        put(frame, IP + V4_HEADER_BYTES + bytes, word.to_be_bytes());
        bytes += 4;
    });
    put_headers(frame, outgoing, bytes);
    Some(bytes)
}

/// Everything but TCP options, with the length of a TCP header of `l4_bytes`.
#[inline(always)]
fn put_headers<const N: usize>(frame: &mut [u8; N], outgoing: &Outgoing<'_>, l4_bytes: usize) {
    let length = l4_bytes as u16 + outgoing.payload_bytes;
    let total = length + V4_HEADER_BYTES as u16;
    let Sender { words, src, sum } = *outgoing.sender;
    let dst = outgoing.dst.v4_number();
    let addresses = sum + halves(dst);
    let (ip_checksum, tcp_checksum) = if outgoing.checksums_by_card {
        (0, fold(addresses + TCP as u32 + length as u32))
    } else {
        let fixed = 0x4500 + 0x4000 + ((HOP_LIMIT as u32) << 8 | TCP as u32);
        (!fold(fixed + total as u32 + addresses), 0)
    };
    put(frame, 0, (words[0] | outgoing.to).to_le_bytes());
    put(frame, 8, words[1].to_le_bytes());
    // Identification 0 (RFC 6864: atomic), don't fragment, hop limit, protocol.
    const REST: u64 = 0x4000 << 16 | (HOP_LIMIT as u64) << 8 | TCP as u64;
    put(frame, IP + 2, ((total as u64) << 48 | REST).to_be_bytes());
    put(frame, IP + 10, ip_checksum.to_be_bytes());
    put(frame, IP + 12, src.to_be_bytes());
    put(frame, IP + 16, dst.to_be_bytes());
    const L4: usize = IP + V4_HEADER_BYTES;
    let header = &outgoing.header;
    put(frame, L4, ((header.src_port as u32) << 16 | header.dst_port as u32).to_be_bytes());
    put(frame, L4 + 4, header.seq.0.to_be_bytes());
    put(frame, L4 + 8, header.ack.0.to_be_bytes());
    put(frame, L4 + 12, [(l4_bytes << 2) as u8, header.flags.0]);
    put(frame, L4 + 14, header.window.to_be_bytes());
    put(frame, L4 + 16, ((tcp_checksum as u32) << 16).to_be_bytes());
}

/// Folds a sum of less than 2^16 halves to one half.
#[inline]
const fn fold(sum: u32) -> u16 {
    let once = (sum >> 16) + (sum & 0xffff);
    ((once >> 16) + (once & 0xffff)) as u16
}

/// The sum of a word's halves.
#[inline]
const fn halves(word: u32) -> u32 {
    (word >> 16) + (word & 0xffff)
}

/// EtherType, version and header length, traffic class: as in the frame, the first byte in the lowest
/// place.
const ETHER_TYPE_AND_VERSION: u64 = 0x0045_0008;

/// Where the control bits stand in a TCP header.
const FLAGS_AT: usize = 13;
/// Where the IP header begins.
const IP: usize = ethernet::HEADER_BYTES;
/// Bytes that every plain IPv4 frame has.
const V4_BYTES: usize = IP + V4_HEADER_BYTES + tcp::HEADER_BYTES;
/// Where TCP options begin.
const OPTIONS: usize = IP + V4_HEADER_BYTES + tcp::HEADER_BYTES;
/// Bytes of the longest headers that [`emit_syn_v4`] writes.
const V4_EMIT_SYN_BYTES: usize = IP + V4_HEADER_BYTES + tcp::HEADER_BYTES_MAX;
/// Bytes of the longest headers that [`emit_v4`] writes.
const V4_EMIT_BYTES: usize = IP + V4_HEADER_BYTES + tcp::TIMESTAMPS_HEADER_BYTES;
/// Bytes that every plain IPv6 frame has.
const V6_BYTES: usize = IP + V6_HEADER_BYTES + tcp::HEADER_BYTES;

#[cfg(test)]
mod tests {
    //! The short way takes the frames it is for; that it agrees with the long way is part of every
    //! round trip of the fuzz entry.

    use super::*;
    use crate::samples;
    use std::vec::Vec;

    /// Looks at a frame that is for us, whoever that is.
    fn found(frame: &[u8], verify_ip: bool, verify_tcp: bool) -> Option<Plain<'_>> {
        let to = Mac(*frame.first_chunk()?);
        let other = Mac([to.0[0], to.0[1], to.0[2], to.0[3], to.0[4], !to.0[5]]);
        assert!(find(frame, other, verify_ip, verify_tcp).is_none(), "for another station");
        find(frame, to, verify_ip, verify_tcp)
    }

    #[test]
    fn segments_without_ip_options_go_the_short_way() {
        let taken: Vec<_> = samples::frames()
            .iter()
            .filter_map(|frame| found(frame, true, true))
            .map(|plain| plain.packet.src)
            .collect();
        let segments = samples::options().len();
        assert_eq!(taken.iter().filter(|src| **src == samples::A4).count(), segments);
        assert_eq!(taken.iter().filter(|src| **src == samples::A6).count(), segments);
    }

    #[test]
    fn a_bad_checksum_does_not_go_the_short_way() {
        for frame in samples::frames() {
            if found(&frame, true, true).is_none() {
                continue;
            }
            let mut frame = frame;
            let last = frame.len() - 1;
            frame[last] ^= 1;
            assert!(found(&frame, true, true).is_none());
            assert!(found(&frame, true, false).is_some());
            frame[last] ^= 1;
            if frame[12] == 0x08 {
                frame[IP + 8] ^= 1;
                assert!(found(&frame, true, true).is_none());
                assert!(found(&frame, false, true).is_some());
            }
        }
    }

    /// A glance tells SYNs of both families from everything else.
    #[test]
    fn a_glance_tells_a_syn() {
        let mut segment = Segment::default();
        let mut seen = [0, 0];
        for frame in samples::frames() {
            if let Some(plain) = found(&frame, true, true) {
                plain.read(&mut segment);
                let syn = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK);
                assert_eq!(looks_like_syn(&frame), syn && !segment.flags.has(Flags::RST));
                seen[syn as usize] += 1;
            }
        }
        assert!(seen[0] > 0, "{seen:?}");
        assert!(!looks_like_syn(&[0; 60]) && !looks_like_syn(&[]));
    }

    /// Whatever its numbers, the short way writes what the long way writes.
    #[test]
    fn writing_agrees_with_the_long_way() {
        use crate::{ethernet, ip};
        let (to, from) = (Mac([1, 2, 3, 4, 5, 6]), Mac([7, 8, 9, 10, 11, 12]));
        let (src, dst) = (Addr::v4(0x0a00_ff01), Addr::v4(0xc0a8_fffe));
        for round in 0..64u32 {
            let header = tcp::Header {
                src_port: 80 + round as u16,
                dst_port: 0xfff0 | round as u16,
                seq: crate::SeqNum(round.wrapping_mul(0x0123_4567)),
                ack: crate::SeqNum(round.wrapping_mul(0xfedc_ba98)),
                flags: tcp::Flags(round as u8 & 0x1f),
                window: round as u16 * 999,
            };
            let stamps = tcp::Timestamps { value: round << 20, echo: !round };
            let timestamps = (round % 2 == 1).then_some(stamps);
            let by_card = round % 4 < 2;
            let payload_bytes = round as u16 * 22;
            let sender = Sender::new(from, src);
            let outgoing = Outgoing {
                to: to.word(),
                sender: &sender,
                dst,
                header,
                timestamps,
                payload_bytes,
                checksums_by_card: by_card,
            };
            let (mut short, mut long) = ([0xaa; 100], [0xaa; 100]);
            let syn = Syn {
                mss: (round % 5 > 0) as u16 * 1460,
                window_scale: (round % 3 > 0).then_some(7),
                sack_permitted: round % 7 > 2,
            };
            let (l4_bytes, options) = if header.flags.has(tcp::Flags::SYN) {
                (emit_syn_v4(&mut short, &outgoing, syn), syn.options(timestamps))
            } else {
                let options = tcp::Options { timestamps, ..tcp::Options::default() };
                (emit_v4(&mut short, &outgoing), options)
            };
            let l4_bytes = l4_bytes.expect("room");
            ethernet::emit(&mut long, to, from, ethernet::IPV4);
            assert_eq!(tcp::header_bytes(header.flags, &options), l4_bytes);
            let length = l4_bytes as u16 + payload_bytes;
            let numbers = ip::HeaderV4 {
                src,
                dst,
                protocol: TCP,
                payload_bytes: length,
                hop_limit: HOP_LIMIT,
                traffic_class: 0,
                identification: 0,
                dont_fragment: true,
                checksum: !by_card,
            };
            ip::emit_v4(&mut long[14..], &numbers);
            tcp::emit(&mut long[34..], &header, &options);
            if by_card {
                tcp::fill_partial_checksum(&mut long[34..], src, dst, length);
            }
            let bytes = 34 + l4_bytes;
            assert_eq!(short[..bytes], long[..bytes], "round {round}");
        }
    }
}
