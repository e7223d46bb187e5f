//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

use crate::ladder::Script as Ladder;
use crate::plan::Plan;
use crate::smoke::smoke;
use crate::trace::Trace;
use crate::world::World;

const HELP: &str = "\
penstock-sim: a deterministic world in which anything can go wrong

  penstock-sim SEED [--trace] [--pcap FILE]   run one world and tell its story
  penstock-sim smoke [N] [--from SEED] [--failures N]
                                              run many worlds (1000 from seed 0)
  penstock-sim ladder FILE... [--v4] [--v6]   run ladder scripts and show what passes
  penstock-sim --help                         this text

A seed is a whole world: the same seed tells the same story every time.
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    Replay { seed: u64, prints: bool, pcap: Option<PathBuf> },
    Smoke { worlds: u64, from: u64, failures: usize },
    Ladder { files: Vec<PathBuf>, families: [bool; 2] },
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let command = match parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("penstock-sim: {error}; try --help");
            return ExitCode::from(2);
        }
    };
    match command {
        Command::Help => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Command::Replay { seed, prints, pcap } => replay(seed, prints, pcap),
        Command::Smoke { worlds, from, failures } => run_smoke(worlds, from, failures),
        Command::Ladder { files, families } => run_ladders(&files, families),
    }
}

fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(words);
    let mut name: Option<String> = None;
    let (mut prints, mut pcap) = (false, None);
    let (mut worlds, mut from, mut failures) = (1000, 0, 1);
    let (mut files, mut families) = (Vec::new(), [false; 2]);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("trace") => prints = true,
            Long("pcap") => pcap = Some(parser.value()?.into()),
            Long("worlds") => worlds = parser.value()?.parse()?,
            Long("from") => from = parser.value()?.parse()?,
            Long("failures") => failures = parser.value()?.parse()?,
            Long("v4") => families[0] = true,
            Long("v6") => families[1] = true,
            Value(value) if name.is_none() => name = Some(value.string()?),
            Value(value) if name.as_deref() == Some("ladder") => files.push(value.into()),
            Value(value) if name.as_deref() == Some("smoke") => worlds = value.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    match name.as_deref() {
        None => Ok(Command::Help),
        Some("smoke") => Ok(Command::Smoke { worlds, from, failures }),
        Some("ladder") => {
            if families == [false; 2] {
                families = [true; 2];
            }
            Ok(Command::Ladder { files, families })
        }
        Some(seed) => {
            let seed = seed
                .parse()
                .map_err(|_| format!("'{seed}' is neither a seed nor 'smoke' or 'ladder'"))?;
            Ok(Command::Replay { seed, prints, pcap })
        }
    }
}

fn replay(seed: u64, prints: bool, pcap: Option<PathBuf>) -> ExitCode {
    let plan = Plan::of(seed);
    println!("{plan}");
    let mut trace = Trace::story();
    if prints {
        trace = trace.printing();
    }
    if let Some(path) = pcap {
        trace = match trace.capturing(&path) {
            Ok(trace) => trace,
            Err(error) => {
                eprintln!("penstock-sim: {}: {error}", path.display());
                return ExitCode::from(2);
            }
        };
    }
    let outcome = World::new(plan, trace).run();
    print!("{outcome}");
    if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_smoke(worlds: u64, from: u64, failures: usize) -> ExitCode {
    let progress = |done: u64| {
        if done.is_multiple_of(100) {
            eprintln!("{done} of {worlds} worlds");
        }
    };
    let smoke = smoke(from, worlds, failures, progress);
    for failure in &smoke.failures {
        println!("seed {}: {}", failure.seed, failure.text);
        println!("  replay: cargo run -p penstock-sim -- {}", failure.seed);
    }
    println!(
        "{} worlds, {} frames, {} failed, {:.1} s",
        smoke.worlds,
        smoke.frames,
        smoke.failures.len(),
        smoke.seconds
    );
    if smoke.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_ladders(files: &[PathBuf], families: [bool; 2]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let name = file.display();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("penstock-sim: {name}: {error}");
                return ExitCode::from(2);
            }
        };
        let ladder = match Ladder::parse(&text) {
            Ok(ladder) => ladder,
            Err(error) => {
                eprintln!("penstock-sim: {name}: {error}");
                return ExitCode::from(2);
            }
        };
        for (family, label) in [(0, "IPv4"), (1, "IPv6")] {
            if !families[family] || !ladder.is_about(family) {
                continue;
            }
            println!("{name}, {label}");
            match ladder.run(family) {
                Ok(transcript) => print!("{transcript}"),
                Err(failure) => {
                    println!("{failure}");
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, lexopt::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn each_command_is_understood() {
        assert_eq!(
            parsed("17 --trace").ok(),
            Some(Command::Replay { seed: 17, prints: true, pcap: None })
        );
        assert_eq!(
            parsed("smoke 5").ok(),
            Some(Command::Smoke { worlds: 5, from: 0, failures: 1 })
        );
        let files = vec![PathBuf::from("a"), PathBuf::from("b")];
        assert_eq!(
            parsed("ladder a b --v6").ok(),
            Some(Command::Ladder { files, families: [false, true] })
        );
        assert!(parsed("bananas").is_err());
    }
}
