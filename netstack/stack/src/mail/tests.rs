//! Mail between cores that one thread polls, and between two real threads. What only a memory model
//! can show is in `loom_tests`.

use super::{
    FRAME_BYTES_MAX, MESSAGE_WORDS_MAX, Message, NETWORK_BYTES_MAX, Refused, TOLD_WORDS_MAX, Words,
    network, published, ring,
};
use crate::rfd::Cores;
use alloc::vec;
use alloc::vec::Vec;
use penstock_queue::Checksums;
use penstock_wire::{Addr, Mac};
use proptest::prelude::*;
use std::collections::VecDeque;

const NEIGHBOUR: Message<'_> = Message::Neighbour {
    interface: 3,
    addr: Addr { hi: 0xfe80 << 48, lo: 7 },
    mac: Mac([2, 3, 4, 5, 6, 7]),
};

fn world(count: u16) -> Cores {
    Cores::new(count).expect("a count of cores")
}

fn frame(bytes: &[u8]) -> Message<'_> {
    Message::Frame { interface: 255, checksums: Checksums::L4Bad, bytes }
}

fn told(words: &[u64]) -> Message<'static> {
    Message::Told(Words::new(words).expect("few words"))
}

/// Every kind of message arrives as it was sent, at the core it was sent to.
#[test]
fn messages_arrive_as_they_were_sent() {
    let bytes: Vec<u8> = (0..FRAME_BYTES_MAX).map(|at| at as u8).collect();
    let messages = [
        Message::Stop,
        NEIGHBOUR,
        Message::PathMtu { interface: 1, remote: Addr::v4(9), mtu: u16::MAX },
        Message::Listening { addr: None, port: 80, interface: None, listens: true },
        Message::Listening { addr: None, port: 80, interface: Some(15), listens: true },
        Message::Listening {
            addr: Some(Addr::v4(1)),
            port: u16::MAX,
            interface: None,
            listens: false,
        },
        frame(&bytes),
        frame(&bytes[..61]),
        frame(&[]),
        told(&[]),
        told(&[u64::MAX, 0, 1]),
        told(&[7; TOLD_WORDS_MAX]),
    ];
    let mut posts = network(world(3), 5);
    let mut buffer = [0; FRAME_BYTES_MAX];
    for message in &messages {
        assert_eq!(posts[0].send(2, message), Ok(()));
        assert_eq!(posts[1].receive(&mut buffer), None);
        assert_eq!(posts[2].receive(&mut buffer), Some((0, *message)));
        assert_eq!(posts[2].receive(&mut buffer), None);
    }
    assert_eq!(posts[0].send_frame(1, 255, Checksums::L4Bad, &bytes), Ok(()));
    assert_eq!(posts[1].receive(&mut buffer), Some((0, frame(&bytes))));
}

#[test]
fn checksum_verdicts_cross_unchanged() {
    use Checksums::{Good, IpBad, IpGood, L4Bad, Unverified};
    let mut posts = network(world(2), 1);
    let mut buffer = [0; FRAME_BYTES_MAX];
    for checksums in [Unverified, IpGood, Good, IpBad, L4Bad] {
        let message = Message::Frame { interface: 0, checksums, bytes: &[1] };
        assert_eq!(posts[1].send(0, &message), Ok(()));
        assert_eq!(posts[0].receive(&mut buffer), Some((1, message)));
    }
}

/// What cannot be sent is refused by name, and a refusal leaves the ring as it was.
#[test]
fn refusals_have_names() {
    let mut posts = network(world(2), 1);
    let mut buffer = [0; FRAME_BYTES_MAX];
    let bytes_max = posts[0].frame_bytes_max();
    assert!((2048..FRAME_BYTES_MAX).contains(&bytes_max), "a short ring carries short frames");
    let long = vec![0; bytes_max + 1];
    assert_eq!(posts[0].send(0, &Message::Stop), Err(Refused::NoSuchCore));
    assert_eq!(posts[0].send(2, &Message::Stop), Err(Refused::NoSuchCore));
    assert_eq!(posts[0].send(1, &frame(&long)), Err(Refused::TooLong));
    let longest = frame(&long[..bytes_max]);
    let mut sent = 0;
    while posts[0].send(1, &longest).is_ok() {
        sent += 1;
    }
    assert!(sent >= 1, "no room for one frame");
    assert_eq!(posts[0].send(1, &longest), Err(Refused::Full));
    for _ in 0..sent {
        assert_eq!(posts[1].receive(&mut buffer), Some((0, longest)));
    }
    assert_eq!(posts[1].receive(&mut buffer), None);
    assert_eq!(posts[0].send(1, &longest), Ok(()), "room again");
}

/// A broadcast reaches all others; whoever is behind is counted, and holds up nobody else.
#[test]
fn a_broadcast_reaches_all_others() {
    let mut posts = network(world(5), 1);
    let mut buffer = [0; FRAME_BYTES_MAX];
    assert_eq!(posts[2].broadcast(&NEIGHBOUR), 0);
    for (core, post) in posts.iter_mut().enumerate() {
        let expected = (core != 2).then_some((2, NEIGHBOUR));
        assert_eq!(post.receive(&mut buffer), expected, "core {core}");
    }
    while posts[2].send(4, &Message::Stop).is_ok() {}
    assert_eq!(posts[2].broadcast(&NEIGHBOUR), 1);
    assert_eq!(posts[0].receive(&mut buffer), Some((2, NEIGHBOUR)));
}

