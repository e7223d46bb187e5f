//! Planted defects: tests that find nothing wrong have to show that they would.
//!
//! The product knows nothing of this. The workspace is copied to `target/mutants`, each defect of
//! [`stack::MUTANTS`] and [`proxy::MUTANTS`] is written into the copy behind a switch, and the copy
//! is built once ([`copy`]). Then, with one switch on at a time ([`hunt`]), its simulator runs world
//! after world until a rule breaks, or the one test that is there for this defect has to fail. A
//! defect that survives, or whose place is no longer in the source, fails the run; so does a test
//! that fails with nothing planted.
//!
//! `penstock-mutants [NAME]`: all of them, or one.

mod copy;
mod hunt;
mod proxy;
mod stack;

use std::collections::BTreeSet;
use std::process::ExitCode;

use hunt::{Hunt, Programs};

/// A defect to be planted.
struct Mutant {
    /// What is wrong, in a few words.
    name: &'static str,
    /// The file, from the workspace's root.
    file: &'static str,
    /// Text that stands there once.
    find: &'static str,
    /// What replaces it; `MUTANT` becomes the switch, an expression that is true when it is on.
    planted: &'static str,
    found_by: Finder,
}

/// What has to find a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finder {
    /// The simulator's worlds.
    Worlds,
    /// A test of the proxy: its file below `tests/`, or `UNIT`, and its name.
    Test(&'static str, &'static str),
}

/// Where the tests of the proxy's own files are.
const UNIT: &str = "penstock_proxy";

fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    match hunt_all(only.as_deref()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(survivors) => {
            println!("{survivors} survived");
            ExitCode::FAILURE
        }
        Err(text) => {
            eprintln!("penstock-mutants: {text}");
            ExitCode::FAILURE
        }
    }
}

/// All defects and the numbers of their switches.
fn mutants() -> impl Iterator<Item = (usize, &'static Mutant)> {
    (1..).zip(stack::MUTANTS.iter().chain(proxy::MUTANTS))
}

/// How many survived.
fn hunt_all(only: Option<&str>) -> Result<usize, String> {
    let chosen: Vec<_> =
        mutants().filter(|(_, mutant)| only.is_none_or(|name| mutant.name == name)).collect();
    if chosen.is_empty() {
        return Err("no such mutant".into());
    }
    let copy = copy::plant()?;
    let programs = Programs::build(&copy)?;
    let finders: BTreeSet<Finder> = chosen.iter().map(|(_, mutant)| mutant.found_by).collect();
    for finder in finders.into_iter().filter(|finder| *finder != Finder::Worlds) {
        if let Some(how) = Hunt::start(&programs, finder, NOTHING)?.finish().found {
            return Err(format!("{finder:?} fails with nothing planted: {how}"));
        }
    }
    println!("{:<58} seconds  found by", "defect");
    let mut survivors = 0;
    // As many at a time as a small machine has cores.
    for pair in chosen.chunks(2) {
        let start =
            |(number, mutant): &(usize, &Mutant)| Hunt::start(&programs, mutant.found_by, *number);
        let hunts: Vec<Hunt> = pair.iter().map(start).collect::<Result<_, _>>()?;
        for (hunt, (_, mutant)) in hunts.into_iter().zip(pair) {
            let end = hunt.finish();
            let text = end.found.as_deref().unwrap_or("SURVIVED");
            println!("{:<58} {:5.1} s  {text:.100}", mutant.name, end.seconds);
            survivors += end.found.is_none() as usize;
        }
    }
    println!("{} defects, {survivors} survived", chosen.len());
    Ok(survivors)
}

/// The number of no switch.
const NOTHING: usize = 0;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The list of defects is alive only while every place is in the source.
    #[test]
    fn every_place_is_in_the_source_once_and_every_name_is_used_once() {
        let root = copy::workspace();
        let mut names = BTreeSet::new();
        for (_, mutant) in mutants() {
            let text = fs::read_to_string(root.join(mutant.file)).unwrap_or_default();
            assert_eq!(text.matches(mutant.find).count(), 1, "{}: {}", mutant.file, mutant.name);
            assert!(mutant.planted.contains("MUTANT"), "{}", mutant.name);
            assert!(names.insert(mutant.name), "{} is there twice", mutant.name);
        }
    }
}
