//! Faults by hand: lines from a named pipe, each in force at once.
//!
//! A test that knows when it has seen enough needs no clock: it breaks, waits for what should follow,
//! and mends. QEMU can lay the pipe into the guest (`-serial file:PATH`), which then breaks its own
//! card.

use crate::machine::Shared;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// Starts the thread that reads; it lives as long as the process.
pub(crate) fn start(shared: Arc<Shared>, path: &Path) -> io::Result<()> {
    // Open for writing as well: a writer that leaves does not end the pipe, and none is waited for.
    let pipe = File::options().read(true).write(true).open(path)?;
    let mut lines = BufReader::new(pipe);
    let work = move || {
        while let Some(line) = next(&mut lines) {
            let line = line.trim();
            let changed = shared.lock_last().change_faults(line);
            shared.ring();
            match changed {
                Ok(()) => eprintln!("penstock-nic82599: from now on: {line}"),
                Err(message) => eprintln!("penstock-nic82599: --fault-pipe: {message}"),
            }
        }
    };
    std::thread::Builder::new().name("faults".into()).spawn(work)?;
    Ok(())
}

/// The next line; `None` at the end of what is no pipe.
fn next(lines: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let length = lines.take(LINE_MAX).read_until(b'\n', &mut line).ok()?;
    (length > 0).then(|| String::from_utf8_lossy(&line).into_owned())
}

/// Bytes of a line; what is longer is taken for two.
const LINE_MAX: u64 = 4096;
