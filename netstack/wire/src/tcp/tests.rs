//! Segments survive writing and reading; options follow the RFCs and Linux's layout; hostile lengths
//! cost the options, never more.

use super::*;
use crate::samples::{self, A4, A6, B4, B6};
use proptest::prelude::*;
use std::vec::Vec;

fn parsed(bytes: &[u8]) -> Result<Segment, Malformed> {
    parse(bytes, A4, B4, false)
}

/// A header of the right data offset around these option bytes.
fn with_options(flags: Flags, option_bytes: &[u8]) -> Vec<u8> {
    assert_eq!(option_bytes.len() % 4, 0);
    let mut bytes = std::vec![0; HEADER_BYTES];
    emit(&mut bytes, &Header { flags: Flags::ACK, ..samples::header(flags) }, &Options::default());
    bytes[12] = (((HEADER_BYTES + option_bytes.len()) / 4) as u8) << 4;
    bytes[13] = flags.0;
    bytes.extend(option_bytes);
    bytes
}

fn options(flags: Flags, option_bytes: &[u8]) -> Options {
    parsed(&with_options(flags, option_bytes)).expect("a segment").options
}

#[test]
fn every_layout_survives_the_round_trip() {
    for (src, dst) in [(A4, B4), (A6, B6)] {
        for (flags, options) in samples::options() {
            let bytes = samples::segment(src, dst, flags, &options, b"payload");
            let segment = parse(&bytes, src, dst, true).expect("a segment");
            assert_eq!(segment.options, options);
            assert_eq!(segment.flags, flags);
            assert_eq!((segment.src_port, segment.dst_port), (49152, 80));
            assert_eq!((segment.seq, segment.ack), (SeqNum(0x1122_3344), SeqNum(0x5566_7788)));
            assert_eq!(segment.window, 0xfedc);
            assert_eq!(segment.payload_bytes, 7);
            assert_eq!(segment.header_bytes as usize, header_bytes(flags, &options));
        }
    }
}

#[test]
fn options_are_laid_out_as_linux_does() {
    let written = |flags, options: &Options| {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let length = emit(&mut bytes, &samples::header(flags), options);
        bytes[HEADER_BYTES..length].to_vec()
    };
    let syn = samples::syn();
    assert_eq!(
        written(Flags::SYN, &syn),
        [2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7]
    );
    let syn = Options { timestamps: None, ..syn };
    assert_eq!(written(Flags::SYN, &syn), [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7]);
    let timestamps = Some(Timestamps { value: 1, echo: 2 });
    let data = Options { timestamps, sack: samples::sack(1), ..Options::default() };
    assert_eq!(
        written(Flags::ACK, &data),
        [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 3, 232]
    );
}

#[test]
fn a_fourth_sack_block_gives_way_to_timestamps() {
    let timestamps = Some(Timestamps { value: 1, echo: 2 });
    let wished = Options { timestamps, sack: samples::sack(4), ..Options::default() };
    let bytes = samples::segment(A4, B4, Flags::ACK, &wished, b"");
    assert_eq!(bytes.len(), HEADER_BYTES_MAX);
    assert_eq!(parsed(&bytes).expect("a segment").options.sack, samples::sack(3));
    let wished = Options { sack: SackBlocks { count: 255, ..samples::sack(4) }, ..wished };
    assert_eq!(samples::segment(A4, B4, Flags::ACK, &wished, b"").len(), HEADER_BYTES_MAX);
}

