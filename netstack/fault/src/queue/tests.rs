//! Each fault happens about as often as it is asked for, nothing else happens, what is damaged is
//! found by its checksum, and a scrambled flow arrives at one core, in order.

use super::*;
use penstock_queue::MemoryQueue;
use penstock_stack::{mail, rfd};
use penstock_wire::{Mac, checksum, tcp};
use std::vec;

fn wrap(faults: Faults) -> FaultyQueue<MemoryQueue> {
    let post = posts(1).remove(0);
    FaultyQueue::new(MemoryQueue::new(1500), (faults, Steer::Card), (0, 1), post)
}

fn posts(cores: u16) -> Vec<Post> {
    mail::network(rfd::Cores::new(cores).expect("a machine"), 64)
}

/// A whole TCP segment from port `port` that carries its number.
fn segment(port: u16, number: u32) -> Vec<u8> {
    let (src, dst) = (Addr::v4(0x0a00_0001), Addr::v4(0x0a00_0002));
    let mut frame = vec![0; 14 + 20 + 20 + 4];
    ethernet::emit(&mut frame, Mac([2; 6]), Mac([4; 6]), ethernet::IPV4);
    let header = ip::HeaderV4 { src, dst, protocol: ip::TCP, payload_bytes: 24, ..HEADER };
    ip::emit_v4(&mut frame[14..], &header);
    frame[34..36].copy_from_slice(&port.to_be_bytes());
    frame[36..38].copy_from_slice(&80_u16.to_be_bytes());
    frame[38..42].copy_from_slice(&number.to_be_bytes());
    frame[46] = 5 << 4;
    frame[54..].copy_from_slice(&number.to_be_bytes());
    let sum = checksum::pseudo_header(src, dst, ip::TCP, 24).add_bytes(&frame[34..]);
    let checksum = sum.checksum().to_be_bytes();
    frame[50..52].copy_from_slice(&checksum);
    frame
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame[38..].first_chunk().expect("whole"))
}

/// All that arrives of `count` frames fed one by one.
fn arrivals(queue: &mut FaultyQueue<MemoryQueue>, count: u32) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    for at in 0..count + QUIET_LOOKS {
        if at < count {
            queue.inner.feed(segment(1000, at));
        }
        let burst = queue.recv(BURST_MAX);
        (0..burst).for_each(|index| seen.push(queue.frame(index).bytes.to_vec()));
        queue.recycle();
    }
    assert!(!queue.has_waiting(), "a quiet line keeps nothing");
    seen
}

fn is_intact(frame: &[u8]) -> bool {
    let Ok(packet) = ip::parse_v4(&frame[14..], true) else { return false };
    tcp::parse(packet.payload(&frame[14..]), packet.src, packet.dst, true).is_ok()
}

#[test]
fn without_faults_it_is_the_queue_inside() {
    let seen = arrivals(&mut wrap(Faults { seed: 9, ..Faults::NONE }), 100);
    assert!(seen.iter().enumerate().all(|(at, frame)| number(frame) == at as u32));
    assert_eq!(seen.len(), 100);
}

#[test]
fn frames_are_lost() {
    let mut queue = wrap(Faults { loss_ppm: 200_000, ..Faults::NONE });
    let seen = arrivals(&mut queue, 1000);
    assert_eq!(seen.len() as u64 + queue.tally().lost, 1000);
    assert!((150..250).contains(&queue.tally().lost));
}

#[test]
fn frames_are_overtaken_and_none_is_missing() {
    let mut queue = wrap(Faults { reorder_ppm: 200_000, ..Faults::NONE });
    let mut numbers: Vec<u32> =
        arrivals(&mut queue, 1000).iter().map(|frame| number(frame)).collect();
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..1000));
    assert!((150..250).contains(&queue.tally().reordered));
}

#[test]
fn frames_are_repeated() {
    let mut queue = wrap(Faults { duplicate_ppm: 200_000, ..Faults::NONE });
    let seen = arrivals(&mut queue, 1000).len() as u64;
    assert_eq!(seen, 1000 + queue.tally().duplicated);
    assert!((150..250).contains(&queue.tally().duplicated));
}

