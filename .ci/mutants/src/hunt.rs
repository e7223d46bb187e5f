//! The copy's programs, and one of them at work with one switch on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::{Finder, UNIT, mutants};

/// What was built of the copy.
pub(crate) struct Programs {
    simulator: PathBuf,
    /// By the name of their file, or `UNIT`.
    tests: BTreeMap<String, PathBuf>,
    /// Where tests run, as Cargo has it.
    folder: PathBuf,
}

impl Programs {
    /// Builds those that are needed.
    pub(crate) fn build(copy: &Path) -> Result<Programs, String> {
        cargo(copy, &["build", "-p", "penstock-sim"])?;
        let files: BTreeSet<&str> = mutants()
            .filter_map(|(_, mutant)| match mutant.found_by {
                Finder::Test(file, _) if file != UNIT => Some(file),
                _ => None,
            })
            .collect();
        let mut words =
            vec!["test", "--no-run", "-p", "penstock-proxy", "--lib", "--message-format=json"];
        words.extend(files.iter().flat_map(|file| ["--test", file]));
        let told = cargo(copy, &words)?;
        let tests: BTreeMap<String, PathBuf> = told.lines().filter_map(executable).collect();
        if let Some(file) = files.iter().chain([&UNIT]).find(|file| !tests.contains_key(**file)) {
            return Err(format!("cargo does not say where it built '{file}'"));
        }
        let simulator = copy.join("target/sim/penstock-sim");
        Ok(Programs { simulator, tests, folder: copy.join("apps/proxy") })
    }
}

/// Runs cargo in the copy; what it said.
fn cargo(copy: &Path, words: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (verb, words) = words.split_first().ok_or("cargo is to do nothing")?;
    let output = Command::new(cargo)
        .args([verb, "--quiet", "--offline", "--profile", "sim"])
        .args(["--config", "build.rustflags=['-Awarnings']"])
        .args(BUILT_ONCE.iter().flat_map(|setting| ["--config", setting]))
        .args(words)
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("{told}\nthe planted copy, target/mutants, does not build"));
    }
    Ok(told)
}

/// A test's name and path, from a line in which cargo tells of its program.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let (_, path) = line.split_once("\"executable\":\"")?;
    let (path, _) = path.split_once('"')?;
    let (name, _) = path.rsplit('/').next()?.rsplit_once('-')?;
    Some((name.to_owned(), path.into()))
}

/// A program at work with one switch on.
pub(crate) struct Hunt {
    child: Child,
    finder: Finder,
    began: Instant,
}

/// How it went.
pub(crate) struct End {
    /// What found the defect, if anything did.
    pub(crate) found: Option<String>,
    pub(crate) seconds: f64,
}

impl Hunt {
    pub(crate) fn start(programs: &Programs, by: Finder, number: usize) -> Result<Hunt, String> {
        let mut command = match by {
            Finder::Worlds => {
                let mut command = Command::new(&programs.simulator);
                command.arg(WORLDS);
                command
            }
            Finder::Test(file, name) => {
                let mut command = Command::new("sh");
                command.args(["-c", LIMITED]).arg(&programs.tests[file]);
                command.args(["--exact", name, "--test-threads=1"]).current_dir(&programs.folder);
                command
            }
        };
        let child = command
            .env("PENSTOCK_MUTANT", number.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{by:?}: {error}"))?;
        Ok(Hunt { child, finder: by, began: Instant::now() })
    }

    /// Waits for the verdict.
    pub(crate) fn finish(mut self) -> End {
        // A watch ends what does not end by itself: reading its output is waiting.
        let mut said = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            let _ = output.read_to_string(&mut said);
        }
        let code = self.child.wait().ok().and_then(|status| status.code());
        let found = match self.finder {
            Finder::Worlds => found_by_worlds(&said),
            Finder::Test(_, name) => found_by_test(name, &said, code),
        };
        End { found, seconds: self.began.elapsed().as_secs_f64() }
    }
}

fn found_by_worlds(said: &str) -> Option<String> {
    let last = said.lines().last().unwrap_or("");
    match last.split_once(' ') {
        Some(("found", text)) => Some(text.to_owned()),
        // It told of every world that it survived; the next one ended the process.
        Some(("seed", seed)) => Some(format!("the world after {seed}: the process died")),
        _ => None,
    }
}

/// A test that is not there is none that fails.
fn found_by_test(name: &str, said: &str, code: Option<i32>) -> Option<String> {
    let has_run = said.contains("\nrunning 1 test\n");
    let how = match code {
        Some(0) if has_run => return None,
        Some(101) if has_run => "",
        _ if has_run => ", whose process died or did not end",
        _ => return None,
    };
    Some(format!("{name}{how}"))
}

/// The simulator runs for longer than it is built; the proxy's tests, each once, do not.
const BUILT_ONCE: &[&str] = &[
    "profile.sim.debug=false",
    "profile.sim.package.penstock-config.opt-level=1",
    "profile.sim.package.penstock-proxy.opt-level=1",
];

/// How many worlds a defect may survive.
const WORLDS: &str = "400";

/// A test of a moment is stopped when it has computed for so many seconds: not by the clock, since others
/// may have the processor. The simulator has a watch of its own.
const LIMITED: &str = "ulimit -t 40; exec \"$0\" \"$@\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let line =
            r#"{"reason":"compiler-artifact","executable":"/a/deps/worlds-0af","fresh":true}"#;
        assert_eq!(executable(line), Some(("worlds".into(), "/a/deps/worlds-0af".into())));
        assert_eq!(executable(r#"{"executable":null}"#), None);
    }

    #[test]
    fn only_a_test_that_ran_and_failed_has_found_something() {
        let said = "\nrunning 1 test\ntest a ... FAILED\n";
        assert_eq!(found_by_test("a", said, Some(101)).as_deref(), Some("a"));
        assert_eq!(found_by_test("a", said, Some(0)), None);
        assert_eq!(found_by_test("a", "\nrunning 0 tests\n", Some(0)), None);
        assert_eq!(found_by_test("a", "", Some(127)), None);
        assert!(found_by_test("a", said, None).is_some());
    }
}
