//! Proves that no card upsets the driver: descriptors that say what no card writes, done bits where
//! none belong, registers that read all ones. What is refused is counted, and the queue comes back.

use std::cell::RefCell;
use std::rc::Rc;

use penstock_hw::BusAddr;
use penstock_ixgbe::{Config, Reason};
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::RegArray;
use penstock_ixgbe_regs::descriptor::{packet_type, rss_type, rx_status};
use penstock_queue::{Checksums, Lent, Offload, QueuePair};
use proptest::prelude::*;

use crate::frames::{numbered, send, send_parts};
use crate::machine::{Machine, World, bring_up, pair, rss, settle, until};

fn config() -> Config {
    Config { receive_ring: 128, transmit_ring: 128, ..Config::new(1, rss(1)) }
}

/// Where a ring lies, as the card was told.
fn ring(world: &Rc<RefCell<World>>, side: usize, low: RegArray, high: RegArray) -> u64 {
    let card = &mut world.borrow_mut().sides[side].card;
    u64::from(card.read32(high.at(0).0)) << 32 | u64::from(card.read32(low.at(0).0))
}

/// The card writes the words of receive descriptor `index` of machine 1; false if it knows no ring.
fn write_received(world: &Rc<RefCell<World>>, index: u32, words: [u32; 4]) -> bool {
    let at = ring(world, 1, regs::RDBAL, regs::RDBAH) + u64::from(index % 128) * 16;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    world.borrow().sides[1].memory.write(BusAddr(at), &bytes).is_ok()
}

const DONE: u32 = rx_status::DD | rx_status::EOP;

/// A frame gets through from machine 0 to machine 1.
fn works(world: &Rc<RefCell<World>>, [first, second]: &mut [Machine; 2]) -> bool {
    let frame = numbered(4711, 100);
    send(&mut first.queues[0], &mut first.chunks[0], &frame);
    first.queues[0].flush();
    world.borrow_mut().advance(10);
    second.recv(0) == [frame]
}

#[test]
fn impossible_lengths_are_refused_and_the_card_is_reset() {
    for (status, bytes) in
        [(DONE, 0), (DONE, 2049), (DONE, 0xFFFF), (rx_status::DD, 100), (DONE, 0x8000)]
    {
        let (world, mut machines) = pair(config());
        write_received(&world, 0, [0, 0, status, bytes]);
        // One that is right behind one that is not.
        write_received(&world, 1, [0, 0, DONE, 60]);
        let second = &mut machines[1];
        assert_eq!(second.queues[0].recv(32), 1);
        assert_eq!(second.queues[0].frame(0).bytes.len(), 60);
        second.queues[0].recycle();
        until(&world, &mut machines, 200, |[_, second]| {
            second
                .reports
                .iter()
                .any(|report| report.reset == Some(Reason::Descriptor { queue: 0 }))
        });
        settle(&world, &mut machines);
        assert!(works(&world, &mut machines), "{status:#x} {bytes}");
    }
}

#[test]
fn a_frame_without_an_end_is_given_up() {
    let (world, mut machines) = pair(config());
    for index in 0..127 {
        write_received(&world, index, [0, 0, rx_status::DD, 2048]);
    }
    let second = &mut machines[1];
    assert_eq!(second.queues[0].recv(32), 0);
    second.queues[0].recycle();
    settle(&world, &mut machines);
    assert!(works(&world, &mut machines));
}

#[test]
fn a_frame_whose_end_is_still_to_come_waits() {
    let (world, mut machines) = pair(Config { mtu: 9000, ..config() });
    write_received(&world, 0, [0, 0, rx_status::DD, 2048]);
    let queue = &mut machines[1].queues[0];
    assert_eq!(queue.recv(32), 0);
    queue.recycle();
    write_received(&world, 1, [0, 0, DONE, 7]);
    assert_eq!(queue.recv(32), 1);
    assert_eq!(
        (queue.frame(0).bytes.len(), queue.frame(0).parts, queue.part(0, 1).len()),
        (2048, 1, 7)
    );
    queue.recycle();
}

#[test]
fn done_bits_out_of_order_are_not_believed() {
    let (world, mut machines) = pair(config());
    for index in [1, 5, 64, 127] {
        write_received(&world, index, [0, 0, DONE, 60]);
    }
    assert_eq!(machines[1].queues[0].recv(32), 0);
    machines[1].queues[0].recycle();
    // Only when the first is done are the next looked at.
    write_received(&world, 0, [0, 0, DONE, 60]);
    assert_eq!(machines[1].queues[0].recv(32), 2);
    machines[1].queues[0].recycle();
    // The one that is never given is never looked at, done or not.
    for index in 2..128 {
        write_received(&world, index, [0, 0, DONE, 60]);
    }
    let queue = &mut machines[1].queues[0];
    let mut total = 0;
    for _ in 0..5 {
        total += queue.recv(32);
        // Not flushed: the card gets none back.
        queue.recycle();
    }
    assert_eq!(total, 125, "127 were given, two were taken before");
}

