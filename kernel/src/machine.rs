//! A machine that has started, and its cores as an image sees them.
//!
//! ```text
//!  fn main(machine: Machine) {
//!      for id in 0..machine.cores() {
//!          machine.start(id, move |mut core| {       // runs on that core; `Send` is the whole rule
//!              let mut worker = ..;                  // built where it lives, never shared
//!              core.seal();                          // all have built theirs: no allocation from here on
//!              while !core.stop_requested() {
//!                  let now = core.turn();
//!                  let next = worker.turn(now);
//!                  core.rest(next, &mut || worker.has_work());
//!              }
//!          });
//!      }
//!  }
//! ```
//! When every core's function has returned, the machine is left.
#![allow(unsafe_code)]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::cpuid::Brand;
use crate::idle::Sleeper;
use crate::leave::{self, Outcome};
use crate::pci::Function;
use crate::watch::Watch;
use crate::{clock, cores, heap, idle, power};

/// What a core runs.
pub(crate) type Job = Box<dyn FnOnce(Core) + Send>;

/// A file that the loader brought along.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// What the loader was told to say about it; empty over QEMU's `-initrd`.
    pub name: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

/// A machine that has started.
#[derive(Debug)]
pub struct Machine {
    pub(crate) command_line: &'static str,
    pub(crate) files: Vec<File>,
    pub(crate) functions: Vec<Function>,
    pub(crate) processor: Brand,
}

impl Machine {
    /// The command line, as the loader gave it.
    pub fn command_line(&self) -> &'static str {
        self.command_line
    }

    /// Boot modules.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// PCI functions that are no bridges, in the order of their addresses.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The processor's name, as it says it.
    pub fn processor(&self) -> &impl fmt::Display {
        &self.processor
    }

    /// How many cores there are; their numbers begin at 0.
    pub fn cores(&self) -> usize {
        cores::count()
    }

    /// Gives a core something to run. Others begin at once, core 0 when `main` returns.
    pub fn start(&mut self, core: usize, run: impl FnOnce(Core) + Send + 'static) {
        assert!(core < cores::count(), "core {core} of {} does not exist", cores::count());
        let job: Box<Job> = Box::new(Box::new(run));
        let record = cores::record(core);
        record.finished.store(false, Ordering::Relaxed);
        let before = record.job.swap(Box::into_raw(job), Ordering::Release);
        assert!(before.is_null(), "core {core} was given work twice");
        WORKING.fetch_add(1, Ordering::Relaxed);
        idle::wake(core);
    }
}

/// Cores that were given work.
static WORKING: AtomicUsize = AtomicUsize::new(0);

/// The same, once `main` has returned and no more can be given; 0 before.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// Cores whose tables and pools are complete.
static SEALED: AtomicUsize = AtomicUsize::new(0);

/// This core, for what runs on it.
#[derive(Debug)]
pub struct Core {
    id: usize,
    turns: u64,
    idle_poll: bool,
    watch: Option<Watch>,
    looked_ns: u64,
    /// A core is not sent anywhere.
    here: PhantomData<*const ()>,
}

impl Core {
    fn new(id: usize) -> Core {
        let idle_poll = leave::options().idle_poll;
        Core { id, turns: 0, idle_poll, watch: Watch::of(id), looked_ns: 0, here: PhantomData }
    }

    /// Its number.
    pub fn id(&self) -> usize {
        self.id
    }

    /// Waits until every core that works has come here; from then on nothing is allocated.
    pub fn seal(&mut self) {
        let arrived = SEALED.fetch_add(1, Ordering::AcqRel) + 1;
        loop {
            let expected = EXPECTED.load(Ordering::Acquire);
            if expected != 0 && SEALED.load(Ordering::Acquire) >= expected {
                break;
            }
            core::hint::spin_loop();
        }
        if arrived == EXPECTED.load(Ordering::Acquire) {
            heap::seal();
        }
    }

