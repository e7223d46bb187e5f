//! What no file of the tree may be or say.

use crate::Source;

/// Lines at which a file asks to be two, and is refused.
pub const LINES_MAX: usize = 600;

/// Folders whose packages may contain `unsafe`, each for the reason its own documentation states.
/// A file there that does says so: the workspace's lints deny it, and it allows it for itself.
pub const UNSAFE_FOLDERS: &[&str] =
    &["drivers/hw/src/", "kernel/src/", "kernel/foreign/src/", "kernel/probe/src/"];

/// Packages that decide and touch nothing: without the standard library there is no clock, no
/// randomness, no thread and no input to reach for. Tests may have it.
pub const PURE_FOLDERS: &[&str] = &[
    "netstack/queue",
    "netstack/wire",
    "netstack/stack",
    "netstack/fault",
    "apps/config",
    "apps/http",
    "apps/proxy",
    "apps/relay",
    "apps/server",
];

/// What is wrong with the root module of a pure package.
pub fn pure_complaints(root: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    if !root.lines().any(|(_, line)| line == "#![no_std]") {
        complaints.push(format!("{}: it must be no_std: pure code has no world", root.path));
    }
    let mut previous = "";
    for (number, line) in root.lines() {
        if line.starts_with("extern crate std") && !previous.starts_with("#[cfg(") {
            complaints.push(format!("{}:{number}: the standard library, in tests only", root.path));
        }
        previous = line;
    }
    complaints
}

/// What is wrong with this file by itself.
pub fn complaints(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = source.text.lines().count();
    if !GENERATED.contains(&source.name()) && lines > LINES_MAX {
        complaints.push(format!("{}: over {LINES_MAX} lines: it asks to be two", source.path));
    }
    if source.extension() == "rs" && lines > STORYLESS_LINES_MAX && !source.text.starts_with("//!")
    {
        complaints.push(format!("{}:1: begin with `//!`: what this is, and why", source.path));
    }
    for part in source.path.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if VAGUE_NAMES.contains(&stem) {
            complaints.push(format!("{}: \"{stem}\" says nothing of what is inside", source.path));
        }
    }
    let rust = source.extension() == "rs";
    let unsafe_allowed = UNSAFE_FOLDERS.iter().any(|folder| source.path.starts_with(folder));
    for (number, line) in source.lines() {
        let mut complain =
            |what: &str| complaints.push(format!("{}:{number}: {what}", source.path));
        for (word, why) in FORBIDDEN {
            if contains_word(line, word) {
                complain(&format!("`{word}`: {why}"));
            }
        }
        if rust && line.contains(concat!("fn ge", "t_")) {
            complain("a name that begins with the verb says the cost: no getter prefix");
        }
        if rust && !unsafe_allowed && opens_unsafe(line) {
            complain("unsafe code outside the folders that may contain it");
        }
        if rust && !unsafe_allowed && allows_unsafe(line) {
            complain("the lint is switched off outside the folders that may do so");
        }
    }
    complaints
}

/// Whether the word stands in this line, and not as a part of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let begins = word.starts_with(|c: char| !c.is_alphanumeric());
        let ends = word.ends_with(|c: char| !c.is_alphanumeric());
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        (begins || !inside(before.chars().next_back())) && (ends || !inside(after.chars().next()))
    })
}

/// Whether the keyword itself stands in this line as code; the names of lints merely contain it.
fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("unsafe").any(|(at, keyword)| {
        let before = code[..at].chars().next_back();
        let after = code[at + keyword.len()..].trim_start();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"')
            && ["{", "(", "fn ", "impl", "extern", "trait"]
                .iter()
                .any(|next| after.starts_with(next))
    })
}

/// Whether this line switches the lint off.
fn allows_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default().trim_start();
    code.starts_with('#') && code.contains("unsafe_code") && !code.contains("forbid")
}

/// A file this short is its own story.
const STORYLESS_LINES_MAX: usize = 10;

/// Files that tools write: their length is not ours to choose.
const GENERATED: &[&str] = &["Cargo.lock"];