#[test]
fn options_of_a_syn_count_on_a_syn_only() {
    let bytes = [2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 4, 2];
    let syn = options(Flags::SYN, &bytes);
    assert_eq!((syn.mss, syn.window_scale, syn.sack_permitted), (1460, Some(7), true));
    assert_eq!(options(Flags::ACK, &bytes), Options::default());
    let sack = [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    assert_eq!(options(Flags::ACK, &sack).sack.count, 1);
    assert_eq!(options(Flags::SYN, &sack).sack.count, 0);
}

#[test]
fn unknown_options_are_skipped() {
    //= rfc9293#3.1
    //= type=test
    //# A TCP implementation MUST (MUST-6) ignore without error any TCP Option it does not implement,
    //# assuming that the option has a length field.
    assert_eq!(options(Flags::SYN, &[253, 4, 1, 1, 2, 4, 5, 180]).mss, 1460);
    assert_eq!(options(Flags::SYN, &[28, 2, 34, 2, 2, 4, 5, 180]).mss, 1460);
}

#[test]
fn illegal_lengths_end_the_options_and_keep_the_segment() {
    //= rfc9293#3.1
    //= type=test
    //# TCP implementations MUST be prepared to handle an illegal option length (e.g., zero)
    for bad in [[253, 0, 1, 1], [253, 1, 1, 1], [253, 41, 1, 1], [253, 255, 1, 1]] {
        let after = [&[2, 4, 5, 180], &bad[..], &[1, 3, 3, 7]].concat();
        let read = options(Flags::SYN, &after);
        assert_eq!((read.mss, read.window_scale), (1460, None));
    }
    // A kind in the very last byte has no length.
    assert_eq!(options(Flags::SYN, &[1, 1, 1, 2]), Options::default());
    // The end of options is one.
    assert_eq!(options(Flags::SYN, &[0, 0, 0, 0, 2, 4, 5, 180]), Options::default());
}

#[test]
fn known_options_of_a_foreign_length_are_not_believed() {
    for bytes in [
        &[2, 3, 5, 1][..],
        &[2, 5, 5, 180, 0, 1, 1, 1],
        &[3, 2, 1, 1],
        &[3, 4, 7, 7],
        &[4, 3, 1, 1],
        &[8, 9, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1],
        &[8, 2, 1, 1],
    ] {
        assert_eq!(options(Flags::SYN, bytes), Options::default(), "{bytes:?}");
    }
    for bytes in [&[5, 2, 1, 1][..], &[5, 9, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1]] {
        assert_eq!(options(Flags::ACK, bytes), Options::default(), "{bytes:?}");
    }
}

#[test]
fn timestamps_are_found_in_any_layout() {
    let expected = Some(Timestamps { value: 1, echo: 2 });
    let stamp = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    for bytes in [[&[1, 1], &stamp[..]].concat(), [&stamp[..], &[0, 0]].concat()] {
        assert_eq!(options(Flags::ACK, &bytes).timestamps, expected);
    }
}

#[test]
fn lengths_that_cannot_be_have_names() {
    let whole = samples::segment(A4, B4, Flags::SYN, &samples::syn(), b"");
    for length in 0..HEADER_BYTES {
        assert_eq!(parsed(&whole[..length]), Err(Malformed::TcpShort));
    }
    for length in HEADER_BYTES..whole.len() {
        assert_eq!(parsed(&whole[..length]), Err(Malformed::TcpOffset));
    }
    for words in 0..5 {
        let mut bytes = whole.clone();
        bytes[12] = words << 4;
        assert_eq!(parsed(&bytes), Err(Malformed::TcpOffset));
    }
    assert_eq!(parsed(&std::vec![0x50; 65536]), Err(Malformed::TcpShort));
}

#[test]
fn room_that_is_too_small_is_left_alone() {
    for (flags, options) in samples::options() {
        let length = header_bytes(flags, &options);
        let mut room = std::vec![0xaa; length - 1];
        assert_eq!(emit(&mut room, &samples::header(flags), &options), 0);
        assert!(room.iter().all(|byte| *byte == 0xaa));
    }
}

#[test]
fn a_segment_read_into_forgets_the_one_before() {
    let first = samples::segment(A4, B4, Flags::SYN, &samples::syn(), b"");
    let sacks = Options { sack: samples::sack(4), ..Options::default() };
    let second = samples::segment(A4, B4, Flags::ACK, &sacks, b"");
    let third = samples::segment(A4, B4, Flags::ACK, &Options::default(), b"");
    let mut segment = Segment::default();
    for bytes in [&first, &second, &third] {
        assert_eq!(parse_into(&mut segment, bytes, A4, B4, true), Ok(()));
        assert_eq!(Ok(segment), parsed(bytes));
    }
}

#[test]
fn a_sum_in_pieces_fills_the_same_checksum() {
    let whole = samples::segment(A6, B6, Flags::ACK, &Options::default(), b"an odd length");
    for cut in HEADER_BYTES..=whole.len() {
        let mut bytes = whole.clone();
        bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].fill(0);
        let (near, far) = bytes.split_at_mut(cut);
        fill_checksum(near, A6, B6, Sum::of(far), far.len() as u16);
        assert_eq!(bytes, whole, "cut at {cut}");
    }
}

#[test]
fn a_card_completes_the_partial_checksum() {
    let whole = samples::segment(A4, B4, Flags::ACK, &Options::default(), b"payload");
    let mut bytes = whole.clone();
    fill_partial_checksum(&mut bytes, A4, B4, whole.len() as u16);
    // What the card does: sum from the header on, the field's content included.
    let sum = Sum::of(&bytes).checksum();
    bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(bytes, whole);
}

#[test]
fn smoltcp_reads_what_we_write() {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{IpAddress, TcpPacket, TcpRepr};
    for (src, dst) in [(A4, B4), (A6, B6)] {
        let (from, to) = (core::net::IpAddr::from(src), core::net::IpAddr::from(dst));
        for (flags, options) in samples::options() {
            let bytes = samples::segment(src, dst, flags, &options, b"payload");
            let packet = TcpPacket::new_checked(&bytes[..]).expect("a packet");
            let checksums = ChecksumCapabilities::default();
            let repr =
                TcpRepr::parse(&packet, &IpAddress::from(from), &IpAddress::from(to), &checksums)
                    .expect("a segment with a good checksum");
            assert_eq!(repr.max_seg_size.unwrap_or(0), options.mss);
            assert_eq!(repr.window_scale, options.window_scale);
            assert_eq!(repr.sack_permitted, options.sack_permitted);
            let stamps = repr.timestamp.map(|stamp| (stamp.tsval, stamp.tsecr));
            assert_eq!(stamps, options.timestamps.map(|stamp| (stamp.value, stamp.echo)));
            assert_eq!(repr.payload, b"payload");
        }
    }
}

proptest! {
    #[test]
    fn any_damage_to_a_checked_segment_is_noticed(at in 0usize..27, bit in 0u8..8) {
        let mut bytes = samples::segment(A4, B4, Flags::ACK, &Options::default(), b"payload");
        bytes[at] ^= 1 << bit;
        // A damaged offset may be refused under its own name.
        prop_assert!(parse(&bytes, A4, B4, true).is_err());
    }

    #[test]
    fn any_option_bytes_leave_the_segment_whole(
        words in proptest::collection::vec(any::<u32>(), 0..=10),
        flags in any::<u8>(),
    ) {
        let option_bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let segment = parsed(&with_options(Flags(flags), &option_bytes)).expect("a segment");
        prop_assert_eq!(segment.seq, SeqNum(0x1122_3344));
        prop_assert_eq!(segment.payload_bytes, 0);
    }
}
