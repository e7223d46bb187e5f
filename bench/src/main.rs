//! `penstock-bench`: measures, prints one table, keeps it in `bench/results.txt`, and fails when a
//! figure that must hold does not.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;
use std::{fs, thread};

use lexopt::{Arg, ValueExt};
use penstock_bench::apps::{self, Service};
use penstock_bench::callgrind::{self, Detail};
use penstock_bench::figures::{self, Extent};
use penstock_bench::flood::Pressure;
use penstock_bench::profile::functions;
use penstock_bench::report::{Report, Row};
use penstock_bench::scenario::{Counts, Scenario};
use penstock_bench::world::Meter;

const USAGE: &str = "\
usage: penstock-bench                    every row and figure, into bench/results.txt
       penstock-bench --quick            counts alone, in a minute; no clock, keeps nothing
       penstock-bench --list             the names of all rows
       penstock-bench --scenario NAME    one row
       penstock-bench --profile NAME     one row's most expensive functions
       penstock-bench --app NAME         one row of the applications
       penstock-bench --churn COUNT      what COUNT connections leave behind
       penstock-bench --wall             ratios of wall time alone: for a machine at rest";

/// What the command line asks for.
enum Task {
    Table(Extent),
    List,
    One(Scenario),
    Profile(String),
    Churn(u64),
    Wall,
    App(Service),
    Inside(Scenario, u64),
    InsideApp(Service),
    InsideChurn(u64),
    InsideFlood(Pressure),
    InsideRings(usize),
}

