//! Proves the rings: order, wrap, gather, jumbo frames, reports where they belong, and that nothing
//! stays lent.

use penstock_ixgbe::Config;
use penstock_ixgbe_regs as regs;
use penstock_queue::{CHUNK_BYTES, Lent, Offload, QueuePair};

use crate::frames::{numbered, send, send_parts};
use crate::machine::{Machine, pair, rss};

fn config() -> Config {
    Config::new(1, rss(1))
}

#[test]
fn forty_thousand_frames_arrive_in_order_and_whole() {
    let (world, [mut first, mut second]) = pair(config());
    let (mut sent, mut received) = (0u32, 0u32);
    while received < 40_000 {
        first.queues[0].reclaim(&mut first.chunks[0]);
        while sent < 40_000 {
            let frame = numbered(sent, 60 + sent as usize % 1455);
            if !send(&mut first.queues[0], &mut first.chunks[0], &frame) {
                break;
            }
            sent += 1;
            // Now and then a doorbell in the middle, so that reports come in every distance.
            if sent % 37 == 0 {
                first.queues[0].flush();
            }
        }
        first.queues[0].flush();
        world.borrow_mut().advance(10);
        for frame in second.recv(0) {
            assert_eq!(frame, numbered(received, 60 + received as usize % 1455));
            received += 1;
        }
    }
    assert_eq!(world.borrow().losses(0), []);
    assert_eq!(world.borrow().losses(1), []);
}

/// The doorbell of each ring is written at most once a turn, whatever the turn did.
#[test]
fn one_tail_write_per_turn() {
    let (world, [mut first, mut second]) = pair(config());
    for turn in 0..100u32 {
        for number in 0..20 {
            let frame = numbered(turn * 20 + number, 60);
            assert!(send(&mut first.queues[0], &mut first.chunks[0], &frame));
        }
        world.borrow_mut().sides[0].trace = Some(Vec::new());
        first.queues[0].flush();
        let trace = world.borrow_mut().sides[0].trace.take().expect("traced");
        assert_eq!(trace.len(), 1);
        assert_eq!(trace[0].0, regs::TDT.at(0).0);
        world.borrow_mut().advance(10);
        world.borrow_mut().sides[1].trace = Some(Vec::new());
        let queue = &mut second.queues[0];
        assert_eq!(queue.recv(32), 20);
        queue.recycle();
        queue.flush();
        let trace = world.borrow_mut().sides[1].trace.take().expect("traced");
        assert!(trace.len() <= 1 && trace.iter().all(|&(at, _)| at == regs::RDT.at(0).0));
        first.queues[0].reclaim(&mut first.chunks[0]);
    }
}

#[test]
fn lent_ranges_are_gathered_and_come_back() {
    let (world, [mut first, mut second]) = pair(Config { mtu: 9000, ..config() });
    let (queue, chunks) = (&mut first.queues[0], &mut first.chunks[0]);
    let ids: Vec<_> = (0..4).map(|_| chunks.alloc().expect("free")).collect();
    for (number, &id) in ids.iter().enumerate() {
        for (at, byte) in chunks.bytes_mut(id).iter_mut().enumerate() {
            *byte = (at * 7 + number) as u8;
        }
    }
    for round in 0..500usize {
        let lent: Vec<Lent> = ids[..1 + round % 4]
            .iter()
            .map(|&chunk| Lent { chunk, from: (round % 100) as u16, len: 1500 })
            .collect();
        let head = numbered(round as u32, 54);
        queue.reclaim(chunks);
        assert!(send_parts(queue, chunks, &head, &lent, Offload::NONE));
        queue.flush();
        world.borrow_mut().advance(10);
        let mut expected = head;
        lent.iter().for_each(|&range| expected.extend_from_slice(chunks.range(range)));
        assert_eq!(second.recv(0), [expected]);
    }
    ids.iter().for_each(|&id| chunks.free(id));
    assert!(chunks.dying_count() > 0, "the last frame is not reclaimed yet");
    queue.reclaim(chunks);
    assert_eq!((chunks.free_count(), chunks.dying_count()), (64, 0));
    assert!(ids.len() * CHUNK_BYTES > 0 && world.borrow().losses(1).is_empty());
}

