//! Proves that this repository keeps the rules of the tree; `src/` says what each of them is.

use std::path::{Path, PathBuf};
use std::process::Command;

use penstock_tree::{Source, arrows, citations, documents, manifests, sources};

#[test]
fn arrows_point_down() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let metadata = serde_json::from_slice(&answer.stdout).expect("cargo answers in JSON");
    let (names, found) = arrows::read(&metadata).expect("the shape that cargo documents");
    assert!(found.len() >= 2, "the stack stands on two packages: {found:?}");
    judge(arrows::complaints(arrows::FLOORS, &names, &found));
}

/// What runs on a bare machine, and nothing that it is made of, asks for the standard library.
#[test]
fn images_have_no_standard_library() {
    for image in IMAGES {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let answer = Command::new(cargo)
            .args(["tree", "--offline", "--locked", "--prefix=none", "-p", image])
            .args(["-e", "features,no-dev,no-build,no-proc-macro"])
            .args(["--target", "x86_64-unknown-linux-gnu"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let answer = String::from_utf8_lossy(&answer.stdout);
        assert!(answer.contains("penstock-kernel"), "{image} is no image:\n{answer}");
        let found = answer.lines().filter(|line| line.contains("feature \"std\""));
        judge(found.map(|line| format!("{image}: {line}")).collect());
    }
}

/// An image is built alone: what `cargo build` builds together shares features, and so would it.
#[test]
fn images_are_no_default_members() {
    let root = root_manifest();
    let list = root.split_once("default-members = [").and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = list.expect("the workspace names its default members");
    for folder in ["\"image\"", "\"kernel/probe\""] {
        assert!(!list.contains(folder), "{folder} is built with the others by default");
    }
}

fn root_manifest() -> String {
    std::fs::read_to_string(root().join("Cargo.toml")).expect("the root has a manifest")
}

/// Packages that are images for a bare machine.
const IMAGES: &[&str] = &["penstock-image", "penstock-probe"];

#[test]
fn manifests_pin_and_reason() {
    let tree = tree();
    let mut complaints = manifests::root_complaints(file(&tree, "Cargo.toml"));
    let members = tree.iter().filter(|source| {
        // Workspaces of their own: the fuzzing targets, as cargo-fuzz wants it, and what a driver by
        // others needs.
        let apart = ["fuzz/", "kernel/foreign/"];
        let is_apart = apart.iter().any(|folder| source.path.starts_with(folder));
        source.path.ends_with("/Cargo.toml") && !is_apart
    });
    complaints.extend(members.flat_map(manifests::member_complaints));
    judge(complaints);
}

#[test]
fn pure_packages_have_no_world() {
    let tree = tree();
    let roots = sources::PURE_FOLDERS.iter().map(|folder| format!("{folder}/src/lib.rs"));
    judge(roots.flat_map(|root| sources::pure_complaints(file(&tree, &root))).collect());
}

#[test]
fn sources_keep_their_manners() {
    judge(tree().iter().flat_map(sources::complaints).collect());
}

#[test]
fn citations_have_their_form() {
    // The rule's own examples of what it refuses are strings, not citations.
    judge(tree().iter().flat_map(citations::complaints).collect());
}

#[test]
fn documents_point_at_what_exists() {
    let tree = tree();
    let readme = file(&tree, "README.md");
    let (targets, mut complaints) = documents::targets(file(&tree, "Makefile"));
    let exists = |path: &str| root().join(path).exists();
    for source in &tree {
        complaints.extend(documents::host_complaints(source));
        complaints.extend(documents::link_complaints(source, &exists));
        complaints.extend(documents::command_complaints(source, &targets));
    }
    complaints.extend(documents::map_complaints(readme, &tree));
    judge(complaints);
}

#[test]
fn decisions_are_where_the_proxys_page_says() {
    let tree = tree();
    let page = file(&tree, "docs/proxy.md");
    judge(documents::decision_complaints(page, "apps/proxy/src", &tree));
}

/// The budgets of the stages add up to what the whole may take, 40 minutes on two cores.
#[test]
fn stages_fit_into_forty_minutes() {
    let tree = tree();
    let budgets = file(&tree, ".ci/test").lines().filter_map(|(_, line)| {
        let mut words = line.strip_prefix("stage ")?.split_whitespace().skip(1);
        words.next()?.parse::<u32>().ok()
    });
    let budgets: Vec<u32> = budgets.collect();
    assert!(budgets.len() >= 5, "the stages of .ci/test were not recognised: {budgets:?}");
    let total: u32 = budgets.iter().sum();
    assert!(total <= 40 * 60, "the budgets add up to {total} s");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tree() -> Vec<Source> {
    let tree = penstock_tree::read(&root()).expect("the tree can be read");
    assert!(tree.len() > 20, "only {} files were found", tree.len());
    tree
}

fn file<'a>(tree: &'a [Source], path: &str) -> &'a Source {
    tree.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("no {path}"))
}

/// Passes when there is nothing to complain about.
fn judge(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
