//! From the text of `haproxy.cfg` to [`Proxies`], by HAProxy's grammar and in HAProxy's words.
//!
//! ```text
//!   files ──lines.rs──▶ words of lines ──sections──▶ Draft of each section ──finish.rs──▶ Proxies
//!             quotes, ${NAME}, .if        one function for each keyword     names to numbers,
//!             (words.rs, directive.rs)    (global.rs, proxy.rs, ..)         what fits together
//! ```
//! Nothing stops at the first mistake, as in HAProxy: each is a [`Message`] in the order of the
//! file, and only a file without any is looked at as a whole. Keywords are tables of a name and a
//! function; what HAProxy knows and is not here yet is in `known.rs`, by name.
//!
//! | file | holds |
//! |---|---|
//! | `lines.rs`, `words.rs`, `directive.rs` | text to words |
//! | `text.rs`, `number.rs`, `address.rs`, `arguments.rs`, `nearest.rs` | what words are made of |
//! | `global.rs` | the section `global` |
//! | `section.rs`, `draft.rs` | proxies and what they inherit |
//! | `proxy.rs`, `option.rs`, `timeout.rs`, `listener.rs`, `balance.rs` | their keywords |
//! | `server.rs`, `attributes.rs`, `hosts.rs` | `server` and `default-server` |
//! | `acl.rs`, `patterns.rs`, `maps.rs`, `sample.rs`, `fetches.rs`, `converters.rs`, `messages.rs` | conditions |
//! | `tcp_rules.rs`, `routing.rs`, `tables.rs`, `variables.rs`, `captures.rs` | rules and what they keep |
//! | `checks.rs`, `expect.rs`, `httpchk.rs`, `readymade.rs` | health checks |
//! | `logs.rs`, `format.rs` | log targets and formats |
//! | `finish.rs`, `validity.rs` | the configuration as a whole |
//! | `web.rs`, `users.rs` | what belongs to HTTP |
//! | `peers.rs` | who else keeps the tables |
//! | `known.rs` | HAProxy's other keywords |

mod acl;
mod address;
mod arguments;
mod attributes;
mod balance;
mod captures;
mod checks;
mod converters;
mod cx;
mod directive;
mod draft;
mod environment;
mod expect;
mod fetches;
mod finish;
mod format;
mod global;
mod header;
mod hosts;
mod httpchk;
mod known;
mod lines;
mod listener;
mod logs;
mod maps;
mod message;
mod messages;
mod names;
mod nearest;
mod number;
mod option;
mod patterns;
mod peers;
mod proxy;
mod readymade;
mod resolvers;
mod routing;
mod sample;
mod section;
mod server;
mod tables;
mod tcp_rules;
mod text;
mod timeout;
mod users;
mod validity;
mod variables;
mod web;
mod words;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

pub use message::{Message, Severity};

use super::{BindAddress, Proxies};

/// A file that was delivered.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name: of a configuration, as messages repeat it.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Files by path, for what a configuration names: patterns of ACLs, error bodies, `etc/hosts`.
pub trait Files {
    /// The bytes of a file, if it is there.
    fn bytes(&self, path: &str) -> Option<Cow<'_, [u8]>>;

    /// Where an open socket listens that is called by its number (`fd@3`), if there is one.
    fn socket(&self, descriptor: &str) -> Option<BindAddress> {
        let _ = descriptor;
        None
    }
}

/// Files that were delivered together, named as in the archive that they came in: a path below
/// `/etc/haproxy` is found without that, and `/etc/hosts` as `etc/hosts`.
impl Files for &[File<'_>] {
    fn bytes(&self, path: &str) -> Option<Cow<'_, [u8]>> {
        let short = path.strip_prefix("/etc/haproxy/");
        let absolute = path.strip_prefix('/');
        let is_it = |name: &str| name == path || Some(name) == short || Some(name) == absolute;
        let found = self.iter().find(|file| is_it(file.name.trim_start_matches("./")));
        found.map(|file| Cow::Borrowed(file.bytes))
    }
}

/// All that a configuration is read from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Configurations, read as one, in this order.
    pub files: &'a [File<'a>],
    /// What `${NAME}` stands for.
    pub environment: &'a [(String, String)],
    /// What it names.
    pub delivered: &'a dyn Files,
    /// What is not supported yet is left out, with a warning, and is no mistake.
    pub lenient: bool,
    /// Loopback addresses are hosts like others: the knob `conf.all.route_localnet`. Else they are
    /// nobody, and a `log` to one goes to the console.
    pub route_localnet: bool,
}

impl<'a> Input<'a> {
    /// These files, and nothing else: no environment, nothing that they could name.
    pub fn of(files: &'a [File<'a>]) -> Input<'a> {
        const NOTHING: &[File<'_>] = &[];
        Input {
            files,
            environment: &[],
            delivered: &NOTHING,
            lenient: false,
            route_localnet: false,
        }
    }
}

/// What became of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The configuration, if it can be run.
    pub proxies: Option<Proxies>,
    /// What there is to say, in order.
    pub messages: Vec<Message>,
}

impl Reading {
    /// Whether there was a warning.
    pub fn has_warnings(&self) -> bool {
        self.messages.iter().any(|message| message.severity == Severity::Warning)
    }
}

/// Evaluates a condition as that of `.if` is (configuration manual, section 2.4).
///
/// # Errors
/// HAProxy's words.
pub fn condition(text: &str, environment: &[(String, String)]) -> Result<bool, String> {
    lines::condition(text, environment)
}

/// Reads a configuration.
pub fn read(input: &Input<'_>) -> Reading {
    section::read(input)
}

/// Sections that HAProxy knows.
const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "listen",
    "frontend",
    "backend",
    "peers",
    "mailers",
    "resolvers",
    "userlist",
    "program",
    "cache",
    "ring",
    "http-errors",
    "log-forward",
    "fcgi-app",
];

#[cfg(test)]
mod tests;
