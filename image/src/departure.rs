//! How cores leave, when the machine is to stop: none before the last has finished.
//!
//! A core that has finished takes its turns until all have: it answers ARP and carries mail for those
//! who still serve somebody, and one of them holds their card.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Where a core stands on its way out.
#[derive(Debug)]
pub(crate) struct Departure {
    /// How many cores still serve somebody, or would.
    serving: Arc<AtomicUsize>,
    asked_ns: Option<u64>,
    is_finished: bool,
}

/// What a core is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What it does always.
    Serve,
    /// Let nobody new in from now on; said once.
    Stop,
    /// Return.
    Leave,
}

impl Departure {
    /// One for each of so many cores.
    pub(crate) fn of_cores(cores: u16) -> Vec<Departure> {
        let serving = Arc::new(AtomicUsize::new(cores.into()));
        let one = |_| Departure { serving: serving.clone(), asked_ns: None, is_finished: false };
        (0..cores).map(one).collect()
    }

    /// Once a turn, when the machine is asked to stop: how much has the core to finish?
    pub(crate) fn step(&mut self, now_ns: u64, left: u32) -> Step {
        let Some(asked_ns) = self.asked_ns else {
            self.asked_ns = Some(now_ns);
            return Step::Stop;
        };
        if !self.is_finished && (left == 0 || now_ns - asked_ns > GRACE_NS) {
            self.is_finished = true;
            // Once in the life of a core.
            self.serving.fetch_sub(1, Ordering::AcqRel);
        }
        if self.serving.load(Ordering::Acquire) == 0 { Step::Leave } else { Step::Serve }
    }

    /// When the core has to look again, even if nothing happens.
    pub(crate) fn next_ns(&self, now_ns: u64) -> u64 {
        match self.asked_ns {
            Some(_) if self.is_finished => now_ns + OTHERS_LOOK_NS,
            Some(asked_ns) => asked_ns + GRACE_NS + 1,
            None => u64::MAX,
        }
    }
}

/// Whoever is served when the machine is to stop has this long.
const GRACE_NS: u64 = 10_000_000_000;

/// How often a core that has finished looks whether the others have.
const OTHERS_LOOK_NS: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    //! The order of leaving, by hand: the core that holds the card once shut it down while another
    //! had a download to finish.

    use super::*;

    fn two() -> [Departure; 2] {
        Departure::of_cores(2).try_into().expect("two")
    }

    #[test]
    fn who_has_finished_stays_until_the_last_has() {
        let [mut first, mut second] = two();
        assert_eq!(first.step(1, 0), Step::Stop);
        assert_eq!(second.step(1, 1), Step::Stop);
        // The first has nobody left. Its next looks are close together, and it may not go.
        for now in [2, 3, GRACE_NS / 2] {
            assert_eq!(first.step(now, 0), Step::Serve);
            assert_eq!(first.next_ns(now), now + OTHERS_LOOK_NS);
            assert_eq!(second.step(now, 1), Step::Serve);
        }
        assert_eq!(second.step(GRACE_NS / 2 + 1, 0), Step::Leave);
        assert_eq!(first.step(GRACE_NS / 2 + 2, 0), Step::Leave);
    }

    #[test]
    fn a_core_that_has_not_heard_yet_holds_the_others() {
        let [mut first, _second] = two();
        assert_eq!(first.step(1, 0), Step::Stop);
        assert_eq!(first.step(2, 0), Step::Serve);
        // The second is in a long turn.
        assert_eq!(first.step(3, 0), Step::Serve);
    }

    #[test]
    fn nobody_is_waited_for_longer_than_the_grace() {
        let [mut first, mut second] = two();
        assert_eq!((first.step(1, 7), second.step(1, 0)), (Step::Stop, Step::Stop));
        assert_eq!(second.step(2, 0), Step::Serve);
        assert_eq!(first.step(GRACE_NS, 7), Step::Serve);
        let then = first.next_ns(GRACE_NS);
        assert_eq!(first.step(then, 7), Step::Leave);
        assert_eq!(second.step(then, 0), Step::Leave);
    }
}
