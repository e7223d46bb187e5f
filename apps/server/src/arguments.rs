//! The command line behind `--`: Fastsocket's, word for word, and `services=`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use penstock_config::Error;
use penstock_stack::Endpoint;
use penstock_wire::Addr;

use crate::limits::{ADDRESSES_MAX, TARGET_BYTES_MAX};

/// What the server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// `-w`: cores that serve; `None` means all from [`first_core`](Self::first_core) on.
    pub workers: Option<u16>,
    /// `-c`: the first of them.
    pub first_core: u16,
    /// `-a`: where clients connect; an unspecified address means every address, of both families.
    pub listen: Vec<Endpoint>,
    /// `-x`: whom a proxy connects to, in turn; none means to answer by ourselves.
    pub backends: Vec<Endpoint>,
    /// `-k`: connections are kept after an answer.
    pub keep_alive: bool,
    /// `-v`: statistics each second.
    pub verbose: bool,
    /// `-d`: more to the log.
    pub debug: bool,
    /// `-o`: where the log goes.
    pub log: Option<String>,
    /// `services=`: small services, each at its well-known port.
    pub services: Vec<Service>,
}

/// A small service of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// RFC 862: what you say comes back.
    Echo,
    /// RFC 863: what you say is forgotten.
    Discard,
    /// RFC 864: letters, for as long as you listen.
    Chargen,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 3] = [Service::Echo, Service::Discard, Service::Chargen];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Service::Echo => "echo",
            Service::Discard => "discard",
            Service::Chargen => "chargen",
        }
    }

    /// Its port.
    pub fn port(self) -> u16 {
        match self {
            Service::Echo => 7,
            Service::Discard => 9,
            Service::Chargen => 19,
        }
    }
}

impl Arguments {
    /// The options, as a help text lists them.
    pub const USAGE: &'static str = "\
server [-w workers] [-c core] [-a ip:port ...] [-x ip:port ...] [-k] [-v] [-d] [-o target]
       [services=echo,discard,chargen]
  -w  cores that serve [all from -c on]
  -c  the first of them [0]
  -a  addresses to listen on [0.0.0.0:80]
  -x  backends: be a proxy in front of them
  -k  keep connections after an answer
  -v  statistics each second
  -d  debug messages
  -o  where the log goes
";

    /// Reads the words behind the application's name.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn parse<W: AsRef<str>>(words: &[W]) -> Result<Arguments, Vec<Error>> {
        let mut parser = Parser { words, at: 0, errors: Vec::new() };
        let mut arguments = Arguments {
            workers: None,
            first_core: 0,
            listen: Vec::new(),
            backends: Vec::new(),
            keep_alive: false,
            verbose: false,
            debug: false,
            log: None,
            services: Vec::new(),
        };
        while let Some(word) = parser.next() {
            match word {
                "-w" => arguments.workers = parser.number(word, 1).or(arguments.workers),
                "-c" => arguments.first_core = parser.number(word, 0).unwrap_or(0),
                "-a" => parser.endpoints(word, &mut arguments.listen),
                "-x" => parser.backends(word, &mut arguments.backends),
                "-k" => arguments.keep_alive = true,
                "-v" => arguments.verbose = true,
                "-d" => arguments.debug = true,
                "-o" => arguments.log = parser.target(word),
                _ => match word.split_once('=') {
                    Some((SERVICES, names)) => parser.services(names, &mut arguments.services),
                    Some((key, value)) => {
                        parser.errors.push(Error::unknown(key, Some(value), [SERVICES]));
                    }
                    None => parser.errors.push(Error::unknown(word, None, OPTIONS)),
                },
            }
        }
        if arguments.listen.is_empty() {
            arguments.listen.push(Endpoint { addr: Addr::UNSPECIFIED, port: 80 });
        }
        arguments.find_clashes(&mut parser.errors);
        if parser.errors.is_empty() { Ok(arguments) } else { Err(parser.errors) }
    }

    /// Whether the cores it names exist, on a machine with `cores` of them.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, cores: u16) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        let first = self.first_core;
        if first >= cores {
            let expected = alloc::format!("a core from 0 to {}", cores.saturating_sub(1));
            errors.push(Error::value("-c", &alloc::format!("{first}"), &expected));
        } else if let Some(workers) = self.workers
            && workers > cores - first
        {
            let expected =
                alloc::format!("a number from 1 to {}, the cores there are", cores - first);
            errors.push(Error::value("-w", &alloc::format!("{workers}"), &expected));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Whether this core serves.
    pub fn serves(&self, core: u16) -> bool {
        let end = self.workers.map_or(u16::MAX, |workers| self.first_core.saturating_add(workers));
        (self.first_core..end).contains(&core)
    }

    /// An address that two things listen on.
    fn find_clashes(&self, errors: &mut Vec<Error>) {
        for service in &self.services {
            if self.listen.iter().any(|listen| listen.port == service.port()) {
                let port = alloc::format!("{}", service.port());
                errors.push(Error::value("-a", &port, "a port that services= does not use"));
            }
        }
    }
}

