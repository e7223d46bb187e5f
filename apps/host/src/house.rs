//! The thread that waits: for signals, and for the end of the others.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use crate::core_loop::{Core, Orders, Service};
use crate::report::{self, Remains};

/// The process at work.
#[derive(Debug)]
pub(crate) struct House {
    orders: Arc<Orders>,
    threads: Vec<JoinHandle<Remains>>,
    signals: Signals,
    manners: Manners,
}

/// Which signals mean what, and what is said and judged at the end.
#[derive(Debug)]
pub(crate) struct Manners {
    /// These let nobody new in, and a second one ends everything.
    pub(crate) soft: &'static [i32],
    /// These end everything.
    pub(crate) hard: &'static [i32],
    /// These have counters printed.
    pub(crate) report: &'static [i32],
    /// How long connections may take to end after a soft stop; `None`: as long as they like.
    pub(crate) grace: Option<Duration>,
    /// All counters are printed at the end.
    pub(crate) stats: bool,
    /// Whoever is cut off at the end is not held against anybody.
    pub(crate) may_cut: bool,
    /// Dropped when nobody new is let in.
    pub(crate) doors: Option<UnixStream>,
}

impl Manners {
    /// Our own.
    pub(crate) fn own(grace: Duration, stats: bool) -> Manners {
        Manners {
            soft: &[SIGINT, SIGTERM],
            hard: &[],
            report: &[SIGUSR1],
            grace: Some(grace),
            stats,
            may_cut: false,
            doors: None,
        }
    }

    /// HAProxy's (management manual, section 4).
    pub(crate) fn haproxy(doors: UnixStream) -> Manners {
        Manners {
            soft: &[SIGUSR1],
            hard: &[SIGINT, SIGTERM],
            report: &[],
            grace: None,
            stats: false,
            may_cut: true,
            doors: Some(doors),
        }
    }
}

/// A byte arrives in a stream for each signal; which stream says what it means. Each core writes one
/// into the last when it ends.
#[derive(Debug)]
struct Signals(Vec<(UnixStream, Event)>);

impl House {
    /// Starts a thread for each of `cores`.
    pub(crate) fn open<A: Service + 'static>(
        cores: Vec<Core<A>>,
        orders: Orders,
        manners: Manners,
    ) -> io::Result<House> {
        let (ended, ends) = UnixStream::pair()?;
        let mut signals = Vec::new();
        for (numbers, event) in [
            (manners.soft, Event::Stop),
            (manners.hard, Event::End),
            (manners.report, Event::Report),
        ] {
            if !numbers.is_empty() {
                signals.push((on(numbers)?, event));
            }
        }
        signals.push((ended, Event::Ended));
        let signals = Signals(signals);
        let orders = Arc::new(orders);
        let mut threads = Vec::new();
        for core in cores {
            let (orders, ending) = (Arc::clone(&orders), Ending(ends.try_clone()?));
            let thread = thread::Builder::new().name(format!("core{}", core.number));
            threads.push(thread.spawn(move || {
                let _ending = ending;
                core.run(&orders)
            })?);
        }
        Ok(House { orders, threads, signals, manners })
    }

    /// Waits for the end, and judges it.
    pub(crate) fn run(mut self) -> ExitCode {
        let (mut is_stopping, mut deadline) = (false, None);
        loop {
            match self.signals.wait(deadline) {
                Some(Event::Stop) if !is_stopping => {
                    is_stopping = true;
                    if let Some(grace) = self.manners.grace {
                        let seconds = grace.as_secs();
                        report::say(format_args!(
                            "stopping: connections may finish for {seconds} s"
                        ));
                        deadline = Some(Instant::now() + grace);
                    }
                    self.manners.doors = None;
                    self.orders.stop.store(true, Ordering::Relaxed);
                }
                Some(Event::Report) => {
                    self.orders.reports.fetch_add(1, Ordering::Relaxed);
                }
                Some(Event::Stop | Event::End | Event::Ended) | None => break,
            }
            self.orders.ring_all();
        }
        self.orders.end.store(true, Ordering::Relaxed);
        self.orders.ring_all();
        self.judge()
    }

    fn judge(self) -> ExitCode {
        let (mut is_clean, mut is_sound) = (true, true);
        for thread in self.threads {
            let Ok(remains) = thread.join() else {
                // The panic has said where.
                (is_clean, is_sound) = (false, false);
                continue;
            };
            if self.manners.stats {
                report::print(&remains.counters);
            }
            report::say(remains.line());
            is_clean &= remains.is_clean();
            is_sound &= remains.is_sound();
        }
        if self.manners.may_cut && is_sound {
            return ExitCode::SUCCESS;
        }
        if is_clean {
            report::say("clean: nothing left, nothing leaked");
            return ExitCode::SUCCESS;
        }
        report::say("NOT CLEAN");
        ExitCode::from(NOT_CLEAN)
    }
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Stop,
    End,
    Report,
    Ended,
}

impl Signals {
    /// The next event; `None` when the deadline has passed.
    fn wait(&mut self, deadline: Option<Instant>) -> Option<Event> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let streams = self.0.iter().map(|(stream, _)| stream);
            let mut watched: Vec<_> =
                streams.map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
            match poll(&mut watched, timeout.as_ref()) {
                Ok(0) => return None,
                Ok(_) => {}
                // A signal that is not ours to act on.
                Err(_) => continue,
            }
            let which = watched.iter().position(|stream| !stream.revents().is_empty());
            let Some((stream, event)) = which.and_then(|which| self.0.get_mut(which)) else {
                continue;
            };
            let event = *event;
            let _ = stream.read(&mut [0]);
            return Some(event);
        }
    }
}

/// A stream that gets a byte for each of these signals.
fn on(signals: &[i32]) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    for &signal in signals {
        signal_hook::low_level::pipe::register(signal, theirs.try_clone()?)?;
    }
    Ok(ours)
}

/// Says that a core has ended, also when it panics.
struct Ending(UnixStream);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.write(&[0]);
    }
}

const NOT_CLEAN: u8 = 2;
