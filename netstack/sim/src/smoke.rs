//! Many worlds, one after the other, on two threads; the first that fails is shown with the command
//! that replays it.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::plan::Plan;
use crate::scene::Check;
use crate::trace::Trace;
use crate::world::{Outcome, World};

/// A world that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The first rule that broke.
    pub check: Check,
    /// How, for a person.
    pub text: String,
}

thread_local! {
    /// What a panic of this thread said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the world of a seed; a panic inside is a failure like any other.
///
/// # Errors
/// The rule that broke.
pub fn run_seed(seed: u64) -> Result<Outcome, Failure> {
    run_plan(Plan::of(seed))
}

/// As [`run_seed`], for a plan.
pub(crate) fn run_plan(plan: Plan) -> Result<Outcome, Failure> {
    let seed = plan.seed;
    let ran = panic::catch_unwind(AssertUnwindSafe(|| World::new(plan, Trace::quiet()).run()));
    let outcome = ran.map_err(|_| {
        let text = PANIC.take().unwrap_or_else(|| "a panic".to_owned());
        Failure { seed, check: Check::Worker, text }
    })?;
    match outcome.violations.first() {
        None => Ok(outcome),
        Some(first) => Err(Failure { seed, check: first.check, text: first.to_string() }),
    }
}

/// Keeps what panics say instead of printing it.
pub(crate) fn hush_panics() {
    panic::set_hook(Box::new(|info| {
        PANIC.set(Some(format!("panic: {info}")));
    }));
}

/// How a smoke run went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Smoke {
    pub(crate) worlds: u64,
    pub(crate) frames: u64,
    pub(crate) failures: Vec<Failure>,
    pub(crate) seconds: f64,
}

/// Runs the worlds of seeds `from .. from + worlds`; `progress` hears of each.
pub(crate) fn smoke(
    from: u64,
    worlds: u64,
    failures_max: usize,
    progress: impl Fn(u64) + Sync,
) -> Smoke {
    hush_panics();
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Smoke::default());
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + worlds {
                break;
            }
            let ran = run_seed(seed);
            let Ok(mut total) = total.lock() else { break };
            total.worlds += 1;
            match ran {
                Ok(outcome) => total.frames += outcome.frames,
                Err(failure) => total.failures.push(failure),
            }
            if total.failures.len() >= failures_max {
                stop.store(true, Ordering::Relaxed);
            }
            progress(total.worlds);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let _ = panic::take_hook();
    let mut total = total.into_inner().unwrap_or_default();
    total.failures.sort_by_key(|failure| failure.seed);
    total.seconds = began.elapsed().as_secs_f64();
    total
}

const THREADS_MAX: usize = 2;