/// Names for files and folders that would fit any content.
const VAGUE_NAMES: &[&str] = &["utils", "util", "common", "misc", "helpers", "helper", "types"];

/// Words that mark something unfinished, something that waits for a clock, or a path that exists
/// on one machine only. They are written in two halves because this file is held to them too.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("todo", "!"), "finish it, or leave it out"),
    (concat!("unimplemented", "!"), "finish it, or leave it out"),
    (concat!("dbg", "!"), "left over from debugging"),
    (concat!("FIX", "ME"), "finish it, or leave it out"),
    (concat!("XX", "X"), "finish it, or leave it out"),
    (concat!("#[ig", "nore"), "a test that does not run proves nothing"),
    (concat!("thread::", "sleep"), "wait for a line or a state, with a deadline"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
];

#[cfg(test)]
mod tests {
    //! Each rule refuses a file that breaks it and lets the nearest innocent one pass.

    use super::*;

    fn count(path: &str, text: &str) -> usize {
        complaints(&Source::new(path, text)).len()
    }

    #[test]
    fn a_file_ends_somewhere() {
        assert_eq!(count("a.md", &"\n".repeat(LINES_MAX)), 0);
        assert_eq!(count("a.md", &"\n".repeat(LINES_MAX + 1)), 1);
        assert_eq!(count("Cargo.lock", &"\n".repeat(LINES_MAX + 1)), 0);
    }

    #[test]
    fn a_file_begins_with_its_story() {
        let code = "const A: u8 = 0;\n".repeat(STORYLESS_LINES_MAX);
        assert_eq!(count("a.rs", &code), 0);
        assert_eq!(count("a.rs", &format!("{code}\n\n")), 1);
        assert_eq!(count("a.rs", &format!("//! What this is.\n{code}")), 0);
    }

    #[test]
    fn pure_code_has_no_world() {
        let count = |text: &str| pure_complaints(&Source::new("lib.rs", text)).len();
        assert_eq!(count("//! A story.\n#![no_std]\n#[cfg(test)]\nextern crate std;\n"), 0);
        assert_eq!(count("//! A story.\n#![no_std]\nextern crate std;\n"), 1);
        assert_eq!(count("//! A story.\n"), 1);
    }

    #[test]
    fn a_name_says_what_is_inside() {
        assert_eq!(count("netstack/stack/src/utils.rs", ""), 1);
        assert_eq!(count("netstack/common/src/lib.rs", ""), 1);
        assert_eq!(count("netstack/stack/src/wheel.rs", ""), 0);
    }

    #[test]
    fn unfinished_words_are_refused() {
        for (word, _) in FORBIDDEN {
            assert_eq!(count("a.rs", &format!("    {word}")), 1, "{word}");
        }
        assert_eq!(count("a.rs", concat!("XX", "XX:XX", "XX")), 0);
    }

    #[test]
    fn a_getter_prefix_is_refused_in_code_only() {
        let line = concat!("pub fn ge", "t_mtu()");
        assert_eq!(count("a.rs", line), 1);
        assert_eq!(count("a.md", line), 0);
    }

    #[test]
    fn the_keyword_unsafe_is_told_from_its_lints() {
        for line in ["unsafe {", "unsafe { y };", "unsafe fn f()", "unsafe impl Send"] {
            assert_eq!(count("netstack/wire/src/a.rs", line), 1, "{line}");
        }
        for line in ["#![forbid(unsafe_code)]", "// unsafe { }", "undocumented_unsafe_blocks"] {
            assert_eq!(count("netstack/wire/src/a.rs", line), 0, "{line}");
        }
    }

    #[test]
    fn the_lint_is_switched_off_in_some_folders_only() {
        let line = "#![allow(unsafe_code)]";
        assert_eq!(count("netstack/wire/src/a.rs", line), 1);
        assert_eq!(count("drivers/hw/src/a.rs", line), 0);
        assert_eq!(count("netstack/wire/src/a.rs", "#[expect(unsafe_code)]"), 1);
    }
}