struct Parser<'a, W> {
    words: &'a [W],
    at: usize,
    errors: Vec<Error>,
}

impl<'a, W: AsRef<str>> Parser<'a, W> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word.as_ref())
    }

    /// The next word, unless it is an option.
    fn value(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?.as_ref();
        let is_option = word.starts_with('-') || word.starts_with("services=");
        if is_option { None } else { self.next() }
    }

    fn number(&mut self, key: &str, least: u16) -> Option<u16> {
        let expected = alloc::format!("a number from {least} to {CORES_MAX}");
        let Some(word) = self.value() else {
            self.errors.push(Error::missing(key, &expected));
            return None;
        };
        let number = word.parse().ok().filter(|number| (least..=CORES_MAX).contains(number));
        if number.is_none() {
            self.errors.push(Error::value(key, word, &expected));
        }
        number
    }

    /// One address or more: Fastsocket takes every word that looks like one.
    fn endpoints(&mut self, key: &str, endpoints: &mut Vec<Endpoint>) {
        let first = self.at;
        while let Some(word) = self.value() {
            let parsed = word.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
            match parsed {
                Some(address) => {
                    // All addresses are all addresses, in either family's spelling.
                    let any = address.ip().is_unspecified();
                    let addr = if any { Addr::UNSPECIFIED } else { address.ip().into() };
                    let endpoint = Endpoint { addr, port: address.port() };
                    if !endpoints.contains(&endpoint) {
                        endpoints.push(endpoint);
                    }
                }
                None => self.errors.push(Error::value(key, word, ENDPOINT)),
            }
        }
        if self.at == first {
            self.errors.push(Error::missing(key, ENDPOINT));
        }
        if endpoints.len() > ADDRESSES_MAX {
            let expected = alloc::format!("at most {ADDRESSES_MAX} addresses");
            self.errors.push(Error::missing(key, &expected));
            endpoints.truncate(ADDRESSES_MAX);
        }
    }

    fn backends(&mut self, key: &str, backends: &mut Vec<Endpoint>) {
        self.endpoints(key, backends);
        let nobody =
            |endpoint: &Endpoint| endpoint.addr.is_unspecified() || endpoint.addr.is_group();
        if backends.iter().any(nobody) {
            self.errors.push(Error::missing(key, "the address of one machine"));
            backends.retain(|endpoint| !nobody(endpoint));
        }
    }

    fn target(&mut self, key: &str) -> Option<String> {
        let expected = "a file, or a console";
        let Some(word) = self.value() else {
            self.errors.push(Error::missing(key, expected));
            return None;
        };
        if word.len() > TARGET_BYTES_MAX {
            self.errors.push(Error::value(key, word, expected));
        }
        Some(word.to_owned())
    }

    fn services(&mut self, names: &str, services: &mut Vec<Service>) {
        for name in names.split(',') {
            match Service::ALL.into_iter().find(|service| service.name() == name) {
                Some(service) if !services.contains(&service) => services.push(service),
                Some(_) => {}
                None => self.errors.push(Error::value(
                    SERVICES,
                    name,
                    "echo, discard, chargen, or several of them with commas",
                )),
            }
        }
    }
}

