//! Instructions and cache misses: the bench runs itself under valgrind, one process per row.
//!
//! Callgrind collects between entry and return of [`stack_side`](crate::world::stack_side), so
//! neither the client nor the populations count. Counts are exact: the same program gives the same
//! number on every run and every machine, as long as compiler and C library are the same.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, process};

/// What callgrind counted, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Instructions.
    pub instructions: u64,
    /// Misses of the first-level instruction cache.
    pub code_misses: u64,
    /// Misses of the first-level data cache.
    pub data_misses: u64,
    /// Misses of the simulated last-level cache.
    pub last_misses: u64,
}

/// What is asked of callgrind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// One total with the caches simulated.
    Caches,
    /// One total, with the address of every instruction.
    Addresses,
    /// Instructions of each turn of the stack.
    Turns,
    /// Instructions between the calls of [`crate::churn::checkpoint`].
    Checkpoints,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What the bench printed inside.
    pub output: String,
    /// The totals: one for [`Detail::Caches`] and [`Detail::Addresses`], else in order.
    pub costs: Vec<Cost>,
    /// The directory of callgrind's files.
    files: PathBuf,
}

/// The caches that are simulated: 32 KB of 8 ways for instructions and for data, as most servers
/// have, and 8 MB of 16 ways behind them: a core's share of a large server's, and far less than a
/// million connections.
const CACHES: [&str; 4] =
    ["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=8388608,16,64"];

/// Whether valgrind can be run.
///
/// # Errors
/// The line that installs it.
pub fn present() -> Result<(), String> {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => Err("valgrind is missing: apt-get install valgrind".into()),
    }
}

/// Runs this program with `arguments` under callgrind.
///
/// # Errors
/// Why there is no count: valgrind failed, the run inside failed, or its files are unreadable.
pub fn run(arguments: &[&str], detail: Detail) -> Result<Run, String> {
    let files =
        env::temp_dir().join(format!("penstock-bench-{}-{}", process::id(), arguments.join("_")));
    fs::create_dir_all(&files).map_err(|error| format!("{}: {error}", files.display()))?;
    let out = files.join("out");
    let program = env::current_exe().map_err(|error| format!("own path: {error}"))?;
    let mut valgrind = Command::new("valgrind");
    // Two patterns that differ: callgrind keeps one setting per pattern.
    valgrind.args(["--tool=callgrind", "--toggle-collect=*::stack_side*"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    match detail {
        Detail::Caches => valgrind.args(CACHES),
        Detail::Addresses => valgrind.args(["--dump-instr=yes", "--compress-pos=no"]),
        Detail::Turns => valgrind.arg("--dump-after=*stack_side*"),
        Detail::Checkpoints => valgrind.arg("--dump-after=*churn::checkpoint*"),
    };
    let done = valgrind
        .arg(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let output = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr);
        let own: Vec<&str> = errors.lines().filter(|line| !line.starts_with(['=', '-'])).collect();
        return Err(format!("{}: {}", arguments.join(" "), own.join("; ")));
    }
    let costs = match detail {
        Detail::Caches | Detail::Addresses => vec![total(&out)?],
        Detail::Turns | Detail::Checkpoints => parts(&out)?,
    };
    Ok(Run { output, costs, files })
}

impl Run {
    /// What callgrind wrote.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn text(&self) -> Result<String, String> {
        let out = self.files.join("out");
        fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))
    }

    /// The file for `callgrind_annotate`, copied to `to`.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub fn keep(&self, to: &Path) -> Result<(), String> {
        fs::copy(self.files.join("out"), to)
            .map(|_| ())
            .map_err(|error| format!("{}: {error}", to.display()))
    }

    /// A number that the run printed as `name=number`.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.output.split_whitespace().find_map(|word| {
            let (key, value) = word.split_once('=')?;
            if key == name { value.parse().ok() } else { None }
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A directory that stays behind is untidy, no more.
        let _ = fs::remove_dir_all(&self.files);
    }
}

/// The totals of `out.1`, `out.2`, …: the parts dumped before the program ended.
fn parts(out: &Path) -> Result<Vec<Cost>, String> {
    let mut costs = Vec::new();
    loop {
        let part = out.with_extension((costs.len() + 1).to_string());
        if !part.exists() {
            return Ok(costs);
        }
        costs.push(total(&part)?);
    }
}

fn total(file: &Path) -> Result<Cost, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    parse(&text).ok_or_else(|| format!("{}: no totals in callgrind's file", file.display()))
}

/// Reads the `events:` and `totals:` lines of a callgrind file.
fn parse(text: &str) -> Option<Cost> {
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let totals: Vec<u64> =
        line("totals:")?.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let mut cost = Cost::default();
    // Callgrind leaves out zeros at the end.
    for (event, count) in line("events:")?.split_whitespace().zip(totals) {
        match event {
            "Ir" => cost.instructions = count,
            "I1mr" => cost.code_misses = count,
            "D1mr" | "D1mw" => cost.data_misses += count,
            "ILmr" | "DLmr" | "DLmw" => cost.last_misses += count,
            _ => {}
        }
    }
    Some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Totals are read by the names of their events, also where zeros at the end are left out.
    #[test]
    fn totals_are_read_by_event() {
        let text = "# callgrind format\nevents: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw\n\
                    fn=(1) x\n1 2\ntotals: 100 9 9 1 2 3 0 7\n";
        let expected = Cost { instructions: 100, code_misses: 1, data_misses: 5, last_misses: 7 };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("events: Ir\n"), None);
    }
}
