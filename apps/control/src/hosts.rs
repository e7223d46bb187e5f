//! `etc/hosts`: names that need no server (hosts(5)).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use penstock_wire::Addr;

use crate::limits;

/// The names and addresses of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    list: Vec<(String, Addr)>,
}

impl Hosts {
    /// Reads a file. What cannot be understood is passed over, as everybody's resolver does.
    pub(crate) fn parse(text: &str) -> Hosts {
        let mut list = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(Ok(addr)) = words.next().map(str::parse::<IpAddr>) else { continue };
            for name in words {
                if list.len() < limits::NAMES_MAX {
                    list.push((name.trim_end_matches('.').to_ascii_lowercase(), addr.into()));
                }
            }
        }
        Hosts { list }
    }

    /// The addresses of a name.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Addr> + 'a {
        let name = name.trim_end_matches('.');
        let known = self.list.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, addr)| *addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases() {
        let hosts = Hosts::parse(
            "# ours\n10.0.0.7 db.example. DB # the first\n\nfd00::7\tdb\nnonsense x\n10.0.0.300 y\n",
        );
        let of = |name| hosts.of(name).map(|addr| alloc::format!("{addr}")).collect::<Vec<_>>();
        assert_eq!(of("db"), ["10.0.0.7", "fd00::7"]);
        assert_eq!(of("db.EXAMPLE"), ["10.0.0.7"]);
        assert!(of("x").is_empty() && of("y").is_empty() && of("nonsense").is_empty());
    }
}
