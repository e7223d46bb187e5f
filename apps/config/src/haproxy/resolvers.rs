//! Who is asked for the names of servers while the proxy runs.

use alloc::string::String;
use alloc::vec::Vec;

use penstock_wire::Addr;

use super::BindAddress;

/// A `resolvers` section.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Resolvers {
    /// Its name.
    pub name: String,
    /// `nameserver`: names, addresses and ports. None: the machine's own.
    pub servers: Vec<(String, BindAddress)>,
}

/// How a server stands whose name has no address yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InitAddr {
    /// Nobody is told of the first address: it is asked for at the start.
    #[default]
    Name,
    /// `none`: in maintenance, until there is one.
    None,
    /// This address meanwhile.
    Addr(Addr),
}
