//! HAProxy's command line, for whoever starts this process in the place of `haproxy`.
//!
//! ```text
//!   penstock-host -f haproxy.cfg -f conf.d -D -p /run/haproxy.pid
//!   penstock-host -c -f haproxy.cfg
//! ```
//! The one word that is not HAProxy's is the boot string's `conf.lenient=1`.
//! It is HAProxy's where no `--tap` is named: then there is nothing that our own command line could
//! mean. Switches that choose between ways of Linux (`-de`, `-dS`) are read and have nothing to choose
//! between here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use penstock_config::haproxy::grammar;

use crate::check::{self, Check};
use crate::launch::{self, Launch};
use crate::report;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `-v`, `-vv`: say what this is.
    Print(&'static str),
    /// `-cc`: evaluate a condition.
    Condition(String),
    /// `-c`.
    Check(Check),
    /// Serve.
    Launch(Launch),
}

/// Reads a command line; `None` where it is not HAProxy's.
pub(crate) fn parse(args: &[OsString]) -> Option<Result<Command, Vec<String>>> {
    let first: Vec<_> = args.iter().skip(1).take_while(|arg| *arg != "--").collect();
    let is_ours = first.iter().any(|arg| arg.to_string_lossy().starts_with("--tap"));
    let is_theirs = |arg: &&OsString| THEIRS.iter().any(|known| **arg == *known);
    if is_ours || !first.iter().any(is_theirs) {
        return None;
    }
    Some(read(args).map_err(|line| vec![line]))
}

fn read(args: &[OsString]) -> Result<Command, String> {
    let mut line =
        Launch { program: args.first().cloned().unwrap_or_default(), ..Launch::default() };
    line.args = args.iter().skip(1).cloned().collect();
    let (mut is_check, mut zero_warning, mut quiet) = (false, false, false);
    let mut args = args.iter().skip(1).peekable();
    while let Some(arg) = args.next() {
        let word = arg.to_string_lossy();
        let mut value =
            |what: &str| args.next().cloned().ok_or_else(|| format!("{word}: expected {what}"));
        match &*word {
            "-v" => return Ok(Command::Print(VERSION)),
            "-vv" => return Ok(Command::Print(BUILD)),
            "-c" => is_check = true,
            "-cc" => {
                let text = value("a condition")?;
                return Ok(Command::Condition(text.to_string_lossy().into_owned()));
            }
            "-f" => line.paths.push(value("a file or a directory")?.into()),
            "--" => {
                line.paths.extend(args.by_ref().map(PathBuf::from));
            }
            "-p" => line.pid_file = Some(value("a file")?.into()),
            "-C" => line.folder = Some(value("a directory")?.into()),
            "-D" => line.is_daemon = true,
            "-d" | "-db" => line.is_daemon = false,
            "-W" | "-Ws" => line.is_master = true,
            "-q" => quiet = true,
            "conf.lenient=1" => line.lenient = true,
            "-dW" => zero_warning = true,
            "-n" | "-N" | "-m" | "-L" | "-S" | "-x" => {
                value("a value")?;
            }
            // Processes to be relieved: there is no socket that they could hold.
            "-sf" | "-st" => while args.next_if(|next| is_number(next)).is_some() {},
            _ if IDLE.contains(&&*word) || word.starts_with("-dM") => {}
            _ if word.starts_with('-') => {
                return Err(format!("{word}: no option of haproxy that is known here"));
            }
            _ => return Err(format!("{word}: expected an option; did you mean -f {word} ?")),
        }
    }
    if line.paths.is_empty() {
        return Err("-f: expected a file".to_owned());
    }
    Ok(match is_check {
        true => {
            Command::Check(Check { paths: line.paths, zero_warning, quiet, lenient: line.lenient })
        }
        false => Command::Launch(line),
    })
}

fn is_number(word: &OsString) -> bool {
    word.to_string_lossy().parse::<u32>().is_ok()
}

