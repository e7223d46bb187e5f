//! The boot string as a whole: which word is whose.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{Error, nearest};
use crate::limits;
use crate::machine::{self, Machine};

/// A boot string, read.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Boot {
    /// What was said of the machine.
    pub machine: Machine,
    /// What it is to run.
    pub application: Application,
    /// Words of the form `NAME=value`, in capitals: the environment, as in Linux.
    pub environment: Vec<(String, String)>,
    /// What was understood and has no effect.
    pub notices: Vec<Notice>,
    /// What was wrong. Whoever boots adds the application's, prints all of them, and stops.
    pub errors: Vec<Error>,
}

/// An application and its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The first word behind `--`, or the demo server where there is none.
    pub name: String,
    /// Somebody said which.
    pub is_named: bool,
    /// The others.
    pub words: Vec<String>,
}

impl Default for Application {
    /// The demo server: a machine that was told nothing shows that it lives.
    fn default() -> Application {
        Application { name: "server".to_owned(), is_named: false, words: Vec::new() }
    }
}

impl Application {
    /// What is wrong where nobody has an application of this name.
    pub fn unknown(&self) -> Error {
        let nearest = nearest(&self.name, APPLICATIONS).map(str::to_owned);
        Error { nearest, ..Error::value("--", &self.name, "an application: server or proxy") }
    }
}

/// A word that was ignored, and why: one line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The word's key.
    pub key: String,
    /// Why it has no effect.
    pub because: &'static str,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ignored: {}", self.key, self.because)
    }
}

impl Boot {
    /// Reads a boot string. What is wrong is in [`Boot::errors`].
    #[inline(never)]
    pub fn parse(text: &str) -> Boot {
        let mut boot = Boot::default();
        if text.len() > limits::BOOT_BYTES_MAX {
            let expected = alloc::format!("at most {} bytes", limits::BOOT_BYTES_MAX);
            boot.errors.push(Error::value("boot string", text, &expected));
            return boot;
        }
        match shell_words::split(text) {
            Ok(words) => boot.read(words),
            Err(_) => {
                let expected = "a closing quote for each that opens";
                boot.errors.push(Error::value("boot string", text, expected));
            }
        }
        boot.errors.truncate(limits::ERRORS_MAX);
        boot
    }

    fn read(&mut self, words: Vec<String>) {
        let mut words = words.into_iter();
        for word in words.by_ref().take_while(|word| word != "--") {
            self.read_word(&word);
        }
        if let Some(name) = words.next() {
            self.application = Application { name, is_named: true, words: words.collect() };
        }
        self.machine.check(&mut self.errors);
    }

    fn read_word(&mut self, word: &str) {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (word, None),
        };
        if let Some((_, set)) = machine::keys().find(|&(name, _)| name == key) {
            match set(&mut self.machine, value.unwrap_or_default()) {
                Ok(None) => {}
                Ok(Some(because)) => self.notices.push(Notice { key: key.to_owned(), because }),
                Err(expected) => {
                    let error = Error::missing(key, expected);
                    self.errors.push(Error { value: value.map(str::to_owned), ..error });
                }
            }
        } else if is_loaders(key) {
            self.notices.push(Notice { key: key.to_owned(), because: FOR_LINUX });
        } else if let Some(value) = value
            && is_environment(key)
        {
            self.environment.push((key.to_owned(), value.to_owned()));
        } else if APPLICATIONS.contains(&word) {
            self.errors.push(Error::missing(word, "-- before it, as every application has it"));
        } else {
            let known = machine::keys().map(|(name, _)| name);
            self.errors.push(Error::unknown(key, value, known));
        }
    }
}

/// What can stand behind `--`.
const APPLICATIONS: [&str; 2] = ["server", "proxy"];

/// Linux's rule for its unknown words, narrowed to capitals so that a misspelt key is none.
fn is_environment(key: &str) -> bool {
    key.bytes().any(|byte| byte.is_ascii_uppercase())
        && key.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
        && !key.starts_with(|first: char| first.is_ascii_digit())
}

fn is_loaders(key: &str) -> bool {
    let (whole, prefixes) = LOADERS;
    whole.contains(&key) || prefixes.iter().any(|prefix| key.starts_with(prefix))
}

const FOR_LINUX: &str = "a word for Linux, which is not here";

/// Words that boot loaders and their users add for Linux, and beginnings of such words.
const LOADERS: (&[&str], &[&str]) = (
    &[
        "BOOT_IMAGE",
        "BOOTIF",
        "acpi",
        "auto",
        "debug",
        "earlycon",
        "earlyprintk",
        "init",
        "initrd",
        "intel_iommu",
        "iommu",
        "kaslr",
        "nokaslr",
        "nomodeset",
        "noquiet",
        "ostree",
        "pci",
        "quiet",
        "rd",
        "reboot",
        "resume",
        "ro",
        "root",
        "rootdelay",
        "rootflags",
        "rootfstype",
        "rootwait",
        "rw",
        "splash",
        "tsc",
        "vga",
        "vt.handoff",
    ],
    &["i8042.", "modprobe.", "net.ifnames", "rd.", "systemd.", "virtio_mmio."],
);