    /// Counts a turn of the loop, and says the time in nanoseconds. A core that does not come here
    /// for a second is taken for broken. Cores 0 and 1 also look whether others do, and core 0 at
    /// the power button.
    pub fn turn(&mut self) -> u64 {
        let record = cores::record(self.id);
        self.turns += 1;
        record.turns.store(self.turns, Ordering::Relaxed);
        if self.turns == 1 {
            record.looping.store(true, Ordering::Relaxed);
        }
        let now = clock::now_ns();
        if let Some(watch) = &mut self.watch {
            watch.look(now);
        }
        if self.id == 0 && now.saturating_sub(self.looked_ns) > BUTTON_NS {
            self.looked_ns = now;
            power::look();
        }
        now
    }

    /// Whether the machine is to end its work: take in nothing new, finish what runs, return.
    pub fn stop_requested(&self) -> bool {
        power::stop_requested()
    }

    /// Nothing to do before `deadline_ns`: after a moment of looking for work, halts until then, until
    /// a device or [`wake`](idle::wake) ends it. With `idle=poll` only looks once.
    pub fn rest(&mut self, deadline_ns: u64, sleeper: &mut impl Sleeper) {
        if sleeper.has_work() || self.idle_poll {
            return;
        }
        let watch = self.watch.as_ref().map_or(u64::MAX, Watch::next_ns);
        let button = if self.id == 0 { self.looked_ns + BUTTON_NS } else { u64::MAX };
        let deadline_ns = deadline_ns.min(watch).min(button);
        let begin = clock::now_ns();
        while clock::now_ns() - begin < LOOK_NS {
            if sleeper.has_work() {
                return;
            }
            core::hint::spin_loop();
        }
        idle::halt_until(deadline_ns, sleeper);
    }
}

/// What core 0 does when `main` has returned.
pub(crate) fn run() -> ! {
    EXPECTED.store(WORKING.load(Ordering::Relaxed), Ordering::Release);
    work(0);
    // The others end in their own time; they are looked after meanwhile.
    let mut core = Core::new(0);
    while !cores::online().all(|(_, record)| record.finished.load(Ordering::Acquire)) {
        let now = core.turn();
        core.rest(now + FINISH_LOOK_NS, &mut || false);
    }
    crate::info!("machine: all cores are done");
    leave::leave(Outcome::Done)
}

/// What other cores do.
pub(crate) fn wait_for_work(id: usize) -> ! {
    loop {
        let record = cores::record(id);
        idle::halt_until(u64::MAX, &mut || !record.job.load(Ordering::Acquire).is_null());
        work(id);
    }
}

/// Runs what this core was given, if it was given something.
fn work(id: usize) {
    let record = cores::record(id);
    let job = record.job.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if job.is_null() {
        return;
    }
    // SAFETY: a pointer that is there comes from `Box::into_raw` in `start`, and was just taken out.
    let job = unsafe { Box::from_raw(job) };
    job(Core::new(id));
    record.looping.store(false, Ordering::Relaxed);
    record.finished.store(true, Ordering::Release);
    idle::wake(0);
}

/// Looking for work costs nothing but power; halting and waking cost a few microseconds.
const LOOK_NS: u64 = 20_000;

const BUTTON_NS: u64 = 500_000_000;
const FINISH_LOOK_NS: u64 = 100_000_000;

/// The function that an image begins with: `fn main(machine: Machine)`.
///
/// An image is bare only when it is built to abort on panic; built in any other way, as lints and
/// documentation are, it is a program that says so.
#[macro_export]
macro_rules! image {
    ($main:path) => {
        #[cfg(panic = "abort")]
        #[unsafe(no_mangle)]
        extern "Rust" fn penstock_main(machine: $crate::machine::Machine) {
            let main: fn($crate::machine::Machine) = $main;
            main(machine)
        }

        #[cfg(not(panic = "abort"))]
        fn main() {
            let _main: fn($crate::machine::Machine) = $main;
            std::eprintln!(
                "this is an image for a bare machine: build it with the profile `image`"
            );
            std::process::exit(1);
        }
    };
}
