//! The command line of the process: its own options, then the boot string.
//!
//! The boot string may be one argument, quoted, or its words as they come: the first argument that is
//! no option of ours begins it, and from there on a shell's words are its words.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short};
use penstock_config::Error;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Serve.
    Run(Options),
    /// Print this and end.
    Print(String),
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// TAP devices, in the order of the interfaces.
    pub(crate) taps: Vec<String>,
    /// Configurations of the proxy, read as one.
    pub(crate) configurations: Vec<PathBuf>,
    /// How long connections may take to end after the first signal to stop.
    pub(crate) grace: Duration,
    /// Print all counters at the end.
    pub(crate) stats: bool,
    /// The boot string.
    pub(crate) boot: String,
}

/// Reads the arguments, the program's name first among them.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Vec<String>> {
    let mut parser = lexopt::Parser::from_iter(args);
    let grace = Duration::from_secs(GRACE_SECONDS_DEFAULT);
    let mut options = Options {
        taps: Vec::new(),
        configurations: Vec::new(),
        grace,
        stats: false,
        boot: String::new(),
    };
    loop {
        if let Some(rest) = parser.try_raw_args()
            && rest.peek().is_some_and(begins_boot_string)
        {
            options.boot = boot_string(rest.collect())?;
            break;
        }
        match parser.next().map_err(|error| vec![explain(&error)])? {
            None => break,
            Some(Short('h') | Long("help")) => return Ok(Command::Print(HELP.into())),
            Some(Short('V') | Long("version")) => return Ok(Command::Print(VERSION.into())),
            Some(Long("tap")) => {
                let name = value(&mut parser)?;
                if options.taps.contains(&name) {
                    return Err(wrong("--tap", &name, "each device once"));
                }
                options.taps.push(name);
            }
            Some(Short('f')) => {
                let path = parser.value().map_err(|error| vec![explain(&error)])?;
                options.configurations.push(path.into());
            }
            Some(Long("grace")) => {
                let text = value(&mut parser)?;
                let seconds = text.parse().ok().filter(|&seconds| seconds <= GRACE_SECONDS_MAX);
                let seconds =
                    seconds.ok_or_else(|| wrong("--grace", &text, "seconds, at most 86400"))?;
                options.grace = Duration::from_secs(seconds);
            }
            Some(Long("stats")) => options.stats = true,
            Some(other) => return Err(vec![explain(&other.unexpected())]),
        }
    }
    if options.taps.is_empty() {
        let line = Error::missing("--tap", "the name of a TAP device, such as --tap dut0");
        return Err(vec![line.to_string()]);
    }
    Ok(Command::Run(options))
}

fn begins_boot_string(word: &std::ffi::OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes == b"--" || bytes.starts_with(b"-- ") || !bytes.starts_with(b"-")
}

fn boot_string(words: Vec<OsString>) -> Result<String, Vec<String>> {
    let words: Result<Vec<String>, OsString> =
        words.into_iter().map(OsString::into_string).collect();
    let words = words.map_err(|word| wrong("boot string", &word.to_string_lossy(), "UTF-8"))?;
    Ok(match &words[..] {
        [whole] => whole.clone(),
        words => shell_words::join(words),
    })
}

fn value(parser: &mut lexopt::Parser) -> Result<String, Vec<String>> {
    let value = parser.value().map_err(|error| vec![explain(&error)])?;
    value.into_string().map_err(|value| wrong("value", &value.to_string_lossy(), "UTF-8"))
}

fn wrong(key: &str, value: &str, expected: &str) -> Vec<String> {
    vec![Error::value(key, value, expected).to_string()]
}

fn explain(error: &lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedOption(option) => {
            Error::unknown(option, None, OPTIONS.iter().copied()).to_string()
        }
        other => other.to_string(),
    }
}

const OPTIONS: &[&str] = &["--tap", "--grace", "--stats", "--help", "--version"];
const GRACE_SECONDS_DEFAULT: u64 = 30;
const GRACE_SECONDS_MAX: u64 = 86_400;
const VERSION: &str = concat!("penstock-host ", env!("CARGO_PKG_VERSION"), "\n");

