//! What everything in a world shares: the virtual clock, the ledger of conversations, and the list
//! of what went against the rules.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use penstock_stack::Instant;

use crate::ledger::Ledger;

/// The rules of a world; a failure names the one that broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Bytes received are a prefix of bytes sent.
    Prefix,
    /// Every connection ends within bounded time once faults stop.
    Ends,
    /// Conversations that nothing stands in the way of deliver everything.
    Completes,
    /// Tables, pools and rings are empty at the end.
    Leak,
    /// No chunk changes or is freed while a descriptor names it.
    Chunk,
    /// Received bursts are recycled, slots used by the rules, doorbells rung.
    Ring,
    /// No segment reaches a core that does not own it when rules are programmed.
    Steering,
    /// Every frame is accounted for: processed, or dropped with a reason.
    Account,
    /// In a world without faults nothing is dropped and nothing is sent twice.
    Clean,
    /// What a host puts on the wire is well formed.
    Frame,
    /// What a host says in TCP agrees with what it was sent.
    Wire,
    /// No allocation after start.
    Allocation,
    /// The worker's own invariants, panics, and deadlines.
    Worker,
    /// Upcalls come in order, each at its time.
    Upcall,
}

/// A rule that was broken, with when and how.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule.
    pub check: Check,
    /// Virtual time.
    pub at_us: u64,
    /// What happened, for a person.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.6} s: {}", self.check, self.at_us as f64 / 1e6, self.text)
    }
}

/// The shared ground of one world.
pub(crate) struct Scene {
    now_us: Cell<u64>,
    violations: RefCell<Vec<Violation>>,
    pub(crate) ledger: RefCell<Ledger>,
    log: Option<RefCell<Vec<(u64, String)>>>,
}

impl Scene {
    pub(crate) fn new(ledger: Ledger, keep_log: bool) -> Rc<Scene> {
        Rc::new(Scene {
            now_us: Cell::new(0),
            violations: RefCell::default(),
            ledger: RefCell::new(ledger),
            log: keep_log.then(RefCell::default),
        })
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.now_us.get()
    }

    pub(crate) fn now(&self) -> Instant {
        // A machine has been up for a while when its workers start; and the clock of a world must
        // pass 2^32 µs and 2^32 ms without anyone noticing.
        Instant(self.now_us.get() + EPOCH_US)
    }

    pub(crate) fn set_now(&self, now_us: u64) {
        debug_assert!(now_us >= self.now_us.get());
        self.now_us.set(now_us);
    }

    /// Virtual time of an instant of the stack.
    pub(crate) fn us_of(instant: Instant) -> u64 {
        instant.0.saturating_sub(EPOCH_US)
    }

    pub(crate) fn violate(&self, check: Check, text: impl Into<String>) {
        let violation = Violation { check, at_us: self.now_us(), text: text.into() };
        let mut violations = self.violations.borrow_mut();
        if violations.len() < VIOLATIONS_MAX {
            violations.push(violation);
        }
    }

    pub(crate) fn is_violated(&self) -> bool {
        !self.violations.borrow().is_empty()
    }

    pub(crate) fn take_violations(&self) -> Vec<Violation> {
        self.violations.take()
    }

    /// A line of the story; `text` is made only where someone will read it.
    pub(crate) fn tell(&self, text: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.borrow_mut().push((self.now_us(), text()));
        }
    }

    pub(crate) fn take_log(&self) -> Vec<(u64, String)> {
        self.log.as_ref().map(RefCell::take).unwrap_or_default()
    }
}

/// 2^32 ms less three seconds, and close to a multiple of 2^32 µs as well.
const EPOCH_US: u64 = (1 << 32) * 1000 - 3_000_000;

/// After the first few, violations only repeat themselves.
const VIOLATIONS_MAX: usize = 16;
