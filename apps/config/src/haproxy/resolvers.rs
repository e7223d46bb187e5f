//! Who is asked for the names of servers while the proxy runs.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_stack::Duration;
use penstock_wire::Addr;

use super::BindAddress;

/// A `resolvers` section.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Resolvers {
    /// Its name.
    pub name: String,
    /// `nameserver`: names, addresses and ports. None: the machine's own.
    pub servers: Vec<(String, BindAddress)>,
    /// How it asks, and what counts meanwhile.
    pub patience: Patience,
}

/// How a name is asked for, and for how long it counts when nobody has an address for it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the end of a question to the next (`timeout resolve`).
    pub pause: Duration,
    /// For one try, in which every server is asked (`timeout retry`).
    pub retry: Duration,
    /// How many of them (`resolve_retries`); 1 at least.
    pub tries: u32,
    /// How long the last addresses count after they were told, when there is no such name, when nobody
    /// answers, when servers refuse, and whatever else they say (`hold nx`, `timeout`, `refused`,
    /// `other`).
    pub hold_nx: Duration,
    /// See [`hold_nx`](Self::hold_nx).
    pub hold_timeout: Duration,
    /// See [`hold_nx`](Self::hold_nx).
    pub hold_refused: Duration,
    /// See [`hold_nx`](Self::hold_nx).
    pub hold_other: Duration,
    /// How long an address counts after it was told, when answers no longer have it (`hold obsolete`).
    pub hold_obsolete: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        let hold = Duration::from_secs(30);
        Patience {
            pause: Duration::from_secs(1),
            retry: Duration::from_secs(1),
            tries: 3,
            hold_nx: hold,
            hold_timeout: hold,
            hold_refused: hold,
            hold_other: hold,
            hold_obsolete: Duration::from_secs(0),
        }
    }
}

/// `init-addr`: how a server begins that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitAddr {
    /// `libc`, before anything else: the name is asked for at the start.
    pub asks: bool,
    /// What it is as long as that leads nowhere.
    pub otherwise: Nameless,
}

/// What a server is whose name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nameless {
    /// A server without an address.
    Waits,
    /// `none`: in maintenance.
    InMaintenance,
    /// Here.
    At(Addr),
}

impl Default for InitAddr {
    fn default() -> InitAddr {
        InitAddr { asks: true, otherwise: Nameless::Waits }
    }
}