fn main() -> ExitCode {
    let result = match task() {
        Ok(task) => run(task),
        Err(error) => Err(format!("{error}\n{USAGE}")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("penstock-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn task() -> Result<Task, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let mut task = Task::Table(Extent::Full);
    while let Some(argument) = parser.next()? {
        let Arg::Long(word) = argument else {
            return Err(argument.unexpected());
        };
        task = match (word, task) {
            ("quick", _) => Task::Table(Extent::Quick),
            ("list", _) => Task::List,
            ("scenario", _) => Task::One(scenario(&mut parser)?),
            ("profile", _) => Task::Profile(parser.value()?.string()?),
            ("churn", _) => Task::Churn(parser.value()?.parse()?),
            ("wall", _) => Task::Wall,
            ("inside", _) => Task::Inside(scenario(&mut parser)?, CONNECTIONS),
            ("connections", Task::Inside(scenario, _)) => {
                Task::Inside(scenario, parser.value()?.parse()?)
            }
            ("app", _) => Task::App(service(&mut parser)?),
            ("inside-app", _) => Task::InsideApp(service(&mut parser)?),
            ("inside-churn", _) => Task::InsideChurn(parser.value()?.parse()?),
            ("inside-rings", _) => Task::InsideRings(parser.value()?.parse()?),
            ("inside-flood", _) => Task::InsideFlood(match parser.value()?.string()?.as_str() {
                "calm" => Pressure::Calm,
                _ => Pressure::Full,
            }),
            _ => return Err(argument.unexpected()),
        };
    }
    Ok(task)
}

fn scenario(parser: &mut lexopt::Parser) -> Result<Scenario, lexopt::Error> {
    let name = parser.value()?.string()?;
    Scenario::named(&name).ok_or_else(|| format!("no row is named {name}: see --list").into())
}

fn service(parser: &mut lexopt::Parser) -> Result<Service, lexopt::Error> {
    let name = parser.value()?.string()?;
    Service::named(&name).ok_or_else(|| format!("no application row is named {name}").into())
}

fn run(task: Task) -> Result<bool, String> {
    match task {
        Task::Table(extent) => table(extent),
        Task::List => {
            for scenario in Scenario::all() {
                println!("{scenario}");
            }
            for service in Service::ALL {
                println!("{service}");
            }
            Ok(true)
        }
        Task::One(scenario) => {
            let rows = vec![row(&scenario)?];
            print!("{}", Report { rows, ..Report::default() }.text(false));
            Ok(true)
        }
        Task::App(service) => {
            let served = vec![service.measure()?];
            print!("{}", Report { served, ..Report::default() }.text(false));
            Ok(true)
        }
        Task::InsideApp(service) => service.inside().map(|()| true),
        Task::Profile(name) => profile(&name),
        Task::Churn(connections) => {
            let mut report = Report::default();
            figures::churn(&mut report, connections)?;
            print!("{}", report.text(false));
            Ok(report.passed())
        }
        Task::Wall => {
            let mut report = Report::default();
            figures::wall(&mut report)?;
            print!("{}", report.text(false));
            Ok(report.passed())
        }
        Task::Inside(scenario, connections) => {
            let Counts { connections, frames, polls, allocations, time_wait, open, wall_ns: _ } =
                scenario.run(Meter::Instructions, connections)?;
            println!(
                "connections={connections} frames={frames} polls={polls} \
                 allocations={allocations} time_wait={time_wait} open={open}"
            );
            Ok(true)
        }
        Task::InsideFlood(pressure) => {
            figures::inside_flood(pressure);
            Ok(true)
        }
        Task::InsideRings(burst) => {
            figures::inside_rings(burst);
            Ok(true)
        }
        Task::InsideChurn(connections) => {
            figures::inside_churn(connections)?;
            Ok(true)
        }
    }
}

/// The whole table.
fn table(extent: Extent) -> Result<bool, String> {
    callgrind::present()?;
    let begin = Instant::now();
    let scenarios = match extent {
        Extent::Quick => Scenario::quick(),
        Extent::Full => Scenario::all(),
    };
    let mut report = Report::default();
    for row in rows(&scenarios)? {
        match row {
            Ok(row) => report.rows.push(row),
            Err(why) => report.failures.push(why),
        }
    }
    apps::all(&mut report);
    figures::all(&mut report, extent);
    println!("{}took {} s", report.text(false), begin.elapsed().as_secs());
    if extent == Extent::Full {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results.txt");
        let text = format!("{HEADER}{}", report.text(true));
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(report.passed())
}

/// All rows, on two cores: instruction counts do not mind company.
fn rows(scenarios: &[Scenario]) -> Result<Vec<Result<Row, String>>, String> {
    // The longest rows come last in the table; begin with them.
    let waiting = Mutex::new((0..scenarios.len()).collect::<Vec<usize>>());
    let done = Mutex::new(Vec::new());
    let work = || loop {
        let next = waiting.lock().ok().and_then(|mut waiting| waiting.pop());
        let Some(at) = next else { return };
        let row = row(&scenarios[at]);
        if let Ok(mut done) = done.lock() {
            done.push((at, row));
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let mut done = done.into_inner().map_err(|_| "a measuring thread panicked")?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, row)| row).collect())
}

fn row(scenario: &Scenario) -> Result<Row, String> {
    let run = callgrind::run(&["--inside", &scenario.to_string()], Detail::Caches)?;
    let number = |name| run.number(name).ok_or_else(|| format!("{scenario} printed no {name}"));
    let counts = Counts {
        connections: number("connections")?,
        frames: number("frames")?,
        polls: number("polls")?,
        allocations: number("allocations")?,
        time_wait: number("time_wait")?,
        open: number("open")?,
        wall_ns: 0,
    };
    let cost = *run.costs.first().ok_or("callgrind wrote no totals")?;
    Ok(Row { scenario: *scenario, counts, cost })
}

/// The most expensive functions of a row, and callgrind's file for a closer look.
fn profile(name: &str) -> Result<bool, String> {
    let (inside, counted, unit) = match Service::named(name) {
        Some(service) => ("--inside-app", "units", service.unit()),
        None if Scenario::named(name).is_some() => ("--inside", "connections", "connection"),
        None => return Err(format!("no row is named {name}: see --list")),
    };
    let run = callgrind::run(&[inside, name], Detail::Caches)?;
    let file = format!("callgrind.out.{name}");
    run.keep(Path::new(&file))?;
    let count = run.number(counted).unwrap_or(1) as f64;
    println!("instructions per {unit}; for lines: callgrind_annotate --auto=yes {file}");
    println!("{:>8} {:>10}  function", "own", "inclusive");
    for function in functions(&run.text()?).into_iter().take(40) {
        let [own, inclusive] =
            [function.own, function.inclusive].map(|instructions| instructions as f64 / count);
        println!("{own:8.0} {inclusive:10.0}  {}", function.name);
    }
    Ok(true)
}

/// Connections under the meter.
const CONNECTIONS: u64 = 4096;

const HEADER: &str = "\
# What a short HTTP connection costs: rewritten by `make bench`. Instructions are callgrind's, exact
# for one compiler and C library; caches are simulated (32 KB, 32 KB, 8 MB). Where a value is left
# out it is wall time, of which only the bound that it reached is kept.

";
