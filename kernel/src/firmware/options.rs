//! The words of the command line that the kernel itself obeys.
//!
//! They stand before `--`, and are read here once, early, because the console must be there before
//! anything can be complained about. All other words are the configuration's business, which reads
//! the same string again; what one of ours may say is said here.

use super::acpi::madt::CORES_MAX;

/// What the kernel was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `console=ttyS0..ttyS3,115200n8`: which serial line.
    pub serial: u8,
    /// Its bits per second.
    pub baud: u32,
    /// `loglevel=0..7`, as Linux: lines of this level and more urgent ones. `quiet` is 4.
    pub log_level: u8,
    /// `panic=N`, as Linux: leave N seconds after a panic, at once below 0, never for 0.
    pub panic_seconds: i32,
    /// `exit=`: how the machine is left.
    pub exit: Exit,
    /// `maxcpus=`: cores that are used.
    pub cores_max: usize,
    /// `idle=poll`: a core that has nothing to do spins.
    pub idle_poll: bool,
    /// `watchdog=`: seconds after which a core that does not turn is a bug; 0 watches none.
    pub watchdog_seconds: u32,
}

/// How the machine is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Off after an orderly end, a reset after a panic: what a machine in a rack should do.
    Default,
    /// Off, by ACPI.
    Acpi,
    /// A reset.
    Reboot,
    /// QEMU's isa-debug-exit, for tests: its status says how it ended.
    Debug,
}

/// A word whose value cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOption<'c> {
    /// The key.
    pub key: &'static str,
    /// What stands behind it.
    pub value: &'c str,
    /// What may stand there.
    pub expected: &'static str,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            serial: 0,
            baud: 115_200,
            log_level: 6,
            panic_seconds: 10,
            exit: Exit::Default,
            cores_max: CORES_MAX,
            idle_poll: false,
            watchdog_seconds: 1,
        }
    }
}

impl Options {
    /// Reads a command line. The options hold with or without an error: what was good is kept, so
    /// that the complaint reaches the console that was asked for.
    pub fn read(command_line: &str) -> (Options, Option<BadOption<'_>>) {
        let mut options = Options::default();
        let mut bad = None;
        let words = command_line.split_ascii_whitespace().take_while(|&word| word != "--");
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            if let Err((key, expected)) = options.obey(key, value) {
                bad = bad.or(Some(BadOption { key, value, expected }));
            }
        }
        (options, bad)
    }

    /// Obeys one word, if it is one of ours.
    fn obey(&mut self, key: &str, value: &str) -> Result<(), (&'static str, &'static str)> {
        match key {
            "console" => {
                let console = serial(value)
                    .ok_or(("console", "ttyS0 to ttyS3, with a speed such as ,115200n8"))?;
                (self.serial, self.baud) = console;
            }
            "loglevel" => self.log_level = number(value, 7).ok_or(("loglevel", "0 to 7"))? as u8,
            "quiet" => self.log_level = 4,
            "panic" => {
                let seconds = value.parse().ok().filter(|seconds| (-1..=86_400).contains(seconds));
                self.panic_seconds = seconds.ok_or(("panic", "-1 to 86400 seconds"))?;
            }
            "exit" => {
                self.exit = match value {
                    "acpi" => Exit::Acpi,
                    "reboot" => Exit::Reboot,
                    "debug" => Exit::Debug,
                    _ => return Err(("exit", "acpi, reboot or debug")),
                }
            }
            "maxcpus" => {
                let cores = number(value, u32::MAX).filter(|&cores| cores > 0);
                let cores = cores.ok_or(("maxcpus", "1 or more cores"))? as usize;
                self.cores_max = cores.min(CORES_MAX);
            }
            "idle" => {
                self.idle_poll = match value {
                    "poll" => true,
                    "halt" => false,
                    _ => return Err(("idle", "poll or halt")),
                }
            }
            "watchdog" => {
                let seconds = number(value, 86_400).ok_or(("watchdog", "0 to 86400 seconds"))?;
                self.watchdog_seconds = seconds;
            }
            _ => {}
        }
        Ok(())
    }
}

/// `ttyS1,115200n8`.
fn serial(value: &str) -> Option<(u8, u32)> {
    let (line, mode) = value.split_once(',').unwrap_or((value, "115200n8"));
    let line = line.strip_prefix("ttyS").and_then(|line| number(line, 3))?;
    // Eight bits without parity is the only form; Linux lets one leave it out.
    let digits = mode.strip_suffix("n8").or(mode.strip_suffix('n')).unwrap_or(mode);
    let baud = number(digits, 115_200).filter(|baud| BAUDS.contains(baud))?;
    Some((line as u8, baud))
}

fn number(text: &str, most: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| digits && number <= most)
}

const BAUDS: [u32; 5] = [9_600, 19_200, 38_400, 57_600, 115_200];

#[cfg(test)]
mod tests {
    //! Each key is obeyed in the spellings people use, and a wrong value is named.

    use super::*;

    fn good(line: &str) -> Options {
        let (options, bad) = Options::read(line);
        assert_eq!(bad, None, "{line}");
        options
    }

    #[test]
    fn keys_are_obeyed() {
        assert_eq!(good(""), Options::default());
        assert_eq!(good("ip=10.0.0.2/24 FOO=bar").panic_seconds, 10);
        let options = good("console=ttyS1,57600n8 panic=-1 exit=debug maxcpus=2 idle=poll quiet");
        assert_eq!((options.serial, options.baud), (1, 57_600));
        assert_eq!((options.panic_seconds, options.exit), (-1, Exit::Debug));
        assert_eq!((options.cores_max, options.idle_poll, options.log_level), (2, true, 4));
        assert_eq!(good("console=ttyS3").serial, 3);
        assert_eq!(good("console=ttyS0,9600").baud, 9_600);
        assert_eq!(good("maxcpus=9999").cores_max, CORES_MAX);
        assert_eq!(good("watchdog=0 loglevel=7").watchdog_seconds, 0);
    }

    #[test]
    fn what_follows_the_dashes_is_not_ours() {
        assert_eq!(good("panic=1 -- server panic=x").panic_seconds, 1);
    }

    #[test]
    fn a_wrong_value_is_named_and_the_rest_holds() {
        for line in [
            "console=ttyS4",
            "console=tty0",
            "console=none",
            "console=ttyS0,115200e7",
            "loglevel=8",
            "panic=",
            "panic=x",
            "panic=-2",
            "exit=now",
            "maxcpus=0",
            "maxcpus=+1",
            "idle=deep",
            "watchdog=-1",
        ] {
            let (_, bad) = Options::read(line);
            let bad = bad.expect(line);
            assert_eq!(line, std::format!("{}={}", bad.key, bad.value));
        }
        let (options, bad) = Options::read("exit=debug panic=x console=ttyS1");
        assert!(bad.is_some());
        assert_eq!((options.exit, options.serial), (Exit::Debug, 1));
    }
}
