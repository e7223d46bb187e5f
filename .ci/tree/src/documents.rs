//! What documents point at must exist.
//!
//! Links between files, the `make` targets a reader is told to type, and the hosts an address
//! names: documentation, licences and standards, never a machine of somebody's own.

use crate::Source;

/// Hosts that the tree may name, and the addresses of examples: the reader's own machine, and the
/// network between it and a hosted process.
pub const HOSTS: &[&str] = &[
    "10.82.0.1",
    "10.82.0.2",
    "127.0.0.1",
    "crates.io",
    "doc.rust-lang.org",
    "docs.rs",
    "github.com",
    "keepachangelog.com",
    "rustup.rs",
    "semver.org",
    // HAProxy says it to whoever binds in vain.
    "tools.ietf.org",
    "www.apache.org",
    "www.rfc-editor.org",
];

/// Addresses in this file that lead to a host we do not name.
pub fn host_complaints(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in source.lines() {
        for (at, mark) in line.match_indices("://") {
            if !line[..at].ends_with("http") && !line[..at].ends_with("https") {
                continue;
            }
            let rest = &line[at + mark.len()..];
            let host = rest.split(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c)).next();
            let host = host.unwrap_or_default().trim_end_matches('.');
            // An empty one is a place to put a host.
            if !host.is_empty() && !HOSTS.contains(&host) {
                complaints.push(format!("{}:{number}: the host {host:?}", source.path));
            }
        }
    }
    complaints
}

/// Links of this document to files that do not exist. `exists` is asked for paths from the root.
pub fn link_complaints(document: &Source, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    if document.extension() != "md" {
        return Vec::new();
    }
    let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut complaints = Vec::new();
    for (number, line) in document.lines() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || link.contains("://") {
                continue;
            }
            let path = resolve(folder, file);
            if !exists(&path) {
                complaints.push(format!("{}:{number}: no file {path:?}", document.path));
            }
        }
    }
    complaints
}

/// Commands of this document, `make` and a word between backticks, that are no target.
pub fn command_complaints(document: &Source, targets: &[&str]) -> Vec<String> {
    if document.extension() != "md" {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in document.lines() {
        for command in line.split("`make ").skip(1) {
            let end = command.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let target = &command[..end.unwrap_or(command.len())];
            if !targets.contains(&target) {
                complaints.push(format!("{}:{number}: no target {target:?}", document.path));
            }
        }
    }
    complaints
}

/// The targets of a Makefile, and complaints about those that `make help` would not list.
pub fn targets(makefile: &Source) -> (Vec<&str>, Vec<String>) {
    let mut targets = Vec::new();
    let mut complaints = Vec::new();
    for (number, line) in makefile.lines() {
        let Some((target, rest)) = line.split_once(':') else { continue };
        let plain = target.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if target.is_empty() || !plain || rest.starts_with('=') {
            continue;
        }
        targets.push(target);
        if !rest.contains("## ") {
            complaints.push(format!("{}:{number}: say `## what it does`", makefile.path));
        }
    }
    (targets, complaints)
}

/// What a table of where things are decided names in its column "function" is there: files, which are those
/// of `folder` where they do not say another, and behind each its functions.
pub fn decision_complaints(page: &Source, folder: &str, sources: &[Source]) -> Vec<String> {
    let (mut complaints, mut is_decisions) = (Vec::new(), false);
    for (number, line) in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, decided, ..] = cells[..] else {
            is_decisions = false;
            continue;
        };
        is_decisions |= decided == "function";
        let mut place = None;
        for name in decided.split('`').skip(1).step_by(2).filter(|_| is_decisions) {
            if name.ends_with(".rs") {
                let path = match name.starts_with("apps/") || name.starts_with("netstack/") {
                    true => name.to_owned(),
                    false => format!("{folder}/{name}"),
                };
                place = sources.iter().find(|source| source.path == path);
            } else if let Some(place) = place {
                let has = |begin: &str| place.text.contains(&format!("fn {name}{begin}"));
                if has("(") || has("<") {
                    continue;
                }
            }
            if place.is_none() || !name.ends_with(".rs") {
                complaints.push(format!("{}:{number}: {name} is not there", page.path));
            }
        }
    }
    complaints
}

/// Top-level folders that the map in the README leaves out.
pub fn map_complaints(readme: &Source, sources: &[Source]) -> Vec<String> {
    let mut folders: Vec<&str> =
        sources.iter().filter_map(|source| Some(source.path.split_once('/')?.0)).collect();
    folders.dedup();
    folders.retain(|folder| !readme.text.contains(&format!("`{folder}/`")));
    folders.iter().map(|folder| format!("{}: its map lacks `{folder}/`", readme.path)).collect()
}

/// A path relative to a folder, as a path from the root.
fn resolve(folder: &str, file: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    //! Each kind of pointer is followed, and one that leads nowhere is named.

    use super::*;

    #[test]
    fn a_host_of_somebodys_own_is_named() {
        let text = format!("see {}://docs.rs/x and http{}s.example/y", "https", "://mirror");
        let complaints = host_complaints(&Source::new("a.md", &text));
        assert_eq!(complaints, ["a.md:1: the host \"mirrors.example\""]);
    }

    #[test]
    fn links_are_followed_from_the_folder_they_stand_in() {
        let text = "[a](start.md) [b](../README.md#map) [c](#here) [d](gone.md)";
        let exists = |path: &str| ["docs/start.md", "README.md"].contains(&path);
        let complaints = link_complaints(&Source::new("docs/x.md", text), &exists);
        assert_eq!(complaints, ["docs/x.md:1: no file \"docs/gone.md\""]);
    }

    #[test]
    fn a_command_must_be_a_target() {
        let document = Source::new("a.md", "`make check` and `make coffee SUGAR=1`");
        assert_eq!(command_complaints(&document, &["check"]), ["a.md:1: no target \"coffee\""]);
    }

    #[test]
    fn targets_are_listed_with_their_sentence() {
        let makefile = Source::new("Makefile", "A := b\n.PHONY: x\nx: ## Does x\n\ty: z\nq: x\n");
        let (targets, complaints) = targets(&makefile);
        assert_eq!(targets, ["x", "q"]);
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn what_decides_is_where_a_table_says() {
        let rows = "| why | function | |\n|---|---|---|\n| `x` | `a.rs` `one`, `two`; `b.rs` |\n\n| `c.rs` | `y` |\n";
        let page = Source::new("docs/a.md", rows);
        let sources = [Source::new("apps/a.rs", "fn one(): fn twofold<T>()")];
        let expected = ["docs/a.md:3: two is not there", "docs/a.md:3: b.rs is not there"];
        assert_eq!(decision_complaints(&page, "apps", &sources), expected);
    }

    #[test]
    fn the_map_names_every_folder() {
        let readme = Source::new("README.md", "| `docs/` |");
        let sources = [Source::new("docs/a.md", ""), Source::new("bench/b.rs", "")];
        assert_eq!(map_complaints(&readme, &sources), ["README.md: its map lacks `bench/`"]);
    }
}
