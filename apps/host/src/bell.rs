//! How a core sleeps, and how another wakes it.
//!
//! ```text
//!   sleeper                              waker
//!   asleep := true                       message into the ring (a release store)
//!   fence                                fence
//!   mail? then do not sleep              asleep? then ring
//!   wait for a frame, the bell, or time
//!   asleep := false
//! ```
//! Of the two looks, at least one sees what the other side wrote before its fence: either the sleeper
//! finds the mail, or the waker finds the sleeper. The bell is an eventfd, so one that rings just
//! before the wait ends the wait.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// The bell of one core.
#[derive(Debug)]
pub(crate) struct Bell {
    asleep: AtomicBool,
    event: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Bell { asleep: AtomicBool::new(false), event })
    }

    /// Wakes the core if it sleeps or is about to. Whatever it is to find was written before.
    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            // A counter that is full rings as well.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    /// What [`sleep`](Self::sleep) waits for: something to read in one of `files`, or the bell.
    pub(crate) fn watch<'a>(&'a self, files: &'a [OwnedFd]) -> Vec<PollFd<'a>> {
        let all = std::iter::once(&self.event).chain(files);
        all.map(|file| PollFd::new(file, PollFlags::IN)).collect()
    }

    /// Sleeps until something that is watched happens, or `at_most` has passed; not at all if
    /// `is_wanted` says so at the last moment.
    pub(crate) fn sleep(
        &self,
        watched: &mut [PollFd<'_>],
        at_most: Option<Duration>,
        is_wanted: impl FnOnce() -> bool,
    ) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !is_wanted() {
            let timeout = at_most.and_then(|time| Timespec::try_from(time).ok());
            // A signal ends it early, which does no harm.
            let _ = poll(watched, timeout.as_ref());
            if watched.first().is_some_and(|bell| bell.revents().contains(PollFlags::IN)) {
                let _ = rustix::io::read(&self.event, &mut [0; 8]);
            }
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    //! A bell wakes, whenever it rings, and a core that is wanted does not fall asleep.

    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_bell_wakes_the_sleeper() {
        let bell = Arc::new(Bell::new().expect("an eventfd"));
        let begin = Instant::now();
        let ringer = Arc::clone(&bell);
        let thread = std::thread::spawn(move || {
            while !ringer.asleep.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            ringer.ring();
        });
        bell.sleep(&mut bell.watch(&[]), Some(LONG), || false);
        thread.join().expect("no panic");
        assert!(begin.elapsed() < LONG);
    }

    #[test]
    fn whoever_is_wanted_does_not_sleep() {
        let bell = Bell::new().expect("an eventfd");
        let begin = Instant::now();
        bell.sleep(&mut bell.watch(&[]), Some(LONG), || true);
        bell.ring();
        bell.sleep(&mut bell.watch(&[]), Some(Duration::from_millis(1)), || false);
        assert!(begin.elapsed() < LONG && !bell.asleep.load(Ordering::SeqCst));
    }
}
