//! `-c`: checks configurations as HAProxy's `-c` does, with its words and exit codes.
//!
//! ```text
//!   penstock-host -c -f haproxy.cfg -f /etc/haproxy/conf.d [-dW] [-q] [-- more.cfg]
//! ```
//! What is wrong goes to standard error, `Configuration file is valid` to standard output; 0 is good,
//! 1 is not, and 2 is good but listens nowhere. A directory stands for its `.cfg` files in the order of
//! their names.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use penstock_config::haproxy::grammar::{self, File, Files, Input, Message, Severity};

use crate::inherited::Given;
use crate::report;

/// What is to be checked, and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) paths: Vec<PathBuf>,
    /// `-dW`: a warning is a mistake.
    pub(crate) zero_warning: bool,
    /// `-q`: nothing is said but what is wrong.
    pub(crate) quiet: bool,
    /// `conf.lenient=1`: what is not supported yet is left out.
    pub(crate) lenient: bool,
}

impl Check {
    /// Checks, says what there is to say, and gives the exit code.
    pub(crate) fn run(&self) -> ExitCode {
        let files = match read(&self.paths) {
            Ok(files) => files,
            Err(wrong) => {
                head();
                alert(&wrong);
                return ExitCode::FAILURE;
            }
        };
        let files: Vec<_> =
            files.iter().map(|(name, bytes)| File { name, bytes: bytes.as_slice() }).collect();
        let environment: Vec<_> = std::env::vars().collect();
        let delivered = &Given::default();
        let input = Input {
            lenient: self.lenient,
            environment: &environment,
            delivered,
            ..Input::of(&files)
        };
        let reading = grammar::read(&input);
        // What could be read may still not be run.
        let run = penstock_proxy::read(&input);
        say(&run.messages, self.quiet);
        let (Some(proxies), Some(_)) = (&reading.proxies, run.setup) else {
            return ExitCode::FAILURE;
        };
        if reading.has_warnings() && self.zero_warning {
            alert("Some warnings were found and 'zero-warning' is set. Aborting.");
            return ExitCode::FAILURE;
        }
        if !self.quiet {
            if reading.has_warnings() {
                report::print("Warnings were found.\n");
            }
            report::print(if proxies.has_listener() { VALID } else { IDLE });
        }
        if proxies.has_listener() { ExitCode::SUCCESS } else { ExitCode::from(NO_LISTENER) }
    }
}

/// Says what there is to say of a configuration, to standard error.
pub(crate) fn say(messages: &[Message], quiet: bool) {
    if !messages.is_empty() {
        head();
    }
    for message in messages {
        if !quiet || message.severity != Severity::Notice {
            eprintln!("{}", message.line(std::process::id()));
        }
    }
}

/// The line in front of the first message, as HAProxy names itself there.
fn head() {
    let (label, pid) = (Severity::Notice.label(), std::process::id());
    eprintln!("{label}({pid}) : penstock version is {}", env!("CARGO_PKG_VERSION"));
}

/// Says that something is wrong.
pub(crate) fn alert(text: &str) {
    eprintln!("{}({}) : config : {text}", Severity::Alert.label(), std::process::id());
}

/// The files at these paths, each with the name that messages call it.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut files = Vec::new();
    for path in paths {
        let shown = path.display();
        let wrong = |error: std::io::Error| {
            let error = error.to_string();
            let error = error.split(" (os error").next().unwrap_or_default();
            format!("Cannot open configuration file/directory {shown} : {error}")
        };
        if path.is_dir() {
            let mut entries = Vec::new();
            for entry in std::fs::read_dir(path).map_err(wrong)? {
                let entry = entry.map_err(wrong)?.path();
                let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.ends_with(".cfg") && !name.starts_with('.') && entry.is_file() {
                    entries.push(entry);
                }
            }
            entries.sort();
            for entry in entries {
                let bytes = std::fs::read(&entry).map_err(wrong)?;
                files.push((entry.display().to_string(), bytes));
            }
        } else {
            files.push((shown.to_string(), std::fs::read(path).map_err(wrong)?));
        }
    }
    Ok(files)
}

/// Files of this machine, as long as they are not larger than a configuration can need.
pub(crate) struct Disk;

impl Files for Disk {
    fn bytes(&self, path: &str) -> Option<Cow<'_, [u8]>> {
        let path = Path::new(path);
        let length = std::fs::metadata(path).ok()?.len();
        if length > FILE_BYTES_MAX {
            return None;
        }
        std::fs::read(path).ok().map(Cow::Owned)
    }
}

const VALID: &str = "Configuration file is valid\n";
const IDLE: &str = "Configuration file has no error but will not start (no listener) => exit(2).\n";
const NO_LISTENER: u8 = 2;

const FILE_BYTES_MAX: u64 = 16 << 20;
