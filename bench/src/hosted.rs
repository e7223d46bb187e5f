//! What a short connection costs a whole machine, client and kernel included: the hosted server on a
//! TAP device beside nginx, the hosted proxy beside haproxy. `apps/host/host-bench` measures; this asks
//! it.

use std::process::Command;

/// CPU time of a connection to the hosted server against one to nginx, and what the script said.
///
/// # Errors
/// What it complained of.
pub fn against_nginx() -> Result<(f64, String), String> {
    ask(&[])
}

/// The same of the proxy in front of nginx, against haproxy there.
///
/// # Errors
/// What it complained of.
pub fn against_haproxy() -> Result<(f64, String), String> {
    ask(&["proxy"])
}

fn ask(arguments: &[&str]) -> Result<(f64, String), String> {
    let output = Command::new(SCRIPT).args(arguments).output();
    let output = output.map_err(|error| format!("{SCRIPT}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
    let ratio = text.rsplit("ratio ").next().and_then(|ratio| ratio.parse().ok());
    match ratio {
        Some(ratio) if output.status.success() => Ok((ratio, text)),
        _ => Err(format!("{SCRIPT}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../apps/host/host-bench");