/// A card that reports what it has not been told of is not believed before the doorbell.
#[test]
fn reports_before_their_doorbell_are_not_believed() {
    let (world, mut machines) = pair(config());
    let base = ring(&world, 0, regs::TDBAL, regs::TDBAH);
    let [first, _] = &mut machines;
    let (queue, chunks) = (&mut first.queues[0], &mut first.chunks[0]);
    // One that the card reports as it should, and behind it more that it does not know yet.
    assert!(send(queue, chunks, &numbered(0, 60)));
    queue.flush();
    world.borrow_mut().advance(10);
    for number in 1..80 {
        assert!(send(queue, chunks, &numbered(number, 60)));
    }
    // The 32nd of them asks for a report; its last word becomes "done".
    let at = BusAddr(base + 32 * 16 + 12);
    world.borrow().sides[0].memory.write(at, &[1, 0, 0, 0]).expect("a ring is the card's");
    queue.reclaim(chunks);
    assert_eq!(queue.slots(), 1, "127 less 79 are free, of which a frame may want 42");
    queue.flush();
    world.borrow_mut().advance(10);
    queue.reclaim(chunks);
    assert_eq!(queue.slots(), 3, "all are free");
    machines[1].recv(0);
    assert!(works(&world, &mut machines));
}

/// The head moves on, but no descriptor says so.
#[test]
fn a_ring_that_lost_step_is_reset() {
    let (world, mut machines) = pair(config());
    assert!(works(&world, &mut machines));
    world.borrow_mut().sides[1].stuck = Some((regs::RDH.at(0), !0, 9));
    until(&world, &mut machines, 3_000, |[_, second]| !second.reports.is_empty());
    let hang = Reason::ReceiveHang { queue: 0 };
    assert_eq!(machines[1].reports[0].reset, Some(hang));
    world.borrow_mut().sides[1].stuck = None;
    settle(&world, &mut machines);
    assert!(works(&world, &mut machines));
}

/// A quiet port is no broken one.
#[test]
fn silence_is_no_hang() {
    let (world, mut machines) = pair(config());
    assert!(works(&world, &mut machines));
    for _ in 0..30 {
        settle(&world, &mut machines);
    }
    assert!(machines.iter().all(|machine| machine.reports.is_empty()), "six seconds");
}

/// A frame that came after the last turn of its core, and before the card was looked at, whenever that is.
#[test]
fn a_frame_that_its_core_has_not_seen_yet_is_no_hang() {
    let (world, mut machines) = pair(config());
    for looks in 1..60 {
        for look in 0..=looks {
            world.borrow_mut().advance(50_000);
            let now_us = world.borrow().now_us;
            let [_, second] = &mut machines;
            second.recv(0);
            if look == looks {
                world.borrow_mut().cable.put(0, &numbered(look, 60));
                world.borrow_mut().advance(10);
            }
            assert_eq!(second.nic.poll(now_us).reset, None, "after {looks} looks without a frame");
        }
        let [_, second] = &mut machines;
        assert_eq!(second.recv(0).len(), 1);
    }
}

#[test]
fn verdicts_are_what_the_descriptor_says() {
    let (world, mut machines) = pair(config());
    let ip = rx_status::IPCS;
    let both = ip | rx_status::L4I;
    let (v4, v6) = (packet_type::IPV4, packet_type::IPV6);
    let (tcp, udp) = (packet_type::TCP, packet_type::UDP);
    let cases = [
        (0, 0, Checksums::Unverified),
        (v4, ip, Checksums::IpGood),
        (v4 | tcp, both, Checksums::Good),
        (v4 | udp, both, Checksums::Good),
        (v6, 0, Checksums::IpGood),
        (v6 | tcp, rx_status::L4I, Checksums::Good),
        (v4 | tcp, both | rx_status::IPE, Checksums::IpBad),
        (v4 | tcp, both | rx_status::TCPE, Checksums::L4Bad),
        (v6 | udp, rx_status::L4I | rx_status::TCPE, Checksums::L4Bad),
        // The card says so of an IPv4 datagram without a checksum: the stack looks for itself.
        (v4 | udp, both | rx_status::TCPE, Checksums::IpGood),
        (v4 | udp, both | rx_status::TCPE | rx_status::IPE, Checksums::IpBad),
    ];
    for (index, &(types, status, _)) in cases.iter().enumerate() {
        write_received(&world, index as u32, [types, 0, status | DONE, 60]);
    }
    let queue = &mut machines[1].queues[0];
    assert_eq!(queue.recv(32), cases.len());
    for (index, &(types, status, expected)) in cases.iter().enumerate() {
        assert_eq!(queue.frame(index).checksums, expected, "{types:#x} {status:#x}");
    }
    queue.recycle();
    for (at, (kind, expected)) in [
        (rss_type::NONE, None),
        (rss_type::TCP_IPV4, Some(7)),
        (rss_type::IPV6, Some(7)),
        (rss_type::FLOW_DIRECTOR, None),
    ]
    .into_iter()
    .enumerate()
    {
        write_received(&world, (cases.len() + at) as u32, [kind, 7, DONE, 60]);
        assert_eq!(queue.recv(1), 1);
        assert_eq!(queue.frame(0).hash, expected);
        queue.recycle();
    }
}