/// Senders are heard in turn, however much one of them says.
#[test]
fn no_sender_is_starved() {
    let mut posts = network(world(3), 4);
    let mut buffer = [0; FRAME_BYTES_MAX];
    for _ in 0..20 {
        assert_eq!(posts[0].send(2, &Message::Stop), Ok(()));
    }
    assert_eq!(posts[1].send(2, &NEIGHBOUR), Ok(()));
    let first: Vec<bool> =
        (0..2).map(|_| posts[2].receive(&mut buffer) == Some((1, NEIGHBOUR))).collect();
    assert!(first.contains(&true), "core 1 was not heard in the first two messages");
}

/// However many cores there are and whatever is asked for, the rings stay within their bound and
/// each holds at least one of the longest frames.
#[test]
fn the_network_is_bounded() {
    for (cores, frames) in [(1, 1), (2, 0), (2, 100_000), (128, 0), (128, 1_000)] {
        let posts = network(world(cores), frames);
        let rings = posts.iter().flat_map(|post| post.outgoing.iter().flatten());
        let words: Vec<usize> = rings.map(|sender| sender.ring.words.len()).collect();
        assert!(words.iter().sum::<usize>() * 8 <= NETWORK_BYTES_MAX);
        assert!(words.iter().all(|&words| words >= MESSAGE_WORDS_MAX));
        assert_eq!(words.len(), cores as usize * (cores as usize - 1));
    }
    let asked_for = &network(world(2), 16)[0].outgoing;
    let words = asked_for.iter().flatten().map(|sender| sender.ring.words.len());
    assert!(words.min().is_some_and(|words| words >= 16 * MESSAGE_WORDS_MAX));
}

/// Two threads, a small ring: a hundred thousand messages arrive complete and in order.
#[test]
fn two_threads_agree() {
    const COUNT: u64 = 100_000;
    let (mut sender, mut receiver) = ring(64);
    let writer = std::thread::spawn(move || {
        for number in 0..COUNT {
            let bytes = number.to_le_bytes();
            let size = 1 + (number % 100) as usize;
            let body: Vec<u8> = (0..size).map(|at| bytes[at % 8]).collect();
            while sender.send(&frame(&body)) == Err(Refused::Full) {
                std::thread::yield_now();
            }
        }
    });
    let mut buffer = [0; FRAME_BYTES_MAX];
    for number in 0..COUNT {
        let bytes = number.to_le_bytes();
        loop {
            match receiver.receive(&mut buffer) {
                Some(Message::Frame { bytes: body, .. }) => {
                    assert_eq!(body.len(), 1 + (number % 100) as usize);
                    assert!(body.iter().enumerate().all(|(at, &byte)| byte == bytes[at % 8]));
                    break;
                }
                Some(other) => panic!("{other:?}"),
                None => std::thread::yield_now(),
            }
        }
    }
    writer.join().expect("the writer");
}

/// Each core's counters are its own, whatever line they fall in, and unknown ones read 0.
#[test]
fn counters_are_published_by_core() {
    let (mut publishers, board) = published(world(3), 40);
    for (core, publisher) in (0..).zip(&mut publishers) {
        for counter in 0..40 {
            publisher.store(counter, 1000 * core + counter as u64);
        }
        publisher.store(1 << 20, 1);
    }
    for core in 0..3 {
        for counter in 0..40 {
            assert_eq!(board.load(core, counter), 1000 * u64::from(core) + counter as u64);
        }
    }
    assert_eq!(board.total(5), 3015);
    assert_eq!((board.load(3, 0), board.load(0, 1 << 20), board.total(1 << 20)), (0, 0, 0));
}

proptest! {
    /// A ring is a queue: what was accepted comes out, in order and unchanged, over many laps.
    #[test]
    fn a_ring_is_a_queue(steps in prop::collection::vec((0..6_u8, prop::collection::vec(any::<u8>(), 0..150)), 1..300)) {
        let (mut sender, mut receiver) = ring(64);
        let mut model: VecDeque<Option<Vec<u8>>> = VecDeque::new();
        let mut words = 0;
        let mut buffer = [0; FRAME_BYTES_MAX];
        for (step, bytes) in steps {
            match step {
                0..3 => {
                    let needed = 1 + bytes.len().div_ceil(8);
                    let sent = sender.send(&frame(&bytes));
                    prop_assert_eq!(sent.is_ok(), words + needed <= 64, "{} words used", words);
                    if sent.is_ok() {
                        words += needed;
                        model.push_back(Some(bytes));
                    }
                }
                3 => {
                    if sender.send(&NEIGHBOUR).is_ok() {
                        words += 4;
                        model.push_back(None);
                    }
                }
                _ => {
                    let received = receiver.receive(&mut buffer);
                    match model.pop_front() {
                        None => prop_assert_eq!(received, None),
                        Some(None) => {
                            prop_assert_eq!(received, Some(NEIGHBOUR));
                            words -= 4;
                        }
                        Some(Some(bytes)) => {
                            prop_assert_eq!(received, Some(frame(&bytes)));
                            words -= 1 + bytes.len().div_ceil(8);
                        }
                    }
                }
            }
        }
    }
}