#[test]
fn damage_is_found_by_checksums() {
    let mut queue = wrap(Faults { corrupt_ppm: 200_000, ..Faults::NONE });
    let seen = arrivals(&mut queue, 1000);
    let bad = seen.iter().filter(|frame| !is_intact(frame)).count() as u64;
    assert_eq!((seen.len(), bad), (1000, queue.tally().corrupted));
    assert!((150..250).contains(&bad));
}

#[test]
fn the_same_happens_again() {
    let faults = Faults { loss_ppm: 100_000, reorder_ppm: 100_000, seed: 5, ..Faults::NONE };
    let first = arrivals(&mut wrap(faults), 500);
    assert_eq!(first, arrivals(&mut wrap(faults), 500));
    assert_ne!(first, arrivals(&mut wrap(Faults { seed: 6, ..faults }), 500));
}

#[test]
fn what_is_sent_suffers_too() {
    let share = 100_000;
    let faults = Faults {
        loss_ppm: share,
        reorder_ppm: share,
        corrupt_ppm: share,
        duplicate_ppm: share,
        seed: 1,
    };
    let mut queue = wrap(faults);
    assert_eq!(queue.capabilities().lent_max, 0);
    let mut chunks = Chunks::new(1);
    let chunk = chunks.alloc().expect("one is free");
    for at in 0..1000 {
        let frame = segment(1000, at);
        chunks.bytes_mut(chunk)[..4].copy_from_slice(&frame[54..]);
        queue.slot().expect("memory")[..54].copy_from_slice(&frame[..54]);
        queue.send(54, &[Lent { chunk, from: 0, len: 4 }], Offload::NONE, &mut chunks);
        queue.reclaim(&mut chunks);
    }
    (0..QUIET_LOOKS).for_each(|_| queue.reclaim(&mut chunks));
    queue.flush();
    let sent = queue.inner.take();
    let Tally { lost, corrupted, reordered, duplicated, .. } = queue.tally();
    assert_eq!(sent.len() as u64, 1000 - lost + duplicated);
    let bad = sent.iter().filter(|frame| !is_intact(frame)).count() as u64;
    assert!(bad >= corrupted && bad <= corrupted + duplicated, "{bad} {corrupted}");
    assert!([lost, corrupted, reordered, duplicated].iter().all(|&count| count > 50));
    assert_eq!(chunks.lent(chunk), 0);
}

#[test]
fn a_flow_has_one_core_that_only_the_seed_knows() {
    let faults = Faults { seed: 3, ..Faults::NONE };
    let mut queues: Vec<_> = (0..)
        .zip(posts(2))
        .map(|(core, post)| {
            let inner = MemoryQueue::new(1500);
            FaultyQueue::new(inner, (faults, Steer::Scramble), (core, 2), post)
        })
        .collect();
    let mut at_core = [[false; 2]; 100];
    for round in 0..4 {
        for port in 0..100 {
            // The card alternates; the wrapper does not care.
            queues[(port as usize + round) % 2].inner.feed(segment(port, round as u32));
        }
        for core in [0, 1, 0, 1, 0, 1, 0, 1] {
            let burst = queues[core].recv(BURST_MAX);
            for index in 0..burst {
                let frame = queues[core].frame(index).bytes;
                at_core[u16::from_be_bytes([frame[34], frame[35]]) as usize][core] = true;
            }
            queues[core].recycle();
        }
    }
    assert!(at_core.iter().all(|cores| cores[0] != cores[1]), "one core for each flow");
    let at_first = at_core.iter().filter(|cores| cores[0]).count();
    assert!((30..70).contains(&at_first), "{at_first} of 100 flows at the first core");
    assert!(queues.iter().all(|queue| queue.tally().misdelivered > 60));
    assert!(queues[0].take_mailed() == 2 && queues[0].take_mailed() == 0);
}

const QUIET_LOOKS: u32 = 200;
const HEADER: ip::HeaderV4 = ip::HeaderV4 {
    src: Addr::UNSPECIFIED,
    dst: Addr::UNSPECIFIED,
    protocol: ip::TCP,
    hop_limit: 64,
    traffic_class: 0,
    payload_bytes: 0,
    identification: 0,
    dont_fragment: true,
    checksum: true,
};
