//! Links the image by the kernel's own script, when it is built to be one.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../image.ld");
    println!("cargo:rerun-if-changed={script}");
    // Profiles derived from `release` abort on panic, which is what an image is known by.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
        for option in [&format!("-T{script}"), "--build-id=none", "-zmax-page-size=4096"] {
            println!("cargo:rustc-link-arg-bins=-Wl,{option}");
        }
    }
}
