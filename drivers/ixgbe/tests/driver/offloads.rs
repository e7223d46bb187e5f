//! Proves the transmit offloads on the wire: checksums, segmentation, and contexts that are written
//! when the card has another and not otherwise.

use penstock_ixgbe::Config;
use penstock_ixgbe_regs as regs;
use penstock_nic82599::Reset;
use penstock_queue::{Checksums, L4, Lent, Offload, QueuePair};

use crate::frames::{send_parts, tcp_headers};
use crate::machine::{Machine, pair, rss, settle};

fn config() -> Config {
    Config::new(1, rss(1))
}

fn offload(v6: bool, segment_bytes: u16) -> Offload {
    Offload {
        mac_bytes: 14,
        ip_bytes: if v6 { 40 } else { 20 },
        l4_bytes: 20,
        ip_checksum: !v6,
        l4_checksum: L4::Tcp,
        segment_bytes,
    }
}

/// Sends a small segment, and whether it arrives with good checksums and its bytes.
fn arrives_good(
    [first, second]: &mut [Machine; 2],
    advance: impl Fn(),
    v6: bool,
    text: &[u8],
) -> bool {
    let frame = [tcp_headers(v6, 80, text.len(), false), text.to_vec()].concat();
    first.queues[0].reclaim(&mut first.chunks[0]);
    assert!(send_parts(&mut first.queues[0], &mut first.chunks[0], &frame, &[], offload(v6, 0)));
    first.queues[0].flush();
    advance();
    let queue = &mut second.queues[0];
    if queue.recv(32) != 1 {
        return false;
    }
    let frame = queue.frame(0);
    let good = frame.checksums == Checksums::Good && frame.bytes.ends_with(text);
    queue.recycle();
    queue.flush();
    good
}

#[test]
fn checksums_are_inserted_also_after_a_reset() {
    let (world, mut machines) = pair(config());
    let advance = || world.borrow_mut().advance(10);
    for _ in 0..3 {
        for v6 in [false, false, true, true, false] {
            let text = [b'x'; 100];
            assert!(arrives_good(&mut machines, advance, v6, &text), "v6: {v6}");
        }
        // The card forgets its contexts, and nothing else is sent that would bring them back.
        world.borrow_mut().sides[0].card.reset(Reset::Software);
        settle(&world, &mut machines);
    }
}

#[test]
fn a_context_is_written_once_for_many_frames() {
    let (world, mut machines) = pair(config());
    let tail = || world.borrow_mut().sides[0].card.read32(regs::TDT.at(0).0);
    let advance = || world.borrow_mut().advance(10);
    for _ in 0..10 {
        assert!(arrives_good(
            &mut machines,
            advance,
            false,
            b"text of a frame that needs no padding"
        ));
    }
    assert_eq!(tail(), 11, "ten frames and a context");
    let [first, _] = &mut machines;
    let frame = [tcp_headers(false, 80, 1994, true), vec![7; 1994]].concat();
    // A segmented frame has a context of its own and leaves that of the others where it is.
    let (queue, chunks) = (&mut first.queues[0], &mut first.chunks[0]);
    assert!(send_parts(queue, chunks, &frame, &[], offload(false, 1000)));
    queue.flush();
    advance();
    machines[1].recv(0);
    assert!(arrives_good(&mut machines, advance, false, b"text of a frame that needs no padding"));
    assert_eq!(tail(), 11 + 2 + 1);
}

#[test]
fn lent_payload_is_cut_into_segments() {
    for v6 in [false, true] {
        let (world, [mut first, mut second]) = pair(config());
        let (queue, chunks) = (&mut first.queues[0], &mut first.chunks[0]);
        let ids = [0, 1].map(|_| chunks.alloc().expect("free"));
        for id in ids {
            let bytes = chunks.bytes_mut(id).iter_mut().enumerate();
            bytes.for_each(|(at, byte)| *byte = (at * 13 / 5) as u8);
        }
        let lent = ids.map(|chunk| Lent { chunk, from: 5, len: 1700 });
        let head = tcp_headers(v6, 80, 3400, true);
        assert!(send_parts(queue, chunks, &head, &lent, offload(v6, 1400)));
        queue.flush();
        world.borrow_mut().advance(10);
        let payload = lent.map(|range| chunks.range(range).to_vec()).concat();
        let queue = &mut second.queues[0];
        assert_eq!(queue.recv(32), 3);
        for (index, part) in payload.chunks(1400).enumerate() {
            let frame = queue.frame(index);
            assert_eq!(frame.checksums, Checksums::Good);
            assert_eq!(&frame.bytes[head.len()..], part);
            let l4 = head.len() - 20;
            let sequence = 1 + 1400 * index as u32;
            assert_eq!(frame.bytes[l4 + 4..l4 + 8], sequence.to_be_bytes());
            let pushed = frame.bytes[l4 + 13] & 8 != 0;
            assert_eq!(pushed, index == 2, "PSH is the last segment's");
        }
        queue.recycle();
        assert_eq!(world.borrow().losses(0), []);
    }
}
