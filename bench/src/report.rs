//! The table: rows, figures with what must and should hold, and the file that keeps them.

use std::fmt::Write as _;

use crate::apps::Served;
use crate::callgrind::Cost;
use crate::scenario::{Counts, Scenario};

/// A measured row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What was measured.
    pub scenario: Scenario,
    /// What the harness counted.
    pub counts: Counts,
    /// What callgrind counted.
    pub cost: Cost,
}

impl Row {
    /// `of` per connection.
    pub fn per_connection(&self, of: u64) -> f64 {
        of as f64 / self.counts.connections as f64
    }

    /// Instructions per connection.
    pub fn instructions(&self) -> f64 {
        self.per_connection(self.cost.instructions)
    }
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less.
    Less,
    /// More.
    More,
}

/// How a value is kept in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The same on every run: with so many decimals.
    Exact(usize),
    /// Wall time: only which bound it reached, so that the file changes when something has.
    Level,
}

/// A figure with its bounds.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// Which way is better.
    pub better: Better,
    /// What must hold, what should, and what would be remarkable.
    pub bounds: [f64; 3],
    /// How it is kept.
    pub kept: Kept,
}

impl Figure {
    /// How many of the bounds hold: 0 is a failure.
    pub fn level(&self) -> usize {
        let holds = |bound: &&f64| match self.better {
            Better::Less => self.value <= **bound,
            Better::More => self.value >= **bound,
        };
        self.bounds.iter().take_while(holds).count()
    }
}

/// Everything that one run of the bench found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Rows, in order.
    pub rows: Vec<Row>,
    /// What the applications cost.
    pub served: Vec<Served>,
    /// Rows that could not be measured, and why.
    pub failures: Vec<String>,
    /// Figures, in order.
    pub figures: Vec<Figure>,
    /// Facts without a bound.
    pub notes: Vec<String>,
    /// Facts that differ from run to run, for the reader of this one.
    pub remarks: Vec<String>,
}

impl Report {
    /// Whether everything was measured and every "must" holds.
    pub fn passed(&self) -> bool {
        self.failures.is_empty() && self.figures.iter().all(|figure| figure.level() > 0)
    }

    /// The table as text. `for_file` leaves out what differs from run to run.
    pub fn text(&self, for_file: bool) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_rows(&mut text);
        let _ = self.write_figures(&mut text, for_file);
        let remarks = if for_file { &[][..] } else { &self.remarks };
        for line in self.notes.iter().chain(remarks) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn write_rows(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{:36} {:>12} {:>7} {:>7} {:>6} {:>6} {:>6} {:>8} {:>9}",
            "per connection",
            "instructions",
            "I1 miss",
            "D1 miss",
            "LL",
            "frames",
            "allocs",
            "open",
            "time-wait"
        )?;
        for row in &self.rows {
            writeln!(
                text,
                "{:36} {:>12.0} {:>7.1} {:>7.1} {:>6.1} {:>6.2} {:>6} {:>8} {:>9}",
                row.scenario.to_string(),
                row.instructions(),
                row.per_connection(row.cost.code_misses),
                row.per_connection(row.cost.data_misses),
                row.per_connection(row.cost.last_misses),
                row.per_connection(row.counts.frames),
                row.counts.allocations,
                row.counts.open,
                row.counts.time_wait,
            )?;
        }
        if !self.served.is_empty() {
            writeln!(text, "\n{:36} {:>12}", "per unit", "instructions")?;
        }
        for served in &self.served {
            writeln!(
                text,
                "{:36} {:>12.0} {:>7.1} {:>7.1} {:>6.1} {:>6.2} {:>6}  {}",
                served.service.to_string(),
                served.per_unit(served.cost.instructions),
                served.per_unit(served.cost.code_misses),
                served.per_unit(served.cost.data_misses),
                served.per_unit(served.cost.last_misses),
                served.per_unit(served.frames),
                served.allocations,
                served.service.unit(),
            )?;
        }
        for failure in &self.failures {
            writeln!(text, "FAILED: {failure}")?;
        }
        Ok(())
    }

    fn write_figures(&self, text: &mut String, for_file: bool) -> std::fmt::Result {
        writeln!(
            text,
            "\n{:58} {:>9} {:>9} {:>9} {:>9}  reached",
            "figure", "value", "must", "target", "moonshot"
        )?;
        for figure in &self.figures {
            let value = match figure.kept {
                Kept::Exact(decimals) => format!("{:.decimals$}", figure.value),
                Kept::Level if for_file => "-".into(),
                Kept::Level => format!("{:.2}", figure.value),
            };
            let sign = match figure.better {
                Better::Less => "<=",
                Better::More => ">=",
            };
            write!(text, "{:58} {value:>9}", figure.name)?;
            for bound in figure.bounds {
                write!(text, " {:>9}", format!("{sign} {bound}"))?;
            }
            let level = match figure.level() {
                // One bound for all: there is nothing to strive for beyond it.
                level if figure.bounds[0] == figure.bounds[2] => level.min(1),
                level => level,
            };
            writeln!(text, "  {}", LEVELS[level])?;
        }
        writeln!(text)
    }
}

/// Names of [`Figure::level`].
const LEVELS: [&str; 4] = ["FAILED", "must", "target", "moonshot"];

#[cfg(test)]
mod tests {
    use super::*;

    /// A figure reaches a bound only if it reaches the easier ones, in both directions.
    #[test]
    fn levels_follow_the_bounds() {
        let figure = |value, better, bounds| {
            Figure { name: "x", value, better, bounds, kept: Kept::Level }.level()
        };
        let instructions = [6000.0, 3000.0, 1500.0];
        assert_eq!(figure(6001.0, Better::Less, instructions), 0);
        assert_eq!(figure(3000.0, Better::Less, instructions), 2);
        assert_eq!(figure(0.0, Better::Less, [0.0; 3]), 3);
        assert_eq!(figure(0.91, Better::More, [0.5, 0.9, 0.98]), 2);
        assert_eq!(figure(f64::NAN, Better::Less, instructions), 0);
    }

    /// Wall time never reaches the file as a number.
    #[test]
    fn the_file_holds_no_wall_time() {
        let figure = Figure {
            name: "ratio",
            value: 0.1234,
            better: Better::Less,
            bounds: [0.6, 0.3, 0.15],
            kept: Kept::Level,
        };
        let report = Report { figures: vec![figure], ..Report::default() };
        assert!(report.text(false).contains("0.12"));
        assert!(!report.text(true).contains("0.12"));
    }
}