const SERVICES: &str = "services";
const OPTIONS: [&str; 8] = ["-w", "-c", "-a", "-x", "-k", "-v", "-d", "-o"];
const ENDPOINT: &str = "an address and a port, such as 0.0.0.0:80 or [::1]:80";
/// Cores of a machine.
const CORES_MAX: u16 = 128;

#[cfg(test)]
mod tests {
    //! Fastsocket's own examples are understood, every mistake of a line is told, and no words are
    //! too strange.

    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn parse(line: &str) -> Result<Arguments, Vec<Error>> {
        Arguments::parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn endpoint(a: u8, b: u8, c: u8, d: u8, port: u16) -> Endpoint {
        Endpoint { addr: Addr::v4(u32::from_be_bytes([a, b, c, d])), port }
    }

    #[test]
    fn the_options_of_the_original_mean_what_they_meant() {
        let arguments = parse("-w 12 -a 10.0.0.2:80 -x 10.0.0.3:80").expect("good");
        assert_eq!(arguments.workers, Some(12));
        assert_eq!(arguments.listen, [endpoint(10, 0, 0, 2, 80)]);
        assert_eq!(arguments.backends, [endpoint(10, 0, 0, 3, 80)]);
        let arguments = parse("-k -d -v -c 1 -w 1 -a 10.0.0.1:1 10.0.0.1:2 -o x").expect("good");
        assert!(arguments.keep_alive && arguments.debug && arguments.verbose);
        assert_eq!((arguments.listen.len(), arguments.log.as_deref()), (2, Some("x")));
        assert!(!arguments.serves(0) && arguments.serves(1) && !arguments.serves(2));
    }

    #[test]
    fn nothing_means_port_80_on_all_cores() {
        let arguments = parse("").expect("good");
        assert_eq!(arguments.listen, [Endpoint { addr: Addr::UNSPECIFIED, port: 80 }]);
        assert!(arguments.serves(0) && arguments.serves(127));
        assert_eq!(parse("-a [::]:80 -a 0.0.0.0:80"), Ok(arguments));
    }

    #[test]
    fn every_mistake_is_told() {
        let lines = |line: &str| match parse(line) {
            Ok(arguments) => panic!("{arguments:?}"),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        };
        assert_eq!(
            lines("-w 0 -c x -a localhost:80 -x -o service=echo --port"),
            [
                "-w 0: expected a number from 1 to 128",
                "-c x: expected a number from 0 to 128",
                "-a localhost:80: expected an address and a port, such as 0.0.0.0:80 or [::1]:80",
                "-x: expected an address and a port, such as 0.0.0.0:80 or [::1]:80",
                "--port: no such option",
            ]
        );
        assert_eq!(lines("service=echo"), ["service=echo: no such key; did you mean services= ?"]);
        assert_eq!(
            lines("services=echo,time"),
            ["services=time: expected echo, discard, chargen, or several of them with commas"]
        );
        assert_eq!(lines("-x 0.0.0.0:80"), ["-x: expected the address of one machine"]);
        assert_eq!(
            lines("services=echo -a 10.0.0.1:7"),
            ["-a 7: expected a port that services= does not use"]
        );
    }

    #[test]
    fn cores_are_checked_against_the_machine() {
        let check = |line: &str| parse(line).expect("good").check(2).map_err(|e| e[0].to_string());
        assert_eq!(check("-w 1 -c 1"), Ok(()));
        assert_eq!(check("-c 1"), Ok(()));
        assert_eq!(check("-c 2"), Err("-c 2: expected a core from 0 to 1".into()));
        let expected = "-w 2: expected a number from 1 to 1, the cores there are";
        assert_eq!(check("-w 2 -c 1"), Err(expected.into()));
    }

    proptest! {
        #[test]
        fn any_words_are_survived(words in prop::collection::vec("-?[a-x=:.,0-9\\[\\]]{0,12}", 0..9)) {
            match Arguments::parse(&words) {
                Ok(arguments) => prop_assert!(!arguments.listen.is_empty()),
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }
}
