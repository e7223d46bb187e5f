//! The proxy under this host.

use std::path::{Path, PathBuf};

use penstock_config::Machine;
use penstock_config::haproxy::grammar::{File, Input, Severity};
use penstock_proxy::{Proxy, Setup, Statistics};
use penstock_stack::{Counters, Cx};

use crate::check::Disk;
use crate::core_loop::Service;
use crate::report;

impl Service for Proxy {
    type Seen = Statistics;

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), String> {
        Proxy::start(self, cx)
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        Proxy::stop(self, cx);
    }

    fn has_stopped(&self) -> bool {
        Proxy::has_stopped(self)
    }

    fn watches(&self) -> bool {
        false
    }

    fn second(&self, _: &Counters, seen: &mut Statistics) -> String {
        let now = self.statistics();
        let line = now.since(seen).to_string();
        *seen = now;
        line
    }

    #[inline]
    fn has_console_line(&self) -> bool {
        self.has_line()
    }

    fn console_line(&mut self) -> Option<&[u8]> {
        self.take_line()
    }
}

/// What is wrong with a configuration on this machine, as HAProxy says it.
pub(crate) fn alerts(lines: &[String]) -> Vec<String> {
    let head = format!("{}({}) : ", Severity::Alert.label(), std::process::id());
    lines.iter().map(|line| format!("{head}{line}")).collect()
}

/// Reads the files of a configuration, or the one that stands in the boot string, and says what there
/// is to say about it.
///
/// # Errors
/// What is wrong, a line for each.
pub(crate) fn setup(
    paths: &[PathBuf],
    words: &[String],
    environment: &[(String, String)],
    machine: &Machine,
) -> Result<&'static Setup, Vec<String>> {
    let wrong = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut texts = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path).map_err(|error| vec![wrong(path, error)])?;
        texts.push((path.display().to_string(), bytes));
    }
    if texts.is_empty() {
        texts.push(("boot string".to_owned(), penstock_proxy::inline(words).into_bytes()));
    }
    let files: Vec<File<'_>> = texts.iter().map(|(name, bytes)| File { name, bytes }).collect();
    let (lenient, route_localnet) = (machine.lenient, machine.tcp.route_localnet);
    let (files, delivered) = (&files, &Disk);
    let input = Input { files, environment, delivered, lenient, route_localnet };
    let read = penstock_proxy::read(&input);
    let lines = read.messages.iter().map(|message| message.line(std::process::id()).to_string());
    match read.setup {
        Some(setup) => {
            lines.for_each(report::say);
            Ok(setup)
        }
        None => Err(lines.collect()),
    }
}
