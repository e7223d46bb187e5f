//! `-c`: checks configurations as HAProxy's `-c` does, with its words and exit codes.
//!
//! ```text
//!   penstock-host -c -f haproxy.cfg -f /etc/haproxy/conf.d [-dW] [-q] [-- more.cfg]
//! ```
//! What is wrong goes to standard error, `Configuration file is valid` to standard output; 0 is good,
//! 1 is not, and 2 is good but listens nowhere. A directory stands for its `.cfg` files in the order of their names.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use penstock_config::haproxy::grammar::{self, File, Files, Input, Severity};

use crate::report;

/// What the command line of a check says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Check {
    paths: Vec<PathBuf>,
    /// `-dW`: a warning is a mistake.
    zero_warning: bool,
    /// `-q`: nothing is said but what is wrong.
    quiet: bool,
}

/// Reads a command line that has `-c` in it; `None` where it has not.
pub(crate) fn parse(args: &[OsString]) -> Option<Result<Check, Vec<String>>> {
    let ours = args.iter().skip(1).take_while(|arg| *arg != "--");
    ours.clone().find(|arg| *arg == "-c")?;
    let mut check = Check::default();
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("-c" | "-V" | "-db" | "-dD") => {}
            Some("-q") => check.quiet = true,
            Some("-dW") => check.zero_warning = true,
            Some("-f") => match args.next() {
                Some(path) => check.paths.push(path.into()),
                None => return Some(Err(vec!["-f: expected a file or a directory".to_owned()])),
            },
            Some("--") => check.paths.extend(args.by_ref().map(PathBuf::from)),
            _ => {
                let arg = arg.to_string_lossy();
                return Some(Err(vec![format!(
                    "{arg}: no option of a check: -c -f -q -V -dW -dD --"
                )]));
            }
        }
    }
    if check.paths.is_empty() {
        return Some(Err(vec!["-c: expected -f and a file".to_owned()]));
    }
    Some(Ok(check))
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
        let input =
            Input { files: &files, environment: &environment, delivered: &Disk, lenient: false };
        let reading = grammar::read(&input);
        // What could be read may still not be run.
        let run = penstock_proxy::read(&input);
        if !run.messages.is_empty() {
            head();
        }
        for message in &run.messages {
            if !self.quiet || message.severity != Severity::Notice {
                eprintln!("{}", message.line(std::process::id()));
            }
        }
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

/// The line in front of the first message, as HAProxy names itself there.
fn head() {
    let (label, pid) = (Severity::Notice.label(), std::process::id());
    eprintln!("{label}({pid}) : penstock version is {}", env!("CARGO_PKG_VERSION"));
}

fn alert(text: &str) {
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

#[cfg(test)]
mod tests {
    //! The command line is HAProxy's.

    use super::*;

    fn check(args: &[&str]) -> Option<Result<Check, Vec<String>>> {
        let args: Vec<_> = std::iter::once("penstock-host")
            .chain(args.iter().copied())
            .map(OsString::from)
            .collect();
        parse(&args)
    }

    #[test]
    fn options() {
        assert_eq!(check(&["--tap", "x", "--", "server", "-c", "1"]), None);
        let good = check(&["-c", "-dW", "-q", "-f", "a", "-f", "b", "--", "c", "-d"]);
        let good = good.expect("a check").expect("good");
        assert_eq!(good.paths, ["a", "b", "c", "-d"].map(PathBuf::from));
        assert!(good.zero_warning && good.quiet);
        assert!(check(&["-c"]).expect("a check").is_err());
        assert!(check(&["-c", "-f"]).expect("a check").is_err());
        assert!(check(&["-c", "-x", "-f", "a"]).expect("a check").is_err());
    }
}
