//! The rules of the tree, as code.
//!
//! A rule that only a reviewer knows is broken in the first hurried week. So what must hold for
//! every file and every package is written here once, as functions from text to complaints;
//! `tests/tree.rs` applies them to this repository, and each rule's own test shows it a text that
//! breaks it. Nothing here is part of the product.
//!
//! | file | keeps |
//! |---|---|
//! | `arrows.rs` | which package may depend on which |
//! | `manifests.rs` | each dependency pinned once, with its reason; `unsafe` denied by lint |
//! | `sources.rs` | length of files, words and names that have no place in them, `unsafe` |
//! | `citations.rs` | the form of the RFC sentences above branches and tests |
//! | `documents.rs` | links, hosts, and commands that documents name |
//!
//! A complaint is a sentence for a person that begins with `path:line`.

pub mod arrows;
pub mod citations;
pub mod documents;
pub mod manifests;
pub mod sources;

use std::path::Path;
use std::{fs, io};

/// A text file of the tree.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path from the root of the tree, with `/` between its parts.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// A file that exists only in a test.
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    /// What the name ends with behind its last dot; empty without one.
    pub fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&*self.path, |(_, name)| name)
    }

    /// Lines with their numbers, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every text file below `root`, in the order of their paths. Build output, fuzzing corpora and
/// git's own files are left out, and so is what is not UTF-8.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn read(root: &Path) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if OUTPUT.contains(&&*name) {
                continue;
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
            {
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

/// Names that `.gitignore` keeps out of the tree, and git's own.
const OUTPUT: [&str; 4] = [".git", "target", "corpus", "artifacts"];
