//! What is said of a configuration is what HAProxy says of it, byte by byte.
//!
//! `tests/haproxy/*.cfg` are configurations, most with mistakes; beside each is what HAProxy 2.6.12
//! wrote about it, recorded by `apps/config/compare --record`. Notices are ours alone, and lines that
//! name program and process are left out. `make cfg-test` asks the real program again.

use std::fs;
use std::path::{Path, PathBuf};

use penstock_config::haproxy::grammar::{self, File, Input, Reading, Severity};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/haproxy")
}

fn read(name: &str, bytes: &[u8]) -> Reading {
    let file = File { name, bytes };
    grammar::read(&Input::of(&[file]))
}

fn said(reading: &Reading) -> String {
    let heard = reading.messages.iter().filter(|message| message.severity != Severity::Notice);
    let mut text: String = heard.map(|message| format!("{}\n", message.line(0))).collect();
    if let Some(proxies) = &reading.proxies {
        if reading.has_warnings() {
            text += "Warnings were found.\n";
        }
        text += match proxies.has_listener() {
            true => "Configuration file is valid\n",
            false => {
                "Configuration file has no error but will not start (no listener) => exit(2).\n"
            }
        };
    }
    text
}

#[test]
fn every_recording() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).expect("the folder of recordings") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "cfg") {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let recorded = fs::read_to_string(path.with_extension("txt")).expect(&name);
        let said = said(&read(&name, &fs::read(&path).expect(&name)));
        if let Some((ours, theirs)) =
            said.lines().zip(recorded.lines()).find(|(ours, theirs)| ours != theirs)
        {
            panic!("{name}: we say\n  {ours}\nand HAProxy\n  {theirs}");
        }
        assert_eq!(said, recorded, "{name}: one of the two says more");
        count += 1;
    }
    assert!(count > 20, "only {count} recordings were found");
}