impl Command {
    /// Does it, to the end.
    pub(crate) fn run(self) -> ExitCode {
        match self {
            Command::Print(text) => {
                report::print(text);
                ExitCode::SUCCESS
            }
            Command::Condition(text) => condition(&text),
            Command::Check(check) => check.run(),
            Command::Launch(line) => launch::run(&line),
        }
    }
}

/// 0 for what holds, 1 for what does not, 2 for what is no condition.
fn condition(text: &str) -> ExitCode {
    let environment: Vec<_> = std::env::vars().collect();
    match grammar::condition(text, &environment) {
        Ok(holds) => ExitCode::from(u8::from(!holds)),
        Err(wrong) => {
            check::alert(&format!("Failed to evaluate condition: {wrong}"));
            ExitCode::from(NO_CONDITION)
        }
    }
}

/// By these a command line is HAProxy's.
const THEIRS: &[&str] = &["-f", "-c", "-cc", "-v", "-vv"];
/// Switches without effect here.
const IDLE: &[&str] = &["-V", "-dD", "-de", "-dp", "-ds", "-dS", "-dG", "-dR", "-dr", "-dV", "-dL"];

const NO_CONDITION: u8 = 2;

const VERSION: &str =
    concat!("HAProxy version 2.6.12 as Penstock ", env!("CARGO_PKG_VERSION"), " speaks it\n");

/// Test runners look for these lines.
const BUILD: &str = concat!(
    "HAProxy version 2.6.12 as Penstock ",
    env!("CARGO_PKG_VERSION"),
    " speaks it\n\
     Build options :\n\
     \x20 TARGET  = penstock\n\
     \n\
     Feature list : -LUA -OPENSSL -PCRE -PCRE2 -PROMEX -SLZ -ZLIB +THREAD\n\
     \n\
     Available services : none\n"
);

#[cfg(test)]
mod tests {
    //! The command line is HAProxy's.

    use super::*;

    fn command(args: &[&str]) -> Option<Result<Command, Vec<String>>> {
        let args: Vec<_> =
            std::iter::once("haproxy").chain(args.iter().copied()).map(OsString::from).collect();
        parse(&args)
    }

    fn launched(args: &[&str]) -> Launch {
        match command(args) {
            Some(Ok(Command::Launch(line))) => line,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn whose_it_is() {
        assert_eq!(command(&["--tap", "x", "--", "server", "-c", "1"]), None);
        assert_eq!(command(&["--tap=x", "-f", "a"]), None);
        assert_eq!(command(&["--help"]), None);
        assert_eq!(command(&[]), None);
        assert_eq!(command(&["-dM", "-vv"]), Some(Ok(Command::Print(BUILD))));
        assert_eq!(command(&["-cc", "1"]), Some(Ok(Command::Condition("1".into()))));
    }

    #[test]
    fn checks() {
        let good =
            command(&["-c", "-dW", "-q", "conf.lenient=1", "-f", "a", "-f", "b", "--", "c", "-d"]);
        let paths = ["a", "b", "c", "-d"].map(PathBuf::from).to_vec();
        let check = Check { paths, zero_warning: true, quiet: true, lenient: true };
        assert_eq!(good, Some(Ok(Command::Check(check))));
        for wrong in [&["-c"][..], &["-c", "-f"], &["-c", "-x"], &["-f", "a", "-dX"]] {
            assert!(matches!(command(wrong), Some(Err(_))), "{wrong:?}");
        }
        let meant = "a.cfg: expected an option; did you mean -f a.cfg ?".to_owned();
        assert_eq!(command(&["-c", "a.cfg"]), Some(Err(vec![meant])));
    }

    #[test]
    fn as_a_test_runner_starts_it() {
        let line = launched(&["-d", "-dM", "-m", "64", "-f", "cfg"]);
        assert_eq!((line.paths, line.is_daemon), (vec![PathBuf::from("cfg")], false));
        let line = launched(&["-D", "-W", "-S", "fd@5", "-f", "cfg", "-p", "pid", "-sf", "1", "2"]);
        assert!(line.is_daemon && line.is_master);
        assert_eq!(line.pid_file, Some("pid".into()));
    }
}
