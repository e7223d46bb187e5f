//! Every script of `ladders/` holds, over both families.

use std::path::{Path, PathBuf};

use penstock_sim::Ladder;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ladders");
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut scripts: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be read").path()).collect();
    scripts.sort();
    scripts
}

/// The first complaint about a script, with the command that shows it again.
fn complaint(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).expect("it can be read");
    let replay = format!("cargo run -p penstock-sim -- ladder {}", path.display());
    if !text.starts_with("# ") {
        return Some(format!("{}: its first line does not say what it proves", path.display()));
    }
    let script = match Ladder::parse(&text) {
        Ok(script) => script,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    for (family, option) in [(0, "--v4"), (1, "--v6")] {
        if let (true, Err(failure)) = (script.is_about(family), script.run(family)) {
            return Some(format!("{failure}\n  replay: {replay} {option}\n"));
        }
    }
    None
}

/// The table of requirements names scripts that are there.
#[test]
fn every_script_that_is_pointed_at_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = here.join("../../docs/rfc9293.md");
    let text = std::fs::read_to_string(&table).expect("the table is there");
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let is_script = |name: &&str| name.contains('-') && !name.contains(['.', '/', ' ']);
    let names: Vec<&str> = quoted.filter(is_script).collect();
    assert!(names.len() > 50, "only {} scripts are named", names.len());
    for name in names {
        let path = here.join("ladders").join(name).with_extension("ladder");
        assert!(path.exists(), "{name}: named in {}, and not there", table.display());
    }
}

#[test]
fn every_script_holds() {
    let scripts = scripts();
    assert!(scripts.len() > 100, "only {} scripts were found", scripts.len());
    let complaints: Vec<String> = scripts.iter().filter_map(|path| complaint(path)).collect();
    let count = complaints.len();
    assert!(complaints.is_empty(), "{count} of {}:\n{}", scripts.len(), complaints.join("\n"));
}