const HELP: &str = "\
Usage: penstock-host -c -f haproxy.cfg                       checks a configuration, as haproxy -c does
       penstock-host -f haproxy.cfg [-D] [-p FILE] ..        runs in the place of haproxy, between Linux's sockets
       penstock-host --tap NAME [OPTION]... [BOOT STRING]    runs an application on a TAP device
The first two take haproxy's options, and conf.lenient=1, which leaves out what is not supported yet. The third
is a Linux process with a thread for each core:

  --tap NAME        the TAP device; one that does not exist is made (again for a second interface)
  -f FILE           a configuration of the proxy, as haproxy.cfg (again for more, read as one)
  --grace SECONDS   after a signal, let running connections finish for so long (default 30)
  --stats           print every counter at the end
  -h, --help        print this
  -V, --version     print the version

The boot string is the image's: machine keys, then --, then the application and its words.
  ip=10.82.0.2/24   an address; again for each        gateway=10.82.0.1   the way out
  ip=dhcp           by DHCP, as when nothing is said  log=10.82.0.1:514   a syslog server
  maxcpus=2         how many cores                    idle=poll           never sleep
  sysctl.net.ipv4.tcp_sack=0                          Linux's knobs, as in its documentation
  fault=loss=1%,reorder=2%,corrupt=0.1%,seed=7        a worse network
  steer=scramble                                      a card that knows nothing of cores

Signals: INT and TERM stop softly, a second one at once; USR1 prints the counters of each core.
Exit codes: 0 a clean end, 1 it could not start, 2 something was left in a table or leaked.

Example:
  ip tuntap add dut0 mode tap multi_queue
  ip address add 10.82.0.1/24 dev dut0
  ip link set dut0 up
  penstock-host --tap dut0 \"ip=10.82.0.2/24 -- server -a 0.0.0.0:80 -k -v\"
  curl http://10.82.0.2/
";

#[cfg(test)]
mod tests {
    //! The boot string reaches the parser as it was typed, whichever way, and mistakes are named.

    use super::*;

    fn run(args: &[&str]) -> Options {
        let args = std::iter::once("penstock-host").chain(args.iter().copied()).map(OsString::from);
        match parse(args) {
            Ok(Command::Run(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    fn errors(args: &[&str]) -> Vec<String> {
        let args = std::iter::once("penstock-host").chain(args.iter().copied()).map(OsString::from);
        parse(args).expect_err("wrong")
    }

    #[test]
    fn one_argument_or_many() {
        let quoted = run(&["--tap", "dut0", "ip=10.0.0.2/24 -- server -k"]);
        assert_eq!(
            (quoted.taps, quoted.boot.as_str()),
            (vec!["dut0".into()], "ip=10.0.0.2/24 -- server -k")
        );
        let words = run(&["--tap=dut0", "ip=10.0.0.2/24", "--", "server", "-o", "a b"]);
        let split = shell_words::split(&words.boot).expect("quoted");
        assert_eq!(split, ["ip=10.0.0.2/24", "--", "server", "-o", "a b"]);
        assert_eq!(run(&["--tap", "a", "-- server -k"]).boot, "-- server -k");
        let words = run(&["--tap", "a", "--tap", "b", "--", "server", "--stats"]);
        assert_eq!(
            (words.taps.len(), words.stats, words.boot.as_str()),
            (2, false, "-- server --stats")
        );
    }

    #[test]
    fn options() {
        let options = run(&["--tap", "dut0", "--grace", "5", "--stats"]);
        assert_eq!((options.grace, options.stats), (Duration::from_secs(5), true));
        assert_eq!(options.boot, "");
    }

    #[test]
    fn mistakes() {
        assert!(errors(&[])[0].starts_with("--tap: expected"));
        assert_eq!(errors(&["--tpa", "x"]), ["--tpa: no such option; did you mean --tap ?"]);
        assert_eq!(errors(&["--grace", "long"]), ["--grace long: expected seconds, at most 86400"]);
        assert_eq!(errors(&["--tap"]).len(), 1);
        assert_eq!(errors(&["--tap", "a", "--tap", "a"]), ["--tap a: expected each device once"]);
        assert_eq!(errors(&["-x"]), ["-x: no such option"]);
    }

    #[test]
    fn help_names_every_option() {
        assert!(OPTIONS.iter().all(|option| HELP.contains(option)));
    }
}
