//! What the image takes, and how soon it listens. `image/figures` measures; this asks it.

use std::process::Command;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken {
    /// The file.
    pub bytes: f64,
    /// The smallest machine in which it serves.
    pub memory_mb: f64,
    /// From the first instruction to listening, at one instruction a nanosecond, the card's reset and
    /// link apart.
    pub boot_ms: f64,
}

/// Builds the image and boots it.
///
/// # Errors
/// What the script complained of.
pub fn taken() -> Result<Taken, String> {
    let output = Command::new(SCRIPT).output().map_err(|error| format!("{SCRIPT}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).filter(|_| output.status.success()).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{SCRIPT}: {} {}", text.trim(), said.trim())
    })
}

fn read(text: &str) -> Option<Taken> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split([' ', ',']).find(|word| !word.is_empty())?.parse().ok()
    };
    Some(Taken {
        bytes: value("bytes")?,
        memory_mb: value("memory_mb")?,
        boot_ms: value("boot_ms")?,
    })
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../image/figures");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_names() {
        let text = "bytes 751888\nmemory_mb 8\nboot_ms 2.9, and 51 for the card\n";
        assert_eq!(read(text), Some(Taken { bytes: 751_888.0, memory_mb: 8.0, boot_ms: 2.9 }));
        assert_eq!(read("bytes 1\n"), None);
    }
}
