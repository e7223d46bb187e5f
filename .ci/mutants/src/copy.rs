//! The copy of the workspace, with every defect in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Mutant, mutants};

/// The workspace that this was built from.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Copies the workspace, plants, and says where.
pub(crate) fn plant() -> Result<PathBuf, String> {
    let root = workspace();
    let copy = root.join("target/mutants");
    let mut files = Vec::new();
    for name in ["Cargo.toml", "Cargo.lock"] {
        files.push(PathBuf::from(name));
    }
    let manifest =
        fs::read_to_string(root.join("Cargo.toml")).map_err(|error| error.to_string())?;
    for folder in members(&manifest) {
        list(&root, Path::new(folder), &mut files).map_err(|error| format!("{folder}: {error}"))?;
    }
    let mut planted = vec![0usize; mutants().count()];
    for file in &files {
        let bytes =
            fs::read(root.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => alter(file, text, &mut planted).into_bytes(),
            Err(not_text) => not_text.into_bytes(),
        };
        write_if_changed(&copy.join(file), &bytes).map_err(|error| error.to_string())?;
    }
    for folder in SWITCHES {
        let switch = Path::new(folder).join("src/mutant.rs");
        write_if_changed(&copy.join(&switch), SWITCH.as_bytes())
            .map_err(|error| error.to_string())?;
        files.push(switch);
    }
    remove_others(&copy, &files).map_err(|error| error.to_string())?;
    for ((_, mutant), count) in mutants().zip(planted) {
        if count != 1 {
            let Mutant { name, file, .. } = mutant;
            return Err(format!("mutant '{name}': its place is {count} times in {file}, not once"));
        }
    }
    Ok(copy)
}

/// A file's text with the defects that belong into it, and the switch's declaration.
fn alter(file: &Path, mut text: String, planted: &mut [usize]) -> String {
    let of_switches = SWITCHES.iter().any(|folder| file.starts_with(folder));
    let switch = if of_switches { "crate::mutant" } else { "penstock_wire::mutant" };
    for (number, mutant) in mutants() {
        if Path::new(mutant.file) != file {
            continue;
        }
        planted[number - 1] = text.matches(mutant.find).count();
        let is_on = format!("{switch}::is({number})");
        text = text.replacen(mutant.find, &mutant.planted.replace("MUTANT", &is_on), 1);
    }
    if SWITCHES.iter().any(|folder| file == Path::new(folder).join("src/lib.rs")) {
        text.push_str("\n#[doc(hidden)]\n#[allow(missing_docs)]\npub mod mutant;\n");
    }
    for (entrance, opening) in ENTRANCES {
        if file == Path::new(entrance) {
            text = text.replacen(opening, &format!("{opening}\n{READ}"), 1);
        }
    }
    if file == Path::new("netstack/sim/src/main.rs") {
        return SIMULATOR.replace("READ", READ);
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

/// Packages that hold the switch: the two that all others are built on.
const SWITCHES: &[&str] = &["netstack/queue", "netstack/wire"];

/// The switch, in each of them. Reading it allocates, once: worlds do so before they forbid it.
const SWITCH: &str = "\
extern crate std;
use core::sync::atomic::{AtomicU32, Ordering};
static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);
#[inline]
pub fn is(number: u32) -> bool {
    match ACTIVE.load(Ordering::Relaxed) {
        u32::MAX => read() == number,
        active => active == number,
    }
}
#[cold]
fn read() -> u32 {
    let number = std::env::var(\"PENSTOCK_MUTANT\").ok().and_then(|text| text.parse().ok());
    ACTIVE.store(number.unwrap_or(0), Ordering::Relaxed);
    number.unwrap_or(0)
}
";

/// Reads both switches.
const READ: &str = "    let _ = (penstock_queue::mutant::is(0), penstock_wire::mutant::is(0));";

/// Functions that a world begins with: a file, and a line that opens one.
const ENTRANCES: &[(&str, &str)] = &[("apps/world/src/hosts.rs", ") -> Vec<Worker<Cable, A>> {")];

/// The copy's simulator: many seeds until one fails, told in the last line, and a watch for the world
/// that does not end.
const SIMULATOR: &str = r#"
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
fn main() {
READ
    let seeds: u64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).expect("a count");
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
                println!("found world {seed}: {text}");
                std::process::exit(0);
            }
            Err(_) => {
                println!("found world {seed}: it does not end");
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

    /// Without its entrance a world would read the switch where it must not allocate.
    #[test]
    fn every_entrance_is_in_the_source_once() -> io::Result<()> {
        for (file, opening) in ENTRANCES {
            let text = fs::read_to_string(workspace().join(file))?;
            assert_eq!(text.matches(opening).count(), 1, "{file}");
        }
        Ok(())
    }
}
