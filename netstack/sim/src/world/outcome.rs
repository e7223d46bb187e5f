//! What is left of a world that has run.

use std::fmt;

use crate::plan::Plan;
use crate::scene::Violation;

/// How a world went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it was.
    pub plan: Plan,
    /// The rules that were broken; empty is what is wanted.
    pub violations: Vec<Violation>,
    /// A digest of every frame at every port with its time: equal for equal seeds.
    pub digest: u64,
    /// Frames that left a station or reached one.
    pub frames: u64,
    /// Virtual time that passed.
    pub elapsed_us: u64,
    /// Conversations that delivered everything, and all of them.
    pub completed: (usize, usize),
    /// What was told on the way, with virtual times.
    pub log: Vec<(u64, String)>,
    /// Counters that are not zero, by their owner.
    pub counters: Vec<(String, Vec<(&'static str, u64)>)>,
}

impl Outcome {
    /// Whether no rule was broken.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// Panics with the story's end and the command that replays it, if a rule was broken.
    ///
    /// # Panics
    /// If a rule was broken.
    pub fn expect_good(&self) {
        let texts: Vec<String> = self.violations.iter().map(Violation::to_string).collect();
        assert!(self.is_good(), "{}\n{}\n{self}", self.plan, texts.join("\n"));
    }

    /// The sum of a counter over everybody.
    pub fn counter(&self, name: &str) -> u64 {
        let all = self.counters.iter().flat_map(|(_, counters)| counters);
        all.filter(|(counter, _)| *counter == name).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at_us, text) in &self.log {
            writeln!(f, "{:>13.6} {text}", *at_us as f64 / 1e6)?;
        }
        for (owner, counters) in &self.counters {
            let counters: Vec<String> =
                counters.iter().map(|(name, count)| format!("{name} {count}")).collect();
            writeln!(f, "{owner}: {}", counters.join(", "))?;
        }
        let (completed, all) = self.completed;
        writeln!(
            f,
            "{completed} of {all} conversations complete, {} frames, {:.3} virtual seconds, digest {:016x}",
            self.frames,
            self.elapsed_us as f64 / 1e6,
            self.digest
        )?;
        for violation in &self.violations {
            writeln!(f, "BROKEN {violation}")?;
        }
        Ok(())
    }
}
