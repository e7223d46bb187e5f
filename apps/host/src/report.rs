//! Counters as lines for people and scripts, and what is left at the end.
//!
//! A line is `core0.TcpInSegs 1234`. Counters that are 0 are left out; the last line of a core is its
//! clock, so that whoever reads knows when he has all.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use penstock_stack::{Census, Instant};

use crate::core_loop::{Core, Service};

/// Prints in one piece. A terminal that is gone is no reason to end, which it is to `println!`.
pub(crate) fn print(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.to_string().as_bytes()).and_then(|()| out.flush());
}

/// Prints a line.
pub(crate) fn say(line: impl fmt::Display) {
    print(format_args!("{line}\n"));
}

/// All counters of a core.
pub(crate) fn counters<A: Service>(core: &Core<A>, now: Instant) -> String {
    let (number, worker) = (core.number, &core.worker);
    let mut lines = String::new();
    let mut line = |name: &str, value: u64| {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "core{number}.{name} {value}");
    };
    let stack = worker.counters().iter().filter(|&(_, value)| value > 0);
    stack.for_each(|(name, value)| line(name, value));
    let queues = (0..).map_while(|interface| worker.queue(interface));
    for queue in queues {
        let refused = ("TapRefused", queue.inner().refused());
        let counts = queue.tally().iter().chain([refused]).filter(|&(_, value)| value > 0);
        counts.for_each(|(name, value)| line(name, value));
    }
    let census = worker.census();
    for (name, value) in census_lines(&census) {
        line(name, value);
    }
    line("ClockUs", now.0);
    lines
}

/// Whether nothing is under way: what remains expires by itself.
pub(crate) fn is_empty(census: &Census) -> bool {
    let &Census { connections, flights, chunks_free, chunks_dying, chunks, waiting, .. } = census;
    connections == 0 && flights == 0 && waiting == 0 && chunks_dying == 0 && chunks_free == chunks
}

fn census_lines(census: &Census) -> [(&'static str, u64); 10] {
    let &Census {
        connections,
        half_open,
        time_wait,
        flights,
        chunks_free,
        chunks_dying: _,
        chunks,
        neighbours,
        waiting,
        listeners,
        timers,
    } = census;
    [
        ("Connections", connections),
        ("HalfOpen", half_open),
        ("TimeWait", time_wait),
        ("Flights", flights),
        ("ChunksUsed", chunks - chunks_free),
        ("Chunks", chunks),
        ("Neighbours", neighbours),
        ("Waiting", waiting),
        ("Listeners", listeners),
        ("Timers", timers),
    ]
    .map(|(name, value)| (name, value as u64))
}

/// What a core left when it ended.
#[derive(Clone, Debug)]
pub(crate) struct Remains {
    number: u16,
    census: Census,
    /// What does not hang together, or why it ended early.
    failure: Option<&'static str>,
    /// Its counters, as lines.
    pub(crate) counters: String,
}

impl Remains {
    pub(crate) fn of<A: Service>(
        core: &Core<A>,
        now: Instant,
        failure: Option<&'static str>,
    ) -> Remains {
        Remains {
            number: core.number,
            census: core.worker.census(),
            failure: failure.or_else(|| core.worker.check().err()),
            counters: counters(core, now),
        }
    }

    /// Whether nothing was left and nothing leaked.
    pub(crate) fn is_clean(&self) -> bool {
        self.is_sound() && is_empty(&self.census)
    }

    /// Whether what was left hangs together.
    pub(crate) fn is_sound(&self) -> bool {
        self.failure.is_none()
    }

    /// One line for a person.
    pub(crate) fn line(&self) -> String {
        let Remains { number, census, failure, counters: _ } = self;
        let Census { connections, half_open, time_wait, flights, waiting, .. } = census;
        let used = census.chunks - census.chunks_free;
        let mut line = format!(
            "core {number}: left {connections} connections, {flights} flights, {used} chunks, \
             {waiting} frames waiting; to expire: {half_open} half-open, {time_wait} TIME-WAIT"
        );
        if let Some(failure) = failure {
            let _ = write!(line, "; WRONG: {failure}");
        }
        line
    }
}
