//! What crosses between cores: words with one writer each, and nothing else.
//!
//! ```text
//!   Nic (one core) ──epoch──▶ every queue      "the card was reset: arm your rings again"
//!   queue ──Published──▶ Nic                    armed, still alive, how far, what was counted
//! ```
//! The card is reset by whoever holds the [`Nic`](crate::Nic), without asking the queues: a card
//! that was reset has forgotten every ring, so what a queue still writes to its registers has no
//! effect, and the ring's memory stays the queue's. The queue sees the new epoch at the beginning of
//! its next turn, takes back what was in flight, and arms its rings again.

use alloc::boxed::Box;

#[cfg(not(loom))]
use alloc::sync::Arc;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::Arc;
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The epoch, and a line of words for each queue.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    words: Arc<Words>,
}

#[derive(Debug)]
struct Words {
    epoch: AtomicU32,
    queues: Box<[Line]>,
}

/// What one queue publishes, apart from every other queue's cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line {
    armed: AtomicU32,
    failed: AtomicU32,
    turns: AtomicU32,
    received: AtomicU32,
    sent: AtomicU32,
    done: AtomicU32,
    impossible: AtomicU32,
    counts: [AtomicU64; Count::ALL.len()],
}

/// What a queue tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// Changes with every turn: the core is alive.
    pub(crate) turns: u32,
    /// Receive descriptors taken since the rings were armed.
    pub(crate) received: u32,
    /// Transmit descriptors that the card was told of since then.
    pub(crate) sent: u32,
    /// Those of them that it has done.
    pub(crate) done: u32,
    /// Descriptors that no card writes.
    pub(crate) impossible: u32,
}

macro_rules! counts {
    ($($name:ident $text:literal;)+) => {
        /// What a queue counts by itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Count { $(#[doc = $text] $name,)+ }

        impl Count {
            pub(crate) const ALL: &'static [Count] = &[$(Count::$name,)+];
        }
    };
}

counts! {
    ReceivedPackets "Frames received.";
    ReceivedBytes "Their bytes.";
    SentPackets "Frames sent, before they are cut into segments.";
    SentBytes "Their bytes.";
    LongFrames "Receive descriptors that did not end a frame.";
    ChecksumErrors "Received frames with a wrong checksum.";
    Impossible "Receive descriptors that no card writes.";
}

/// A queue's own counts: plain numbers, published at the end of a turn.
pub(crate) type Counts = [u64; Count::ALL.len()];

impl Shared {
    pub(crate) fn new(queues: u16) -> Shared {
        let queues = (0..queues).map(|_| Line::default()).collect();
        Shared { words: Arc::new(Words { epoch: AtomicU32::new(0), queues }) }
    }

    /// The present epoch; 0 until the card was brought up.
    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        self.words.epoch.load(Ordering::Acquire)
    }

    /// The card is ready for rings; what was in flight before is lost.
    pub(crate) fn begin_epoch(&self) -> u32 {
        let next = self.words.epoch.load(Ordering::Relaxed).wrapping_add(1);
        // Not the word for "never armed".
        let next = next.max(1);
        self.words.epoch.store(next, Ordering::Release);
        next
    }

    /// A queue has armed its rings for `epoch`, or failed to.
    pub(crate) fn publish_armed(&self, queue: u16, epoch: u32, is_armed: bool) {
        let line = self.line(queue);
        let word = if is_armed { &line.armed } else { &line.failed };
        word.store(epoch, Ordering::Release);
    }

    /// Whether a queue has armed its rings for `epoch`.
    pub(crate) fn is_armed(&self, queue: u16, epoch: u32) -> bool {
        self.line(queue).armed.load(Ordering::Acquire) == epoch
    }

    /// Whether a queue could not.
    pub(crate) fn has_failed(&self, queue: u16, epoch: u32) -> bool {
        self.line(queue).failed.load(Ordering::Acquire) == epoch
    }

    /// Once a turn.
    #[inline]
    pub(crate) fn publish(&self, queue: u16, published: Published, counts: &Counts) {
        let line = self.line(queue);
        let Published { turns, received, sent, done, impossible } = published;
        line.turns.store(turns, Ordering::Relaxed);
        line.received.store(received, Ordering::Relaxed);
        line.sent.store(sent, Ordering::Relaxed);
        line.done.store(done, Ordering::Relaxed);
        line.impossible.store(impossible, Ordering::Relaxed);
        for (word, &count) in line.counts.iter().zip(counts) {
            word.store(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn published(&self, queue: u16) -> Published {
        let line = self.line(queue);
        Published {
            turns: line.turns.load(Ordering::Relaxed),
            received: line.received.load(Ordering::Relaxed),
            sent: line.sent.load(Ordering::Relaxed),
            done: line.done.load(Ordering::Relaxed),
            impossible: line.impossible.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count(&self, queue: u16, count: Count) -> u64 {
        self.line(queue).counts[count as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn queues(&self) -> u16 {
        self.words.queues.len() as u16
    }

    fn line(&self, queue: u16) -> &Line {
        &self.words.queues[queue as usize]
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    //! In every ordering: a queue that is armed is seen with what it counts from there, and is not taken
    //! for armed in an epoch that it has not seen.

    use super::*;

    fn progress(received: u32) -> Published {
        Published { received, ..Published::default() }
    }

    /// The queue's side of a turn, as `queue.rs` has it; the epoch that it is in.
    fn turn(shared: &Shared, epoch: u32, received: u32) -> u32 {
        let counts = Counts::default();
        let now = shared.epoch();
        if now == epoch {
            shared.publish(0, progress(received), &counts);
        } else {
            shared.publish(0, progress(0), &counts);
            shared.publish_armed(0, now, true);
        }
        now
    }

    #[test]
    fn who_is_armed_counts_anew() {
        loom::model(|| {
            let shared = Shared::new(1);
            let first = shared.begin_epoch();
            let queue = {
                let shared = shared.clone();
                // Far along in the first epoch, until it sees the second.
                loom::thread::spawn(move || {
                    let mut epoch = turn(&shared, 0, 0);
                    while epoch == first {
                        epoch = turn(&shared, epoch, 100);
                        loom::thread::yield_now();
                    }
                })
            };
            let second = shared.begin_epoch();
            while !shared.is_armed(0, second) {
                loom::thread::yield_now();
            }
            // Were it 100, the card would seem to be far behind the queue.
            assert_eq!(shared.published(0).received, 0);
            queue.join().expect("it ends");
        });
    }

    #[test]
    fn nobody_is_armed_for_what_he_has_not_seen() {
        loom::model(|| {
            let shared = Shared::new(1);
            let first = shared.begin_epoch();
            let queue = {
                let shared = shared.clone();
                loom::thread::spawn(move || turn(&shared, 0, 0))
            };
            let second = shared.begin_epoch();
            let was_armed = shared.is_armed(0, second);
            let seen = queue.join().expect("it ends");
            assert!(!was_armed || seen == second);
            assert!(shared.is_armed(0, seen) && (seen == first || seen == second));
        });
    }
}
