//! How a core falls asleep, and how another learns that it must be woken: the order is the whole matter.
//!
//! ```text
//!   sleeper: asleep = true ── fence ── looks once more for work ── halts, or not
//!   waker:   puts work there ── fence ── asleep? ── then an interrupt
//! ```
//! With a full fence between the two steps on both sides, at least one of them sees the other: either
//! the sleeper finds the work, or it is sent an interrupt. It is apart from what a halt and an interrupt
//! are, so that `make loom` can run it through every ordering of memory.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use crate::idle::Sleeper;

/// A word that says that a core sleeps: one writer, the core itself.
pub(crate) trait Flag {
    fn set(&self, asleep: bool);
    fn is_set(&self) -> bool;
    fn fence();
}

impl Flag for AtomicBool {
    fn set(&self, asleep: bool) {
        self.store(asleep, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.load(Ordering::Relaxed)
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// Halts, unless there is work. An interrupt that was sent meanwhile ends the halt at once: `halt` must
/// be made so.
pub(crate) fn fall_asleep<F: Flag>(flag: &F, sleeper: &mut impl Sleeper, halt: impl FnOnce()) {
    flag.set(true);
    sleeper.arm();
    F::fence();
    if !sleeper.has_work() {
        halt();
    }
    flag.set(false);
}

/// Whether it takes an interrupt. To be asked after what the core is to find has been written.
pub(crate) fn must_be_woken<F: Flag>(flag: &F) -> bool {
    F::fence();
    flag.is_set()
}

#[cfg(all(test, loom))]
mod loom_tests {
    //! In no ordering does a core sleep on work that nobody wakes it for.

    use super::{Flag, fall_asleep, must_be_woken};
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, Ordering, fence};

    impl Flag for AtomicBool {
        fn set(&self, asleep: bool) {
            self.store(asleep, Ordering::Relaxed);
        }

        fn is_set(&self) -> bool {
            self.load(Ordering::Relaxed)
        }

        fn fence() {
            fence(Ordering::SeqCst);
        }
    }

    /// A waker brings work and asks whether it takes an interrupt. A core that halts has not seen it, and
    /// halts until it is interrupted: the answer must be yes. Wakers do not see each other.
    #[test]
    fn nothing_is_slept_on() {
        loom::model(|| {
            let asleep = Arc::new(AtomicBool::new(false));
            let work = Arc::new(AtomicBool::new(false));
            let waker = {
                let (asleep, work) = (asleep.clone(), work.clone());
                loom::thread::spawn(move || {
                    work.store(true, Ordering::Relaxed);
                    must_be_woken(&*asleep)
                })
            };
            fall_asleep(&*asleep, &mut || work.load(Ordering::Relaxed), || {
                assert!(waker.join().expect("it ends"), "slept on work");
            });
        });
    }
}
