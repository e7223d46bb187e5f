//! The build script of every image: links by the kernel's own linker script.

use std::path::{Path, PathBuf};

fn main() {
    let script = script();
    println!("cargo:rerun-if-changed={}", script.display());
    // Profiles derived from `release` abort on panic, which is what an image is known by.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
        let script = format!("-T{}", script.display());
        for option in [&script, "--build-id=none", "-zmax-page-size=4096"] {
            println!("cargo:rustc-link-arg-bins=-Wl,{option}");
        }
    }
}

/// The script lies in the kernel's folder, in whichever folder above the package that is.
fn script() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let folders = Path::new(&package).ancestors();
    let mut scripts = folders.map(|folder| folder.join("kernel/image.ld"));
    scripts.find(|script| script.exists()).expect("the tree has a kernel")
}