/// A card that answers every read with noise: whatever happens, it happens within bounds.
#[test]
fn noise_is_survived() {
    for seed in 0..40 {
        let world = World::new();
        world.borrow_mut().sides[0].noise = Some(seed);
        let _ = bring_up(&world, 0, config());
        assert!(world.borrow().now_us < 30_000_000, "seed {seed}");
    }
    let (world, mut machines) = pair(config());
    for seed in 0..5 {
        world.borrow_mut().sides[1].noise = Some(seed);
        settle(&world, &mut machines);
        machines[1].nic.statistics(|_, _| ());
        world.borrow_mut().sides[1].noise = None;
        for _ in 0..10 {
            settle(&world, &mut machines);
            machines[1].recv(0);
        }
        assert!(machines[1].nic.is_running(), "{:?}", machines[1].reports);
        assert!(works(&world, &mut machines));
    }
}

/// What a card may do to a queue in one moment.
#[derive(Clone, Debug)]
enum Whim {
    /// Write any words to a receive descriptor.
    Receive(u32, [u32; 4]),
    /// Write any word into the last word of a transmit descriptor.
    Transmit(u32, u32),
    /// Leave the bus, or return.
    Gone(bool),
    /// Reset itself.
    Reset,
    /// Behave.
    Frames(u32),
}

fn whims() -> impl Strategy<Value = Vec<Whim>> {
    let words = prop_oneof![
        any::<[u32; 4]>(),
        (any::<u32>(), 0u32..4, 0u32..4096)
            .prop_map(|(types, status, bytes)| [types, 0, status, bytes]),
    ];
    let whim = prop_oneof![
        6 => (0u32..128, words).prop_map(|(index, words)| Whim::Receive(index, words)),
        4 => (0u32..128, any::<u32>()).prop_map(|(index, word)| Whim::Transmit(index, word)),
        1 => any::<bool>().prop_map(Whim::Gone),
        1 => Just(Whim::Reset),
        6 => (1u32..60).prop_map(Whim::Frames),
    ];
    proptest::collection::vec(whim, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn any_card_is_survived_and_gives_everything_back(whims in whims()) {
        let (world, mut machines) = pair(config());
        let chunk = machines[0].chunks[0].alloc().expect("free");
        let lent = [Lent { chunk, from: 3, len: 900 }];
        for whim in whims {
            match whim {
                Whim::Receive(index, words) => {
                    write_received(&world, index, words);
                }
                Whim::Transmit(index, word) => {
                    let base = ring(&world, 0, regs::TDBAL, regs::TDBAH);
                    let at = BusAddr(base + u64::from(index) * 16 + 12);
                    // A card that forgot the ring has nowhere to write.
                    let _ = world.borrow().sides[0].memory.write(at, &word.to_le_bytes());
                }
                Whim::Gone(gone) => world.borrow_mut().sides[1].gone = gone,
                Whim::Reset => {
                    let kind = penstock_nic82599::Reset::Function;
                    world.borrow_mut().sides[0].card.reset(kind);
                }
                Whim::Frames(count) => {
                    let [first, second] = &mut machines;
                    for number in 0..count {
                        let (queue, chunks) = (&mut first.queues[0], &mut first.chunks[0]);
                        let lent = if number % 3 == 0 { &lent[..] } else { &[] };
                        send_parts(queue, chunks, &numbered(number, 60), lent, Offload::NONE);
                    }
                    first.queues[0].flush();
                    world.borrow_mut().advance(10);
                    prop_assert!(second.recv(0).iter().all(|frame| frame.len() <= 8 * 2048));
                }
            }
            world.borrow_mut().advance(7_000);
            let now_us = world.borrow().now_us;
            machines.iter_mut().for_each(|machine| machine.turn(now_us));
        }
        // The card comes to its senses; whatever is left of its lies ends with a reset.
        for side in &mut world.borrow_mut().sides {
            side.gone = false;
            side.card.reset(penstock_nic82599::Reset::Function);
        }
        for _ in 0..10 {
            settle(&world, &mut machines);
            machines[1].recv(0);
        }
        prop_assert!(machines.iter().all(|machine| machine.nic.is_running()));
        prop_assert!(works(&world, &mut machines));
        let (queue, chunks) = (&mut machines[0].queues[0], &mut machines[0].chunks[0]);
        queue.reclaim(chunks);
        chunks.free(chunk);
        prop_assert_eq!((chunks.free_count(), chunks.dying_count()), (64, 0));
    }
}
