//! Planted defects: a simulator that finds nothing wrong has to show that it would.
//!
//! The product knows nothing of this. The workspace is copied to `target/mutants`, each defect of
//! [`table::MUTANTS`] is written into the copy behind a switch, the copy is built once, and its
//! simulator runs world after world with one switch on until a rule breaks. A defect that survives,
//! or whose place is no longer in the source, fails the run.

mod table;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use table::{MUTANTS, Mutant};

/// Plants all defects, or one, and hunts them.
pub(crate) fn main(only: Option<&str>) -> ExitCode {
    match hunt_all(only) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(survivors) => {
            println!("{survivors} survived");
            ExitCode::FAILURE
        }
        Err(text) => {
            eprintln!("penstock-sim: {text}");
            ExitCode::FAILURE
        }
    }
}

/// How many survived.
fn hunt_all(only: Option<&str>) -> Result<usize, String> {
    let root = workspace();
    let copy = root.join("target/mutants");
    plant(&root, &copy)?;
    let simulator = build(&copy)?;
    let chosen: Vec<(usize, &Mutant)> = MUTANTS
        .iter()
        .enumerate()
        .filter(|(_, mutant)| only.is_none_or(|name| mutant.name == name))
        .collect();
    if chosen.is_empty() {
        return Err("no such mutant".into());
    }
    println!("{:<53} {:>6}  found by", "defect", "seed");
    let mut survivors = 0;
    for pair in chosen.chunks(2) {
        let hunts: Vec<Hunt> = pair
            .iter()
            .map(|(number, _)| Hunt::start(&simulator, number + 1))
            .collect::<Result<_, _>>()?;
        for (hunt, (_, mutant)) in hunts.into_iter().zip(pair) {
            let found = hunt.finish();
            let seed = found.seed.map_or("-".to_owned(), |seed| seed.to_string());
            println!("{:<53} {seed:>6}  {}", mutant.name, found.text);
            survivors += found.seed.is_none() as usize;
        }
    }
    println!("{} defects, {survivors} survived", chosen.len());
    Ok(survivors)
}

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Copies the workspace with every defect in it.
fn plant(root: &Path, copy: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    for name in ["Cargo.toml", "Cargo.lock"] {
        files.push(PathBuf::from(name));
    }
    let manifest =
        fs::read_to_string(root.join("Cargo.toml")).map_err(|error| error.to_string())?;
    for folder in members(&manifest) {
        list(root, Path::new(folder), &mut files).map_err(|error| format!("{folder}: {error}"))?;
    }
    let mut planted = vec![0usize; MUTANTS.len()];
    for file in &files {
        let bytes =
            fs::read(root.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => alter(file, text, &mut planted).into_bytes(),
            Err(not_text) => not_text.into_bytes(),
        };
        write_if_changed(&copy.join(file), &bytes).map_err(|error| error.to_string())?;
    }
    for folder in SWITCHED {
        let switch = Path::new(folder).join("src/mutant.rs");
        write_if_changed(&copy.join(&switch), SWITCH.as_bytes())
            .map_err(|error| error.to_string())?;
        files.push(switch);
    }
    remove_others(copy, &files).map_err(|error| error.to_string())?;
    for (mutant, count) in MUTANTS.iter().zip(planted) {
        if count != 1 {
            let Mutant { name, file, .. } = mutant;
            return Err(format!("mutant '{name}': its place is {count} times in {file}, not once"));
        }
    }
    Ok(())
}

/// A file's text with the defects that belong into it, and the switch's declaration.
fn alter(file: &Path, mut text: String, planted: &mut [usize]) -> String {
    for (number, mutant) in MUTANTS.iter().enumerate() {
        if Path::new(mutant.file) != file {
            continue;
        }
        planted[number] = text.matches(mutant.find).count();
        let switch = format!("crate::mutant::is({})", number + 1);
        text = text.replacen(mutant.find, &mutant.planted.replace("MUTANT", &switch), 1);
    }
    let is_root = |folder: &&&str| file == Path::new(folder).join("src/lib.rs");
    if SWITCHED.iter().find(is_root).is_some() {
        text.push_str("\n#[doc(hidden)]\n#[allow(missing_docs)]\npub mod mutant;\n");
    }
    if file == Path::new("netstack/sim/src/main.rs") {
        return HUNTER.to_owned();
    }
    text
}

/// The workspace's members, out of its manifest.
fn members(manifest: &str) -> Vec<&str> {
    let Some((_, rest)) = manifest.split_once("\nmembers = [") else { return Vec::new() };
    let Some((list, _)) = rest.split_once(']') else { return Vec::new() };
    list.split('"').skip(1).step_by(2).collect()
}

