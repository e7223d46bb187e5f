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
    grace: Duration,
    stats: bool,
}

/// A byte arrives in a stream for each signal; which stream says which.
#[derive(Debug)]
struct Signals {
    stop: UnixStream,
    report: UnixStream,
    /// Each core writes a byte when it ends.
    ended: UnixStream,
}

impl House {
    /// Starts a thread for each of `cores`.
    pub(crate) fn open<A: Service + 'static>(
        cores: Vec<Core<A>>,
        orders: Orders,
        grace: Duration,
        stats: bool,
    ) -> io::Result<House> {
        let (ended, ends) = UnixStream::pair()?;
        let signals = Signals { stop: on(&[SIGINT, SIGTERM])?, report: on(&[SIGUSR1])?, ended };
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
        Ok(House { orders, threads, signals, grace, stats })
    }

    /// Waits for the end, and judges it.
    pub(crate) fn run(mut self) -> ExitCode {
        let mut deadline = None;
        loop {
            match self.signals.wait(deadline) {
                Some(Event::Stop) if deadline.is_none() => {
                    let seconds = self.grace.as_secs();
                    report::say(format_args!("stopping: connections may finish for {seconds} s"));
                    deadline = Some(Instant::now() + self.grace);
                    self.orders.stop.store(true, Ordering::Relaxed);
                }
                Some(Event::Report) => {
                    self.orders.reports.fetch_add(1, Ordering::Relaxed);
                }
                Some(Event::Stop | Event::Ended) | None => break,
            }
            self.orders.ring_all();
        }
        self.orders.end.store(true, Ordering::Relaxed);
        self.orders.ring_all();
        self.judge()
    }

    fn judge(self) -> ExitCode {
        let mut is_clean = true;
        for thread in self.threads {
            let Ok(remains) = thread.join() else {
                // The panic has said where.
                is_clean = false;
                continue;
            };
            if self.stats {
                report::print(&remains.counters);
            }
            report::say(remains.line());
            is_clean &= remains.is_clean();
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
    Report,
    Ended,
}

impl Signals {
    /// The next event; `None` when the deadline has passed.
    fn wait(&mut self, deadline: Option<Instant>) -> Option<Event> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let streams = [&self.stop, &self.report, &self.ended];
            let mut watched = streams.map(|stream| PollFd::new(stream, PollFlags::IN));
            match poll(&mut watched, timeout.as_ref()) {
                Ok(0) => return None,
                Ok(_) => {}
                // A signal that is not ours to act on.
                Err(_) => continue,
            }
            let which = watched.iter().position(|stream| !stream.revents().is_empty());
            let (stream, event) = match which {
                Some(0) => (&mut self.stop, Event::Stop),
                Some(1) => (&mut self.report, Event::Report),
                _ => (&mut self.ended, Event::Ended),
            };
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