#[cfg(test)]
mod tests {
    //! A word goes to the machine, to the environment, to nobody with a notice, or to the list of
    //! errors, and no text at all makes the reader fail in another way.

    use super::*;
    use proptest::prelude::{ProptestConfig, any, proptest};
    use std::string::ToString;

    fn lines(text: &str) -> Vec<String> {
        Boot::parse(text).errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_application_takes_what_stands_behind_the_dashes() {
        let boot = Boot::parse("maxcpus=2 -- server -a 0.0.0.0:80 -k -- 'a b'");
        assert_eq!(boot.errors, []);
        assert_eq!(boot.machine.maxcpus, Some(2));
        assert_eq!(boot.application.name, "server");
        assert_eq!(boot.application.words, ["-a", "0.0.0.0:80", "-k", "--", "a b"]);
    }

    #[test]
    fn nothing_said_is_the_demo_server() {
        for text in ["", "  ", "--", "maxcpus=1 -- "] {
            assert_eq!(Boot::parse(text).application, Application::default(), "{text}");
        }
    }

    #[test]
    fn capitals_are_environment() {
        let boot = Boot::parse("LISTEN=:80 _X1= BOOT_IMAGE=(hd0)/penstock.elf");
        let [(name, value), (empty, none)] = &boot.environment[..] else { panic!("{boot:?}") };
        assert_eq!((name.as_str(), value.as_str()), ("LISTEN", ":80"));
        assert_eq!((empty.as_str(), none.as_str()), ("_X1", ""));
        assert_eq!(boot.errors, []);
        assert_eq!(boot.notices[0].key, "BOOT_IMAGE");
    }

    #[test]
    fn words_for_linux_are_ignored_and_said_to_be() {
        let boot = Boot::parse("ro quiet root=/dev/sda1 systemd.unit=x BOOTIF=01-52-54 rd.break");
        assert_eq!(boot.errors, []);
        assert_eq!(boot.notices.len(), 6);
        assert_eq!(boot.notices[0].to_string(), "ro: ignored: a word for Linux, which is not here");
    }

    #[test]
    fn every_mistake_is_told_in_one_go() {
        let lines = lines("maxcpu=2 loglevel=9 panic frobnicate 1A=2 maxcpus=0");
        assert_eq!(
            lines,
            [
                "maxcpu=2: no such key; did you mean maxcpus= ?",
                "loglevel=9: expected a number from 0 to 7",
                "panic: expected seconds, 0 to wait for ever, or a negative number to restart at once",
                "frobnicate: no such key",
                "1A=2: no such key",
                "maxcpus=0: expected a number from 1 to 128",
            ]
        );
    }

    #[test]
    fn an_application_stands_behind_the_dashes_and_is_one() {
        let expected = "proxy: expected -- before it, as every application has it";
        assert_eq!(lines("maxcpus=2 proxy"), [expected]);
        let boot = Boot::parse("-- prxy 'listen web'");
        assert_eq!(
            boot.application.unknown().to_string(),
            "-- prxy: expected an application: server or proxy; did you mean proxy ?"
        );
    }

    #[test]
    fn quotes_are_a_shells() {
        let boot = Boot::parse(r#"-- proxy 'listen web; bind :80' "a b"\ c"#);
        assert_eq!(boot.application.words, ["listen web; bind :80", "a b c"]);
        let lines = lines("-- 'open");
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("expected a closing quote for each that opens"), "{lines:?}");
    }

    #[test]
    fn a_text_without_end_is_refused() {
        assert_eq!(lines(&"x ".repeat(limits::BOOT_BYTES_MAX)).len(), 1);
        assert_eq!(lines(&"x ".repeat(limits::BOOT_BYTES_MAX / 2)).len(), limits::ERRORS_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let boot = Boot::parse(&text);
            boot.errors.iter().for_each(|error| drop(error.to_string()));
        }

        /// Keys are known, values are not: everything behind the equals sign is hostile.
        #[test]
        fn any_value_is_read(value in "[0-9a-fA-F:./,%=\\-\\[\\] ]{0,40}", which in 0..200_usize) {
            let (key, _) = machine::keys().nth(which % machine::keys().count()).expect("one");
            let text = alloc::format!("{key}={}", shell_words::quote(&value));
            let boot = Boot::parse(&text);
            boot.errors.iter().for_each(|error| drop(error.to_string()));
        }
    }
}