fn list(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                list(root, &path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Unchanged files keep their times, so that only what changed is built again.
fn write_if_changed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

/// Removes from the copy what the workspace has no more.
fn remove_others(copy: &Path, files: &[PathBuf]) -> io::Result<()> {
    let mut present = Vec::new();
    list(copy, Path::new(""), &mut present)?;
    for file in present.iter().filter(|file| !files.contains(file)) {
        fs::remove_file(copy.join(file))?;
    }
    Ok(())
}

fn build(copy: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "--profile", "sim", "-p", "penstock-sim"])
        .args(["--config", "build.rustflags=['-Awarnings']"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err("the planted copy does not build; its text is in target/mutants".into());
    }
    Ok(copy.join("target/sim/penstock-sim"))
}

/// A simulator at work with one switch on.
struct Hunt {
    child: Child,
    began: Instant,
}

/// How it went.
struct Found {
    seed: Option<u64>,
    text: String,
}

impl Hunt {
    fn start(simulator: &Path, mutant: usize) -> Result<Hunt, String> {
        let child = Command::new(simulator)
            .args([mutant.to_string(), SEEDS.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", simulator.display()))?;
        Ok(Hunt { child, began: Instant::now() })
    }

    /// Waits for the verdict. A world that never ends is one, too.
    fn finish(mut self) -> Found {
        // The hunter ends by itself, or its own watch ends it: reading its output is waiting.
        let mut said = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            let _ = output.read_to_string(&mut said);
        }
        let _ = self.child.wait();
        let last = said.lines().last().unwrap_or("");
        let seconds = self.began.elapsed().as_secs_f64();
        let (word, rest) = last.split_once(' ').unwrap_or((last, ""));
        let (seed, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "found" => Found { seed: seed.parse().ok(), text: format!("{text} ({seconds:.1} s)") },
            // It told of every world that it survived; the next one ended the process.
            "seed" => Found {
                seed: seed.parse().ok().map(|seed: u64| seed + 1),
                text: "the process died".into(),
            },
            _ => Found { seed: None, text: format!("SURVIVED {SEEDS} worlds ({seconds:.1} s)") },
        }
    }
}

/// How many worlds a defect may survive.
const SEEDS: u64 = 400;

/// Crates that may hold a switch.
const SWITCHED: &[&str] = &["netstack/queue", "netstack/wire", "netstack/stack"];

/// The switch, in each of them.
const SWITCH: &str = "\
use core::sync::atomic::{AtomicU32, Ordering};
static ACTIVE: AtomicU32 = AtomicU32::new(0);
pub fn switch_on(number: u32) { ACTIVE.store(number, Ordering::Relaxed); }
#[inline]
pub fn is(number: u32) -> bool { ACTIVE.load(Ordering::Relaxed) == number }
";

/// The copy's simulator: one defect, many seeds, a line for each; and a watch for the world that
/// does not end.
const HUNTER: &str = r#"
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>().expect("a number"));
    let mutant = words.next().expect("a mutant") as u32;
    let seeds = words.next().expect("a count");
    penstock_queue::mutant::switch_on(mutant);
    penstock_wire::mutant::switch_on(mutant);
    penstock_stack::mutant::switch_on(mutant);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        std::panic::set_hook(Box::new(|_| {}));
        for seed in 0..seeds {
            let ran = penstock_sim::run_seed(seed);
            if tell.send((seed, ran.err())).is_err() { return; }
        }
    });
    for seed in 0..seeds {
        let began = computed_seconds();
        let ran = loop {
            match told.recv_timeout(Duration::from_millis(500)) {
                // A world takes milliseconds. Not of the clock: others may have the processor.
                Err(RecvTimeoutError::Timeout) if computed_seconds() < began + 5 => {}
                told => break told,
            }
        };
        match ran {
            Ok((_, None)) => println!("seed {seed}"),
            Ok((_, Some(failure))) => {
                let text = failure.text.lines().next().unwrap_or("").to_owned();
                println!("found {seed} {text}");
                std::process::exit(0);
            }
            Err(_) => {
                println!("found {seed} Ends: the world does not end");
                std::process::exit(0);
            }
        }
    }
    println!("survived");
}
/// What this process has had of the processors: `utime` and `stime` of proc(5), in hundredths.
fn computed_seconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a process");
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum::<u64>() / 100
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of defects is alive only while every place is in the source.
    #[test]
    fn every_place_is_in_the_source_once_and_every_name_is_used_once() {
        let root = workspace();
        for (number, mutant) in MUTANTS.iter().enumerate() {
            let text = fs::read_to_string(root.join(mutant.file)).unwrap_or_default();
            assert_eq!(text.matches(mutant.find).count(), 1, "{}: {}", mutant.file, mutant.name);
            assert!(mutant.planted.contains("MUTANT"), "{}", mutant.name);
            assert!(MUTANTS[..number].iter().all(|other| other.name != mutant.name));
        }
    }

    #[test]
    fn what_the_workspace_has_no_more_leaves_the_copy() -> io::Result<()> {
        let copy = std::env::temp_dir().join(format!("penstock-mutants-{}", std::process::id()));
        for file in ["a/src/lib.rs", "a/tests/gone.rs", "target/kept"] {
            write_if_changed(&copy.join(file), b"")?;
        }
        remove_others(&copy, &["a/src/lib.rs".into()])?;
        let is_there =
            ["a/src/lib.rs", "a/tests/gone.rs", "target/kept"].map(|file| copy.join(file).exists());
        fs::remove_dir_all(&copy)?;
        assert_eq!(is_there, [true, false, true]);
        Ok(())
    }

    #[test]
    fn members_are_read_from_the_manifest() {
        let manifest = "[workspace]\nmembers = [\"a/b\", \"c\"]\n";
        assert_eq!(members(manifest), ["a/b", "c"]);
    }
}
