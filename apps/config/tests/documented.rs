//! Every keyword that the grammar takes is in `docs/configuration.md`.

use std::path::Path;

/// Files with tables of keywords, each entry beginning a line.
const TABLES: [&str; 10] = [
    "attributes.rs",
    "converters.rs",
    "fetches.rs",
    "global.rs",
    "listener.rs",
    "option.rs",
    "proxy.rs",
    "readymade.rs",
    "tables.rs",
    "timeout.rs",
];

#[test]
fn every_keyword_is_documented() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| {
        let path = here.join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let document = read("../../docs/configuration.md");
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    let words: Vec<&str> = document.split(|c| !inside(c)).collect();
    let is_there = |keyword: &str| {
        words.iter().any(|word| match word.split_once('*') {
            Some((begin, end)) if !begin.is_empty() => {
                keyword.starts_with(begin) && keyword.ends_with(end)
            }
            _ => word.trim_end_matches('.') == keyword,
        })
    };
    let mut missing = Vec::new();
    let mut count = 0;
    for table in TABLES {
        let text = read(&format!("src/haproxy/grammar/{table}"));
        for line in text.lines().map(str::trim_start) {
            let rest = line.strip_prefix("(\"").or_else(|| line.strip_prefix("entry!(\""));
            let Some((keyword, _)) = rest.and_then(|rest| rest.split_once("\",")) else { continue };
            // A message, or what HAProxy says of keywords that are gone.
            if keyword.contains(|c| !inside(c)) {
                continue;
            }
            count += 1;
            if !is_there(keyword) {
                missing.push(format!("{table}: {keyword}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/configuration.md lacks\n{}", missing.join("\n"));
    assert!(count > 300, "{count} keywords were found");
}
