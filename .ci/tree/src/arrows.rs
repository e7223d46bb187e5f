//! Which package of ours may depend on which.
//!
//! Arrows point down: the stack knows nothing of machines and drivers, an application knows
//! nothing of either, and only the image knows everything. `FLOORS` is the whole picture; a
//! package without a line in it is a complaint, so that a new one is placed by decision. The
//! emulated card shares the register table with the driver, and nothing else: a driver tested
//! against itself proves nothing. Dependencies of tests are free: a test may look at its package
//! from above.

use serde_json::Value;

/// A package, and the packages of ours it may name.
pub const FLOORS: &[(&str, &[&str])] = &[
    ("penstock-queue", &[]),
    ("penstock-wire", &[]),
    ("penstock-stack", &["penstock-queue", "penstock-wire"]),
    ("penstock-fault", &["penstock-queue", "penstock-wire", "penstock-stack"]),
    ("penstock-sim", &["penstock-queue", "penstock-wire", "penstock-stack", "penstock-fault"]),
    ("penstock-config", &["penstock-wire", "penstock-stack", "penstock-fault"]),
    ("penstock-tap", &["penstock-queue", "penstock-wire"]),
    (
        "penstock-host",
        &[
            "penstock-queue",
            "penstock-stack",
            "penstock-fault",
            "penstock-config",
            "penstock-control",
            "penstock-proxy",
            "penstock-server",
            "penstock-tap",
            "penstock-wire",
        ],
    ),
    ("penstock-hw", &[]),
    ("penstock-kernel", &["penstock-hw"]),
    ("penstock-probe", &["penstock-hw", "penstock-kernel"]),
    (
        "penstock-image",
        &[
            "penstock-config",
            "penstock-control",
            "penstock-hw",
            "penstock-ixgbe",
            "penstock-kernel",
            "penstock-queue",
            "penstock-proxy",
            "penstock-server",
            "penstock-stack",
            "penstock-wire",
        ],
    ),
    ("penstock-ixgbe-regs", &[]),
    ("penstock-ixgbe", &["penstock-queue", "penstock-hw", "penstock-ixgbe-regs"]),
    ("penstock-nic82599", &["penstock-ixgbe-regs"]),
    ("penstock-vfio-user", &["penstock-ixgbe-regs", "penstock-nic82599"]),
    ("penstock-http", &[]),
    (
        "penstock-bench",
        &[
            "penstock-queue",
            "penstock-wire",
            "penstock-stack",
            "penstock-config",
            "penstock-control",
            "penstock-proxy",
            "penstock-server",
            "penstock-hw",
            "penstock-ixgbe",
            "penstock-ixgbe-regs",
        ],
    ),
    ("penstock-relay", &["penstock-wire", "penstock-stack"]),
    (
        "penstock-server",
        &[
            "penstock-wire",
            "penstock-stack",
            "penstock-config",
            "penstock-control",
            "penstock-http",
            "penstock-relay",
        ],
    ),
    // Tests alone name it.
    ("penstock-world", &["penstock-queue", "penstock-wire", "penstock-stack", "penstock-fault"]),
    ("penstock-control", &["penstock-queue", "penstock-wire", "penstock-stack", "penstock-config"]),
    (
        "penstock-proxy",
        &[
            "penstock-wire",
            "penstock-stack",
            "penstock-config",
            "penstock-control",
            "penstock-relay",
        ],
    ),
    ("penstock-mutants", &[]),
    ("penstock-tree", &[]),
];

/// One arrow: a package and what it depends on, tests left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The package whose manifest names the other.
    pub from: String,
    /// The package it names.
    pub to: String,
}

/// The packages in the answer of `cargo metadata --no-deps`, and the arrows between them.
///
/// # Errors
/// A sentence, when the answer has not the shape that cargo documents.
pub fn read(metadata: &Value) -> Result<(Vec<String>, Vec<Arrow>), String> {
    let packages = metadata["packages"].as_array().ok_or("cargo metadata: no packages")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut names = Vec::new();
    let mut arrows = Vec::new();
    for package in packages {
        let from = text(&package["name"]).ok_or("cargo metadata: a package has no name")?;
        let dependencies = package["dependencies"].as_array();
        for dependency in dependencies.ok_or("cargo metadata: no dependencies")? {
            let to = text(&dependency["name"]).ok_or("cargo metadata: a nameless dependency")?;
            // A dependency of tests says "dev" here, one of build.rs "build", an ordinary one null.
            if dependency["kind"] != "dev" && to.starts_with("penstock-") {
                arrows.push(Arrow { from: from.clone(), to });
            }
        }
        names.push(from);
    }
    Ok((names, arrows))
}

/// What is wrong with these packages and arrows under these floors.
pub fn complaints(floors: &[(&str, &[&str])], names: &[String], arrows: &[Arrow]) -> Vec<String> {
    let below = |name: &str| floors.iter().find(|(package, _)| *package == name);
    let homeless = names.iter().filter(|name| below(name).is_none()).map(|name| {
        format!("{HERE}: {name} has no line in FLOORS: say which packages it may depend on")
    });
    let upward = arrows.iter().filter_map(|Arrow { from, to }| {
        let (_, allowed) = below(from)?;
        (!allowed.contains(&&**to)).then(|| format!("{HERE}: {from} must not depend on {to}"))
    });
    homeless.chain(upward).collect()
}

const HERE: &str = ".ci/tree/src/arrows.rs";

#[cfg(test)]
mod tests {
    //! The table catches an arrow that points up and a package nobody placed, and the reader of
    //! cargo's answer tells dependencies of tests from the others.

    use super::*;

    #[test]
    fn an_arrow_that_points_up_is_named() {
        let names = ["penstock-stack".to_owned()];
        let arrows = [Arrow { from: "penstock-stack".into(), to: "penstock-ixgbe".into() }];
        let complaints = complaints(FLOORS, &names, &arrows);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].ends_with("penstock-stack must not depend on penstock-ixgbe"));
    }

    #[test]
    fn a_package_without_a_floor_is_named() {
        let complaints = complaints(FLOORS, &["penstock-annex".to_owned()], &[]);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].contains("penstock-annex has no line"));
    }

    #[test]
    fn dependencies_of_tests_are_free() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "penstock-wire",
            "dependencies": [
                { "name": "penstock-sim", "kind": "dev" },
                { "name": "penstock-queue", "kind": null },
                { "name": "smoltcp", "kind": null },
            ],
        }] });
        let (names, arrows) = read(&metadata).expect("cargo's shape");
        assert_eq!(names, ["penstock-wire"]);
        assert_eq!(arrows, [Arrow { from: "penstock-wire".into(), to: "penstock-queue".into() }]);
    }
}
