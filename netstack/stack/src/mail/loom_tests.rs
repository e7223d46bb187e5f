//! Every order in which two cores can see each other's stores, exhausted by loom: a message is never
//! seen before it is whole, and its words are never overwritten before they were read.
//!
//! loom does not let a load see a store that comes later in its own run, so it would not notice a
//! tail published without release; that one rests on the reasoning in [`super`].
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p penstock-stack --release mail`

use super::{FRAME_BYTES_MAX, Message, Refused, published, ring};
use crate::rfd::Cores;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering, fence};
use loom::thread;
use penstock_queue::Checksums;
use penstock_wire::Addr;

fn path_mtu(number: u16) -> Message<'static> {
    let remote = Addr { hi: u64::from(number), lo: u64::from(number) };
    Message::PathMtu { interface: 1, remote, mtu: number }
}

/// A ring of one message's size: each lap overwrites the words of the one before.
#[test]
fn words_are_not_overwritten_before_they_are_read() {
    const COUNT: u16 = 3;
    loom::model(|| {
        let (mut sender, mut receiver) = ring(4);
        let writer = thread::spawn(move || {
            for number in 1..=COUNT {
                while sender.send(&path_mtu(number)) == Err(Refused::Full) {
                    thread::yield_now();
                }
            }
        });
        let mut buffer = [0; FRAME_BYTES_MAX];
        for number in 1..=COUNT {
            loop {
                if let Some(message) = receiver.receive(&mut buffer) {
                    assert_eq!(message, path_mtu(number));
                    break;
                }
                thread::yield_now();
            }
        }
        assert_eq!(receiver.receive(&mut buffer), None);
        writer.join().expect("the writer");
    });
}

/// Messages of different lengths across the end of the ring, the receiver looking at any moment.
#[test]
fn a_message_is_whole_or_not_there() {
    loom::model(|| {
        let (mut sender, mut receiver) = ring(4);
        let frame = Message::Frame { interface: 2, checksums: Checksums::Good, bytes: &[7; 16] };
        let writer = thread::spawn(move || {
            assert_eq!(sender.send(&Message::Stop), Ok(()));
            while sender.send(&frame) == Err(Refused::Full) {
                thread::yield_now();
            }
            sender.send(&path_mtu(9))
        });
        let mut buffer = [0; FRAME_BYTES_MAX];
        let mut expected = [Message::Stop, frame].into_iter();
        let mut next = expected.next();
        while let Some(message) = next {
            match receiver.receive(&mut buffer) {
                Some(received) => {
                    assert_eq!(received, message);
                    next = expected.next();
                }
                None => thread::yield_now(),
            }
        }
        let last = writer.join().expect("the writer");
        let received = receiver.receive(&mut buffer);
        assert_eq!(received, last.is_ok().then(|| path_mtu(9)), "accepted means delivered");
    });
}

/// A counter's reader sees values that were shown, never going back.
#[test]
fn published_counters_only_grow() {
    loom::model(|| {
        let (mut publishers, board) = published(Cores::new(1).expect("one core"), 1);
        let writer = thread::spawn(move || {
            for value in 1..=2 {
                publishers[0].store(0, value);
            }
        });
        let first = board.load(0, 0);
        let second = board.load(0, 0);
        assert!(first <= second && second <= 2);
        writer.join().expect("the writer");
        assert_eq!(board.total(0), 2);
    });
}

/// The handshake that [`take_mailed`](super::Post::take_mailed) describes: a core that falls asleep
/// over mail is woken for it.
#[test]
fn nobody_sleeps_over_mail() {
    loom::model(|| {
        let (mut sender, mut receiver) = ring(4);
        let asleep = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&asleep);
        let waker = thread::spawn(move || {
            sender.send(&Message::Stop).expect("there is room");
            fence(Ordering::SeqCst);
            seen.load(Ordering::Relaxed)
        });
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let sleeps = !receiver.has_mail();
        let is_woken = waker.join().expect("the waker");
        assert!(!sleeps || is_woken);
    });
}
