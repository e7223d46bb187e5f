//! Proves the header rules of segmentation and the sums, judged by the receive parser, and that no
//! context upsets the engine.
use super::*;
use crate::packet::{Packet, Protocol};
use proptest::prelude::*;

const MASKS: FlagMasks = FlagMasks { first: 0xFF6, middle: 0xFF6, last: 0xF7F };
const TSO: Offloads = Offloads { ip: true, l4: true, segment: None };

fn context(ipv4: bool, l4: u32, segment_bytes: usize) -> Context {
    Context {
        mac_bytes: 14,
        ip_bytes: if ipv4 { 20 } else { 40 },
        l4_bytes: if l4 == tx_types::L4T_TCP { 20 } else { 8 },
        segment_bytes,
        vlan: 0,
        ipv4,
        l4,
    }
}

/// Headers with the pseudo-header sum in place (without length when `segmenting`), and a payload.
fn gathered(ipv4: bool, l4: u32, payload: usize, segmenting: bool) -> Vec<u8> {
    let context = context(ipv4, l4, 0);
    let mut frame = vec![0; 12];
    let l4_length = context.l4_bytes + payload;
    let protocol = if l4 == tx_types::L4T_TCP { 6 } else { 17 };
    if ipv4 {
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend(((20 + l4_length) as u16).to_be_bytes());
        frame.extend([0xFF, 0xFE, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    } else {
        frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
        frame.extend((l4_length as u16).to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend([0x20; 32]);
    }
    let addresses = frame[frame.len() - if ipv4 { 8 } else { 32 }..].to_vec();
    let (source, destination) = addresses.split_at(addresses.len() / 2);
    let length = if segmenting { 0 } else { l4_length };
    let pseudo = checksum::fold(checksum::pseudo(source, destination, protocol, length));
    let at = frame.len();
    frame.resize(at + context.l4_bytes, 0);
    frame[at..at + 4].copy_from_slice(&[0, 80, 0x80, 1]);
    if l4 == tx_types::L4T_TCP {
        // Sequence number about to wrap; FIN, PSH, ACK and CWR.
        frame[at + 4..at + 8].copy_from_slice(&0xFFFF_FF00u32.to_be_bytes());
        frame[at + 12..at + 14].copy_from_slice(&0x5099u16.to_be_bytes());
        frame[at + 16..at + 18].copy_from_slice(&pseudo.to_be_bytes());
    } else {
        frame[at + 4..at + 6].copy_from_slice(&(l4_length as u16).to_be_bytes());
        frame[at + 6..at + 8].copy_from_slice(&pseudo.to_be_bytes());
    }
    frame.extend((0..payload).map(|byte| byte as u8));
    frame
}

fn run(frame: &mut [u8], offloads: Offloads, context: &Context) -> Result<Vec<Vec<u8>>, Loss> {
    let mut frames = Vec::new();
    apply(frame, offloads, context, MASKS, |frame| frames.push(frame.to_vec()))?;
    Ok(frames)
}

#[test]
fn segments_carry_the_bytes_in_order_with_right_headers() {
    for (ipv4, payload) in [(true, 2500), (false, 2500), (true, 1000), (false, 1)] {
        let context = context(ipv4, tx_types::L4T_TCP, 1000);
        let mut frame = gathered(ipv4, tx_types::L4T_TCP, payload, true);
        let header = frame.len() - payload;
        let sent = frame[header..].to_vec();
        let offloads = Offloads { segment: Some(payload), ..TSO };
        let frames = run(&mut frame, offloads, &context).expect("valid");
        assert_eq!(frames.len(), payload.div_ceil(1000));
        assert_eq!(
            frames.iter().flat_map(|frame| &frame[header..]).copied().collect::<Vec<_>>(),
            sent
        );
        for (index, frame) in frames.iter().enumerate() {
            let packet = Packet::parse(frame, 0x8100);
            let ip = packet.ip.expect("IP");
            assert_eq!(ip.sum_good, ipv4.then_some(true));
            assert_eq!(ip.id, if ipv4 { 0xFFFEu16.wrapping_add(index as u16) } else { 0 });
            let tcp = packet.transport.expect("TCP");
            assert_eq!(
                (tcp.protocol, tcp.sum_good),
                (Protocol::Tcp, Some(true)),
                "segment {index}"
            );
            let at = header - 20;
            let sequence =
                u32::from_be_bytes([frame[at + 4], frame[at + 5], frame[at + 6], frame[at + 7]]);
            assert_eq!(sequence, 0xFFFF_FF00u32.wrapping_add(index as u32 * 1000));
            // FIN and PSH only on the last, CWR only before it: as measured on a real card.
            let last = index + 1 == frames.len();
            assert_eq!(frame[at + 13], if last { 0x19 } else { 0x90 }, "segment {index}");
        }
    }
}

#[test]
fn datagrams_are_cut_into_datagrams() {
    let context = context(true, tx_types::L4T_UDP, 400);
    let mut frame = gathered(true, tx_types::L4T_UDP, 900, true);
    let frames = run(&mut frame, Offloads { segment: Some(900), ..TSO }, &context).expect("valid");
    let lengths: Vec<_> = frames.iter().map(|frame| word(frame, 38)).collect();
    assert_eq!(lengths, [Some(408), Some(408), Some(108)]);
    for frame in &frames {
        let udp = Packet::parse(frame, 0x8100).transport.expect("UDP");
        assert_eq!(udp.sum_good, Some(true));
    }
}

#[test]
fn sums_are_inserted_where_asked() {
    for ipv4 in [true, false] {
        for l4 in [tx_types::L4T_TCP, tx_types::L4T_UDP] {
            let mut frame = gathered(ipv4, l4, 77, false);
            let frames = run(&mut frame, TSO, &context(ipv4, l4, 0)).expect("valid");
            let packet = Packet::parse(&frames[0], 0x8100);
            assert_eq!(packet.ip.expect("IP").sum_good, ipv4.then_some(true));
            assert_eq!(packet.transport.expect("TCP or UDP").sum_good, Some(true));
        }
    }
    let mut frame = gathered(true, tx_types::L4T_TCP, 9, false);
    let before = frame.clone();
    assert_eq!(run(&mut frame, Offloads::default(), &Context::default()), Ok(vec![before]));
}

#[test]
fn contradictions_are_refused() {
    let context = context(true, tx_types::L4T_TCP, 100);
    let tso = |payload| Offloads { segment: Some(payload), ..TSO };
    let mut frame = gathered(true, tx_types::L4T_TCP, 500, true);
    assert_eq!(run(&mut frame, tso(501), &context), Err(Loss::BadContext));
    assert_eq!(
        run(&mut frame, tso(500), &Context { segment_bytes: 0, ..context }),
        Err(Loss::BadContext)
    );
    assert_eq!(run(&mut frame, tso(500), &Context { l4: 3, ..context }), Err(Loss::BadContext));
    assert_eq!(
        run(&mut frame, TSO, &Context { ip_bytes: 511, mac_bytes: 127, ..context }),
        Err(Loss::BadContext)
    );
    let mut frame = gathered(true, tx_types::L4T_TCP, 5000, true);
    assert_eq!(
        run(&mut frame, tso(5000), &Context { segment_bytes: 1, ..context }),
        Err(Loss::TooManySegments)
    );
}

proptest! {
    #[test]
    fn any_context_is_survived(
        words in any::<[u32; 4]>(),
        mut frame in proptest::collection::vec(any::<u8>(), 0..600),
        ip in any::<bool>(), l4 in any::<bool>(),
        segment in proptest::option::of(0usize..700),
    ) {
        let context = Context::new(words);
        let _ = run(&mut frame, Offloads { ip, l4, segment }, &context);
        let exact = frame.len().saturating_sub(context.l4_at() + context.l4_bytes);
        let _ = run(&mut frame, Offloads { ip, l4, segment: Some(exact) }, &context);
    }
}