/// A card that is slow to report keeps what it was lent, and no more than the ring holds.
#[test]
fn late_write_back_holds_slots_and_chunks() {
    let (world, [mut first, _]) = pair(config());
    let faults = penstock_nic82599::Faults { late_write_back_us: 500, ..Default::default() };
    world.borrow_mut().sides[0].card.set_faults(faults);
    let (queue, chunks) = (&mut first.queues[0], &mut first.chunks[0]);
    let chunk = chunks.alloc().expect("free");
    let lent = [Lent { chunk, from: 0, len: 1000 }];
    let mut sent = 0;
    while send_parts(queue, chunks, &numbered(sent, 54), &lent, Offload::NONE) {
        sent += 1;
    }
    assert_eq!(sent, (512 - 1 - 42) / 2 + 1, "two descriptors each, until 42 are not free");
    assert_eq!(queue.slots(), 0);
    queue.flush();
    chunks.free(chunk);
    world.borrow_mut().advance(0);
    world.borrow_mut().advance(499);
    queue.reclaim(chunks);
    assert_eq!((chunks.dying_count(), queue.slots()), (1, 0));
    world.borrow_mut().advance(1);
    queue.reclaim(chunks);
    assert_eq!((chunks.dying_count(), chunks.free_count()), (0, 64));
    assert_eq!(queue.slots(), 511 / 42);
}

#[test]
fn jumbo_frames_come_in_parts() {
    let (world, [mut first, mut second]) = pair(Config { mtu: 9000, ..config() });
    for (round, length) in
        [2047, 2048, 2049, 4096, 4097, 9014, 60].into_iter().cycle().take(300).enumerate()
    {
        let frame = numbered(round as u32, length);
        world.borrow_mut().cable.put(0, &frame);
        world.borrow_mut().advance(10);
        assert_eq!(second.recv(0), [frame]);
        first.queues[0].flush();
    }
    world.borrow_mut().cable.put(0, &numbered(0, 9019));
    world.borrow_mut().advance(10);
    assert_eq!(second.recv(0).len(), 0, "longer than the MTU allows");
}

/// Rings of the smallest size, and one burst after the other without a turn between.
#[test]
fn a_ring_that_is_not_emptied_drops_its_own_frames_only() {
    let config = Config { receive_ring: 128, ..Config::new(2, rss(2)) };
    let (world, [_, mut second]) = pair(config);
    assert!(!second.queues[0].crowded());
    for number in 0..200 {
        world.borrow_mut().cable.put(0, &numbered(number, 60));
    }
    world.borrow_mut().advance(10);
    assert!(second.queues[0].crowded());
    let frames = second.recv(0);
    assert_eq!(frames.len(), 127);
    assert_eq!(frames[126], numbered(126, 60));
    let lost: u64 = world.borrow().losses(1).iter().map(|&(_, count)| count).sum();
    assert_eq!(lost, 73);
    world.borrow_mut().cable.put(0, &numbered(7, 60));
    world.borrow_mut().advance(10);
    assert_eq!(second.recv(0), [numbered(7, 60)]);
}

#[test]
fn what_is_counted_has_linux_names() {
    let (world, [mut first, mut second]) = pair(config());
    for number in 0..5 {
        assert!(send(&mut first.queues[0], &mut first.chunks[0], &numbered(number, 100)));
    }
    first.queues[0].flush();
    world.borrow_mut().advance(10);
    assert_eq!(second.recv(0).len(), 5);
    let value = |machine: &mut Machine, wanted: &str| {
        let mut found = Vec::new();
        machine.nic.statistics(|name, value| {
            if name.to_string() == wanted {
                found.push(value);
            }
        });
        assert_eq!(found.len(), 1, "{wanted}");
        found[0]
    };
    for (name, expected) in [
        ("rx_packets", 5),
        ("rx_bytes", 500),
        ("rx_queue_0_packets", 5),
        ("rx_queue_0_bytes", 500),
        ("rx_pkts_nic", 5),
        ("rx_bytes_nic", 520),
        ("rx_missed_errors", 0),
        ("tx_packets", 0),
    ] {
        assert_eq!(value(&mut second, name), expected, "{name}");
    }
    for (name, expected) in [("tx_packets", 5), ("tx_queue_0_bytes", 500), ("tx_pkts_nic", 5)] {
        assert_eq!(value(&mut first, name), expected, "{name}");
    }
    assert_eq!(value(&mut second, "rx_pkts_nic"), 5, "the sum stays although the card forgets");
}
