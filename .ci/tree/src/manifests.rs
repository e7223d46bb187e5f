//! What every `Cargo.toml` of the workspace must say.
//!
//! A dependency stands once, in the root's `[workspace.dependencies]`: pinned to one version, and
//! under a comment that says why this crate and not another. Packages are named after their
//! folder, and inherit the lints, among them the one that denies `unsafe`. The manifests are read
//! as lines, because a parser of TOML throws away the comments that this is about.

use crate::Source;

/// What is wrong with the root's manifest.
pub fn root_complaints(root: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut reason = false;
    let mut section = "";
    for (number, line) in root.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        } else if section == "[workspace.dependencies]" && line.contains('=') {
            let ours = line.starts_with("penstock-");
            if !ours && !reason {
                complaints.push(format!("{}:{number}: say above it why this crate", root.path));
            }
            if !ours && !line.contains("\"=") {
                complaints.push(format!("{}:{number}: pin it to one \"=version\"", root.path));
            }
        }
        // One comment may stand over several crates that come together.
        reason = line.starts_with('#') || (reason && !line.is_empty());
    }
    if !root.lines().any(|(_, line)| line.trim() == "unsafe_code = \"deny\"") {
        complaints.push(format!("{}: the workspace lints must deny unsafe_code", root.path));
    }
    complaints
}

/// What is wrong with a member's manifest.
pub fn member_complaints(member: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut section = "";
    let mut name = "";
    let mut inherits_lints = false;
    for (number, line) in member.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        } else if section == "[package]" {
            name = line.strip_prefix("name = ").map_or(name, |name| name.trim_matches('"'));
        } else if section == "[lints]" {
            inherits_lints |= line == "workspace = true";
        } else if section.ends_with("dependencies]")
            && line.contains('=')
            && !line.starts_with('#')
            && !line.contains("workspace = true")
        {
            let complaint = "take the version from [workspace.dependencies]";
            complaints.push(format!("{}:{number}: {complaint}", member.path));
        }
    }
    let folder = member.path.rsplit('/').nth(1).unwrap_or_default();
    if name.strip_prefix("penstock-") != Some(folder) {
        complaints.push(format!("{}: the package must be named penstock-{folder}", member.path));
    }
    if !inherits_lints {
        complaints.push(format!("{}: it must inherit the workspace's lints", member.path));
    }
    complaints
}

#[cfg(test)]
mod tests {
    //! Each of the manifests' rules refuses a manifest that breaks it, and only that one.

    use super::*;

    fn root(dependencies: &str) -> Vec<String> {
        let head = "[workspace.lints.rust]\nunsafe_code = \"deny\"\n[workspace.dependencies]\n";
        root_complaints(&Source::new("Cargo.toml", &format!("{head}{dependencies}")))
    }

    #[test]
    fn a_dependency_needs_its_reason_and_its_pin() {
        assert!(root("# Why.\na = \"=1.0.0\"\nb = { version = \"=2.0.0\" }\n").is_empty());
        assert!(root("penstock-x = { path = \"x\" }\n").is_empty());
        assert!(root("# Why.\na = \"=1.0.0\"\n\nb = \"=1.0.0\"\n")[0].contains("why this crate"));
        assert!(root("# Why.\na = \"1.0.0\"\n")[0].contains("pin it"));
    }

    #[test]
    fn unsafe_must_be_denied_for_all() {
        assert_eq!(root_complaints(&Source::new("Cargo.toml", "[workspace]\n")).len(), 1);
    }

    #[test]
    fn a_member_is_named_after_its_folder_and_inherits() {
        let good = "[package]\nname = \"penstock-x\"\n[lints]\nworkspace = true\n\
                    [dev-dependencies]\na.workspace = true\nb = { workspace = true }\n";
        let complaints = |text: &str| member_complaints(&Source::new("y/x/Cargo.toml", text));
        assert!(complaints(good).is_empty());
        assert_eq!(complaints(&good.replace("penstock-x", "x")).len(), 1);
        assert_eq!(complaints(&good.replace("[lints]", "[badges]")).len(), 1);
        assert_eq!(complaints(&format!("{good}c = \"=1.0.0\"\n")).len(), 1);
    }
}
